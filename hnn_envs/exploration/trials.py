"""Trials: episodes of an environment that are watched, with the noise of measurement, under whatever acts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError
from hnn_envs.exploration.actions import ActionSpace
from hnn_envs.recordings.adapters import Adapter, State
from hnn_envs.recordings.recording import Run
from hnn_envs.recordings.stretches import unwrapped

Acting: TypeAlias = Callable[[int, Array], Array]
"""(step, measured state (2*dof,)) -> action in [-1, 1], shape (actions,)."""
FEWEST_STATES = 3
"""Of a run that can be learned from."""


@dataclass(frozen=True)
class Rules:
    """When a trial counts as solved, and when it need not go on.

    Attributes:
        steps: of a whole trial.
        held: steps at its end in which the goal has to be held.
        reached: states (..., 2*dof) -> whether they count as being at the goal.
    """

    steps: int
    held: int
    reached: Callable[[Array], Array]

    def missed(self, step: int, state: Array) -> bool:
        """Whether a state after so many steps is too late to be anywhere else than at the goal."""
        return step > self.steps - self.held and not bool(self.reached(state))

    def solved(self, states: Array) -> bool:
        """Whether the goal was held at the end of a whole trial, of which these are all states."""
        return len(states) == self.steps + 1 and bool(self.reached(states[-self.held :]).all())


@dataclass(frozen=True)
class Trial:
    """What happened in an episode.

    Attributes:
        states: as they were, [positions, velocities], shape (steps + 1, 2*dof).
        measured: the same with the noise of measurement; angles go on beyond pi.
        inputs: shape (steps, inputs).
        dt: time of a step.
        solved: whether the goal was held at its end.
        planned: whether a plan was followed; otherwise actions were random.
        ended: why it ended: "whole", "missed", "left" the limits, or at a "stop".
    """

    states: Array
    measured: Array
    inputs: Array
    dt: float
    solved: bool
    planned: bool
    ended: str

    @property
    def seconds(self) -> float:
        """How long it was."""
        return len(self.inputs) * self.dt

    def run(self, name: str) -> Run | None:
        """What can be learned from; None of fewer than three states."""
        if len(self.states) < FEWEST_STATES:
            return None
        dof, times = self.states.shape[1] // 2, self.dt * np.arange(len(self.states))
        return Run(name, times, self.measured[:, :dof], self.measured[:, dof:], times[:-1], self.inputs)


@dataclass(frozen=True)
class Start:
    """Where a trial starts.

    Attributes:
        state: [positions, velocities], shape (2*dof,).
        measured: the same with the noise of measurement.
        seed: of the noise that follows.
    """

    state: Array
    measured: Array
    seed: int


def longest_episode(env: gymnasium.Env[Any, Any]) -> float:
    """Steps after which the time limits of an environment's wrappers end its episodes; infinite where none does."""
    limit, layer = math.inf, env
    while isinstance(layer, gymnasium.Wrapper):
        if isinstance(layer, gymnasium.wrappers.TimeLimit):
            limit = min(limit, layer._max_episode_steps)
        layer = layer.env
    return limit


@dataclass(frozen=True)
class TrialEnv:
    """An environment in which trials are played.

    Attributes:
        env: with its wrappers.
        adapter: how its state and its inputs are seen.
        space: of its actions.
        noise: standard deviation of what is measured of each component.
        start: positions and velocities from which trials start; None for what ``reset`` gives.
    """

    env: gymnasium.Env[Any, Any]
    adapter: Adapter
    space: ActionSpace
    noise: float
    start: State | None = None

    @property
    def dt(self) -> float:
        """Time of a step."""
        return self.adapter.step_of(self.env.unwrapped)

    def reset(self, seed: int) -> Start:
        """Brings the environment to where a trial starts.

        Args:
            seed: of the environment's reset and of the noise of the trial.

        Raises:
            DataError: a state that is not finite, or of another size than the adapter says.
        """
        self.env.reset(seed=seed)
        if self.start is not None and self.adapter.put is not None:
            self.adapter.put(self.env.unwrapped, *self.start)
        state = self._state(None)
        return Start(state, self._measure(state, np.random.default_rng(seed)), seed)

    def play(self, start: Start, acting: Acting, steps: int, rules: Rules | None = None) -> Trial:
        """Plays a trial from where ``reset`` has just brought the environment.

        Args:
            start: what that gave.
            acting: what chooses the actions.
            steps: most of them.
            rules: when a trial with a plan is solved, and when it is no longer of use; None of random actions.

        Raises:
            DataError: a state that is not finite, or of another size than the adapter says.
        """
        measured, rng = [start.measured], np.random.default_rng((start.seed, 1))
        states, inputs = [start.state], []
        ended = "whole"
        for step in range(steps):
            action = self.space.of_shares(acting(step, measured[-1]))
            u = self.adapter.inputs_of(self.env, action)
            _, _, terminated, truncated, _ = self.env.step(action)
            if self.adapter.stopped(self.env.unwrapped):
                ended = "stop"
                break
            inputs.append(u)
            states.append(self._state(states[-1]))
            measured.append(self._measure(states[-1], rng))
            if terminated or truncated:
                ended = "left" if terminated or step + 1 < steps else "whole"
                break
            if rules is not None and rules.missed(step + 1, states[-1]):
                ended = "missed"
                break
        whole = np.stack(states)
        held = np.stack(inputs) if inputs else np.zeros((0, len(self.adapter.inputs)))
        solved = rules is not None and ended == "whole" and rules.solved(whole)
        return Trial(whole, np.stack(measured), held, self.dt, solved, rules is not None, ended)

    def _state(self, before: Array | None) -> Array:
        """The state, whose angles go on from those before."""
        q, v = (np.asarray(part, dtype=np.float64).reshape(-1) for part in self.adapter.state(self.env.unwrapped))
        if not len(q) == len(v) == len(self.adapter.coordinates):
            raise DataError(
                f"{self.env}: the adapter has {len(self.adapter.coordinates)} coordinates, and its state "
                f"{len(q)} positions and {len(v)} velocities"
            )
        if not (np.isfinite(q).all() and np.isfinite(v).all()):
            raise DataError(f"{self.env}: state {[*q.tolist(), *v.tolist()]} is not finite")
        q = q.copy()
        if before is not None:
            dof, times = len(q), np.array([0.0, self.dt])
            for index, coordinate in enumerate(self.adapter.coordinates):
                if coordinate.angle:
                    turns = np.array([before[index], q[index]]), np.array([before[dof + index], v[index]])
                    q[index] = unwrapped(times, *turns)[1]
        return np.concatenate((q, v))

    def _measure(self, state: Array, rng: np.random.Generator) -> Array:
        return state + self.noise * rng.standard_normal(len(state))
