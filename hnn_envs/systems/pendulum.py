"""The ideal pendulum, task 2 of Greydanus, Dzamba and Yosinski 2019 (arXiv 1906.01563)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import cos, sin
from hnn_envs.arrays import Array
from hnn_envs.components import Components
from hnn_envs.hamiltonian import PortHamiltonian, PotentialFormulas, Separable
from hnn_envs.systems.sampling import on_circles
from hnn_envs.systems.spec import Coordinate, Input, SystemSpec, one_coordinate


def potential(system: Pendulum, q: Components) -> Array:
    """V(q) = m g l (1 - cos q)."""
    (angle,) = q
    return system.gravity * (1 - cos(angle))


def potential_gradient(system: Pendulum, q: Components) -> Components:
    """dV/dq = m g l sin q."""
    (angle,) = q
    return (system.gravity * sin(angle),)


@dataclass(frozen=True)
class Pendulum(Separable):
    """Ideal pendulum, H(q, p) = 3 (1 - cos q) + p^2 (the seed paper's eq. 8 with 2 m g l = 6 and m l^2 = 1/2).

    State x = [q, p], shape (..., 2): the angle in rad, 0 hanging and not wrapped, and its momentum. Input u,
    shape (..., 1): a torque. H = 6 is the separatrix, at rest upright.
    """

    gravity: float = 3.0  # m g l
    inverse_mass: float = 2.0  # 1 / (m l^2)

    damping = None
    formulas = PotentialFormulas(potential, potential_gradient)

    @cached_property
    def spec(self) -> SystemSpec:
        """One angle and a torque; the time scale is the period of small oscillations, 2 pi / sqrt(6) = 2.565."""
        return one_coordinate(
            Coordinate("angle q", "rad", angle=True, momentum="momentum p"),
            Input("torque"),
            "pendulum",
            time_scale=2 * math.pi / math.sqrt(self.gravity * self.inverse_mass),
            longest_step=0.0055,
            picture="pendulum",
        )

    @cached_property
    def field(self) -> PortHamiltonian:
        """The true vector field, q' = 2 p, p' = -3 sin q + u."""
        return PortHamiltonian(self, self.spec.force_matrix)

    def invariants(self, x: Array) -> dict[str, Array]:
        """The energy, which the free system conserves."""
        return {"energy": self.value(x)}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states of the seed's data set, shape (count, 2): a random direction, radius U(1.3, 2.3)."""
        return on_circles(rng, count, 1.3, 2.3)


PENDULUM = Pendulum()
