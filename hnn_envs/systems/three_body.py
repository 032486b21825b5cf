"""Three bodies near the rotating triangle, task 5 of Greydanus, Dzamba and Yosinski 2019 (arXiv 1906.01563)."""

from __future__ import annotations

import math

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.systems.n_body import NBody, bodies_spec, rotate


def near_circular_triangles(rng: np.random.Generator, count: int, speed_noise: float = 0.2) -> Array:
    """States (count, 12): an equilateral triangle of radius U(0.9, 1.2), circular speeds, each component perturbed.

    The bodies of a triangle of circumradius r circle at speed 1 / (3^(1/4) sqrt(r)); every velocity component is then
    multiplied by 1 + U(-speed_noise, speed_noise), so the total momentum is small but not zero, as in the seed's data.
    """
    direction = rng.uniform(-1, 1, (count, 2))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    radius = rng.uniform(0.9, 1.2, (count, 1))
    speed = 1 / (3**0.25 * np.sqrt(radius))
    corners = [rotate(direction, 2 * math.pi * k / 3) for k in range(3)]
    positions = [radius * corner for corner in corners]
    momenta = [
        speed * rotate(corner, math.pi / 2) * (1 + rng.uniform(-speed_noise, speed_noise, (count, 2)))
        for corner in corners
    ]
    return np.concatenate((*positions, *momenta), axis=-1)


THREE_BODY = NBody(
    # Lyapunov time: exponent 0.521 +- 0.005 by Benettin's method (two nearby trajectories, renormalised) on 3000 of
    # the states above, from t = 1 until two bodies are closer than 0.2 or t = 10; test_systems measures it again.
    bodies_spec("three-body", 3, time_scale=1.9, longest_step=0.001, chaotic=True),
    sampler=near_circular_triangles,
)
