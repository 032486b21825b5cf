"""SAC in environments of Gymnasium as they ship: what it is tried by, and how its experience is counted."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.seconds.challenges import challenge_of, step_of
from hnn_envs.benchmarks.seconds.gymnasium_training import seconds_until_sac_solves, solves
from hnn_envs.exploration.actions import ActionSpace
from hnn_envs.exploration.trials import Rules, TrialEnv
from hnn_envs.recordings.adapters import adapter_of


class Policy:
    """A policy as Stable-Baselines3 has them, of what is seen of Pendulum-v1."""

    def __init__(self, torque: Any) -> None:
        self.torque = torque

    def predict(self, seen: Array, *, deterministic: bool) -> tuple[Array, None]:
        assert deterministic
        cosine, sine, speed = seen
        return np.array([self.torque(math.atan2(sine, cosine), speed)], dtype=np.float32), None


def pendulum(angle: float) -> tuple[TrialEnv, Rules]:
    env = gymnasium.make("Pendulum-v1")
    start = np.array([angle]), np.zeros(1)
    goal = challenge_of("Pendulum-v1").goal
    assert goal is not None
    return TrialEnv(env, adapter_of(env), ActionSpace.of(env.action_space), 0.0, start), Rules(80, 20, goal.reached)


@pytest.mark.parametrize(("angle", "gain", "expected"), [(0.1, 10.0, True), (0.1, 0.0, False), (math.pi, 10.0, False)])
def test_a_policy_solves_a_trial_where_it_holds_the_pendulum_upright(angle: float, gain: float, expected: bool) -> None:
    held = Policy(lambda away, speed: np.clip(-gain * away - 0.3 * gain * speed, -2.0, 2.0))
    assert solves(held, *pendulum(angle), seed=0) is expected


def test_what_a_budget_does_not_solve_is_never_solved() -> None:
    assert seconds_until_sac_solves(challenge_of("Pendulum-v1"), 0, budget=60, every=30) == math.inf


@pytest.mark.parametrize("name", ["Pendulum-v1", "pendulum", "cart-pole"])
def test_a_step_is_as_long_as_the_environment_says(name: str) -> None:
    expected = 0.08 / math.sqrt(15 / 6) if name == "pendulum" else 0.05
    assert step_of(challenge_of(name)) == pytest.approx(expected)
