"""Residuals between a model and data. A loss is their mean square; a least-squares optimiser wants them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from hnn_envs.arrays import Array, join, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting import LOSSES
from hnn_envs.fitting.problem import Batch, Tensors
from hnn_envs.hamiltonian import VectorField
from hnn_envs.integrators import get_fixed_step
from hnn_envs.parsing import Amount, Count
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.registry import construct


class Loss(Protocol):
    """What a stage of training minimises."""

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """Turns a data set into tensors of rows."""
        ...

    def latents(self, rows: Batch) -> Tensors:
        """Unknowns of the data, started from it, which are fitted together with the model; mostly there are none."""
        ...

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Model minus data, one row per row of the batch (or any shape, where there are latents)."""
        ...


class StatesAsGiven:
    """For losses that take the data's states as they are."""

    def latents(self, rows: Batch) -> Tensors:
        """No unknowns."""
        return {}


@dataclass(frozen=True)
class DerivativeLoss(StatesAsGiven):
    """The seed paper's loss: the model's x' against the data's (Greydanus et al. 2019, eq. 3).

    Attributes:
        balance: 0 weighs all residuals alike; b > 0 divides each by 1 + b |x'|, so that rare strong forces do not drown
            the rest.
        relative: divides the errors of p' by the largest component of p' in the same state instead: relative errors,
            alike from the widest orbit to the closest encounter.
    """

    balance: Amount = 0.0
    relative: bool = False

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """States, inputs, derivatives and weights."""
        states, derivatives, inputs = data.flat()
        size = np.linalg.norm(derivatives, axis=-1, keepdims=True)
        weights = 1 / (1 + self.balance * size)
        if self.relative:
            q_rate, p_rate = split(derivatives)
            largest = np.maximum(np.abs(p_rate).max(axis=-1, keepdims=True), np.finfo(float).tiny)
            weights = join(np.ones_like(q_rate), np.broadcast_to(1 / largest, p_rate.shape))
        return tuple(torch.as_tensor(values, dtype=dtype) for values in (states, inputs, derivatives, weights))

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Weighted f(x, u) - x', shape (rows, 2*dof)."""
        states, inputs, derivatives, weights = rows
        return weights * (field(states, inputs) - derivatives)


@dataclass(frozen=True)
class TrajectoryLoss(StatesAsGiven):
    """Multi-step prediction: from every state, integrate the model through the next ones and compare the states.

    Attributes:
        horizon: how many sampling intervals ahead, under the inputs of each.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``; None chooses by the field.
        substeps: integrator steps per sampling interval.
        scaled: measures each component in units of what it changes by in an interval, root mean square.
    """

    horizon: Count = 1
    integrator: str | None = None
    substeps: Count = 4
    scaled: bool = False

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """Windows of states (rows, horizon + 1, 2*dof), inputs (rows, horizon, inputs), intervals and scales.

        Intervals have the shape (rows, 1), the components' scales (rows, 2*dof).

        Raises:
            InvalidOptionError: the trajectories are too short, or not evenly sampled.
        """
        intervals = np.diff(data.times)
        if len(intervals) < self.horizon:
            raise InvalidOptionError(
                f"a trajectory loss {self.horizon} intervals ahead needs trajectories of {self.horizon + 1} points, "
                f"and the data has {len(data.times)}"
            )
        if not np.allclose(intervals, intervals[0], rtol=1e-6):
            raise InvalidOptionError("a trajectory loss needs evenly sampled data")
        windows, inputs = _sliding(data.states, self.horizon + 1), _sliding(data.inputs[:, :-1], self.horizon)
        interval, scale = np.full((len(windows), 1), intervals[0]), np.ones((len(windows), data.states.shape[-1]))
        if self.scaled:
            changes = np.sqrt(np.square(np.diff(data.states, axis=1)).mean((0, 1)))
            scale *= np.where(changes > 0, changes, 1.0)
        return tuple(torch.as_tensor(values, dtype=dtype) for values in (windows, inputs, interval, scale))

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Predicted minus given states, shape (rows, horizon * 2*dof)."""
        windows, inputs, interval, scale = rows
        step = get_fixed_step(self.integrator, field).step
        h = float(interval[0, 0]) / self.substeps
        x, predicted = windows[:, 0], []
        for ahead in range(self.horizon):
            for _ in range(self.substeps):
                x = step(field, x, inputs[:, ahead], h)
            predicted.append(x)
        missed = torch.stack(predicted, dim=1) - windows[:, 1:]
        return (missed / scale[:, None] if self.scaled else missed).flatten(1)


def _sliding(values: Array, length: int) -> Array:
    """All stretches of a length in trajectories (n, points, size), shape (rows, length, size)."""
    stretches = np.moveaxis(np.lib.stride_tricks.sliding_window_view(values, length, axis=1), -1, 2)
    return stretches.reshape(-1, length, values.shape[-1]).copy()


def make_loss(name: str, settings: dict[str, Any]) -> Loss:
    """Builds a loss from its name and settings.

    Raises:
        UnknownNameError: there is no such loss.
        InvalidOptionError: the settings do not fit it.
    """
    loss: Loss = construct(f"loss {name!r}", LOSSES[name], settings)
    return loss


def mean_square(residuals: Array) -> Array:
    """The loss that tables report: the mean over rows and components."""
    return (residuals * residuals).mean()
