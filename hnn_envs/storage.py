"""Files that are written whole, and safetensors files that are read with their digest. Nothing is ever unpickled.

A checkpoint, a policy and a set of films are all kept as safetensors with a card, a JSON table, in the header; the card
has an entry "digest", the SHA-256 of the card's other entries and of the tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hnn_envs.arrays import Array
from hnn_envs.errors import CheckpointError


def write_atomically(path: Path, content: bytes) -> None:
    """Writes ``content`` to a temporary name in the same folder and renames it to ``path``."""
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


def read_tensors(path: Path, header: str, kind: str, formats: Sequence[int]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Reads the card's entries and the tensors of a file.

    Args:
        path: the file.
        header: the name of the card in it.
        kind: what to call the file in messages, such as "policy".
        formats: values of the card's entry "format" that are read.

    Raises:
        CheckpointError: the file is missing, damaged, changed, or something else.
    """
    if not path.is_file():
        raise CheckpointError(f"{kind} {path} does not exist")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{kind} {path} is not a readable safetensors file ({error}); it may be truncated, or of another format "
            "such as a zip or a pickle, which hnn_envs never loads"
        ) from error
    if header not in metadata:
        raise CheckpointError(f"{kind} {path} has no {header} card in its header; it is no {kind} of hnn_envs")
    try:
        values = json.loads(metadata[header])
    except ValueError as error:
        raise CheckpointError(f"{kind} {path} has a damaged card: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{kind} {path} has a damaged card: it is no table of entries")
    if values.get("format") not in formats or isinstance(values["format"], bool):
        raise CheckpointError(
            f"{kind} {path} has format {values.get('format')!r}; this version of hnn_envs reads format "
            f"{' and '.join(map(str, formats))}"
        )
    if values.get("digest") != digest_of(values, tensors):
        raise CheckpointError(f"{kind} {path} was changed after it was written: its digest does not match")
    return values, tensors


def digest_of(card: Mapping[str, Any], tensors: Mapping[str, Array]) -> str:
    """SHA-256 of the card, less the digest itself, and the tensors."""
    digest = hashlib.sha256()
    entries = {name: value for name, value in card.items() if name != "digest"}
    digest.update(json.dumps(entries, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
