"""Learned friction of machines: viscous and dry, and where asked for any other that takes energy out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array, like, namespace
from hnn_envs.hamiltonian.dissipation import Dissipation, Friction
from hnn_envs.models.mlp import Parameters, Shapes
from hnn_envs.systems.spec import SystemSpec

COEFFICIENTS = ("root_viscous", "root_dry")
"""Parameters whose squares are the coefficients, so that these are not negative and may be zero."""
FIRST = 0.02
"""What the coefficients start at, in the system's units of force and velocity."""
RANGE = math.log(10)
"""Sharpness stays within a factor of 10 of where it starts: beyond, data hardly tells one from the other."""


@dataclass(frozen=True)
class RayleighNetwork(Dissipation):
    """F(v) = friction(v) + sum_k w_k^2 log cosh(a_k v), which is convex, even and zero at rest whatever w and a are.

    Attributes:
        friction: viscous and dry friction; None for none.
        directions: a, shape (dof, units).
        roots: w, shape (units,).
    """

    friction: Friction | None
    directions: Array
    roots: Array

    def value(self, v: Array) -> Array:
        """F(v), shape (...,)."""
        xp, z = namespace(v), v @ like(self.directions, v)
        size = xp.abs(z)
        own = ((size + xp.log1p(xp.exp(-2 * size)) - math.log(2)) * like(self.roots, v) ** 2).sum(-1)
        return own if self.friction is None else own + self.friction.value(v)

    def force(self, v: Array) -> Array:
        """-dF/dv, shape (..., dof)."""
        directions = like(self.directions, v)
        own = -(namespace(v).tanh(v @ directions) * like(self.roots, v) ** 2) @ directions.T
        return own if self.friction is None else own + self.friction.force(v)


def friction_shapes(spec: SystemSpec) -> Shapes:
    """Shapes of the parameters of viscous and dry friction."""
    return dict.fromkeys((*COEFFICIENTS, "sharpness"), (spec.dof,))


def init_friction(spec: SystemSpec) -> Parameters:
    """A little friction."""
    parameters: Parameters = {name: np.full(spec.dof, math.sqrt(FIRST)) for name in COEFFICIENTS}
    return parameters | {"sharpness": np.zeros(spec.dof)}


def learned_friction(parameters: Parameters, sharpness: float) -> Friction | None:
    """Friction with learned coefficients, of about this sharpness; None where all coefficients are zero."""
    viscous, dry = (parameters[name] ** 2 for name in COEFFICIENTS)
    if isinstance(viscous, np.ndarray) and not (viscous.any() or dry.any()):
        return None
    xp, factor = namespace(viscous), parameters["sharpness"]
    return Friction(viscous, dry, sharpness * xp.exp(RANGE * xp.tanh(factor / RANGE)))
