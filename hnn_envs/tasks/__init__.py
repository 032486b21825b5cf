"""What agents are asked, one file per task: spaces, initial states, observation, reward, end and drawing.

To add a task, write its file and add a line to ``TASKS``; the tests then cover it.
"""

from __future__ import annotations

from hnn_envs.errors import UnknownNameError
from hnn_envs.tasks.mass_spring import MassSpringTask
from hnn_envs.tasks.pendulum import PendulumTask
from hnn_envs.tasks.task import Task, View

TASKS: dict[str, Task] = {task.name: task for task in (MassSpringTask(), PendulumTask())}

__all__ = ["TASKS", "MassSpringTask", "PendulumTask", "Task", "View", "get_task"]


def get_task(name: str) -> Task:
    """Returns the task called ``name``; tasks are named after their system.

    Raises:
        UnknownNameError: there is no such task.
    """
    if name not in TASKS:
        raise UnknownNameError.of("task", name, TASKS)
    return TASKS[name]
