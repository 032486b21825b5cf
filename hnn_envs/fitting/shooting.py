"""Losses that own unknowns: where a trajectory really starts, when the measured states are noisy.

The unknowns ("latents") are fitted together with the model and dropped when training ends. They are started from the
data; a loss says by name what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import make_interp_spline

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.problem import Batch, Tensors
from hnn_envs.hamiltonian import VectorField
from hnn_envs.integrators import get_fixed_step
from hnn_envs.parsing import Count, Positive
from hnn_envs.recordings.dataset import Dataset

SPLINE_DEGREE = 7


def displacements(data: Dataset) -> Array:
    """How far each trajectory has come since its start, the integral of x' by splines; the shape of the states.

    Where the data has exact derivatives this is exact as well, up to the spline's error, whatever the noise on x.

    Raises:
        InvalidOptionError: a trajectory has too few points for the spline.
    """
    if len(data.times) <= SPLINE_DEGREE:
        raise InvalidOptionError(
            f"integrating x' needs trajectories of more than {SPLINE_DEGREE} points, and the data has {len(data.times)}"
        )
    spline = make_interp_spline(data.times, data.derivatives, k=SPLINE_DEGREE, axis=1).antiderivative()
    path: Array = spline(data.times)
    return path - path[:, :1]


@dataclass(frozen=True)
class PathLoss:
    """Exact x' at noisy x: a trajectory is x(t) = x0 + integral of x', so its start x0 alone is uncertain.

    Residuals are f(x0 + S(t)) - x', in units of ``tolerance``, and x0 minus the mean of x - S, in units of that mean's
    standard error. A derivative fit at the noisy states would learn a flattened field (regression dilution); this one
    is not biased.

    Attributes:
        tolerance: how closely x' is to be met; lowered from stage to stage, it leads to the minimum.
        every: meets x' at every so many points only; where it is exact, few are enough.
    """

    tolerance: Positive = 1e-3
    every: Count = 1

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """Displacements S and derivatives (n, points, 2*dof), estimated starts and their standard errors (n, 2*dof).

        Raises:
            InvalidOptionError: the trajectories are too short, or not free.
        """
        if np.any(data.inputs):
            raise InvalidOptionError("a path loss needs the trajectories of a free system, and the data has inputs")
        moved = displacements(data)
        starts = (data.states - moved).mean(axis=1)
        noise = np.std(data.states - moved - starts[:, None], axis=(0, 1), ddof=1)
        errors = np.broadcast_to(noise / np.sqrt(len(data.times)), starts.shape).copy()
        met = moved[:, :: self.every].copy(), data.derivatives[:, :: self.every].copy()
        return tuple(torch.as_tensor(values, dtype=dtype) for values in (*met, starts, errors))

    def latents(self, rows: Batch) -> Tensors:
        """The starts of the trajectories, shape (n, 2*dof)."""
        return {"path.starts": rows[2].clone()}

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """All residuals in units of their standard deviation, one-dimensional."""
        moved, derivatives, starts, errors = rows
        fitted = (latents or self.latents(rows))["path.starts"]
        missed = (field(fitted[:, None] + moved) - derivatives) / self.tolerance
        return torch.cat((missed.flatten(), ((fitted - starts) / errors).flatten()))


@dataclass(frozen=True)
class IncrementLoss:
    """A forward difference is an increment: the model's flow over the sampling interval against it.

    Read as a derivative it would be x' half an interval later, an error of x'' dt / 2 that no model of x' can avoid.

    Attributes:
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``; None chooses by the field.
        substeps: integrator steps per interval.
    """

    integrator: str | None = None
    substeps: Count = 4

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """States (rows, 2*dof), inputs, derivatives, and the intervals that these were taken over, (rows, 1)."""
        states, derivatives, inputs = data.flat()
        spans = _spans(data).reshape(-1, 1)
        return tuple(torch.as_tensor(values, dtype=dtype) for values in (states, inputs, derivatives, spans))

    def latents(self, rows: Batch) -> Tensors:
        """None: every state is taken as it is."""
        return {}

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """(flow(x) - x) / interval - x', shape (rows, 2*dof)."""
        states, inputs, derivatives, spans = rows
        step = get_fixed_step(self.integrator, field).step
        x = states
        for _ in range(self.substeps):
            x = step(field, x, inputs, spans / self.substeps)
        return (x - states) / spans - derivatives


@dataclass(frozen=True)
class SeriesLoss:
    """One trajectory of the model through a whole measured series, from a free initial state.

    Attributes:
        noise: standard deviation of the measured states; residuals are in units of it.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``; None chooses by the field.
        substeps: integrator steps per shortest sampling interval; the others must be multiples of it.
    """

    noise: Positive = 1.0
    integrator: str | None = None
    substeps: Count = 1

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """The measured states (rows, 2*dof), how many intervals after the first each is, and the interval, (rows,).

        Raises:
            InvalidOptionError: the sampling intervals are no multiples of the shortest, or there are inputs.
        """
        if np.any(data.inputs):
            raise InvalidOptionError("a series loss needs a free system, and the data has inputs")
        spans = _spans(data).ravel()
        interval = spans.min()
        counts = np.rint(spans / interval)
        if np.abs(counts * interval - spans).max() > 1e-6 * interval:
            raise InvalidOptionError("a series loss needs sampling intervals that are multiples of the shortest")
        records = np.concatenate(([0.0], np.cumsum(counts[:-1])))
        states, _, _ = data.flat()
        steps = np.full(len(states), interval)
        return (torch.as_tensor(states, dtype=dtype), torch.as_tensor(records).long(), torch.as_tensor(steps))

    def latents(self, rows: Batch) -> Tensors:
        """The state that the series starts from, shape (1, 2*dof)."""
        return {"series.start": rows[0][:1].clone()}

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Model minus measured states in units of the noise, shape (rows, 2*dof)."""
        states, records, steps = rows
        x = (latents or self.latents(rows))["series.start"]
        step = get_fixed_step(self.integrator, field).step
        h = float(steps[0]) / self.substeps
        path = [x]
        for _ in range(int(records[-1])):
            for _ in range(self.substeps):
                x = step(field, x, None, h)
            path.append(x)
        return (torch.cat(path)[records] - states) / self.noise


def _spans(data: Dataset) -> Array:
    if data.spans is None:
        raise InvalidOptionError("this loss needs data whose derivatives are differences over known intervals")
    return data.spans
