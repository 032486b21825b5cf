"""The one idea of this package: true and learned physics are the same port-Hamiltonian flow.

    x' = (J - R) grad H(x) + G u        x = [q, p],  J = [[0, I], [-I, 0]],  R >= 0

Systems know H, R and G in closed form; a Hamiltonian neural network learns them. Everything else (integrators,
dynamics, environments) sees a vector field and does not know which one it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from hnn_envs.arrays import Array, join, like, split
from hnn_envs.components import Form, Formula, components, stated, vector


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


@dataclass(frozen=True)
class PortHamiltonian:
    """x' = (J - R) grad H(x) + G u, with damping and inputs that act on the momenta only.

    Attributes:
        hamiltonian: H.
        input_matrix: G, shape (dof, inputs): the force on each coordinate per unit of input.
        damping: gamma >= 0 in p' = ... - gamma p, in 1/time. For T = |p|^2/2m this is R = gamma m on the momenta.
            None where the system is conservative.
    """

    hamiltonian: Hamiltonian
    input_matrix: Array
    damping: Array | None = None

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """x', shape (..., 2*dof)."""
        dh_dq, dh_dp = split(self.hamiltonian.gradient(x))
        force = -dh_dq
        if self.damping is not None:
            force = force - self.damping * split(x)[1]
        if u is not None:
            force = force + self.input_force(u)
        return join(dh_dp, force)

    def compiled_form(self) -> Form | None:
        """How the field is compiled: as its energy is, with damping and inputs; None where that is not."""
        state = stated(self.hamiltonian, "compiled_form", ENERGY)
        form: Form | None = None if state is None else state()
        if form is None:
            return None
        return replace(form, input_matrix=self.input_matrix, damping=self.damping)

    def input_force(self, u: Array) -> Array:
        """G u, shape (..., dof), for inputs (..., inputs)."""
        # Row by row, so that a state in a batch moves bit for bit as it does alone.
        return (like(self.input_matrix, u) @ u[..., None])[..., 0]


def potential_formulas(energy: object) -> PotentialFormulas | None:
    """The formulas of an energy's potential, if it is stated in formulas."""
    return stated(energy, "formulas", ENERGY) if isinstance(energy, Separable) else None


def is_separable(field: VectorField) -> bool:
    """Tells whether a splitting integrator can step ``field``."""
    return isinstance(field, PortHamiltonian) and isinstance(field.hamiltonian, Separable)


def bodies_of(field: VectorField) -> int:
    """How many bodies act on each other in pairs, in a flow with a separable Hamiltonian; 0 for all else."""
    if not (isinstance(field, PortHamiltonian) and isinstance(field.hamiltonian, Separable)):
        return 0
    bodies: int = getattr(field.hamiltonian, "bodies", 0)
    return bodies
