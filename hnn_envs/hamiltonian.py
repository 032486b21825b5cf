"""The one idea of this package: true and learned physics are the same port-Hamiltonian flow.

    x' = (J - R) grad H(x) + G u        x = [q, p],  J = [[0, I], [-I, 0]],  R >= 0

Systems know H, R and G in closed form; a Hamiltonian neural network learns them. Everything else (integrators,
dynamics, environments) sees a vector field and does not know which one it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array, join, like, namespace, split
from hnn_envs.components import Form, Formula, components, stated, symmetric, vector
from hnn_envs.derivatives import along, gradient
from hnn_envs.dissipation import Dissipation
from hnn_envs.errors import InvalidOptionError


@runtime_checkable
class Hamiltonian(Protocol):
    """A scalar energy H(x) with its gradient. Functions broadcast over leading axes: x has shape (..., 2*dof)."""

    def value(self, x: Array) -> Array:
        """Energy, shape (...,)."""
        ...

    def gradient(self, x: Array) -> Array:
        """dH/dx = [dH/dq, dH/dp], shape (..., 2*dof)."""
        ...


class VectorField(Protocol):
    """The right-hand side of x' = f(x, u); u is held constant over a step and may be None (the free system)."""

    def __call__(self, x: Array, u: Array | None = None, /) -> Array:
        """x', shape (..., 2*dof), for states (..., 2*dof) and inputs (..., inputs)."""
        ...


class PotentialFormulas(NamedTuple):
    """A potential as formulas of components; see ``hnn_envs.arithmetic`` for what they may say.

    Attributes:
        potential: (system, q) -> V(q).
        gradient: (system, q) -> dV/dq, a component for each of q.
    """

    potential: Formula
    gradient: Formula


ENERGY = ("value", "gradient", "potential", "potential_gradient", "kinetic", "kinetic_gradient")
"""The methods of a Hamiltonian, which a compiled form stands for."""


class Separable:
    """H(q, p) = T(p) + V(q) with T(p) = inverse_mass |p|^2 / 2, the kinetic energy of every mechanical system here.

    A subclass has the attribute ``inverse_mass`` (a number or a 0-d array). It states V and its gradient as
    ``formulas``, which are compiled too, or it overrides ``potential`` and ``potential_gradient``. Where V is a sum
    over pairs of like bodies in the plane, of their differences only, an attribute ``bodies`` says how many there are;
    q is then body by body.
    """

    inverse_mass: Array
    formulas: ClassVar[PotentialFormulas]

    def potential(self, q: Array) -> Array:
        """V(q), shape (...,) for q of shape (..., dof)."""
        return self.formulas.potential(self, components(q))

    def potential_gradient(self, q: Array) -> Array:
        """dV/dq, shape (..., dof)."""
        return vector(self.formulas.gradient(self, components(q)), q)

    def compiled_form(self) -> Form | None:
        """How the force is compiled; None where it is not stated as a formula."""
        formulas = potential_formulas(self)
        if formulas is None:
            return None
        return Form("hnn_envs.kernels.formula", self, formulas.gradient, inverse_mass=self.inverse_mass)

    def kinetic(self, p: Array) -> Array:
        """T(p), shape (...,) for p of shape (..., dof)."""
        return 0.5 * self.inverse_mass * (p * p).sum(-1)

    def kinetic_gradient(self, p: Array) -> Array:
        """dT/dp = q', shape (..., dof)."""
        return self.inverse_mass * p

    def value(self, x: Array) -> Array:
        """H(x) = T(p) + V(q), shape (...,)."""
        q, p = split(x)
        return self.kinetic(p) + self.potential(q)

    def gradient(self, x: Array) -> Array:
        """dH/dx, shape (..., 2*dof)."""
        q, p = split(x)
        return join(self.potential_gradient(q), self.kinetic_gradient(p))


