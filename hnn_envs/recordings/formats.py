"""Tables of numbers in files: CSV, Parquet and npz, packed by gzip or not, read by the names of their columns.

To add a format, write its reader and its writer, as ``text`` does for CSV, and a line in ``FORMATS``.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError, InvalidOptionError
from hnn_envs.parsing import is_file, user_path
from hnn_envs.recordings.archive import ArchiveReader, write_archive
from hnn_envs.recordings.parquet import ParquetReader, write_parquet
from hnn_envs.recordings.tables import LARGEST_FILE, Reader
from hnn_envs.recordings.text import TextReader, write_text
from hnn_envs.storage import write_atomically

PACKED = ".gz"

Writer = Callable[[Sequence[str], Sequence[Array], str], bytes]
"""(names, columns of numbers, the note on them) -> the content of a file."""


@dataclass(frozen=True)
class Format:
    """How a kind of file is read and written."""

    reader: Callable[[str, bytes], Reader]
    writer: Writer


_TEXT = Format(TextReader, write_text)
_PARQUET = Format(ParquetReader, write_parquet)
FORMATS: dict[str, Format] = {
    ".csv": _TEXT,
    ".tsv": _TEXT,
    ".txt": _TEXT,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".npz": Format(ArchiveReader, write_archive),
}
"""By the end of a file's name, before ".gz"."""


def format_of(path: Path) -> tuple[Format, bool]:
    """How a file is read and written, and whether it is packed.

    Raises:
        InvalidOptionError: its name does not say.
    """
    packed = path.suffix.lower() == PACKED
    end = Path(path.stem).suffix if packed else path.suffix
    if end.lower() not in FORMATS:
        raise InvalidOptionError(
            f"the name of {path} does not say what is in it; allowed: {', '.join(FORMATS)}, and these followed by .gz"
        )
    return FORMATS[end.lower()], packed


def open_table(path: str | Path) -> Reader:
    """Opens a file and looks at the names of its columns.

    Raises:
        DataError: there is no such file, or it is not what its name says.
        InvalidOptionError: its name does not say what is in it.
    """
    place = user_path(path)
    chosen, packed = format_of(place)
    content = _unpacked(place, _content(place)) if packed else _content(place)
    if not content:
        raise DataError(f"{place} is empty")
    return chosen.reader(str(place), content)


def write_table(path: Path, names: Sequence[str], columns: Sequence[Array], note: str) -> None:
    """Writes columns of numbers, NaN where nothing was sampled.

    Raises:
        InvalidOptionError: the name of the file does not say how.
        WriteError: it cannot be written.
    """
    chosen, packed = format_of(path)
    content = chosen.writer(names, columns, note)
    write_atomically(path, gzip.compress(content, mtime=0) if packed else content)


def _content(path: Path) -> bytes:
    if not is_file(path):
        raise DataError(f"{path} {'is a folder, not a file' if path.is_dir() else 'does not exist'}")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return _bounded(path, content)


def _unpacked(path: Path, content: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _bounded(path, file.read(LARGEST_FILE + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file: {error}") from error


def _bounded(path: Path, content: bytes) -> bytes:
    if len(content) > LARGEST_FILE:
        raise DataError(
            f"{path} has more than {LARGEST_FILE // 2**20} MiB once it is unpacked; record at a lower rate, or load it "
            "in parts"
        )
    return content
