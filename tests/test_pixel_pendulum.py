"""The pixel pendulum: Gymnasium's Pendulum-v1 step by step and frame by frame, or learned physics with its decoder."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from environments import MODES, Choose, actions_of, make, make_batch
from frame_models import fitted_autoencoder, wrapped
from gymnasium.vector import AutoresetMode
from PIL import Image
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import load_checkpoint, save_checkpoint
from hnn_envs.drawing.canvas import WIDE, draw_frame
from hnn_envs.drawing.colors import BASELINE, HNN, ODE, rgb
from hnn_envs.drawing.view import View
from hnn_envs.dynamics import make_dynamics
from hnn_envs.envs.rules import LARGEST, ArrayRules, Outcome, make_rules
from hnn_envs.errors import CheckpointError, InvalidOptionError, UnknownNameError
from hnn_envs.evaluation.comparison import compare
from hnn_envs.kernels import compile_step
from hnn_envs.pixels.camera import Camera
from hnn_envs.pixels.models import ENCODER
from hnn_envs.pixels.observation import FramePairs
from hnn_envs.pixels.task import PixelPendulumTask
from hnn_envs.play.session import Session
from hnn_envs.rollouts import rollout
from hnn_envs.sb3 import make_vec_env
from hnn_envs.systems import SYSTEMS
from hnn_envs.tasks import TASKS, ObservedTask, get_task

TASK = PixelPendulumTask()
LEARNED = ("hnn", "baseline")


def learned(physics: Choose, name: str = "hnn", **options: Any) -> Any:
    return make("PixelPendulum", dynamics=physics("pixel-pendulum", name), **options).unwrapped


def states(count: int, seed: int = 0) -> Array:
    """All over the circle and the limits, shape (count, 2)."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, 2)) * (np.pi, 8 / 3)


# The true physics is Gymnasium's


def test_it_is_pendulum_v1_step_by_step_and_frame_by_frame() -> None:
    env, rng = make("PixelPendulum"), np.random.default_rng(0)
    reference: Any = gym.make("Pendulum-v1", render_mode="rgb_array").unwrapped
    env.reset(options={"state": [1.0, -0.2]}), reference.reset()
    reference.state = np.array([1.0 + np.pi, -0.6])

    def filmed() -> Array:
        reference.last_u = None  # the arrow of the torque is no part of the pendulum
        screen = reference.render()[120:380, 120:380]
        rod = Image.fromarray(screen[..., 0] - screen[..., 1])
        return np.asarray(rod.resize((28, 28), Image.Resampling.BILINEAR))

    earlier = filmed()
    for step in range(100):
        action = rng.uniform(-1, 1, 1)
        seen, *_ = env.step(action)
        reference.step(2 * action)
        np.testing.assert_allclose(env.unwrapped.state, (reference.state - (np.pi, 0)) / (1, 3), rtol=0, atol=1e-12)
        present = filmed()
        np.testing.assert_array_equal(seen, (earlier, present), err_msg=f"step {step}")
        earlier = present


def test_a_step_is_one_of_symplectic_euler_unless_another_method_is_asked_for(physics: Choose) -> None:
    def method(**options: Any) -> tuple[str, int, float]:
        dynamics = make("PixelPendulum", **options).unwrapped.dynamics
        return dynamics.integrator.name, dynamics.substeps, dynamics.dt

    assert method() == method(dynamics=physics("pixel-pendulum", "hnn")) == ("symplectic_euler", 1, 0.05)
    assert method(dynamics=physics("pixel-pendulum", "baseline")) == ("rk4", 1, 0.05)
    assert method(substeps=4, dt=0.1) == ("symplectic_euler", 4, 0.1)
    assert method(integrator="leapfrog", substeps=3) == ("leapfrog", 3, 0.05)
    own = make_dynamics(SYSTEMS["pixel-pendulum"], dt=0.05, integrator="pefrl")
    assert method(integrator="pefrl") == ("pefrl", own.substeps, 0.05)


@pytest.mark.parametrize("name", ["ode", "hnn", "baseline"])
def test_every_physics_steps_by_machine_code(name: str, physics: Choose) -> None:
    dynamics = make_dynamics(TASK.system, physics("pixel-pendulum", name))
    step = compile_step(dynamics.field, dynamics.integrator, dynamics.dt, dynamics.substeps)
    assert step is not None
    x, u = states(70), np.random.default_rng(1).uniform(-2, 2, (70, 1))
    by_arrays = dynamics.integrator.step(dynamics.field, x, u, dynamics.dt)
    np.testing.assert_allclose(step(x, u), by_arrays, rtol=1e-12, atol=1e-13)


