"""The data that tests of fitting share: small data sets of every source."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from hnn_envs.recordings.dataset import Dataset, merge
from hnn_envs.recordings.sources import BoxSource, DrivenSource, PaperSource, ScatteredSource
from hnn_envs.systems import SYSTEMS, System

PENDULUM, TWO_BODY, THREE_BODY = (SYSTEMS[name] for name in ("pendulum", "two-body", "three-body"))
N_BODY = [TWO_BODY, THREE_BODY]

# The table of the seed paper's protocol in short form; the n-body sets are smaller here, which changes nothing else.
PAPER = {
    "mass-spring": PaperSource(50, 3.0, 30, 0.1, 0.5, test_first=False),
    "pendulum": PaperSource(50, 3.0, 45, 0.1, 0.5, test_first=False),
    "two-body": PaperSource(10, 20.0, 50, 0.0, 0.2, test_first=True),
    "three-body": PaperSource(10, 5.0, 20, 0.0, 0.2, test_first=True),
}

BOX = BoxSource(300, (-3.0, -2.0), (1.0, 4.0), max_input=0.7)
PAIR_BOX = BoxSource(300, (-1.0,) * 8, (1.0,) * 8, max_input=0.2, closest=0.8)
SCATTERED = ScatteredSource(300, closest=0.4, widest=3.0, max_momentum=1.5, max_input=0.2)
DRIVEN = DrivenSource(20, 3.0, 7, max_input=0.1, closest=0.9, widest=1.8)
SOURCES: dict[str, tuple[str, Any]] = {
    "pendulum in a box": ("pendulum", BOX),
    "pairs in a box": ("two-body", PAIR_BOX),
    "scattered pairs": ("two-body", SCATTERED),
    "scattered triples": ("three-body", SCATTERED),
    "driven pendulum": ("pendulum", DrivenSource(20, 10.0, 11, max_input=1.0)),
    "driven pairs": ("two-body", DRIVEN),
    "driven triples": ("three-body", DRIVEN),
}


@cache
def drawn(source: Any, system: System, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Training and test share of a source."""
    train, test = source.make(system, np.random.default_rng(seed))
    return train, test


def all_points(source: Any, system: System, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, derivatives and inputs of both shares."""
    return merge(list(drawn(source, system, seed))).flat()


def prepared(loss: Any, data: Dataset) -> tuple[torch.Tensor, ...]:
    rows: tuple[torch.Tensor, ...] = loss.prepare(data, torch.float64)
    return rows
