"""From a recording to a model: what is found, what is told of it, and what is refused."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner
from watched_systems import watch_swing, watch_system

import hnn_envs
from hnn_envs.cli import app
from hnn_envs.errors import (
    CheckpointError,
    DataError,
    InvalidActionError,
    InvalidOptionError,
    InvalidStateError,
    UnknownNameError,
)
from hnn_envs.learning import LearnedModel, learn
from hnn_envs.learning.pipeline import choose
from hnn_envs.learning.shares import share_out, stretches_of
from hnn_envs.models import make_family
from hnn_envs.recordings.windows import watch
from hnn_envs.systems import get_system

QUIET = {"told": lambda *_: None, "message": lambda _: None}
SERIES = ["trigonometric"]


def machine_of(model: LearnedModel):
    card = model.checkpoint.card
    return make_family(card.family, card.settings).build(card.spec, model.checkpoint.parameters)


@pytest.fixture(scope="module")
def swing() -> LearnedModel:
    return learn(watch_swing(30, noise=1e-3), families=SERIES, minutes=1, **QUIET)


@pytest.mark.parametrize(("noise", "tolerance"), [(0.0, 1e-6), (1e-2, 0.03)])
def test_a_recording_of_the_cart_pole_gives_back_its_mass_matrix_potential_and_friction(noise, tolerance):
    model = learn(watch_system("cart-pole", 40, noise=noise), families=SERIES, minutes=1, **QUIET)
    truth, field = get_system("cart-pole"), machine_of(model)
    q = np.random.default_rng(1).uniform((-2, -3), (2, 3), (50, 2))
    np.testing.assert_allclose(field.machine.mass_matrix(q), truth.mass_matrix(q), atol=tolerance)
    potential = field.machine.potential(q) - field.machine.potential(q[0])
    np.testing.assert_allclose(potential, truth.potential(q) - truth.potential(q[0]), atol=2 * tolerance)
    v = np.array([1.0, 1.0])
    friction = field.canonical.dissipation.force(v)
    np.testing.assert_allclose(friction, truth.field.canonical.dissipation.force(v), atol=tolerance)


def test_noise_of_unknown_size_is_estimated():
    recording = watch_swing(30, noise=1e-2)
    model = learn(recording, families=SERIES, minutes=1, **QUIET)
    deviation = np.concatenate((recording.runs[0].positions, recording.runs[0].velocities), axis=1).std(axis=0)
    assert model.checkpoint.card.metrics["noise_share"] == pytest.approx((1e-2 / deviation).mean(), rel=0.2)


@pytest.mark.parametrize("irregular", [False, True])
def test_positions_alone_are_enough_at_even_and_at_odd_times(irregular):
    recording = watch_swing(40, noise=1e-3, velocities=False, irregular=irregular)
    field = machine_of(learn(recording, families=SERIES, minutes=1, **QUIET))
    q = np.linspace(-1, 1, 9)[:, None]
    np.testing.assert_allclose(field.machine.mass_matrix(q)[:, 0, 0], 1.0, atol=0.05)
    rate = field(np.array([1.0, 0.5]), np.zeros(1))[1]
    assert rate == pytest.approx(-4 * np.sin(1.0) - 0.05, abs=0.05)


def test_without_inputs_the_motion_is_found_and_energy_up_to_a_factor():
    field = machine_of(learn(watch_swing(40, largest_input=0.0), families=SERIES, minutes=1, **QUIET))
    assert field(np.array([1.0, 0.5]), np.zeros(0))[1] == pytest.approx(-4 * np.sin(1.0) - 0.05, abs=1e-4)


def test_what_an_input_pushes_is_found_where_the_recording_does_not_say():
    recording = replace(watch_system("cart-pole", 20), input_matrix=None)
    model = learn(recording, families=SERIES, minutes=0.5, **QUIET)
    assert model.spec.input_matrix == ((1.0,), (0.0,))


def test_more_inputs_than_coordinates_need_an_input_matrix():
    recording = watch_swing(10)
    run = recording.runs[0]
    doubled = replace(run, inputs=np.repeat(run.inputs, 2, axis=1))
    with pytest.raises(DataError, match="input_matrix"):
        learn(replace(recording, inputs=recording.inputs * 2, runs=(doubled,)), families=SERIES, **QUIET)


def test_a_recording_that_is_too_short_is_refused():
    with pytest.raises(DataError, match="too short to learn from"):
        learn(watch_swing(0.3), families=SERIES, **QUIET)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"families": ["fourier"]}, UnknownNameError),
        ({"families": []}, InvalidOptionError),
        ({"minutes": 0}, InvalidOptionError),
        ({"seed": -1}, InvalidOptionError),
    ],
)
def test_options_out_of_range_are_refused(options, error):
    with pytest.raises(error):
        learn(watch_swing(5), **QUIET, **options)


def test_learning_twice_gives_the_same_to_the_bit(swing):
    again = learn(watch_swing(30, noise=1e-3), families=SERIES, minutes=1, **QUIET)
    assert again.checkpoint.card == swing.checkpoint.card
    for name, value in swing.checkpoint.parameters.items():
        np.testing.assert_array_equal(value, again.checkpoint.parameters[name])


class KilledError(Exception):
    pass


def test_a_killed_run_goes_on_and_gives_the_same(swing, tmp_path):
    state = tmp_path / "swing.state.safetensors"

    def killer(what, step, *_):
        if "shooting" in what and state.exists():
            raise KilledError

    with pytest.raises(KilledError):
        learn(
            watch_swing(30, noise=1e-3), families=SERIES, minutes=1, state=state, told=killer, message=QUIET["message"]
        )
    said = []
    again = learn(
        watch_swing(30, noise=1e-3), families=SERIES, minutes=1, state=state, told=QUIET["told"], message=said.append
    )
    assert any("going on" in line for line in said)
    assert not state.exists()
    for name, value in swing.checkpoint.parameters.items():
        np.testing.assert_array_equal(value, again.checkpoint.parameters[name])


def test_a_state_of_another_recording_is_not_taken_up(tmp_path):
    state = tmp_path / "s.safetensors"

    def killer(what, *_):
        if state.exists():
            raise KilledError

    with pytest.raises(KilledError):
        learn(watch_swing(10), families=SERIES, minutes=0.2, state=state, told=killer, message=QUIET["message"])
    said = []
    learn(watch_swing(10, seed=1), families=SERIES, minutes=0.2, state=state, told=QUIET["told"], message=said.append)
    assert any("starts anew" in line for line in said)


def test_the_plain_network_is_recommended_where_no_energy_explains_the_recording():
    # Negative damping: the machine gains energy by itself, which no friction of ours can say.
    recording = watch_swing(20, damping=-0.1, largest_input=0.3)
    model = learn(recording, families=["trigonometric", "mlp"], minutes=0.5, **QUIET)
    assert model.checkpoint.card.family == "mlp"
    assert "the plain network predicts best" in str(model.report())


def test_the_family_with_more_structure_wins_where_others_are_hardly_better():
    assert choose({"mlp": 0.100, "trigonometric": 0.104}) == "trigonometric"
    assert choose({"mlp": 0.100, "trigonometric": 0.2, "mechanical": 0.102}) == "mechanical"
    assert choose({"mlp": 0.1, "trigonometric": 0.2}) == "mlp"


@pytest.mark.parametrize("family", ["mechanical", "generic", "mlp"])
def test_every_family_of_networks_can_be_asked_for(family):
    model = learn(watch_swing(10), families=[family], minutes=0.02, **QUIET)
    assert model.checkpoint.card.family == family
    assert len(model.checkpoint.members) == 4


@pytest.mark.parametrize("seconds", [2, 5, 20])
def test_no_stretch_is_for_two_things_and_none_is_left_out(seconds):
    watched = watch(watch_swing(seconds))
    shares = share_out(watched)
    spans = sorted(span for part in (shares.train, shares.choice, shares.report) for span in part)
    assert shares.train
    assert shares.choice
    assert shares.report
    assert spans[0][1] == watched.recording.runs[0].times[0]
    assert spans[-1][2] == watched.recording.runs[0].times[-1]
    for before, after in pairwise(spans):
        assert before[2] == after[1]


def test_stretches_to_check_on_cover_the_whole_recording():
    watched = watch(watch_swing(20))
    spans = stretches_of(watched)
    assert sum(last - first for _, first, last in spans) == pytest.approx(watched.recording.seconds)


def test_prediction_has_the_start_and_a_state_after_every_step(swing):
    q, v = swing.predict(np.array([0.5]), np.array([0.0]), np.zeros((10, 1)))
    assert q.shape == v.shape == (11, 1)
    assert q[0] == 0.5
    true = watch_swing(0.4, largest_input=0.0)
    assert np.isfinite(true.runs[0].positions).all()
    other, _ = swing.predict(true.runs[0].positions[0], true.runs[0].velocities[0], np.zeros((10, 1)))
    np.testing.assert_allclose(other, true.runs[0].positions, atol=5e-3)


def test_prediction_refuses_what_does_not_fit(swing):
    with pytest.raises(InvalidStateError):
        swing.predict(np.zeros(2), np.zeros(1), np.zeros((3, 1)))
    with pytest.raises(InvalidActionError):
        swing.predict(np.zeros(1), np.zeros(1), np.zeros(3))
    with pytest.raises(InvalidActionError):
        swing.predict(np.zeros(1), np.zeros(1), np.full((3, 1), np.nan))


def test_a_model_that_was_saved_is_the_same(swing, tmp_path):
    swing.save(tmp_path / "swing.safetensors")
    again = LearnedModel.load(tmp_path / "swing.safetensors")
    assert str(again.report()) == str(swing.report())
    start = np.array([0.3]), np.array([0.1]), np.ones((5, 1))
    np.testing.assert_array_equal(again.predict(*start)[0], swing.predict(*start)[0])
    with pytest.raises(CheckpointError):
        LearnedModel.load(tmp_path / "none.safetensors")


def test_the_file_makes_an_environment(swing, tmp_path):
    swing.save(tmp_path / "swing.safetensors")
    env = gym.make("hnn_envs:hnn_envs/Learned-v0", dynamics=str(tmp_path / "swing.safetensors"))
    env.reset(seed=0)
    observation, reward, _, _, info = env.step(env.action_space.sample())
    assert np.isfinite(observation).all()
    assert np.isfinite(reward)
    assert info["spread"] >= 0


def test_the_spread_is_larger_where_nothing_was_watched(swing):
    dynamics = swing.dynamics()
    seen, never = dynamics.spread(np.array([[0.2, 0.3], [0.2, 60.0]]), np.zeros((2, 1)))
    assert never > 5 * seen


def test_the_report_tells_reach_spread_energy_and_region(swing):
    text = str(swing.report())
    for words in ("predictions stay valid", "two standard deviations", "energy", "recording covers", "angle q (rad)"):
        assert words in text
    assert swing.report().metrics["spread_coverage"] > 0.8


def test_a_model_is_checked_on_another_recording(swing):
    good = swing.check(watch_swing(15, noise=1e-3, seed=5))
    bad = swing.check(watch_swing(15, noise=1e-3, seed=5, damping=1.5))
    assert good.metrics["valid_prediction_time"] > 1.5 * bad.metrics["valid_prediction_time"]
    with pytest.raises(DataError, match="2 coordinates"):
        swing.check(watch_system("cart-pole", 5))


def test_the_package_offers_it():
    assert hnn_envs.learn is learn
    assert hnn_envs.LearnedModel is LearnedModel


def test_the_commands_learn_and_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    watch_swing(15, noise=1e-3).save("swing.csv")
    watch_swing(8, noise=1e-3, seed=3).save("other.npz")
    runner = CliRunner()
    done = runner.invoke(app, ["learn", "swing.csv", "--families", "trigonometric", "--minutes", "0.3"])
    assert done.exit_code == 0, done.output
    assert Path("runs/learned/swing.safetensors").exists()
    assert "predictions stay valid" in done.output
    again = runner.invoke(app, ["learn", "swing.csv"])
    assert again.exit_code == 1
    checked = runner.invoke(app, ["check", "runs/learned/swing.safetensors", "other.npz"])
    assert checked.exit_code == 0, checked.output
    assert "predictions stay valid" in checked.output
    wrong = runner.invoke(app, ["check", "runs/learned/swing.safetensors", "nothing.csv"])
    assert wrong.exit_code == 1
