"""Films of Gymnasium's Pendulum-v1: the data of the pixel pendulum, made once and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import CheckpointError, InvalidOptionError, WriteError
from hnn_envs.parsing import LARGEST, Amount, Count, CountOrNone, Positive, Within, is_file
from hnn_envs.pixels.camera import Camera, Window
from hnn_envs.progress import Progress, silent
from hnn_envs.recordings import Message
from hnn_envs.storage import open_tensors, write_tensors

HEADER = "hnn_envs_frames"
FORMAT = 1
KIND = "frame data set"
FASTEST = 8.0
"""Where Gymnasium clips the angular velocity, rad/s; a film that gets there is not of a pendulum any more."""
MOST_PIXELS = 2**33
"""Of all films together, a byte each; the largest set that is shipped has a fiftieth of that."""
MOST_DRAWS = 1000
"""How often a start and torques are drawn for one film before that counts as impossible."""


@dataclass(frozen=True)
class FilmSettings:
    """What is filmed, and how.

    The defaults are the seed paper's data set: free swings that start within 30 degrees of hanging.

    Attributes:
        films: how many pendulums are filmed.
        length: frames per film, ``INTERVAL`` apart.
        size: width and height of a frame, pixels.
        window: the camera's window; by default the whole circle.
        largest_angle: films start at most so far from hanging, to either side, rad.
        smallest_angle: and at least so far; angles between are equally likely.
        largest_velocity: and at angular velocities U(-largest_velocity, largest_velocity), rad/s.
        largest_torque: torques are U(-largest_torque, largest_torque); Pendulum-v1 allows 2.
        hold: frames for which a torque is held.
        seed: of all of it.
    """

    films: Count = 200
    length: Annotated[int, Within(3, LARGEST)] = 103
    size: Count = 28
    window: Window = Camera.window
    largest_angle: Positive = math.pi / 6
    smallest_angle: Amount = 0.0
    largest_velocity: Positive = 1.0
    largest_torque: Amount = 0.0
    hold: Count = 1
    seed: CountOrNone = 0

    def __post_init__(self) -> None:
        if min(self.films, self.length - 2, self.size, self.hold) < 1:
            raise InvalidOptionError(
                "films, size and hold must be positive and length at least 3, "
                f"not {self.films}, {self.size}, {self.hold} and {self.length}"
            )
        if self.films * self.length * self.size**2 > MOST_PIXELS:
            raise InvalidOptionError(
                f"films, length and size may be {MOST_PIXELS} pixels together, not {self.films} x {self.length} x "
                f"{self.size} x {self.size}"
            )
        if not 0 <= self.smallest_angle < self.largest_angle:
            raise InvalidOptionError(
                "smallest_angle must not be negative, and largest_angle larger, "
                f"not {self.smallest_angle} and {self.largest_angle}"
            )
        if not (0 < self.largest_velocity <= FASTEST and 0 <= self.largest_torque <= 2):
            raise InvalidOptionError(
                f"largest_velocity must be in (0, {FASTEST:g}] and largest_torque in [0, 2], "
                f"not {self.largest_velocity} and {self.largest_torque}"
            )
        object.__setattr__(self, "window", tuple(self.window))

    @property
    def camera(self) -> Camera:
        """The camera that films."""
        return Camera(self.size, self.window)

    @property
    def key(self) -> str:
        """What tells this data set from others: a digest of the settings and of the version that draws the frames."""
        import gymnasium

        content = json.dumps([asdict(self), gymnasium.__version__, FORMAT], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Films:
    """Films with what was true behind the camera. Models are fitted to frames and torques; the rest is for measuring.

    Attributes:
        frames: uint8, shape (films, length, size, size).
        torques: held from this frame to the next, shape (films, length).
        angles: rad, 0 hanging, not wrapped, shape (films, length).
        velocities: angular velocities in rad/s, shape (films, length).
    """

    frames: Array
    torques: Array
    angles: Array
    velocities: Array

    def __len__(self) -> int:
        """Number of films."""
        return len(self.frames)

    def take(self, rows: slice) -> Films:
        """Some of the films."""
        return Films(self.frames[rows], self.torques[rows], self.angles[rows], self.velocities[rows])


def load_films(
    settings: FilmSettings,
    *,
    folder: Path | None = None,
    progress: Progress = silent,
    message: Message = lambda _: None,
) -> Films:
    """The films of these settings, from the cache; made and put there where it has none.

    Args:
        settings: what is filmed.
        folder: the cache; by default hnn_envs's folder in the user's cache folder.
        progress: called while films are made.
        message: called with a line where the cached file is damaged and made again, or cannot be written.
    """
    path = (cache_folder() if folder is None else folder) / f"frames-{settings.key}.safetensors"
    if is_file(path):
        try:
            return read_films(path, settings)
        except CheckpointError as error:
            message(f"{error}; it is made again")
    films = make_films(settings, progress)
    card = {"format": FORMAT, "settings": _plain(settings)}
    try:
        write_tensors(path, HEADER, card, asdict(films))
    except WriteError as error:
        message(f"{error}; the films are not kept, and made again next time")
    return films


def cache_folder() -> Path:
    """Where data sets are kept: hnn_envs in the user's cache folder."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("hnn_envs", appauthor=False))


