"""Physical systems as Gymnasium environments, stepped by the true ODE or by a trained Hamiltonian neural network.

Importing this package registers the environments, as strings only: neither torch nor pygame is imported before
something needs it. ``gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0", dynamics="hnn")`` imports it by itself. Tools that
take an id and no keywords reach the same by ``hnn_envs:hnn_envs/PendulumHNN-v0``, and the baseline by
``hnn_envs:hnn_envs/PendulumBaseline-v0``: every environment has both of these ids, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import register

if TYPE_CHECKING:
    from hnn_envs.dynamics import Dynamics, make_dynamics
    from hnn_envs.envs import PhysicsEnv, PhysicsVectorEnv
    from hnn_envs.rollouts import Rollout, rollout
    from hnn_envs.systems import SYSTEMS, get_system
    from hnn_envs.tasks import TASKS, get_task

__version__ = "0.1.0"

__all__ = [
    "ENVIRONMENTS",
    "SYSTEMS",
    "TASKS",
    "Dynamics",
    "PhysicsEnv",
    "PhysicsVectorEnv",
    "Rollout",
    "__version__",
    "get_system",
    "get_task",
    "make_dynamics",
    "rollout",
]

ENVIRONMENTS = {
    "MassSpring": ("mass-spring", 100),
    "Pendulum": ("pendulum", 200),
    "RealPendulum": ("real-pendulum", 300),
    "TwoBody": ("two-body", 200),
    "ThreeBody": ("three-body", 500),
    "PixelPendulum": ("pixel-pendulum", 200),
}
"""Name in the environment's id -> (task, max_episode_steps); the task says the same, and a test compares the two."""

VECTOR_ENTRY_POINT = "hnn_envs.envs:PhysicsVectorEnv"
"""What Gymnasium makes a native batch of, for the environments here and for tasks that users register."""

_PHYSICS: dict[str, dict[str, str]] = {"": {}, "HNN": {"dynamics": "hnn"}, "Baseline": {"dynamics": "baseline"}}
"""What follows the name in an id -> the arguments that it stands for."""

_HOMES = {
    "Dynamics": "dynamics",
    "make_dynamics": "dynamics",
    "PhysicsEnv": "envs",
    "PhysicsVectorEnv": "envs",
    "Rollout": "rollouts",
    "rollout": "rollouts",
    "SYSTEMS": "systems",
    "get_system": "systems",
    "TASKS": "tasks",
    "get_task": "tasks",
}


def __getattr__(name: str) -> Any:
    """Imports what the package offers when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


for _name, (_task, _steps) in ENVIRONMENTS.items():
    for _suffix, _kwargs in _PHYSICS.items():
        register(
            id=f"hnn_envs/{_name}{_suffix}-v0",
            entry_point="hnn_envs.envs:PhysicsEnv",
            vector_entry_point=VECTOR_ENTRY_POINT,
            max_episode_steps=_steps,
            kwargs={"task": _task, **_kwargs},
        )
