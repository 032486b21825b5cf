"""What readers of recordings give: columns of numbers from a file, with what messages say about their cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError, InvalidOptionError, suggestion
from hnn_envs.memory import check_memory
from hnn_envs.parsing import shown

LARGEST_FILE = 2**28
"""Bytes that a file may have once it is unpacked: an hour of ten columns at 1 kHz has as many as text."""
LARGEST = 1e100
"""Numbers beyond that are no measurement, and their squares overflow."""


@dataclass(frozen=True)
class Table:
    """Some columns of a file.

    Attributes:
        file: for messages.
        numbers: the columns of numbers, each of shape (rows,); NaN where nothing was sampled.
        labels: the columns that tell runs apart, as text.
        rows: the number of each row in the file, for messages, shape (rows,).
    """

    file: str
    numbers: Mapping[str, Array]
    labels: Mapping[str, Sequence[str]]
    rows: Array

    def fault(self, column: str, index: int, what: str) -> DataError:
        """What is wrong with a cell."""
        return DataError(f"{self.file}: column {column!r}, row {int(self.rows[index])}: {what}")


class Reader(Protocol):
    """A file whose columns are known and whose numbers are not read yet.

    Attributes:
        file: for messages.
        names: of the columns.
        note: what the package wrote about them; empty in other files.
    """

    file: str
    names: list[str]
    note: str

    def read(self, numbers: Sequence[str], labels: Sequence[str]) -> Table:
        """Reads columns, all of which there are.

        Raises:
            DataError: a cell is no number, with column and row.
        """
        ...


def check_columns(reader: Reader, names: Iterable[str]) -> None:
    """Checks that a file has columns.

    Raises:
        DataError: it lacks one, or has two of its name.
    """
    for name in names:
        count = list(reader.names).count(name)
        if count != 1:
            there = f"it has {_listed(reader.names)}{suggestion(name, reader.names)}"
            fault = (
                f"there is no column {shown(name)}; {there}" if not count else f"{count} columns are called {name!r}"
            )
            raise DataError(f"{reader.file}: {fault}")


def _listed(names: Sequence[str], most: int = 20) -> str:
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def check_numbers(file: str, column: str, values: Array, rows: Array) -> None:
    """Checks that what is there of a column was measured; NaN stands for an empty cell.

    Raises:
        DataError: a number is infinite, or too large.
    """
    bad = np.flatnonzero(np.abs(values) > LARGEST)
    if bad.size:
        index = int(bad[0])
        raise DataError(
            f"{file}: column {column!r}, row {int(rows[index])}: {values[index]:g} is no measurement; numbers are "
            f"finite and at most {LARGEST:g}, and cells of what was not sampled are empty"
        )


def check_size(file: str, rows: int, columns: int) -> None:
    """Checks that the numbers of a file fit into memory.

    Raises:
        DataError: they do not.
    """
    try:
        check_memory(8.0 * 8 * rows * columns, f"{rows} rows of {columns} columns", "read a part of them")
    except InvalidOptionError as error:
        raise DataError(f"{file}: {error}") from error


def number(cell: str) -> float:
    """The number in a cell of text, NaN in an empty one.

    Raises:
        ValueError: it is none, or not finite.
    """
    text = cell.strip()
    if not text:
        return math.nan
    value = float(text)
    if not math.isfinite(value) or "_" in text:
        raise ValueError(text)
    return value
