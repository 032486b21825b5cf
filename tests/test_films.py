"""Films: Gymnasium's own pendulum, and a cache that never serves half a file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.envs.classic_control import PendulumEnv

from hnn_envs.errors import InvalidOptionError
from hnn_envs.pixels import films as filming
from hnn_envs.pixels.camera import SEED_WINDOW, Camera
from hnn_envs.pixels.films import FASTEST, Films, FilmSettings, load_films, make_films

TINY = FilmSettings(films=2, length=4, size=9, largest_torque=2.0)


@pytest.fixture
def lens_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares drawing frames where only the motion counts."""
    monkeypatch.setattr(Camera, "frames", lambda camera, q: np.zeros((*q.shape, camera.size, camera.size), np.uint8))


@pytest.fixture
def filmings(monkeypatch: pytest.MonkeyPatch) -> list[FilmSettings]:
    """The settings of every data set that is made, and not read."""
    made: list[FilmSettings] = []

    def make(settings: FilmSettings, *rest: Any) -> Films:
        made.append(settings)
        return make_films(settings, *rest)

    monkeypatch.setattr(filming, "make_films", make)
    return made


def assert_equal(one: Films, other: Films) -> None:
    for name, value in asdict(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
        assert value.dtype == getattr(other, name).dtype


# What is filmed


def test_films_are_of_gymnasiums_pendulum() -> None:
    settings = replace(TINY, length=30, largest_angle=np.pi)
    films = make_films(settings)
    env: Any = PendulumEnv()
    for film in range(len(films)):
        env.state = np.array([films.angles[film, 0] + np.pi, films.velocities[film, 0]])
        for time in range(settings.length):
            np.testing.assert_allclose(env.state[0] - np.pi, films.angles[film, time], rtol=0, atol=1e-12)
            np.testing.assert_allclose(env.state[1], films.velocities[film, time], rtol=0, atol=1e-12)
            env.step(films.torques[film, time : time + 1])
    np.testing.assert_array_equal(films.frames, Camera(9).frames(films.angles))


@pytest.mark.usefixtures("lens_cap")
def test_starts_and_torques_are_as_asked_for() -> None:
    settings = FilmSettings(films=200, length=6, size=2, largest_angle=0.5, largest_velocity=2.0, hold=3)
    free, driven = (make_films(replace(settings, largest_torque=most)) for most in (0.0, 1.5))
    assert not free.torques.any()
    for films in (free, driven):
        assert 0.45 < np.abs(films.angles[:, 0]).max() <= 0.5
        assert 1.9 < np.abs(films.velocities[:, 0]).max() <= 2.0
    assert 1.45 < np.abs(driven.torques).max() <= 1.5
    held = driven.torques.reshape(200, 2, 3)
    np.testing.assert_array_equal(held, np.repeat(held[..., :1], 3, axis=-1))
    assert (held[:, 0] != held[:, 1]).all()


@pytest.mark.usefixtures("lens_cap")
def test_no_film_gets_to_where_gymnasium_clips_the_velocity(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = FilmSettings(films=20, length=40, size=2, largest_angle=3.0, largest_velocity=7.5, largest_torque=2.0)
    assert 7 < np.abs(make_films(fast).velocities).max() < FASTEST
    monkeypatch.setattr(filming, "FASTEST", 0.01)
    with pytest.raises(InvalidOptionError, match=r"1000 starts in a row led to 0\.01 rad/s.*shorter films"):
        make_films(TINY)


def test_a_seed_gives_the_same_films_again_and_another_seed_others() -> None:
    assert_equal(make_films(TINY), make_films(TINY))
    assert (make_films(TINY).angles != make_films(replace(TINY, seed=1)).angles).any()


def test_progress_reaches_the_end() -> None:
    told: list[tuple[int, int]] = []
    make_films(TINY, lambda done, total, _: told.append((done, total)))
    assert told == [(0, 8), (4, 8), (8, 8)]


def test_some_of_the_films() -> None:
    films = make_films(TINY)
    assert len(films) == 2
    assert_equal(films.take(slice(1, 2)), Films(**{name: value[1:] for name, value in asdict(films).items()}))


# The cache


def test_films_are_made_once_and_then_read(tmp_path: Path, filmings: list[FilmSettings]) -> None:
    told: list[tuple[int, int]] = []
    first = load_films(TINY, folder=tmp_path, progress=lambda done, total, _: told.append((done, total)))
    assert told[-1] == (8, 8)
    assert_equal(load_films(TINY, folder=tmp_path), first)
    assert filmings == [TINY]
    assert_equal(first, make_films(TINY))


def test_a_kill_while_writing_leaves_nothing_that_is_read(
    tmp_path: Path, filmings: list[FilmSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            load_films(TINY, folder=tmp_path)
    assert not list(tmp_path.glob("frames-*.safetensors"))
    load_films(TINY, folder=tmp_path)
    assert filmings == [TINY, TINY]


@pytest.mark.parametrize("damage", ["half", "flipped", "empty", "other"])
def test_a_damaged_file_is_noticed_and_made_again_with_a_message(
    tmp_path: Path, filmings: list[FilmSettings], damage: str
) -> None:
    whole = load_films(TINY, folder=tmp_path)
    (path,) = tmp_path.glob("frames-*.safetensors")
    content = bytearray(path.read_bytes())
    if damage == "half":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[-10] ^= 1
    elif damage == "empty":
        content = bytearray()
    else:  # the file of other settings, under this name
        load_films(replace(TINY, seed=5), folder=tmp_path / "other")
        content = bytearray(next((tmp_path / "other").glob("*")).read_bytes())
    path.write_bytes(content)
    del filmings[:]
    messages: list[str] = []
    assert_equal(load_films(TINY, folder=tmp_path, message=messages.append), whole)
    assert filmings == [TINY]
    (message,) = messages
    assert path.name in message
    assert message.endswith("it is made again")
    assert_equal(load_films(TINY, folder=tmp_path, message=messages.append), whole)
    assert (len(filmings), len(messages)) == (1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"films": 3},
        {"length": 5},
        {"size": 8},
        {"window": SEED_WINDOW},
        {"largest_angle": 0.1},
        {"smallest_angle": 0.1},
        {"largest_velocity": 0.5},
        {"largest_torque": 1.0},
        {"hold": 2},
        {"seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_has_a_file_of_its_own(change: dict[str, Any]) -> None:
    assert replace(TINY, **change).key != TINY.key
    assert replace(TINY).key == TINY.key


def test_another_gymnasium_may_draw_otherwise_and_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = TINY.key
    monkeypatch.setattr("gymnasium.__version__", "99.0")
    assert TINY.key != before


def test_the_cache_is_in_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name, **_: str(tmp_path / name))
    load_films(TINY)
    assert [path.parent for path in tmp_path.rglob("frames-*.safetensors")] == [tmp_path / "hnn_envs"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"films": 0}, "films, size and hold must be positive"),
        ({"length": 2}, "length at least 3"),
        ({"size": 0}, "size"),
        ({"hold": 0}, "hold"),
        ({"largest_angle": 0.0}, "largest_angle"),
        ({"smallest_angle": 2.0}, "smallest_angle"),
        ({"largest_velocity": 8.1}, "largest_velocity"),
        ({"largest_torque": 2.1}, "largest_torque"),
        ({"largest_torque": float("nan")}, "largest_torque"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], cause: str) -> None:
    with pytest.raises(InvalidOptionError, match=cause):
        replace(TINY, **change)
