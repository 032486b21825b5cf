"""What is seen of a task with frames: the eye that belongs to its physics, and the true pendulum beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.camera import Camera
from hnn_envs.checkpoints import ALIASES
from hnn_envs.dynamics import Dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.tasks import Task
from hnn_envs.tasks.pixel_pendulum import PixelPendulumTask, seen_through

IMAGE_SIZES = (28, 64)
"""Widths of frames that checkpoints are shipped for: the seed paper's, and one for convolutional policies."""


def check_sight(task: Task, image_size: Any, render_truth: Any) -> None:
    """Checks the options of tasks with frames.

    Raises:
        InvalidOptionError: they are out of range, or the task has no frames.
    """
    if render_truth not in (False, True):
        raise InvalidOptionError(f"render_truth must be True or False, not {render_truth!r}")
    if not isinstance(task, PixelPendulumTask):
        for name, value in (("image_size", image_size), ("render_truth", render_truth or None)):
            if value is not None:
                raise InvalidOptionError(f"{name} is for tasks that are seen through frames; {task.name!r} is not")
    elif image_size is not None and image_size not in IMAGE_SIZES:
        raise InvalidOptionError(f"image_size must be one of {', '.join(map(str, IMAGE_SIZES))}, not {image_size!r}")


def checkpoint_for(task: Task, dynamics: str, image_size: int | None) -> str:
    """The name of the physics whose frames have that size: "default/hnn-64" for "hnn" and 64."""
    if not isinstance(task, PixelPendulumTask) or image_size in (None, task.eye.size) or dynamics not in ALIASES:
        return dynamics
    return f"{ALIASES[dynamics]}-{image_size}"


def through_the_eye_of(task: Task, dynamics: Dynamics, image_size: int | None) -> Task:
    """A task seen through the eye of a learned physics; through the camera where that has none, as the true one.

    Raises:
        InvalidOptionError: that eye has frames of another size, or of another window.
    """
    if not isinstance(task, PixelPendulumTask):
        return task
    asked = replace(task, eye=Camera(task.eye.size if image_size is None else image_size))
    seen = seen_through(asked, dynamics.field)
    size, given = seen.observation_low.shape[-1], asked.eye.size
    if size != given:
        raise InvalidOptionError(
            f"dynamics {dynamics.name!r} has frames of {size} pixels: they need image_size={size}, not {given}"
        )
    window = Camera.window if dynamics.card is None else tuple(dynamics.card.settings.get("window", Camera.window))
    if window != Camera.window:
        raise InvalidOptionError(
            f"dynamics {dynamics.name!r} was learned through the window {window} of Gymnasium's frame, "
            f"and {task.name!r} is seen through {Camera.window}"
        )
    return seen


class GroundTruth:
    """The true systems of a batch: started where episodes truly begin, and moved by the same inputs.

    Args:
        dynamics: the ODE, on the CPU.
        num_envs: how many there are.
    """

    def __init__(self, dynamics: Dynamics, num_envs: int) -> None:
        self._dynamics = dynamics
        self.states = np.zeros((num_envs, 2 * dynamics.spec.dof))

    def restart(self, states: Array, rows: Array) -> None:
        """Starts some of them anew, at states (rows, 2*dof)."""
        self.states[rows] = states

    def step(self, u: Array) -> None:
        """Moves all of them by one step under inputs (num_envs, inputs)."""
        self.states = self._dynamics.step(self.states, u)
