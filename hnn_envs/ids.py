"""The ids of the environments: names only, so that Gymnasium knows them before anything else is imported.

Every environment has three ids: ``hnn_envs:hnn_envs/Pendulum-v0`` takes its physics as a keyword, and for tools that
take an id and no keywords ``PendulumHNN-v0`` and ``PendulumBaseline-v0`` stand for learned physics. Any other task is
reached by ``hnn_envs:hnn_envs/Task-v0`` with ``task="module:object"``, and what was learned from a recording of a
system that is not registered by ``hnn_envs:hnn_envs/Learned-v0`` with ``dynamics="FILE.safetensors"``.
"""

from __future__ import annotations

from typing import Any

from gymnasium.envs.registration import register

ENTRY_POINT = "hnn_envs.envs:PhysicsEnv"
VECTOR_ENTRY_POINT = "hnn_envs.envs:PhysicsVectorEnv"
"""What Gymnasium makes a native batch of, for the environments here and for tasks that users register."""
LEARNED_VECTOR_ENTRY_POINT = "hnn_envs.envs:make_learned_batch"
"""The same for what was learned from recordings."""
LEARNED = "hnn_envs:hnn_envs/Learned-v0"
"""The id for a checkpoint's file, with the keyword ``dynamics``."""
ANY_TASK = "hnn_envs:hnn_envs/Task-v0"
"""The id for any task, with the keyword ``task``."""

_PHYSICS: dict[str, dict[str, str]] = {"": {}, "HNN": {"dynamics": "hnn"}, "Baseline": {"dynamics": "baseline"}}
"""What follows the name in an id -> the arguments that it stands for."""

ENVIRONMENTS: dict[str, tuple[str, int]] = {}
"""Name in the environment's id -> (task, max_episode_steps); the task says the same, and a test compares the two."""


def register_environment(name: str, task: str, max_episode_steps: int) -> None:
    """Gives a task ids of its own: ``hnn_envs/NAME-v0``, ``hnn_envs/NAMEHNN-v0`` and ``hnn_envs/NAMEBaseline-v0``.

    Args:
        name: such as "Pendulum".
        task: the task's name, or "module:object".
        max_episode_steps: its horizon.
    """
    ENVIRONMENTS[name] = (task, max_episode_steps)
    for suffix, arguments in _PHYSICS.items():
        register(
            id=f"hnn_envs/{name}{suffix}-v0",
            entry_point=ENTRY_POINT,
            vector_entry_point=VECTOR_ENTRY_POINT,
            max_episode_steps=max_episode_steps,
            kwargs={"task": task, **arguments},
        )


def environment_of(task: str) -> tuple[str, dict[str, Any]]:
    """The id of a task's environment, and the keywords that it needs."""
    for name, (known, _) in ENVIRONMENTS.items():
        if known == task:
            return f"hnn_envs:hnn_envs/{name}-v0", {}
    return ANY_TASK, {"task": task}


for _name, _task, _steps in (
    ("MassSpring", "mass-spring", 100),
    ("Pendulum", "pendulum", 200),
    ("RealPendulum", "real-pendulum", 300),
    ("TwoBody", "two-body", 200),
    ("ThreeBody", "three-body", 500),
    ("CartPole", "cart-pole", 200),
    ("Acrobot", "acrobot", 200),
    ("Pendubot", "pendubot", 200),
):
    register_environment(_name, _task, _steps)
register(id=ANY_TASK.partition(":")[2], entry_point="hnn_envs.envs:make_limited", vector_entry_point=VECTOR_ENTRY_POINT)
register(
    id=LEARNED.partition(":")[2],
    entry_point="hnn_envs.envs:make_learned",
    vector_entry_point=LEARNED_VECTOR_ENTRY_POINT,
)
