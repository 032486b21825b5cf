"""Files that are written whole, and safetensors files that are read with their digest. Nothing is ever unpickled.

A checkpoint, a policy, a set of films and the state of a training are all kept as safetensors with a card, a JSON
table, in the header; the card has an entry "digest", the SHA-256 of the card's other entries and of the tensors.

A file is read in two steps. Its header, at most ``LARGEST_HEADER`` bytes, says what tensors there are, and the digest
is taken block by block; whoever reads looks at the card and the shapes, and only then at the tensors. So a file takes
no more memory than its size, and none where it is not what it should be. The layout of safetensors is simple enough to
be read here: its own reader takes the header's word for what is in the file, and panics where that is wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors.numpy import save

from hnn_envs.arrays import Array
from hnn_envs.errors import CheckpointError, InvalidOptionError, WriteError
from hnn_envs.parsing import is_file, parse_json, shown

LARGEST_HEADER = 2**20
"""Bytes of a header: a card has some thousands, a recipe among them."""
LARGEST_MODEL = 2**28
"""Bytes of a model's tensors; the largest that is shipped has 3.3 million."""
BLOCK = 2**20
METADATA = "__metadata__"
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
Shapes = dict[str, tuple[int, ...]]


def write_atomically(path: Path, content: bytes) -> None:
    """Writes ``content`` to a temporary name in the same folder and renames it to ``path``.

    Raises:
        WriteError: it cannot be written, such as on a full disk; what was there before is left.
    """
    try:
        _write(path, content)
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror or error}") from error


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_tensors(path: Path, header: str, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
    """Writes a card and tensors under one digest; a kill leaves the old file or the new one."""
    ordered = {name: np.asarray(value, order="C") for name, value in sorted(tensors.items())}
    stamped = {**card, "digest": digest_of(card, ordered)}
    write_atomically(path, save(ordered, {header: json.dumps(stamped, sort_keys=True)}))


@dataclass(frozen=True)
class _Tensor:
    """Where a tensor is in a file: what its header says, checked."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Sealed:
    """A file whose header was read.

    Attributes:
        path: the file.
        kind: what it is, for messages.
        values: the card's entries.
        shapes: of its tensors.
    """

    path: Path
    kind: str
    values: dict[str, Any]
    shapes: Shapes
    _tensors: Sequence[_Tensor]
    _file: BinaryIO
    _start: int

    def read(self) -> dict[str, Array]:
        """The tensors."""
        return {each.name: self._read(each) for each in self._tensors}

    def _read(self, tensor: _Tensor) -> Array:
        self._file.seek(self._start + tensor.begin)
        values = np.fromfile(self._file, tensor.dtype, math.prod(tensor.shape))
        if values.size != math.prod(tensor.shape):
            raise _unreadable(self.path, self.kind, "it became shorter while it was read")
        return values.reshape(tensor.shape)

    def digest(self) -> str:
        """What the card's digest should be, a block of the tensors at a time."""
        digest = _digest_of_card(self.values)
        for each in sorted(self._tensors, key=lambda tensor: tensor.name):
            digest.update(_label(each.name, each.dtype, each.shape))
            self._file.seek(self._start + each.begin)
            for here in range(each.begin, each.end, BLOCK):
                digest.update(self._file.read(min(BLOCK, each.end - here)))
        return str(digest.hexdigest())


@contextmanager
def open_tensors(
    path: Path, header: str, kind: str, formats: Sequence[int], largest: int | None = LARGEST_MODEL
) -> Iterator[Sealed]:
    """Opens a file for reading and reads its header.

    Args:
        path: the file.
        header: the name of the card in it.
        kind: what to call the file in messages, such as "policy".
        formats: values of the card's entry "format" that are read.
        largest: bytes that its tensors may have; None for no limit but the file's size.

    Raises:
        CheckpointError: the file is missing, damaged, changed, too large, or something else.
    """
    if not is_file(path):
        raise CheckpointError(f"{kind} {path} does not exist")
    try:
        file = path.open("rb")
    except OSError as error:
        raise CheckpointError(f"{kind} {path} cannot be read: {error.strerror or error}") from error
    with file:
        try:
            metadata, tensors = _read_header(file)
        except (InvalidOptionError, ValueError, OSError) as error:
            raise _unreadable(path, kind, str(error)) from error
        size = tensors[-1].end if tensors else 0
        if largest is not None and size > largest:
            raise CheckpointError(f"{kind} {path} has {size} bytes of tensors; at most {largest} are read")
        values = _card(path, kind, metadata, header, formats)
        sealed = Sealed(path, kind, values, {each.name: each.shape for each in tensors}, tensors, file, file.tell())
        if values.get("digest") != sealed.digest():
            raise CheckpointError(f"{kind} {path} was changed after it was written: its digest does not match")
        yield sealed


def _unreadable(path: Path, kind: str, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{kind} {path} is not a readable safetensors file ({reason}); it may be truncated, or of another format "
        "such as a zip or a pickle, which hnn_envs never loads"
    )


def _read_header(file: BinaryIO) -> tuple[dict[str, str], list[_Tensor]]:
    """The metadata, and the tensors in the order in which they are in the file."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(LARGEST_HEADER, size - 8):
        raise ValueError(f"its header would have {length} bytes, and the file has {size}; at most {LARGEST_HEADER}")
    text = file.read(length).decode("utf-8")
    table = parse_json(text)
    if not isinstance(table, dict) or not text.startswith("{"):
        raise ValueError("its header is no table")
    metadata = table.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata is no table of texts")
    tensors = sorted((_tensor(name, entry) for name, entry in table.items()), key=lambda each: (each.begin, each.end))
    here = 0
    for each in tensors:
        if each.begin != here:
            raise ValueError(f"tensor {shown(each.name)} does not begin where the one before it ends")
        here = each.end
    if here != size - 8 - length:
        raise ValueError(f"its tensors have {here} bytes, and there are {size - 8 - length}")
    return metadata, tensors


def _tensor(name: str, entry: Any) -> _Tensor:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {shown(name)} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"tensor {shown(name)} is of type {shown(dtype)}; allowed: {', '.join(DTYPES)}")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2 or len(shape) > 32:
        raise ValueError(f"tensor {shown(name)} has shape {shown(shape)} and offsets {shown(offsets)}")
    kind = np.dtype(DTYPES[dtype])
    if offsets[1] - offsets[0] != math.prod(shape) * kind.itemsize:
        raise ValueError(f"tensor {shown(name)} has a shape that does not fit its offsets")
    return _Tensor(name, kind, tuple(shape), offsets[0], offsets[1])


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _card(path: Path, kind: str, metadata: dict[str, str], header: str, formats: Sequence[int]) -> dict[str, Any]:
    if header not in metadata:
        raise CheckpointError(f"{kind} {path} has no {header} card in its header; it is no {kind} of hnn_envs")
    try:
        values = parse_json(metadata[header])
    except InvalidOptionError as error:
        raise CheckpointError(f"{kind} {path} has a damaged card: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{kind} {path} has a damaged card: it is no table of entries")
    if type(values.get("format")) is not int or values["format"] not in formats:
        raise CheckpointError(
            f"{kind} {path} has format {shown(values.get('format'))}; this version of hnn_envs reads format "
            f"{' and '.join(map(str, formats))}"
        )
    return values


def digest_of(card: Mapping[str, Any], tensors: Mapping[str, Array]) -> str:
    """SHA-256 of the card, less the digest itself, and the tensors."""
    digest = _digest_of_card(card)
    for name, value in sorted(tensors.items()):
        digest.update(_label(name, value.dtype, value.shape))
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    return str(digest.hexdigest())


def _digest_of_card(card: Mapping[str, Any]) -> Any:
    entries = {name: value for name, value in card.items() if name != "digest"}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode())


def _label(name: str, dtype: Any, shape: tuple[int, ...]) -> bytes:
    return f"{name} {dtype} {shape}".encode()
