"""The learner of few seconds: the trigonometric machine, from noisy trials of a second or three."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import hnn_envs
from hnn_envs.arrays import Array
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import CheckpointError, InvalidOptionError, TrainingError
from hnn_envs.exploration.learners import Learned
from hnn_envs.exploration.machine_learner import MachineLearner, model_of
from hnn_envs.fitting.chained import ChainedShooting
from hnn_envs.fitting.windows import Shooting
from hnn_envs.ids import LEARNED
from hnn_envs.learning.few import FewFit
from hnn_envs.learning.fixed_steps import fixed_stepper
from hnn_envs.learning.kept import Kept
from hnn_envs.learning.setting import Setting
from hnn_envs.learning.shares import Shares
from hnn_envs.learning.systems import describe_system
from hnn_envs.models.trigonometric import Config
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.recordings.windows import watch
from hnn_envs.tasks import get_task

NOISE = 1e-2


@cache
def watched(name: str, seconds: float, seed: int, *, noise: float = NOISE, steps: int = 80, action: str = "smooth"):
    """Trials from rest of so many steps at most; those of more seconds begin with those of fewer."""
    task, rng = get_task(name), np.random.default_rng((seed, 7))
    spec, physics = task.system.spec, make_dynamics(task.system, "ode", dt=task.dt)
    runs: list[Run] = []
    left, held = round(seconds / task.dt), 0.0
    while left > 0:
        states, inputs = [np.zeros(2 * spec.dof)], []
        while len(inputs) < min(steps, left):
            held = 0.7 * held + 0.65 * rng.uniform(-1, 1)
            share = {"smooth": np.clip(held, -1, 1), "switched": np.sign(held), "none": 0.0}[action]
            ahead = physics.step(states[-1], task.max_input * np.array([share]))
            if not task.inside(ahead):
                break
            states.append(ahead)
            inputs.append(task.max_input * np.array([share]))
        left -= max(1, len(inputs))
        if len(states) > 2:
            seen = in_velocities(name, np.array(states)) + noise * rng.standard_normal((len(states), 2 * spec.dof))
            times = task.dt * np.arange(len(seen))
            name_of = f"trial {len(runs)}"
            runs.append(Run(name_of, times, seen[:, : spec.dof], seen[:, spec.dof :], times[:-1], np.array(inputs)))
    return Recording(name, spec.coordinates, spec.inputs, tuple(runs), spec.input_matrix)


def in_velocities(name: str, x: Array) -> Array:
    """States with velocities in place of momenta: the pendulum's is 2 p."""
    if get_task(name).system.spec.velocities:
        return x
    return x * np.repeat((1.0, 2.0), x.shape[-1] // 2)


def learned(recording: Recording, previous: Learned | None = None, seed: int = 0) -> Learned:
    return MachineLearner()(recording, dt=get_task(recording.name).dt, seed=seed, previous=previous)


@cache
def learned_of(name: str, seconds: float, seed: int) -> Learned:
    return learned(watched(name, seconds, seed), seed=seed)


def missed(result: Learned, name: str) -> tuple[Array, Array]:
    """Errors of a step at states of the task's range, and what steps change there, shape (n, 2*dof)."""
    task = get_task(name)
    x = task.system.sample_states(np.random.default_rng(5), 200)
    u = task.max_input * np.random.default_rng(6).uniform(-1, 1, (200, 1))
    ahead = in_velocities(name, make_dynamics(task.system, "ode", dt=task.dt).step(x, u))
    x = in_velocities(name, x)
    return result.dynamics.step(x, u) - ahead, ahead - x


@pytest.mark.parametrize(("name", "seconds"), [("pendulum", 1.0), ("cart-pole", 1.5)])
def test_a_second_of_noisy_experience_gives_physics_that_holds_where_nothing_was_seen(name: str, seconds: float):
    errors, changes = missed(learned_of(name, seconds, 0), name)
    shares = np.abs(errors) / changes.std(axis=0)
    assert np.median(shares) < 0.01
    assert np.quantile(shares, 0.9) < 0.1


def test_the_disturbance_is_what_a_step_is_off_by_where_it_was_watched():
    for seed in (0, 1):
        recording, result = watched("cart-pole", 1.5, seed), learned_of("cart-pole", 1.5, seed)
        x = np.concatenate([run.samples[:-1] for run in recording.runs])
        u = np.concatenate([run.inputs for run in recording.runs])
        task = get_task("cart-pole")
        errors = result.dynamics.step(x, u) - make_dynamics(task.system, "ode", dt=task.dt).step(x, u)
        ratio = result.disturbance / np.sqrt(np.square(errors).mean(axis=0))
        assert (ratio > 1 / 3).all()
        assert (ratio < 3).all()


def test_the_noise_is_that_of_the_recording():
    result = learned_of("cart-pole", 1.5, 0)
    assert result.noise == pytest.approx(np.full(4, NOISE), rel=0.4)


def test_a_fit_that_goes_on_is_as_good_as_one_that_begins_anew():
    recording = watched("cart-pole", 3.0, 0)
    warm, cold = learned(recording, learned_of("cart-pole", 1.5, 0)), learned_of("cart-pole", 3.0, 0)
    assert np.log(warm.noise / cold.noise).mean() < 0.1
    x = np.concatenate([run.samples[:-1] for run in recording.runs])
    u = np.concatenate([run.inputs for run in recording.runs])
    apart = np.sqrt(np.square(warm.dynamics.step(x, u) - cold.dynamics.step(x, u)).mean(axis=0))
    assert (apart < 2 * np.hypot(warm.disturbance, cold.disturbance)).all()


def test_a_fit_that_goes_on_steps_far_less_than_one_that_begins_anew(monkeypatch: pytest.MonkeyPatch):
    before, recording = learned_of("cart-pole", 1.5, 0), watched("cart-pole", 3.0, 0)
    counted = [0]
    own = ChainedShooting.residuals

    def residuals(self: ChainedShooting, flat: Array, starts: Array) -> Array:
        counted[0] += 1
        return own(self, flat, starts)

    monkeypatch.setattr(ChainedShooting, "residuals", residuals)
    learned(recording, before)
    warm, counted[0] = counted[0], 0
    learned(recording)
    assert warm < 0.5 * counted[0]


def test_a_fit_that_goes_on_from_a_wrong_machine_is_replaced_by_one_that_begins_anew():
    before, recording = learned_of("pendulum", 1.0, 0), watched("pendulum", 2.0, 0)
    fit = before.kept.fit
    far = {name: 40.0 * table for name, table in fit.parameters.items()}
    wrong = replace(before, kept=replace(before.kept, fit=replace(fit, parameters=far, noise=1e-3 * fit.noise)))
    errors, changes = missed(learned(recording, wrong), "pendulum")
    assert np.quantile(np.abs(errors) / changes.std(axis=0), 0.9) < 0.1


def test_what_was_learned_of_velocities_does_not_step_an_environment_of_momenta(tmp_path: Path) -> None:
    env = gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0")
    recording = hnn_envs.record(env, seconds=2.0, seed=0)
    learned = MachineLearner()(recording, dt=env.unwrapped.dynamics.dt, seed=0, previous=None)  # type: ignore[attr-defined]
    model_of(learned, recording, "pendulum").save(tmp_path / "pendulum.safetensors")
    with pytest.raises(CheckpointError, match="velocities, not of momenta"):
        gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0", dynamics=str(tmp_path / "pendulum.safetensors"))


def test_the_same_seed_gives_the_same_floats():
    recording, before = watched("pendulum", 2.0, 1), learned_of("pendulum", 1.0, 1)
    for previous in (None, before):
        first, second = learned(recording, previous), learned(recording, previous)
        for name, table in first.kept.fit.parameters.items():
            assert np.array_equal(table, second.kept.fit.parameters[name])
        assert np.array_equal(first.disturbance, second.disturbance)


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(watched("pendulum", 2.0, 2, steps=4), id="runs of five states"),
        pytest.param(watched("pendulum", 2.0, 3, action="switched"), id="inputs that saturate"),
        pytest.param(watched("pendulum", 1.0, 0, noise=0.0), id="no noise"),
    ],
)
def test_awkward_experience_gives_finite_physics(recording: Recording):
    result = learned(recording)
    errors, _ = missed(result, "pendulum")
    assert np.isfinite(errors).all()
    assert (result.noise > 0).all()
    assert (result.disturbance > 0).all()


