"""Rollouts without Gymnasium: many initial states, many steps, any dynamics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint, is_path, load_checkpoint
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidActionError, InvalidOptionError, InvalidStateError
from hnn_envs.memory import check_memory
from hnn_envs.parsing import user_path
from hnn_envs.systems import Known, SystemSpec, resolve_system, spec_of

ControlLaw = Callable[[float, Array], Array]
"""(time, states (n, 2*dof)) -> inputs u in physical units, (n, inputs)."""

COPIES = 3
"""Arrays as large as all states that a rollout holds at a time: these, and what their energies take on the way."""


@dataclass(frozen=True)
class Rollout:
    """Trajectories of n initial states, at the start and after every recorded step.

    Attributes:
        times: shape (records,).
        states: shape (records, n, 2*dof), float64; NaN from where a trajectory diverged.
        inputs: the inputs u in physical units that were held over the step *before* each record, shape
            (records - 1, n, inputs).
        energies: the energy along the trajectories, shape (records, n): the true one where it is known, else the
            learned one; None where the physics has none either.
    """

    times: Array
    states: Array
    inputs: Array
    energies: Array | None


def rollout(
    system: str | Path | Known | Checkpoint,
    states: Array,
    steps: int,
    *,
    dynamics: str | Checkpoint | Dynamics | None = None,
    inputs: Array | ControlLaw | None = None,
    every: int = 1,
    progress: Callable[[int], Any] | None = None,
    **options: Any,
) -> Rollout:
    """Integrates many initial states with any dynamics.

    Args:
        system: a system, its name, or a checkpoint or its path, as for ``make_dynamics``.
        states: initial states, shape (n, 2*dof) or (2*dof,).
        steps: number of steps.
        dynamics: a name or a checkpoint, as for ``make_dynamics``, or dynamics already made.
        inputs: u in physical units: None for the free system, an array (steps, n, inputs) or anything that
            broadcasts to it, or a function of time and states; what that gives for a diverged trajectory is ignored.
        every: records every so many steps only; must divide ``steps``.
        progress: called with the number of steps done, after every record.
        **options: dt, integrator, substeps, device, dtype, as for ``make_dynamics``.

    Returns:
        Times, states, inputs and energies.

    Raises:
        InvalidStateError: states of the wrong shape, or not finite.
        InvalidActionError: inputs of the wrong shape, or not finite.
        InvalidOptionError: steps or every out of range, more records than fit into memory, or options next to dynamics
            already made.
    """
    made = _resolve(system, dynamics, options)
    x = _checked_states(made.spec, states)
    if not (_is_count(steps) and _is_count(every) and steps % every == 0):
        raise InvalidOptionError(
            f"steps and every must be positive integers, every a divisor of steps, not {steps!r} and {every!r}"
        )
    count = made.spec.force_matrix.shape[-1]
    check_memory(
        8.0 * (steps // every) * len(x) * (COPIES * x.shape[-1] + count),
        f"{steps // every} records of {len(x)} trajectories",
        "record every so many steps only, with every",
    )
    control = _controller(inputs, made.dt, steps, len(x), count)
    records = steps // every + 1
    history = np.full((records, *x.shape), np.nan)
    applied = np.zeros((records - 1, len(x), count))
    history[0] = x
    current = made.to_device(x)
    with np.errstate(all="ignore"):
        for step in range(steps):
            u = None if control is None else control(step, made.to_numpy(current))
            current = made.step(current, None if u is None else made.to_device(u))
            record, remainder = divmod(step + 1, every)
            if remainder == 0:
                history[record] = made.to_numpy(current)
                if u is not None:
                    applied[record - 1] = u
                if progress is not None:
                    progress(step + 1)
        history[~np.isfinite(history).all(-1)] = np.nan
        return Rollout(np.arange(records) * (every * made.dt), history, applied, made.reported_energy(history))


def _resolve(
    system: str | Path | Known | Checkpoint, dynamics: str | Checkpoint | Dynamics | None, options: dict[str, Any]
) -> Dynamics:
    if not isinstance(dynamics, Dynamics):
        return make_dynamics(system, dynamics, **options)
    if options:
        raise InvalidOptionError(
            f"{', '.join(options)} cannot be changed on dynamics already made; pass its name instead"
        )
    name = _name_of(system)
    if dynamics.spec.name != name:
        raise InvalidOptionError(f"dynamics made for {dynamics.spec.name!r} cannot step {name!r}")
    return dynamics


def _name_of(system: str | Path | Known | Checkpoint) -> str:
    if isinstance(system, Path) or (isinstance(system, str) and is_path(system)):
        system = load_checkpoint(user_path(system))
    return system.card.system if isinstance(system, Checkpoint) else spec_of(resolve_system(system)).name


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= 1)


def _checked_states(spec: SystemSpec, states: Array) -> Array:
    try:
        x = np.array(states, dtype=np.float64, ndmin=2)
    except (ValueError, TypeError) as error:
        raise InvalidStateError(f"states must be an array of numbers: {error}") from error
    if x.ndim != 2 or x.shape[-1] != 2 * spec.dof:
        raise InvalidStateError(
            f"states of {spec.name} have shape (n, {2 * spec.dof}) or ({2 * spec.dof},), not {np.shape(states)}"
        )
    if not np.isfinite(x).all():
        raise InvalidStateError("states must be finite; a NaN or an infinity was given")
    return x


def _controller(
    given: Array | ControlLaw | None, dt: float, steps: int, count: int, inputs: int
) -> Callable[[int, Array], Array] | None:
    """Turns what the user gave into a function (step, states) -> inputs (n, inputs), or None for the free system."""
    if given is None:
        return None
    if callable(given):
        controller = given
        # A copy, so that no controller changes the states; and what it makes of a NaN is no error of its own.
        return lambda step, x: _checked_inputs(
            controller(step * dt, x.copy()), (count, inputs), ignored=~np.isfinite(x).all(-1)
        )
    table = _checked_inputs(given, (steps, count, inputs))
    return lambda step, _: table[step]


def _checked_inputs(values: Array, shape: tuple[int, ...], ignored: Array | None = None) -> Array:
    """Inputs of the given shape; those of ``ignored`` trajectories, shape (n,), are set to zero."""
    try:
        given = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InvalidActionError(f"inputs must be an array of numbers: {error}") from error
    try:
        u = np.broadcast_to(given, shape)
    except ValueError as error:
        raise InvalidActionError(f"inputs must have shape {shape} or broadcast to it, not {given.shape}") from error
    if ignored is not None:
        u = np.where(ignored[:, None], 0.0, u)
    if not np.isfinite(u).all():
        raise InvalidActionError("inputs must be finite; a NaN or an infinity was given")
    return u
