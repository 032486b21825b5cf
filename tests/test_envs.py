"""The single environment, as its users see it through gymnasium.make."""

from __future__ import annotations

import copy
import json
import pickle
import tomllib
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from environments import NAMES, PHYSICS, PROPERTY, Choose, digest, make, run_python, task_of, trajectory
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import hnn_envs
from hnn_envs import ENVIRONMENTS
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidStateError
from hnn_envs.tasks import TASKS

# What is registered, and what importing it costs


@pytest.mark.parametrize("name", NAMES)
def test_the_registered_horizon_is_the_tasks(name: str) -> None:
    spec = gym.spec(f"hnn_envs/{name}-v0")
    assert spec.max_episode_steps == task_of(name).max_episode_steps
    assert isinstance(spec.entry_point, str)
    assert isinstance(spec.vector_entry_point, str)


def test_every_task_has_an_environment() -> None:
    assert {task for task, _ in ENVIRONMENTS.values()} == set(TASKS)


def test_the_version_is_that_of_the_project() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    assert tomllib.loads(project.read_text())["project"]["version"] == hnn_envs.__version__


def test_what_the_package_offers_is_there() -> None:
    assert all(getattr(hnn_envs, name) is not None for name in hnn_envs.__all__)
    assert set(hnn_envs.__all__) <= set(dir(hnn_envs))
    with pytest.raises(AttributeError, match="no_such_thing"):
        hnn_envs.no_such_thing  # noqa: B018


def test_importing_is_light_and_ode_needs_no_torch() -> None:
    unwanted = {"torch", "pygame", "scipy.integrate", "matplotlib", "stable_baselines3"}
    heavy = f"print(sorted({unwanted} & set(sys.modules)))"
    steps = "env.reset(seed=0); env.step(env.action_space.sample()); env.close()"
    code = f"""
import sys, hnn_envs
{heavy}
assert "numba" not in sys.modules and "scipy" not in sys.modules
import gymnasium
for name in set(hnn_envs.ENVIRONMENTS) - {{"PixelPendulum"}}:  # its camera draws with pygame
    env = gymnasium.make(f"hnn_envs/{{name}}-v0"); {steps}
    env = gymnasium.make_vec(f"hnn_envs/{{name}}-v0", num_envs=2); {steps}
{heavy}
"""
    assert run_python(code).splitlines() == ["[]", "[]"]


def test_an_id_with_the_module_needs_no_import_and_trajectories_agree_across_processes() -> None:
    code = """
import gymnasium, numpy as np
env = gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0")
first = env.reset(seed=5)[0].tolist()
last = [env.step(np.array([0.3], np.float32))[0].tolist() for _ in range(20)][-1]
print([first, last])
"""
    env = make("Pendulum")
    first = env.reset(seed=5)[0].tolist()
    last = [env.step(np.array([0.3], np.float32))[0].tolist() for _ in range(20)][-1]
    assert json.loads(run_python(code)) == [first, last]


# The checkers


@pytest.mark.parametrize("dynamics", PHYSICS)
@pytest.mark.parametrize("name", NAMES)
def test_gymnasium_and_stable_baselines_find_nothing_to_warn_about(name: str, dynamics: str, physics: Choose) -> None:
    # Frames of 28 pixels make Stable-Baselines3 warn that its convolutional policy wants 36.
    options = {"image_size": 64} if name == "PixelPendulum" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make(name, dynamics=physics(ENVIRONMENTS[name][0], dynamics, *options.values()), **options)
        check_env(env.unwrapped)
        check_env_for_sb3(env)
        env.close()


# What the contract promises, whatever the state, the action and the seed


