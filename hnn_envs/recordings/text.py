"""Tables in text: CSV, with commas, semicolons or tabs between cells."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError
from hnn_envs.parsing import shown
from hnn_envs.recordings.tables import Table, check_numbers, check_size, number

DELIMITERS = ",;\t"
COMMENT = "#"
NOTE = "# hnn_envs "
"""What a line begins with that says what the columns are."""
CHUNK = 10_000
"""Rows that are read at a time: as text they take many times the memory of their numbers."""


class TextReader:
    """A CSV file; see ``tables.Reader``. The first row names the columns; lines before it may be comments, with a #."""

    def __init__(self, file: str, content: bytes) -> None:
        self.file = file
        try:
            self._text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise DataError(f"{file}: row {line} is no UTF-8 text (byte {error.start}); save it as UTF-8") from error
        comments, header = self._heading()
        self.note = next((line.removeprefix(NOTE) for line in comments if line.startswith(NOTE)), "")
        self._delimiter = max(DELIMITERS, key=header.count)
        if _is_numbers(self._cells(header)) and comments:  # as np.savetxt writes: the last comment names the columns
            header = comments[-1].lstrip(COMMENT)
            self._skipped = len(comments)
        else:
            self._skipped = len(comments) + 1
        self.names = [name.strip() for name in self._cells(header)]
        if _is_numbers(self.names):
            raise DataError(f"{file}: row {len(comments) + 1} should name the columns, and has numbers")

    def _heading(self) -> tuple[list[str], str]:
        """The comments, and the first line that is none."""
        comments: list[str] = []
        for line in io.StringIO(self._text):
            if not line.startswith(COMMENT) and line.strip():
                return comments, line.rstrip("\r\n")
            comments.append(line.rstrip("\r\n"))
        raise DataError(f"{self.file} has no rows")

    def _cells(self, line: str) -> list[str]:
        return next(csv.reader([line], delimiter=self._delimiter), [])

    def read(self, numbers: Sequence[str], labels: Sequence[str]) -> Table:
        """See ``tables.Reader``."""
        check_size(self.file, self._text.count("\n"), len(numbers))
        parts: dict[str, list[Array]] = {name: [] for name in numbers}
        texts: dict[str, list[str]] = {name: [] for name in labels}
        counts: list[Array] = []
        rows = self._rows()
        while chunk := list(islice(rows, CHUNK)):
            places = np.array([place for place, _ in chunk])
            counts.append(places)
            for name in numbers:
                index = self.names.index(name)
                parts[name].append(self._numbers(name, [cells[index] for _, cells in chunk], places))
            for name in labels:
                index = self.names.index(name)
                texts[name].extend(cells[index].strip() for _, cells in chunk)
        if not counts:
            raise DataError(f"{self.file} has no rows below the names of its columns")
        return Table(
            self.file, {name: np.concatenate(part) for name, part in parts.items()}, texts, np.concatenate(counts)
        )

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not blank, with their numbers."""
        lines = io.StringIO(self._text, newline="")
        for _ in range(self._skipped):
            lines.readline()
        reader = csv.reader(lines, delimiter=self._delimiter)
        try:
            for cells in reader:
                if not any(cells) or cells[0].startswith(COMMENT):
                    continue
                row = reader.line_num + self._skipped
                if len(cells) != len(self.names):
                    raise DataError(
                        f"{self.file}: row {row} has {len(cells)} cells; there are {len(self.names)} columns"
                    )
                yield row, cells
        except csv.Error as error:
            raise DataError(f"{self.file}: row {reader.line_num + self._skipped}: {error}") from error

    def _numbers(self, column: str, cells: Sequence[str], rows: Array) -> Array:
        try:
            values = np.array([number(cell) for cell in cells])
        except ValueError:
            index = next(index for index, cell in enumerate(cells) if not _is_number(cell))
            raise DataError(
                f"{self.file}: column {column!r}, row {rows[index]}: {shown(cells[index])} is no finite number; cells "
                "of what was not sampled are empty"
            ) from None
        check_numbers(self.file, column, values, rows)
        return values


def _is_number(cell: str) -> bool:
    try:
        number(cell)
    except ValueError:
        return False
    return True


def _is_numbers(cells: Sequence[str]) -> bool:
    return any(cell.strip() for cell in cells) and all(_is_number(cell) for cell in cells)


def write_text(names: Sequence[str], columns: Sequence[Array], note: str) -> bytes:
    """A CSV file; see ``tables.Writer``. Numbers are written so that they are read as the very same."""
    text = io.StringIO()
    text.write(f"{NOTE}{note}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    cells = [["" if math.isnan(value) else repr(value) for value in column.tolist()] for column in columns]
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue().encode()
