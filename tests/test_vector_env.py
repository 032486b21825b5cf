"""The native batch of environments, held against Gymnasium's SyncVectorEnv over single ones."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from environments import MODES, NAMES, Choose, actions_of, assert_same, make_batch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from hnn_envs import ENVIRONMENTS
from hnn_envs.envs import PhysicsVectorEnv
from hnn_envs.tasks import TASKS


def make_sync(name: str, num_envs: int, mode: AutoresetMode, **options: Any) -> gym.vector.SyncVectorEnv:
    return gym.make_vec(
        f"hnn_envs/{name}-v0",
        num_envs=num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **options,
    )


def pair(name: str, mode: AutoresetMode, num_envs: int = 4, **options: Any) -> tuple[Any, Any]:
    """A native batch and what it must equal."""
    return make_batch(name, num_envs, autoreset_mode=mode, **options), make_sync(name, num_envs, mode, **options)


def run_both(native: Any, sync: Any, steps: int, tolerance: float = 0.0, push: float | None = None) -> dict[str, int]:
    """Steps both with the same actions, random ones or a constant push, and resets by mask where autoreset is disabled.

    Returns:
        How many rows were terminated, and truncated, and how many left the limits.
    """
    rng, counts = np.random.default_rng(0), dict.fromkeys(("terminated", "truncated", "outside"), 0)
    for step in range(steps):
        actions = actions_of(native, rng) if push is None else np.full(native.action_space.shape, push, np.float32)
        results = native.step(actions), sync.step(actions)
        assert_same(*results, f"step {step}", tolerance)
        _, _, terminated, truncated, infos = results[0]
        counts["terminated"] += int(terminated.sum())
        counts["truncated"] += int(truncated.sum())
        counts["outside"] += int(infos.get("final_info", infos)["out_of_domain"].sum())
        if native.metadata["autoreset_mode"] == AutoresetMode.DISABLED and (terminated | truncated).any():
            both = [envs.reset(options={"reset_mask": terminated | truncated}) for envs in (native, sync)]
            assert_same(*both, f"reset after step {step}", tolerance)
    return counts


# Equal to SyncVectorEnv


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_single_environments_bit_for_bit(name: str, mode: AutoresetMode) -> None:
    native, sync = pair(name, mode, max_episode_steps=7)
    assert_same(native.reset(seed=11), sync.reset(seed=11), "reset")
    assert run_both(native, sync, 25)["truncated"] >= 12
    assert_same(native.reset(), sync.reset(), "second reset")
    assert run_both(native, sync, 8)["truncated"] >= 4


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_so_it_does_where_states_leave_the_limits(mode: AutoresetMode) -> None:
    native, sync = pair("Pendulum", mode, dt=0.5)
    states = {"state": np.array([0.0, 4.4])}
    assert_same(native.reset(seed=0, options=states), sync.reset(seed=0, options=states), "reset")
    assert run_both(native, sync, 20, push=1.0)["outside"] > 0


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_so_it_does_where_bodies_meet(mode: AutoresetMode) -> None:
    native, sync = pair("ThreeBody", mode, dt=0.25, substeps=2, max_episode_steps=100)
    assert_same(native.reset(seed=0), sync.reset(seed=0), "reset")
    assert run_both(native, sync, 60)["terminated"] > 0


@pytest.mark.parametrize("integrator", ["rk4", "implicit_midpoint"])  # compiled, and not
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_so_it_does_where_physics_diverges(mode: AutoresetMode, integrator: str, random_checkpoint: Any) -> None:
    dynamics = random_checkpoint("pendulum", "baseline", scale=1e306)
    native, sync = pair("Pendulum", mode, dynamics=dynamics, integrator=integrator)
    native.reset(seed=0), sync.reset(seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run_both(native, sync, 5)["outside"] > 0


@pytest.mark.parametrize("dynamics", ["hnn", "baseline"])
@pytest.mark.parametrize("name", NAMES)
def test_learned_physics_agrees_to_rounding(name: str, dynamics: str, physics: Choose) -> None:
    chosen = physics(ENVIRONMENTS[name][0], dynamics)
    native, sync = pair(name, AutoresetMode.SAME_STEP, dynamics=chosen, max_episode_steps=5)
    assert_same(native.reset(seed=1), sync.reset(seed=1), "reset")
    assert run_both(native, sync, 12, tolerance=1e-6)["truncated"] >= 8


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (None, None),
        (5, {}),
        ([3, None, 1, 8], None),
        (None, {"state": [0.5, -1.0]}),
        (4, {"state": [0.5, -1.0], "reset_mask": np.array([True, False, False, True])}),
        ([None, 2, 3, 4], {"reset_mask": np.array([True, True, False, False])}),
    ],
)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_resets_take_the_same_seeds_states_and_masks(mode: AutoresetMode, seed: Any, options: Any) -> None:
    native, sync = pair("Pendulum", mode, max_episode_steps=4)
    native.reset(seed=0), sync.reset(seed=0)
    actions = np.full((4, 1), 0.5, np.float32)
    for _ in range(2):
        native.step(actions), sync.step(actions)
    given = copy.deepcopy(options)
    assert_same(native.reset(seed=seed, options=given), sync.reset(seed=seed, options=copy.deepcopy(options)), "reset")
    assert repr(given) == repr(options)  # a user's options are not changed
    assert native.np_random_seed == sync.np_random_seed
    for step in range(2):
        assert_same(native.step(actions), sync.step(actions), f"step {step}")


def test_the_first_reset_may_go_without_a_seed() -> None:
    first, second = make_batch(), make_batch()
    assert (first.reset()[0] != second.reset()[0]).any()
    assert len(set(first.np_random_seed)) == 3


@pytest.mark.parametrize("attribute", ["metadata", "single_action_space", "single_observation_space", "action_space"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_it_describes_itself_like_a_sync_vector_env(mode: AutoresetMode, attribute: str) -> None:
    native, sync = pair("Pendulum", mode)
    one, other = getattr(native, attribute), getattr(sync, attribute)
    if attribute == "metadata":
        assert one.pop("render_modes") == ["rgb_array"]
        assert other.pop("render_modes") == ["human", "rgb_array"]
        assert "torch" not in one
    assert one == other
    assert native.observation_space == sync.observation_space
    assert native.spec.id == sync.spec.id


def test_a_specification_goes_through_json() -> None:
    envs = make_batch(autoreset_mode="SameStep", dt=0.05, max_episode_steps=3)
    again = gym.make_vec(EnvSpec.from_json(envs.spec.to_json()))
    assert_same(envs.reset(seed=0), again.reset(seed=0), "reset")
    for step in range(4):
        assert_same(envs.step(np.ones((3, 1))), again.step(np.ones((3, 1))), f"step {step}")


def test_seeds_may_be_numpy_integers() -> None:
    envs, other = make_batch(), make_batch()
    np.testing.assert_array_equal(envs.reset(seed=np.int64(4))[0], other.reset(seed=np.array([4, 5, 6]))[0])
    np.testing.assert_array_equal(envs.reset(seed=4)[0], other.reset(seed=(4, 5, 6))[0])


# The time limit


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP], ids=lambda mode: mode.value)
def test_a_quiet_step_has_infos_only_where_an_episode_ended(mode: AutoresetMode) -> None:
    quiet, usual = (make_batch("Pendulum", 3, autoreset_mode=mode, max_episode_steps=4) for _ in range(2))
    rng = np.random.default_rng(0)
    quiet.reset(seed=1), usual.reset(seed=1)
    for step in range(1, 9):
        actions = actions_of(quiet, rng)
        *found, infos = quiet.step(actions, quiet=True)
        *expected, told = usual.step(actions)
        ended = (expected[2] | expected[3]).any()
        assert_same((*found, infos), (*expected, told if ended else {}), f"step {step}")


def test_the_time_limit_is_the_tasks_unless_another_is_given() -> None:
    assert make_batch().max_episode_steps == TASKS["pendulum"].max_episode_steps
    assert PhysicsVectorEnv("pendulum", 2).max_episode_steps == TASKS["pendulum"].max_episode_steps
    assert make_batch(max_episode_steps=3).max_episode_steps == 3
    endless = make_batch("MassSpring", 2, max_episode_steps=-1)
    endless.reset(seed=0)
    assert not any(endless.step(np.zeros((2, 1)))[3].any() for _ in range(TASKS["mass-spring"].max_episode_steps + 1))
