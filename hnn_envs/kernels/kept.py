"""Machine code on disk, by Numba's cache, but with a digest behind each file, and never in the way.

Numba unpickles what it finds, and fails where a file was cut off, where it cannot be read, or where the disk is full,
until a user deletes its folder. Here a file that is not as it was written counts as none and is written again, and
where nothing can be written, code is compiled and not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

from hnn_envs.kernels.notice import NOTICE

DIGEST_BYTES = hashlib.sha256().digest_size


class _SealedFiles(IndexDataCacheFile):  # type: ignore[misc] # Numba has no types
    """Numba's files of one function, each with the SHA-256 of its content at its end."""

    def _load_index(self) -> Any:
        return super()._load_index() if _is_whole(Path(self._index_path)) else {}

    def _load_data(self, name: str) -> Any:
        path = Path(self._data_path(name))
        if not _is_whole(path):
            raise OSError(f"{path} is damaged")  # which Numba takes for a file that is not there
        return super()._load_data(name)

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[Any]:
        with super()._open_for_write(filepath) as file:
            yield file
            file.flush()
            file.write(hashlib.sha256(Path(file.name).read_bytes()).digest())


def _is_whole(path: Path) -> bool:
    """Whether a file ends with the digest of the rest; what follows a pickle does not count for Numba."""
    content = path.read_bytes() if path.is_file() else b""
    return hashlib.sha256(content[:-DIGEST_BYTES]).digest() == content[-DIGEST_BYTES:]


class KeptCode(FunctionCache):  # type: ignore[misc] # Numba has no types
    """The machine code of one function on disk."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        found: Any = self._cache_file
        self._cache_file: Any = _SealedFiles(found._cache_path, self._impl.filename_base, found._source_stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for arguments of these types; None where there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except OSError:
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps code, where that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            NOTICE.not_kept(f"{self.cache_path}: {error.strerror or error}")


def keep(kernel: Any) -> Any:
    """Lets a function of ``numba.njit`` keep its machine code, where there is a place for it; returns it."""
    with suppress(RuntimeError):  # there is no place that can be written
        kernel._cache = KeptCode(kernel.py_func)
    return kernel
