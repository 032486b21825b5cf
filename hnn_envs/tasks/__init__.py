"""What agents are asked, one file per task: spaces, initial states, observation, reward, end and drawing.

To add a task, write its file and add a line to ``TASKS``; the tests then cover it.
"""

from __future__ import annotations

from hnn_envs.drawing.view import View
from hnn_envs.errors import UnknownNameError
from hnn_envs.tasks.mass_spring import MassSpringTask
from hnn_envs.tasks.pendulum import PendulumTask
from hnn_envs.tasks.pixel_pendulum import PixelPendulumTask, seen_through
from hnn_envs.tasks.real_pendulum import RealPendulumTask
from hnn_envs.tasks.stepping import make_task_dynamics
from hnn_envs.tasks.task import Task
from hnn_envs.tasks.three_body import ThreeBodyTask
from hnn_envs.tasks.two_body import TwoBodyTask

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        *(MassSpringTask(), PendulumTask(), RealPendulumTask()),
        *(TwoBodyTask(), ThreeBodyTask(), PixelPendulumTask()),
    )
}

__all__ = [
    "TASKS",
    "MassSpringTask",
    "PendulumTask",
    "PixelPendulumTask",
    "RealPendulumTask",
    "Task",
    "ThreeBodyTask",
    "TwoBodyTask",
    "View",
    "get_task",
    "make_task_dynamics",
    "seen_through",
]


def get_task(name: str) -> Task:
    """Returns the task called ``name``; tasks are named after their system.

    Raises:
        UnknownNameError: there is no such task.
    """
    if name not in TASKS:
        raise UnknownNameError.of("task", name, TASKS)
    return TASKS[name]
