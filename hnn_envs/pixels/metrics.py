"""The seed paper's measurements of models of films: their loss, and the energy of what they predict.

Energy MSE, alike for every model. From the first two frames of an unseen film the model reads its own latent state, and
moves it on from frame to frame. Every state is decoded to a pair of frames; the model reads the decoded pair again;
and a linear map, fitted by least squares to what the model reads in the training share, turns that into the seed's
canonical coordinates (q, p) = (angle, angular velocity / 4), of the later frame. Their energy 1.9 (1 - cos q) + p^2,
the seed's, is compared with that of the true motion in the same frame; the square of the difference is averaged over
``FRAMES`` frames. The paper did this with one film, which starts between pi/11 and pi/10 from hanging: "energy_mse" is
of ``FILMS`` such films, and "energy_mse_wide" of as many that start as the training's do, anywhere within 30 degrees,
where energies are larger, and so are errors. No training data has their seed.

Test loss, with z the code of a pair of frames and z+ that of the next: the mean square of decode(z) - pair, of
z2 - (z1+ - z1), and a tenth of that of z + f(z) - z+. Models of pairs have that as their loss. Of a model that reads
one angle off each frame the code is the later angle, in rad, and the change of it that the model predicts.

All measurements are samples by the metric's name, one number per film.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from hnn_envs.arrays import Array, join, split, wrapped
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import VectorField
from hnn_envs.integrators import INTEGRATORS, StepFunction
from hnn_envs.pixels.autoencoder import BRIGHTEST
from hnn_envs.pixels.camera import Camera
from hnn_envs.pixels.films import Films, FilmSettings, load_films
from hnn_envs.pixels.models import ObservedHamiltonian
from hnn_envs.pixels.pair_loss import PairLoss
from hnn_envs.pixels.pair_models import PairedHamiltonian, PairedMLPField, affine_map, pairs_of
from hnn_envs.pixels.system import INTERVAL, PixelPendulum, momentum_of
from hnn_envs.progress import Progress, silent
from hnn_envs.recordings import Message
from hnn_envs.recordings.dataset import Dataset

FILMS, FRAMES = 15, 200
UNSEEN = 2**31
"""The seed of the films that are measured; data is drawn with smaller ones."""
SUBSTEPS = 10
"""Steps of Runge-Kutta 4 per frame, where latent time is continuous: a hundredth of a radian or so each."""
PAPER_STARTS = (math.pi / 11, math.pi / 10)
"""Where the film starts with which the paper measured energy, rad from hanging."""
VELOCITY = 0.25
"""The seed's canonical momentum, per angular velocity."""
STRIDE, NARROWEST = 4e-4, 1e-6
"""How an interval of angles is searched, and how well its ends are found, rad."""


class FrameModel(Protocol):
    """What is measured of a model of films: latent states of pairs of consecutive frames."""

    def encode(self, pairs: Array) -> Array:
        """Latent states, shape (..., 2), of pairs (..., 2, size, size) in bytes."""
        ...

    def decode(self, z: Array) -> Array:
        """Pairs of frames in bytes, neither rounded nor clipped."""
        ...

    def advance(self, z: Array) -> Array:
        """Latent states one frame later."""
        ...

    def losses(self, data: Dataset) -> Array:
        """The seed's loss, one number per film."""
        ...


@dataclass(frozen=True)
class PairModel:
    """A model of pairs of frames; its latent states are its codes."""

    field: PairedHamiltonian | PairedMLPField

    def encode(self, pairs: Array) -> Array:
        """Codes of pairs."""
        return self.field.autoencoder.encode(pairs)

    def decode(self, z: Array) -> Array:
        """Pairs of codes."""
        return BRIGHTEST * self.field.autoencoder.brightness(z)

    def advance(self, z: Array) -> Array:
        """Integrates the latent field over its unit of time."""
        step: StepFunction = INTEGRATORS["rk4"].step
        for _ in range(SUBSTEPS):
            z = step(lambda code, _=None: self.field.rate(code), z, None, 1 / SUBSTEPS)
        return z

    def losses(self, data: Dataset) -> Array:
        """What the model was trained to lower."""
        loss, found = PairLoss(), []
        for number in range(len(data)):
            (triples,) = loss.prepare(data.take(slice(number, number + 1)), torch.float64)
            found.append(np.square(loss.residuals(self.field, (triples.numpy(),))).mean())
        return np.array(found)


@dataclass(frozen=True)
class AngleModel:
    """A model that reads an angle off every frame; its latent states are [q, p] of the later frame of a pair."""

    field: ObservedHamiltonian

    def encode(self, pairs: Array) -> Array:
        """The later angle, and the momentum that moved the earlier one there."""
        return self.field.observation_model.estimate(pairs)

    def decode(self, z: Array) -> Array:
        """The frame of the angle, after the one where it came from."""
        model = self.field.observation_model
        return BRIGHTEST * model.images.brightness(model.angles(z))

    def advance(self, z: Array) -> Array:
        """One step of the symplectic Euler method, as Pendulum-v1 moves."""
        return INTEGRATORS["symplectic_euler"].step(self.field, z, None, INTERVAL)

    def losses(self, data: Dataset) -> Array:
        """The three terms, with the code (q, predicted change of q)."""
        found = []
        for film in _frames(data):
            pairs = pairs_of(film[1:])
            z = self.encode(pairs)
            ahead = self.advance(z)
            change, change_ahead = (wrapped(split(self.advance(x))[0] - split(x)[0]) for x in (z, ahead))
            decoded = (self.decode(z[:-1]) - pairs[:-1]) / BRIGHTEST
            canonical = wrapped(change[:-1] - np.diff(split(z)[0], axis=0))
            moved = join(wrapped(split(ahead[:-1] - z[1:])[0]), change_ahead[:-1] - change[1:])
            found.append(
                sum(weight * np.square(e).mean() for weight, e in ((1, decoded), (1, canonical), (0.1, moved)))
            )
        return np.array(found)


