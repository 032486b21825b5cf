"""Rollouts that torch differentiates: what a loss, a cost or a policy wants to know of the physics below it.

    states = differentiable_rollout(dynamics, x0, inputs)  # x0 (..., 2*dof), inputs (steps, ..., inputs)
    cost(states).backward()

The values are those of ``Dynamics.step``, in machine code where there is some, and the gradients those of
``Dynamics.jacobian``: what holds for these, for every family, integrator and device, holds here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hnn_envs.arrays import Array
from hnn_envs.dynamics import Dynamics
from hnn_envs.errors import InvalidActionError, InvalidOptionError, InvalidStateError


def differentiable_rollout(dynamics: Dynamics, start: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """The states from a start on, with gradients by the start and by all inputs; in float64.

    A rollout is one operation: nothing is recorded step by step, and its backward pass is one batched call of
    ``dynamics.jacobian`` for all steps at once, and a product of matrices per step. Gradients are exact to what that
    says: 1e-8, but where dry friction turns around. The steps that an adaptive method chooses are no function of the
    state to it. There are no second derivatives, and none by the parameters of a model.

    Args:
        dynamics: the physics, true or learned.
        start: first states, shape (..., 2*dof).
        inputs: in physical units, each held over a step, shape (steps, ..., inputs); leading axes broadcast with those
            of the start.

    Returns:
        Shape (steps + 1, ..., 2*dof), on the device of the start. What diverges is not finite.

    Raises:
        InvalidStateError: a start of another shape or dtype.
        InvalidActionError: inputs of another shape or dtype.
        InvalidOptionError: tensors on another device than the physics.
    """
    spec = dynamics.spec
    size, count = 2 * spec.dof, len(spec.inputs)
    if not (start.ndim and start.shape[-1] == size and start.dtype == torch.float64):
        raise InvalidStateError(f"a start of {spec.name} is float64 of shape (..., {size}), not {_described(start)}")
    if not (inputs.ndim > 1 and len(inputs) and inputs.shape[-1] == count and inputs.dtype == torch.float64):
        raise InvalidActionError(
            f"inputs of {spec.name} are float64 of shape (steps, ..., {count}), not {_described(inputs)}"
        )
    wanted = torch.device("cpu" if dynamics.device is None else dynamics.device)
    if not start.device == inputs.device or start.device.type != wanted.type:
        raise InvalidOptionError(
            f"start and inputs must be on the device of the physics, {wanted}, not {start.device} and {inputs.device}"
        )
    try:
        leading = np.broadcast_shapes(tuple(start.shape[:-1]), tuple(inputs.shape[1:-1]))
    except ValueError as error:
        raise InvalidActionError(f"inputs {_described(inputs)} do not go with a start {_described(start)}") from error
    x, u = start.expand(*leading, size), inputs.expand(len(inputs), *leading, count)
    states: torch.Tensor = _Rollout.apply(x, u, dynamics)  # type: ignore[no-untyped-call]
    return states


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


class _Rollout(torch.autograd.Function):
    """All steps of a rollout as one operation."""

    @staticmethod
    def forward(ctx: Any, start: torch.Tensor, inputs: torch.Tensor, dynamics: Dynamics) -> torch.Tensor:
        """The states, the start among them."""
        x, u = _own(dynamics, start), _own(dynamics, inputs)
        states = [x]
        for held in u:
            states.append(dynamics.step(states[-1], held))
        ctx.dynamics = dynamics
        path = torch.from_numpy(np.stack(states)) if dynamics.device is None else torch.stack(states)
        ctx.save_for_backward(path, inputs)
        return path.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slopes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """The slopes by the start and by the inputs, from those by all states (steps + 1, ..., 2*dof)."""
        states, inputs = ctx.saved_tensors
        a, b = (
            torch.as_tensor(each)
            for each in ctx.dynamics.jacobian(_own(ctx.dynamics, states[:-1]), _own(ctx.dynamics, inputs))
        )
        carried, by_inputs = slopes[-1], torch.empty_like(inputs)
        for step in range(len(inputs) - 1, -1, -1):
            by_inputs[step] = (carried[..., None, :] @ b[step])[..., 0, :]
            carried = (carried[..., None, :] @ a[step])[..., 0, :] + slopes[step]
        return carried, by_inputs, None


def _own(dynamics: Dynamics, values: torch.Tensor) -> Array:
    """Values as the physics computes with them."""
    detached = values.detach()
    return detached.numpy() if dynamics.device is None else detached
