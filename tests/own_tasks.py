"""Tasks that a user wrote, for what was learned of the crane: some good, some not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from learned import CRANE

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Domain
from hnn_envs.systems import SystemSpec
from hnn_envs.tasks.regulate import Regulate
from hnn_envs.tasks.shared import bounds, limits, observe, within


@dataclass(frozen=True)
class Upright:
    """One per step with the load above the cart; the description of the system comes first, the domain by its name."""

    system: SystemSpec
    dt: float = 0.05
    domain: Domain | None = None
    limit: float = 2.0

    name = "upright"
    max_episode_steps = 30
    max_input = 10.0
    observation_low = bounds(-3, -1, -1, -10, -25)
    observation_high = bounds(3, 1, 1, 10, 25)

    @cached_property
    def low(self) -> Array:
        return limits(-self.limit, -math.inf, -10, -25)

    @cached_property
    def high(self) -> Array:
        return limits(self.limit, math.inf, 10, 25)

    def initial_state(self, rng: np.random.Generator) -> Array:
        return rng.uniform(-0.1, 0.1, 4)

    def observation(self, x: Array) -> Array:
        place, angle, velocity, turning = (x[..., index] for index in range(4))
        seen = (place, np.cos(angle), np.sin(angle), velocity, turning)
        return observe(seen, self.observation_low, self.observation_high)

    def reward(self, x: Array, u: Array, x_next: Array) -> Array:
        return np.where(self.inside(x_next) & (np.cos(x_next[..., 1]) < 0), 1.0, 0.0)

    def inside(self, x: Array) -> Array:
        return within(x, self.low, self.high)

    def terminated(self, x: Array) -> Array:
        return np.abs(x[..., 0]) > 1.5

    def draw(self, canvas: Any, view: Any) -> None:
        canvas.caption(view, self.name)


HELD = Regulate(CRANE, low=(-1, -4, -5, -9), high=(1, 4, 5, 9), dt=0.02)
ELSEWHERE = Regulate("pendulum", low=(-4, -3), high=(4, 3))
NOTHING = object()


def swing(spec: SystemSpec, domain: Domain, height: float = 1.0) -> Regulate:
    """A function that makes a task."""
    return Regulate(spec, domain, target=(0, height, 0, 0))


def broken(spec: SystemSpec) -> object:
    """What it makes is no task."""
    return spec
