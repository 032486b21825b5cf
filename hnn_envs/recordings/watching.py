"""Recordings of environments of Gymnasium, as their own physics moves them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError, InvalidOptionError
from hnn_envs.memory import check_memory
from hnn_envs.progress import Progress, silent
from hnn_envs.recordings.adapters import Adapter, adapter_of, make_env
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.recordings.stretches import unwrapped

STARTS = ("reset", "wide")
WIDE_STEPS = 50
"""Steps of a run that begins at a wide start, after which the next one begins."""
MOST_STEPS = 10**7
MOST_EMPTY = 1000
"""Runs in a row that end before their second state, after which nothing is to be hoped for."""

Policy: TypeAlias = Callable[[Any], Any]
"""(observation) -> action; or an object with Stable-Baselines3's ``predict``."""


def record(
    env: str | gymnasium.Env[Any, Any],
    policy: Any = None,
    seconds: float = 60.0,
    *,
    seed: int = 0,
    noise: float = 0.0,
    starts: str = "reset",
    steps: int | None = None,
    velocities: bool = True,
    adapter: Adapter | None = None,
    name: str | None = None,
    progress: Progress = silent,
) -> Recording:
    """Watches an environment of Gymnasium: states at its time step, under inputs that are held over each step.

    By id: Pendulum-v1, CartPole-v1, Acrobot-v1, InvertedPendulum-v5, InvertedDoublePendulum-v5 (extra "mujoco"), and
    those of this package; any other with an adapter. Every episode is a run. What a run ends with, a joint's stop or a
    largest speed, say, is not in it.

    Args:
        env: the environment, or its id.
        policy: (observation) -> action, or an agent of Stable-Baselines3; by default random actions.
        seconds: how long is watched in all.
        seed: of starts, random actions and noise.
        noise: standard deviation that is added to every position and velocity.
        starts: "reset": where the environment starts; "wide": anywhere, with runs of 50 steps.
        steps: most steps of a run; by default until the environment ends it, and 50 with wide starts.
        velocities: whether these are recorded.
        adapter: where the environment's state is; by default the registered one.
        name: of the system; by default the environment's.
        progress: told how many of the seconds are done.

    Raises:
        UnknownNameError: nothing is known of the environment's state.
        InvalidOptionError: an argument out of range.
        DataError: a state that is not finite, or no run of two states.
    """
    if not (math.isfinite(noise) and noise >= 0):
        raise InvalidOptionError(f"noise must be at least 0, not {noise!r}")
    made = make_env(env) if isinstance(env, str) else env
    try:
        chosen = adapter or adapter_of(made)
        watcher = _Watcher(made, chosen, policy, starts, _most_steps(starts, steps))
        runs = watcher.watch(_step_count(seconds, chosen.step_of(made.unwrapped)), seed, progress)
    finally:
        if isinstance(env, str):
            made.close()
    generator = np.random.default_rng([seed, 1])
    title = name or _name_of(made)
    finished = tuple(
        _run(f"{title}, run {number}", run, chosen, noise, velocities, generator)
        for number, run in enumerate(runs, start=1)
    )
    return Recording(title, chosen.coordinates, chosen.inputs, finished, chosen.input_matrix)


def _name_of(env: gymnasium.Env[Any, Any]) -> str:
    return type(env.unwrapped).__name__ if env.spec is None else env.spec.id.rpartition("/")[2]


def _most_steps(starts: str, steps: int | None) -> int:
    if starts not in STARTS:
        raise InvalidOptionError(f"starts must be one of {', '.join(STARTS)}, not {starts!r}")
    if steps is not None and not (isinstance(steps, int) and steps >= 1):
        raise InvalidOptionError(f"steps must be a positive integer, not {steps!r}")
    return steps or (WIDE_STEPS if starts == "wide" else MOST_STEPS)


def _step_count(seconds: float, dt: float) -> int:
    if not (math.isfinite(seconds) and dt <= seconds <= dt * MOST_STEPS):
        raise InvalidOptionError(f"seconds must be from {dt:g}, a step, to {dt * MOST_STEPS:g}, not {seconds!r}")
    count = math.ceil(seconds / dt - 1e-9)
    check_memory(8.0 * 20 * count, f"{count} steps", "record fewer seconds")
    return count


