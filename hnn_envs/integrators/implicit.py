"""Implicit Runge-Kutta methods of Gauss, for Hamiltonians that are not separable: symplectic and time-reversible.

One step solves k_i = f(x + h sum_j a_ij k_j, u), i = 1..s, and is y = x + h sum_i b_i k_i (Hairer, Lubich, Wanner,
Geometric Numerical Integration, sections II.1.3 and VIII.6). With s stages it has order 2 s, and one stage is the
implicit midpoint rule. The stages are a leading axis of the states, so that one call of the field serves them all.

What else there is for H that is not separable, on the double pendulum without friction over 0.05 s: the error, and the
evaluations of the field that it took.

    rk4, 64 steps              8.4e-9   256     gauss6, 16 steps                 1.7e-10   400
    midpoint, tripled, 64      4.4e-8  1576     gauss8, 8                        2.4e-10   316
    midpoint, Suzuki's 5, 64   1.1e-9  2048     gauss12, 4                       1.3e-11   280
    gauss4, 64                 3.1e-9   832     Tao's doubled space, w = 20, 64  7.6e-8    768

Compositions of the midpoint rule solve an equation per stage, one after the other; Tao's method (Phys. Rev. E 94 (2016)
043303) is explicit and of order 4, but its two copies of the state must be kept together. Among the rest the error per
evaluation falls with the order, until a step is too long for the fixed point: gauss8 is the default.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, constant, like, namespace, replaced
from hnn_envs.errors import IntegrationError
from hnn_envs.hamiltonian import VectorField

ITERATIONS = 50
NEWTON_ITERATIONS = 20
TOLERANCE = 1e-14
# Rounding, above all that of a network evaluated in float32, can keep the last digits in a cycle for ever: a change
# this small that has not shrunk for a few iterations is as settled as it will be.
ROUNDING = 1e-5
PATIENCE = 8
DIFFERENCE = 1e-7  # of the slopes that Newton's method steps by; what it converges to does not depend on them


@dataclass(frozen=True)
class Gauss:
    """One step of the Gauss method; symplectic and symmetric.

    The stages are found by fixed-point iteration, and by Newton's method where that does not contract. States for which
    neither converges (h is too long for them) come back as NaN, so that no caller mistakes them for a solution.

    Attributes:
        stages: s; the order is twice as high.
    """

    stages: int

    @cached_property
    def nodes(self) -> Array:
        """c_i, the zeros of the Legendre polynomial of [0, 1], shape (s,)."""
        return constant((1 + np.polynomial.legendre.leggauss(self.stages)[0]) / 2)

    @cached_property
    def weights(self) -> Array:
        """b_i, those of Gauss's quadrature, shape (s,)."""
        return constant(1 / (self._legendre**2).sum(-1))

    @cached_property
    def matrix(self) -> Array:
        """a_ij, the integral of the j-th Lagrange polynomial of the nodes from 0 to c_i (II.1.3), shape (s, s).

        By the W-transformation (Hairer, Wanner, Solving ODEs II, theorem IV.5.6), which is symplectic to the last bit:
        the inverse of a Vandermonde matrix is off by ten times as much, and the energy then drifts.
        """
        order = np.arange(1, self.stages)
        coupling = 0.5 / np.sqrt(4 * order**2 - 1)
        integrals = np.diag(coupling, -1) - np.diag(coupling, 1)
        integrals[0, 0] = 0.5
        return constant(self._legendre @ integrals @ self._legendre.T * self.weights)

    @property
    def _legendre(self) -> Array:
        """The orthonormal polynomials of [0, 1] of degree j at the nodes c_i, shape (s, s)."""
        degrees = np.arange(self.stages)
        nodes = np.polynomial.legendre.leggauss(self.stages)[0]
        return np.polynomial.legendre.legvander(nodes, self.stages - 1) * np.sqrt(2 * degrees + 1)

    def __call__(self, field: VectorField, x: Array, u: Array | None, h: float) -> Array:
        """Advances ``x`` by ``h``."""
        moves, settled = self.solve(field, x, u, h)
        xp = namespace(x)
        return xp.where(settled[..., None], x + (like(self.weights, x)[:, None] * moves).sum(-2), math.nan)

    def checked(self, field: VectorField, x: Array, u: Array | None, h: float) -> Array:
        """The same step, where it is wanted whole.

        Raises:
            IntegrationError: the stages of a state do not converge; it says which, and how far they are off.
        """
        moves, settled = self.solve(field, x, u, h)
        if not bool(settled.all()):
            xp = namespace(x)
            residual = xp.max(xp.abs(moves - self._moves(field, x, u, h, moves)), axis=(-2, -1))[~settled]
            raise IntegrationError(
                f"a step of h = {h:g} does not converge from the state {x[~settled][0].tolist()}: its equation is off "
                f"by {float(residual[0]):.3g}; take shorter steps"
            )
        return self(field, x, u, h)

    def solve(self, field: VectorField, x: Array, u: Array | None, h: float) -> tuple[Array, Array]:
        """The moves h k_i of the stages, shape (..., s, 2*dof), and whether they converged, shape (...,)."""
        first = h * field(x, u)
        start = first[..., None, :] + namespace(x).zeros_like(like(self.nodes, x)[:, None])
        moves, settled = settle(lambda moves: self._moves(field, x, u, h, moves), start, 2, ITERATIONS)
        retry = ~settled & namespace(x).isfinite(start.sum((-2, -1)))
        if not bool(retry.any()):
            return moves, settled
        some, some_u = x[retry], None if u is None else (u + 0 * x[..., :1])[retry]
        first = start[retry]
        newton, done = settle(lambda z: self._newton(field, some, some_u, h, z), first, 2, NEWTON_ITERATIONS)
        # Where there is no solution, slopes that vanish can throw it so far out that nothing more changes it there.
        xp = namespace(x)
        residual = xp.max(xp.abs(newton - self._moves(field, some, some_u, h, newton)), axis=(-2, -1))
        done = done & (residual <= ROUNDING * (1 + xp.max(xp.abs(first), axis=(-2, -1))))
        return replaced(moves, retry, newton), replaced(settled, retry, done)

    def _moves(self, field: VectorField, x: Array, u: Array | None, h: float, moves: Array) -> Array:
        """H f at the stages that these moves lead to."""
        held = None if u is None else u[..., None, :]
        return h * field(x[..., None, :] + like(self.matrix, x) @ moves, held)

    def _newton(self, field: VectorField, x: Array, u: Array | None, h: float, moves: Array) -> Array:
        """One step of Newton's method for z = h f(x + A z), with slopes by finite differences."""
        xp, size = namespace(x), x.shape[-1]
        held = None if u is None else u[..., None, :]
        points = x[..., None, :] + like(self.matrix, x) @ moves
        values = field(points, held)
        shifts = DIFFERENCE * like(np.eye(size), x)
        shifted = field(points[..., None, :] + shifts, None if held is None else held[..., None, :])
        slopes = (shifted - values[..., None, :]) / DIFFERENCE  # (..., stage, by which entry, of which entry)
        # Rows are the equations (stage i, entry m), columns the unknowns (stage j, entry n).
        coupling = xp.einsum("...inm,ij->...imjn", slopes, h * like(self.matrix, x))
        system = like(np.eye(self.stages * size), x) - coupling.reshape((*x.shape[:-1], *2 * (self.stages * size,)))
        residual = (moves - h * values).reshape((*x.shape[:-1], self.stages * size, 1))
        # One singular matrix in a batch is an error of the solver's: those states are sent away as NaN beforehand. The
        # determinant is exactly zero where the solver's own factorisation meets a pivot of zero.
        determinant = xp.linalg.det(system)
        regular = (xp.isfinite(determinant) & (determinant != 0))[..., None, None]
        steps = xp.linalg.solve(xp.where(regular, system, like(np.eye(self.stages * size), x)), residual)
        return moves - xp.where(regular, steps, math.nan).reshape(moves.shape)


