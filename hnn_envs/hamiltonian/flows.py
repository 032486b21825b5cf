"""Flows of energies with ports: damping, friction and inputs, in momenta or in the velocities that people measure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from hnn_envs.arrays import Array, join, like, split
from hnn_envs.components import Form, stated
from hnn_envs.hamiltonian.derivatives import along
from hnn_envs.hamiltonian.dissipation import Dissipation
from hnn_envs.hamiltonian.energies import ENERGY, Hamiltonian, Separable, VectorField
from hnn_envs.hamiltonian.machines import MachineHamiltonian, Mechanical


@dataclass(frozen=True)
class PortHamiltonian:
    """x' = (J - R) grad H(x) + G u, with damping, friction and inputs that act on the momenta only.

    Attributes:
        hamiltonian: H.
        input_matrix: G, shape (dof, inputs): the force on each coordinate per unit of input.
        damping: gamma >= 0 in p' = ... - gamma p, in 1/time. For T = |p|^2/2m this is R = gamma m on the momenta.
            None where there is none.
        dissipation: friction as a function of the velocities q'; None where there is none.
    """

    hamiltonian: Hamiltonian
    input_matrix: Array
    damping: Array | None = None
    dissipation: Dissipation | None = None

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """x', shape (..., 2*dof)."""
        dh_dq, dh_dp = split(self.hamiltonian.gradient(x))
        force = -dh_dq
        if self.damping is not None:
            force = force - self.damping * split(x)[1]
        if self.dissipation is not None:
            force = force + self.dissipation.force(dh_dp)
        if u is not None:
            force = force + self.input_force(u)
        return join(dh_dp, force)

    def compiled_form(self) -> Form | None:
        """How the field is compiled: as its energy, with damping, friction and inputs; None where it cannot be."""
        friction = None if self.dissipation is None else self.dissipation.compiled_table()
        if friction is None and self.dissipation is not None:
            return None
        state = stated(self.hamiltonian, "compiled_form", ENERGY)
        form: Form | None = None if state is None else state()
        if form is None:
            return None
        return replace(form, input_matrix=self.input_matrix, damping=self.damping, friction=friction)

    def input_force(self, u: Array) -> Array:
        """G u, shape (..., dof), for inputs (..., inputs)."""
        # Row by row, so that a state in a batch moves bit for bit as it does alone.
        return (like(self.input_matrix, u) @ u[..., None])[..., 0]


@dataclass(frozen=True)
class LagrangianFlow:
    """The flow of a machine in the variables that people measure: states x = [q, q'] in place of [q, p].

    Integrators step the canonical flow; what they return is in these variables again.

    Attributes:
        canonical: the same flow in coordinates and momenta, whose energy is a ``MachineHamiltonian``.
    """

    canonical: PortHamiltonian

    @property
    def machine(self) -> Mechanical:
        """M and V."""
        energy: MachineHamiltonian = self.canonical.hamiltonian  # type: ignore[assignment] # as the class says
        return energy.machine

    @property
    def hamiltonian(self) -> Mechanical:
        """The energy as a function of x = [q, q']."""
        return self.machine

    @property
    def input_matrix(self) -> Array:
        """G, shape (dof, inputs)."""
        return self.canonical.input_matrix

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """X' = [q', q''], shape (..., 2*dof), where M q'' = p' - M' q'."""
        q, v = split(x)
        force = split(self.canonical(self.to_canonical(x), u))[1]
        turning = along(lambda q: (self.machine.mass_matrix(q) @ like(v, q)[..., None])[..., 0], q, v)
        return join(v, self.machine.velocity(q, force - turning))

    def to_canonical(self, x: Array) -> Array:
        """[q, p] of states [q, q'], shape (..., 2*dof)."""
        q, v = split(x)
        return join(q, self.machine.momentum(q, v))

    def from_canonical(self, x: Array) -> Array:
        """The inverse of ``to_canonical``."""
        q, p = split(x)
        return join(q, self.machine.velocity(q, p))

    def compiled_form(self) -> Form | None:
        """How the flow is compiled: as the canonical one, its states in other variables."""
        form = self.canonical.compiled_form()
        return None if form is None else replace(form, velocities=True)


HamiltonianFlow: TypeAlias = PortHamiltonian | LagrangianFlow
"""A field with an energy and ports, whatever the variables of its states."""


def canonical(field: VectorField) -> VectorField:
    """The flow in coordinates and momenta, of a field that may have other variables."""
    return field.canonical if isinstance(field, LagrangianFlow) else field


def is_separable(field: VectorField) -> bool:
    """Tells whether a splitting integrator can step ``field``: H = T(p) + V(q), and no friction but linear damping."""
    return isinstance(field, PortHamiltonian) and isinstance(field.hamiltonian, Separable) and field.dissipation is None


def bodies_of(field: VectorField) -> int:
    """How many bodies act on each other in pairs, in a flow that is separable; 0 for all else."""
    if not (isinstance(field, PortHamiltonian) and is_separable(field)):
        return 0
    bodies: int = getattr(field.hamiltonian, "bodies", 0)
    return bodies