def test_where_inputs_are_always_zero_the_scale_of_masses_is_chosen_and_the_motion_right():
    task = get_task("pendulum")
    physics = make_dynamics(task.system, "ode", dt=task.dt)
    states = [np.array([2.0, 0.0])]
    for _ in range(30):
        states.append(physics.step(states[-1], np.zeros(1)))
    truth = in_velocities("pendulum", np.array(states))
    seen = truth + NOISE * np.random.default_rng(0).standard_normal(truth.shape)
    times, spec = task.dt * np.arange(31), task.system.spec
    run = Run("free", times, seen[:, :1], seen[:, 1:], times[:-1], np.zeros((30, 1)))
    result = learned(Recording("pendulum", spec.coordinates, spec.inputs, (run,), spec.input_matrix))
    ahead = result.dynamics.step(truth[:-1], np.zeros((30, 1)))
    assert np.abs(ahead - truth[1:]).max() < 2 * NOISE


@pytest.mark.parametrize("noise", [NOISE, 0.0])
def test_experience_without_motion_is_refused(noise: float):
    with pytest.raises(TrainingError, match="no motion beyond noise"):
        learned(watched("pendulum", 2.0, 0, noise=noise, action="none"))


def test_a_recording_that_lacks_what_is_needed_is_refused():
    recording = watched("pendulum", 1.0, 0)
    with pytest.raises(InvalidOptionError, match="input_matrix"):
        learned(replace(recording, input_matrix=None))
    with pytest.raises(InvalidOptionError, match="velocities"):
        learned(replace(recording, runs=tuple(replace(run, velocities=None) for run in recording.runs)))