def settle(update: Callable[[Array], Array], y: Array, axes: int, iterations: int) -> tuple[Array, Array]:
    """Iterates y = update(y) until rounding is all that changes it.

    That is once more after a change within ``TOLERANCE``: what is left of the solve's error then is rounding, which has
    no sign, while an error that was cut off has one, and the energy drifts by it (Hairer, McLachlan, Razakarivony, BIT
    Numer. Math. 48 (2008) 231). Over 10^6 steps of 0.02 s of the cart-pole that was 5e-12, and is 1e-13 now.

    Args:
        update: a map of arrays of the shape of ``y``.
        y: where to start.
        axes: how many of the last axes belong to one state.
        iterations: how many are made at the most; fewer where nothing contracts.

    Returns:
        What ``y`` settles at, and where it did, shape of the leading axes. A state that has settled is left alone, so
        that in a batch it is what it is alone.
    """
    xp, last = namespace(y), tuple(range(-axes, 0))
    smallest = xp.full_like(y[(..., *(0,) * axes)], math.inf)
    stale, settled, close = xp.zeros_like(smallest), smallest == 0, smallest == 0
    for _ in range(iterations):
        proposed = update(y)
        change = xp.max(xp.abs(proposed - y) / (1 + xp.abs(proposed)), axis=last)
        y = xp.where(settled[(..., *(None,) * axes)], y, proposed)
        stale = xp.where(change < smallest, 0.0, stale + 1)
        smallest = xp.minimum(smallest, change)
        settled = settled | close | (change == 0) | ((change <= ROUNDING) & (stale >= PATIENCE))
        close = change <= TOLERANCE
        if bool(xp.all(settled | xp.isnan(change) | (stale > PATIENCE))):
            break
    return y, settled | close