class MachineFormulas(NamedTuple):
    """A machine of rigid links as formulas of components; see ``hnn_envs.arithmetic`` for what they may say.

    Attributes:
        mass_matrix: (system, q) -> the rows of M(q) from the diagonal on, one after another: M11, M12, ..., M22, ...
        potential: (system, q) -> V(q).
    """

    mass_matrix: Formula
    potential: Formula


MACHINE = ("mass_matrix", "potential", "momentum", "velocity", "force")
"""The methods of a machine, which a compiled form stands for."""


class Mechanical:
    """Any machine of rigid links: kinetic energy q' M(q) q' / 2 and potential V(q); p = M(q) q'.

    States are x = [q, q'], which is what people measure; ``MachineHamiltonian`` is H(q, p). A subclass states M and V
    as ``formulas``, which are compiled too, or it overrides ``mass_matrix`` and ``potential``, as functions that are
    analytic: derivatives are taken of them. It states nothing else.
    """

    formulas: ClassVar[MachineFormulas]

    def mass_matrix(self, q: Array) -> Array:
        """M(q), symmetric and positive definite, shape (..., dof, dof) for q of shape (..., dof)."""
        return symmetric(self.formulas.mass_matrix(self, components(q)), q)

    def potential(self, q: Array) -> Array:
        """V(q), shape (...,)."""
        return self.formulas.potential(self, components(q)) + 0 * q[..., 0]

    def momentum(self, q: Array, v: Array) -> Array:
        """P = M(q) v, shape (..., dof), for velocities v = q' of shape (..., dof)."""
        return (self.mass_matrix(q) @ v[..., None])[..., 0]

    def velocity(self, q: Array, p: Array) -> Array:
        """Q' = M(q)^-1 p, shape (..., dof)."""
        return namespace(q).linalg.solve(self.mass_matrix(q), p[..., None])[..., 0]

    def force(self, q: Array, v: Array) -> Array:
        """The derivative of the Lagrangian v^T M(q) v / 2 - V(q) by q at constant v, which is p' of the free system.

        It is also -dH/dq at constant p: gravity and springs, with the centrifugal forces; shape (..., dof).
        """
        held = v[..., None, :]
        return gradient(lambda q: self.lagrangian(q, held), q)

    def lagrangian(self, q: Array, v: Array) -> Array:
        """V^T M(q) v / 2 - V(q), shape (...,)."""
        return self._kinetic(q, v) - self.potential(q)

    def _kinetic(self, q: Array, v: Array) -> Array:
        moved = (self.mass_matrix(q) @ like(v, q)[..., None])[..., 0]
        return 0.5 * (v * moved).sum(-1)

    def value(self, x: Array) -> Array:
        """The energy q' M(q) q' / 2 + V(q) of states x = [q, q'], shape (...,)."""
        q, v = split(x)
        return self._kinetic(q, v) + self.potential(q)

    def gradient(self, x: Array) -> Array:
        """The derivative of the energy by x = [q, q'], shape (..., 2*dof)."""
        q, v = split(x)
        held = v[..., None, :]
        return join(gradient(lambda q: self._kinetic(q, held) + self.potential(q), q), self.momentum(q, v))

    def compiled_form(self) -> Form | None:
        """How the machine is compiled; None where it is not stated in formulas."""
        formulas = machine_formulas(self)
        return None if formulas is None else Form("hnn_envs.kernels.machine", self, **formulas._asdict())


@dataclass(frozen=True)
class MachineHamiltonian:
    """H(q, p) = p^T M(q)^-1 p / 2 + V(q), the energy of a machine as a function of coordinates and momenta.

    Attributes:
        machine: M and V.
    """

    machine: Mechanical

    def value(self, x: Array) -> Array:
        """H(x), shape (...,), for x = [q, p]."""
        q, p = split(x)
        return 0.5 * (p * self.machine.velocity(q, p)).sum(-1) + self.machine.potential(q)

    def gradient(self, x: Array) -> Array:
        """dH/dx, shape (..., 2*dof)."""
        q, p = split(x)
        v = self.machine.velocity(q, p)
        return join(-self.machine.force(q, v), v)

    def compiled_form(self) -> Form | None:
        """How the machine is compiled."""
        state = stated(self.machine, "compiled_form", MACHINE)
        form: Form | None = None if state is None else state()
        return form


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


