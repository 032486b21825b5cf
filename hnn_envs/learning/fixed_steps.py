"""Steps of a fixed method, which are smooth in states and parameters, and how fine they have to be."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.fitting.windows import Stepper
from hnn_envs.hamiltonian import VectorField
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.kernels import make_step
from hnn_envs.recordings.windows import Watched, mean_inputs

METHOD = INTEGRATORS["rk4"]
MOST_SUBSTEPS = 64
"""Of a step, however stiff friction is."""
MOST_OF = 0.9
"""The share of states whose steps are as fine as asked for."""


def fixed_stepper(substeps: int) -> Stepper:
    """What steps fields by so many steps of the fixed method."""
    return lambda field, dt: make_step(field, METHOD, dt, substeps)


def enough_substeps(
    field: VectorField, dt: float, x: Array, u: Array, limit: Array, most: int = MOST_SUBSTEPS
) -> tuple[int, Array]:
    """How many steps of the fixed method a step of ``dt`` needs: twice as many change it by less than a limit.

    Args:
        field: what is stepped.
        dt: time of a step.
        x: states (n, 2*dof).
        u: inputs (n, inputs).
        limit: of the change by component, shape (2*dof,), for nine of ten states: dry friction that turns around within
            a step may take far more.
        most: never more.

    Returns:
        The number, and the root mean square of the change that twice as many would make.
    """
    substeps = 1
    coarse = fixed_stepper(substeps)(field, dt)(x, u)
    while True:
        fine = fixed_stepper(2 * substeps)(field, dt)(x, u)
        with np.errstate(invalid="ignore", over="ignore"):
            changes = np.abs(fine - coarse)
            usable = np.isfinite(changes).all(axis=1)
            changes = changes[usable] if usable.any() else np.full((1, x.shape[1]), np.inf)
            fine_enough = (np.quantile(changes, MOST_OF, axis=0) < limit).all()
            if fine_enough or 2 * substeps > most:
                return substeps, np.sqrt(np.square(changes).mean(axis=0))
        substeps, coarse = 2 * substeps, fine


def intervals_of(watched: Watched) -> tuple[Array, Array]:
    """The states that intervals between samples begin with (n, 2*dof), and the inputs over them (n, inputs)."""
    runs = watched.recording.runs
    states = [path.states(run.times[:-1]) for run, path in zip(runs, watched.paths, strict=True)]
    return np.concatenate(states), np.concatenate([mean_inputs(run, run.times) for run in runs])
