"""Physical systems as Gymnasium environments, stepped by the true ODE or by a trained Hamiltonian neural network.

Importing this package registers the environments, as strings only: neither torch nor pygame is imported before
something needs it. ``gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0", dynamics="hnn")`` imports it by itself. Tools that
take an id and no keywords reach the same by ``hnn_envs:hnn_envs/PendulumHNN-v0``, and the baseline by
``hnn_envs:hnn_envs/PendulumBaseline-v0``: every environment has both of these ids, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hnn_envs import pixels as pixels  # adds the pixel pendulum, by name only
from hnn_envs.ids import ENVIRONMENTS, register_environment
from hnn_envs.version import __version__

if TYPE_CHECKING:
    from hnn_envs.dynamics import Dynamics, make_dynamics
    from hnn_envs.envs import PhysicsEnv, PhysicsVectorEnv
    from hnn_envs.envs.twin import twin
    from hnn_envs.exploration.explorer import Explorer
    from hnn_envs.exploration.goal import Goal
    from hnn_envs.learning import LearnedModel, learn
    from hnn_envs.models import register_family
    from hnn_envs.recordings.adapters import Adapter, Stop, register_adapter
    from hnn_envs.recordings.recording import Recording
    from hnn_envs.recordings.watching import record
    from hnn_envs.rollouts import Rollout, rollout
    from hnn_envs.systems import SYSTEMS, get_system, register_system
    from hnn_envs.tasks import TASKS, get_task, register_task

__all__ = [
    "ENVIRONMENTS",
    "SYSTEMS",
    "TASKS",
    "Adapter",
    "Dynamics",
    "Explorer",
    "Goal",
    "LearnedModel",
    "PhysicsEnv",
    "PhysicsVectorEnv",
    "Recording",
    "Rollout",
    "Stop",
    "__version__",
    "get_system",
    "get_task",
    "learn",
    "make_dynamics",
    "record",
    "register_adapter",
    "register_environment",
    "register_family",
    "register_system",
    "register_task",
    "rollout",
    "twin",
]

_HOMES = {
    "Dynamics": "dynamics",
    "make_dynamics": "dynamics",
    "PhysicsEnv": "envs",
    "PhysicsVectorEnv": "envs",
    "Explorer": "exploration.explorer",
    "Goal": "exploration.goal",
    "LearnedModel": "learning",
    "learn": "learning",
    "Adapter": "recordings.adapters",
    "Recording": "recordings.recording",
    "Stop": "recordings.adapters",
    "record": "recordings.watching",
    "register_adapter": "recordings.adapters",
    "Rollout": "rollouts",
    "rollout": "rollouts",
    "twin": "envs.twin",
    "SYSTEMS": "systems",
    "get_system": "systems",
    "TASKS": "tasks",
    "get_task": "tasks",
    "register_family": "models",
    "register_system": "systems",
    "register_task": "tasks",
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