@dataclass(frozen=True)
class _Watched:
    """One episode, as it was: states (n, 2*dof), and the inputs of the n - 1 steps between them."""

    dt: float
    states: Array
    inputs: Array


class _Watcher:
    """Plays episodes and keeps their states and inputs."""

    def __init__(
        self, env: gymnasium.Env[Any, Any], adapter: Adapter, policy: Any, starts: str, most_steps: int
    ) -> None:
        if starts == "wide" and (adapter.put is None or adapter.wide is None):
            raise InvalidOptionError("wide starts need an adapter that can put the environment into a state: put, wide")
        if starts == "wide" and policy is not None and adapter.observe is None:
            raise InvalidOptionError("a policy from wide starts needs an adapter that says what is seen there: observe")
        self._env, self._adapter, self._wide, self._most = env, adapter, starts == "wide", most_steps
        self._policy = _as_function(policy)
        self._dt = adapter.step_of(env.unwrapped)
        self._given: int | None = None

    def watch(self, steps: int, seed: int, progress: Progress) -> list[_Watched]:
        """Episodes of so many steps in all."""
        generator = np.random.default_rng([seed, 0])
        self._env.action_space.seed(seed)
        self._given = seed
        runs: list[_Watched] = []
        left, empty = steps, 0
        while left > 0:
            run = self._episode(generator, left)
            empty = empty + 1 if run is None else 0
            if run is not None:
                runs.append(run)
                left -= len(run.inputs)
            elif empty == MOST_EMPTY:
                raise DataError(f"{_name_of(self._env)}: {MOST_EMPTY} runs in a row ended before their second state")
            progress((steps - left) * self._dt, steps * self._dt, f"{len(runs)} runs")
        return runs

    def _episode(self, generator: np.random.Generator, most: int) -> _Watched | None:
        """An episode up to its end, a stop, or so many steps; None where it has no second state."""
        seen = self._start(generator)
        states, inputs = [self._state()], []
        for _ in range(min(most, self._most)):
            action = self._env.action_space.sample() if self._policy is None else self._policy(seen)
            inputs.append(self._adapter.inputs_of(self._env, action))
            seen, _, terminated, truncated, _ = self._env.step(action)
            if self._adapter.stopped(self._env.unwrapped):
                inputs.pop()
                break
            states.append(self._state())
            if terminated or truncated:
                break
        return _Watched(self._dt, np.stack(states), np.stack(inputs)) if inputs else None

    def _start(self, generator: np.random.Generator) -> Any:
        """Resets the environment; only the first time with the seed, as Gymnasium has it."""
        seen, _ = self._env.reset(seed=self._given)
        self._given = None
        adapter, base = self._adapter, self._env.unwrapped
        if not self._wide or adapter.put is None or adapter.wide is None:
            return seen
        adapter.put(base, *adapter.wide(base, generator))
        return seen if adapter.observe is None else adapter.observe(base)

    def _state(self) -> Array:
        q, v = self._adapter.state(self._env.unwrapped)
        x = np.concatenate([np.asarray(q, dtype=np.float64).reshape(-1), np.asarray(v, dtype=np.float64).reshape(-1)])
        if not np.isfinite(x).all():
            raise DataError(f"{_name_of(self._env)}: state {x.tolist()} is not finite")
        return x


def _as_function(policy: Any) -> Policy | None:
    if policy is None or not hasattr(policy, "predict"):
        if policy is not None and not callable(policy):
            raise InvalidOptionError(f"a policy is a function of the observation, or has predict; not {policy!r}")
        return policy  # type: ignore[no-any-return]
    return lambda seen: policy.predict(seen, deterministic=True)[0]


def _run(
    name: str, watched: _Watched, adapter: Adapter, noise: float, velocities: bool, generator: np.random.Generator
) -> Run:
    dof = len(adapter.coordinates)
    times = watched.dt * np.arange(len(watched.states))
    q, v = watched.states[:, :dof].copy(), watched.states[:, dof:]
    for index, coordinate in enumerate(adapter.coordinates):
        if coordinate.angle:
            q[:, index] = unwrapped(times, q[:, index], v[:, index])
    if noise:
        q, v = q + noise * generator.normal(size=q.shape), v + noise * generator.normal(size=v.shape)
    return Run(name, times, q, v if velocities else None, times[:-1], watched.inputs)
