"""What an exploration is made of: goals, actions, and trials in an environment."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from exploring import (
    CART_POLE,
    REST,
    EndsAfter,
    get_upright,
)

from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.exploration.actions import ActionSpace, RandomActions, actuation_of_env
from hnn_envs.exploration.explorer import Explorer
from hnn_envs.exploration.goal import Goal, goal_of
from hnn_envs.exploration.trials import Rules, TrialEnv
from hnn_envs.recordings.adapters import adapter_of
from hnn_envs.tasks.regulate import Regulate

SLIDER_GOAL = Goal.at([1.0], angles=[False])


def test_discrete_actions_are_refused() -> None:
    with pytest.raises(InvalidOptionError, match="continuous"):
        Explorer("CartPole-v1", Goal.at([0.0, 0.0], angles=[False, True]))


def test_an_environment_without_a_goal_needs_one() -> None:
    with pytest.raises(InvalidOptionError, match=r"Goal\.at"):
        Explorer("Pendulum-v1")


def test_a_goal_in_momenta_is_watched_in_velocities() -> None:
    env: Any = gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0").unwrapped
    env.reset(seed=0)
    goal, task = goal_of(env), env.task
    velocity = 0.3  # v = 2 p
    cost = (task.goal_cost @ [0.0, velocity / 2]) @ [0.0, velocity / 2]
    assert goal.cost[1, 1] * velocity**2 == pytest.approx(cost)
    assert goal.high[1] == pytest.approx(2 * task.largest_momentum)
    assert goal.reached(np.array([[math.pi - 0.2, 0.0], [math.pi + 0.3, 0.0], [-math.pi, 0.0]])).tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        {"positions": [0.0, 0.0]},
        {"positions": [math.nan]},
        {"positions": [0.0], "tolerance": [0.1, 0.2]},
        {"positions": [0.0], "weights": [-1.0]},
        {"positions": [0.0], "action_cost": 0.0},
        {"positions": [0.0], "low": [0.0]},
    ],
)
def test_goals_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError):
        Goal.at(arguments.pop("positions"), angles=[True], **arguments)


def test_actions_are_shares_of_an_environments_bounds() -> None:
    space = ActionSpace.of(gymnasium.spaces.Box(-2.0, 4.0, (1,), np.float32))
    assert space.of_shares(np.array([-1.0])) == pytest.approx(-2.0)
    assert space.of_shares(np.array([0.0])) == pytest.approx(1.0)
    assert space.of_shares(np.array([7.0])) == pytest.approx(4.0)
    assert space.of_shares(np.array([0.5])).dtype == np.float32


def test_what_actions_drive_is_found_by_asking() -> None:
    env = gymnasium.make("hnn_envs:hnn_envs/Acrobot-v0")
    env.reset(seed=0)
    found = actuation_of_env(env, adapter_of(env), ActionSpace.of(env.action_space))
    assert (found.driven, found.sizes.tolist(), found.inputs) == ((1,), [3.0], 2)


def test_random_actions_are_smooth_within_bounds_and_seeded() -> None:
    first, again = (RandomActions(np.random.default_rng(1), 2) for _ in range(2))
    drawn, same_drawn = (np.stack([each(step, None) for step in range(2000)]) for each in (first, again))
    np.testing.assert_array_equal(drawn, same_drawn)
    assert np.abs(drawn).max() <= 1
    follow = np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]
    assert 0.6 < follow < 0.8


def test_a_trial_that_can_no_longer_be_solved_ends() -> None:
    env = gymnasium.make(CART_POLE)
    stage = TrialEnv(env, adapter_of(env), ActionSpace.of(env.action_space), 0.0, REST)
    rules = Rules(40, 10, lambda states: get_upright(states) <= 0.25)
    trial = stage.play(stage.reset(0), lambda step, seen: np.zeros(1), 40, rules)
    assert (trial.ended, trial.solved, len(trial.inputs)) == ("missed", False, 31)


def test_a_trial_that_the_environment_ends_for_good_is_not_solved_not_even_at_its_last_step() -> None:
    env = EndsAfter(gymnasium.make(CART_POLE), 10)
    up = np.array([0.0, math.pi])
    stage = TrialEnv(env, adapter_of(env), ActionSpace.of(env.action_space), 0.0, (up, np.zeros(2)))
    rules = Rules(10, 5, lambda states: get_upright(states) <= 0.25)
    trial = stage.play(stage.reset(0), lambda step, seen: np.zeros(1), 10, rules)
    assert (trial.ended, trial.solved, len(trial.inputs)) == ("left", False, 10)


def test_a_task_of_several_inputs_costs_each_as_it_says() -> None:
    dynamics = make_dynamics("double-pendulum", "ode", dt=0.05)
    limits = np.array([math.pi, math.pi, 20.0, 30.0])
    task = Regulate(
        dynamics.spec, low=tuple(-limits), high=tuple(limits), max_input=(2.0, 3.0), input_weights=(0.1, 0.5)
    )
    found = goal_of(SimpleNamespace(task=task, dynamics=dynamics)).cost_of((True, True), 2).action_costs
    np.testing.assert_allclose(found, np.array([0.1 * 4.0, 0.5 * 9.0]) / task.largest_cost)


def test_a_trial_from_the_goal_is_solved_if_it_is_held() -> None:
    env = gymnasium.make(CART_POLE)
    up = np.array([0.0, math.pi])
    stage = TrialEnv(env, adapter_of(env), ActionSpace.of(env.action_space), 0.0, (up, np.zeros(2)))
    rules = Rules(10, 5, lambda states: get_upright(states) <= 0.25)
    assert stage.play(stage.reset(0), lambda step, seen: np.zeros(1), 10, rules).solved
