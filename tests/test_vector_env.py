"""The native batch of environments, held against Gymnasium's SyncVectorEnv over single ones."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from hnn_envs import ENVIRONMENTS
from hnn_envs.envs import PhysicsEnv, PhysicsVectorEnv, ResetNeededError
from hnn_envs.errors import InvalidActionError, InvalidOptionError, InvalidStateError
from hnn_envs.tasks import TASKS

NAMES = tuple(ENVIRONMENTS)
MODES = tuple(AutoresetMode)
Choose = Callable[[str, str], str]
DEVICES = [None, "cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def make(name: str = "Pendulum", num_envs: int = 3, **options: Any) -> Any:
    return gym.make_vec(f"hnn_envs/{name}-v0", num_envs=num_envs, **options)


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
    return make(name, num_envs, autoreset_mode=mode, **options), make_sync(name, num_envs, mode, **options)


def actions_of(envs: Any, rng: np.random.Generator) -> np.ndarray:
    """Random actions, some beyond the box."""
    return rng.uniform(-1.3, 1.3, envs.action_space.shape).astype(np.float32)


def assert_same(native: Any, sync: Any, where: str, tolerance: float = 0.0) -> None:
    """Equal types, keys, shapes and values: bit for bit without a tolerance."""
    if isinstance(sync, dict):
        assert set(native) == set(sync), where
        for name in sync:
            assert_same(native[name], sync[name], f"{where} {name}", tolerance)
    elif isinstance(sync, tuple):
        assert len(native) == len(sync), where
        for index, (one, other) in enumerate(zip(native, sync, strict=True)):
            assert_same(one, other, f"{where}[{index}]", tolerance)
    elif isinstance(sync, np.ndarray) and sync.dtype == object:
        for one, other in zip(native, sync, strict=True):
            assert (one is None) == (other is None), where
            assert_same(one, other, where, tolerance)
    elif isinstance(sync, np.ndarray):
        assert (native.dtype, native.shape) == (sync.dtype, sync.shape), where
        np.testing.assert_allclose(native, sync, rtol=tolerance, atol=tolerance, err_msg=where)
    else:
        assert native == sync, where


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


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_so_it_does_where_physics_diverges(mode: AutoresetMode, random_checkpoint: Any) -> None:
    native, sync = pair("Pendulum", mode, dynamics=random_checkpoint("pendulum", "baseline", scale=1e306))
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
    first, second = make(), make()
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
    envs = make(autoreset_mode="SameStep", dt=0.05, max_episode_steps=3)
    again = gym.make_vec(EnvSpec.from_json(envs.spec.to_json()))
    assert_same(envs.reset(seed=0), again.reset(seed=0), "reset")
    for step in range(4):
        assert_same(envs.step(np.ones((3, 1))), again.step(np.ones((3, 1))), f"step {step}")


def test_seeds_may_be_numpy_integers() -> None:
    envs, other = make(), make()
    np.testing.assert_array_equal(envs.reset(seed=np.int64(4))[0], other.reset(seed=np.array([4, 5, 6]))[0])
    np.testing.assert_array_equal(envs.reset(seed=4)[0], other.reset(seed=(4, 5, 6))[0])


# The time limit


def test_the_time_limit_is_the_tasks_unless_another_is_given() -> None:
    assert make().max_episode_steps == TASKS["pendulum"].max_episode_steps
    assert PhysicsVectorEnv("pendulum", 2).max_episode_steps == TASKS["pendulum"].max_episode_steps
    assert make(max_episode_steps=3).max_episode_steps == 3
    endless = make("MassSpring", 2, max_episode_steps=-1)
    endless.reset(seed=0)
    assert not any(endless.step(np.zeros((2, 1)))[3].any() for _ in range(TASKS["mass-spring"].max_episode_steps + 1))


# States, row by row


def test_each_row_may_start_at_a_state_of_its_own() -> None:
    envs = make()
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
    envs = make(render_mode="rgb_array")
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
    envs = make(render_mode="rgb_array", autoreset_mode="SameStep", max_episode_steps=4)
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
    envs = make()
    envs.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert envs.render() is None


# Bad input


def snapshot(envs: PhysicsVectorEnv) -> tuple[Any, ...]:
    return envs.state.tolist(), [random.bit_generator.state for random in envs.np_random], envs._elapsed.tolist()


@pytest.mark.parametrize(
    "actions", [np.zeros((2, 1)), np.zeros(3), np.zeros((3, 2)), [[0.0], [np.nan], [0.0]], [[np.inf]] * 3, "push", None]
)
def test_bad_actions_are_refused_and_change_nothing(actions: Any) -> None:
    envs = make()
    envs.reset(seed=0)
    before = snapshot(envs)
    with pytest.raises(InvalidActionError, match="action"):
        envs.step(actions)
    assert snapshot(envs) == before


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
    envs = make()
    envs.reset(seed=0)
    before = snapshot(envs)
    with pytest.raises(error, match=message):
        envs.reset(seed=seed, options=options)
    assert snapshot(envs) == before


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
        make(**arguments)


def test_a_batch_needs_a_reset_of_all_rows_first() -> None:
    envs = make(render_mode="rgb_array")
    for use in (lambda: envs.step(np.zeros((3, 1))), lambda: envs.state, envs.render):
        with pytest.raises(ResetNeededError, match="reset"):
            use()
    with pytest.raises(ResetNeededError, match="all environments"):
        envs.reset(options={"reset_mask": np.array([True, False, True])})


def test_the_action_of_a_row_that_is_reset_does_not_matter() -> None:
    envs, other = make(max_episode_steps=1), make(max_episode_steps=1)
    envs.reset(seed=0), other.reset(seed=0)
    envs.step(np.zeros((3, 1))), other.step(np.zeros((3, 1)))
    assert_same(envs.step(np.full((3, 1), np.nan)), other.step(np.zeros((3, 1))), "reset step")


def test_an_ended_row_must_be_reset_where_autoreset_is_disabled() -> None:
    envs = make(autoreset_mode="Disabled", max_episode_steps=1)
    envs.reset(seed=0)
    envs.step(np.zeros((3, 1)))
    with pytest.raises(ResetNeededError, match=r"rows \[0, 1, 2\].*reset_mask"):
        envs.step(np.zeros((3, 1)))
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    with pytest.raises(ResetNeededError, match=r"rows \[1, 2\]"):
        envs.step(np.zeros((3, 1)))


# Tensors, copies, wrappers


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Where physics computes: None for NumPy, "cpu" for tensors as on a CUDA device, "cuda" where there is one."""
    if request.param == "cpu":
        monkeypatch.setattr("hnn_envs.dynamics._torch_device", lambda device: device)
    return request.param


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", NAMES)
def test_tensors_hold_what_arrays_hold(name: str, mode: AutoresetMode, device: str | None) -> None:
    options = {"autoreset_mode": mode, "max_episode_steps": 3}
    arrays, tensors = make(name, **options), make(name, output="torch", device=device, **options)
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
    assert (observations.dtype, reward.dtype) == (torch.float32, torch.float64)
    assert terminated.dtype == truncated.dtype == torch.bool