def frame_model_of(field: VectorField) -> FrameModel:
    """What is measured of a vector field that was learned from films.

    Raises:
        InvalidOptionError: it was not.
    """
    if isinstance(field, PairedHamiltonian | PairedMLPField):
        return PairModel(field)
    if isinstance(field, ObservedHamiltonian):
        return AngleModel(field)
    raise InvalidOptionError(f"films cannot be shown to {type(field).__name__}: it has no autoencoder")


def measure_films(field: VectorField, film: FilmSettings, train: Dataset, test: Dataset) -> dict[str, Array]:
    """Test loss and energy MSE of one model.

    Args:
        field: the model's vector field.
        film: how the data was filmed.
        train: the training share; only the map to canonical coordinates is fitted to it.
        test: the test share.
    """
    model = frame_model_of(field)
    canonical = canonical_map(model, train)
    found = {"test_loss": model.losses(test)}
    for metric, films in unseen_films(film).items():
        found[metric] = energy_errors(model, canonical, films)
    return found


def unseen_films(
    film: FilmSettings, *, progress: Progress = silent, message: Message = lambda _: None
) -> dict[str, Films]:
    """The films by which energies are measured, by metric, from the cache or made, as ``load_films`` does."""
    wide = replace(film, films=FILMS, length=FRAMES + 2, seed=UNSEEN)
    smallest, largest = PAPER_STARTS
    asked = {"energy_mse": replace(wide, smallest_angle=smallest, largest_angle=largest), "energy_mse_wide": wide}
    return {metric: load_films(one, progress=progress, message=message) for metric, one in asked.items()}


def canonical_map(model: FrameModel, train: Dataset) -> Callable[[Array], Array]:
    """Latent states to the seed's canonical coordinates, linear."""
    codes = np.concatenate([model.encode(pairs_of(film)) for film in _frames(train)])
    wanted = train.states[:, 1:].reshape(-1, 2) * (1.0, VELOCITY * PixelPendulum.inverse_mass)
    weight, bias = affine_map(codes, wanted)
    return lambda z: z @ weight + bias


def energy_errors(model: FrameModel, canonical: Callable[[Array], Array], films: Films) -> Array:
    """Mean square over the frames of the energy's error along the model's rollouts, one per film."""
    z = model.encode(pairs_of(films.frames[:, :2])[:, 0])
    squares = []
    for energy in _true_energies(films)[:, 2:].T:
        z = model.advance(z)
        seen = canonical(model.encode(model.decode(z)))
        squares.append(np.square(seed_energy(seen) - energy))
    errors: Array = np.mean(squares, axis=0)
    return errors


def seed_energy(canonical: Array) -> Array:
    """1.9 (1 - cos q) + p^2, the seed's energy of its canonical coordinates."""
    return 1.9 * (1 - np.cos(canonical[..., 0])) + canonical[..., 1] ** 2


def _true_energies(films: Films) -> Array:
    return seed_energy(np.stack((films.angles, VELOCITY * films.velocities), axis=-1))


def limits_of_frames(film: FilmSettings) -> dict[str, Array]:
    """Energy MSE, by metric, of one who knows the pendulum exactly, and its start as well as the first two frames tell.

    Gymnasium draws with whole pixels, so that all angles of an interval have the very same frame. The best guess from
    one frame is its middle; the true equations go on from the middles of both.
    """
    unseen = unseen_films(film)
    return {metric: _errors_of_middles(films, film.camera) for metric, films in unseen.items()}


def _errors_of_middles(films: Films, camera: Camera) -> Array:
    before, q = (np.array([np.mean(same_frame(camera, angle)) for angle in films.angles[:, n]]) for n in (0, 1))
    pendulum = PixelPendulum()
    x = np.stack((q, momentum_of(q - before)), axis=-1)
    squares = []
    for energy in _true_energies(films)[:, 2:].T:
        x = INTEGRATORS["symplectic_euler"].step(pendulum.field, x, None, INTERVAL)
        guess = seed_energy(x * (1.0, VELOCITY * pendulum.inverse_mass))
        squares.append(np.square(guess - energy))
    errors: Array = np.mean(squares, axis=0)
    return errors


def same_frame(camera: Camera, angle: float) -> tuple[float, float]:
    """The ends of the interval of angles about this one whose frames are the very same."""
    shown = camera.frames(np.array(angle))

    def end(direction: float) -> float:
        inside, stride = angle, direction * STRIDE
        while abs(stride) > NARROWEST:
            if np.array_equal(camera.frames(np.array(inside + stride)), shown):
                inside += stride
            else:
                stride /= 2
        return inside

    return end(-1.0), end(1.0)


def _frames(data: Dataset) -> Array:
    if data.frames is None:
        raise InvalidOptionError("there are no films in this data")
    return data.frames