def test_it_starts_as_pendulum_v1_does() -> None:
    x = np.stack([TASK.initial_state(np.random.default_rng(seed)) for seed in range(500)])
    for values, largest in ((x[:, 0], np.pi), (3 * x[:, 1], 1.0)):
        assert 0.98 * largest < np.abs(values).max() <= largest


def test_environment_compare_and_rollout_step_the_same_map() -> None:
    """From q = 2 the flow would be 0.1 rad away after six steps; all of these are bit for bit what an agent meets."""
    env = make("PixelPendulum").unwrapped
    env.reset(options={"state": [2.0, 0.0]})
    stepped = [env.state]
    for _ in range(50):
        env.step(np.zeros(1))
        stepped.append(env.state)
    rolled = rollout("pixel-pendulum", [2.0, 0.0], 50).states[:, 0]
    np.testing.assert_array_equal(rolled, stepped)
    found = compare("pixel-pendulum", ("ode",), periods=50 * 0.05 / TASK.system.spec.time_scale)
    np.testing.assert_array_equal(found.tracks[0].states, stepped)
    np.testing.assert_array_equal(found.reference, stepped)
    flow = rollout("pixel-pendulum", [2.0, 0.0], 6, integrator="pefrl").states[:, 0]
    assert np.abs(flow[6, 0] - stepped[6][0]) > 0.1


def test_play_steps_that_map_too() -> None:
    session, env = Session("pixel-pendulum", ("ode", "hnn")), make("PixelPendulum").unwrapped
    env.reset(options={"state": session.tracks[0].x})
    for _ in range(5):
        session.tick(np.ones(1))
        env.step(np.ones(1))
        np.testing.assert_array_equal(session.tracks[0].x, env.state)


# What is seen


@pytest.mark.parametrize("size", [28, 64])
def test_observations_are_images_with_channels_first(size: int) -> None:
    env = make("PixelPendulum", image_size=size)
    assert env.observation_space == gym.spaces.Box(0, 255, (2, size, size), np.uint8)
    assert is_image_space(env.observation_space)
    assert is_image_space_channels_first(env.observation_space)


def test_channels_may_come_last() -> None:
    """As RLlib and Gymnasium's ResizeObservation want them, which take the first of three axes for the height."""
    first, last = make("PixelPendulum"), make("PixelPendulum", channels="last")
    assert last.observation_space == gym.spaces.Box(0, 255, (28, 28, 2), np.uint8)
    batch = make_batch("PixelPendulum", 1, channels="last", max_episode_steps=2)
    tensors = make_batch("PixelPendulum", 1, channels="last", max_episode_steps=2, output="torch")
    results = [[env.reset(seed=3)[0] for env in (first, last, batch, tensors)]]
    for _ in range(2):
        results.append([env.step(np.ones(1))[0] for env in (first, last)])
        results[-1] += [envs.step(np.ones((1, 1)))[0] for envs in (batch, tensors)]
    rewards = [env.step(np.ones(1))[1] for env in (first, last)]
    assert rewards[0] == rewards[1]
    for seen, turned, rows, tensor in results:
        np.testing.assert_array_equal(turned, np.moveaxis(seen, 0, -1))
        assert last.observation_space.contains(turned)
        np.testing.assert_array_equal(rows[0], turned)
        np.testing.assert_array_equal(tensor[0].numpy(), turned)
    assert is_image_space(last.observation_space)
    assert not is_image_space_channels_first(last.observation_space)


def test_small_frames_suit_every_policy_but_the_convolutional_one() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(make("PixelPendulum"))
    assert [str(warning.message)[:58] for warning in caught] == [
        "The minimal resolution for an image is 36x36 for the defau"
    ]


