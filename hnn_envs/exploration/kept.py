"""The trials of an exploration on disk, so that one that was interrupted goes on with the same result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.errors import CheckpointError
from hnn_envs.exploration.trials import Trial
from hnn_envs.parsing import is_file, parse
from hnn_envs.storage import open_tensors, write_tensors

HEADER = "hnn_envs_exploration"
KIND = "exploration"
FORMAT = 1
ARRAYS = ("states", "measured", "inputs")


@dataclass(frozen=True)
class _Outcome:
    """What a trial is beside its arrays."""

    dt: float
    solved: bool
    planned: bool
    ended: str


@dataclass(frozen=True)
class _Card:
    format: int
    key: str
    trials: tuple[_Outcome, ...]
    digest: str = ""


class KeptTrials:
    """Reads and writes them.

    Args:
        path: the file; None keeps nothing.
        key: what the exploration is; trials of another are refused.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key = path, key

    def read(self, message: Callable[[str], object]) -> list[Trial]:
        """What was kept.

        Args:
            message: called with a line where there is something.

        Raises:
            CheckpointError: the file is damaged, or of another exploration.
        """
        if self._path is None or not is_file(self._path):
            return []
        with open_tensors(self._path, HEADER, KIND, (FORMAT,), largest=None) as file:
            card = parse(_Card, file.values, "its card")
            if card.key != self._key:
                raise CheckpointError(
                    f"{self._path} is of an exploration with another environment, goal, learner, seed or options; "
                    "remove it, or name another folder"
                )
            tables = file.read()
        trials = [_trial(number, outcome, tables) for number, outcome in enumerate(card.trials)]
        message(f"going on after {len(trials)} trials that {self._path} holds")
        return trials

    def write(self, trials: Sequence[Trial]) -> None:
        """Keeps all trials so far.

        Raises:
            WriteError: that is not possible.
        """
        if self._path is None:
            return
        outcomes = tuple(_Outcome(each.dt, each.solved, each.planned, each.ended) for each in trials)
        tables = {
            f"{number}/{name}": np.ascontiguousarray(getattr(trial, name))
            for number, trial in enumerate(trials)
            for name in ARRAYS
        }
        write_tensors(self._path, HEADER, asdict(_Card(FORMAT, self._key, outcomes)), tables)


def _trial(number: int, outcome: _Outcome, tables: dict[str, Any]) -> Trial:
    missing = [name for name in ARRAYS if f"{number}/{name}" not in tables]
    if missing:
        raise CheckpointError(f"trial {number} of a kept exploration lacks {', '.join(missing)}")
    return Trial(*(tables[f"{number}/{name}"] for name in ARRAYS), **asdict(outcome))
