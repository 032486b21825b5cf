"""What a run of learning has done so far, kept on disk so that a killed run goes on with the same result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from hnn_envs.arrays import Array
from hnn_envs.errors import HnnEnvsError
from hnn_envs.parsing import is_file, parse
from hnn_envs.storage import open_tensors, write_tensors

HEADER = "hnn_envs_learning"
KIND = "learning state"
FORMAT = 1

Tables = dict[str, Array]


@dataclass(frozen=True)
class _Card:
    format: int
    key: str
    digest: str = ""


class Kept:
    """Results of steps by their names.

    Args:
        path: the file; None keeps nothing on disk.
        key: what the run is; results of another key are not taken up.
        message: called with a line where a file is not taken up.
    """

    def __init__(self, path: Path | None, key: str, message: Callable[[str], object] = lambda _: None) -> None:
        self._path, self._key = path, key
        self._done: Tables = {}
        if path is not None and is_file(path):
            self._read(path, message)

    def _read(self, path: Path, message: Callable[[str], object]) -> None:
        try:
            with open_tensors(path, HEADER, KIND, (FORMAT,), largest=None) as file:
                if parse(_Card, file.values, "its card").key == self._key:
                    self._done = file.read()
                    message(f"going on with what {path} holds")
                else:
                    message(f"{KIND} {path} is of another recording, version or other options: learning starts anew")
        except HnnEnvsError as error:
            message(f"{error}: learning starts anew")

    def once(self, name: str, work: Callable[[], Tables]) -> Tables:
        """The result of a step: what was kept of it, else what it gives, which is kept."""
        prefix = f"{name}/"
        found = {key.removeprefix(prefix): value for key, value in self._done.items() if key.startswith(prefix)}
        if not found:
            found = work()
            self._done |= {prefix + key: value for key, value in found.items()}
            if self._path is not None:
                write_tensors(self._path, HEADER, asdict(_Card(FORMAT, self._key)), self._done)
        return found

    def finish(self) -> None:
        """Removes the file: the run is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
