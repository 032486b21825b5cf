"""Friction as a Rayleigh function F(q'): the force is -dF/dq', and since F is convex and even, energy can only fall."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array, constant, like, namespace
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian.derivatives import gradient


class Dissipation(ABC):
    """Friction that depends on the velocities. A subclass states F; it may state the force as well, which is faster."""

    @abstractmethod
    def value(self, v: Array) -> Array:
        """F(v), shape (...,) for velocities v = q' of shape (..., dof); convex, even, and 0 at rest."""

    def force(self, v: Array) -> Array:
        """The friction force -dF/dv on each coordinate, shape (..., dof)."""
        return -gradient(self.value, v)

    def compiled_table(self) -> Array | None:
        """What the compiler is told, see ``hnn_envs.components.Form``; None where it cannot be."""
        return None


@dataclass(frozen=True)
class Friction(Dissipation):
    """Viscous friction and dry friction without its jump at rest: the force is -b v - c arctan(s v).

    F(v) = sum_i b_i v_i^2 / 2 + c_i (v_i arctan(s_i v_i) - log(1 + s_i^2 v_i^2) / (2 s_i)). Dry friction is at most
    c pi / 2.

    Attributes:
        viscous: b >= 0, one per coordinate, such as N s/m or N m s/rad.
        dry: c >= 0, one per coordinate, N or N m.
        sharpness: s > 0, one per coordinate, s/m or s/rad.

    Raises:
        InvalidOptionError: a coefficient that is negative or not finite, a sharpness that is not positive, or another
            number of some than of others.
    """

    viscous: Array
    dry: Array
    sharpness: Array

    @classmethod
    def of(cls, viscous: tuple[float, ...], dry: tuple[float, ...] | None = None, sharpness: float = 100.0) -> Friction:
        """Friction with these coefficients; without dry ones it is viscous."""
        dry = (0.0,) * len(viscous) if dry is None else dry
        return cls(constant(viscous), constant(dry), constant((sharpness,) * len(viscous)))

    def __post_init__(self) -> None:
        parts = (self.viscous, self.dry, self.sharpness)
        if not all(isinstance(part, np.ndarray) for part in parts):
            return  # tensors, while they are trained
        for part in parts[:2]:
            if not (part.size and np.isfinite(part).all() and (part >= 0).all()):
                raise InvalidOptionError(
                    f"coefficients of friction must be finite and not negative, not {part.tolist()!r}"
                )
        if not (np.isfinite(self.sharpness).all() and (self.sharpness > 0).all()):
            raise InvalidOptionError(
                f"the sharpness of friction must be a positive number, not {self.sharpness.tolist()!r}"
            )
        if not self.viscous.shape == self.dry.shape == self.sharpness.shape:
            sizes = ", ".join(str(part.size) for part in parts)
            raise InvalidOptionError(f"friction needs as many coefficients as there are coordinates, not {sizes}")

    def value(self, v: Array) -> Array:
        """F(v), shape (...,)."""
        xp, sharpness = namespace(v), like(self.sharpness, v)
        steep = sharpness * v
        dry = like(self.dry, v) * (v * xp.atan(steep) - xp.log1p(steep * steep) / (2 * sharpness))
        return (0.5 * like(self.viscous, v) * v * v + dry).sum(-1)

    def force(self, v: Array) -> Array:
        """-b v - c arctan(s v), shape (..., dof)."""
        return -like(self.viscous, v) * v - like(self.dry, v) * namespace(v).atan(like(self.sharpness, v) * v)

    def compiled_table(self) -> Array | None:
        """b, c and s, shape (3, dof)."""
        parts = (self.viscous, self.dry, self.sharpness)
        return np.stack(parts) if all(isinstance(part, np.ndarray) for part in parts) else None


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
