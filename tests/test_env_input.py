"""What bad input gets: a clear error, before anything changes."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from environments import assert_same, make, make_batch

from hnn_envs.envs import PhysicsEnv, PhysicsVectorEnv, ResetNeededError
from hnn_envs.errors import (
    CheckpointError,
    DeviceError,
    HnnEnvsError,
    InvalidActionError,
    InvalidOptionError,
    InvalidStateError,
    UnknownNameError,
)

# One environment

BAD_ACTIONS = [np.zeros(2), np.zeros((1, 1)), 0.5, [np.nan], [np.inf], [-np.inf], "push", None, [None], {"a": 1}]
BAD_OPTIONS = [
    ({"state": [0.0]}, InvalidStateError, "shape"),
    ({"state": [0.0, np.nan]}, InvalidStateError, "finite"),
    ({"state": [np.inf, 0.0]}, InvalidStateError, "finite"),
    ({"state": [0.0, 50.0]}, InvalidStateError, "outside the limits of 'pendulum'"),
    ({"state": "upright"}, InvalidStateError, "upright"),
    ({"state": None}, InvalidStateError, "shape"),
    ({"start": [0.0, 0.0]}, InvalidOptionError, "unknown reset option 'start'; allowed: state"),
    ({"reset_mask": np.array([True])}, InvalidOptionError, "reset_mask"),
    ([0.0, 0.0], InvalidOptionError, "dictionary"),
]
BAD_ARGUMENTS = [
    ({"dynamics": "newton"}, UnknownNameError, "newton.*allowed: ode, hnn, baseline"),
    ({"dynamics": 3}, UnknownNameError, "3"),
    ({"dynamics": "missing.safetensors"}, CheckpointError, r"missing\.safetensors"),
    ({"integrator": "euler"}, UnknownNameError, "euler.*allowed: .*leapfrog"),
    ({"task": "juggling"}, UnknownNameError, "juggling.*allowed: .*pendulum"),
    ({"dt": 0.0}, InvalidOptionError, "dt"),
    ({"dt": float("nan")}, InvalidOptionError, "dt"),
    ({"substeps": 0}, InvalidOptionError, "substeps"),
    ({"dtype": "float16"}, InvalidOptionError, "float16"),
    ({"dtype": "float32"}, InvalidOptionError, "ode"),
    ({"device": "abacus"}, DeviceError, "abacus"),
    ({"render_mode": "ansi"}, InvalidOptionError, "render_mode must be one of None, 'human', 'rgb_array', not 'ansi'"),
]


def snapshot(env: PhysicsEnv) -> tuple[Any, ...]:
    return env.state.tolist(), env.np_random.bit_generator.state, env._elapsed


@pytest.mark.parametrize("action", BAD_ACTIONS, ids=repr)
def test_a_bad_action_is_refused_and_changes_nothing(action: Any) -> None:
    env = make("Pendulum").unwrapped
    env.reset(seed=0)
    before = snapshot(env)
    with pytest.raises(InvalidActionError, match="action"):
        env.step(action)
    assert snapshot(env) == before


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS, ids=lambda value: repr(value)[:40])
def test_bad_options_are_refused_and_change_nothing(options: Any, error: type[Exception], message: str) -> None:
    env = make("Pendulum").unwrapped
    env.reset(seed=0)
    before = snapshot(env)
    with pytest.raises(error, match=message):
        env.reset(seed=1, options=options)
    if isinstance(options, dict) and "state" in options:
        with pytest.raises(error, match=message):
            env.state = options["state"]
    assert snapshot(env) == before


def test_no_episode_starts_where_it_would_end() -> None:
    corners = np.stack([0.3 * 3**-0.5 * np.array([np.cos(a), np.sin(a)]) for a in 2 * np.pi * np.arange(3) / 3])
    meeting = np.concatenate((corners.ravel(), np.zeros(6)))  # three bodies 0.3 apart
    for envs in (make("ThreeBody").unwrapped, make_batch("ThreeBody", 2)):
        envs.reset(seed=0)
        before = envs.state
        with pytest.raises(InvalidStateError, match="ends an episode of 'three-body'"):
            envs.reset(options={"state": meeting})
        with pytest.raises(InvalidStateError, match="ends an episode of 'three-body'"):
            envs.state = meeting
        np.testing.assert_array_equal(envs.state, before)


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_ARGUMENTS, ids=lambda value: repr(value)[:40])
@pytest.mark.filterwarnings("ignore:.*render_mode.*")
def test_bad_arguments_surface_when_the_environment_is_made(
    arguments: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make("Pendulum", **arguments)


def test_a_checkpoint_of_another_system_is_refused(random_checkpoint: Any) -> None:
    with pytest.raises(CheckpointError, match=r"mass-spring.*pendulum"):
        make("Pendulum", dynamics=random_checkpoint("mass-spring", "hnn"))


def test_an_environment_needs_a_reset_first() -> None:
    env = PhysicsEnv("pendulum", render_mode="rgb_array")
    for use in (lambda: env.step(np.zeros(1)), lambda: env.state, env.render, lambda: env.believed_energy):
        with pytest.raises(ResetNeededError, match="reset"):
            use()
    assert issubclass(ResetNeededError, HnnEnvsError)
    assert issubclass(ResetNeededError, gym.error.ResetNeeded)


def test_the_state_is_read_as_a_copy_and_set_with_checks() -> None:
    env = make("Pendulum").unwrapped
    env.reset(seed=0)
    env.state[:] = 0.0
    assert env.state.any()
    env.state = [1.0, -2.0]
    np.testing.assert_array_equal(env.state, [1.0, -2.0])
    observation, *_ = env.step(np.zeros(1))
    other = make("Pendulum").unwrapped
    other.reset(options={"state": [1.0, -2.0]})
    np.testing.assert_array_equal(observation, other.step(np.zeros(1))[0])


def test_a_callers_state_is_not_changed() -> None:
    env = make("Pendulum").unwrapped
    start = np.array([1.0, -2.0])
    env.reset(options={"state": start})
    env.step(np.ones(1))
    np.testing.assert_array_equal(start, [1.0, -2.0])


# A batch


def batch_snapshot(envs: PhysicsVectorEnv) -> tuple[Any, ...]:
    return envs.state.tolist(), [random.bit_generator.state for random in envs.np_random], envs._elapsed.tolist()


@pytest.mark.parametrize(
    "actions", [np.zeros((2, 1)), np.zeros(3), np.zeros((3, 2)), [[0.0], [np.nan], [0.0]], [[np.inf]] * 3, "push", None]
)
def test_bad_actions_are_refused_and_change_nothing(actions: Any) -> None:
    envs = make_batch()
    envs.reset(seed=0)
    before = batch_snapshot(envs)
    with pytest.raises(InvalidActionError, match="action"):
        envs.step(actions)
    assert batch_snapshot(envs) == before


@pytest.mark.parametrize(
    ("seed", "options", "error", "message"),
    [
        (1, {"state": np.zeros((2, 2))}, InvalidStateError, r"\(2,\) or \(3, 2\)"),
        (1, {"state": [[0, 0], [0, 0], [0, 9]]}, InvalidStateError, "limits"),
        (1, {"state": [[0, 0], [0, 0], [0, np.nan]]}, InvalidStateError, "finite"),
        (1, {"start": 0}, InvalidOptionError, "allowed: state, reset_mask"),
        (1, {"reset_mask": [True, False, False]}, InvalidOptionError, "reset_mask"),
        (1, {"reset_mask": np.array([True, False])}, InvalidOptionError, "reset_mask"),
        (1, {"reset_mask": np.array([1, 0, 0])}, InvalidOptionError, "reset_mask"),
        (1, {"reset_mask": np.zeros(3, bool)}, InvalidOptionError, "at least one"),
        ([1, 2], None, InvalidOptionError, r"an integer or 3 of them, not \[1, 2\]"),
        (1.5, None, InvalidOptionError, "an integer or 3 of them, not 1.5"),
        ([1, 2, 2.5], None, gym.error.Error, "(?i)seed"),
        ([1, 2, -3], None, gym.error.Error, "(?i)seed"),
        (-1, None, gym.error.Error, "(?i)seed"),
    ],
)
def test_bad_resets_are_refused_and_change_nothing(seed: Any, options: Any, error: Any, message: str) -> None:
    envs = make_batch()
    envs.reset(seed=0)
    before = batch_snapshot(envs)
    with pytest.raises(error, match=message):
        envs.reset(seed=seed, options=options)
    assert batch_snapshot(envs) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs must be a positive integer, not 0"),
        ({"num_envs": 2.5}, "num_envs"),
        ({"max_episode_steps": 0}, "max_episode_steps"),
        ({"autoreset_mode": "Sometimes"}, "'NextStep', 'SameStep', 'Disabled', not 'Sometimes'"),
        ({"render_mode": "human"}, "render_mode must be one of None, 'rgb_array', not 'human'"),
        ({"output": "jax"}, "output"),
        ({"dynamics": "newton"}, "newton"),
    ],
)
def test_bad_arguments_surface_when_the_batch_is_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_batch(**arguments)


def test_a_batch_needs_a_reset_of_all_rows_first() -> None:
    envs = make_batch(render_mode="rgb_array")
    for use in (lambda: envs.step(np.zeros((3, 1))), lambda: envs.state, envs.render):
        with pytest.raises(ResetNeededError, match="reset"):
            use()
    with pytest.raises(ResetNeededError, match="all environments"):
        envs.reset(options={"reset_mask": np.array([True, False, True])})


def test_the_action_of_a_row_that_is_reset_does_not_matter() -> None:
    envs, other = make_batch(max_episode_steps=1), make_batch(max_episode_steps=1)
    envs.reset(seed=0), other.reset(seed=0)
    envs.step(np.zeros((3, 1))), other.step(np.zeros((3, 1)))
    assert_same(envs.step(np.full((3, 1), np.nan)), other.step(np.zeros((3, 1))), "reset step")


def test_an_ended_row_must_be_reset_where_autoreset_is_disabled() -> None:
    envs = make_batch(autoreset_mode="Disabled", max_episode_steps=1)
    envs.reset(seed=0)
    envs.step(np.zeros((3, 1)))
    with pytest.raises(ResetNeededError, match=r"rows \[0, 1, 2\].*reset_mask"):
        envs.step(np.zeros((3, 1)))
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    with pytest.raises(ResetNeededError, match=r"rows \[1, 2\]"):
        envs.step(np.zeros((3, 1)))
