"""Windows of recorded runs on an even grid: what models of a machine are fitted to, and what they are to foretell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from hnn_envs.arrays import Array, join, split
from hnn_envs.errors import DataError, InvalidOptionError
from hnn_envs.parsing import Amount, Count, Positive, Share, Within, user_path
from hnn_envs.recordings.dataset import Dataset, split_shares
from hnn_envs.recordings.measured import VARIABLE
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.recordings.windows import mean_inputs
from hnn_envs.systems import Known, spec_of

PATTERNS = ("*.csv", "*.csv.gz")
"""Files of runs."""
MOST_FILES = 1000
LONGEST_GAP = 50.0
"""Median intervals; real-time loops now and then miss some samples, and the motion between them is smooth."""


@dataclass(frozen=True)
class MovingWindows:
    """Which windows of a run count: one every so often, where something moves.

    Attributes:
        dt: step of the grid, on which positions and velocities are interpolated and inputs averaged over each step.
        intervals: steps in a window.
        spacing: steps from the start of a window to the start of the next one.
        least_speed: windows whose start has no joint faster than that are left out.
    """

    dt: float = 0.01
    intervals: int = 50
    spacing: int = 10
    least_speed: float = 1.0

    def of(self, run: Run) -> tuple[Array, Array]:
        """States (n, intervals + 1, 2*dof), and the mean inputs over each of the intervals (n, intervals, inputs).

        Raises:
            InvalidOptionError: the run has no velocities.
        """
        if run.velocities is None:
            raise InvalidOptionError(f"windows start from recorded velocities, and {run.name} has none")
        steps = int((run.times[-1] - run.times[0]) / self.dt + 1e-9)
        edges = run.times[0] + self.dt * np.arange(steps + 1)
        states = _interpolated(edges, run.times, join(run.positions, run.velocities))
        starts = np.arange(0, steps - self.intervals + 1, self.spacing)
        starts = starts[np.abs(split(states[starts])[1]).max(axis=1, initial=0.0) > self.least_speed]
        inside = starts[:, None] + np.arange(self.intervals + 1)
        inputs = mean_inputs(run, edges) if steps else np.zeros((0, run.inputs.shape[1]))
        return states[inside], inputs[inside[:, :-1]]


@dataclass(frozen=True)
class RecordedSource:
    """Recorded runs of a machine, cut into windows that overlap; the files are the user's own.

    Attributes:
        positions: columns of q.
        velocities: columns of q'.
        inputs: columns of u.
        folder: where the files are, below the folder that HNN_ENVS_DATA names, or ``path``.
        origin: where the files are from, for the message that they are missing.
        time: column of the time.
        dt: step of the grid of time.
        intervals: steps in a window.
        spacing: steps from the start of a window to that of the next.
        least_speed: windows whose start has no joint faster than that are left out.
        low_pass: the share of each new sample in velocities that a filter of first order follows, as machines'
            controllers do; 1 takes them as they are. Models that start from such velocities are fitted so.
        test_share: share of each file, from its end, that is kept for the test.
        path: the folder itself, or one that has ``folder`` below; by default the environment variable HNN_ENVS_DATA.
    """

    positions: tuple[str, ...]
    velocities: tuple[str, ...]
    inputs: tuple[str, ...]
    folder: str
    origin: str
    time: str = "time"
    dt: Positive = 0.01
    intervals: Count = 50
    spacing: Count = 10
    least_speed: Amount = 1.0
    low_pass: Annotated[float, Within(0, 1, above=True)] = 1.0
    test_share: Share = 0.1
    path: str | None = None

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share; ``rng`` is not used, since nothing is drawn.

        Raises:
            DataError: there are no such files, or they do not hold what they should.
            InvalidOptionError: the columns are not those of the system's states.
        """
        spec = spec_of(system)
        if not spec.velocities or len(self.positions) != spec.dof or len(self.inputs) != len(spec.inputs):
            raise InvalidOptionError(
                f"recorded runs are of {len(self.positions)} positions with velocities and of {len(self.inputs)} "
                f"inputs, not of states of {spec.name}"
            )
        shares = [split_shares(self._windows(run), self.test_share, test_first=False) for run in self._runs()]
        return _joined([train for train, _ in shares]), _joined([test for _, test in shares])

    def _runs(self) -> list[Run]:
        files = run_files(self.path, self.folder, self.origin)
        columns = (self.positions, self.velocities, self.inputs)
        runs = [run for file in files for run in load_runs(file, *columns, time=self.time)]
        return [low_passed(run, self.low_pass) for run in runs]

    def _windows(self, run: Run) -> Dataset:
        windows = MovingWindows(self.dt, self.intervals, self.spacing, self.least_speed)
        states, inputs = windows.of(run)
        rates = np.gradient(states, self.dt, axis=1)
        derivatives = join(split(states)[1], split(rates)[1])
        held = np.concatenate((inputs, inputs[:, -1:]), axis=1)
        return Dataset(self.dt * np.arange(self.intervals + 1), states, derivatives, held)


def run_files(path: str | Path | None, folder: str, origin: str) -> list[Path]:
    """The files of runs in a folder, in the order of their names.

    Args:
        path: the folder itself, or one that has ``folder`` below; by default the environment variable HNN_ENVS_DATA.
        folder: where the files are below that, such as "double_pendulum/runs"; its last parts are enough.
        origin: where they are from, for messages.

    Raises:
        DataError: there are none.
    """
    given = path or os.environ.get(VARIABLE)
    if not given:
        raise DataError(f"recorded runs are needed: pass their folder, or set {VARIABLE}; {origin}")
    place, parts = user_path(given), Path(folder).parts
    below = [Path(*parts[first:]) for first in range(len(parts))]
    for where in (*(place / part for part in below), place):
        try:
            files = sorted({file for pattern in PATTERNS for file in where.glob(pattern)})
        except (OSError, ValueError) as error:
            raise DataError(f"the folder {place} cannot be read ({error}); {origin}") from error
        if files:
            return files[:MOST_FILES]
    raise DataError(f"there are no .csv or .csv.gz files in {place}, nor in {folder} below; {origin}")


def load_runs(
    file: Path, positions: Sequence[str], velocities: Sequence[str], inputs: Sequence[str], *, time: str = "time"
) -> tuple[Run, ...]:
    """The runs in a file of a real-time loop, whose samples are late at times.

    Raises:
        DataError: something is wrong with the file, with column and row.
    """
    return Recording.load(file, positions, velocities, inputs, time=time, gap=LONGEST_GAP).runs


def low_passed(run: Run, share: float) -> Run:
    """A run whose velocities a filter of first order follows: each is ``share`` of a sample, and the rest as before."""
    if run.velocities is None or share == 1:
        return run
    followed = run.velocities.copy()
    for index in range(1, len(followed)):
        followed[index] = (1 - share) * followed[index - 1] + share * followed[index]
    return replace(run, velocities=followed)


def _interpolated(at: Array, times: Array, table: Array) -> Array:
    return np.stack([np.interp(at, times, column) for column in table.T], axis=1)


def _joined(parts: list[Dataset]) -> Dataset:
    tables = (np.concatenate([getattr(part, name) for part in parts]) for name in ("states", "derivatives", "inputs"))
    return Dataset(parts[0].times, *tables)
