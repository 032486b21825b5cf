"""Energies: what a Hamiltonian is, and the one whose kinetic and potential parts are apart, H = T(p) + V(q)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from hnn_envs.arrays import Array, join, split
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


def potential_formulas(energy: object) -> PotentialFormulas | None:
    """The formulas of an energy's potential, if it is stated in formulas."""
    return stated(energy, "formulas", ENERGY) if isinstance(energy, Separable) else None
