"""The seed's pixel models: networks, codes and states, the loss of frame pairs, and recipes of films."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from frame_pairs import SMALL, SYSTEM, built, drawn, filmed, noise
from physics import to_torch

from hnn_envs.errors import InvalidOptionError
from hnn_envs.evaluation.card_metrics import card_metrics
from hnn_envs.fitting.losses import make_loss, mean_square
from hnn_envs.fitting.pipeline import follow, make_data
from hnn_envs.fitting.recipes import load_recipe, parse_recipe
from hnn_envs.fitting.trainer import loss_on
from hnn_envs.models import make_family
from hnn_envs.pixels import films as filming
from hnn_envs.pixels.pair_loss import PairLoss
from hnn_envs.pixels.pair_models import pairs_of
from hnn_envs.recordings import make_source
from hnn_envs.systems import get_system

FAMILIES = ("pixel-generic", "pixel-generic-mlp")
RECIPE = """
system = "pixel-pendulum"
name = "paper/hnn"
seed = 3
precision = "float32"

[model]
family = "pixel-generic"
hidden = [7, 5]
width = 6

[[data]]
source = "films"
test_share = 0.4
settings = { films = 5, length = 8, window = [220, 390, 165, 335] }

[[stages]]
steps = 30
optimiser = "adam"
loss = "pairs"
dtype = "float32"
settings = { batch = 10 }
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(filming, "cache_folder", lambda: folder)
    return folder


@pytest.mark.parametrize("family", FAMILIES)
class TestModels:
    def test_codes_and_pictures_are_those_of_residual_networks_of_rectified_units(self, family: str) -> None:
        pairs, weights = noise(4, 2), to_torch(drawn(family))

        def network(name: str, x: torch.Tensor) -> torch.Tensor:
            layer = [(weights[f"{name}.weight{n}"], weights[f"{name}.bias{n}"]) for n in range(4)]
            hidden = torch.relu(x @ layer[0][0] + layer[0][1])
            for weight, bias in layer[1:3]:
                hidden = hidden + torch.relu(hidden @ weight + bias)
            return hidden @ layer[3][0] + layer[3][1]

        codes = network("encoder", torch.tensor(pairs).double().flatten(1) / 255)
        pictures = network("decoder", codes).reshape(4, 2, 9, 9)
        for field, kind in ((built(family), np.asarray), (built(family, weights), torch.tensor)):
            found = field.autoencoder.encode(kind(pairs))
            np.testing.assert_allclose(found, codes, rtol=1e-12)
            np.testing.assert_allclose(field.autoencoder.brightness(found), pictures, rtol=1e-12)
        assert built(family).autoencoder.size == 9

    def test_the_state_moves_as_its_code_does(self, family: str) -> None:
        """Whatever the map between them, also one that turns the plane over."""
        z = np.random.default_rng(0).standard_normal((20, 2))
        for weight in ([[0.3, 0.1], [-0.2, 0.5]], [[0.1, 0.4], [0.7, 0.2]]):
            values = drawn(family) | {"readout.weight": np.array(weight), "readout.bias": np.array([0.2, -0.1])}
            field = built(family, values)
            x = z @ weight + (0.2, -0.1)
            np.testing.assert_allclose(field.readout.state(z), x, rtol=1e-12)
            np.testing.assert_allclose(field.readout.code(x), z, rtol=1e-9)
            np.testing.assert_allclose(field(x), field.rate(z) @ weight / 0.05, rtol=1e-9)

    def test_calibration_finds_the_map_from_codes_to_states_and_leaves_the_networks_alone(self, family: str) -> None:
        films, values = noise(3, 6), drawn(family)
        codes = built(family).autoencoder.encode(pairs_of(films))
        weight, bias = np.array([[0.3, 0.1], [-0.2, 0.5]]), np.array([0.2, -0.1])
        states = np.concatenate((np.full((3, 1, 2), np.nan), codes @ weight + bias), axis=1)
        found = make_family(family, SMALL).calibrate(values, films, states)  # type: ignore[attr-defined]
        np.testing.assert_allclose(found.pop("readout.weight"), weight, rtol=1e-6)
        np.testing.assert_allclose(found.pop("readout.bias"), bias, rtol=1e-6)
        assert all(value is values[name] for name, value in found.items())

    def test_there_are_frames_of_one_system_only(self, family: str) -> None:
        with pytest.raises(InvalidOptionError, match="one angle that moves in steps, and 'pendulum' is none"):
            make_family(family, SMALL).build(get_system("pendulum").spec, drawn(family))


