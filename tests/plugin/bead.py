"""A bead that slides on a wire in the form of a parabola: a machine with a mass matrix, of one row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.hamiltonian import LagrangianFlow, MachineFormulas, MachineHamiltonian, Mechanical, PortHamiltonian
from hnn_envs.hamiltonian.dissipation import Friction
from hnn_envs.systems import Coordinate, Input, SystemSpec


def mass_matrix(system, q):
    """M(q) = m (1 + y'^2), with the height y = steepness q^2 / 2 of the wire."""
    (place,) = q
    slope = system.steepness * place
    return (system.mass * (1 + slope * slope),)


def potential(system, q):
    """V(q) = m g y."""
    (place,) = q
    return 0.5 * system.mass * system.gravity * system.steepness * place * place


@dataclass(frozen=True)
class Bead(Mechanical):
    """State [q, q']: the place along the ground and its velocity. Input: a force along the ground."""

    mass: float = 1.5
    steepness: float = 0.8
    gravity: float = 2.0
    viscous_friction: float = 0.1

    formulas = MachineFormulas(mass_matrix, potential)

    @cached_property
    def spec(self) -> SystemSpec:
        """One coordinate and a force on it; the time scale is the period of small oscillations."""
        return SystemSpec(
            "bead",
            (Coordinate("place q", "m", momentum="velocity", momentum_unit="m/s"),),
            (Input("force", "N"),),
            ((1.0,),),
            time_scale=2 * np.pi / np.sqrt(self.gravity * self.steepness),
            longest_step=0.01,
            dissipative=True,
            velocities=True,
            time_unit="s",
            energy_unit="J",
        )

    @cached_property
    def field(self) -> LagrangianFlow:
        """The true vector field, with friction."""
        friction = Friction.of((self.viscous_friction,))
        return LagrangianFlow(PortHamiltonian(MachineHamiltonian(self), self.spec.force_matrix, dissipation=friction))

    def invariants(self, x):
        """The energy, which is conserved without friction."""
        return {"energy": self.value(x)}

    def sample_states(self, rng, count):
        """States with |q| < 1 and |q'| < 1."""
        return rng.uniform(-1, 1, (count, 2))


BEAD = Bead()