@pytest.mark.parametrize("dynamics", PHYSICS)
@pytest.mark.parametrize("name", NAMES)
@PROPERTY
@given(seed=st.integers(0, 2**31), draws=st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_a_step_gives_what_the_spaces_say(
    name: str, dynamics: str, physics: Choose, seed: int, draws: list[float]
) -> None:
    env = make(name, dynamics=physics(ENVIRONMENTS[name][0], dynamics))
    observation, info = env.reset(seed=seed)
    assert observation in env.observation_space
    assert all(type(value) is np.float64 for value in info.values())  # floats with a dtype, which TorchRL asks for
    assert env.unwrapped.task.inside(env.unwrapped.state)
    for _ in range(3):
        observation, reward, terminated, truncated, info = env.step(np.array(draws[: env.action_space.shape[0]]))
        assert observation in env.observation_space
        assert type(reward) is float
        assert np.isfinite(reward)
        assert type(terminated) is type(truncated) is bool
        assert set(info) == {"energy", "out_of_domain", "diverged"}
        assert all(type(value) is np.float64 and np.isfinite(value) for value in info.values())
        if terminated or truncated:
            break


@pytest.mark.parametrize("name", NAMES)
@PROPERTY
@given(share=st.floats(-1, 1), seed=st.integers(0, 1000))
def test_a_run_can_start_at_any_state_inside_the_limits(name: str, share: float, seed: int) -> None:
    env = make(name).unwrapped
    random = env.task.initial_state(np.random.default_rng(seed))
    state = share * np.where(np.isfinite(env.task.high), env.task.high, 7.0) if "body" not in env.task.name else random
    if env.task.terminated(np.asarray(state)):
        with pytest.raises(InvalidStateError, match="none can start there"):
            env.reset(options={"state": state})
        return
    observation, info = env.reset(options={"state": state})
    assert observation in env.observation_space
    np.testing.assert_array_equal(env.state, state)
    # The array code of machines multiplies matrices, and adds in another order.
    rounding = 1e-15 if env.task.system.spec.velocities else 0.0
    assert info["energy"] == pytest.approx(float(env.task.system.value(np.asarray(state))), rel=rounding, abs=0.0)


@pytest.mark.parametrize("dynamics", PHYSICS)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_trajectory(name: str, dynamics: str, physics: Choose) -> None:
    chosen = physics(ENVIRONMENTS[name][0], dynamics)
    first, second = (trajectory(make(name, dynamics=chosen, max_episode_steps=5), 12, seed=3) for _ in range(2))
    assert digest(first) == digest(second)
    assert digest(first) != digest(trajectory(make(name, dynamics=chosen, max_episode_steps=5), 12, seed=4))


@pytest.mark.parametrize("name", NAMES)
def test_the_task_does_not_depend_on_the_physics(name: str, physics: Choose) -> None:
    envs = [make(name, dynamics=physics(ENVIRONMENTS[name][0], dynamics)) for dynamics in PHYSICS]
    for env in envs:
        assert env.observation_space == envs[0].observation_space
        assert env.action_space == envs[0].action_space
        assert env.unwrapped.dynamics.dt == envs[0].unwrapped.dynamics.dt == task_of(name).dt
        model = env.unwrapped.dynamics.observation_model
        observe = env.unwrapped.task.observation if model is None else model.observe
        for seed in (0, 1, None):
            np.testing.assert_array_equal(env.reset(seed=seed)[0], observe(env.unwrapped.state))
    states = np.stack([env.unwrapped.state for env in envs])
    # Physics with an observation model of its own estimates where it starts.
    np.testing.assert_allclose(states, np.tile(states[0], (3, 1)), rtol=0, atol=0.05 * (name == "PixelPendulum"))


@pytest.mark.parametrize("dynamics", PHYSICS)
@pytest.mark.parametrize("name", NAMES)
def test_no_action_is_the_free_system(name: str, dynamics: str, physics: Choose) -> None:
    env = make(name, dynamics=physics(ENVIRONMENTS[name][0], dynamics)).unwrapped
    env.reset(seed=0)
    expected = env.dynamics.step(env.state)
    env.step(np.zeros(env.action_space.shape, np.float32))
    np.testing.assert_array_equal(env.state, expected)


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_scaled_to_inputs_and_clipped_to_the_box(name: str) -> None:
    env, other = make(name).unwrapped, make(name).unwrapped
    env.reset(seed=0), other.reset(seed=0)
    driven = np.isin(np.arange(len(env.task.system.spec.inputs)), getattr(env.task, "driven", (0, 1, 2, 3)))
    expected = env.dynamics.step(env.state, env.task.max_input * driven)
    env.step(np.ones(env.action_space.shape, np.float32))
    other.step(np.full(env.action_space.shape, 7.0))
    np.testing.assert_array_equal(env.state, expected)
    np.testing.assert_array_equal(other.state, expected)


def test_the_energy_in_info_is_the_true_one_and_the_physics_may_believe_in_another(random_checkpoint: Any) -> None:
    env = make("Pendulum", dynamics=random_checkpoint("pendulum", "hnn")).unwrapped
    _, info = env.reset(seed=0)
    assert info["energy"] == float(env.task.system.value(env.state))
    assert env.believed_energy == float(env.dynamics.hamiltonian.value(env.state))
    assert env.believed_energy != info["energy"]
    ode = make("Pendulum").unwrapped
    _, info = ode.reset(seed=0)
    assert ode.believed_energy == info["energy"]


def test_options_of_the_physics_reach_it() -> None:
    env = make("Pendulum", integrator="leapfrog", dt=0.02, substeps=3).unwrapped
    assert (env.dynamics.integrator.name, env.dynamics.dt, env.dynamics.substeps) == ("leapfrog", 0.02, 3)
    assert env.metadata["render_fps"] == 50
    env.reset(seed=0)
    expected = make_dynamics(env.task.system, dt=0.02, integrator="leapfrog", substeps=3).step(env.state)
    env.step(np.zeros(1))
    np.testing.assert_array_equal(env.state, expected)


def test_a_specification_goes_through_json() -> None:
    env = make("Pendulum", integrator="rk4", dt=0.05, substeps=2, max_episode_steps=7, render_mode="rgb_array")
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert digest(trajectory(env, 10, seed=1)) == digest(trajectory(again, 10, seed=1))
    assert again.render_mode == "rgb_array"


# Leaving the domain, and diverging


def test_leaving_the_limits_truncates_and_is_flagged() -> None:
    env = make("Pendulum", dt=0.5)
    env.reset(options={"state": [0.0, 4.4]})
    for _ in range(20):
        observation, reward, terminated, truncated, info = env.step(np.array([1.0]))
        if truncated:
            break
        assert info["out_of_domain"] == 0.0
    assert (truncated, terminated, info["out_of_domain"], info["diverged"]) == (True, False, 1.0, 0.0)
    assert not env.unwrapped.task.inside(env.unwrapped.state)
    assert observation in env.observation_space
    assert np.isfinite(reward)


@pytest.mark.parametrize("scale", [1e20, 1e150, 1e306])
@pytest.mark.parametrize("name", NAMES)
def test_divergence_truncates_and_keeps_the_last_finite_state(name: str, scale: float, random_checkpoint: Any) -> None:
    env = make(name, dynamics=random_checkpoint(ENVIRONMENTS[name][0], "baseline", scale=scale))
    env.reset(seed=0)
    before = env.unwrapped.state
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert (truncated, terminated, info["out_of_domain"], info["diverged"]) == (True, False, 1.0, 1.0)
    np.testing.assert_array_equal(env.unwrapped.state, before)
    assert observation in env.observation_space
    assert np.isfinite([reward, *info.values()]).all()


def test_close_bodies_terminate_an_episode_and_that_is_no_truncation() -> None:
    env = make("ThreeBody")
    env.reset(seed=0)
    for _ in range(2000):
        *_, terminated, truncated, info = env.step(np.ones(4))
        if terminated or truncated:
            break
    assert (terminated, truncated, info["diverged"]) == (True, False, 0.0)


def test_a_checkpoint_that_was_not_trained_on_the_tasks_states_warns_once(random_checkpoint: Any) -> None:
    with pytest.warns(UserWarning, match="was trained on states from .* and task 'mass-spring' goes from") as caught:
        make("MassSpring", dynamics=random_checkpoint("mass-spring", "hnn", width=1.0))
    assert len(caught) == 1


def test_a_full_circle_covers_an_angle_without_limits(random_checkpoint: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make("Pendulum", dynamics=random_checkpoint("pendulum", "hnn", width=9.0))


# Copies, processes, recordings, windows


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])  # noqa: S301
@pytest.mark.parametrize("render_mode", [None, "rgb_array", "human"])
@pytest.mark.parametrize("dynamics", ["ode", "hnn"])
def test_a_copy_goes_on_in_the_same_way(
    dynamics: str, render_mode: str | None, duplicate: Any, physics: Choose
) -> None:
    env = make(
        "Pendulum", dynamics=physics("pendulum", dynamics), render_mode=render_mode, max_episode_steps=6, dt=0.01
    )
    trajectory(env, 4, seed=2)
    again = duplicate(env)
    for _ in range(8):
        for each in (env, again):
            each.result = each.step(np.array([0.5]))
            if each.result[3]:
                each.result = each.reset()
        assert digest([env.result]) == digest([again.result])
    env.close(), again.close()


