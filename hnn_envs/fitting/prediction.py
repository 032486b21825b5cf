"""Losses for machines that were watched: states at the sampling interval under inputs, and no derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.interpolate import CubicHermiteSpline

from hnn_envs.arrays import Array, join, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.losses import StatesAsGiven
from hnn_envs.fitting.problem import Batch, Tensors
from hnn_envs.hamiltonian import LagrangianFlow, VectorField
from hnn_envs.integrators import get_integrator
from hnn_envs.parsing import Count
from hnn_envs.recordings.dataset import Dataset

LOST = 1e3
"""What counts at most, and where a model diverged, in units of the scales: a fit may begin from such a model, too."""


@dataclass(frozen=True)
class ImpulseLoss(StatesAsGiven):
    """Momentum balance of every interval, along paths that are interpolated between the states: where to start from.

    The momentum M(q) q' changes by the impulse of all forces. Between two samples the path is the cubic that meets both
    states, so nothing is integrated, and for series of terms the residuals are linear in the coefficients of M and V.
    The scale of M is that of the inputs; without any, it is such that M11 is 1 on average. What the cubic misses, a fit
    by prediction takes out afterwards.

    Attributes:
        nodes: points of Gauss's quadrature in each interval.
    """

    nodes: Count = 5

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """States at both ends (rows, 2, 2*dof) and at the nodes (rows, nodes, 2*dof), inputs and intervals.

        Raises:
            InvalidOptionError: the trajectories have one point only.
        """
        ends, inputs, spans = windows(data, 1)
        q, v = split(np.moveaxis(ends, 1, 0))
        places = (1 + np.polynomial.legendre.leggauss(self.nodes)[0]) / 2
        path = CubicHermiteSpline([0.0, 1.0], q, v * spans, axis=0)
        nodes = np.moveaxis(join(path(places), path.derivative()(places) / spans), 0, 1)
        return tuple(torch.tensor(values, dtype=dtype) for values in (ends, nodes, inputs[:, 0], spans))

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Change of momentum minus impulse, in units of the inputs' impulses (root mean square), shape (rows, dof).

        Without inputs the unit is what a mass of 1 would change by, and a last row (1, dof) is the mean of M11 - 1.

        Raises:
            InvalidOptionError: the field is not of a machine in velocities.
        """
        if not isinstance(field, LagrangianFlow):
            raise InvalidOptionError(f"an impulse loss needs a machine whose states are velocities, not {type(field)}")
        ends, nodes, inputs, spans = rows
        flow, machine = field.canonical, field.machine
        momenta = machine.momentum(*split(ends))
        force = machine.force(*split(nodes))
        if flow.dissipation is not None:
            force = force + flow.dissipation.force(split(nodes)[1])
        if flow.damping is not None:
            force = force - flow.damping * machine.momentum(*split(nodes))
        weights = torch.as_tensor(np.polynomial.legendre.leggauss(self.nodes)[1] / 2, dtype=nodes.dtype)
        pushed = flow.input_force(inputs)
        impulse = spans * ((weights[:, None] * force).sum(1) + pushed)
        missed = momenta[:, 1] - momenta[:, 0] - impulse
        if not rows[2].any():
            velocities = split(ends)[1]
            scale = machine.mass_matrix(split(ends)[0][:, 0])[:, 0, 0].mean() - 1
            unit = (velocities[:, 1] - velocities[:, 0]).square().mean().sqrt()
            return torch.cat((missed / unit, (scale * len(missed) ** 0.5).expand(1, missed.shape[1])))
        return missed / (spans * pushed).square().mean().sqrt()


@dataclass(frozen=True)
class PredictionLoss(StatesAsGiven):
    """From every state, what the model says about the next ones under the recorded inputs, against the recording.

    The steps are those that environments take, compiled where there is a kernel, and no gradient is kept: it is for
    optimisers that take differences.

    Attributes:
        horizon: how many intervals ahead; windows of so many follow each other without overlap.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``; None chooses by the field.
        substeps: integrator steps per interval.
        positions: compares q only, for states whose velocities were measured worse, or late.
        scaled: measures each component in units of what it changes by in an interval, root mean square.
    """

    horizon: Count = 1
    integrator: str | None = None
    substeps: Count = 1
    positions: bool = False
    scaled: bool = True

    differentiable: ClassVar[bool] = False

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """Windows of states (rows, horizon + 1, 2*dof), inputs (rows, horizon, inputs), intervals (rows, 1) and scales.

        The scale of a component has the shape (rows, 2*dof).

        Raises:
            InvalidOptionError: the trajectories are too short, or not evenly sampled.
        """
        states, inputs, spans = windows(data, self.horizon)
        if not np.allclose(spans, spans[0], rtol=1e-6):
            raise InvalidOptionError("a prediction loss needs evenly sampled data")
        changes = np.sqrt(np.square(np.diff(data.states, axis=1)).mean((0, 1)))
        scale = changes if self.scaled else np.ones_like(changes)
        tables = states, inputs, spans, np.broadcast_to(scale, (len(states), len(scale)))
        return tuple(torch.tensor(values, dtype=dtype) for values in tables)

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Predicted minus recorded states in units of their scales, shape (rows, horizon * 2*dof).

        Of positions alone it is half as many.
        """
        states, inputs, spans, scale = (values.numpy() for values in rows)
        compared = slice(states.shape[-1] // 2 if self.positions else None)
        step = self._stepper(field, float(spans[0, 0]))
        x, missed = states[:, 0], []
        for ahead in range(self.horizon):
            x = step(x, inputs[:, ahead])
            missed.append(((x - states[:, ahead + 1]) / scale)[:, compared])
        return torch.from_numpy(_bounded(np.concatenate(missed, axis=-1)))

    def _stepper(self, field: VectorField, span: float) -> Callable[[Array, Array | None], Array]:
        from hnn_envs.kernels import make_step

        return make_step(field, get_integrator(self.integrator, field), span, self.substeps)


def _bounded(missed: Array) -> Array:
    """Residuals of which none is larger than ``LOST``, nor NaN."""
    with np.errstate(invalid="ignore"):
        bounded = np.clip(missed, -LOST, LOST)
    return np.where(np.isnan(bounded), LOST, bounded)


def windows(data: Dataset, horizon: int) -> tuple[Array, Array, Array]:
    """Stretches of trajectories that follow each other without overlap.

    Returns:
        States (rows, horizon + 1, 2*dof), the inputs held over each of the intervals (rows, horizon, inputs), and the
        mean length of these (rows, 1).

    Raises:
        InvalidOptionError: the trajectories are too short.
    """
    count = (len(data.times) - 1) // horizon
    if count < 1:
        raise InvalidOptionError(
            f"predicting {horizon} intervals needs trajectories of {horizon + 1} points, and the data has "
            f"{len(data.times)}"
        )
    firsts = horizon * np.arange(count)
    states = data.states[:, firsts[:, None] + np.arange(horizon + 1)]
    inputs = data.inputs[:, firsts[:, None] + np.arange(horizon)]
    spans = np.broadcast_to((data.times[firsts + horizon] - data.times[firsts]) / horizon, (len(data), count))
    rows = len(data) * count
    return states.reshape(rows, *states.shape[2:]), inputs.reshape(rows, *inputs.shape[2:]), spans.reshape(rows, 1)
