"""The paper suite on films: how energies are measured, that the shipped models keep their promises, and retraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from frame_pairs import SYSTEM, built, filmed

from hnn_envs.benchmarks.paper import suite as paper
from hnn_envs.benchmarks.paper.published import PAPER, TARGETS
from hnn_envs.benchmarks.paper.suite import MODELS, Retraining, run
from hnn_envs.checkpoints import find_checkpoint
from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.losses import mean_square
from hnn_envs.fitting.recipes import load_recipe, parse_recipe
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.pixels import films as filming
from hnn_envs.pixels import metrics as measuring
from hnn_envs.pixels.camera import SEED_WINDOW, Camera
from hnn_envs.pixels.films import Films, FilmSettings, make_films
from hnn_envs.pixels.metrics import AngleModel, PairModel, energy_errors, frame_model_of, same_frame, seed_energy
from hnn_envs.pixels.models import ObservedHamiltonian
from hnn_envs.pixels.observation import FramePairs
from hnn_envs.pixels.pair_loss import PairLoss
from hnn_envs.pixels.pair_models import affine_map
from hnn_envs.pixels.system import PixelPendulum
from hnn_envs.recordings.dataset import Dataset

PIXELS = "pixel-pendulum"


class StateModel:
    """Sees states themselves: its frames are one pixel each, which holds the angle."""

    def __init__(self, advance: Callable[[np.ndarray], np.ndarray]) -> None:
        self.advance = advance

    def encode(self, pairs: np.ndarray) -> np.ndarray:
        earlier, later = np.moveaxis(pairs[..., 0, 0], -1, 0)
        return np.stack((later, (later - earlier) / 0.15), axis=-1)

    def decode(self, z: np.ndarray) -> np.ndarray:
        return np.stack((z[..., 0] - 0.15 * z[..., 1], z[..., 0]), axis=-1)[..., None, None]

    def losses(self, data: Dataset) -> np.ndarray:
        return np.zeros(len(data))


def canonical(z: np.ndarray) -> np.ndarray:
    return z * (1.0, 0.75)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Films:
    """Films for a ``StateModel``."""
    monkeypatch.setattr(measuring, "FRAMES", 20)
    made = make_films(FilmSettings(films=3, length=22, size=1))
    return replace(made, frames=made.angles[..., None, None])


class TestEnergy:
    def test_who_sees_and_moves_as_the_pendulum_does_makes_no_error(self, seen: Films) -> None:
        step = INTEGRATORS["symplectic_euler"].step
        errors = energy_errors(StateModel(lambda z: step(SYSTEM.field, z, None, 0.05)), canonical, seen)
        assert errors.shape == (3,)
        assert errors.max() < 1e-20

    def test_who_stands_still_is_off_by_what_the_true_energy_changes(self, seen: Films) -> None:
        energy = seed_energy(np.stack((seen.angles, 0.25 * seen.velocities), axis=-1))
        expected = np.square(energy[:, 2:] - energy[:, 1:2]).mean(axis=1)
        np.testing.assert_allclose(energy_errors(StateModel(lambda z: z), canonical, seen), expected, rtol=1e-9)

    def test_the_energy_is_the_seeds(self) -> None:
        assert seed_energy(np.array([np.pi, 2.0])) == pytest.approx(1.9 * 2 + 4)

    def test_the_map_to_canonical_coordinates_is_fitted_by_least_squares(self) -> None:
        z = np.random.default_rng(0).standard_normal((50, 2))
        weight, bias = affine_map(z, z @ [[1.0, 2.0], [3.0, 4.0]] + (5.0, 6.0))
        np.testing.assert_allclose(weight, [[1, 2], [3, 4]], rtol=1e-9)
        np.testing.assert_allclose(bias, [5, 6], rtol=1e-9)

    def test_films_are_like_the_trainings_but_for_seed_length_and_the_papers_starts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[FilmSettings] = []
        monkeypatch.setattr(measuring, "load_films", lambda settings, **_: asked.append(settings))
        film = FilmSettings(window=SEED_WINDOW)
        assert set(measuring.unseen_films(film)) == {"energy_mse", "energy_mse_wide"}
        assert all((one.films, one.length, one.window, one.seed) == (15, 202, SEED_WINDOW, 2**31) for one in asked)
        papers, wide = asked
        assert (papers.smallest_angle, papers.largest_angle) == (np.pi / 11, np.pi / 10)
        assert (wide.smallest_angle, wide.largest_angle) == (0.0, film.largest_angle)

    def test_angles_of_one_frame_are_an_interval_of_milliradians(self) -> None:
        camera = Camera(window=SEED_WINDOW)
        for angle in (-0.3, 0.05, 0.123):
            low, high = same_frame(camera, angle)
            shown = camera.frames(np.array(angle))
            assert low <= angle <= high
            assert 2e-4 < high - low < 1e-2
            for end, beyond in ((low, low - 2e-6), (high, high + 2e-6)):
                np.testing.assert_array_equal(camera.frames(np.array(end)), shown)
                assert (camera.frames(np.array(beyond)) != shown).any()


class TestFrameModels:
    def test_a_model_of_pairs_integrates_its_code_over_a_frame(self) -> None:
        field = built("pixel-generic")
        model, z = frame_model_of(field), np.array([[0.1, 0.2], [0.4, -0.3]])
        assert isinstance(model, PairModel)
        flowed = INTEGRATORS["dop853"].step(lambda code, _=None: field.rate(code), z, None, 1.0)
        np.testing.assert_allclose(model.advance(z), flowed, rtol=1e-5)
        decoded = model.decode(z)
        np.testing.assert_allclose(decoded, 255 * field.autoencoder.brightness(z))
        np.testing.assert_array_equal(model.encode(decoded), field.autoencoder.encode(decoded))

    def test_its_losses_are_film_by_film(self) -> None:
        field, data = built("pixel-generic"), filmed()
        whole = mean_square(PairLoss().residuals(field, (PairLoss().prepare(data, torch.float64)[0].numpy(),)))
        assert frame_model_of(field).losses(data).mean() == pytest.approx(whole)

    def test_a_model_of_angles_reads_what_it_shows(self) -> None:
        model = frame_model_of(find_checkpoint("pixel-pendulum", "paper/structured").build())
        assert isinstance(model, AngleModel)
        z = np.random.default_rng(0).uniform((-0.5, -0.3), (0.5, 0.3), (50, 2))
        np.testing.assert_allclose(model.encode(model.decode(z)), z, atol=0.01)
        true = INTEGRATORS["symplectic_euler"].step(SYSTEM.field, z, None, 0.05)
        np.testing.assert_allclose(model.advance(z), true, atol=1e-3)

    def test_its_loss_is_nothing_for_a_perfect_autoencoder_and_the_true_equations_only(self) -> None:
        images: Any = SimpleNamespace(
            angle=lambda pairs: pairs[..., 0, 0], brightness=lambda q: q[..., None, None] / 255
        )
        films = make_films(FilmSettings(films=2, length=8, size=1))
        states = np.stack((films.angles, films.velocities / 3), axis=-1)
        shown = films.angles[..., None, None]
        data = Dataset(0.05 * np.arange(8), states, states, films.torques[..., None], frames=shown)

        def losses(pendulum: PixelPendulum) -> np.ndarray:
            model = FramePairs(images)
            field = ObservedHamiltonian(pendulum, pendulum.field.input_matrix, observation_model=model)
            return AngleModel(field).losses(data)

        assert losses(PixelPendulum()).max() < 1e-20
        assert losses(PixelPendulum(gravity=4.0)).min() > 1e-9

    def test_blind_models_are_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match="cannot be shown to PortHamiltonian"):
            frame_model_of(SYSTEM.field)


class TestShipped:
    def test_rows(self) -> None:
        """Structured models meet their targets, which the frames allow; the seed's land at the published numbers."""
        rows = {(row.dynamics, row.metric): row for row in run([PIXELS])}
        energies = ("energy_mse", "energy_mse_wide")
        for metric in energies:
            target = TARGETS[PIXELS, metric]
            assert rows["paper/structured", metric].reference == target
            assert rows["paper/structured", metric].value <= target
            assert rows["limit", metric].value < target
        for model in ("paper/hnn", "paper/baseline"):
            for metric in ("test_loss", "energy_mse"):
                row = rows[model, metric]
                assert row.reference == PAPER[PIXELS, metric, model]
                assert row.stderr is not None
                assert row.value - 2 * row.stderr <= row.reference
            assert find_checkpoint(PIXELS, model).card.metrics["test_loss"] == pytest.approx(
                rows[model, "test_loss"].value, rel=1e-3
            )
        for metric in energies:
            values = [rows[model, metric].value for model in ("paper/structured", "paper/hnn", "paper/baseline")]
            assert values == sorted(values)
        assert set(rows) == {(name, metric) for name in MODELS for metric in ("test_loss", *energies)} | {
            ("limit", metric) for metric in energies
        }