@pytest.mark.parametrize("images", [Camera(), fitted_autoencoder()], ids=["camera", "decoder"])
def test_the_two_frames_are_of_a_twentieth_of_a_second_ago_and_of_now(images: Any) -> None:
    model, x = FramePairs(images), states(5)
    seen = model.observe(x)
    assert seen.shape == (5, *model.shape)
    np.testing.assert_array_equal(seen[:, 1], images.frames(x[:, 0]))
    np.testing.assert_array_equal(seen[:, 0], images.frames(x[:, 0] - 0.15 * x[:, 1]))
    np.testing.assert_array_equal(model.observe(x + np.array((200 * np.pi, 0))), seen)
    np.testing.assert_array_equal(TASK.observation(x), FramePairs(Camera()).observe(x))


@pytest.mark.parametrize("images", [Camera(), fitted_autoencoder()], ids=["camera", "decoder"])
def test_two_frames_show_a_state(images: Any) -> None:
    model, x = FramePairs(images), states(50)
    np.testing.assert_allclose(wrapped(model.estimate(model.observe(x)) - x), 0, atol=0.1)
    np.testing.assert_allclose(model.state(model.angles(x)), x, atol=1e-12)


@pytest.mark.parametrize("name", LEARNED)
def test_learned_physics_shows_what_its_decoder_sees(name: str, physics: Choose) -> None:
    env = learned(physics, name)
    env.reset(seed=0)
    for _ in range(5):
        seen, *_ = env.step(np.array([0.7]))
        q, p = env.state
        expected = env.dynamics.observation_model.images.frames(np.array([q - 0.15 * p, q]))
        np.testing.assert_allclose(seen, expected.astype(int), rtol=0, atol=1)
        camera = Camera().frames(np.array([q - 0.15 * p, q]))
        assert np.square((seen - camera.astype(float)) / 255).mean() < 1e-3


def test_an_observation_model_is_a_part_of_physics_learned_from_frames_and_of_no_other(physics: Choose) -> None:
    learned = make_dynamics(TASK.system, physics("pixel-pendulum", "hnn"))
    assert learned.observation_model is learned.field.observation_model  # type: ignore[attr-defined]
    assert make_dynamics(TASK.system).observation_model is None
    assert make_dynamics("pendulum").observation_model is None
    for name, task in TASKS.items():
        assert isinstance(task, ObservedTask) == (name == "pixel-pendulum")


@pytest.mark.parametrize("name", LEARNED)
def test_learned_physics_starts_where_it_sees_the_true_start(name: str, physics: Choose) -> None:
    env, ode = learned(physics, name), make("PixelPendulum").unwrapped
    for seed in range(10):
        frames, _ = env.reset(seed=seed)
        true_frames, _ = ode.reset(seed=seed)
        angles = env.dynamics.observation_model.images.angle(true_frames)
        turned = wrapped(angles[1] - angles[0])
        np.testing.assert_allclose(env.state, (angles[1], turned / 0.15), rtol=0, atol=1e-12)
        np.testing.assert_allclose(wrapped(env.state - ode.state), 0.0, atol=0.05)
        assert env.np_random.bit_generator.state == ode.np_random.bit_generator.state
        assert frames.dtype == true_frames.dtype


def test_a_given_state_is_taken_as_it_is(physics: Choose) -> None:
    env = learned(physics)
    env.reset(options={"state": [1.0, -0.5]})
    np.testing.assert_array_equal(env.state, [1.0, -0.5])
    env.state = [7.0, 2.0]
    np.testing.assert_array_equal(env.state, [7.0, 2.0])


def test_an_encoder_that_misreads_a_start_still_starts_inside_the_limits(
    random_checkpoint: Any, tmp_path: Path
) -> None:
    made = load_checkpoint(Path(random_checkpoint("pixel-pendulum", "hnn")))
    wild = np.random.default_rng(0).standard_normal(made.parameters[ENCODER].shape)
    save_checkpoint(tmp_path / "wild.safetensors", made.card, made.parameters | {ENCODER: wild})
    envs = make_batch("PixelPendulum", 20, dynamics=str(tmp_path / "wild.safetensors"))
    envs.reset(seed=0)
    assert TASK.inside(envs.state).all()
    assert (np.abs(3 * envs.state[:, 1]) == pytest.approx(8.0)) or np.abs(3 * envs.state[:, 1]).max() > 1.5


# What is paid


