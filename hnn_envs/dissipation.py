"""Friction as a Rayleigh function F(q'): the force is -dF/dq', and since F is convex and even, energy can only fall."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, constant, like, namespace
from hnn_envs.derivatives import gradient
from hnn_envs.errors import InvalidOptionError


class Dissipation(ABC):
    """Friction that depends on the velocities. A subclass states F; it may state the force as well, which is faster."""

    @abstractmethod
    def value(self, v: Array) -> Array:
        """F(v), shape (...,) for velocities v = q' of shape (..., dof); convex, even, and 0 at rest."""

    def force(self, v: Array) -> Array:
        """The friction force -dF/dv on each coordinate, shape (..., dof)."""
        return -gradient(self.value, v)


@dataclass(frozen=True)
class Viscous(Dissipation):
    """F(v) = sum_i b_i v_i^2 / 2.

    Attributes:
        coefficients: b >= 0, one per coordinate, such as N s/m or N m s/rad.

    Raises:
        InvalidOptionError: a coefficient that is negative or not finite.
    """

    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_coefficients(self.coefficients)

    @cached_property
    def _b(self) -> Array:
        return constant(self.coefficients)

    def value(self, v: Array) -> Array:
        """F(v), shape (...,)."""
        return 0.5 * (like(self._b, v) * v * v).sum(-1)

    def force(self, v: Array) -> Array:
        """-b v, shape (..., dof)."""
        return -like(self._b, v) * v


@dataclass(frozen=True)
class SmoothCoulomb(Dissipation):
    """Dry friction without its jump at rest: the force is -c arctan(s v), at most c pi / 2.

    F(v) = sum_i c_i (v_i arctan(s v_i) - log(1 + s^2 v_i^2) / (2 s)).

    Attributes:
        coefficients: c >= 0, one per coordinate, N or N m.
        sharpness: s > 0, s/m or s/rad.

    Raises:
        InvalidOptionError: a coefficient that is negative or not finite, or a sharpness that is not positive.
    """

    coefficients: tuple[float, ...]
    sharpness: float = 100.0

    def __post_init__(self) -> None:
        _check_coefficients(self.coefficients)
        if not (math.isfinite(self.sharpness) and self.sharpness > 0):
            raise InvalidOptionError(f"the sharpness of friction must be a positive number, not {self.sharpness!r}")

    @cached_property
    def _c(self) -> Array:
        return constant(self.coefficients)

    def value(self, v: Array) -> Array:
        """F(v), shape (...,)."""
        xp, steep = namespace(v), self.sharpness * v
        return (like(self._c, v) * (v * xp.atan(steep) - xp.log1p(steep * steep) / (2 * self.sharpness))).sum(-1)

    def force(self, v: Array) -> Array:
        """-c arctan(s v), shape (..., dof)."""
        return -like(self._c, v) * namespace(v).atan(self.sharpness * v)


@dataclass(frozen=True)
class Sum(Dissipation):
    """Several kinds of friction at once.

    Attributes:
        terms: what is added.
    """

    terms: tuple[Dissipation, ...]

    def value(self, v: Array) -> Array:
        """F(v), shape (...,)."""
        return sum(term.value(v) for term in self.terms)

    def force(self, v: Array) -> Array:
        """-dF/dv, shape (..., dof)."""
        return sum(term.force(v) for term in self.terms)


def check_dissipation(dissipation: Dissipation, velocities: Array) -> None:
    """Checks that friction takes energy out at every one of the velocities (n, dof), and acts oppositely at -v.

    Raises:
        InvalidOptionError: a velocity at which it feeds energy in, is not odd, or is not finite.
    """
    v = np.asarray(velocities, dtype=np.float64)
    force, mirrored = dissipation.force(v), dissipation.force(-v)
    if not np.isfinite(force).all():
        where = v[~np.isfinite(force).all(-1)][0]
        raise InvalidOptionError(f"the friction force must be finite, and at velocity {where.tolist()} it is not")
    power, scale = (v * force).sum(-1), np.abs(v * force).sum(-1)
    worst = int(np.argmax(power))
    if power[worst] > 1e-12 * scale[worst]:
        raise InvalidOptionError(
            f"friction must not feed energy in, and at velocity {v[worst].tolist()} its power is {power[worst]:.3g}"
        )
    uneven = np.abs(force + mirrored).max(-1) > 1e-9 * (1e-300 + np.abs(force).max(-1))
    if uneven.any():
        raise InvalidOptionError(
            f"the Rayleigh function must be even, and at velocity {v[uneven][0].tolist()} its slope is not opposite to "
            "that at the opposite velocity"
        )


def _check_coefficients(coefficients: tuple[float, ...]) -> None:
    if not coefficients or not all(math.isfinite(each) and each >= 0 for each in coefficients):
        raise InvalidOptionError(f"coefficients of friction must be finite and not negative, not {coefficients!r}")
