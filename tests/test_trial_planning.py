"""Trials are planned in learned physics, rehearsed there, and followed from noisy measurements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from exploring import CART_POLE, NOISE, TrueLearner

from hnn_envs.agents.ilqr import Trajectory, optimise
from hnn_envs.exploration.goal import Goal, goal_of
from hnn_envs.exploration.learners import Learned
from hnn_envs.exploration.planning import Plan, Planning, Tracker, plan_trial, rehearse
from hnn_envs.exploration.trials import Rules
from hnn_envs.tasks import get_task
from hnn_envs.tasks.actuation import actuation_of

TASK = get_task("cart-pole")
ACTUATION = actuation_of(TASK)


@pytest.fixture(scope="module")
def learned() -> Learned:
    return TrueLearner()(None, dt=TASK.dt, seed=0, previous=None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def goal() -> Goal:
    env = gymnasium.make(CART_POLE)
    env.reset(seed=0)
    return goal_of(env.unwrapped)


@pytest.fixture(scope="module")
def rules(goal: Goal) -> Rules:
    return Rules(80, 20, goal.reached)


@pytest.fixture(scope="module")
def plan(learned: Learned, goal: Goal, rules: Rules) -> Plan:
    return plan_trial(learned, goal, ACTUATION, np.zeros(4), rules, np.random.default_rng(0))[0]


@dataclass(frozen=True)
class Lost:
    """Physics that does not know what comes next."""

    spec: Any

    def step(self, x: Any, u: Any, /) -> Any:
        return np.full_like(x, np.nan)

    def jacobian(self, x: Any, u: Any, /) -> tuple[Any, Any]:
        return np.full((*x.shape, 4), np.nan), np.full((*x.shape, 1), np.nan)


def test_a_plan_is_as_short_as_holds_in_its_rehearsals(plan: Plan) -> None:
    assert plan.rehearsed >= Planning().enough
    assert len(plan.trajectory.actions) == 30  # the first length that is tried
    assert np.abs(plan.trajectory.actions).max() <= 1


def test_where_no_plan_holds_the_best_is_kept(learned: Learned, goal: Goal, rules: Rules) -> None:
    hopeless = replace(goal, reached=lambda states: np.zeros(states.shape[:-1], dtype=bool))
    few = Planning(lengths=(0.2, 0.3), guesses=2, rounds=1, rehearsals=2)
    found, _ = plan_trial(learned, hopeless, ACTUATION, np.zeros(4), rules, np.random.default_rng(0), few)
    assert found.rehearsed == 0
    assert len(found.trajectory.actions) == 16


def test_rehearsals_fall_where_disturbances_are_large(learned: Learned, goal: Goal, rules: Rules, plan: Plan) -> None:
    def share(physics: Learned) -> float:
        cost = goal.cost_of(physics.dynamics.spec.angles, 1)
        tracker = Tracker(physics, cost, ACTUATION, Planning(), plan.trajectory)
        return rehearse(physics, tracker, goal, ACTUATION, np.zeros(4), rules, np.random.default_rng(1), Planning())

    assert share(learned) >= 0.9
    assert share(replace(learned, disturbance=np.full(4, 0.5))) < 0.5


def test_a_rehearsal_that_leaves_the_limits_does_not_hold(
    learned: Learned, goal: Goal, rules: Rules, plan: Plan
) -> None:
    narrow = replace(goal, low=np.full(4, -0.1), high=np.full(4, 0.1))
    tracker = Tracker(learned, goal.cost_of((False, True), 1), ACTUATION, Planning(), plan.trajectory)
    rng = np.random.default_rng(1)
    assert rehearse(learned, tracker, narrow, ACTUATION, np.zeros(4), rules, rng, Planning()) == 0


def test_what_is_measured_leads_where_the_physics_is_lost(goal: Goal, learned: Learned, plan: Plan) -> None:
    lost = Learned(Lost(learned.dynamics.spec), np.full(4, NOISE), np.full(4, NOISE))
    tracker = Tracker(lost, goal.cost_of((False, True), 1), ACTUATION, Planning(), plan.trajectory)
    actions = [tracker(step, np.zeros(4)) for step in range(3)]
    np.testing.assert_allclose(np.stack(actions)[:, 0], plan.trajectory.actions[:3, 0])


def test_a_plan_that_is_followed_into_a_divergence_keeps_its_actions(goal: Goal, learned: Learned) -> None:
    steps = 5
    old = Trajectory(np.zeros((steps + 1, 4)), np.full((steps, 1), 0.5), np.ones((steps, 1, 4)), np.array(1.0))
    found = optimise(Lost(learned.dynamics.spec), goal.cost_of((False, True), 1), ACTUATION, np.zeros(4), old)
    np.testing.assert_array_equal(found.actions, old.actions)
    assert found.cost == np.inf