def test_the_reward_is_pendulum_v1s_cost_of_the_true_angle_and_velocity() -> None:
    x, u = states(200), np.random.default_rng(1).uniform(-2, 2, (200, 1))
    angle, velocity = wrapped(x[:, 0] - np.pi), 3 * x[:, 1]
    true = -(angle**2 + 0.1 * velocity**2 + 0.001 * u[:, 0] ** 2)
    np.testing.assert_allclose(TASK.reward_of_state(x, u, x), true, rtol=1e-12)
    off = TASK.reward(np.zeros_like(x), u, x) - true
    # 1.5 mrad in two frames are 0.05 rad/s: of a cost of up to 16, some hundredths.
    assert np.sqrt(np.square(off).mean()) < 0.04
    assert np.abs(off).max() < 0.2


@pytest.mark.parametrize("name", ["ode", *LEARNED])
def test_the_reward_is_read_off_the_frames_that_the_agent_sees_in_the_same_way_for_every_physics(
    name: str, physics: Choose
) -> None:
    env = learned(physics, name)
    env.reset(seed=1)
    for action in (0.5, -1.0, 0.0):
        frames, reward, *_ = env.step(np.array([action]))
        earlier, present = Camera().angle(frames)
        velocity = wrapped(present - earlier) / 0.05
        expected = -(wrapped(present - np.pi) ** 2 + 0.1 * velocity**2 + 0.001 * (2 * action) ** 2)
        assert reward == pytest.approx(expected, rel=1e-12)


def test_darkness_is_paid_for_and_is_no_nan() -> None:
    dark = np.zeros((3, 2, 28, 28), np.uint8)
    reward = TASK.reward_of_observation(dark, np.zeros((3, 1)), np.ones(3, dtype=np.bool_))
    np.testing.assert_allclose(reward, -(np.pi**2))  # darkness reads as hanging still


@pytest.mark.parametrize("name", ["ode", *LEARNED])
def test_leaving_the_limits_ends_the_episode_and_costs_a_thousand(name: str, physics: Choose) -> None:
    env = learned(physics, name)
    env.reset(options={"state": [-1.5, 2.6]})
    _, reward, terminated, truncated, info = env.step(np.ones(1))
    assert 3 * env.state[1] > 8
    assert (terminated, truncated, info["out_of_domain"], info["diverged"]) == (False, True, 1.0, 0.0)
    assert -1020 < reward < -1000


def transitions(count: int = 40) -> tuple[Array, Array, Array]:
    """Steps to both sides of the limits; some diverged."""
    x, x_next = 1.1 * states(count), 1.1 * states(count, 1)
    x_next[1:4, 0] = np.nan, np.inf, 1e300
    x_next[4:6, 1] = -np.inf, 2e9
    return x, np.random.default_rng(2).uniform(-2, 2, (count, 1)), x_next


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("images", [Camera(), fitted_autoencoder()], ids=["camera", "decoder"])
def test_a_step_is_paid_by_the_frames_that_are_seen_after_it(images: Any, kind: str) -> None:
    model, (x, u, x_next) = FramePairs(images), transitions()
    inside = TASK.inside(x_next)
    diverged = ~inside & ~(np.abs(x_next) < LARGEST).all(-1)
    assert diverged.sum() == 4
    settled = np.where(diverged[:, None], x, x_next)
    frames = model.observe(settled)
    reward = TASK.reward_of_observation(frames, u, inside)
    expected = Outcome(settled, frames, reward, TASK.system.value(settled), inside & False, ~inside, diverged)
    given = (x, u, x_next) if kind == "numpy" else tuple(map(torch.tensor, (x, u, x_next)))
    rules = make_rules(TASK, None if kind == "numpy" else "cuda:0", observation_model=model)
    assert isinstance(rules, ArrayRules)
    found = rules.outcome(*given)
    for name, one, other in zip(found._fields, found, expected, strict=True):
        level = {"observation": 1, "reward": 1e-2}.get(name, 1e-12)  # where tensors round otherwise
        np.testing.assert_allclose(
            np.asarray(one).astype(float),
            np.asarray(other).astype(float),
            rtol=0,
            atol=0 if kind == "numpy" else level,
            err_msg=name,
        )
    assert np.isfinite(np.asarray(found.reward)).all()
    assert (np.asarray(found.reward)[np.asarray(found.outside)] <= -1000).all()


