"""The one idea of this package: true and learned physics are the same port-Hamiltonian flow.

    x' = (J - R) grad H(x) + G u        x = [q, p],  J = [[0, I], [-I, 0]],  R >= 0

Systems know H, R and G in closed form; a Hamiltonian neural network learns them. Everything else (integrators,
dynamics, environments) sees a vector field and does not know which one it is.
"""

from __future__ import annotations

from typing import NamedTuple

from hnn_envs.components import Formula
from hnn_envs.hamiltonian.energies import Hamiltonian, PotentialFormulas, Separable, VectorField, potential_formulas
from hnn_envs.hamiltonian.flows import (
    HamiltonianFlow,
    LagrangianFlow,
    PortHamiltonian,
    bodies_of,
    canonical,
    is_separable,
)
from hnn_envs.hamiltonian.machines import (
    MachineFormulas,
    MachineHamiltonian,
    Mechanical,
    check_derivatives,
    check_mass_matrix,
    machine_formulas,
)

__all__ = [
    "EnergyFormulas",
    "Hamiltonian",
    "HamiltonianFlow",
    "LagrangianFlow",
    "MachineFormulas",
    "MachineHamiltonian",
    "Mechanical",
    "PortHamiltonian",
    "PotentialFormulas",
    "Separable",
    "VectorField",
    "bodies_of",
    "canonical",
    "check_derivatives",
    "check_mass_matrix",
    "energy_formulas",
    "is_separable",
    "machine_formulas",
    "potential_formulas",
]


class EnergyFormulas(NamedTuple):
    """The energy of a system's states: q' M(q) q' / 2 + V(q), or p^2 / 2m + V(q) where there is no mass matrix."""

    potential: Formula
    mass_matrix: Formula | None = None


def energy_formulas(system: object) -> EnergyFormulas | None:
    """The formulas of a system's energy, if it is stated in formulas."""
    machine, separable = machine_formulas(system), potential_formulas(system)
    if machine is not None:
        return EnergyFormulas(machine.potential, machine.mass_matrix)
    return None if separable is None else EnergyFormulas(separable.potential)
