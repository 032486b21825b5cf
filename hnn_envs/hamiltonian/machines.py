"""Machines of rigid links: H = p^T M(q)^-1 p / 2 + V(q), and what a mass matrix must be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from hnn_envs.arrays import Array, join, like, namespace, split
from hnn_envs.components import Form, Formula, components, stated, symmetric
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian.derivatives import gradient


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
        """Q' = M(q)^-1 p, shape (..., dof); NaN where M(q) is not positive definite."""
        return solve_positive(self.mass_matrix(q), p)

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


def machine_formulas(energy: object) -> MachineFormulas | None:
    """The formulas of a machine, if it is stated in formulas."""
    return stated(energy, "formulas", MACHINE) if isinstance(energy, Mechanical) else None


def solve_positive(matrix: Array, vector: Array) -> Array:
    """The solutions of matrix x = vector, shape (..., n); NaN where a matrix (..., n, n) is not positive definite."""
    xp, size = namespace(vector), vector.shape[-1]
    lower: dict[tuple[int, int], Array] = {}  # matrix = L D L^T, L with ones on its diagonal
    pivots: list[Array] = []
    for column in range(size):
        for row in range(column, size):
            rest = matrix[..., row, column] + 0 * vector[..., 0]
            for k in range(column):
                rest = rest - lower[row, k] * lower[column, k] * pivots[k]
            if row == column:
                pivots.append(xp.where(rest > 0, rest, math.nan))
            else:
                lower[row, column] = rest / pivots[column]
    x = list(components(vector))
    for row in range(size):
        for k in range(row):
            x[row] = x[row] - lower[row, k] * x[k]
    for row in reversed(range(size)):
        x[row] = x[row] / pivots[row]
        for k in range(row + 1, size):
            x[row] = x[row] - lower[k, row] * x[k]
    return xp.stack(x, axis=-1)


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
