"""Losses on films of the pixel pendulum: what a model must do to move as the frames do.

Models of ``hnn_envs.pixels.models`` are fitted in two steps, both in closed form or nearly so. Angles are read off the
frames, each off by about 1.5 mrad, since Gymnasium draws with whole pixels; paths of the model through windows of a
film average that out and give H and G (``FilmLoss``, with the optimiser "bundle-adjustment"). Encoder and decoder are
then fitted to the angles on those paths, some 0.4 mrad off (the optimiser "eye-regression"). No true angle is ever
used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.problem import Batch, Tensors
from hnn_envs.hamiltonian import VectorField
from hnn_envs.integrators import get_integrator
from hnn_envs.parsing import Count
from hnn_envs.pixels.camera import Camera, Window
from hnn_envs.pixels.system import momentum_of
from hnn_envs.recordings.dataset import Dataset


@dataclass(frozen=True)
class FilmLoss:
    """Paths of the model through windows of films, from free starts, against the angles that the camera reads.

    Attributes:
        length: frames per window.
        window: the window of the camera that filmed.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``, one step per frame; None chooses by the field.
    """

    length: Count = 34
    window: Window = Camera.window
    integrator: str | None = "symplectic_euler"

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """Angles as read (windows, length), torques (windows, length, 1), the interval, and frames as they are.

        Raises:
            InvalidOptionError: the data has no frames, or its films are shorter than a window.
        """
        angles, inputs, frames = _windows(data, self.length, self.window)
        interval = np.full(len(angles), data.times[1] - data.times[0])
        rows = tuple(torch.as_tensor(values, dtype=dtype) for values in (angles, inputs, interval))
        return (*rows, torch.as_tensor(frames))

    def latents(self, rows: Batch) -> Tensors:
        """The states at the windows' first frames, shape (windows, 2)."""
        angles, _, interval, _ = rows
        return {"film.starts": torch.stack((angles[:, 0], momentum_of(angles[:, 1] - angles[:, 0], interval)), dim=-1)}

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Angles on the model's path minus angles as read, shape (windows, length)."""
        angles, inputs, interval, _ = rows
        x, step = (latents or self.latents(rows))["film.starts"], get_integrator(self.integrator, field).step
        path, h = [x[:, 0]], float(interval[0])
        for number in range(self.length - 1):
            x = step(field, x, inputs[:, number], h)
            path.append(x[:, 0])
        return torch.stack(path, dim=1) - angles


@dataclass(frozen=True)
class FilmStepsLoss:
    """Multi-step prediction from states read off frame pairs: for models of too many parameters to fit whole paths.

    Attributes:
        horizon: frames ahead.
        window: the window of the camera that filmed.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``, one step per frame; None chooses by the field.
    """

    horizon: Count = 4
    window: Window = Camera.window
    integrator: str | None = None

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """States as read (rows, horizon + 1, 2), torques (rows, horizon, 1) and the interval."""
        angles, inputs, _ = _windows(data, len(data.times), self.window)
        interval = data.times[1] - data.times[0]
        states = np.stack((angles[:, 1:], momentum_of(np.diff(angles, axis=1), interval)), axis=-1)
        shots = states.shape[1] - self.horizon
        if shots < 1:
            raise InvalidOptionError(f"films of {len(data.times)} frames are too short for a horizon of {self.horizon}")
        ahead = np.stack([states[:, number : number + shots] for number in range(self.horizon + 1)], axis=2)
        held = np.stack([inputs[:, 1 + number : 1 + number + shots] for number in range(self.horizon)], axis=2)
        rows = ahead.reshape(-1, self.horizon + 1, 2), held.reshape(-1, self.horizon, 1)
        intervals = np.full(len(rows[0]), interval)
        return tuple(torch.as_tensor(values, dtype=dtype) for values in (*rows, intervals))

    def latents(self, rows: Batch) -> Tensors:
        """No unknowns: states are taken as they are read."""
        return {}

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Predicted minus read states, shape (rows, 2 horizon)."""
        states, inputs, interval = rows
        x, step = states[:, 0], get_integrator(self.integrator, field).step
        h, path = float(interval[0]), []
        for number in range(inputs.shape[1]):
            x = step(field, x, inputs[:, number], h)
            path.append(x)
        return (torch.stack(path, dim=1) - states[:, 1:]).flatten(1)


@dataclass(frozen=True)
class ReadingLoss:
    """Nothing to move: the angles as read, for encoders that are fitted without paths.

    Attributes:
        window: the window of the camera that filmed.
    """

    window: Window = Camera.window

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """What ``FilmLoss`` prepares, whole films at a time."""
        return FilmLoss(len(data.times), self.window).prepare(data, dtype)

    def latents(self, rows: Batch) -> Tensors:
        """No unknowns."""
        return {}

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Zero: the path is what was read."""
        return torch.zeros_like(rows[0])


def _windows(data: Dataset, length: int, window: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Unwrapped angles (windows, length), inputs (windows, length, 1), frames (windows, length, size, size)."""
    if data.frames is None:
        raise InvalidOptionError("a loss on films needs data with frames, such as the source 'films'")
    if not 3 <= length <= len(data.times):
        raise InvalidOptionError(f"windows of {length} frames do not fit into films of {len(data.times)}")
    count = len(data.times) // length
    camera = Camera(data.frames.shape[-1], tuple(window))

    def cut(values: Array) -> Array:
        return values[:, : count * length].reshape(len(values) * count, length, *values.shape[2:])

    angles = np.unwrap(cut(camera.angle(data.frames)), axis=1)
    return angles, cut(data.inputs), cut(data.frames)
