"""Tables in Parquet files, by pyarrow, which the extra "recordings" installs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError, InvalidOptionError
from hnn_envs.recordings.tables import Table, check_numbers, check_size

NOTE = b"hnn_envs"
"""The entry of the file's metadata with the note on the columns."""
NEEDS = 'Parquet files need pyarrow; install hnn_envs with the extra "recordings"'


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise InvalidOptionError(NEEDS) from error
    return pyarrow


class ParquetReader:
    """A Parquet file; see ``tables.Reader``. Where nothing was sampled there is null; times may be of Arrow's types."""

    def __init__(self, file: str, content: bytes) -> None:
        self.file = file
        self._arrow = _pyarrow()
        with self._faults():
            self._file = self._arrow.parquet.ParquetFile(self._arrow.BufferReader(content))
            schema = self._file.schema_arrow
            self.names = list(schema.names)
            self.note = (schema.metadata or {}).get(NOTE, b"").decode("utf-8", "replace")

    def _faults(self) -> Any:
        return _Faults(self.file, (self._arrow.ArrowException, OSError, ValueError))

    def read(self, numbers: Sequence[str], labels: Sequence[str]) -> Table:
        """See ``tables.Reader``."""
        count = self._file.metadata.num_rows
        if not count:
            raise DataError(f"{self.file} has no rows")
        check_size(self.file, count, len(numbers) + len(labels))
        with self._faults():
            table = self._file.read(columns=list(dict.fromkeys((*numbers, *labels))))
        rows = np.arange(1, count + 1)
        columns = {name: self._numbers(name, table.column(name), rows) for name in numbers}
        texts = {name: [str(each) for each in table.column(name).to_pylist()] for name in labels}
        return Table(self.file, columns, texts, rows)

    def _numbers(self, name: str, column: Any, rows: Array) -> Array:
        arrow = self._arrow
        kind = column.type
        if arrow.types.is_timestamp(kind) or arrow.types.is_duration(kind):
            column = self._seconds(column)
        elif not (arrow.types.is_integer(kind) or arrow.types.is_floating(kind) or arrow.types.is_boolean(kind)):
            first = next((str(each) for each in column.to_pylist() if each is not None), "")
            raise DataError(
                f"{self.file}: column {name!r}, row 1: {first[:60]!r} is of type {kind}, which is no number"
            )
        there = column.is_valid().to_numpy()
        values = column.cast(arrow.float64(), safe=False).to_numpy().copy()
        bad = np.flatnonzero(there & ~np.isfinite(values))
        if bad.size:
            raise DataError(
                f"{self.file}: column {name!r}, row {rows[bad[0]]}: {values[bad[0]]} is no finite number; cells of "
                "what was not sampled are null"
            )
        check_numbers(self.file, name, values, rows)
        return values

    def _seconds(self, column: Any) -> Any:
        """Times as numbers of seconds since the first."""
        arrow = self._arrow
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        ticks = column.cast(arrow.int64())
        first = arrow.compute.min(ticks)
        return arrow.compute.divide(arrow.compute.subtract(ticks, first).cast(arrow.float64()), float(per_second))


class _Faults:
    """Says which file it is of which pyarrow complains."""

    def __init__(self, file: str, kinds: tuple[type[Exception], ...]) -> None:
        self._file, self._kinds = file, kinds

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, self._kinds):
            raise DataError(f"{self._file} is no readable Parquet file: {error}") from error


def write_parquet(names: Sequence[str], columns: Sequence[Array], note: str) -> bytes:
    """A Parquet file; see ``tables.Writer``."""
    arrow = _pyarrow()
    arrays = [arrow.array(column, from_pandas=True) for column in columns]  # NaN becomes null
    sink = arrow.BufferOutputStream()
    arrow.parquet.write_table(arrow.table(arrays, names=list(names)).replace_schema_metadata({NOTE: note}), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content
