"""The mass on a spring, task 1 of Greydanus, Dzamba and Yosinski 2019 (arXiv 1906.01563)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.components import Components
from hnn_envs.hamiltonian import PortHamiltonian, PotentialFormulas, Separable
from hnn_envs.systems.sampling import on_circles
from hnn_envs.systems.spec import Coordinate, Input, SystemSpec, one_coordinate


def potential(system: MassSpring, q: Components) -> Array:
    """V(q) = k q^2 / 2."""
    (displacement,) = q
    return 0.5 * system.stiffness * (displacement * displacement)


def potential_gradient(system: MassSpring, q: Components) -> Components:
    """dV/dq = k q."""
    (displacement,) = q
    return (system.stiffness * displacement,)


@dataclass(frozen=True)
class MassSpring(Separable):
    """Frictionless mass on a spring, H(q, p) = q^2 + p^2 (the seed paper's eq. 7 with unit constants).

    State x = [q, p], shape (..., 2): displacement and momentum. Input u, shape (..., 1): a force on the mass. All
    dimensionless; the period is pi at every amplitude.
    """

    stiffness: float = 2.0  # k in V = k q^2 / 2
    inverse_mass: float = 2.0  # 1/m in T = p^2 / 2m

    damping = None
    formulas = PotentialFormulas(potential, potential_gradient)

    @cached_property
    def spec(self) -> SystemSpec:
        """One displacement and a force on it; the time scale is the period, 2 pi sqrt(m / k) = pi."""
        return one_coordinate(
            Coordinate("displacement q", momentum="momentum p"),
            Input("force"),
            "mass-spring",
            time_scale=2 * math.pi / math.sqrt(self.stiffness * self.inverse_mass),
            longest_step=0.0125,  # one PEFRL step this long is within 1e-9 of the exact flow over the task's states
            picture="spring",
        )

    @cached_property
    def field(self) -> PortHamiltonian:
        """The true vector field, q' = 2 p, p' = -2 q + u."""
        return PortHamiltonian(self, self.spec.force_matrix)

    def invariants(self, x: Array) -> dict[str, Array]:
        """The energy, which the free system conserves."""
        return {"energy": self.value(x)}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states of the seed's data set, shape (count, 2): a random direction, radius U(0.1, 1)."""
        return on_circles(rng, count, 0.1, 1.0)


MASS_SPRING = MassSpring()
