"""How far models of films foresee: what is measured, on models whose foresight is known."""

from __future__ import annotations

from dataclasses import replace

import eyes
import numpy as np
import pytest

from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.foresight import STEPS, Foresight, foresee
from hnn_envs.models.pixels import SightedHamiltonian
from hnn_envs.tasks import get_task


@pytest.fixture(scope="module")
def seer() -> Dynamics:
    """The true physics behind the eye of least squares: nothing but the start is uncertain."""
    true = make_dynamics(get_task("pixel-pendulum").system, dt=0.05)
    field = eyes.PENDULUM.field
    sighted = SightedHamiltonian(field.hamiltonian, field.input_matrix, eye=eyes.fitted_eye())
    return replace(true, field=sighted)


def test_there_is_one_error_for_every_frame_and_film(seer: Dynamics) -> None:
    seen = foresee(seer, films=3)
    for errors in (seen.angle_errors, seen.frame_errors, seen.own_errors):
        assert errors.shape == (STEPS, 3)
        assert (errors >= 0).all()


def test_the_true_physics_foresees_the_angle_as_well_as_it_knows_the_start(seer: Dynamics) -> None:
    assert np.median(foresee(seer, films=8).angle_errors) < 0.03


def test_more_frames_show_the_start_better(seer: Dynamics) -> None:
    two, eight = (np.median(foresee(seer, films=8, shown=shown).angle_errors) for shown in (2, 8))
    assert eight < two / 2


def test_a_field_that_is_wrong_foresees_badly(seer: Dynamics) -> None:
    weightless = replace(eyes.PENDULUM, gravity=0.0)
    field = SightedHamiltonian(weightless, eyes.PENDULUM.field.input_matrix, eye=eyes.fitted_eye())
    assert np.median(foresee(replace(seer, field=field), films=4).angle_errors) > 0.5


def test_the_same_seed_gives_the_same_films(seer: Dynamics) -> None:
    one, again, other = (foresee(seer, films=2, seed=seed).frame_errors for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_ratio_is_the_median_film_next_to_the_autoencoders_own_error() -> None:
    frames = np.array([[2.0, 4.0, 100.0], [4.0, 8.0, 300.0]])
    assert Foresight(frames, frames, np.full((2, 3), 2.0)).frame_ratio == pytest.approx(3.0)


def test_one_frame_or_no_eye_is_refused(seer: Dynamics) -> None:
    with pytest.raises(InvalidOptionError, match="2 frames or more"):
        foresee(seer, shown=1)
    with pytest.raises(InvalidOptionError, match="needs a model of films"):
        foresee(make_dynamics(get_task("pixel-pendulum").system, dt=0.05))
