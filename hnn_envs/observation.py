"""Observation models: what shows the states of a system to who does not see them, and how states are read off that.

Physics that was learned from frames has one, an encoder and a decoder, as a part of its vector field. A task that is
seen through frames has one, too, the true one: a camera.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hnn_envs.arrays import Array


class ObservationModel(Protocol):
    """Observations of states, and states of observations; both are where what they are of is, NumPy or torch."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        ...

    def observe(self, x: Array) -> Array:
        """What states (..., 2*dof) look like, shape (..., *shape)."""
        ...

    def estimate(self, observation: Array) -> Array:
        """The states (..., 2*dof) that observations (..., *shape) show."""
        ...


@runtime_checkable
class Observed(Protocol):
    """A vector field that comes with the observation model that it was learned through."""

    @property
    def observation_model(self) -> ObservationModel:
        """What shows its states, and reads them."""
        ...
