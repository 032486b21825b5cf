"""Planning: plans work, in any physics, for one state or several, and quickly."""

import time

import numpy as np
import pytest

from hnn_envs.agents.episodes import play
from hnn_envs.agents.planning import Planner
from hnn_envs.errors import InvalidOptionError, InvalidStateError, UnknownNameError
from hnn_envs.tasks import TASKS
from hnn_envs.tasks.actuation import actuation_of
from hnn_envs.tasks.optional import Search, search_of

SMALL = Search(horizon=5, hold=2, candidates=16, elites=4, iterations=2)


def starts(task, count):
    return np.stack([task.initial_state(np.random.default_rng(seed)) for seed in range(count)])


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("dynamics", ["ode", "hnn", "baseline"])
def test_plans_for_one_state_and_for_several(name, dynamics, physics):
    task = TASKS[name]
    planner, x = Planner(name, physics(name, dynamics), SMALL), starts(task, 3)
    actions = actuation_of(task).actions
    for states in (x, x[0], x):
        action = planner.plan(states)
        assert action.shape == (*states.shape[:-1], actions)
        assert action.dtype == np.float32
        assert (np.abs(action) <= 1).all()


def test_the_same_seed_gives_the_same_plan_and_reset_forgets():
    x = starts(TASKS["pendulum"], 2)
    first, second = (Planner("pendulum", "hnn", SMALL, seed=1).plan(x) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    planner = Planner("pendulum", "hnn", SMALL)
    planner.plan(x)
    planner.reset()
    assert planner.plan(x[0]).shape == (1,)


@pytest.mark.parametrize("dynamics", ["ode", "hnn"])
def test_planning_brings_the_spring_to_rest_at_half_the_cost_of_doing_nothing(dynamics):
    planner = Planner("mass-spring", dynamics)
    planned = play("mass-spring", "ode", lambda seen, states: planner.plan(states), 3, seed=10_000)
    idle = play("mass-spring", "ode", lambda seen, states: np.zeros((3, 1)), 3, seed=10_000)
    assert planned.sum() > 0.6 * idle.sum()  # costs are negative


def test_states_beyond_the_end_earn_nothing_and_are_no_nan():
    task = TASKS["three-body"]
    x = starts(task, 1)
    close = x.copy()
    close[0, 2:4] = close[0, 0:2] + 0.51 / np.sqrt(2)
    assert np.isfinite(Planner("three-body", "hnn", SMALL).plan(close)).all()


def test_a_step_is_planned_at_interactive_speed():
    planner, x = Planner("pendulum", "hnn"), starts(TASKS["pendulum"], 1)[0]
    planner.plan(x)
    began = time.process_time()
    for _ in range(10):
        planner.plan(x)
    assert (time.process_time() - began) / 10 < 0.1  # some 5 ms on a core of 2024
    assert search_of(TASKS["pendulum"]).candidates >= 200


@pytest.mark.parametrize(
    "options",
    [
        {"horizon": 0},
        {"hold": -1},
        {"candidates": 2.5},
        {"elites": 200},
        {"smallest_spread": 2.0},
        {"iterations": True},
        {"substeps": 0},
    ],
)
def test_searches_that_cannot_be_made_are_refused(options):
    with pytest.raises(InvalidOptionError):
        Search(**options)


def test_bad_names_and_states_are_refused():
    with pytest.raises(UnknownNameError, match="juggling"):
        Planner("juggling")
    with pytest.raises(UnknownNameError, match="magic"):
        Planner("pendulum", "magic")
    planner = Planner("pendulum", "hnn", SMALL)
    for state in (np.zeros(3), np.array([np.nan, 0.0]), np.zeros((2, 2, 2))):
        with pytest.raises(InvalidStateError, match="pendulum"):
            planner.plan(state)
