"""Environments of what was learned from recordings: a checkpoint's file, and a task on the system that it describes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import is_path, load_checkpoint
from hnn_envs.envs.single import PhysicsEnv, limited
from hnn_envs.envs.vector import PhysicsVectorEnv
from hnn_envs.errors import InvalidOptionError, NoTruthError
from hnn_envs.ids import LEARNED
from hnn_envs.parsing import user_path
from hnn_envs.tasks import Task
from hnn_envs.tasks.own import task_on


def make_learned(
    dynamics: str | Path | None = None,
    task: str | None = None,
    task_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> gymnasium.Env[Array, Array]:
    """An environment of a system that is known by recordings: what ``hnn_envs:hnn_envs/Learned-v0`` makes.

        gymnasium.make("hnn_envs:hnn_envs/Learned-v0", dynamics="arm.safetensors", task="my_tasks:HoldUpright")

    Args:
        dynamics: the path of the .safetensors file that was learned.
        task: the user's own, "module:object"; None for ``hnn_envs.tasks.regulate.Regulate``, which brings the system
            to rest. What ``hnn_envs.tasks.own.task_on`` says is made of it.
        task_options: arguments of the task, such as {"target": [0, 3.14, 0, 0]} for ``Regulate``; the time limit is
            the task's, for ``Regulate`` {"max_episode_steps": 500}.
        **options: as for ``PhysicsEnv``: trust, integrator, dt, substeps, render_mode, device, dtype.

    Raises:
        HnnEnvsError: an argument that cannot be used; the message says what is allowed.
    """
    path = _file(dynamics)
    return limited(PhysicsEnv(_task(path, task, task_options), path, **options))


def make_learned_batch(
    num_envs: int = 1,
    dynamics: str | Path | None = None,
    task: str | None = None,
    task_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> PhysicsVectorEnv:
    """A batch of them, as ``gymnasium.make_vec`` makes it.

    Args:
        num_envs: number of environments.
        dynamics: as for ``make_learned``, and so are task and task_options.
        task: the task.
        task_options: its arguments.
        **options: as for ``PhysicsVectorEnv``.

    Raises:
        HnnEnvsError: an argument that cannot be used; the message says what is allowed.
    """
    path = _file(dynamics)
    return PhysicsVectorEnv(_task(path, task, task_options), num_envs, path, **options)


def _file(dynamics: Any) -> str:
    """The path of a checkpoint.

    Raises:
        NoTruthError: the ODE was asked for.
        InvalidOptionError: something else that is no path.
    """
    if dynamics == "ode":
        raise NoTruthError(
            f"{LEARNED} is of systems whose equations are not known, so there is no dynamics='ode'; give the path of "
            "the .safetensors file that was learned from recordings"
        )
    if not isinstance(dynamics, str | Path) or not is_path(str(dynamics)):
        raise InvalidOptionError(
            f"{LEARNED} needs dynamics=, the path of a .safetensors file that was learned from recordings, not "
            f"{dynamics!r}"
        )
    return str(dynamics)


def _task(path: str, task: str | None, options: Mapping[str, Any] | None) -> Task:
    if options is not None and not isinstance(options, Mapping):
        raise InvalidOptionError(f"task_options must be a dictionary, not {options!r}")
    return task_on(load_checkpoint(user_path(path)).card, task, options)
