"""Films as a recipe's data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import VectorField
from hnn_envs.parsing import Share
from hnn_envs.pixels.films import FilmSettings, load_films
from hnn_envs.pixels.system import INTERVAL, PixelPendulum
from hnn_envs.progress import Progress
from hnn_envs.recordings import Message
from hnn_envs.recordings.dataset import Dataset, split_shares
from hnn_envs.registry import construct
from hnn_envs.systems import Known, spec_of


@dataclass(frozen=True)
class FilmSource:
    """Films of Gymnasium's Pendulum-v1, from the cache or made, with what was true behind the camera.

    Attributes:
        test_share: share of the films that is kept for the test.
        test_first: whether the test share is the first or the last of the films.
        settings: of ``hnn_envs.pixels.films.FilmSettings``; all but the seed, which is drawn.
    """

    test_share: Share = 0.2
    test_first: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "seed" in self.settings:
            raise InvalidOptionError("films have no seed of their own; it is drawn from the recipe's")
        _ = self.film

    @cached_property
    def film(self) -> FilmSettings:
        """What is filmed, and how, but for the seed."""
        return construct("films", FilmSettings, self.settings)

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        return self.make_reporting(system, rng, lambda *_: None, lambda _: None)

    def make_reporting(
        self, system: Known, rng: np.random.Generator, progress: Progress, message: Message
    ) -> tuple[Dataset, Dataset]:
        """Training and test share; progress and message are those of ``load_films``."""
        if not isinstance(system, PixelPendulum):
            raise InvalidOptionError(f"the films are of pixel-pendulum, not of {spec_of(system).name}")
        settings = replace(self.film, seed=int(rng.integers(2**31)))
        films = load_films(settings, progress=progress, message=message)
        states = np.stack((films.angles, films.velocities / system.inverse_mass), axis=-1)
        inputs = films.torques[..., None]
        times = INTERVAL * np.arange(settings.length)
        data = Dataset(times, states, system.field(states, inputs), inputs, frames=films.frames)
        return split_shares(data, self.test_share, self.test_first)

    def prepare_metrics(self, progress: Progress, message: Message) -> None:
        """Makes the films by which energies are measured, unless they are in the cache."""
        from hnn_envs.pixels.metrics import unseen_films

        unseen_films(self.film, progress=progress, message=message)

    def measure(self, field: VectorField, train: Dataset, test: Dataset) -> dict[str, Array]:
        """Test loss and energy MSE of a model, as ``hnn_envs.pixels.metrics`` defines them."""
        from hnn_envs.pixels.metrics import measure_films

        return measure_films(field, self.film, train, test)

    def limits(self) -> dict[str, Array]:
        """Energy MSE of the true equations from a start that two frames tell."""
        from hnn_envs.pixels.metrics import limits_of_frames

        return limits_of_frames(self.film)
