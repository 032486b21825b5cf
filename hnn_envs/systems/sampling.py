"""Initial states that several systems draw in the same way."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import Array


def on_circles(rng: np.random.Generator, count: int, low: float, high: float) -> Array:
    """Points of the plane, shape (count, 2): the direction of a uniform point of the square, radius U(low, high).

    The seed paper's sampler for systems with one degree of freedom; directions are a little denser on the diagonals.
    """
    directions = rng.uniform(-1, 1, (count, 2))
    radii = rng.uniform(low, high, (count, 1))
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True) * radii