def make_films(settings: FilmSettings, progress: Progress = silent) -> Films:
    """Steps Gymnasium's pendulum and films it.

    Raises:
        InvalidOptionError: settings under which the pendulum gets too fast again and again.
    """
    rng = np.random.default_rng(settings.seed)
    motions = [_motion(settings, rng) for _ in range(settings.films)]
    angles, velocities, torques = (np.stack(parts) for parts in zip(*motions, strict=True))
    camera, frames = settings.camera, []
    for done, row in enumerate(angles):
        progress(done * settings.length, settings.films * settings.length, "films")
        frames.append(camera.frames(row))
    progress(settings.films * settings.length, settings.films * settings.length, "films")
    return Films(np.stack(frames), torques, angles, velocities)


def _motion(settings: FilmSettings, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Angles, velocities and torques of one film."""
    from gymnasium.envs.classic_control import PendulumEnv

    pendulum: Any = PendulumEnv()
    for _ in range(MOST_DRAWS):
        side, speed = rng.uniform(-1, 1, 2)
        angle = side * (settings.largest_angle - settings.smallest_angle) + np.sign(side) * settings.smallest_angle
        pendulum.state = np.array((np.pi + angle, speed * settings.largest_velocity))
        drawn = rng.uniform(-1, 1, math.ceil(settings.length / settings.hold)) * settings.largest_torque
        torques = np.repeat(drawn, settings.hold)[: settings.length]
        states = [pendulum.state]
        for torque in torques[:-1]:
            pendulum.step(np.array([torque]))
            states.append(pendulum.state)
        angles, velocities = np.array(states).T
        if np.abs(velocities).max() < FASTEST:
            return angles - np.pi, velocities, torques
    raise InvalidOptionError(
        f"{MOST_DRAWS} starts in a row led to {FASTEST:g} rad/s, where Gymnasium clips the velocity: "
        "choose a smaller largest_velocity or shorter films"
    )


def read_films(path: Path, settings: FilmSettings) -> Films:
    """The films of a file, which must be of these settings.

    Raises:
        CheckpointError: it is damaged, or of others.
    """
    shapes = {
        "frames": (settings.films, settings.length, settings.size, settings.size),
        **dict.fromkeys(("torques", "angles", "velocities"), (settings.films, settings.length)),
    }
    size = math.prod(shapes["frames"]) + 3 * 8 * math.prod(shapes["torques"])
    with open_tensors(path, HEADER, KIND, (FORMAT,), largest=size) as file:
        if file.values.get("settings") != _plain(settings) or file.shapes != shapes:
            raise CheckpointError(f"{KIND} {path} holds other films than its name says")
        return Films(**file.read())


def _plain(settings: FilmSettings) -> dict[str, Any]:
    """The settings as JSON has them."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return plain
