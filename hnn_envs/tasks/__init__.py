"""What agents are asked, one file per task: spaces, initial states, observation, reward, end and drawing.

To add a task, write its file and a line in ``TASKS``, or call ``register_task`` from outside; the tests then cover it.
A name of the form "module:object" is a task, too. A system may have several tasks.
"""

from __future__ import annotations

from hnn_envs.errors import UnknownNameError
from hnn_envs.registry import Registry
from hnn_envs.systems import check_system, spec_of
from hnn_envs.tasks.task import ObservedTask, Task


def check_task(task: Task) -> None:
    """Checks the mass matrix and the friction of a task's system everywhere within its limits.

    Raises:
        InvalidOptionError: a state at which they cannot be a machine's.
    """
    check_system(task.system, task.low, task.high)


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
    check=check_task,
)

__all__ = [
    "TASKS",
    "ObservedTask",
    "Task",
    "check_task",
    "find_task",
    "get_task",
    "register_task",
    "resolve_task",
    "tasks_of",
]


def register_task(task: Task | str, name: str | None = None) -> None:
    """Makes a task known by its name.

    Args:
        task: the task, or where it is, "module:object"; a class is made without arguments.
        name: its name; needed for "module:object", which is not imported before it is used.

    Raises:
        InvalidOptionError: another task has this name; or the mass matrix or the friction of its system cannot be a
            machine's within its limits, which for "module:object" is found when it is first used.
    """
    if not isinstance(task, str):
        check_task(task() if isinstance(task, type) else task)
    TASKS.register(name or (TASKS[task] if isinstance(task, str) else task).name, task)


def get_task(name: str) -> Task:
    """Returns the task called ``name``, a registered one or "module:object".

    Raises:
        UnknownNameError: there is no such task.
    """
    return TASKS[name]


def resolve_task(task: str | Task) -> Task:
    """The task that a name stands for; a task stands for itself.

    Raises:
        UnknownNameError: there is no such task.
        InvalidOptionError: the mass matrix or the friction of its system cannot be a machine's within its limits.
    """
    if isinstance(task, str):
        return get_task(task)
    if task.name not in TASKS or TASKS[task.name] is not task:
        check_task(task)
    return task


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