def test_workers_of_an_async_vector_env_give_the_same(physics: Choose) -> None:
    options = {"dynamics": physics("pendulum", "hnn"), "max_episode_steps": 4}
    results = []
    for mode in ("sync", "async"):
        envs = gym.make_vec("hnn_envs:hnn_envs/Pendulum-v0", num_envs=2, vectorization_mode=mode, **options)
        envs.reset(seed=7)
        results.append([envs.step(np.full((2, 1), 0.5, np.float32)) for _ in range(6)])
        envs.close()
    assert digest(results[0]) == digest(results[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_video_is_recorded(tmp_path: Path) -> None:
    env = make("Pendulum", render_mode="rgb_array", max_episode_steps=5)
    env = gym.wrappers.RecordVideo(env, str(tmp_path / "videos"))
    trajectory(env, 5, seed=0)
    env.close()
    assert [path for path in tmp_path.glob("videos/*.mp4") if path.stat().st_size > 0]


@pytest.mark.parametrize("dynamics", ["ode", "hnn"])
@pytest.mark.parametrize("name", NAMES)
def test_frames_show_what_happens(name: str, dynamics: str, physics: Choose) -> None:
    env = make(name, dynamics=physics(ENVIRONMENTS[name][0], dynamics), render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step(env.action_space.sample())
    second = env.render()
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape == second.shape
    assert (first != second).any()
    env.close()


def test_a_frame_opens_no_window() -> None:
    code = """
import gymnasium
env = gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0", render_mode="rgb_array")
env.reset(seed=0); env.render(); env.close()
import pygame
print(pygame.display.get_init())
"""
    assert run_python(code) == "False"


def test_a_window_opens_and_closes_twice() -> None:
    import pygame

    env = make("Pendulum", render_mode="human", dt=0.01)
    env.reset(seed=0)
    assert pygame.display.get_init()
    env.step(np.zeros(1))
    assert env.render() is None
    env.close()
    env.close()
    assert not pygame.display.get_init()
    env.unwrapped.reset(seed=0)  # a closed environment may be used again, and opens its window again
    assert pygame.display.get_init()
    env.close()


def test_without_a_render_mode_nothing_is_drawn() -> None:
    env = make("Pendulum")
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.unwrapped.render() is None


# Torch around it


def test_stepping_works_in_inference_mode_and_on_tensors() -> None:
    import torch

    env = make("Pendulum").unwrapped
    env.reset(seed=0)
    with torch.inference_mode():
        observation, *_ = env.step(torch.tensor([0.5]))
    other = make("Pendulum").unwrapped
    other.reset(seed=0)
    np.testing.assert_array_equal(observation, other.step(torch.tensor([0.5], requires_grad=True))[0])
