"""Sub-environments of a batch as users see them one by one, and the trails that their drawings show."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import numpy as np
from gymnasium import Space
from gymnasium.envs.registration import EnvSpec

from hnn_envs.arrays import Array
from hnn_envs.dynamics import Dynamics
from hnn_envs.envs.simulation import TRAIL
from hnn_envs.tasks.task import Task


class Batch(Protocol):
    """What a sub-environment needs of the batch that it belongs to, as ``PhysicsVectorEnv`` has it."""

    task: Task
    dynamics: Dynamics
    single_action_space: Space[Any]
    single_observation_space: Space[Any]
    metadata: dict[str, Any]
    render_mode: str | None

    @property
    def spec(self) -> EnvSpec | None:
        """The specification that the batch was made from."""

    @property
    def state(self) -> Array:
        """All states, shape (num_envs, 2*dof)."""

    def set_state(self, value: Any, row: int) -> None:
        """Sets the state of a row."""

    def seeded(self, row: int) -> tuple[np.random.Generator, int]:
        """The generator of a row and its seed."""

    def frame(self, row: int) -> Array | None:
        """The frame of a row."""


class SubEnvironment:
    """Sub-environment ``index`` of a batch: what ``call``, ``get_attr`` and ``set_attr`` see.

    It reads like a PhysicsEnv. Its own state can be set; what all rows share cannot; any other attribute that a user
    sets is kept here.
    """

    def __init__(self, batch: Batch, index: int) -> None:
        self._batch = batch
        self._index = index

    @property
    def task(self) -> Task:
        """The task."""
        return self._batch.task

    @property
    def dynamics(self) -> Dynamics:
        """The physics."""
        return self._batch.dynamics

    @property
    def action_space(self) -> Space[Array]:
        """The action space of one environment."""
        return self._batch.single_action_space

    @property
    def observation_space(self) -> Space[Array]:
        """The observation space of one environment."""
        return self._batch.single_observation_space

    @property
    def metadata(self) -> dict[str, Any]:
        """Gymnasium's metadata."""
        return self._batch.metadata

    @property
    def render_mode(self) -> str | None:
        """None or "rgb_array"."""
        return self._batch.render_mode

    @property
    def spec(self) -> EnvSpec | None:
        """The specification that the batch was made from."""
        return self._batch.spec

    @property
    def np_random(self) -> np.random.Generator:
        """The row's own generator."""
        return self._batch.seeded(self._index)[0]

    @property
    def np_random_seed(self) -> int:
        """The seed of that generator."""
        return self._batch.seeded(self._index)[1]

    @property
    def state(self) -> Array:
        """The row's state, shape (2*dof,): reading gives a copy, setting checks it.

        Raises:
            NoStateError: there was no reset yet.
        """
        return self._batch.state[self._index]

    @state.setter
    def state(self, value: Any) -> None:
        self._batch.set_state(value, self._index)

    @property
    def believed_energy(self) -> float:
        """The energy that the stepping physics assigns to the state."""
        return float(self._batch.dynamics.energy(self._batch.dynamics.to_device(self.state)))

    def render(self) -> Array | None:
        """The row's frame."""
        return self._batch.frame(self._index)


class Trails:
    """Recent states and last inputs of a batch, for drawing; kept only where there is a render mode."""

    def __init__(self, num_envs: int, inputs: int) -> None:
        self._states: deque[Array] = deque(maxlen=TRAIL)
        self._ages = np.zeros(num_envs, dtype=np.int64)
        self._inputs = np.zeros((num_envs, inputs))

    def record(self, states: Array, inputs: Array) -> None:
        """Appends the states after a step, and the inputs that led there, as shares of the largest."""
        self._states.append(np.array(states))
        self._ages += 1
        self._inputs = np.array(inputs)

    def restart(self, states: Array, rows: Array) -> None:
        """Starts new trails for some rows, at their entries in ``states``."""
        if not self._states:
            self._states.append(np.array(states))
        self._states[-1][rows] = states[rows]
        self._ages[rows] = 0
        self._inputs[rows] = 0.0

    def of(self, row: int) -> tuple[Array, Array]:
        """The trail of a row, oldest first, shape (k, 2*dof), and its last inputs."""
        kept = min(int(self._ages[row]) + 1, len(self._states))
        trail = [self._states[index][row] for index in range(len(self._states) - kept, len(self._states))]
        return np.stack(trail), self._inputs[row]
