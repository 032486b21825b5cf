"""The pixel pendulum, task 5 of Greydanus, Dzamba and Yosinski 2019: Gymnasium's Pendulum-v1, seen in frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import cos, sin
from hnn_envs.arrays import Array
from hnn_envs.components import Components
from hnn_envs.hamiltonian import PortHamiltonian, PotentialFormulas, Separable
from hnn_envs.systems.spec import Coordinate, Input, Stepping, SystemSpec, one_coordinate


def potential(system: PixelPendulum, q: Components) -> Array:
    """V(q) = (m g l / 2) (1 - cos q)."""
    (angle,) = q
    return system.gravity * (1 - cos(angle))


def potential_gradient(system: PixelPendulum, q: Components) -> Components:
    """dV/dq = (m g l / 2) sin q."""
    (angle,) = q
    return (system.gravity * sin(angle),)


@dataclass(frozen=True)
class PixelPendulum(Separable):
    """Gymnasium's Pendulum-v1, a rod: H(q, p) = 5 (1 - cos q) + 1.5 p^2, with m g l / 2 = 5 and m l^2 / 3 = 1/3.

    State x = [q, p], shape (..., 2): the angle in rad, 0 hanging and not wrapped (Pendulum-v1 counts it from upright),
    and the angular momentum, so that the angular velocity is 3 p rad/s. Input u, shape (..., 1): the torque, in
    Pendulum-v1 at most 2. Time is in seconds. H = 10 is the separatrix, at rest upright.

    This is the continuous motion. Pendulum-v1 itself takes steps of the symplectic Euler method
    (integrator "symplectic_euler") of 0.05 s, and so does the task.
    """

    gravity: float = 5.0  # m g l / 2
    inverse_mass: float = 3.0  # 3 / (m l^2)

    damping = None
    formulas = PotentialFormulas(potential, potential_gradient)

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
            stepping=Stepping("symplectic_euler", 0.05),  # Pendulum-v1's
            time_unit="s",
            energy_unit="J",
        )

    @cached_property
    def field(self) -> PortHamiltonian:
        """The true vector field, q' = 3 p, p' = -5 sin q + u."""
        return PortHamiltonian(self, self.spec.force_matrix)

    def invariants(self, x: Array) -> dict[str, Array]:
        """The energy, which the free system conserves."""
        return {"energy": self.value(x)}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states of the seed's data set, shape (count, 2): within 30 degrees of hanging, at up to 1 rad/s."""
        return rng.uniform(-1, 1, (count, 2)) * (math.pi / 6, 1 / self.inverse_mass)


PIXEL_PENDULUM = PixelPendulum()