def test_a_saved_model_steps_an_environment_as_the_learned_dynamics_do(tmp_path):
    recording, result = watched("cart-pole", 1.5, 0), learned_of("cart-pole", 1.5, 0)
    path = tmp_path / "cart.safetensors"
    model_of(result, recording).save(path)
    with gymnasium.make("hnn_envs:hnn_envs/CartPole-v0", dynamics=str(path)) as env:
        env.reset(seed=3)
        state = env.unwrapped.state.copy()
        action = np.array([0.4], dtype=np.float32)
        env.step(action)
        inputs = get_task("cart-pole").max_input * action.astype(np.float64)
        expected = result.dynamics.step(state[None], inputs[None])[0]
        assert env.unwrapped.state == pytest.approx(expected, abs=1e-4)
    with gymnasium.make(LEARNED, dynamics=str(path)) as env:
        env.reset(seed=0)
        observation, *_ = env.step(env.action_space.sample())
        assert np.isfinite(observation).all()


def test_a_model_tells_only_what_was_measured_on_the_recording():
    recording = watched("cart-pole", 1.5, 0)
    card = model_of(learned_of("cart-pole", 1.5, 0), recording, "cart").checkpoint.card
    assert card.system == "cart"
    assert set(card.metrics) == {"noise_share", "seconds", "estimated_step_error"}
    assert card.metrics["seconds"] == pytest.approx(1.5)
    positions = np.concatenate([run.positions for run in recording.runs])
    assert card.domain.low[0] == pytest.approx(positions[:, 0].min())


def test_models_are_made_of_what_this_learner_learned_only():
    result, recording = learned_of("cart-pole", 1.5, 0), watched("cart-pole", 1.5, 0)
    with pytest.raises(InvalidOptionError, match="MachineLearner"):
        model_of(replace(result, kept=None), recording)
    with pytest.raises(InvalidOptionError, match="coordinates"):
        model_of(result, watched("pendulum", 1.0, 0))


def test_derivatives_that_are_chained_are_those_of_paths_from_shifted_parameters():
    recording = watched("cart-pole", 1.5, 0)
    seen = watch(recording)
    spans = tuple((number, float(run.times[0]), float(run.times[-1])) for number, run in enumerate(recording.runs))
    spec = describe_system(seen, recording.input_matrix)
    fit = FewFit(Setting(seen, spec, Shares(spans, (), ()), 1.0, 0, Kept(None, "")), Config(), lambda *_: None)
    flat, free = fit.plain(), fit.terms(2)
    shooting = fit._shooting(fit.windows(0.3), np.full(4, NOISE), free)
    shooting = replace(shooting, stepper=fixed_stepper(4), least=np.full(len(flat), -np.inf))
    starts = shooting.windows.starts
    for chained, direct in zip(
        shooting.jacobians(flat, starts), Shooting.jacobians(shooting, flat, starts), strict=True
    ):
        assert chained == pytest.approx(direct, abs=1e-4 * np.abs(direct).max())
