"""Stable-Baselines3's VecEnv over the native batch, held against what its own make_vec_env gives."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env as make_their_own
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecEnv,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from hnn_envs import ENVIRONMENTS
from hnn_envs.envs import PhysicsVectorEnv
from hnn_envs.errors import InvalidOptionError, InvalidStateError, UnknownNameError
from hnn_envs.sb3 import PhysicsVecEnv, make_vec_env

EXAMPLE = Path(__file__).parents[1] / "examples" / "ppo.py"


def dummy(name: str, n_envs: int, **options: Any) -> VecEnv:
    return make_their_own(lambda: gym.make(f"hnn_envs/{name}-v0", **options), n_envs, vec_env_cls=DummyVecEnv)


def assert_same_step(native: Any, other: Any) -> None:
    for one, two in zip(native[:3], other[:3], strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    for done, one, two in zip(other[2], native[3], other[3], strict=True):
        if done:
            assert set(one) == set(two)
            assert one["TimeLimit.truncated"] is two["TimeLimit.truncated"]
            np.testing.assert_array_equal(one["terminal_observation"], two["terminal_observation"])
            for key in ("energy", "out_of_domain", "diverged"):
                assert type(one[key]) is type(two[key]) is np.float64
                assert one[key] == two[key]
            # Stable-Baselines3's monitor of single environments rounds to six digits.
            assert one["episode"]["r"] == pytest.approx(two["episode"]["r"], rel=1e-6, abs=1e-6)
            assert one["episode"]["l"] == two["episode"]["l"]
        else:
            assert one == {}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_equals_a_dummy_vec_env(name: str) -> None:
    native, other = make_vec_env(name, n_envs=3, max_episode_steps=4), dummy(name, 3, max_episode_steps=4)
    native.seed(5), other.seed(5)
    np.testing.assert_array_equal(native.reset(), other.reset())
    assert native.reset_infos == other.reset_infos
    rng = np.random.default_rng(0)
    for _ in range(10):
        actions = rng.uniform(-1, 1, (3, *native.action_space.shape)).astype(np.float32)
        assert_same_step(native.step(actions), other.step(actions))
        assert native.reset_infos == other.reset_infos
    assert native.observation_space == other.observation_space
    assert native.action_space == other.action_space


def test_termination_is_no_time_limit() -> None:
    options = {"dt": 0.25, "substeps": 2, "max_episode_steps": 100}
    native, other = make_vec_env("ThreeBody", 3, **options), dummy("ThreeBody", 3, **options)
    native.seed(0), other.seed(0)
    native.reset(), other.reset()
    limits = []
    for _ in range(60):
        actions = np.ones((3, 4), np.float32)
        results = native.step(actions), other.step(actions)
        assert_same_step(*results)
        limits += [info["TimeLimit.truncated"] for info in results[0][3] if info]
    assert False in limits


def test_seeds_and_options_hold_for_one_reset() -> None:
    envs = make_vec_env("Pendulum", 2, seed=7)
    first = envs.reset()
    assert envs.get_attr("np_random_seed") == [7, 8]
    second = envs.reset()
    assert (first != second).any()
    envs.seed(7)
    np.testing.assert_array_equal(envs.reset(), first)
    envs.set_options({"state": [0.5, 1.0]})
    np.testing.assert_array_equal(envs.reset()[:, 2], [1.0, 1.0])
    envs.set_options([{"state": [0.5, 1.0]}, {"state": [0.5, 2.0]}])
    np.testing.assert_array_equal(envs.reset()[:, 2], [1.0, 2.0])
    assert (envs.reset()[:, 2] < 0.5).all()
    envs.set_options([{"state": [0.5, 1.0]}, {}])
    with pytest.raises(InvalidOptionError, match="all 2 environments or to none"):
        envs.reset()
    envs.set_options({"state": [0.5, 99.0]})
    with pytest.raises(InvalidStateError, match="limits"):
        envs.reset()
    envs.set_options({"speed": 1})
    with pytest.raises(InvalidOptionError, match="speed"):
        envs.reset()


def test_attributes_and_methods_of_single_environments() -> None:
    envs = make_vec_env("Pendulum", 3, render_mode="rgb_array")
    envs.reset()
    assert envs.get_attr("render_mode", [0, 2]) == ["rgb_array"] * 2
    envs.set_attr("state", [0.1, 0.2], indices=1)
    np.testing.assert_array_equal(envs.get_attr("state", 1)[0], [0.1, 0.2])
    envs.set_attr("note", "mine")
    assert envs.get_attr("note") == ["mine"] * 3
    assert envs.has_attr("task")
    assert not envs.has_attr("no_such_thing")
    (frame,) = envs.env_method("render", indices=[1])
    np.testing.assert_array_equal(frame, envs.get_images()[1])
    assert envs.env_is_wrapped(gym.wrappers.TimeLimit) == [False] * 3
    assert envs.render().ndim == 3
    assert envs.metadata["render_fps"] == dummy("Pendulum", 1).metadata["render_fps"]
    envs.close()


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown environment 'Juggling'; allowed: .*Pendulum"):
        make_vec_env("Juggling")
    with pytest.raises(InvalidOptionError, match="SameStep"):
        PhysicsVecEnv(PhysicsVectorEnv("pendulum", 2))
    with pytest.raises(ValueError, match="newton"):
        make_vec_env("Pendulum", dynamics="newton")
    with pytest.raises(UnknownNameError, match="unknown environment 'CartPole-v1'"):
        make_vec_env("CartPole-v1")
    with pytest.raises(UnknownNameError, match=r"'nowhere_at_all:Pendulum-v0'.*No module named 'nowhere_at_all'"):
        make_vec_env("nowhere_at_all:Pendulum-v0")
    with pytest.raises(InvalidOptionError, match="unknown monitor option 'colour'; allowed: info_keywords"):
        make_vec_env("Pendulum", monitor_kwargs={"colour": "red"})


@pytest.mark.parametrize("name", ["Pendulum", "hnn_envs/Pendulum-v0", "hnn_envs:hnn_envs/Pendulum-v0"])
def test_a_name_an_id_and_an_id_with_its_module_mean_the_same(name: str) -> None:
    assert make_vec_env(name).spec.id == "hnn_envs/Pendulum-v0"
    assert make_vec_env(name, dynamics="hnn").get_attr("dynamics")[0].name == "hnn"


def test_ids_of_learned_physics_work_as_well() -> None:
    assert make_vec_env("PendulumHNN").get_attr("dynamics")[0].name == "hnn"
    assert make_vec_env("hnn_envs:hnn_envs/TwoBodyBaseline-v0").get_attr("dynamics")[0].name == "baseline"


def test_it_monitors_as_its_namesake_does(tmp_path: Path) -> None:
    folder = tmp_path / "of" / "monitors"
    keywords = {"info_keywords": ("energy",)}
    envs = make_vec_env("Pendulum", 2, max_episode_steps=3, monitor_dir=str(folder), monitor_kwargs=keywords)
    assert isinstance(envs, VecMonitor)
    assert isinstance(envs.unwrapped, PhysicsVecEnv)
    envs.reset()
    infos = [envs.step(np.zeros((2, 1), np.float32))[3] for _ in range(3)][-1]
    envs.close()
    assert [info["episode"]["l"] for info in infos] == [3, 3]
    with (folder / "monitor.csv").open() as file:
        assert file.readline().startswith("#{")
        rows = list(csv.DictReader(file))
    assert [float(row["energy"]) for row in rows] == [info["energy"] for info in infos]


def test_stable_baselines_shows_returns_of_episodes() -> None:
    envs = make_vec_env("MassSpring", n_envs=4, seed=0, max_episode_steps=20)
    model = PPO("MlpPolicy", envs, n_steps=32, batch_size=64, n_epochs=1, device="cpu").learn(256)
    assert len(model.ep_info_buffer) == 4 * 3  # whole episodes of 20 steps in 64 steps of each environment
    assert all(np.isfinite(each["r"]) for each in model.ep_info_buffer)


def test_monitor_normalize_and_nan_check_go_around_it() -> None:
    native, other = make_vec_env("Pendulum", 2, seed=0, max_episode_steps=5), dummy("Pendulum", 2, max_episode_steps=5)
    other.seed(0)
    both = [VecNormalize(VecCheckNan(envs, raise_exception=True)) for envs in (native, other)]
    for envs in both:
        envs.reset()
    for _ in range(12):
        results = [envs.step(np.full((2, 1), 0.5, np.float32)) for envs in both]
        for one, two in zip(results[0][:3], results[1][:3], strict=True):
            np.testing.assert_array_equal(one, two)
        for one, two in zip(results[0][3], results[1][3], strict=True):
            assert ("episode" in one) == ("episode" in two)
            if "episode" in one:
                assert one["episode"]["l"] == two["episode"]["l"]
                np.testing.assert_array_equal(one["terminal_observation"], two["terminal_observation"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_video_is_recorded(tmp_path: Path) -> None:
    envs = make_vec_env("Pendulum", 2, render_mode="rgb_array", max_episode_steps=3)
    envs = VecVideoRecorder(envs, str(tmp_path), record_video_trigger=lambda step: step == 0, video_length=4)
    envs.reset()
    for _ in range(5):
        envs.step(np.zeros((2, 1), np.float32))
    envs.close()
    assert [path for path in tmp_path.glob("*.mp4") if path.stat().st_size > 0]


def test_ppo_learns_and_is_evaluated_on_it() -> None:
    envs = make_vec_env("MassSpring", n_envs=4, seed=0, max_episode_steps=20)
    model = PPO("MlpPolicy", envs, n_steps=32, batch_size=64, n_epochs=1, seed=0, device="cpu").learn(256)
    mean, deviation = evaluate_policy(model, make_vec_env("MassSpring", n_envs=2), n_eval_episodes=2)
    assert np.isfinite([mean, deviation]).all()


def test_the_example_prints_both_returns(physics: Any) -> None:
    command = [sys.executable, str(EXAMPLE), "--task", "MassSpring", "--steps", "512", "--envs", "4", "--episodes", "2"]
    command += ["--train", physics("mass-spring", "hnn")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert any("return under" in line and "ode" in line for line in lines)
    assert sum("return under" in line for line in lines) == 2
