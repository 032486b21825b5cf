"""What agents are asked in the seconds benchmark: an environment, where trials start, and when one is solved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from hnn_envs.benchmarks.seconds.trials import HELD_SECONDS, NOISE, TRIAL_SECONDS
from hnn_envs.errors import UnknownNameError
from hnn_envs.exploration.goal import Goal
from hnn_envs.exploration.planning import Planning
from hnn_envs.ids import environment_of
from hnn_envs.recordings.adapters import State, adapter_of, make_env
from hnn_envs.systems import spec_of
from hnn_envs.tasks import get_task
from hnn_envs.tasks.optional import second_of, upright

OWN = ("pendulum", "cart-pole", "acrobot", "pendubot")
"""Tasks of this package, from rest hanging."""


@dataclass(frozen=True)
class Challenge:
    """What is asked.

    Attributes:
        name: of the task, or the environment's id.
        make: makes the environment.
        goal: what is to be held; None for what the environment's task says.
        start: where trials start; None for where the environment resets to.
        second: units of the environment's time in a second.
        first: seconds of random actions to begin with.
        trial: seconds of a trial.
        held: seconds at its end in which the goal is held.
        noise: standard deviation of what is measured of each component.
        planning: how trials are planned.
        target: seconds of experience within which 18 of 20 seeds are to solve it; None where nothing was promised.
    """

    name: str
    make: Callable[[], gymnasium.Env[Any, Any]]
    goal: Goal | None
    start: State | None
    second: float
    first: float
    trial: float = TRIAL_SECONDS
    held: float = HELD_SECONDS
    noise: float = NOISE
    planning: Planning | None = None
    target: float | None = None


def _pendulum() -> Challenge:
    """Pendulum-v1 as it is: from wherever it resets to, upright in the last second of four."""
    goal = Goal.at([0.0], angles=[True], velocity_weights=[0.1], action_cost=0.004)
    return Challenge("Pendulum-v1", lambda: make_env("Pendulum-v1"), goal, None, 1.0, 2.0, noise=0.0)


def _double_pole() -> Challenge:
    """InvertedDoublePendulum-v5 as it is: poles that stand nearly upright and must not fall within 1000 steps."""
    limits = np.array([1.0, FALLEN, FALLEN, *[math.inf] * 3])
    goal = Goal.at([0.0] * 3, angles=[False, True, True], tolerance=math.inf, low=-limits, high=limits)
    name, near = "InvertedDoublePendulum-v5", Planning(lengths=(0.02,))  # 1 s: what stands needs no long plan
    return Challenge(
        name, lambda: make_env(name), goal, None, 1.0, 1.0, trial=50.0, held=0.05, noise=0.0, planning=near
    )


FALLEN = 0.6
"""Angle of a pole from which on the episode is over, nearly: the tip is below 1 m, rad."""

GYMNASIUM: dict[str, Callable[[], Challenge]] = {
    "Pendulum-v1": _pendulum,
    "InvertedDoublePendulum-v5": _double_pole,
}
"""Environments of Gymnasium as they ship, seen without noise."""

TARGETS = {"pendulum": 2.0, "cart-pole": 4.0, "acrobot": 15.0, "pendubot": 15.0}
FIRST_SECONDS = 2.0


def step_of(asked: Challenge) -> float:
    """Seconds of a step of the environment."""
    env = asked.make()
    try:
        return adapter_of(env).step_of(env.unwrapped) / asked.second
    finally:
        env.close()


def challenge_of(name: str) -> Challenge:
    """What a name stands for: an upright task of this package, or one of ``GYMNASIUM``.

    Raises:
        UnknownNameError: there is no such task.
        InvalidOptionError: a task that does not say when it is solved.
    """
    if name in GYMNASIUM:
        return GYMNASIUM[name]()
    try:
        task = upright(get_task(name))
    except UnknownNameError as error:
        raise UnknownNameError.of("task", name, (*OWN, *GYMNASIUM)) from error
    env_id, keywords = environment_of(name)
    rest = np.zeros(spec_of(task.system).dof)
    return Challenge(
        name,
        lambda: gymnasium.make(env_id, dynamics="ode", **keywords),
        None,
        (rest, rest),
        second_of(task),
        FIRST_SECONDS,
        target=TARGETS.get(name),
    )
