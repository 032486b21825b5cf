"""What comes of mutants: each is read as it was, or refused with our error that names the file, in little time.

The bounds of a file are ``MOST_SECONDS`` and, over all files of a kind, ``MOST_MEGABYTES``.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from kinds import Kind

from hnn_envs.errors import HnnEnvsError

MOST_SECONDS = 1.0
MOST_MEGABYTES = 200
WARM_UP = 5
"""Mutants that are read before the clock and the memory are looked at: what is imported and compiled at the first use
is no part of a file."""


@dataclass
class Tally:
    """What came of the mutants of one kind.

    Attributes:
        tried, read: how many there were, and how many of them were read.
        foreign: exceptions that are not ours.
        differing: mutants of sealed files that were read as something else.
        unnamed: messages that do not name the file.
        slowest: seconds of the slowest one.
        grown: by how many megabytes the most memory that the process has had has grown.
    """

    tried: int = 0
    read: int = 0
    foreign: list[str] = field(default_factory=list)
    differing: list[int] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    grown: float = 0.0

    def faults(self) -> list[str]:
        """What should not be."""
        found = [*self.foreign, *(f"{number}: read as something else" for number in self.differing), *self.unnamed]
        if self.slowest >= MOST_SECONDS:
            found.append(f"a file took {self.slowest:.2f} s")
        if self.grown >= MOST_MEGABYTES:
            found.append(f"memory grew by {self.grown:.0f} MB")
        return found

    def __str__(self) -> str:
        return (
            f"{self.tried} tried, {self.read} read, {len(self.foreign)} exceptions that are not ours, "
            f"{len(self.differing)} silent differences, {len(self.unnamed)} messages without the file, "
            f"{self.grown:.0f} MB more, {self.slowest:.3f} s at most"
        )


def tally(kind: Kind, folder: Path, count: int) -> Tally:
    """Reads ``count`` mutants, always the same, and some before that do not count."""
    content = kind.original(folder)
    path = kind.place(folder) if kind.place else folder / f"mutant{kind.suffix}"
    path.write_bytes(content)
    good = _good(kind, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)  # that a model extrapolates is said of every other mutant
        for number in range(WARM_UP):
            _try(kind, path, kind.mutate(np.random.default_rng((1, number)), content), good, number, Tally())
        found, before = Tally(), megabytes()
        for number in range(count):
            _try(kind, path, kind.mutate(np.random.default_rng((0, number)), content), good, number, found)
    found.grown = megabytes() - before
    return found


def _good(kind: Kind, path: Path) -> object:
    """What the original is read as; None where that is refused as well."""
    try:
        return kind.read(path)
    except HnnEnvsError:
        return None


def _try(kind: Kind, path: Path, content: bytes, good: object, number: int, found: Tally) -> None:
    """Reads one mutant."""
    path.write_bytes(content)
    found.tried += 1
    began = time.perf_counter()
    try:
        value = kind.read(path)
        found.read += 1
        if kind.sealed and value is not None and value != good:
            found.differing.append(number)
    except HnnEnvsError as error:
        if str(path) not in str(error):
            found.unnamed.append(f"{number}: {error}")
    except BaseException as error:  # what a reader panics with is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        found.foreign.append(f"{number}: {type(error).__name__}: {str(error)[:200]}")
    found.slowest = max(found.slowest, time.perf_counter() - began)


def megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
