"""The Duffing oscillator: a system with two wells, and its equations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.hamiltonian import PortHamiltonian, PotentialFormulas, Separable
from hnn_envs.systems import Coordinate, Input, SystemSpec


def potential(system, q):
    """V(q) = stiffness (q^4 / 4 - q^2 / 2)."""
    (x,) = q
    return system.stiffness * (0.25 * x * x * x * x - 0.5 * x * x)


def potential_gradient(system, q):
    """dV/dq = stiffness (q^3 - q)."""
    (x,) = q
    return (system.stiffness * (x * x * x - x),)


@dataclass(frozen=True)
class Duffing(Separable):
    """H(q, p) = p^2 / 2 - q^2 / 2 + q^4 / 4: at rest at q = -1 and q = 1, with a hill of height 1/4 between."""

    stiffness: float = 1.0
    inverse_mass: float = 1.0

    damping = None
    formulas = PotentialFormulas(potential, potential_gradient)

    @cached_property
    def spec(self) -> SystemSpec:
        """One coordinate and a force on it; the time scale is the period of small oscillations in a well."""
        return SystemSpec(
            "duffing",
            (Coordinate("displacement q", momentum="momentum p"),),
            (Input("force"),),
            ((1.0,),),
            time_scale=2 * np.pi / np.sqrt(2.0),
            longest_step=0.002,
        )

    @cached_property
    def field(self) -> PortHamiltonian:
        """The true vector field."""
        return PortHamiltonian(self, self.spec.force_matrix)

    def invariants(self, x):
        """The energy."""
        return {"energy": self.value(x)}

    def sample_states(self, rng, count):
        """States with |q| < 1.5 and |p| < 0.5."""
        return rng.uniform(-1, 1, (count, 2)) * (1.5, 0.5)


DUFFING = Duffing()
