"""Mutants of every kind of file: read as they were, or refused with our error, in little time and memory.

``make fuzz`` runs 100 000 of each kind and prints the figures; here are some of each.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from kinds import KINDS, Kind

from hnn_envs.errors import HnnEnvsError

COUNT = int(os.environ.get("HNN_ENVS_FUZZ", "60"))
MOST_SECONDS = 1.0
MOST_MEGABYTES = 200


@dataclass
class Tally:
    """What came of the mutants of one kind."""

    tried: int = 0
    read: int = 0
    foreign: list[str] = field(default_factory=list)
    differing: list[int] = field(default_factory=list)
    slowest: float = 0.0
    unnamed: list[str] = field(default_factory=list)


def megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def tally(kind: Kind, folder: Path, count: int, seed: int = 0) -> Tally:
    """Reads ``count`` mutants."""
    content, path, found = kind.original(folder), folder / f"mutant{kind.suffix}", Tally()
    path.write_bytes(content)
    good = kind.read(path) if kind.sealed else None
    for number in range(count):
        path.write_bytes(kind.mutate(np.random.default_rng((seed, number)), content))
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
    return found


@pytest.mark.parametrize("name", list(KINDS))
def test_every_mutant_is_read_as_it_was_or_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally(KINDS[name], tmp_path, 5, seed=1)  # what is imported and compiled at the first use is no part of a file
    before = megabytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = tally(KINDS[name], tmp_path, max(COUNT // KINDS[name].share, 30))
    grown = megabytes() - before
    with capsys.disabled():
        if COUNT > 1000:
            print(  # noqa: T201
                f"\n{name}: {found.tried} tried, {found.read} read, {len(found.foreign)} exceptions that are not ours, "
                f"{len(found.differing)} silent differences, {grown:.0f} MB more, {found.slowest:.2f} s at most"
            )
    assert found.foreign == []
    assert found.differing == []
    assert found.unnamed == []
    assert grown < MOST_MEGABYTES
    assert found.slowest < MOST_SECONDS
