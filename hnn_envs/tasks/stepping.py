"""The dynamics of a task: those of its system, with the task's step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hnn_envs.checkpoints import Checkpoint
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.hamiltonian import is_separable
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.tasks.task import Stepwise, Task


def make_task_dynamics(
    task: Task,
    physics: str | Checkpoint = "ode",
    *,
    dt: float | None = None,
    integrator: str | None = None,
    substeps: int | None = None,
    **options: Any,
) -> Dynamics:
    """Makes the dynamics that steps a task.

    They are those of ``make_dynamics``, with the task's dt by default, and with its own integrator and substeps where
    its steps are what is true, and none others are asked for. A field that the integrator cannot step, which has no
    separable Hamiltonian, takes as many steps of its own method.

    Raises:
        HnnEnvsError: as for ``make_dynamics``.
    """
    made = make_dynamics(
        task.system, physics, dt=task.dt if dt is None else dt, integrator=integrator, substeps=substeps, **options
    )
    if not isinstance(task, Stepwise) or integrator is not None:
        return made
    method = INTEGRATORS[task.integrator] if is_separable(made.field) else made.integrator
    return replace(made, integrator=method, substeps=task.substeps if substeps is None else made.substeps)