def test_frames_are_shown_once_a_step() -> None:
    @dataclasses.dataclass(frozen=True)
    class Counting:
        size: int = 28
        window: tuple[int, ...] = Camera.window
        shown: list[int] = dataclasses.field(default_factory=list)

        def frames(self, q: Array) -> Array:
            self.shown.append(q.size)
            return fitted_autoencoder().frames(q)

        def angle(self, frames: Array) -> Array:
            return fitted_autoencoder().angle(frames)

    images = Counting()
    make_rules(TASK, observation_model=FramePairs(images)).outcome(states(3), np.zeros((3, 1)), states(3))
    assert images.shown == [6]


# A batch


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", LEARNED)
def test_a_batch_of_learned_physics_equals_single_environments_to_rounding(
    name: str, mode: AutoresetMode, physics: Choose
) -> None:
    options: dict[str, Any] = {"dynamics": physics("pixel-pendulum", name), "max_episode_steps": 4}
    native = make_batch("PixelPendulum", 3, autoreset_mode=mode, **options)
    sync: Any = gym.make_vec(
        "hnn_envs/PixelPendulum-v0",
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **options,
    )
    rng, results = np.random.default_rng(0), [(native.reset(seed=3), sync.reset(seed=3))]
    for _ in range(10):
        actions = actions_of(native, rng)
        results.append((native.step(actions), sync.step(actions)))
        ended = results[-1][0][2] | results[-1][0][3]
        if mode == AutoresetMode.DISABLED and ended.any():
            results.append(tuple(envs.reset(options={"reset_mask": ended}) for envs in (native, sync)))
    for one, other in results:
        np.testing.assert_allclose(one[0].astype(int), other[0].astype(int), rtol=0, atol=1)  # a level
        for part, expected in zip(one[1:-1], other[1:-1], strict=True):
            np.testing.assert_allclose(part, expected, rtol=0, atol=1e-2)
        np.testing.assert_allclose(one[-1]["energy"], other[-1]["energy"], rtol=0, atol=1e-9)
        assert set(one[-1]) == set(other[-1])


@pytest.mark.parametrize("name", ["ode", "hnn"])
def test_a_batch_gives_tensors_of_bytes(name: str, physics: Choose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnn_envs.dynamics.torch_device", lambda device: device)  # tensors as on a CUDA device
    options: dict[str, Any] = {"dynamics": physics("pixel-pendulum", name), "max_episode_steps": 3}
    tensors = make_batch("PixelPendulum", 3, output="torch", device="cpu", autoreset_mode="SameStep", **options)
    arrays = make_batch("PixelPendulum", 3, autoreset_mode="SameStep", **options)
    results = [(tensors.reset(seed=0), arrays.reset(seed=0))]
    results += [(tensors.step(torch.ones(3, 1)), arrays.step(np.ones((3, 1)))) for _ in range(5)]
    for tensor, array in results:
        assert tensor[0].dtype == torch.uint8
        np.testing.assert_allclose(tensor[0].numpy().astype(int), array[0].astype(int), rtol=0, atol=1)
    np.testing.assert_allclose(results[-1][0][1].numpy(), results[-1][1][1], rtol=0, atol=1e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["ode", "hnn", "baseline"])
@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_it_steps_and_draws_on_a_cuda_device(name: str, output: str, physics: Choose) -> None:
    options: dict[str, Any] = {"dynamics": physics("pixel-pendulum", name)}
    there = make_batch(
        "PixelPendulum", 3, device="cuda", output=output, render_mode="rgb_array", render_truth=True, **options
    )
    here = make_batch("PixelPendulum", 3, **options)
    there.reset(seed=0), here.reset(seed=0)
    for _ in range(3):
        seen, reward, *_ = there.step(np.ones((3, 1)))
        expected = here.step(np.ones((3, 1)))
        seen, reward = torch.as_tensor(seen).cpu().numpy(), torch.as_tensor(reward).cpu().numpy()
        np.testing.assert_allclose(seen.astype(int), expected[0].astype(int), rtol=0, atol=1)
        np.testing.assert_allclose(reward, expected[1], rtol=0, atol=1e-2)
    assert len(there.render()) == 3


@pytest.mark.parametrize(("policy", "size"), [("CnnPolicy", 64), ("MlpPolicy", 28)])
def test_stable_baselines_learns_from_frames(policy: str, size: int, physics: Choose) -> None:
    dynamics = physics("pixel-pendulum", "hnn", size)
    envs = make_vec_env("PixelPendulum", n_envs=2, seed=0, dynamics=dynamics, image_size=size, max_episode_steps=5)
    model = PPO(policy, envs, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu").learn(16)
    action, _ = model.predict(envs.reset())
    assert action.shape == (2, 1)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])  # noqa: S301