def test_the_baseline_takes_a_torque_as_the_pendulum_does() -> None:
    x, u = np.array([[0.1, 0.2]]), np.array([[1.5]])
    field = built("pixel-generic-mlp")
    np.testing.assert_allclose(field(x, u) - field(x), [[0.0, 1.5]], atol=1e-12)


def test_pairs_are_of_consecutive_frames() -> None:
    films = noise(3, 5)
    pairs = pairs_of(films)
    assert pairs.shape == (3, 4, 2, 9, 9)
    np.testing.assert_array_equal(pairs[:, :, 0], films[:, :-1])
    np.testing.assert_array_equal(pairs[:, :, 1], films[:, 1:])


class TestLoss:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_it_is_the_seeds_sum_of_three_means(self, family: str) -> None:
        """Each over its own numbers; of the films' frames all but the first."""
        field, data, loss = built(family), filmed(), PairLoss()
        assert data.frames is not None
        pairs = pairs_of(data.frames[:, 1:])
        z, later = (field.autoencoder.encode(part).reshape(-1, 2) for part in (pairs[:, :-1], pairs[:, 1:]))
        decoded = field.autoencoder.brightness(z) - pairs[:, :-1].reshape(-1, 2, 9, 9) / 255
        canonical = z[:, 1] - (later[:, 0] - z[:, 0])
        moved = z + field.rate(z) - later
        expected = np.square(decoded).mean() + np.square(canonical).mean() + 0.1 * np.square(moved).mean()
        rows = loss.prepare(data, torch.float32)
        assert mean_square(loss.residuals(field, (rows[0].numpy(),))) == pytest.approx(expected)
        assert float(mean_square(loss.residuals(built(family, to_torch(drawn(family))), rows))) == pytest.approx(
            expected
        )

    def test_rows_are_bytes_a_hundred_a_film_of_the_seeds_length(self) -> None:
        (rows,) = PairLoss().prepare(filmed(2, 103), torch.float32)
        assert (rows.dtype, rows.shape) == (torch.uint8, (200, 3, 9, 9))

    def test_data_without_films_and_short_films_are_refused(self) -> None:
        for data in (filmed(length=3), replace(filmed(), frames=None)):
            with pytest.raises(InvalidOptionError, match="needs films of at least 4 frames"):
                make_loss("pairs", {}).prepare(data, torch.float32)

    def test_models_that_see_no_pairs_are_refused(self) -> None:
        loss = PairLoss()
        with pytest.raises(InvalidOptionError, match="a model that sees pairs of frames"):
            loss.residuals(SYSTEM.field, loss.prepare(filmed(), torch.float32))


class TestRecipe:
    def test_a_followed_recipe_gives_a_calibrated_model_and_a_card_that_tells_its_loss(self, tmp_path: Path) -> None:
        recipe = parse_recipe(RECIPE, "")
        checkpoint = follow(recipe, tmp_path / "model.safetensors")
        train, test = make_data(recipe)
        assert {value.dtype for value in checkpoint.parameters.values()} == {np.dtype(np.float32)}
        loss = loss_on(SYSTEM.spec, recipe.family, checkpoint.parameters, test, PairLoss())
        assert checkpoint.card.metrics == {"test_loss": pytest.approx(loss)}
        assert card_metrics(recipe, checkpoint, test) == pytest.approx(checkpoint.card.metrics)
        field: Any = checkpoint.build()
        assert train.frames is not None
        read = field.readout.state(field.autoencoder.encode(pairs_of(train.frames)))
        errors = (read - train.states[:, 1:]).reshape(-1, 2)
        np.testing.assert_allclose(errors.mean(axis=0), 0, atol=1e-5)
        offset = (field.hamiltonian.value(train.states) - SYSTEM.value(train.states)).mean()
        assert checkpoint.card.energy_offset == pytest.approx(offset, rel=1e-3)

    def test_the_shipped_ones_see_two_hundred_films_of_the_seeds_length_and_starts(self) -> None:
        source: Any = make_source(load_recipe("pixel-pendulum/paper/hnn").data[0])
        assert (source.film.films, source.film.length, source.film.size) == (200, 103, 28)
        assert (source.film.smallest_angle, source.film.largest_angle) == (0.0, np.pi / 6)
        assert (source.film.largest_velocity, source.film.largest_torque) == (1.0, 0.0)

    def test_an_unknown_precision_is_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match="unknown precision 'float16'; allowed: float32, float64"):
            parse_recipe(RECIPE.replace('"float32"', '"float16"', 1), "")