class TestRetraining:
    def test_rows_over_seeds_each_with_films_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def load(name: str) -> Any:
            text = load_recipe(name).text.replace("settings = { window", "settings = { films = 5, length = 6, window")
            return parse_recipe(text.replace("steps = 10000", "steps = 3"), name)

        monkeypatch.setattr(filming, "cache_folder", lambda: tmp_path / "cache")
        monkeypatch.setattr(paper, "load_recipe", load)
        monkeypatch.setattr(measuring, "FILMS", 2)
        monkeypatch.setattr(measuring, "FRAMES", 3)
        counts: list[tuple[float, float, str]] = []
        retraining = Retraining(seeds=2, out=tmp_path / "out")
        rows = run([PIXELS], ["paper/hnn"], retraining=retraining, jobs=1, filming=lambda *count: counts.append(count))
        assert counts.count((30, 30, "films")) == 2  # a data set for each seed; what is measured is the same for both
        assert counts.count((10, 10, "films")) == 2
        found = {(row.dynamics, row.metric): row for row in rows}
        assert found["paper/hnn", "energy_mse"].stderr is not None
        assert found["paper/hnn", "energy_mse"].reference == PAPER[PIXELS, "energy_mse", "paper/hnn"]
        (alone,) = [
            row
            for row in run([PIXELS], ["paper/hnn"], retraining=replace(retraining, seeds=1), jobs=1)
            if (row.dynamics, row.metric) == ("limit", "energy_mse")
        ]
        assert found["limit", "energy_mse"] == alone  # no seed of training changes it
        assert len(list((tmp_path / "out" / PIXELS).glob("*.safetensors"))) == 2
