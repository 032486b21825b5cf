"""Windows of a recording on an even grid of time: what a model is asked to foretell from a start of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, join, split
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.recordings.smoothing import Path, path_of

FINEST = 100
"""Steps of the grid per time scale, where samples are denser than that: cubic paths between them are exact to 1e-7."""
STRAIGHT = 25
"""Intervals per time scale in which a motion is nearly straight."""
HALF = 0.5
EVEN = 1e-6
"""Intervals that differ by this share of themselves are even."""


@dataclass(frozen=True)
class Windows:
    """Stretches of ``steps`` grid steps; shorter ones are padded, and their padding has no samples.

    Attributes:
        dt: step of the grid.
        starts: estimated states at the start, shape (n, 2*dof).
        inputs: mean inputs over every step, shape (n, steps, inputs).
        times: of the samples since the window's start, shape (n, samples).
        values: q, and q' where it was recorded, shape (n, samples, observed).
        present: which samples there are, bool, shape (n, samples).
    """

    dt: float
    starts: Array
    inputs: Array
    times: Array
    values: Array
    present: Array

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.starts)

    @property
    def steps(self) -> int:
        """Grid steps of each."""
        return int(self.inputs.shape[1])

    @property
    def observed(self) -> int:
        """Numbers in a sample: dof or 2*dof."""
        return int(self.values.shape[2])

    def take(self, rows: Array) -> Windows:
        """Some of them."""
        parts = (self.starts, self.inputs, self.times, self.values, self.present)
        return Windows(self.dt, *(part[rows] for part in parts))

    def shown(self, path: Array) -> Array:
        """What of a path on the grid (..., n, steps + 1, 2*dof) is sampled, shape (..., n, samples, observed).

        Between two grid points it is the cubic that meets both states: linear in the path.
        """
        index, s = self._places
        rows = np.arange(len(self))[:, None]
        (q0, v0), (q1, v1) = split(path[..., rows, index, :]), split(path[..., rows, index + 1, :])
        h = self.dt
        rise = q1 - q0
        q = q0 + s * (h * v0 + s * (3 * rise - h * (2 * v0 + v1) + s * (h * (v0 + v1) - 2 * rise)))
        if self.observed == q.shape[-1]:
            return q
        v = v0 + s * (2 * (3 * rise / h - 2 * v0 - v1) + 3 * s * (v0 + v1 - 2 * rise / h))
        return join(q, v)

    @cached_property
    def _places(self) -> tuple[Array, Array]:
        """The step that each sample is in, and how far in it, in [0, 1]."""
        place = self.times / self.dt
        index = np.clip(np.floor(place + EVEN), 0, self.steps - 1).astype(np.int64)
        share = place - index
        near = np.round(share)
        share = np.where(np.abs(share - near) < EVEN, near, share)
        return index, share[..., None]


@dataclass(frozen=True)
class Watched:
    """A recording with what was estimated of it.

    Attributes:
        recording: the runs.
        paths: smoothed paths through them.
        time_scale: about a period of the motion.
        pace: the same of motion and inputs together, whichever is faster.
        dt: step of the grid.
        even: whether all samples are on the grid.
    """

    recording: Recording
    paths: tuple[Path, ...]
    time_scale: float
    pace: float
    dt: float
    even: bool


def watch(recording: Recording) -> Watched:
    """Chooses the grid of a recording that models are stepped on, and draws paths through its runs.

    Evenly sampled, the grid is that of the samples, or every so many of them where they are dense; else it has their
    median interval, or a hundredth of the time scale.
    """
    runs, median = recording.runs, median_interval(recording.runs)
    speeds = [_even_velocities(run, median) for run in runs]
    scale = min(time_scale(runs, speeds), _turn(recording, speeds))
    pace = scale
    if recording.inputs:
        pace = min(scale, time_scale(runs, [mean_inputs(run, _even_times(run, median)) for run in runs]))
    paths = tuple(path_of(run, pace / STRAIGHT) for run in runs)
    intervals = np.concatenate([np.diff(run.times) for run in runs])
    finest = scale / FINEST
    even = bool(np.abs(intervals - median).max() < EVEN * median) and _inputs_are_on_grid(runs, median)
    if not even:
        return Watched(recording, paths, scale, pace, finest, False)
    every = max(1, math.floor(finest / median + EVEN))
    return Watched(recording, paths, scale, pace, every * median, every == 1)


def time_scale(runs: Sequence[Run], tables: Sequence[Array]) -> float:
    """About the period of the fastest of several signals: 2 pi times its size over that of its rate of change.

    Rates are taken over all lags in which a signal changes by half its size, and the median counts: over short lags
    they are of the noise.

    Args:
        runs: where the signals are from.
        tables: the signals of each run, at even times an interval of ``median_interval`` apart, shape (n, signals).
    """
    longest = max(float(run.times[-1] - run.times[0]) for run in runs)
    interval, size = median_interval(runs), np.sqrt(np.concatenate(tables).var(axis=0))
    moving = size > 0
    found: list[list[float]] = [[] for _ in size]
    for lag in range(1, max(len(table) for table in tables)):
        changes = np.concatenate([table[lag:] - table[:-lag] for table in tables if len(table) > lag])
        ratio = np.sqrt(np.square(changes).mean(axis=0)) / np.where(moving, size, 1.0)
        for place in np.flatnonzero(moving & (ratio > 0)):
            if not found[place] or ratio[place] < HALF:
                found[place].append(2 * math.pi * lag * interval / ratio[place])
        if (ratio >= HALF)[moving].all():
            break
    return min([longest, *(float(np.median(each)) for each in found if each)])


def median_interval(runs: Sequence[Run]) -> float:
    """Between the samples of some runs."""
    return float(np.median(np.concatenate([np.diff(run.times) for run in runs])))


def _turn(recording: Recording, speeds: Sequence[Array]) -> float:
    """How long the fastest angle takes to go round; infinite where nothing turns."""
    angles = [index for index, coordinate in enumerate(recording.coordinates) if coordinate.angle]
    fastest = float(np.sqrt(np.square(np.concatenate(speeds)[:, angles]).mean(axis=0)).max(initial=0.0))
    return 2 * math.pi / fastest if fastest > 0 else math.inf


def _even_times(run: Run, interval: float) -> Array:
    return np.arange(run.times[0], run.times[-1] + 0.5 * interval, interval).clip(None, run.times[-1])


def _even_velocities(run: Run, interval: float) -> Array:
    """Velocities at even times, shape (n, dof)."""
    times = _even_times(run, interval)
    if run.velocities is None:
        return path_of(run, interval).velocities(times)
    return np.stack([np.interp(times, run.times, column) for column in run.velocities.T], axis=1)


def _inputs_are_on_grid(runs: Sequence[Run], interval: float) -> bool:
    """Whether inputs change at times of samples only."""
    for run in runs:
        place = (run.input_times - run.times[0]) / interval
        inside = (place > 0) & (place < len(run.times) - 1)
        if inside.any() and np.abs(place - np.round(place))[inside].max() > EVEN * 1e3:
            return False
    return True


def mean_inputs(run: Run, edges: Array) -> Array:
    """The mean of a run's inputs between edges in time (n + 1,), each held until the next, shape (n, inputs)."""
    count = run.inputs.shape[1]
    if not count or not len(run.inputs):
        return np.zeros((len(edges) - 1, count))
    spans = np.diff(run.input_times)
    area = np.concatenate((np.zeros((1, count)), np.cumsum(run.inputs[:-1] * spans[:, None], axis=0)))
    near = 1e-9 * float(np.diff(edges).min())
    place, until = (
        np.clip(np.searchsorted(run.input_times, edges + shift, "right") - 1, 0, None) for shift in (near, -near)
    )
    at_edges = area[place] + run.inputs[place] * (edges - run.input_times[place])[:, None]
    same = until[1:] == place[:-1]
    means: Array = np.diff(at_edges, axis=0) / np.diff(edges)[:, None]
    return np.where(same[:, None], run.inputs[place[:-1]], means)  # exactly what was held, without rounding


