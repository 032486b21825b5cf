"""Films as a recipe's data: what a model may see of them, what was true behind them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.pipeline import make_data
from hnn_envs.fitting.recipes import parse_recipe
from hnn_envs.pixels import films as filming
from hnn_envs.pixels.camera import SEED_WINDOW
from hnn_envs.pixels.source import FilmSource
from hnn_envs.recordings import make_source
from hnn_envs.recordings.dataset import Dataset, merge
from hnn_envs.systems import get_system

SYSTEM = get_system("pixel-pendulum")
SMALL = {"films": 5, "length": 4, "window": list(SEED_WINDOW)}
RECIPE = """
system = "pixel-pendulum"
name = "test/films"
seed = {seed}
model = {{ family = "separable" }}
stages = []

[[data]]
source = "films"
test_share = 0.2
settings = {{ films = 5, length = 4 }}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr(filming, "cache_folder", lambda: tmp_path)
    return tmp_path


def made(source: FilmSource, seed: int = 0) -> tuple[Dataset, Dataset]:
    return source.make(SYSTEM, np.random.default_rng(seed))


def test_frames_show_the_true_angles() -> None:
    train, _ = made(FilmSource(settings=SMALL))
    assert train.frames is not None
    assert (train.frames.shape, train.frames.dtype) == ((4, 4, 28, 28), np.uint8)
    np.testing.assert_array_equal(train.frames, FilmSource(settings=SMALL).film.camera.frames(train.states[..., 0]))


def test_states_and_derivatives_are_the_true_ones() -> None:
    train, _ = made(FilmSource(settings={**SMALL, "largest_torque": 2.0}))
    np.testing.assert_allclose(np.diff(train.states[..., 0]), 3 * train.states[:, 1:, 1] * 0.05, atol=1e-12)
    np.testing.assert_array_equal(train.derivatives, SYSTEM.field(train.states, train.inputs))
    assert train.inputs.shape == (4, 4, 1)
    assert np.abs(train.inputs[:, :-1]).min() > 0
    np.testing.assert_allclose(train.times, [0, 0.05, 0.1, 0.15])


def test_the_share_for_the_test_is_the_last_or_the_first() -> None:
    last, first = (made(FilmSource(0.4, test_first=test_first, settings=SMALL)) for test_first in (False, True))
    everything = np.concatenate((last[0].frames, last[1].frames))
    np.testing.assert_array_equal(np.concatenate((first[1].frames, first[0].frames)), everything)
    assert (len(first[0]), len(first[1])) == (3, 2)


def test_the_recipes_seed_decides_what_is_filmed_and_films_are_kept(cache: Path) -> None:
    made_frames: list[tuple[float, float, str]] = []
    one, again, other = (
        make_data(parse_recipe(RECIPE.format(seed=seed), ""), progress=lambda *counts: made_frames.append(counts))[0]
        for seed in (3, 3, 4)
    )
    assert one.states.tobytes() == again.states.tobytes() != other.states.tobytes()
    assert len(list(cache.iterdir())) == 2
    assert made_frames.count((20, 20, "films")) == 2


def test_a_damaged_cache_is_made_again_with_a_message(cache: Path) -> None:
    recipe, messages = parse_recipe(RECIPE.format(seed=3), ""), []
    first, _ = make_data(recipe)
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    again, _ = make_data(recipe, message=messages.append)
    assert again.states.tobytes() == first.states.tobytes()
    assert len(messages) == 1
    assert "made again" in messages[0]


def test_films_are_joined_with_films_of_the_same_size_only() -> None:
    train, test = made(FilmSource(settings=SMALL))
    joined = merge([train, test])
    assert joined.frames is not None
    np.testing.assert_array_equal(joined.frames[-1:], test.frames)
    wider, _ = made(FilmSource(settings={**SMALL, "size": 30}))
    blind = Dataset(train.times, train.states, train.derivatives, train.inputs)
    for other in (wider, blind):
        with pytest.raises(InvalidOptionError, match="some have films, or films of another size"):
            merge([train, other])


def test_films_start_between_the_smallest_and_the_largest_angle_on_both_sides() -> None:
    wide = FilmSource(settings={"films": 30, "length": 3, "smallest_angle": 0.3, "largest_angle": 0.4})
    angles = np.concatenate([share.states[:, 0, 0] for share in made(wide)])
    assert 0.3 < np.abs(angles).min() < 0.32
    assert 0.38 < np.abs(angles).max() < 0.4
    assert set(np.sign(angles)) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"seed": 3}, "no seed of their own"),
        ({"frames": 3}, "films has no setting 'frames'; allowed: films, length"),
        ({"films": 0}, "films is 0; allowed: at least 1"),
        ({"largest_torque": 3.0}, r"largest_torque in \[0, 2\]"),
        ({"smallest_angle": 0.6}, "largest_angle larger, not 0.6 and 0.52"),
        ({"smallest_angle": -0.1}, "smallest_angle is -0.1; allowed: at least 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], cause: str) -> None:
    with pytest.raises(InvalidOptionError, match=cause):
        make_source({"source": "films", "settings": settings})


def test_other_pendulums_are_not_filmed() -> None:
    with pytest.raises(InvalidOptionError, match="the films are of pixel-pendulum, not of pendulum"):
        FilmSource(settings=SMALL).make(get_system("pendulum"), np.random.default_rng(0))
