"""An explicit Runge-Kutta method that chooses its steps, state by state: for friction, which is smooth but sharp.

Dry friction turns around within a fraction of a millisecond when a velocity changes its sign; no fixed step that is
short enough for that is one to pay for all the time, and without a conserved energy a symplectic method gains nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hnn_envs.arrays import Array, like, namespace, replaced
from hnn_envs.hamiltonian import VectorField
from hnn_envs.integrators.dormand_prince import FIFTH, MATRIX, THIRD, WEIGHTS

MOST_ATTEMPTS = 10_000
SAFETY, SMALLEST_FACTOR, LARGEST_FACTOR = 0.9, 0.2, 5.0


@dataclass(frozen=True)
class DormandPrince:
    """The method of order 8 of Dormand and Prince with its error estimates of orders 5 and 3.

    Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, section II.5. A state goes with the steps that
    it would take alone, whatever the others in its batch do.

    Attributes:
        tolerance: error of a step that is let pass, relative to 1 + |x|, root mean square.
    """

    tolerance: float

    def __call__(self, field: VectorField, x: Array, u: Array | None, h: float) -> Array:
        """Advances ``x`` by ``h``; states that cannot be brought there come back as NaN."""
        xp = namespace(x)
        y = x.reshape((-1, x.shape[-1]))
        held = None if u is None else (u + 0 * x[..., :1]).reshape((len(y), -1))
        left = xp.ones_like(y[:, 0])
        share = xp.ones_like(left)  # the next step, as a share of h
        for _ in range(MOST_ATTEMPTS):
            busy = (left > 0) & xp.all(xp.isfinite(y), axis=-1) & (left + share > left)
            if not bool(busy.any()):
                break
            some_u = None if held is None else held[busy]
            stepped, error = self._attempt(field, y[busy], some_u, h * share[busy][:, None])
            passed = error <= 1
            y = replaced(y, busy, xp.where(passed[:, None], stepped, y[busy]))
            rest = xp.where(passed, left[busy] - share[busy], left[busy])
            left = replaced(left, busy, rest)
            factor = SAFETY * xp.clip(error, 1e-12, 1e12) ** (-1 / 8)
            factor = xp.where(xp.isfinite(error), xp.clip(factor, SMALLEST_FACTOR, LARGEST_FACTOR), SMALLEST_FACTOR)
            share = replaced(share, busy, xp.minimum(share[busy] * factor, rest))
        return xp.where((left == 0)[:, None], y, math.nan).reshape(x.shape)

    def _attempt(self, field: VectorField, x: Array, u: Array | None, h: Array) -> tuple[Array, Array]:
        """States (n, 2*dof) after steps h (n, 1), and their errors over the tolerance, shape (n,)."""
        xp = namespace(x)
        matrix, weights, fifth, third = (like(each, x) for each in (MATRIX, WEIGHTS, FIFTH, THIRD))
        slopes = [field(x, u)]
        for row in range(1, len(weights)):
            slopes.append(field(x + h * (matrix[row, :row] @ xp.stack(slopes, axis=-2)), u))
        stages = xp.stack(slopes, axis=-2)
        y = x + h * (weights @ stages)
        stages = xp.concat((stages, field(y, u)[:, None, :]), axis=-2)
        scale = self.tolerance * (1 + xp.maximum(xp.abs(x), xp.abs(y)))
        five, three = ((((each @ stages) / scale) ** 2).sum(-1) for each in (fifth, third))
        norm = xp.sqrt((five + 0.01 * three) * x.shape[-1])
        return y, xp.abs(h[:, 0]) * five / xp.where(norm > 0, norm, 1.0)