@pytest.mark.parametrize("name", ["ode", "hnn"])
def test_a_copy_goes_on_in_the_same_way_and_draws_the_same(name: str, duplicate: Any, physics: Choose) -> None:
    env = learned(physics, name, render_mode="rgb_array", render_truth=True)
    env.reset(seed=0)
    env.step(np.ones(1))
    again = duplicate(env)
    for _ in range(3):
        np.testing.assert_array_equal(env.step(np.ones(1))[0], again.step(np.ones(1))[0])
    np.testing.assert_array_equal(env.render(), again.render())


# What cannot be


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("PixelPendulum", {"image_size": 30}, "image_size must be one of 28, 64, not 30"),
        ("PixelPendulum", {"image_size": "28"}, "image_size must be one of 28, 64, not '28'"),
        ("PixelPendulum", {"channels": "middle"}, "channels must be one of None, 'first', 'last', not 'middle'"),
        ("Pendulum", {"channels": "last"}, "channels is for tasks that are seen through frames; 'pendulum' is not"),
        ("PixelPendulum", {"render_truth": "yes"}, "render_truth must be True or False, not 'yes'"),
        ("Pendulum", {"render_truth": True}, "render_truth is for tasks that are seen through frames; 'pendulum' is"),
        ("Pendulum", {"image_size": 28}, "image_size is for tasks that are seen through frames; 'pendulum' is not"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    for attempt in (lambda: make(name, **options), lambda: make_batch(name, 2, **options)):
        with pytest.raises(InvalidOptionError, match=message):
            attempt()


def test_a_checkpoint_of_another_size_is_refused_with_the_size_that_it_needs(random_checkpoint: Any) -> None:
    small, large = (random_checkpoint("pixel-pendulum", "hnn", size=size) for size in (28, 64))
    with pytest.raises(InvalidOptionError, match="frames of 64 pixels: they need image_size=64, not 28"):
        make("PixelPendulum", dynamics=large)
    with pytest.raises(InvalidOptionError, match="frames of 28 pixels: they need image_size=28, not 64"):
        make("PixelPendulum", dynamics=small, image_size=64)
    assert make("PixelPendulum", dynamics=large, image_size=64).observation_space.shape == (2, 64, 64)


def test_an_alias_with_a_size_is_the_checkpoint_of_that_size(
    monkeypatch: pytest.MonkeyPatch, random_checkpoint: Any
) -> None:
    asked: list[str] = []

    def found(system: str, name: str) -> Any:
        asked.append(name)
        return load_checkpoint(Path(random_checkpoint(system, "hnn", size=64 if "64" in name else 28)))

    monkeypatch.setattr("hnn_envs.dynamics.is_shipped_name", lambda *_: True)
    monkeypatch.setattr("hnn_envs.dynamics.find_checkpoint", lambda system, name: found(system, name))
    for size, name in ((None, "hnn"), (28, "hnn"), (64, "default/hnn-64")):
        env = make("PixelPendulum", dynamics="hnn", image_size=size).unwrapped
        assert asked.pop() == name
        assert env.dynamics.name == "hnn"
        assert env.task.camera.size == (size or 28)
        assert env.dynamics.observation_model.images.size == (size or 28)


def test_a_checkpoint_with_another_window_is_refused(random_checkpoint: Any, tmp_path: Any) -> None:
    made = load_checkpoint(Path(random_checkpoint("pixel-pendulum", "hnn")))
    card = dataclasses.replace(made.card, settings=made.card.settings | {"window": [220, 390, 165, 335]})
    save_checkpoint(tmp_path / "other.safetensors", card, made.parameters)
    with pytest.raises(InvalidOptionError, match=r"learned through the window \(220, 390, 165, 335\)"):
        make("PixelPendulum", dynamics=str(tmp_path / "other.safetensors"))


def test_names_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="newton"):
        make("PixelPendulum", dynamics="newton", image_size=64)
    with pytest.raises(CheckpointError, match=r"missing\.safetensors"):
        make("PixelPendulum", dynamics="missing.safetensors")


