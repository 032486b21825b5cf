"""Small models of pairs of frames, and frames of noise to show them."""

from __future__ import annotations

from typing import Any

import numpy as np
from physics import parameters

from hnn_envs.models import make_family
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.systems import get_system

SMALL: dict[str, Any] = {"hidden": [7, 5], "width": 6, "size": 9}
SYSTEM = get_system("pixel-pendulum")


def drawn(family: str, seed: int = 0) -> dict[str, Any]:
    return parameters(family, SMALL, SYSTEM, seed)


def built(family: str, values: Any = None) -> Any:
    return make_family(family, SMALL).build(SYSTEM.spec, drawn(family) if values is None else values)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(256, size=(*shape, 9, 9), dtype=np.uint8)


def filmed(films: int = 3, length: int = 6) -> Dataset:
    """Frames of noise."""
    states = np.random.default_rng(2).standard_normal((films, length, 2))
    return Dataset(0.05 * np.arange(length), states, states, states[..., :1], frames=noise(films, length))