def potential_formulas(energy: object) -> PotentialFormulas | None:
    """The formulas of an energy's potential, if it is stated in formulas."""
    return stated(energy, "formulas", ENERGY) if isinstance(energy, Separable) else None


def is_separable(field: VectorField) -> bool:
    """Tells whether a splitting integrator can step ``field``: H = T(p) + V(q), and no friction but linear damping."""
    return isinstance(field, PortHamiltonian) and isinstance(field.hamiltonian, Separable) and field.dissipation is None


def machine_formulas(energy: object) -> MachineFormulas | None:
    """The formulas of a machine, if it is stated in formulas."""
    return stated(energy, "formulas", MACHINE) if isinstance(energy, Mechanical) else None


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


def canonical(field: VectorField) -> VectorField:
    """The flow in coordinates and momenta, of a field that may have other variables."""
    return field.canonical if isinstance(field, LagrangianFlow) else field


def check_mass_matrix(system: Mechanical, states: Array) -> None:
    """Checks that M(q) is symmetric and positive definite at every one of the states (n, 2*dof).

    Raises:
        InvalidOptionError: a q at which it is not, or at which it is not finite.
    """
    q, _ = split(np.asarray(states, dtype=np.float64))
    size, stated_shape = q.shape[-1], np.shape(system.mass_matrix(q))
    if stated_shape[-2:] != (size, size):
        raise InvalidOptionError(
            f"the mass matrix of {type(system).__name__} must be {size} by {size} at every q, not {stated_shape}"
        )
    matrices = np.broadcast_to(system.mass_matrix(q), (*q.shape, size))
    name, largest = type(system).__name__, np.abs(matrices).max((-2, -1))
    for problem, bad in (
        ("is not finite", ~np.isfinite(largest)),
        ("is not symmetric", np.abs(matrices - np.swapaxes(matrices, -2, -1)).max((-2, -1)) > 1e-12 * largest),
    ):
        if bad.any():
            raise InvalidOptionError(f"the mass matrix of {name} {problem} at q = {q[bad][0].tolist()}")
    smallest = np.linalg.eigvalsh(matrices)[..., 0]
    worst = int(np.argmin(smallest / largest))
    if smallest[worst] <= 1e-14 * largest[worst]:
        raise InvalidOptionError(
            f"the mass matrix of {name} must be positive definite, and at q = {q[worst].tolist()} its smallest "
            f"eigenvalue is {smallest[worst]:.3g}"
        )


def check_derivatives(system: Mechanical, states: Array) -> None:
    """Checks that the force is the derivative of the Lagrangian at states [q, q'], against difference quotients.

    It is not where M or V are no analytic functions, such as an absolute value: the complex step does not see them.

    Raises:
        InvalidOptionError: a q at which it is not.
    """
    q, v = split(np.asarray(states, dtype=np.float64))
    shifts, held = 1e-5 * np.eye(q.shape[-1]), v[..., None, :]
    ahead, behind = (system.lagrangian(q[..., None, :] + sign * shifts, held) for sign in (1, -1))
    quotient, force = (ahead - behind) / 2e-5, system.force(q, v)
    wrong = np.abs(force - quotient).max(-1)
    worst = int(np.argmax(wrong))
    if not wrong[worst] <= 1e-4 * np.abs(quotient).max() + 1e-9 * np.abs(ahead).max():
        raise InvalidOptionError(
            f"the force of {type(system).__name__} at q = {q[worst].tolist()} is {force[worst].tolist()}, and its "
            f"energy falls by {quotient[worst].tolist()}: mass matrix and potential must be analytic functions"
        )


def bodies_of(field: VectorField) -> int:
    """How many bodies act on each other in pairs, in a flow that is separable; 0 for all else."""
    if not (isinstance(field, PortHamiltonian) and is_separable(field)):
        return 0
    bodies: int = getattr(field.hamiltonian, "bodies", 0)
    return bodies
