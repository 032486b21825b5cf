"""Open-loop prediction of frames: what is measured, on models whose predictions are known."""

from __future__ import annotations

from dataclasses import replace

import frame_models
import numpy as np
import pytest

from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.pixels.models import ObservedHamiltonian
from hnn_envs.pixels.observation import FramePairs
from hnn_envs.pixels.prediction import STEPS, FramePrediction, predict_frames
from hnn_envs.tasks import get_task

TASK = get_task("pixel-pendulum")
MODEL = FramePairs(frame_models.fitted_autoencoder())


@pytest.fixture(scope="module")
def observed() -> Dynamics:
    """The true physics behind the autoencoder of least squares: nothing but the start is uncertain."""
    true = make_dynamics(TASK.system, dt=0.05)
    there = frame_models.PENDULUM.field
    field = ObservedHamiltonian(there.hamiltonian, there.input_matrix, observation_model=MODEL)
    return replace(true, field=field)


def test_there_is_one_error_for_every_frame_and_film(observed: Dynamics) -> None:
    seen = predict_frames(observed, TASK, films=3)
    for errors in (seen.angle_errors, seen.frame_errors, seen.own_errors):
        assert errors.shape == (STEPS, 3)
        assert (errors >= 0).all()


def test_the_true_physics_predicts_the_angle_as_well_as_it_knows_the_start(observed: Dynamics) -> None:
    assert np.median(predict_frames(observed, TASK, films=8).angle_errors) < 0.03


def test_more_frames_show_the_start_better(observed: Dynamics) -> None:
    two, eight = (np.median(predict_frames(observed, TASK, films=8, shown=shown).angle_errors) for shown in (2, 8))
    assert eight < two / 2


def test_a_field_that_is_wrong_predicts_badly(observed: Dynamics) -> None:
    weightless = replace(frame_models.PENDULUM, gravity=0.0)
    field = ObservedHamiltonian(weightless, frame_models.PENDULUM.field.input_matrix, observation_model=MODEL)
    assert np.median(predict_frames(replace(observed, field=field), TASK, films=4).angle_errors) > 0.5


def test_the_same_seed_gives_the_same_films(observed: Dynamics) -> None:
    one, again, other = (predict_frames(observed, TASK, films=2, seed=seed).frame_errors for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_ratio_is_the_median_film_next_to_the_autoencoders_own_error() -> None:
    frames = np.array([[2.0, 4.0, 100.0], [4.0, 8.0, 300.0]])
    assert FramePrediction(frames, frames, np.full((2, 3), 2.0)).frame_ratio == pytest.approx(3.0)


def test_one_frame_or_no_observation_model_is_refused(observed: Dynamics) -> None:
    with pytest.raises(InvalidOptionError, match="2 frames or more"):
        predict_frames(observed, TASK, shown=1)
    with pytest.raises(InvalidOptionError, match="needs a model of films"):
        predict_frames(make_dynamics(TASK.system, dt=0.05), TASK)
