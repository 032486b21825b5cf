"""The rows of a batch one by one, tensors, copies and wrappers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from environments import MODES, NAMES, Choose, actions_of, assert_same, make_batch
from gymnasium.vector import AutoresetMode

from hnn_envs.envs import PhysicsEnv
from hnn_envs.errors import InvalidActionError, InvalidStateError

DEVICES = [None, "cpu", *(["cuda"] if torch.cuda.is_available() else [])]

# States, row by row


def test_each_row_may_start_at_a_state_of_its_own() -> None:
    envs = make_batch()
    states = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    envs.reset(options={"state": states})
    np.testing.assert_array_equal(envs.state, states)
    envs.reset(options={"state": -states, "reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(envs.state, np.where([[False], [True], [False]], -states, states))
    envs.state = 2 * states
    np.testing.assert_array_equal(envs.state, 2 * states)
    envs.state[:] = 0.0
    assert envs.state.any()


def test_call_get_attr_and_set_attr_see_single_environments() -> None:
    envs = make_batch(render_mode="rgb_array")
    envs.reset(seed=3)
    assert envs.get_attr("render_mode") == ("rgb_array",) * 3
    assert envs.call("np_random_seed") == (3, 4, 5)
    np.testing.assert_array_equal(np.stack(envs.get_attr("state")), envs.state)
    envs.set_attr("state", [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    np.testing.assert_array_equal(envs.state, [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    assert envs.get_attr("believed_energy") == tuple(envs.task.system.value(envs.state))
    assert all(random is envs.np_random[row] for row, random in enumerate(envs.call("np_random")))
    frames = envs.call("render")
    assert all((frame == other).all() for frame, other in zip(frames, envs.render(), strict=True))
    envs.set_attr("note", "mine")
    assert envs.get_attr("note") == ("mine",) * 3
    for name in ("task", "dynamics", "spec", "metadata", "action_space", "observation_space"):
        assert len(envs.get_attr(name)) == 3
        with pytest.raises(AttributeError):
            envs.set_attr(name, None)
    with pytest.raises(AttributeError, match="no_such_thing"):
        envs.get_attr("no_such_thing")
    with pytest.raises(ValueError, match="3 values"):
        envs.set_attr("note", ["too", "few"])
    with pytest.raises(InvalidStateError):
        envs.set_attr("state", [[0.0, 99.0]] * 3)


def test_frames_are_those_of_single_environments() -> None:
    envs = make_batch(render_mode="rgb_array", autoreset_mode="SameStep", max_episode_steps=4)
    singles = [PhysicsEnv("pendulum", render_mode="rgb_array") for _ in range(3)]
    envs.reset(seed=0)
    for row, single in enumerate(singles):
        single.reset(seed=row)
    for _ in range(3):
        actions = np.array([[0.5], [-0.5], [1.0]], np.float32)
        envs.step(actions)
        for single, action in zip(singles, actions, strict=True):
            single.step(action)
    frames = envs.render()
    assert isinstance(frames, tuple)
    for frame, single in zip(frames, singles, strict=True):
        np.testing.assert_array_equal(frame, single.render())
    envs.step(actions)  # ends the episodes, so trails and clocks start again
    for frame, single in zip(envs.render(), singles, strict=True):
        single.reset()
        np.testing.assert_array_equal(frame, single.render())


def test_without_a_render_mode_there_are_no_frames() -> None:
    envs = make_batch()
    envs.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert envs.render() is None


# Tensors, copies, wrappers


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Where physics computes: None for NumPy, "cpu" for tensors as on a CUDA device, "cuda" where there is one."""
    if request.param == "cpu":
        monkeypatch.setattr("hnn_envs.dynamics.torch_device", lambda device: device)
    return request.param


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", NAMES)
def test_tensors_hold_what_arrays_hold(name: str, mode: AutoresetMode, device: str | None) -> None:
    options = {"autoreset_mode": mode, "max_episode_steps": 3}
    arrays, tensors = make_batch(name, **options), make_batch(name, output="torch", device=device, **options)
    rng = np.random.default_rng(0)
    results: list[Any] = [(arrays.reset(seed=0), tensors.reset(seed=0))]
    for _ in range(3 if mode == AutoresetMode.DISABLED else 8):
        actions = actions_of(arrays, rng)
        tensor = torch.tensor(actions, device=device, requires_grad=True)
        results.append((arrays.step(actions), tensors.step(tensor)))
    for array, tensor in results:
        for one, other in zip(array[:-1], tensor[:-1], strict=True):
            assert not other.requires_grad
            assert other.device.type == (device or "cpu")
            np.testing.assert_allclose(other.cpu().numpy(), one, rtol=1e-9, atol=1e-6)
        assert set(array[-1]) == set(tensor[-1])
    observations, reward, terminated, truncated, _ = results[-1][1]
    seen = torch.uint8 if name == "PixelPendulum" else torch.float32
    assert (observations.dtype, reward.dtype) == (seen, torch.float64)
    assert terminated.dtype == truncated.dtype == torch.bool


