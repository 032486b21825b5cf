"""Recordings as they are watched: exact states under held inputs, within limits, reproducible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from physics import exact

from hnn_envs.arrays import split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian.pairs import closest_distance
from hnn_envs.recordings import make_source
from hnn_envs.recordings.watched import WatchedSource
from hnn_envs.systems import SYSTEMS

LOW, HIGH = (-3.0, -np.pi, -10.0, -25.0), (3.0, np.pi, 10.0, 25.0)
CART_POLE = SYSTEMS["cart-pole"]


def watched(**changes: Any) -> WatchedSource:
    """Ten runs of a quarter of a second, and four to test on."""
    settings = {"seconds": 2.5, "test_seconds": 1.0, "dt": 0.05, "intervals": 5, "max_input": 10.0}
    source = make_source({"source": "watched", **settings, "low": LOW, "high": HIGH, **changes})
    assert isinstance(source, WatchedSource)
    return source


def test_it_lasts_as_long_as_it_was_asked_to() -> None:
    train, test = watched().make(CART_POLE, np.random.default_rng(0))
    assert train.states.shape == (10, 6, 4)
    assert test.states.shape == (4, 6, 4)
    assert train.inputs.shape == (10, 6, 1)
    np.testing.assert_allclose(train.times, 0.05 * np.arange(6))


@pytest.mark.parametrize("name", ["cart-pole", "double-pendulum", "pendulum"])
def test_each_state_leads_to_the_next_under_its_input(name: str) -> None:
    system = SYSTEMS[name]
    train, _ = watched(low=(), high=(), max_input=1.0).make(system, np.random.default_rng(0))
    for run in range(2):
        for step in range(5):
            after = exact(system.field, train.states[run, step], 0.05, train.inputs[run, step])
            np.testing.assert_allclose(train.states[run, step + 1], after, rtol=1e-8, atol=1e-8)


def test_the_derivatives_are_the_true_ones() -> None:
    train, _ = watched().make(CART_POLE, np.random.default_rng(0))
    np.testing.assert_array_equal(train.derivatives, CART_POLE.field(train.states, train.inputs))


def test_no_run_leaves_the_limits_and_inputs_change_with_every_step() -> None:
    train, _ = watched(seconds=25).make(CART_POLE, np.random.default_rng(0))
    linear = [0, 2, 3]
    assert (np.abs(train.states[..., linear]) <= np.array(HIGH)[linear]).all()
    assert np.abs(train.inputs).max() <= 10
    assert (np.diff(train.inputs, axis=1) != 0).all()


def test_a_seed_gives_the_same_recording_again() -> None:
    first, again, other = (watched().make(CART_POLE, np.random.default_rng(seed))[0].states for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("low", "high"), [((0.0,), (1.0,)), (LOW, ()), (LOW[:3], HIGH[:3])])
def test_limits_of_another_number_are_refused(low: tuple[float, ...], high: tuple[float, ...]) -> None:
    with pytest.raises(InvalidOptionError, match="need 4 limits low and high or none"):
        watched(low=low, high=high).make(CART_POLE, np.random.default_rng(0))


def test_limits_that_every_run_leaves_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnn_envs.recordings.watched.MOST_ROUNDS", 3)
    narrow = {"low": (-1e-6, -np.pi, 5.0, -25.0), "high": (1e-6, np.pi, 6.0, 25.0)}
    with pytest.raises(InvalidOptionError, match="hardly any run of cart-pole stays within the limits"):
        watched(**narrow).make(CART_POLE, np.random.default_rng(0))


def bodies(**changes: Any) -> WatchedSource:
    """Runs of two bodies from all over the limits of their task, which come no closer than 0.8."""
    low, high = [-2.2] * 4 + [-1.0] * 4, [2.2] * 4 + [1.0] * 4
    settings = {"seconds": 25, "test_seconds": 5, "dt": 0.1, "intervals": 5, "max_input": 0.05, "closest": 0.8}
    source = make_source({"source": "watched", **settings, "low": low, "high": high, **changes})
    assert isinstance(source, WatchedSource)
    return source


def test_bodies_stay_apart_throughout_a_run() -> None:
    near, far = (bodies(closest=each).make(SYSTEMS["two-body"], np.random.default_rng(0))[0] for each in (0.0, 1.2))
    smallest = [closest_distance(split(each.states)[0], 2).min() for each in (near, far)]
    assert smallest[0] < 0.9
    assert 1.2 <= smallest[1] < 1.3


def test_the_centre_of_mass_rests_at_the_origin_where_that_is_asked_for() -> None:
    resting, moving = (
        bodies(at_rest=each).make(SYSTEMS["two-body"], np.random.default_rng(0))[0].states.reshape(-1, 2, 2, 2).mean(2)
        for each in (True, False)
    )
    assert np.abs(resting).max() < 1e-12
    assert np.abs(moving).max() > 0.5


@pytest.mark.parametrize("changes", [{"closest": 0.1}, {"at_rest": True}])
def test_what_is_for_bodies_is_refused_where_there_are_none(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError, match="closest and at_rest are for bodies, and cart-pole has none"):
        watched(**changes).make(CART_POLE, np.random.default_rng(0))
