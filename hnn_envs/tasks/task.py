"""What a task is: spaces, initial states, observation, reward, termination and drawing, as pure functions of states."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.view import View
from hnn_envs.dynamics import Dynamics
from hnn_envs.observation import ObservationModel
from hnn_envs.systems import Known


class Task(Protocol):
    """What an agent is asked. All functions broadcast over leading axes, and none depends on the dynamics.

    Attributes:
        name: name of the task.
        system: the system, or its description where its equations are not known.
        dt: time per environment step.
        max_episode_steps: the horizon.
        max_input: size of a physical input at action 1: u = max_input * action. Each action drives one input, in their
            order, unless the task says otherwise (``hnn_envs.tasks.actuation``).
        low, high: limits of the state, shape (2*dof,), infinite for an angle that goes round. Leaving them
            truncates the episode.
        observation_low, observation_high: bounds of the observation, of its shape and dtype: float32, shape
            (observations,), or uint8, shape (frames, height, width).
    """

    @property
    def name(self) -> str: ...
    @property
    def system(self) -> Known: ...
    @property
    def dt(self) -> float: ...
    @property
    def max_episode_steps(self) -> int: ...
    @property
    def max_input(self) -> float: ...
    @property
    def low(self) -> Array: ...
    @property
    def high(self) -> Array: ...
    @property
    def observation_low(self) -> Array: ...
    @property
    def observation_high(self) -> Array: ...

    def initial_state(self, rng: np.random.Generator) -> Array:
        """One initial state, shape (2*dof,), inside the limits."""
        ...

    def observation(self, x: Array) -> Array:
        """What the agent sees, shape (..., *observation_low.shape)."""
        ...

    def reward(self, x: Array, u: Array, x_next: Array) -> Array:
        """Reward of moving from x to x_next under the physical input u, shape (...,)."""
        ...

    def inside(self, x: Array) -> Array:
        """Whether states are within the limits (False for NaN), bool, shape (...,)."""
        ...

    def terminated(self, x: Array) -> Array:
        """Whether states end the episode for good, bool, shape (...,)."""
        ...

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        ...


@runtime_checkable
class ObservedTask(Task, Protocol):
    """A task whose agents see frames, and are paid by what the frames show.

    Dynamics that were learned from frames show their states through their own observation model, all others through
    that of the task.

    Attributes:
        observation_model: the true one, such as a camera.
    """

    @property
    def observation_model(self) -> ObservationModel: ...

    def with_image_size(self, size: int) -> ObservedTask:
        """The same task with frames of another width and height, pixels.

        Raises:
            InvalidOptionError: there are no frames of this size.
        """
        ...

    def checkpoint_for(self, dynamics: str) -> str:
        """The name of the dynamics whose frames have this task's size: "default/hnn-64" for "hnn", say."""
        ...

    def check_observation_model(self, model: ObservationModel, dynamics: str) -> None:
        """Checks that a dynamics shows its states as this task asks for.

        Raises:
            InvalidOptionError: its observations are of another kind; the message names the dynamics.
        """
        ...

    def reward_of_observation(self, observation: Array, u: Array, inside: Array) -> Array:
        """The reward of a step, read off the observation after it.

        Args:
            observation: what is seen after the step, shape (..., *observation_model.shape).
            u: the physical input, shape (..., inputs).
            inside: whether the state after the step is within the limits, shape (...,).
        """
        ...

    def reward_of_state(self, x: Array, u: Array, x_next: Array) -> Array:
        """What the reward would be if states were read without error; spares observing where a plan is weighed."""
        ...

    def prediction_metrics(self, dynamics: Dynamics) -> dict[str, float]:
        """How well a dynamics predicts observations, by metric; empty where it has no observation model."""
        ...
