"""Two bodies on near-circular orbits, task 4 of Greydanus, Dzamba and Yosinski 2019 (arXiv 1906.01563)."""

from __future__ import annotations

import math

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.systems.n_body import NBody, bodies_spec, rotate


def near_circular_pairs(rng: np.random.Generator, count: int, speed_noise: float = 0.05) -> Array:
    """States (count, 8): positions U(0.5, 1.5) per axis and mirrored, circular speed times 1 + N(0, speed_noise).

    A body at distance r from the centre of mass is on a circle at speed 1 / (2 sqrt(r)).
    """
    position = rng.uniform(0.5, 1.5, (count, 2))
    radius = np.linalg.norm(position, axis=-1, keepdims=True)
    momentum = rotate(position / radius, math.pi / 2) / (2 * np.sqrt(radius))
    momentum = momentum * (1 + speed_noise * rng.standard_normal((count, 1)))
    return np.concatenate((position, -position, momentum, -momentum), axis=-1)


TWO_BODY = NBody(
    # The time scale is the period of the circular orbit whose bodies are 2 apart.
    bodies_spec("two-body", 2, time_scale=4 * math.pi, longest_step=0.0042),
    sampler=near_circular_pairs,
)
