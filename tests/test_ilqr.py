"""Iterative linear-quadratic control: its parts against known answers, and swing-ups planned in learned physics."""

from __future__ import annotations

import math
import time
from itertools import product

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from hnn_envs.agents.controllers import riccati
from hnn_envs.agents.costs import RewardCost, cost_of, goal_cost
from hnn_envs.agents.ilqr import Trajectory, bounded_step, optimise, stacked
from hnn_envs.agents.ilqr_planning import ILQRPlanner, plan_from, smooth_guesses, with_other_ends
from hnn_envs.agents.planned import plan_episodes
from hnn_envs.arrays import Array
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidActionError, InvalidOptionError, InvalidStateError, UnknownNameError
from hnn_envs.tasks import TASKS, get_task
from hnn_envs.tasks.actuation import Actuation, actuation_of
from hnn_envs.tasks.optional import search_of


def learned(name: str) -> Dynamics:
    """The shipped model of a task, stepped as planners step it."""
    task, search = get_task(name), search_of(get_task(name))
    return make_dynamics(task.system, "hnn", dt=task.dt, integrator=search.integrator, substeps=search.substeps)


def rolled(dynamics: Dynamics, actuation: Actuation, x: Array, actions: Array) -> Array:
    path = [x]
    for step in range(actions.shape[-2]):
        path.append(dynamics.step(path[-1], actuation.to_inputs(actions[..., step, :])))
    return np.stack(path, axis=-2)


