"""Open-loop prediction: the frames that models of films decode many steps ahead, next to those of the true pendulum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array, wrapped
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.pixels.autoencoder import BRIGHTEST
from hnn_envs.pixels.camera import Camera
from hnn_envs.pixels.observation import AngleImages, FramePairs
from hnn_envs.pixels.system import momentum_of
from hnn_envs.tasks import Task

STEPS = 100
"""How many frames are predicted."""
ROUNDS, DIFFERENCE = 8, 1e-6
"""Gauss-Newton steps of a start, and the change that its derivatives are taken with."""


@dataclass(frozen=True)
class FramePrediction:
    """What a model predicted of some films, frame by frame.

    Attributes:
        angle_errors: distance of the angle read off a decoded frame to the true one, rad, shape (steps, films).
        frame_errors: mean square difference of decoded and true frame, as shares of 255, shape (steps, films).
        own_errors: the same for the true frame, encoded and decoded again: what the autoencoder cannot show.
    """

    angle_errors: Array
    frame_errors: Array
    own_errors: Array

    @property
    def frame_ratio(self) -> float:
        """Median over films of the mean square error of the decoded frames, per that of the autoencoder's own."""
        return float(np.median(self.frame_errors.mean(axis=0)) / self.own_errors.mean())


def predict_frames(
    dynamics: Dynamics, task: Task, *, films: int = 100, shown: int = 2, seed: int = 20
) -> FramePrediction:
    """Shows a model the first frames of unseen films, and lets it predict the next hundred.

    The films start as the task does and go on under uniformly random torques, a new one every frame, which the model is
    told. Two frames show a state, but no better than whole pixels do, about 0.04 rad/s; more of them show it better, by
    the start from which the model itself passes through them best.

    Args:
        dynamics: the model, as it steps the task.
        task: says how films start, and how strong the torques are.
        films: how many.
        shown: frames that the model is shown, two or more.
        seed: of starts and torques.

    Raises:
        InvalidOptionError: fewer than two frames, or a model that was not learned from pairs of frames.
    """
    model = dynamics.observation_model
    if shown < 2 or not isinstance(model, FramePairs):
        raise InvalidOptionError(
            f"predicting frames needs a model of films and 2 frames or more, not {dynamics.name}, {shown}"
        )
    images, camera = model.images, Camera(model.images.size)
    rng = np.random.default_rng(seed)
    torques = task.max_input * rng.uniform(-1, 1, (shown - 2 + STEPS, films, 1))
    states = _true_states(task, np.stack([task.initial_state(rng) for _ in range(films)]), torques)
    before = FramePairs(camera).angles(states[:1])[..., 0]
    angles = images.angle(camera.frames(np.concatenate((before, states[: shown - 1, :, 0]))))
    x = _estimated(dynamics, model, np.unwrap(angles, axis=0), torques)
    found: list[tuple[Array, Array, Array]] = []
    for torque, true in zip(torques[shown - 2 :], states[shown - 1 :, :, 0], strict=True):
        x = dynamics.step(x, torque)
        shot, decoded = camera.frames(true), images.frames(x[:, 0])
        missed = np.abs(wrapped(camera.angle(decoded) - true))
        found.append((missed, _difference(decoded, shot), _difference(images.frames(images.angle(shot)), shot)))
    return FramePrediction(*(np.stack(values) for values in zip(*found, strict=True)))


def _true_states(task: Task, starts: Array, torques: Array) -> Array:
    dynamics, states = make_dynamics(task.system, dt=task.dt), [starts]
    for torque in torques:
        states.append(dynamics.step(states[-1], torque))
    return np.stack(states)


def _estimated(dynamics: Dynamics, model: FramePairs[AngleImages], angles: Array, torques: Array) -> Array:
    """The states at the last of the angles (shown, films), by Gauss-Newton from those of the first two."""

    def path(start: Array) -> tuple[Array, Array]:
        x = start
        seen = [*np.moveaxis(model.angles(x), -1, 0)]
        for torque in torques[: len(angles) - 2]:
            x = dynamics.step(x, torque)
            seen.append(x[:, 0])
        return np.stack(seen), x

    start = np.stack((angles[1], momentum_of(angles[1] - angles[0], model.interval, model.inverse_mass)), axis=-1)
    for _ in range(ROUNDS if len(angles) > 2 else 0):
        here, _ = path(start)
        slopes = np.stack([(path(start + change)[0] - here) / DIFFERENCE for change in DIFFERENCE * np.eye(2)], axis=-1)
        normal = np.einsum("kni,knj->nij", slopes, slopes)
        start = start - np.linalg.solve(normal, np.einsum("kni,kn->ni", slopes, here - angles)[..., None])[..., 0]
    return path(start)[1]


def _difference(frames: Array, others: Array) -> Array:
    return np.square((frames.astype(float) - others) / BRIGHTEST).mean(axis=(-2, -1))
