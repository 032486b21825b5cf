"""Bodies that meet: long symplectic steps while all is calm, and short ones of high order through an encounter.

Two bodies that fall towards each other need steps as short as the time in which they pass, by any scheme of fixed steps
a million times more than all the rest of the motion. What the pairs do at the start and at the end of a step says
whether it was short enough. Where it was not, it is taken again in steps that follow the pace of the fastest pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hnn_envs.arrays import Array, like, namespace, replaced, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import PortHamiltonian, Separable, VectorField, bodies_of
from hnn_envs.hamiltonian.pairs import incidence
from hnn_envs.integrators.dormand_prince import MATRIX, WEIGHTS

CALM = 0.05
"""A splitting's step may be this share of the time that the fastest pair takes; its error is then 1e-9 or less."""
UNSEEN = 0.5
"""So may all steps between two looks at the pairs: no pair can come closer than 0.7 of what is seen."""
SHARE = 0.04
"""The steps through an encounter: at this share of the pair's time the method of order 8 is exact to rounding."""
MOST_STEPS = 100_000
"""Steps through encounters in one step of the environment; only bodies that have met take as many."""


@dataclass(frozen=True)
class Encounters:
    """Steps of a splitting where pairs allow for them, else those of Dormand and Prince, for bodies that act in pairs.

    The pace of a pair is the larger of |v| / r and sqrt(|a| / r), from its distance, relative velocity and relative
    acceleration, so that no constant of the force is asked for. Calm states go by the splitting, which keeps what it
    does alone: it is symplectic, and since the pairs are asked alike at both ends, reversible. Every state goes
    through its own steps, whatever the others in its batch do.

    Through an encounter, positions are seen from the first body of the closest pair: far from the origin, the distance
    of two bodies that nearly touch has no digits left. Forces between pairs are the same from everywhere.

    Attributes:
        calm: one step of the splitting.
    """

    calm: Callable[[VectorField, Array, Array | None, float], Array]

    def __call__(self, field: VectorField, x: Array, u: Array | None, h: float, steps: int = 1) -> Array:
        """Advances ``x`` by so many steps ``h``; bodies that meet, at distance 0, come back as NaN.

        Raises:
            InvalidOptionError: the field is not a flow of bodies that act on each other in pairs.
        """
        bodies = bodies_of(field)
        if not (isinstance(field, PortHamiltonian) and bodies):
            raise InvalidOptionError(
                f"'encounters' needs bodies that act on each other in pairs, and {type(field).__name__} has none; "
                "use 'pefrl' or 'rk4'"
            )
        y = x
        for _ in range(steps):
            y = self.calm(field, y, u, h)
        fastest = fastest_pace(h, steps)
        is_calm = (pace(field, x, u) <= fastest) & (pace(field, y, u) <= fastest)  # NaN compares false
        if bool(is_calm.all()):
            return y
        flat, rows = x.reshape((-1, x.shape[-1])), ~is_calm.reshape(-1)
        held = None if u is None else (u + 0 * x[..., :1]).reshape((len(flat), -1))[rows]
        return replaced(y.reshape(flat.shape), rows, _through(field, flat[rows], held, steps * h)).reshape(x.shape)


def fastest_pace(h: float, steps: int) -> float:
    """The fastest pace of states that so many steps ``h`` of a splitting are short enough for."""
    return min(CALM / abs(h), UNSEEN / abs(steps * h))


def pace(field: PortHamiltonian, x: Array, u: Array | None) -> Array:
    """How fast the fastest pair changes, 1/time, shape (...,)."""
    return _pairs(field, split(x)[0], field(x, u))[0]


def _pairs(field: PortHamiltonian, q: Array, rate: Array) -> tuple[Array, Array]:
    """The pace of states with rates x', and which body is the first of the closest pair, as a mask (..., bodies, 1)."""
    xp, bodies = namespace(q), bodies_of(field)
    assert isinstance(field.hamiltonian, Separable)  # noqa: S101 - for the type checker
    matrix = like(incidence(bodies), q)
    dq, dp = split(rate)
    apart, speed, pull = (
        ((matrix @ values.reshape((*q.shape[:-1], bodies, 2))) ** 2).sum(-1)
        for values in (q, dq, field.hamiltonian.inverse_mass * dp)
    )
    fastest = xp.max(xp.sqrt(xp.maximum(speed / apart, xp.sqrt(pull / apart))), axis=-1)
    closest = matrix[xp.argmin(apart, axis=-1)]
    return fastest, (closest > 0)[..., None]


def _through(field: PortHamiltonian, x: Array, u: Array | None, time: float) -> Array:
    """States (n, 2*dof) after ``time``, through whatever encounters there are."""
    xp, size = namespace(x), x.shape[-1]
    y = _with_origin(x)
    left = abs(time) + 0 * x[:, 0]
    for _ in range(MOST_STEPS):
        busy = left > 0
        if not bool(busy.any()):
            break
        some, held = y[busy], None if u is None else u[busy]
        rate = field(some[:, :size], held)
        fastest, first = _pairs(field, some[:, : size // 2], rate)
        if field.damping is not None:
            fastest = xp.maximum(fastest, field.damping + 0 * fastest)
        steps = xp.ceil(left[busy] * fastest / SHARE)
        h = left[busy] / xp.where(steps < 1, 1 + 0 * steps, steps)
        h = xp.where(left[busy] - h < left[busy], h, math.nan)  # where they meet, rounding swallows the step
        stepped = _dormand_prince(field, _seen_from(some, first), rate, held, math.copysign(1, time) * h, first)
        y, left = (replaced(*each) for each in ((y, busy, stepped), (left, busy, left[busy] - h)))
    q = y[:, : size // 2].reshape((len(y), -1, 2)) + y[:, None, size:]
    home = xp.concat((q.reshape((len(y), -1)), y[:, size // 2 : size]), axis=-1)
    return xp.where((left == 0)[:, None], home, math.nan)


def _seen_from(y: Array, first: Array) -> Array:
    """States with their origin behind, (n, 2*dof + 2), the origin moved to one body, which a mask marks."""
    xp, dof = namespace(y), y.shape[-1] // 2 - 1
    q = y[:, :dof].reshape((len(y), -1, 2))
    at = xp.where(first, q, 0 * q).sum(1)
    seen = (q - at[:, None]).reshape((len(y), dof))
    return xp.concat((seen, y[:, dof : 2 * dof], y[:, 2 * dof :] + at), axis=-1)


def _dormand_prince(field: PortHamiltonian, y: Array, rate: Array, u: Array | None, h: Array, first: Array) -> Array:
    """One step h (n,) of order 8 of states whose origin moves with a body; ``rate`` is their x' at the start."""
    matrix, weights = MATRIX, WEIGHTS
    slopes, size = [_seen_from(_with_origin(rate), first)], rate.shape[-1]
    for row in range(1, len(weights)):
        ahead = y + h[:, None] * sum(a * slope for a, slope in zip(matrix[row].tolist(), slopes, strict=False) if a)
        slopes.append(_seen_from(_with_origin(field(ahead[:, :size], u)), first))
    return y + h[:, None] * sum(b * slope for b, slope in zip(weights.tolist(), slopes, strict=True) if b)


def _with_origin(x: Array) -> Array:
    """States or rates with an origin at rest behind."""
    return namespace(x).concat((x, 0 * x[:, :2]), axis=-1)
