"""Regulate: any system, from its description and its domain alone."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learned import CRANE, DOMAIN, crane_card
from physics import PROPERTY

from hnn_envs.agents.controllers import lqr
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.systems import Input, SystemSpec
from hnn_envs.tasks.actuation import actuation_of, largest_inputs
from hnn_envs.tasks.own import task_on
from hnn_envs.tasks.regulate import Regulate

UPRIGHT = (0.0, math.pi, 0.0, 0.0)
TWO = replace(CRANE, inputs=(*CRANE.inputs, Input("torque", "N m")), input_matrix=((1.0, 0.0), (0.0, 1.0)))
"""The crane with a motor at its joint."""


def regulate(spec: SystemSpec = CRANE, **options: Any) -> Regulate:
    """As ``Learned-v0`` makes it, options as JSON has them."""
    made = task_on(replace(crane_card(), spec=spec), None, json.loads(json.dumps(options)))
    assert isinstance(made, Regulate)
    return made


def states(count: int, seed: int = 0) -> Any:
    """Within the limits and a little beyond; angles go round."""
    rng = np.random.default_rng(seed)
    return 1.1 * rng.uniform(DOMAIN.low, DOMAIN.high, (count, 4)) * (1, 5, 1, 1)


class TestDefaults:
    def test_all_follows_from_the_description_and_the_domain(self) -> None:
        task = regulate()
        assert task.dt == CRANE.time_scale / 50
        assert task.max_inputs == (10.0,)
        assert task.goal.tolist() == [0, 0, 0, 0]
        np.testing.assert_array_equal(task.low, [-3, -np.inf, -10, -25])
        np.testing.assert_array_equal(task.high, [3, np.inf, 10, 25])
        np.testing.assert_array_equal(task.observation_low, np.float32([-3, -1, -1, -10, -25]))
        np.testing.assert_array_equal(task.observation_high, np.float32([3, 1, 1, 10, 25]))
        assert task.largest_cost == pytest.approx(1 + 1 + 0.1 + 0.1 + 0.01)

    def test_an_angle_that_was_seen_in_part_is_limited(self) -> None:
        domain = replace(DOMAIN, low=(-3.0, -0.5, -10.0, -25.0), high=(3.0, 1.0, 10.0, 25.0))
        task = Regulate(CRANE, domain)
        assert (task.low[1], task.high[1]) == (-0.5, 1.0)
        assert task.cost(np.array([0.0, 1.0, 0.0, 0.0]), np.zeros(1)) == pytest.approx(1.0)

    def test_rest_is_amid_the_limits_where_it_cannot_be_at_0(self) -> None:
        domain = replace(DOMAIN, low=(1.0, -math.pi, -10.0, -25.0))
        task = Regulate(CRANE, domain)
        assert task.goal.tolist() == [2.0, 0, 0, 0]
        assert abs(task.initial_state(np.random.default_rng(0))[0] - 2) <= 0.2

    @pytest.mark.parametrize(
        ("inputs", "expected"),
        [(((-10.0, 8.0),), 10.0), (((-1.0, 3.0),), 3.0), (((0.0, 0.0),), 35 / 1.6), (None, 35 / 1.6)],
    )
    def test_inputs_are_as_large_as_was_recorded(self, inputs: Any, expected: float) -> None:
        domain = replace(DOMAIN, inputs=inputs)
        assert largest_inputs(CRANE, domain) == (pytest.approx(expected),)
        assert Regulate(CRANE, domain).max_input == pytest.approx(expected)
        assert largest_inputs(CRANE, None) == (1.0,)

    @pytest.mark.parametrize(
        ("dt", "expected"), [(None, 0.032), (0.001, 0.032), (0.01, 0.03), (0.04, 0.04), (0.5, 0.5)]
    )
    def test_its_step_is_a_multiple_of_the_recordings(self, dt: float | None, expected: float) -> None:
        assert task_on(crane_card(dt=dt)).dt == pytest.approx(expected)
        assert task_on(crane_card(dt=dt), None, {"dt": 0.007}).dt == 0.007

    def test_a_discrete_map_has_its_own_step(self) -> None:
        task = Regulate("pixel-pendulum", low=(-4, -8), high=(4, 8))
        assert task.dt == 0.05


class TestOptions:
    def test_they_are_what_they_say(self) -> None:
        task = regulate(
            target=[0.5, 3, 0, 0],
            state_weights=[1, 2, 0, 0],
            input_weights=[0.5],
            low=[-1, None, -2, -3],
            high=[1, None, 2, None],
            dt=0.01,
            max_episode_steps=7,
            max_input=2,
            start=[0.5, -1, 0, 0],
            start_spread=0.5,
        )
        assert (task.dt, task.max_episode_steps, task.max_inputs) == (0.01, 7, (2.0,))
        np.testing.assert_array_equal(task.low, [-1, -np.inf, -2, -3])
        np.testing.assert_array_equal(task.high, [1, np.inf, 2, 25])
        x, u = np.array([0.0, 1.0, 1.0, 1.0]), np.array([2.0])
        assert task.cost(x, u) == pytest.approx(0.25 + 2 * 2 * (1 - math.cos(2)) + 0.5 * 4)
        assert task.largest_cost == pytest.approx(1.5**2 + 2 * 4 + 0.5 * 4)
        assert task.reward(x, u, x) == pytest.approx(1 - task.cost(x, u) / task.largest_cost)
        starts = np.stack([task.initial_state(np.random.default_rng(seed)) for seed in range(300)])
        low, high = starts.min(0), starts.max(0)
        np.testing.assert_allclose(low, [-0.25, -1 - math.pi / 2, -1, -1.5], atol=0.06)
        np.testing.assert_allclose(high, [0.75, -1 + math.pi / 2, 1, 12.5], atol=0.2)

    def test_inputs_may_have_sizes_of_their_own(self) -> None:
        task = Regulate(TWO, replace(DOMAIN, inputs=None), max_input=(2, 0.5), input_weights=(1, 4))
        actuation = actuation_of(task)
        np.testing.assert_array_equal(actuation.to_inputs(np.array([[1.0, -1.0], [0.5, 0.2]])), [[2, -0.5], [1, 0.1]])
        np.testing.assert_array_equal(actuation.to_shares(np.array([2.0, -0.5])), [1, -1])
        found = actuation.to_inputs(torch.tensor([[1.0, -1.0]], dtype=torch.float64))
        np.testing.assert_array_equal(found.numpy(), [[2, -0.5]])
        assert task.cost(np.zeros(4), np.array([2.0, -0.5])) == 4 + 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"target": [0]}, "target must be 4 numbers, one for each of the components of 'crane'"),
            ({"target": [9, 0, 0, 0]}, "target is [9.0, 0.0, 0.0, 0.0], which is outside the limits"),
            ({"start": [0, 0, 0, 26]}, "start is [0.0, 0.0, 0.0, 26.0], which is outside the limits"),
            ({"low": [None, None, 0]}, "low must be 4 numbers"),
            ({"high": [None] * 5}, "high must be 4 numbers"),
            ({"low": [5, None, None, None]}, "low must be below high in all components"),
            ({"low": [None, "x", 1, 1]}, "low[1] is 'x', which is no number"),
            ({"max_input": -1}, "max_input is -1.0; allowed: more than 0"),
            ({"max_input": [1, 2]}, "max_input must be 1 numbers, one for each of the inputs of 'crane'"),
            (
                {"state_weights": [0] * 4, "input_weights": [0]},
                "one of state_weights and input_weights must be",
            ),
            ({"state_weights": [-1, 0, 0, 0]}, "state_weights[0] is -1.0; allowed: at least 0"),
            ({"dt": 0}, "dt is 0.0; allowed: more than 0"),
            ({"max_episode_steps": 0}, "max_episode_steps is 0; allowed: at least 1"),
            ({"start_spread": 2}, "start_spread is 2.0; allowed: at least 0, at most 1"),
            ({"colour": 3}, "has no setting 'colour'; allowed: domain, target, state_weights"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidOptionError) as caught:
            regulate(**options)
        assert str(caught.value).startswith("task Regulate")
        assert message in str(caught.value)

    def test_without_a_domain_limits_are_needed(self) -> None:
        with pytest.raises(InvalidOptionError, match="low must be given for all 4 components of 'crane'"):
            Regulate(CRANE)
        with pytest.raises(InvalidOptionError, match="high must be given for all 4 components"):
            Regulate(CRANE, low=(-1, -1, -1, -1), high=(1, None, 1, 1))

    def test_without_an_input_there_is_no_task(self) -> None:
        free = replace(CRANE, inputs=(), input_matrix=((), ()))
        with pytest.raises(InvalidOptionError, match="a task needs an input, and 'crane' has none"):
            Regulate(free, replace(DOMAIN, inputs=()))


class TestRules:
    @PROPERTY
    @given(
        target=st.floats(-3, 3),
        seed=st.integers(0, 1000),
        weights=st.lists(st.floats(0, 100), min_size=4, max_size=4),
        price=st.floats(1e-3, 10),
    )
    def test_rewards_are_in_their_range_and_observations_in_their_bounds(
        self, target: float, seed: int, weights: list[float], price: float
    ) -> None:
        task = Regulate(CRANE, DOMAIN, target=(target / 3, target, 0, 0), state_weights=weights, input_weights=(price,))
        x, y = states(50, seed), states(50, seed + 1)
        x[0], y[1], y[2] = np.nan, np.inf, 1e300
        u = np.random.default_rng(seed).uniform(-10, 10, (50, 1))
        with np.errstate(all="ignore"):
            reward, seen = task.reward(x, u, y), task.observation(y)
        assert ((reward >= 0) & (reward <= 1)).all()
        assert (reward[~task.inside(y)] == 0).all()
        assert (seen.dtype, np.isfinite(seen).all()) == (np.float32, True)
        assert ((seen >= task.observation_low) & (seen <= task.observation_high)).all()
        assert not task.terminated(x).any()

    def test_the_target_at_no_effort_earns_one_and_the_farthest_nothing(self) -> None:
        task = regulate(target=UPRIGHT)
        goal = np.array([0.0, -math.pi, 0.0, 0.0])  # the same place
        assert task.reward(goal, np.zeros(1), goal) == pytest.approx(1)
        worst = np.array([-3.0, 0.0, 10.0, -25.0])
        assert task.reward(worst, np.array([10.0]), worst) == pytest.approx(0)
        assert task.initial_state(np.random.default_rng(3))[1] < math.pi / 5  # about hanging, all the same

    def test_one_state_and_many_and_tensors_agree_bit_for_bit(self) -> None:
        task, x, u = regulate(target=UPRIGHT), states(40), np.random.default_rng(5).uniform(-10, 10, (40, 1))
        y = states(40, 7)
        reward, seen = task.reward(x, u, y), task.observation(y)
        np.testing.assert_array_equal(reward, [task.reward(*row) for row in zip(x, u, y, strict=True)])
        np.testing.assert_array_equal(seen, [task.observation(row) for row in y])
        np.testing.assert_array_equal(task.inside(y), [task.inside(row) for row in y])
        tensors = [torch.tensor(each) for each in (x, u, y)]
        np.testing.assert_allclose(task.reward(*tensors).numpy(), reward, atol=1e-14)
        np.testing.assert_allclose(task.observation(tensors[2]).numpy(), seen, atol=1e-6)

    def test_its_cost_is_what_a_regulator_is_designed_for(self) -> None:
        task = regulate(target=UPRIGHT)
        away = 1e-4 * np.array([1.0, -2.0, 3.0, 1.0])
        x, u = task.goal + away, np.array([1e-3])
        expected = away @ task.goal_cost @ away + task.input_cost @ u**2
        assert 1 - task.reward(x, u, x) == pytest.approx(expected, rel=1e-5)

    def test_it_goes_to_another_process(self) -> None:
        task = regulate(target=UPRIGHT)
        again = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own bytes
        x = states(5)
        np.testing.assert_array_equal(again.reward(x, np.zeros((5, 1)), x), task.reward(x, np.zeros((5, 1)), x))
        assert repr(again) == repr(task) == f"Regulate('crane', target={list(UPRIGHT)})"


def test_a_regulator_holds_a_known_machine_upright() -> None:
    task = Regulate("cart-pole", low=(-3, -7, -10, -25), high=(3, 7, 10, 25), target=UPRIGHT, max_input=10, dt=0.02)
    control, made = lqr(task), make_dynamics("cart-pole", dt=task.dt)
    x = task.goal + np.array([0.1, 0.2, 0.0, 0.0])
    for _ in range(400):
        u = actuation_of(task).to_inputs(control(x[None], x[None])[0])
        x = made.step(x, u)
    assert task.reward(x, np.zeros(1), x) > 0.9999