def test_bad_tensors_are_refused_on_every_device(device: str | None) -> None:
    envs = make_batch(output="torch", device=device, max_episode_steps=1)
    envs.reset(seed=0)
    before = envs.state
    bad = [torch.zeros((2, 1)), torch.tensor([[0.0], [float("nan")], [0.0]]), torch.full((3, 1), float("inf"))]
    for actions in bad:
        with pytest.raises(InvalidActionError, match="action"):
            envs.step(actions.to(device or "cpu"))
        np.testing.assert_array_equal(envs.state, before)
    envs.step(torch.full((3, 1), 7.0, device=device))  # clipped
    envs.step(bad[-1].to(device or "cpu"))  # ignored: all rows are reset


@pytest.mark.parametrize("dynamics", ["ode", "hnn", "baseline"])
@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_physics_steps_on_a_device_and_leaves_no_graph(
    output: str, dynamics: str, device: str | None, physics: Choose
) -> None:
    chosen = physics("pendulum", dynamics)
    envs = make_batch(dynamics=chosen, output=output, device=device, max_episode_steps=2, autoreset_mode="SameStep")
    single, reference = PhysicsEnv("pendulum", chosen, device=device), PhysicsEnv("pendulum", chosen)
    envs.reset(seed=0), single.reset(seed=0), reference.reset(seed=0)
    with torch.inference_mode():
        observations, *_ = envs.step(torch.full((3, 1), 0.5, device=device))
        observation, reward, *flags, info = single.step(np.array([0.5]))
    assert isinstance(observations, torch.Tensor if output == "torch" else np.ndarray)
    assert isinstance(observation, np.ndarray)
    assert [type(value) for value in (reward, *flags)] == [float, bool, bool]
    assert {type(value) for value in info.values()} == {np.float64}
    expected = reference.step(np.array([0.5]))
    np.testing.assert_allclose(observation, expected[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(reward, expected[1], rtol=1e-6)
    np.testing.assert_allclose(torch.as_tensor(observations)[0].cpu().numpy(), observation, rtol=1e-6, atol=1e-6)
    envs.set_attr("state", np.zeros(2)), envs.reset(options={"reset_mask": np.array([True, False, False])})
    for _ in range(3):  # outside of inference mode, and over an autoreset
        envs.step(torch.zeros(3, 1, device=device)), single.step(np.zeros(1))
    envs.state, single.state = np.zeros((3, 2)), np.zeros(2)
    assert not torch.as_tensor(envs.unwrapped._x).requires_grad


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])  # noqa: S301
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_a_copy_goes_on_in_the_same_way(render_mode: str | None, duplicate: Any, physics: Choose) -> None:
    envs = make_batch(dynamics=physics("pendulum", "hnn"), render_mode=render_mode, max_episode_steps=4)
    envs.reset(seed=0)
    envs.step(np.zeros((3, 1)))
    again = duplicate(envs)
    for step in range(6):
        assert_same(envs.step(np.ones((3, 1))), again.step(np.ones((3, 1))), f"step {step}")


def test_what_a_user_holds_is_not_changed_later() -> None:
    envs = make_batch(max_episode_steps=2, autoreset_mode="SameStep")
    held = [envs.reset(seed=0), *(envs.step(np.ones((3, 1))) for _ in range(4))]
    kept = copy.deepcopy(held)
    for _ in range(4):
        envs.step(-np.ones((3, 1)))
    assert_same(tuple(held), tuple(kept), "held")


def test_gymnasiums_vector_wrappers_work() -> None:
    envs = gym.wrappers.vector.RecordEpisodeStatistics(make_batch(max_episode_steps=3))
    envs = gym.wrappers.vector.NormalizeObservation(envs)
    envs.reset(seed=0)
    for _ in range(3):
        *_, infos = envs.step(np.zeros((3, 1), np.float32))
    assert infos["episode"]["l"].tolist() == [3, 3, 3]
    envs.close()
    envs.close()
