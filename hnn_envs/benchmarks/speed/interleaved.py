"""Timing on a machine that does other things as well: cases take turns, and what counts is the ratio within a turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.evaluation.records import Row

Name = TypeVar("Name", bound=Hashable)
Case = Callable[[], float]
"""Does something once, and returns what it cost."""


@dataclass(frozen=True)
class Effort:
    """How much time to spend.

    Attributes:
        turns: of all cases.
        seconds: per case and turn.
        largest: the largest batch.
        agents: numbers of environments for PPO.
    """

    turns: int = 9
    seconds: float = 0.2
    largest: int = 65536
    agents: tuple[int, ...] = (64, 1024)


@dataclass(frozen=True)
class Timing:
    """What a case cost in every turn."""

    costs: Array

    @property
    def median(self) -> float:
        """The middle cost."""
        return float(np.median(self.costs))

    @property
    def stderr(self) -> float:
        """The standard error of the median, from the median absolute deviation, as for a normal distribution."""
        spread = 1.4826 * float(np.median(np.abs(self.costs - self.median)))
        return 1.2533 * spread / float(np.sqrt(len(self.costs)))

    def over(self, other: Timing) -> Timing:
        """How many times as much as another case, turn by turn."""
        return Timing(self.costs / other.costs)

    def times(self, factor: float) -> Timing:
        """In another unit."""
        return Timing(self.costs * factor)

    def rate(self) -> Timing:
        """The inverse: how many for a unit of cost."""
        return Timing(1 / self.costs)


def interleave(cases: Mapping[Name, Case], turns: int) -> dict[Name, Timing]:
    """Runs all cases in turn, after a first turn that does not count."""
    costs = [[case() for case in cases.values()] for _ in range(turns + 1)][1:]
    return {name: Timing(np.array(column)) for name, column in zip(cases, zip(*costs, strict=True), strict=True)}


def repeat(action: Callable[[], object], seconds: float, units: int = 1) -> Case:
    """A case that repeats an action for about so many seconds; its cost is seconds per unit of work."""

    def case() -> float:
        count, start = 0, time.perf_counter()
        while True:
            action()
            count += 1
            spent = time.perf_counter() - start
            if spent >= seconds:
                return spent / (count * units)

    return case


def row(
    system: str, dynamics: str, metric: str, timing: Timing | float, unit: str = "", reference: float | None = None
) -> Row:
    """A row of this suite: the median of a timing with its standard error, or a number."""
    value, stderr = (timing, None) if isinstance(timing, float) else (timing.median, timing.stderr)
    return Row("speed", system, dynamics, metric, value, stderr, unit, reference)
