"""Trajectories of the true systems, exact to 1e-9: a whole batch at once, and the difficult ones by DOP853."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from hnn_envs.arrays import Array
from hnn_envs.hamiltonian import is_separable
from hnn_envs.integrators import Integrator, get_integrator
from hnn_envs.systems import System

TOLERANCE = 1e-8
FIRST_STEP = 8.0
"""In units of the system's longest step: most trajectories are far easier than the worst that a task allows."""
HALVINGS = 6


def exact_trajectories(system: System, starts: Array, times: Array, inputs: Array | None = None) -> Array:
    """Integrates many initial states through the same times.

    All are stepped together by the method that suits the system; those that change by more than the tolerance when the
    step is halved are done again with the halved step, and what is left at the shortest (a close encounter, say) by
    DOP853. A method that chooses its steps is trusted with them.

    Args:
        system: the system.
        starts: initial states at times[0], shape (n, 2*dof).
        times: increasing, shape (points,).
        inputs: held constant throughout, shape (n, inputs); None for the free system.

    Returns:
        States, shape (n, points, 2*dof).
    """
    if _method(system).adaptive:
        return _stepped(system, starts, times, inputs, np.inf)
    states = np.full((len(starts), len(times), starts.shape[-1]), np.nan)
    rows = np.arange(len(starts))
    for halving in range(HALVINGS):
        step = FIRST_STEP * system.spec.longest_step * _method(system).stride / 2**halving
        with np.errstate(all="ignore"):
            finer = _stepped(system, starts[rows], times, None if inputs is None else inputs[rows], step)
            settled = np.abs(finer - states[rows]).max(axis=(1, 2), initial=0.0) < TOLERANCE
        states[rows] = finer
        rows = rows[~settled]
        if not len(rows):
            return states
    for row in rows:
        states[row] = _dop853(system, starts[row], times, None if inputs is None else inputs[row])
    return states


def _stepped(system: System, starts: Array, times: Array, inputs: Array | None, longest: float) -> Array:
    states = np.empty((len(starts), len(times), starts.shape[-1]))
    states[:, 0] = x = starts
    for index, span in enumerate(np.diff(times)):
        steps = max(1, int(np.ceil(span / longest)))
        states[:, index + 1] = x = _advanced(system, x, inputs, span, steps)
    return states


def _advanced(system: System, x: Array, inputs: Array | None, span: float, steps: int) -> Array:
    from hnn_envs.kernels import make_step

    return make_step(system.field, _method(system), span, steps)(x, inputs)


def _method(system: System) -> Integrator:
    """What suits the system; where H is separable PEFRL, whatever environments step it by, so that data stays as it is.

    The steps are halved until they are short enough, through encounters too.
    """
    return get_integrator("pefrl" if is_separable(system.field) else None, system.field)


def _dop853(system: System, start: Array, times: Array, held: Array | None) -> Array:
    solution = solve_ivp(
        lambda _, x: system.field(x, held),
        (times[0], times[-1]),
        start,
        "DOP853",
        t_eval=times,
        rtol=1e-11,
        atol=1e-12,
    )
    return solution.y.T
