"""Trials as a batch: what agents without a model are trained in and tried by, from rest hanging and seen with noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from hnn_envs.arrays import Array, join, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.systems import System, SystemSpec, spec_of
from hnn_envs.tasks import Task
from hnn_envs.tasks.actuation import actuation_of
from hnn_envs.tasks.optional import UprightTask, second_of

NOISE = 1e-2
"""Standard deviation of what is added to every position and velocity that is seen."""
TRIAL_SECONDS = 4.0
HELD_SECONDS = 1.0
"""At the end of a trial, during which all has to be upright."""
TOLERANCE = 0.25
"""Largest angle from upright that counts as being there, rad."""

Act: TypeAlias = Callable[[Array], Array]
"""Observations (n, observations) -> actions in [-1, 1], shape (n, actions)."""


class StepDynamics(Protocol):
    """Physics that is stepped, true or learned, on NumPy arrays."""

    @property
    def spec(self) -> SystemSpec:
        """What the system is."""
        ...

    def step(self, x: Array, u: Array, /) -> Array:
        """The states after a step of the task's ``dt``, from states (..., 2*dof) under inputs (..., inputs)."""
        ...


def steps_of(task: Task, seconds: float) -> int:
    """Steps of a task's environment that last so many seconds."""
    return round(seconds * second_of(task) / task.dt)


@dataclass(frozen=True)
class Stepped:
    """What came of a step, an entry per trial.

    Attributes:
        observations: what is seen after it; of trials that ended, of the next ones' start.
        rewards: shape (count,).
        terminated: whether the task ended the trial for good, bool, shape (count,).
        ended: whether the trial is over, for this or any other reason.
        last: what was seen at the end of trials that are over.
        states: where the step led, shape (count, 2*dof).
    """

    observations: Array
    rewards: Array
    terminated: Array
    ended: Array
    last: Array
    states: Array


class Trials:
    """Trials of a task, many at once: 4 s from the state zero, which is at rest hanging, seen with noise.

    The noise is on positions and velocities, and the observation is the task's, of what was measured so. Rewards,
    limits and ends are the task's, of the states as they are. A trial that ends is followed by the next at once.

    Args:
        task: what is asked.
        dynamics: the physics, whose states are those of the task.
        count: how many trials there are at once.
        noise: standard deviation of the noise.
        seed: of the noise, as for ``numpy.random.default_rng``.

    Raises:
        InvalidOptionError: the states of the physics are of another kind than those of the task.
    """

    def __init__(self, task: Task, dynamics: StepDynamics, count: int = 1, *, noise: float = NOISE, seed: Any) -> None:
        spec = spec_of(task.system)
        if (dynamics.spec.velocities, dynamics.spec.dof) != (spec.velocities, spec.dof):
            kind = "velocities" if spec.velocities else "momenta"
            raise InvalidOptionError(
                f"physics {dynamics.spec.name!r} has other states than task {task.name!r}; "
                f"allowed: {spec.dof} coordinates and their {kind}"
            )
        self.task, self.dynamics, self.actuation = task, dynamics, actuation_of(task)
        self.count, self.noise, self.steps = count, noise, steps_of(task, TRIAL_SECONDS)
        self._rng = np.random.default_rng(seed)
        self._x = np.zeros((count, 2 * spec.dof))
        self._elapsed = np.zeros(count, dtype=np.int64)
        self._system: Any = None if spec.velocities else task.system

    def reset(self) -> Array:
        """Starts all trials and returns what is seen of them, shape (count, observations)."""
        self._x, self._elapsed = np.zeros_like(self._x), np.zeros_like(self._elapsed)
        return self._seen(self._x)

    def step(self, actions: Array) -> Stepped:
        """Steps all trials under actions, shape (count, actions), which are clipped to [-1, 1]."""
        task, u = self.task, self.actuation.to_inputs(np.clip(np.asarray(actions, dtype=np.float64), -1.0, 1.0))
        with np.errstate(over="ignore", invalid="ignore"):  # learned physics may diverge, which leaves the limits
            x_next = self.dynamics.step(self._x, u)
            rewards = task.reward(self._x, u, x_next)
            terminated, inside = task.terminated(x_next), task.inside(x_next)
        states = np.where(np.isfinite(x_next).all(-1, keepdims=True), x_next, self._x)
        self._elapsed += 1
        ended = terminated | ~inside | (self._elapsed >= self.steps)
        last = observations = self._seen(states)
        self._x = np.where(ended[:, None], 0.0, states)
        self._elapsed[ended] = 0
        if ended.any():
            observations = np.where(ended[:, None], self._seen(self._x), last)
        return Stepped(observations, np.nan_to_num(rewards), terminated, ended, last, states)

    def _seen(self, x: Array) -> Array:
        q, v = split(self.noise * self._rng.standard_normal(x.shape))
        return self.task.observation(x + join(q, v if self._system is None else _momenta(self._system, x, v)))


def _momenta(system: System, x: Array, velocities: Array) -> Array:
    """The momenta M(q) v of velocities at the positions of states, shape (..., dof)."""
    dof = velocities.shape[-1]
    # The columns of M(q)^-1 are the velocities of unit momenta.
    units = np.broadcast_to(np.eye(dof), (*velocities.shape, dof))
    unit_states = join(np.broadcast_to(x[..., None, :dof], units.shape), units)
    inverse = np.swapaxes(split(system.field(unit_states))[0], -1, -2)
    found: Array = np.linalg.solve(inverse, velocities[..., None])[..., 0]
    return found


def play_trials(trials: Trials, task: UprightTask, act: Act) -> Array:
    """Plays one trial in each row of a batch.

    A trial is solved if it lasts whole and all is within ``TOLERANCE`` of upright in its last ``HELD_SECONDS``. Play
    ends where no trial can be solved any more.

    Args:
        trials: the batch, which is reset.
        task: its task.
        act: the policy.

    Returns:
        Whether each trial was solved, bool, shape (count,).
    """
    held = steps_of(task, HELD_SECONDS)
    seen, solved = trials.reset(), np.ones(trials.count, dtype=np.bool_)
    for step in range(1, trials.steps + 1):
        stepped = trials.step(act(seen))
        seen = stepped.observations
        if step < trials.steps:
            solved &= ~stepped.ended
        if step > trials.steps - held:
            solved &= task.angle_from_upright(stepped.states) <= TOLERANCE
        if not solved.any():
            break
    return solved