# Drawings


def count(frame: Array, colour: str) -> int:
    """Pixels of exactly this colour."""
    return int((frame == np.array(rgb(colour), dtype=np.uint8)).all(-1).sum())


def test_a_drawing_shows_the_frame_enlarged_with_sharp_pixels(physics: Choose) -> None:
    env = learned(physics, render_mode="rgb_array")
    seen, _ = env.reset(options={"state": [0.7, 0.0]})
    picture = env.render()[..., 0]
    share = (255 - picture[60:430, 30:400].astype(float)) / 255  # of blue, which has no red
    rows, columns = np.nonzero(share > 0.5)
    middle = (244 - 60, 216 - 30)  # of the frame on the page: the pivot
    assert np.arctan2(columns.mean() - middle[1], rows.mean() - middle[0]) == pytest.approx(0.7, abs=0.03)
    pixels = 392 / 1.04 / 28
    assert (share > 0.5).sum() == pytest.approx((seen[1] > 64).sum() * pixels**2, rel=0.1)


@pytest.mark.parametrize(("name", "colour"), [("hnn", HNN), ("baseline", BASELINE)])
def test_the_truth_is_drawn_beside_it_in_its_own_colour(name: str, colour: str, physics: Choose) -> None:
    for truth in (False, True):
        env = learned(physics, name, render_mode="rgb_array", render_truth=truth)
        env.reset(seed=0)
        frame = env.render()
        assert count(frame, colour) > 500
        assert frame.shape[:2] == ((WIDE[1], WIDE[0]) if truth else (480, 480))
        assert (count(frame, ODE) > 500) == truth
        if truth:
            assert count(frame[:, 60:380], ODE) == count(frame[60:, 400:720], colour) == 0


@pytest.mark.parametrize("name", LEARNED)
def test_the_truth_beside_it_is_the_true_pendulum_from_the_true_start_under_the_same_actions(
    name: str, physics: Choose
) -> None:
    env = learned(physics, name, render_mode="rgb_array", render_truth=True)
    ode = make("PixelPendulum").unwrapped
    env.reset(seed=4), ode.reset(seed=4)
    for state in (None, [1.0, 0.5]):
        if state is not None:
            env.state = ode.state = state
        for _ in range(5):
            np.testing.assert_array_equal(env._truth_beside.states[0], ode.state)
            assert (env.state != ode.state).any() or state is not None
            env.step(np.array([0.8])), ode.step(np.array([0.8]))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_every_row_of_a_batch_has_its_truth(mode: AutoresetMode, physics: Choose) -> None:
    options: dict[str, Any] = {"max_episode_steps": 3, "autoreset_mode": mode}
    envs = make_batch(
        "PixelPendulum",
        2,
        dynamics=physics("pixel-pendulum", "hnn"),
        render_mode="rgb_array",
        render_truth=True,
        **options,
    )
    truths = make_batch("PixelPendulum", 2, **options)
    envs.reset(seed=4), truths.reset(seed=4)
    for _ in range(5):
        np.testing.assert_array_equal(envs.unwrapped._truth_beside.states, truths.state)
        *_, ended, _ = (envs.step(np.ones((2, 1))), truths.step(np.ones((2, 1))))[0]
        if mode == AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended}), truths.reset(options={"reset_mask": ended})
    envs.state = truths.state = np.array([[0.1, 0.2], [0.3, 0.4]])
    envs.set_attr("state", [[0.1, 0.2], [0.5, 0.6]]), truths.set_attr("state", [[0.1, 0.2], [0.5, 0.6]])
    np.testing.assert_array_equal(envs.unwrapped._truth_beside.states, truths.state)
    pictures = envs.render()
    assert len(pictures) == 2
    assert pictures[0].shape == (WIDE[1], WIDE[0], 3)
    np.testing.assert_array_equal(envs.call("render")[1], pictures[1])


def test_a_view_with_a_truth_fits_any_size() -> None:
    view = View(np.ones(2), np.ones((3, 2)), np.ones(1), 3.0, 3.0, "hnn", 1.0, truth=np.zeros(2))
    for size in ((300, 300), (200, 500), (900, 300)):
        assert draw_frame(get_task("pixel-pendulum"), view, size=size).shape == (size[1], size[0], 3)