def cut(watched: Watched, steps: int, spans: Sequence[tuple[int, float, float]], dt: float | None = None) -> Windows:
    """Windows of so many steps, one after another, through stretches (run, from, to) of a recording.

    Args:
        watched: the recording.
        steps: grid steps of a window.
        spans: number of a run, and the times between which windows are cut.
        dt: step of the grid, by default the recording's.
    """
    h = watched.dt if dt is None else dt
    pieces = [
        piece
        for number, first, last in spans
        for piece in _pieces(watched.recording.runs[number], watched.paths[number], first, last, h, steps)
    ]
    most = max((len(piece[2]) for piece in pieces), default=0)
    dof, count = watched.recording.dof, len(watched.recording.inputs)
    observed = dof * (1 if watched.recording.runs[0].velocities is None else 2)
    size = len(pieces)
    windows = Windows(
        h,
        np.zeros((size, 2 * dof)),
        np.zeros((size, steps, count)),
        np.zeros((size, most)),
        np.zeros((size, most, observed)),
        np.zeros((size, most), dtype=bool),
    )
    for row, (start, inputs, times, values) in enumerate(pieces):
        windows.starts[row] = start
        windows.inputs[row, : len(inputs)] = inputs
        windows.times[row, : len(times)] = times
        windows.values[row, : len(times)] = values
        windows.present[row, : len(times)] = True
    return windows


def _pieces(
    run: Run, path: Path, first: float, last: float, h: float, steps: int
) -> list[tuple[Array, Array, Array, Array]]:
    """Start, inputs, times and values of every window between two times of a run."""
    values = run.samples
    whole = math.floor((last - first) / h + 1e-6)
    found = []
    for begin in range(0, whole, steps):
        length = min(steps, whole - begin)
        start, end = first + begin * h, first + (begin + length) * h
        near = 1e-6 * h
        inside = slice(*np.searchsorted(run.times, (start - near, end + near)))
        times = np.clip(run.times[inside] - start, 0.0, length * h)
        if len(times) < 2:
            continue
        inputs = mean_inputs(run, start + h * np.arange(length + 1))
        found.append((path.states(np.array(start)), inputs, times, values[inside]))
    return found
