"""Rollouts without Gymnasium: many initial states, many steps, any dynamics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidActionError, InvalidOptionError, InvalidStateError
from hnn_envs.memory import check_memory
from hnn_envs.systems import System, get_system

Controller = Callable[[float, Array], Array]
"""(time, states (n, 2*dof)) -> inputs (n, inputs)."""

COPIES = 3
"""Arrays as large as all states that a rollout holds at a time: these, and what their energies take on the way."""


@dataclass(frozen=True)
class Rollout:
    """Trajectories of n initial states, at the start and after every recorded step.

    Attributes:
        times: shape (records,).
        states: shape (records, n, 2*dof), float64; NaN from where a trajectory diverged.
        actions: the inputs in physical units that were held over the step *before* each record, shape
            (records - 1, n, inputs).
        energies: the true energy H along the trajectories, shape (records, n).
    """

    times: Array
    states: Array
    actions: Array
    energies: Array


def rollout(
    system: str | System,
    states: Array,
    steps: int,
    *,
    dynamics: str | Checkpoint | Dynamics = "ode",
    actions: Array | Controller | None = None,
    every: int = 1,
    progress: Callable[[int], Any] | None = None,
    **options: Any,
) -> Rollout:
    """Integrates many initial states with any dynamics.

    Args:
        system: a system or its name.
        states: initial states, shape (n, 2*dof) or (2*dof,).
        steps: number of steps.
        dynamics: a name or a checkpoint, as for ``make_dynamics``, or dynamics already made.
        actions: inputs in physical units: None for the free system, an array (steps, n, inputs) or anything that
            broadcasts to it, or a function of time and states; what that gives for a diverged trajectory is ignored.
        every: records every so many steps only; must divide ``steps``.
        progress: called with the number of steps done, after every record.
        **options: dt, integrator, substeps, device, dtype, as for ``make_dynamics``.

    Returns:
        Times, states, actions and true energies.

    Raises:
        InvalidStateError: states of the wrong shape, or not finite.
        InvalidActionError: actions of the wrong shape, or not finite.
        InvalidOptionError: steps or every out of range, more records than fit into memory, or options next to dynamics
            already made.
    """
    system = get_system(system) if isinstance(system, str) else system
    dynamics = _resolve(system, dynamics, options)
    x = _checked_states(system, states)
    if not (_is_count(steps) and _is_count(every) and steps % every == 0):
        raise InvalidOptionError(
            f"steps and every must be positive integers, every a divisor of steps, not {steps!r} and {every!r}"
        )
    inputs = np.shape(system.field.input_matrix)[-1]
    check_memory(
        8.0 * (steps // every) * len(x) * (COPIES * x.shape[-1] + inputs),
        f"{steps // every} records of {len(x)} trajectories",
        "record every so many steps only, with every",
    )
    control = _controller(actions, dynamics.dt, steps, len(x), inputs)
    records = steps // every + 1
    history = np.full((records, *x.shape), np.nan)
    applied = np.zeros((records - 1, len(x), inputs))
    history[0] = x
    current = dynamics.to_device(x)
    with np.errstate(all="ignore"):
        for step in range(steps):
            u = None if control is None else control(step, dynamics.to_numpy(current))
            current = dynamics.step(current, None if u is None else dynamics.to_device(u))
            record, remainder = divmod(step + 1, every)
            if remainder == 0:
                history[record] = dynamics.to_numpy(current)
                if u is not None:
                    applied[record - 1] = u
                if progress is not None:
                    progress(step + 1)
        history[~np.isfinite(history).all(-1)] = np.nan
        return Rollout(np.arange(records) * (every * dynamics.dt), history, applied, system.value(history))


def _resolve(system: System, dynamics: str | Checkpoint | Dynamics, options: dict[str, Any]) -> Dynamics:
    if not isinstance(dynamics, Dynamics):
        return make_dynamics(system, dynamics, **options)
    if options:
        raise InvalidOptionError(
            f"{', '.join(options)} cannot be changed on dynamics already made; pass its name instead"
        )
    if dynamics.system.name != system.name:
        raise InvalidOptionError(f"dynamics made for {dynamics.system.name!r} cannot step {system.name!r}")
    return dynamics


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= 1)


def _checked_states(system: System, states: Array) -> Array:
    try:
        x = np.array(states, dtype=np.float64, ndmin=2)
    except (ValueError, TypeError) as error:
        raise InvalidStateError(f"states must be an array of numbers: {error}") from error
    if x.ndim != 2 or x.shape[-1] != 2 * system.dof:
        raise InvalidStateError(
            f"states of {system.name} have shape (n, {2 * system.dof}) or ({2 * system.dof},), not {np.shape(states)}"
        )
    if not np.isfinite(x).all():
        raise InvalidStateError("states must be finite; a NaN or an infinity was given")
    return x


def _controller(
    actions: Array | Controller | None, dt: float, steps: int, count: int, inputs: int
) -> Callable[[int, Array], Array] | None:
    """Turns what the user gave into a function (step, states) -> inputs (n, inputs), or None for the free system."""
    if actions is None:
        return None
    if callable(actions):
        controller = actions
        # A copy, so that no controller changes the states; and what it makes of a NaN is no error of its own.
        return lambda step, x: _checked_actions(
            controller(step * dt, x.copy()), (count, inputs), ignored=~np.isfinite(x).all(-1)
        )
    table = _checked_actions(actions, (steps, count, inputs))
    return lambda step, _: table[step]


def _checked_actions(actions: Array, shape: tuple[int, ...], ignored: Array | None = None) -> Array:
    """Actions of the given shape; those of ``ignored`` trajectories, shape (n,), are set to zero."""
    try:
        given = np.asarray(actions, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InvalidActionError(f"actions must be an array of numbers: {error}") from error
    try:
        u = np.broadcast_to(given, shape)
    except ValueError as error:
        raise InvalidActionError(f"actions must have shape {shape} or broadcast to it, not {given.shape}") from error
    if ignored is not None:
        u = np.where(ignored[:, None], 0.0, u)
    if not np.isfinite(u).all():
        raise InvalidActionError("actions must be finite; a NaN or an infinity was given")
    return u
