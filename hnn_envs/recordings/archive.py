"""Tables in npz archives: an array for each column, or for several. Nothing is unpickled."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError
from hnn_envs.recordings.tables import LARGEST_FILE, Table, check_numbers

NOTE = "hnn_envs"
"""The array with the note on the columns."""
END = ".npy"
NUMBERS = "fiub"
"""Kinds of arrays that are numbers."""
TEXTS = "US"


class ArchiveReader:
    """An npz archive; see ``tables.Reader``.

    An array (rows, n) is n columns, "name[0]" to "name[n - 1]". Where nothing was sampled there is NaN.
    """

    def __init__(self, file: str, content: bytes) -> None:
        self.file = file
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                self._arrays = {
                    each.filename.removesuffix(END): self._read(archive, each)
                    for each in self._bounded(archive.infolist())
                }
        except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError) as error:
            raise DataError(f"{file} is no npz archive: {error}") from error
        self.note = str(self._arrays.pop(NOTE)) if NOTE in self._arrays else ""
        self._columns = {name: column for array in self._arrays for name, column in self._split(array)}
        self.names = list(self._columns)
        if not self.names:
            raise DataError(f"{file} has no arrays with rows")

    def _bounded(self, members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
        if sum(each.file_size for each in members) > LARGEST_FILE:
            raise DataError(f"{self.file} has more than {LARGEST_FILE // 2**20} MiB once it is unpacked")
        return [each for each in members if each.filename.endswith(END)]

    def _read(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
        with archive.open(member) as opened:
            content = opened.read(LARGEST_FILE)
        try:
            return _array(io.BytesIO(content), len(content))
        except (ValueError, TypeError, SyntaxError, UnicodeError) as error:
            name = member.filename.removesuffix(END)
            raise DataError(f"{self.file}: array {name!r} is no readable array of numbers or text: {error}") from error

    def _split(self, name: str) -> list[tuple[str, Array]]:
        array = self._arrays[name]
        if array.ndim == 2 and array.shape[1] != 1:
            return [(f"{name}[{index}]", array[:, index]) for index in range(array.shape[1])]
        return [(name, array.reshape(-1))] if array.ndim in (1, 2) else []

    def read(self, numbers: Sequence[str], labels: Sequence[str]) -> Table:
        """See ``tables.Reader``."""
        wanted = {name: self._columns[name] for name in (*numbers, *labels)}
        lengths = {name: len(column) for name, column in wanted.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
            raise DataError(
                f"{self.file}: columns must have as many rows: {told}; inputs of other times are read from another file"
            )
        rows = np.arange(1, next(iter(lengths.values()), 0) + 1)
        if not rows.size:
            raise DataError(f"{self.file} has no rows")
        columns = {name: self._numbers(name, wanted[name], rows) for name in numbers}
        texts = {name: [str(each) for each in wanted[name].tolist()] for name in labels}
        return Table(self.file, columns, texts, rows)

    def _numbers(self, name: str, column: Array, rows: Array) -> Array:
        if column.dtype.kind not in NUMBERS:
            raise DataError(f"{self.file}: column {name!r}, row 1: {str(column[0])[:60]!r} is no number")
        values = column.astype(np.float64)
        check_numbers(self.file, name, values, rows)
        return values


def _array(file: BinaryIO, size: int) -> Array:
    """An array whose header is looked at before anything is made of it."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its format is {version}")
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = reader(file)
    if dtype.kind not in NUMBERS + TEXTS or dtype.itemsize == 0:
        raise ValueError(f"its type is {dtype}")
    count = math.prod(shape)
    if count * dtype.itemsize != size - file.tell():
        raise ValueError(f"its shape {shape} does not fit its size")
    return np.frombuffer(file.read(), dtype, count).reshape(shape, order="F" if fortran else "C")


def write_archive(names: Sequence[str], columns: Sequence[Array], note: str) -> bytes:
    """An npz archive; see ``tables.Writer``."""
    buffer = io.BytesIO()
    # Not np.savez, which puts the time of writing into the archive: the same numbers are to be the same file.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, column in ((NOTE, np.array(note)), *zip(names, columns, strict=True)):
            content = io.BytesIO()
            npy.write_array(content, np.asarray(column), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}{END}"), content.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
