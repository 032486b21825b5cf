"""From the rows of a file to runs: what was sampled when, gaps, wrapped angles, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError
from hnn_envs.recordings.recording import Run
from hnn_envs.recordings.tables import Table

GAP = 5.0
"""A run is split where an interval is more than so many times the median."""
TURN = 2 * np.pi
DEGREES = 180.0
"""Angles in radians that are wrapped jump by 2 pi; nothing that is sampled well enough jumps by more than that."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are what.

    Attributes:
        time: the time, in the files of states and of inputs.
        positions: q.
        velocities: q'; None where they were not recorded.
        inputs: u.
        angles: which of the positions are angles.
        run: what tells runs apart; None for one run.
    """

    time: str
    positions: tuple[str, ...]
    velocities: tuple[str, ...] | None
    inputs: tuple[str, ...]
    angles: tuple[bool, ...]
    run: str | None = None

    @property
    def states(self) -> tuple[str, ...]:
        """What is sampled together: positions, and velocities where they are there."""
        return self.positions + (self.velocities or ())

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of text."""
        return () if self.run is None else (self.run,)

    @property
    def fewest(self) -> int:
        """Rows that a stretch needs to tell something: with positions alone, two tell a velocity, three a force."""
        return 3 if self.velocities is None else 2


@dataclass(frozen=True)
class Samples:
    """What was sampled together: of one run, the rows that hold it.

    Attributes:
        table: where it is from.
        indices: which rows of it.
        times: shape (n,), increasing.
        values: shape (n, columns).
    """

    table: Table
    indices: Array
    times: Array
    values: Array

    def take(self, which: slice) -> Samples:
        """Some of the rows."""
        return Samples(self.table, self.indices[which], self.times[which], self.values[which])


def make_runs(name: str, states: Table, inputs: Table, columns: Columns, gap: float = GAP) -> tuple[Run, ...]:
    """Makes runs of the rows of a file, or of one of states and one of inputs.

    Args:
        name: of the file, for the names of the runs.
        states: where times and states are.
        inputs: where times and inputs are; may be the same.
        columns: which column is what.
        gap: a run is split where an interval between states is more than so many times the median.

    Raises:
        DataError: something is wrong with the rows, with column and row.
    """
    watched = _by_run(states, columns.states, columns)
    driven = _by_run(inputs, columns.inputs, columns) if columns.inputs else {}
    if columns.inputs and not driven:
        raise DataError(f"{inputs.file}: no row has inputs, in column {' or '.join(map(repr, columns.inputs))}")
    runs: list[Run] = []
    for label, samples in watched.items():
        title = name if columns.run is None else f"{name}, run {label}"
        known = driven.get(label)
        if columns.inputs and known is None:
            raise DataError(f"{inputs.file}: run {label} has no inputs")
        parts = list(_stretches(samples, known, columns, gap))
        for index, (part, begin) in enumerate(parts):
            of_part = title if len(parts) == 1 else f"{title}, part {index + 1}"
            runs.append(_run(of_part, part, known, begin, columns))
    if not runs:
        most = max((len(samples.times) for samples in watched.values()), default=0)
        raise DataError(
            f"{states.file}: too few rows: no stretch without a gap has {columns.fewest} rows with states and known "
            f"inputs; the longest run has {most} rows in all"
        )
    return tuple(runs)


def _by_run(table: Table, names: Sequence[str], columns: Columns) -> dict[str, Samples]:
    """The rows that hold all of some columns, by run, in the order of their first rows."""
    times = table.numbers[columns.time]
    values = np.stack([table.numbers[name] for name in names], axis=-1)
    empty = np.isnan(values)
    partly = np.flatnonzero(empty.any(-1) & ~empty.all(-1))
    if partly.size:
        index = int(partly[0])
        column, other = names[int(empty[index].argmax())], names[int((~empty[index]).argmax())]
        raise table.fault(column, index, f"it is empty (or NaN), and column {other!r} is not")
    there = ~empty.all(-1)
    untimed = np.flatnonzero(there & np.isnan(times))
    if untimed.size:
        raise table.fault(columns.time, int(untimed[0]), "the time is missing")
    return {label: _samples(table, indices, values, columns) for label, indices in _runs_of(table, there, columns)}


