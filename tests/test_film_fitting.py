"""Fitting models to films: paths with free starts, their optimiser, and the autoencoder that is fitted to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import frame_models
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.bundle import BundleAdjustment
from hnn_envs.fitting.problem import LATENT, Problem
from hnn_envs.fitting.trainer import Stage, fit
from hnn_envs.models import make_family
from hnn_envs.pixels.camera import Camera
from hnn_envs.pixels.films import FilmSettings, make_films
from hnn_envs.pixels.losses import FilmLoss, FilmStepsLoss, ReadingLoss
from hnn_envs.pixels.models import ENCODER
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.systems import get_system

SYSTEM = get_system("pixel-pendulum")
LENGTH = 17
FILMED = FilmSettings(24, 2 * LENGTH, largest_angle=np.pi, largest_velocity=5.0, largest_torque=2.0, hold=3)
STAGES = [
    Stage(steps=15, optimiser="bundle-adjustment", loss="film", loss_settings={"length": 6}),
    Stage(steps=25, optimiser="bundle-adjustment", loss="film", loss_settings={"length": LENGTH}),
    Stage(1, "eye-regression", {"ridge": 1e-3}, "film", {"length": LENGTH}),
]


@pytest.fixture(scope="module")
def data() -> Dataset:
    """A few films under random torque."""
    films = make_films(FILMED)
    states = np.stack((films.angles, films.velocities / 3), axis=-1)
    inputs = films.torques[..., None]
    return Dataset(0.05 * np.arange(2 * LENGTH), states, SYSTEM.field(states, inputs), inputs, frames=films.frames)


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> Any:
    """A model fitted to them, and nothing else."""
    family = make_family("pixel-separable", {"hidden": [6], "harmonics": 30, "ports": {"inputs": True}})
    return family.build(SYSTEM.spec, fit(SYSTEM.spec, family, data, STAGES, seed=0))


class TestFilmLoss:
    def test_windows_hold_what_the_camera_reads_and_the_torques(self, data: Dataset) -> None:
        loss = FilmLoss(LENGTH)
        angles, inputs, interval, frames = loss.prepare(data, torch.float64)
        read = Camera().angle(data.frames[:, :LENGTH])
        assert angles.shape == (2 * len(data), LENGTH)
        assert inputs.shape == (2 * len(data), LENGTH, 1)
        assert frames.shape == (2 * len(data), LENGTH, 28, 28)
        np.testing.assert_allclose(frame_models.wrapped(angles[::2].numpy() - read), 0, atol=1e-12)
        assert np.abs(np.diff(angles.numpy())).max() < np.pi
        assert interval.unique().item() == pytest.approx(0.05)

    def test_the_true_field_from_true_starts_goes_through_the_readings(self, data: Dataset) -> None:
        loss = FilmLoss(LENGTH)
        rows = loss.prepare(data, torch.float64)
        starts = torch.as_tensor(data.states.reshape(-1, LENGTH, 2)[:, 0])
        starts[:, 0] = rows[0][:, 0] + torch.as_tensor(frame_models.wrapped((starts[:, 0] - rows[0][:, 0]).numpy()))
        away = loss.residuals(SYSTEM.field, rows, {"film.starts": starts})
        assert away.abs().max() < 6e-3  # what whole pixels leave uncertain
        assert away.square().mean().sqrt() < 2e-3

    @pytest.mark.parametrize("length", [2, 35])
    def test_windows_that_do_not_fit_are_refused(self, data: Dataset, length: int) -> None:
        with pytest.raises(InvalidOptionError, match=f"windows of {length} frames do not fit into films of 34"):
            FilmLoss(length).prepare(data, torch.float64)

    @pytest.mark.parametrize("loss", [FilmLoss(), FilmStepsLoss(), ReadingLoss()])
    def test_data_without_frames_is_refused(self, data: Dataset, loss: Any) -> None:
        blind = Dataset(data.times, data.states, data.derivatives, data.inputs)
        with pytest.raises(InvalidOptionError, match="needs data with frames"):
            loss.prepare(blind, torch.float64)


class TestFilmStepsLoss:
    def test_the_true_field_predicts_the_next_states_as_far_as_they_can_be_read(self, data: Dataset) -> None:
        loss = FilmStepsLoss(horizon=3, integrator="symplectic_euler")
        rows = loss.prepare(data, torch.float64)
        assert rows[0].shape == (len(data) * (2 * LENGTH - 1 - 3), 4, 2)
        errors = loss.residuals(SYSTEM.field, rows).reshape(-1, 3, 2)
        assert errors[..., 0].square().mean().sqrt() < 8e-3

    def test_a_horizon_beyond_the_films_is_refused(self, data: Dataset) -> None:
        with pytest.raises(InvalidOptionError, match="too short for a horizon of 34"):
            FilmStepsLoss(horizon=34).prepare(data, torch.float64)


def test_readings_are_their_own_path(data: Dataset) -> None:
    loss = ReadingLoss()
    rows = loss.prepare(data, torch.float64)
    assert rows[0].shape == (len(data), 2 * LENGTH)
    assert not loss.residuals(SYSTEM.field, rows).any()


class TestBundleAdjustment:
    @settings(deadline=None, max_examples=8)
    @given(seed=st.integers(0, 1000), rows=st.integers(2, 6), own=st.integers(1, 2))
    def test_on_a_linear_problem_it_finds_what_least_squares_over_all_unknowns_finds(
        self, seed: int, rows: int, own: int
    ) -> None:
        rng = np.random.default_rng(seed)
        shared, points = 2, 7
        slopes = torch.as_tensor(rng.standard_normal((rows, points, shared)))
        blocks = torch.as_tensor(rng.standard_normal((rows, points, own)))
        targets = torch.as_tensor(rng.standard_normal((rows, points)))

        def residuals(parameters: Any, _: Any) -> Any:
            return slopes @ parameters["shared"] + (blocks @ parameters[LATENT + "own"][..., None])[..., 0] - targets

        start = {"shared": torch.zeros(shared).double(), LATENT + "own": torch.zeros((rows, own)).double()}
        optimiser = BundleAdjustment(Problem(residuals, (targets,), 12, 0), start, outliers=1e6)
        for step in range(12):
            optimiser.step(step)
        dense = np.zeros((rows * points, shared + rows * own))
        dense[:, :shared] = slopes.reshape(-1, shared)
        for row in range(rows):
            dense[row * points : (row + 1) * points, shared + row * own : shared + (row + 1) * own] = blocks[row]
        best = np.linalg.lstsq(dense, targets.numpy().ravel(), rcond=None)[0]
        np.testing.assert_allclose(optimiser.parameters["shared"], best[:shared], atol=1e-6)
        np.testing.assert_allclose(optimiser.parameters[LATENT + "own"].reshape(-1), best[shared:], atol=1e-6)

    def test_an_outlier_hardly_counts(self) -> None:
        targets = torch.zeros((5, 4)).double()
        targets[0, 0] = 100.0

        def residuals(parameters: Any, _: Any) -> Any:
            return parameters["shared"] + torch.tensor([0.0, 0.0, 0.0, 1.0]) * parameters[LATENT + "own"] - targets

        start = {"shared": torch.ones(1).double(), LATENT + "own": torch.zeros((5, 1)).double()}
        optimiser = BundleAdjustment(Problem(residuals, (targets,), 100, 0), start, outliers=0.01)
        for step in range(100):
            optimiser.step(step)
        assert abs(optimiser.parameters["shared"].item()) < 0.01  # the mean is 5

    def test_fixed_parameters_stay(self, data: Dataset) -> None:
        family = make_family("pixel-separable", {"hidden": [4], "harmonics": 3})
        before = family.init(SYSTEM.spec, np.random.default_rng((0, 1)))
        after = fit(SYSTEM.spec, family, data, [Stage(steps=2, optimiser="bundle-adjustment", loss="film")], seed=0)
        np.testing.assert_array_equal(after[ENCODER], before[ENCODER])
        assert not np.array_equal(after["network.weight0"], before["network.weight0"])


class TestWhatFilmsTeach:
    def test_the_force_is_learned_up_to_a_percent_of_the_largest(self, fitted: Any) -> None:
        q = np.linspace(-np.pi, np.pi, 41)[:, None]
        force = fitted.hamiltonian.potential_gradient(q)
        assert np.abs(force - 5 * np.sin(q)).max() < 0.25

    def test_the_input_matrix_is_learned(self, fitted: Any) -> None:
        np.testing.assert_allclose(fitted.input_matrix, [[1.0]], atol=0.01)

    def test_the_encoder_reads_unseen_frames_as_sharply_as_the_camera(self, fitted: Any, data: Dataset) -> None:
        angles = between(data)
        shots = Camera().frames(angles)
        own, plain = (
            np.std(frame_models.wrapped(images.angle(shots) - angles))
            for images in (fitted.observation_model.images, Camera())
        )
        assert own < 1.15 * plain

    def test_the_decoder_shows_what_the_camera_shows(self, fitted: Any, data: Dataset) -> None:
        angles = between(data)
        away = fitted.observation_model.images.frames(angles).astype(float) - Camera().frames(angles)
        assert np.square(away / 255).mean() < 1e-4

    def test_an_interrupted_run_goes_on_to_the_same_model(self, data: Dataset, tmp_path: Path) -> None:
        family = make_family("pixel-separable", {"hidden": [3], "harmonics": 5})
        stages = [Stage(steps=6, optimiser="bundle-adjustment", loss="film", loss_settings={"length": 6}), STAGES[2]]
        whole = fit(SYSTEM.spec, family, data, stages, seed=1)

        state = tmp_path / "state.safetensors"
        with pytest.raises(KeyboardInterrupt):
            fit(SYSTEM.spec, family, data, stages, 1, state=state, key="k", report=interrupt_after(1), save_every=0.0)
        resumed = fit(SYSTEM.spec, family, data, stages, 1, state=state, key="k")
        for name, value in whole.items():
            np.testing.assert_array_equal(resumed[name], value)


def between(data: Dataset) -> Any:
    """Angles near those of the films: a few films are not all around the circle."""
    seen = np.random.default_rng(5).choice(data.states[..., 0].ravel(), 300)
    return seen + np.random.default_rng(6).uniform(-0.02, 0.02, len(seen))


def interrupt_after(last: int) -> Any:
    """A report that ends a run as Ctrl-C does."""
    seen = []

    def report(*_: Any) -> None:
        seen.append(1)
        if len(seen) == last:
            raise KeyboardInterrupt

    return report
