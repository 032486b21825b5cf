"""The pixel pendulum, task 5 of Greydanus, Dzamba and Yosinski 2019: Gymnasium's Pendulum-v1, seen in frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.systems.pendulum import Pendulum
from hnn_envs.systems.spec import Coordinate, Input, Stepping, SystemSpec, one_coordinate

INTERVAL = 0.05
"""Length of Pendulum-v1's steps, and the time from one frame to the next, s."""


@dataclass(frozen=True)
class PixelPendulum(Pendulum):
    """Gymnasium's Pendulum-v1, a rod: H(q, p) = 5 (1 - cos q) + 1.5 p^2, with m g l / 2 = 5 and m l^2 / 3 = 1/3.

    State x = [q, p], shape (..., 2): the angle in rad, 0 hanging and not wrapped (Pendulum-v1 counts it from upright),
    and the angular momentum, so that the angular velocity is 3 p rad/s. Input u, shape (..., 1): the torque, in
    Pendulum-v1 at most 2. Time is in seconds. H = 10 is the separatrix, at rest upright.

    Pendulum-v1 takes steps of the symplectic Euler method of 0.05 s: that discrete map is the truth, and H is that of
    the flow which it approximates.
    """

    gravity: float = 5.0  # m g l / 2
    inverse_mass: float = 3.0  # 3 / (m l^2)

    @cached_property
    def spec(self) -> SystemSpec:
        """One angle and a torque; the time scale is the period of small oscillations, 2 pi / sqrt(15) = 1.622 s."""
        return one_coordinate(
            Coordinate("angle q", "rad", angle=True, momentum="momentum p", momentum_unit="kg m\N{SUPERSCRIPT TWO}/s"),
            Input("torque"),
            "pixel-pendulum",
            time_scale=2 * math.pi / math.sqrt(self.gravity * self.inverse_mass),
            longest_step=0.0055,
            picture="pendulum",
            stepping=Stepping("symplectic_euler", INTERVAL),
            time_unit="s",
            energy_unit="J",
        )

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states of the seed's data set, shape (count, 2): within 30 degrees of hanging, at up to 1 rad/s."""
        return rng.uniform(-1, 1, (count, 2)) * (math.pi / 6, 1 / self.inverse_mass)


PIXEL_PENDULUM = PixelPendulum()


def turn_of(momentum: Array, interval: Array = INTERVAL, inverse_mass: float = PixelPendulum.inverse_mass) -> Array:
    """By how much the angle changed in the step that ended with a momentum, rad.

    The symplectic Euler method moves the angle with the new momentum, so that two frames show a state.
    """
    return (interval * inverse_mass) * momentum


def momentum_of(turn: Array, interval: Array = INTERVAL, inverse_mass: float = PixelPendulum.inverse_mass) -> Array:
    """The momentum after a step in which the angle changed by so much: the inverse of ``turn_of``."""
    return turn / (interval * inverse_mass)
