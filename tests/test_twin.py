"""Twins of Gymnasium's environments: on the true physics they are the originals, and environments as any other."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium_physics import KNOWN, SLED, OwnMotion, OwnPhysics, Sled, needs_mujoco, put_sled
from learned import write_crane
from stable_baselines3.common.env_checker import check_env as check_for_sb3

import hnn_envs
from hnn_envs.envs.twin import TwinEnv
from hnn_envs.errors import CheckpointError, InvalidActionError, InvalidOptionError, UnknownNameError
from hnn_envs.recordings.adapters import Stop, adapter_of

LAG = 2e-2
"""MuJoCo leaves the places of bodies a stage behind the joints when it steps, and the reward of the double pendulum is
computed from these."""


def episodes(env: gymnasium.Env[Any, Any], steps: int = 150, seed: int = 5) -> list[tuple[Any, ...]]:
    """What an environment gives for the same starts and actions."""
    env.action_space.seed(seed)
    seen: list[tuple[Any, ...]] = [env.reset(seed=seed)]
    for _ in range(steps):
        given = env.step(env.action_space.sample())
        seen.append(given)
        if given[2] or given[3]:
            seen.append(env.reset())
    return seen


@pytest.mark.parametrize("name", KNOWN)
def test_on_the_true_physics_a_twin_is_the_original(name: str) -> None:
    needs_mujoco(name)
    original, twin = gymnasium.make(name), hnn_envs.twin(name, OwnPhysics(name))
    assert twin.observation_space == original.observation_space
    assert twin.action_space == original.action_space
    for own, theirs in zip(episodes(twin), episodes(original), strict=True):
        np.testing.assert_allclose(own[0], theirs[0], rtol=0, atol=1e-9)
        if len(own) > 2:
            assert own[1] == pytest.approx(theirs[1], abs=LAG if "Double" in name else 1e-12)
            assert own[2:4] == theirs[2:4]
            assert own[4].keys() == {*theirs[4], "diverged"}


@pytest.mark.parametrize("name", KNOWN)
def test_twins_pass_both_checkers(name: str) -> None:
    needs_mujoco(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spaces that are the original's
        check_env(hnn_envs.twin(name, OwnPhysics(name)).unwrapped, skip_render_check="Inverted" in name)
        check_for_sb3(hnn_envs.twin(name, OwnPhysics(name)), warn=False)


@pytest.mark.parametrize("name", KNOWN)
def test_a_twin_goes_on_where_it_was_pickled_or_copied(name: str) -> None:
    needs_mujoco(name)
    twin = hnn_envs.twin(name, OwnPhysics(name))
    twin.action_space.seed(0)
    twin.reset(seed=1)
    twin.step(twin.action_space.sample())
    action = twin.action_space.sample()
    others = [pickle.loads(pickle.dumps(twin)), copy.deepcopy(twin)]  # noqa: S301 - our own
    expected = twin.step(action)
    start = twin.reset()[0]
    for other in others:
        np.testing.assert_array_equal(other.step(action)[0], expected[0])
        np.testing.assert_array_equal(other.reset()[0], start)


@pytest.mark.parametrize("name", KNOWN)
def test_twins_are_vectorised(name: str) -> None:
    needs_mujoco(name)
    batch = gymnasium.vector.SyncVectorEnv([lambda: hnn_envs.twin(name, OwnPhysics(name))] * 2)
    batch.action_space.seed(0)
    seen, _ = batch.reset(seed=[3, 3])
    np.testing.assert_array_equal(seen[0], seen[1])
    assert batch.step(batch.action_space.sample())[0].shape == seen.shape
    spec = hnn_envs.twin(name, OwnPhysics(name)).spec
    assert spec is not None
    assert isinstance(gymnasium.make_vec(spec, 2), gymnasium.vector.SyncVectorEnv)  # not the original's own batch


@pytest.mark.parametrize("name", KNOWN[:3])
def test_a_twin_is_drawn_as_the_original(name: str) -> None:
    original, twin = (
        gymnasium.make(name, render_mode="rgb_array"),
        hnn_envs.twin(name, OwnPhysics(name), render_mode="rgb_array"),
    )
    for env in (original, twin):
        env.reset(seed=2)
        env.step(1 if isinstance(env.action_space, gymnasium.spaces.Discrete) else np.array([0.5], dtype=np.float32))
    np.testing.assert_array_equal(twin.render(), original.render())
    assert pickle.loads(pickle.dumps(twin)).render().shape == original.render().shape  # noqa: S301
    twin.close()


def test_a_window_is_drawn_once_a_step() -> None:
    twin = hnn_envs.twin("CartPole-v1", OwnPhysics("CartPole-v1"), render_mode="human")
    twin.reset(seed=0)
    drawn: list[float] = []
    base: Any = twin.unwrapped
    base.original.render = lambda: drawn.append(float(base.state[0]))
    twin.step(0)
    assert drawn == [float(base.state[0])]
    twin.close()


def test_wrappers_and_options_of_the_original_are_kept() -> None:
    original = gymnasium.wrappers.RescaleAction(gymnasium.make("Pendulum-v1", max_episode_steps=7), -1.0, 1.0)
    twin = hnn_envs.twin(original, OwnPhysics("Pendulum-v1"))
    assert twin.action_space == original.action_space
    for own, theirs in zip(episodes(twin, 20), episodes(original, 20), strict=True):
        np.testing.assert_array_equal(own[0], theirs[0])
        assert own[3:4] == theirs[3:4]
    heavy: Any = hnn_envs.twin("Pendulum-v1", OwnPhysics("Pendulum-v1"), g=3.0)
    assert heavy.unwrapped.original.g == 3.0
    scored: Any = hnn_envs.twin("CartPole-v1", OwnPhysics("CartPole-v1"), sutton_barto_reward=True)
    scored.reset(seed=0)
    assert scored.step(0)[1] == 0.0


class SledMotion(OwnMotion):
    def __init__(self) -> None:
        self.spec = hnn_envs.systems.SystemSpec(
            "sled", SLED.coordinates, SLED.inputs, ((1.0,),), time_scale=1.0, longest_step=0.01, velocities=True
        )

    def step(self, x: Any, u: Any) -> Any:
        speed = x[1] + 0.1 * u[0]
        return np.array([x[0] + 0.1 * speed, speed])


class SledModel:
    def dynamics(self, dt: float) -> SledMotion:
        assert dt == 0.1
        return SledMotion()


def test_an_environment_without_an_id_has_a_twin() -> None:
    original = Sled()
    twin = hnn_envs.twin(original, SledModel(), adapter=SLED)
    for own, theirs in zip(episodes(twin), episodes(original), strict=True):
        np.testing.assert_array_equal(own[0], theirs[0])
        assert own[1:3] == theirs[1:3] or len(own) == 2


def test_physics_that_diverges_ends_the_episode() -> None:
    class Wild(OwnPhysics):
        def dynamics(self, dt: float) -> Any:
            made = OwnMotion(self.env_id)
            made.step = lambda x, u: x * np.nan  # type: ignore[method-assign]
            return made

    twin = hnn_envs.twin("CartPole-v1", Wild("CartPole-v1"))
    start, _ = twin.reset(seed=0)
    observation, _, terminated, truncated, info = twin.step(0)
    np.testing.assert_array_equal(observation, start)
    assert (terminated, truncated, info["diverged"]) == (False, True, 1.0)


def test_a_checkpoint_moves_a_twin(tmp_path: Path) -> None:
    from hnn_envs.checkpoints import find_checkpoint

    checkpoint = find_checkpoint("cart-pole", "default/hnn")
    twin: Any = hnn_envs.twin("CartPole-v1", checkpoint)
    twin.reset(seed=0)
    assert twin.unwrapped.dynamics.dt == 0.02
    assert np.isfinite(twin.step(1)[0]).all()


def test_a_coordinate_comes_to_rest_where_it_stops(tmp_path: Path) -> None:
    sled = Sled()
    walled = dataclasses.replace(SLED, stops=lambda env: (Stop(0, 0, -0.5, 0.5),))
    twin: Any = TwinEnv(sled, SledModel(), adapter=walled)
    twin.reset(seed=0)
    put_sled(sled, [0.3], [0.0])
    for _ in range(20):
        twin.step(np.array([1.0], dtype=np.float32))
        assert abs(twin.state[0]) < 0.55
    assert twin.state[1] == pytest.approx(0.0, abs=1e-9)
    twin.step(np.array([-1.0], dtype=np.float32))
    assert twin.state[1] < 0  # it is held back, and not held fast


def test_the_ends_of_a_rail_hold_a_cart() -> None:
    pytest.importorskip("mujoco")
    stops = adapter_of(gymnasium.make("InvertedDoublePendulum-v5")).stops
    (stop,) = stops(gymnasium.make("InvertedDoublePendulum-v5").unwrapped)
    assert (stop.coordinate, stop.input, stop.low, stop.high) == (0, 0, -1.0, 1.0)


def test_an_episode_ends_where_the_model_is_not_trusted(tmp_path: Path) -> None:
    path = write_crane(tmp_path / "crane.safetensors", members=3)
    sure, unsure = (hnn_envs.twin("CartPole-v1", path, trust=trust) for trust in (1e3, 1e-9))
    for twin, cut in ((sure, False), (unsure, True)):
        twin.reset(seed=0)
        *_, truncated, info = twin.step(1)
        assert truncated is cut
        assert 1e-9 < info["spread"] < 1e3
        assert info["untrusted"] == cut
    careless = hnn_envs.twin("CartPole-v1", path)
    careless.reset(seed=0)
    assert "spread" not in careless.step(1)[4]
    with pytest.raises(InvalidOptionError, match="trust must be a positive number"):
        hnn_envs.twin("CartPole-v1", path, trust=0.0)


@pytest.mark.parametrize(
    ("env", "model", "error", "message"),
    [
        (
            "MountainCar-v0",
            OwnPhysics("Pendulum-v1"),
            UnknownNameError,
            "nothing is known of the state of MountainCar-v0",
        ),
        (
            "CartPole-v1",
            OwnPhysics("Pendulum-v1"),
            InvalidOptionError,
            "a model of 1 positions and 1 inputs cannot move",
        ),
        ("CartPole-v1", "nowhere.safetensors", CheckpointError, "does not exist"),
        ("CartPole-v1", 3, InvalidOptionError, "a model is a checkpoint, its path, or has a method"),
        ("hnn_envs:hnn_envs/Pendulum-v0", OwnPhysics("Pendulum-v1"), InvalidOptionError, "as dynamics="),
    ],
)
def test_what_does_not_fit_is_refused(env: str, model: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        hnn_envs.twin(env, model)


def test_a_model_of_momenta_is_refused() -> None:
    from hnn_envs.checkpoints import find_checkpoint

    with pytest.raises(InvalidOptionError, match="have momenta"):
        hnn_envs.twin("Pendulum-v1", find_checkpoint("pendulum", "default/hnn"))


def test_a_twin_is_reset_before_its_first_step_and_takes_the_originals_actions() -> None:
    twin = TwinEnv(gymnasium.make("CartPole-v1"), OwnPhysics("CartPole-v1"))
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        twin.step(0)
    twin.reset(seed=0)
    with pytest.raises(InvalidActionError, match="an action is one of Discrete"):
        twin.step(2)
