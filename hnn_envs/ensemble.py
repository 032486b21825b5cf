"""An ensemble: models that were learned beside another, whose disagreement with it tells where it cannot be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hnn_envs.arrays import Array, constant, like, namespace
from hnn_envs.checkpoints import Card
from hnn_envs.hamiltonian import VectorField
from hnn_envs.integrators import Integrator

Step = Callable[[Array, Array | None], Array]


@dataclass(frozen=True)
class Ensemble:
    """The members of a checkpoint, stepped as its model is.

    Attributes:
        fields: theirs; none where there are no members.
        integrator: the one-step method.
        dt: time that one step covers.
        substeps: integrator steps per step.
        card: the checkpoint's card.
    """

    fields: tuple[VectorField, ...]
    integrator: Integrator
    dt: float
    substeps: int
    card: Card

    def spread(self, x: Array, u: Array | None, x_next: Array) -> Array:
        """See ``hnn_envs.dynamics.Dynamics.spread``; ``x_next`` is where the model leads."""
        xp, shares = namespace(x_next), like(self._shares, x_next)
        squares = xp.zeros_like(x_next)
        with np.errstate(all="ignore"):
            for following in self._following(x, u):
                deviation = (following - x_next) * shares
                squares = squares + deviation * deviation
            largest = self.card.spread_scale * xp.sqrt(xp.max(squares, axis=-1) / len(self.fields))
            return xp.where(xp.isnan(largest), xp.full_like(largest, math.inf), largest)

    def _following(self, x: Array, u: Array | None) -> list[Array]:
        """Where each member leads."""
        if isinstance(x, np.ndarray) and x.dtype == np.float64:
            return [step(x, u) for step in self._steps]
        h = self.dt / self.substeps
        return [self.integrator.advance(field, x, u, h, self.substeps) for field in self.fields]

    @cached_property
    def _shares(self) -> Array:
        """One over the width of each component of the domain; 0 where it has none."""
        angles = np.array((*self.card.spec.angles, *(False,) * self.card.spec.dof))
        width = np.where(angles, np.minimum(self.card.domain.width, 2 * np.pi), self.card.domain.width)
        return constant(np.divide(1.0, width, out=np.zeros_like(width), where=width > 0))

    @cached_property
    def _steps(self) -> list[Step]:
        """The steps of the members, compiled where there is a kernel for them."""
        from hnn_envs.kernels import make_step

        return [make_step(field, self.integrator, self.dt, self.substeps) for field in self.fields]

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the machine code, which each process makes or loads for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_steps"}
