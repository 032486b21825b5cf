"""What agents are asked, one file per task: spaces, initial states, observation, reward, end and drawing.

To add a task, write its file and a line in ``TASKS``, or call ``register_task`` from outside; the tests then cover it.
A name of the form "module:object" is a task, too. A system may have several tasks.
"""

from __future__ import annotations

from hnn_envs.errors import UnknownNameError
from hnn_envs.registry import Registry
from hnn_envs.systems import spec_of
from hnn_envs.tasks.task import ObservedTask, Task

TASKS: Registry[Task] = Registry(
    "task",
    {
        "mass-spring": "hnn_envs.tasks.mass_spring:MassSpringTask",
        "pendulum": "hnn_envs.tasks.pendulum:PendulumTask",
        "real-pendulum": "hnn_envs.tasks.real_pendulum:RealPendulumTask",
        "two-body": "hnn_envs.tasks.two_body:TwoBodyTask",
        "three-body": "hnn_envs.tasks.three_body:ThreeBodyTask",
        "cart-pole": "hnn_envs.tasks.cart_pole:CartPoleTask",
        "acrobot": "hnn_envs.tasks.acrobot:AcrobotTask",
        "pendubot": "hnn_envs.tasks.pendubot:PendubotTask",
    },
    instances=True,
)

__all__ = ["TASKS", "ObservedTask", "Task", "find_task", "get_task", "register_task", "resolve_task", "tasks_of"]


def register_task(task: Task | str, name: str | None = None) -> None:
    """Makes a task known by its name.

    Args:
        task: the task, or where it is, "module:object"; a class is made without arguments.
        name: its name; needed for "module:object", which is not imported before it is used.

    Raises:
        InvalidOptionError: another task has this name.
    """
    TASKS.register(name or (TASKS[task] if isinstance(task, str) else task).name, task)


def get_task(name: str) -> Task:
    """Returns the task called ``name``, a registered one or "module:object".

    Raises:
        UnknownNameError: there is no such task.
    """
    return TASKS[name]


def resolve_task(task: str | Task) -> Task:
    """The task that a name stands for; a task stands for itself."""
    return get_task(task) if isinstance(task, str) else task


def tasks_of(system: str) -> list[Task]:
    """The registered tasks on the system of this name."""
    return [task for task in TASKS.values() if spec_of(task.system).name == system]


def find_task(system: str) -> Task:
    """The first registered task on the system of this name.

    Raises:
        UnknownNameError: there is none.
    """
    if system in TASKS and spec_of(TASKS[system].system).name == system:
        return TASKS[system]  # without importing the others
    found = tasks_of(system)
    if not found:
        raise UnknownNameError(f"no task is registered on system {system!r}; register_task makes one known")
    return found[0]
