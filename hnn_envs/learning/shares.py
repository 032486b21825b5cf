"""What a recording is cut into: stretches to learn from, to choose by, and to report on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hnn_envs.errors import DataError
from hnn_envs.recordings.recording import Run
from hnn_envs.recordings.windows import Watched, median_interval

Span = tuple[int, float, float]
"""Number of a run, and the times between which it is meant."""

BLOCKS = 28
"""Into about so many blocks a recording is cut."""
PERIOD = 14
CHOICE, REPORT = (4, 5), (10, 11)
"""Of every fourteen, two neighbours are to choose by and two to report on."""
FEW = 7
"""Of fewer blocks the last is to report on, and the one before to choose by."""
STRETCH = 5
"""Time scales of a stretch that a model is checked on."""
SHORTEST = 8
"""Intervals between samples that a block has at least, where a run has them."""


@dataclass(frozen=True)
class Shares:
    """The stretches of a recording by what they are for.

    Attributes:
        train: models are fitted to these.
        choice: families are chosen by how well they predict these.
        report: nothing is fitted to or chosen by these; what is reported is measured here.
    """

    train: tuple[Span, ...]
    choice: tuple[Span, ...]
    report: tuple[Span, ...]


def share_out(watched: Watched) -> Shares:
    """Deals a recording's blocks out, in an order that does not depend on what they hold.

    Raises:
        DataError: the recording is too short for three blocks.
    """
    blocks = blocks_of(watched)
    if len(blocks) < 3:
        raise DataError(
            f"recording {watched.recording.name!r} of {watched.recording.seconds:g} {watched.recording.time_unit} is "
            f"too short to learn from: it needs three blocks of {SHORTEST} intervals between samples"
        )
    choice = {number for number in range(len(blocks)) if number % PERIOD in CHOICE}
    report = {number for number in range(len(blocks)) if number % PERIOD in REPORT}
    if len(blocks) < PERIOD:
        held = 1 if len(blocks) < FEW else 2
        report = set(range(len(blocks) - held, len(blocks)))
        choice = set(range(len(blocks) - 2 * held, len(blocks) - held))
    train = set(range(len(blocks))) - choice - report
    return Shares(*(tuple(joined([blocks[number] for number in sorted(part)])) for part in (train, choice, report)))


def joined(blocks: list[Span]) -> list[Span]:
    """The same, where those that touch each other are one."""
    found: list[Span] = []
    for number, first, last in blocks:
        if found and found[-1][0] == number and found[-1][2] == first:
            found[-1] = (number, found[-1][1], last)
        else:
            found.append((number, first, last))
    return found


def blocks_of(watched: Watched) -> list[Span]:
    """The blocks that a recording is cut into, in their order."""
    runs, seconds = watched.recording.runs, watched.recording.seconds
    shortest = SHORTEST * median_interval(runs)
    length = max(seconds / BLOCKS, watched.time_scale / 2, shortest)
    while length > seconds / PERIOD and length > shortest:
        length = max(length / 2, shortest)
    return [block for number, run in enumerate(runs) for block in _cut(number, run, length)]


def stretches_of(watched: Watched) -> list[Span]:
    """All of a recording in stretches over which predictions are judged, of several time scales each."""
    length = STRETCH * watched.time_scale
    return [block for number, run in enumerate(watched.recording.runs) for block in _cut(number, run, length)]


def _cut(number: int, run: Run, length: float) -> list[Span]:
    """Blocks of about a length, which begin and end at samples."""
    span = float(run.times[-1] - run.times[0])
    count = max(1, min(math.floor(span / length + 0.5), (len(run.times) - 1) // 2))
    near = np.searchsorted(run.times, run.times[0] + span * np.arange(count + 1) / count - 1e-9 * span)
    edges = run.times[np.unique(np.clip(near, 0, len(run.times) - 1))]
    return [(number, float(first), float(last)) for first, last in pairwise(edges)]