@pytest.mark.parametrize("dynamics", ["ode", "hnn", "baseline"])
@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_physics_steps_on_a_device_and_leaves_no_graph(
    output: str, dynamics: str, device: str | None, physics: Choose
) -> None:
    chosen = physics("pendulum", dynamics)
    envs = make(dynamics=chosen, output=output, device=device, max_episode_steps=2, autoreset_mode="SameStep")
    single, reference = PhysicsEnv("pendulum", chosen, device=device), PhysicsEnv("pendulum", chosen)
    envs.reset(seed=0), single.reset(seed=0), reference.reset(seed=0)
    with torch.inference_mode():
        observations, *_ = envs.step(torch.full((3, 1), 0.5, device=device))
        observation, reward, *flags, info = single.step(np.array([0.5]))
    assert isinstance(observations, torch.Tensor if output == "torch" else np.ndarray)
    assert isinstance(observation, np.ndarray)
    assert [type(value) for value in (reward, *flags, *info.values())] == [float, bool, bool, float, float, float]
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
    envs = make(dynamics=physics("pendulum", "hnn"), render_mode=render_mode, max_episode_steps=4)
    envs.reset(seed=0)
    envs.step(np.zeros((3, 1)))
    again = duplicate(envs)
    for step in range(6):
        assert_same(envs.step(np.ones((3, 1))), again.step(np.ones((3, 1))), f"step {step}")


def test_what_a_user_holds_is_not_changed_later() -> None:
    envs = make(max_episode_steps=2, autoreset_mode="SameStep")
    held = [envs.reset(seed=0), *(envs.step(np.ones((3, 1))) for _ in range(4))]
    kept = copy.deepcopy(held)
    for _ in range(4):
        envs.step(-np.ones((3, 1)))
    assert_same(tuple(held), tuple(kept), "held")


def test_gymnasiums_vector_wrappers_work() -> None:
    envs = gym.wrappers.vector.RecordEpisodeStatistics(make(max_episode_steps=3))
    envs = gym.wrappers.vector.NormalizeObservation(envs)
    envs.reset(seed=0)
    for _ in range(3):
        *_, infos = envs.step(np.zeros((3, 1), np.float32))
    assert infos["episode"]["l"].tolist() == [3, 3, 3]
    envs.close()
    envs.close()