class TestCosts:
    @pytest.mark.parametrize("name", TASKS)
    @pytest.mark.parametrize("kind", ["own", "reward"])
    def test_slopes_are_those_of_differences(self, name: str, kind: str) -> None:
        task, rng = get_task(name), np.random.default_rng(0)
        cost = cost_of(task) if kind == "own" else RewardCost(task)
        x = np.stack([task.initial_state(rng) for _ in range(5)])
        x, u = x + 0.05 * rng.standard_normal(x.shape), rng.uniform(-0.9, 0.9, (4, actuation_of(task).actions))
        found = cost.expand(x, u)
        for _ in range(5):
            along_x, along_u = rng.standard_normal(x.shape), rng.standard_normal(u.shape)
            ahead, behind = (cost.total(x + sign * 1e-5 * along_x, u + sign * 1e-5 * along_u) for sign in (1, -1))
            slope = (found.state_slopes * along_x).sum() + (found.action_slopes * along_u).sum()
            assert slope == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-5)

    @pytest.mark.parametrize("name", TASKS)
    def test_curves_are_semidefinite(self, name: str) -> None:
        task, rng = get_task(name), np.random.default_rng(1)
        x = np.stack([task.initial_state(rng) for _ in range(5)])
        found = cost_of(task).expand(x, np.zeros((4, actuation_of(task).actions)))
        for curves in (found.state_curves, found.action_curves):
            assert np.linalg.eigvalsh(curves).min() >= -1e-9 * np.abs(curves).max()

    @pytest.mark.parametrize("name", ["pendulum", "cart-pole", "acrobot", "pendubot", "mass-spring"])
    def test_near_its_goal_a_cost_is_the_quadratic_that_the_task_states(self, name: str) -> None:
        task = get_task(name)
        away = 1e-3 * np.random.default_rng(0).standard_normal((4, len(task.goal)))
        total = goal_cost(task, last=1.0).total(task.goal + away, np.zeros((3, actuation_of(task).actions)))
        assert total == pytest.approx(((away[1:] @ task.goal_cost) * away[1:]).sum(), rel=1e-5)

    def test_whole_turns_cost_nothing(self) -> None:
        task, rng = get_task("acrobot"), np.random.default_rng(0)
        cost, x, u = goal_cost(task), rng.standard_normal((4, 4)), np.zeros((3, 1))
        turned = x + 2 * math.pi * np.array([2, -1, 0, 0])
        assert cost.total(turned, u) == pytest.approx(cost.total(x, u))

    def test_states_at_a_limit_cost_what_is_said(self) -> None:
        task = get_task("cart-pole")
        x = np.tile(task.goal, (3, 1))
        x[1, 0] = task.high[0]
        beyond = goal_cost(task, bound=50.0).total(x, np.zeros((2, 1)))
        assert beyond - goal_cost(task, bound=0.0).total(x, np.zeros((2, 1))) == pytest.approx(50.0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_bounded_step_is_the_minimum_within_its_bounds(size: int) -> None:
    rng = np.random.default_rng(size)
    root = rng.standard_normal((50, size, size))
    curve = root @ np.swapaxes(root, 1, 2) + 0.3 * np.eye(size)
    slope, cross = 2 * rng.standard_normal((50, size)), rng.standard_normal((50, size, 4))
    low, high = -rng.uniform(0, 1, (50, size)), rng.uniform(0, 1, (50, size))
    z, gains = bounded_step(curve, slope, cross, low, high)
    for row in range(50):
        lower = np.linalg.cholesky(curve[row])
        wanted = lsq_linear(lower.T, -np.linalg.solve(lower, slope[row]), (low[row], high[row]), tol=1e-14).x
        np.testing.assert_allclose(z[row], wanted, atol=1e-6)
        held = (np.abs(z[row] - low[row]) < 1e-9) | (np.abs(z[row] - high[row]) < 1e-9)
        assert (gains[row][held] == 0).all()
        if not held.any():
            np.testing.assert_allclose(gains[row], -np.linalg.solve(curve[row], cross[row]))


class TestOptimise:
    def test_a_linear_system_takes_one_iteration_and_has_the_gains_of_the_regulator(self) -> None:
        task = get_task("mass-spring")
        dynamics, actuation = make_dynamics(task.system, "ode", dt=task.dt), actuation_of(task)
        gain, last = riccati(task, dynamics, task.goal, task.goal_cost, task.input_cost)
        cost, x = goal_cost(task, last=last, bound=0.0), np.array([0.05, -0.02])
        found = optimise(dynamics, cost, actuation, x, np.zeros((30, 1)), iterations=6)
        np.testing.assert_allclose(found.gains, np.broadcast_to(-gain, (30, 1, 2)), atol=1e-6)
        np.testing.assert_allclose(found.actions[0], -gain @ x, atol=1e-6)
        # The first state, which no action moves, is not counted.
        optimum = x @ last @ x - x @ task.goal_cost @ x
        assert found.cost == pytest.approx(optimum, rel=1e-6)
        assert found.iterations <= 3

    @pytest.mark.parametrize("name", ["pendulum", "cart-pole", "two-body"])
    def test_costs_fall_within_bounds_and_states_are_those_of_the_physics(self, name: str) -> None:
        task, rng = get_task(name), np.random.default_rng(0)
        dynamics, actuation, cost = learned(name), actuation_of(task), cost_of(task)
        x = np.stack([task.initial_state(rng) for _ in range(3)])
        guess = smooth_guesses(rng, 3, 30, actuation.actions)
        costs = [cost.total(rolled(dynamics, actuation, x, guess), guess)]
        for iterations in (2, 6, 12):
            found = optimise(dynamics, cost, actuation, x, guess, iterations=iterations)
            assert (np.abs(found.actions) <= 1).all()
            np.testing.assert_allclose(found.states, rolled(dynamics, actuation, x, found.actions), atol=1e-9)
            np.testing.assert_allclose(found.cost, cost.total(found.states, found.actions))
            costs.append(found.cost)
        assert (np.diff(costs, axis=0) <= 1e-9).all()
        assert (costs[-1] < costs[0]).all()

    def test_a_start_in_a_batch_goes_the_way_that_it_goes_alone(self) -> None:
        task, rng = get_task("cart-pole"), np.random.default_rng(3)
        problem = learned("cart-pole"), cost_of(task), actuation_of(task)
        x, guess = task.initial_state(rng), smooth_guesses(rng, 6, 30, 1)
        together = optimise(*problem, x, guess.reshape(2, 3, 30, 1), iterations=5)
        assert together.cost.shape == (2, 3)
        for row, column in product(range(2), range(3)):
            alone = optimise(*problem, x, guess[3 * row + column], iterations=5)
            np.testing.assert_allclose(together[row, column].actions, alone.actions, atol=1e-6)
        assert together.best(1).best().cost == together.cost.min()

    def test_what_diverges_costs_infinitely_and_leaves_the_others_alone(self) -> None:
        task = get_task("pendulum")
        problem = learned("pendulum"), cost_of(task), actuation_of(task)
        x = np.array([[0.1, 0.0], [1e300, 1e300]])
        found = optimise(*problem, x, smooth_guesses(np.random.default_rng(0), 1, 20, 1), iterations=5)
        assert np.isinf(found.cost[1])
        assert np.isfinite(found.cost[0])
        assert found.best().cost == found.cost[0]

    def test_bad_input_is_refused(self) -> None:
        task = get_task("pendulum")
        problem = learned("pendulum"), cost_of(task), actuation_of(task)
        good = np.zeros((5, 1))
        for state in (np.zeros(3), np.array([np.nan, 0.0]), np.array(1.0)):
            with pytest.raises(InvalidStateError, match="2 numbers"):
                optimise(*problem, state, good)
        for actions in (np.zeros(5), np.zeros((5, 2)), np.full((5, 1), np.inf), np.zeros((0, 1)), np.zeros((3, 5, 1))):
            with pytest.raises(InvalidActionError, match="actions"):
                optimise(*problem, np.zeros((2, 2)), actions)


class TestTrajectory:
    def test_the_rest_and_more(self) -> None:
        rng = np.random.default_rng(0)
        plan = Trajectory(*(rng.standard_normal(shape) for shape in ((6, 4), (5, 1), (5, 1, 4), ())))
        rest = plan.rest(2)
        assert (rest.states.shape, rest.actions.shape, rest.gains.shape) == ((4, 4), (3, 1), (3, 1, 4))
        np.testing.assert_array_equal(rest.states[0], plan.states[2])
        more = rest.longer(3)
        assert (more.states.shape, more.actions.shape, more.gains.shape) == ((7, 4), (6, 1), (6, 1, 4))
        np.testing.assert_array_equal(more.actions[-1], plan.actions[-1])
        assert not more.gains[-3:].any()
        np.testing.assert_array_equal(stacked([plan, plan])[1].gains, plan.gains)

    def test_gains_keep_a_disturbed_system_on_its_way(self) -> None:
        task, rng = get_task("cart-pole"), np.random.default_rng(0)
        dynamics, actuation = learned("cart-pole"), actuation_of(task)
        plan = plan_from(dynamics, cost_of(task), actuation, np.zeros(4), smooth_guesses(rng, 8, 60, 1), rng, rounds=4)
        ends = []
        for gains in (plan.gains, 0 * plan.gains):
            followed, x = Trajectory(plan.states, plan.actions, gains, plan.cost), np.tile([0.02, -0.03, 0, 0], (1, 1))
            for step in range(60):
                x = dynamics.step(x, actuation.to_inputs(followed.action(step, x)))
            ends.append(float(np.abs(x - plan.states[-1]).max()))
        assert ends[0] < 0.1 < ends[1]


@pytest.mark.parametrize(("name", "steps"), [("pendulum", 80), ("cart-pole", 60), ("acrobot", 80), ("pendubot", 80)])
def test_a_swing_up_is_planned_from_rest(name: str, steps: int) -> None:
    """From hanging still to upright, in the shipped model, from random guesses."""
    task, rng = get_task(name), np.random.default_rng(0)
    x = 0 * task.goal
    guesses = smooth_guesses(rng, 16, steps, 1)
    plan = plan_from(learned(name), cost_of(task), actuation_of(task), x, guesses, rng)
    away = plan.states[-1] - task.goal
    angles = away[: len(away) // 2][np.array(task.system.spec.angles)]
    assert (np.cos(np.cumsum(angles) if name in ("acrobot", "pendubot") else angles) > math.cos(0.25)).all()
    assert plan.gains.any()


def test_other_ends_keep_beginnings() -> None:
    rng = np.random.default_rng(0)
    actions = np.ones((2, 10, 40, 1))
    others = with_other_ends(rng, actions)
    kept = (others == 1).cumprod(axis=2).sum(axis=2)
    assert others.shape == actions.shape
    assert kept.min() < 10
    assert kept.max() > 30


class TestPlanner:
    @pytest.mark.parametrize("name", TASKS)
    @pytest.mark.parametrize("kind", ["ode", "hnn", "baseline"])
    def test_plans_for_one_state_and_for_several(self, name: str, kind: str, physics) -> None:  # type: ignore[no-untyped-def]
        task = TASKS[name]
        planner = ILQRPlanner(name, physics(name, kind), steps=6, guesses=2, rounds=1, iterations=1, least=3)
        x = np.stack([task.initial_state(np.random.default_rng(seed)) for seed in range(2)])
        for states in (x, x[0], x[0], x):
            action = planner.plan(states)
            assert action.shape == (*states.shape[:-1], actuation_of(task).actions)
            assert action.dtype == np.float32
            assert (np.abs(action) <= 1).all()

    def test_the_cart_pole_is_swung_up_and_held_under_true_physics(self) -> None:
        task = get_task("cart-pole")
        true, actuation = make_dynamics(task.system, "ode", dt=task.dt), actuation_of(task)
        planner, x, upright = ILQRPlanner("cart-pole", "hnn", steps=60), np.zeros(4), []
        for _ in range(100):
            x = true.step(x, actuation.to_inputs(planner.plan(x).astype(np.float64)))
            assert task.inside(x)
            assert not task.terminated(x)
            upright.append(math.cos(x[1]) < -math.cos(0.25))
        assert all(upright[-40:])

    def test_a_disturbance_that_no_plan_answers_has_a_new_plan(self) -> None:
        planner = ILQRPlanner("pendulum", "hnn", steps=60, least=20, guesses=8, rounds=3)
        task = get_task("pendulum")
        dynamics, x = make_dynamics(task.system, "hnn", dt=task.dt), np.zeros(2)
        for step in range(72):
            if step == 70:  # knocked down after it stood
                x = np.array([x[0] + math.pi, 0.0])
            planner.plan(x)
            (plan,) = planner.trajectories
            assert plan is not None
            x = dynamics.step(x, actuation_of(task).to_inputs(plan.actions[0]))
            assert (len(plan.actions) == 60) == (step in (0, 70))

    def test_the_same_seed_gives_the_same_plan_and_reset_forgets(self) -> None:
        first, second = (ILQRPlanner("cart-pole", "hnn", steps=20, guesses=4, rounds=2, seed=1) for _ in range(2))
        np.testing.assert_array_equal(first.plan(np.zeros(4)), second.plan(np.zeros(4)))
        first.reset()
        assert first.trajectories == []

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="juggling"):
            ILQRPlanner("juggling")
        for options in ({"steps": 0}, {"guesses": 1.5}, {"rounds": True}, {"iterations": -1}, {"least": "2"}):
            with pytest.raises(InvalidOptionError, match=next(iter(options))):
                ILQRPlanner("pendulum", **options)  # type: ignore[arg-type]
        planner = ILQRPlanner("pendulum", steps=5, guesses=2, rounds=1)
        for state in (np.zeros(3), np.array([np.nan, 0.0]), np.zeros((2, 2, 2))):
            with pytest.raises(InvalidStateError, match="pendulum"):
                planner.plan(state)

    def test_episodes_are_planned_by_name(self) -> None:
        with pytest.raises(UnknownNameError, match="magic"):
            plan_episodes("pendulum", "hnn", "ode", planner="magic")


def test_100_steps_are_planned_again_within_50_ms() -> None:
    """A plan of the cart-pole that is started from the one before, by three iterations; the median of 20."""
    task, rng = get_task("cart-pole"), np.random.default_rng(0)
    dynamics, cost, actuation = learned("cart-pole"), cost_of(task), actuation_of(task)
    plan = plan_from(dynamics, cost, actuation, np.zeros(4), smooth_guesses(rng, 8, 100, 1), rng, rounds=3)
    seconds = []
    for _ in range(20):
        x = plan.states[1] + 1e-3 * rng.standard_normal(4)
        began = time.process_time()
        plan = optimise(dynamics, cost, actuation, x, plan.rest().longer(), iterations=3, gains=False)
        seconds.append(time.process_time() - began)
    assert np.median(seconds) < 0.05  # some 15 ms on a core of 2024