def _runs_of(table: Table, there: Array, columns: Columns) -> Iterator[tuple[str, Array]]:
    indices = np.flatnonzero(there)
    if columns.run is None:
        if indices.size:
            yield "", indices
        return
    labels = np.array(table.labels[columns.run], dtype=str)[indices]
    for label in dict.fromkeys(labels.tolist()):
        yield label, indices[labels == label]


def _samples(table: Table, indices: Array, values: Array, columns: Columns) -> Samples:
    times = table.numbers[columns.time][indices]
    wrong = np.flatnonzero(np.diff(times) <= 0)
    if wrong.size:
        here, before = int(indices[wrong[0] + 1]), int(indices[wrong[0]])
        now, then = table.numbers[columns.time][[here, before]]
        what = "is there twice, also" if now == then else f"does not come after {then:.15g},"
        advice = (
            "" if columns.run is not None or now == then else "; if runs follow each other, name with run= the column"
        )
        raise table.fault(columns.time, here, f"time {now:.15g} {what} in row {table.rows[before]}{advice}")
    return Samples(table, indices, times, values[indices])


def _stretches(samples: Samples, inputs: Samples | None, columns: Columns, gap: float) -> Iterator[tuple[Samples, int]]:
    """The stretches without gaps whose inputs are known, with the first of these inputs."""
    if inputs is not None:
        samples = samples.take(slice(int(np.searchsorted(samples.times, inputs.times[0])), None))
    intervals = np.diff(samples.times)
    typical = np.median(intervals) if intervals.size else 0.0
    cuts = [0, *(np.flatnonzero(intervals > gap * typical) + 1), len(samples.times)]
    for low, high in pairwise(cuts):
        if high - low >= columns.fewest:
            part = samples.take(slice(low, high))
            begin = 0 if inputs is None else int(np.searchsorted(inputs.times, part.times[0], side="right")) - 1
            yield part, begin


def _run(name: str, part: Samples, inputs: Samples | None, begin: int, columns: Columns) -> Run:
    dof = len(columns.positions)
    q, v = part.values[:, :dof].copy(), None if columns.velocities is None else part.values[:, dof:].copy()
    for index in np.flatnonzero(columns.angles):
        _check_radians(part, int(index), columns)
        q[:, index] = unwrapped(part.times, q[:, index], None if v is None else v[:, index])
    if inputs is None:
        return Run(name, part.times, q, v, part.times[:1], np.zeros((1, 0)))
    held = inputs.take(slice(begin, int(np.searchsorted(inputs.times, part.times[-1], side="right"))))
    return Run(name, part.times, q, v, held.times, held.values)


def _check_radians(part: Samples, index: int, columns: Columns) -> None:
    jumps = np.abs(np.diff(part.values[:, index]))
    if jumps.size and jumps.max() > DEGREES:
        place = int(jumps.argmax()) + 1
        raise part.table.fault(
            columns.positions[index],
            int(part.indices[place]),
            f"the angle jumps by {jumps.max():.4g}, so it seems to be in degrees; angles are in radians",
        )


def unwrapped(times: Array, angles: Array, speeds: Array | None) -> Array:
    """Angles that go on beyond pi: each is the nearest to where the one before it leads, at the recorded speed.

    Args:
        times: shape (n,).
        angles: of any number of turns, shape (n,).
        speeds: their velocities; without them, no step is taken for more than half a turn.
    """
    steps = np.diff(angles)
    expected = 0.0 if speeds is None else np.diff(times) * (speeds[1:] + speeds[:-1]) / 2
    turns = np.cumsum(np.round((expected - steps) / TURN))
    return angles + TURN * np.concatenate(([0.0], turns))
