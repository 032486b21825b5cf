"""The optimiser that fits an autoencoder of frames to angles."""

from __future__ import annotations

import numpy as np
import torch

from hnn_envs.arrays import Array, wrapped
from hnn_envs.fitting.problem import Problem, Tensors
from hnn_envs.parsing import Amount, Count, Positive
from hnn_envs.pixels.autoencoder import BRIGHTEST, harmonics_of
from hnn_envs.pixels.models import DECODER, ENCODER


class EncoderRegression:
    """Fits encoder and decoder to the angles that the model's paths go through, by least squares; one step is enough.

    The encoder is linear, and its angle nearly so in a small change of it: one Gauss-Newton step from what it is. The
    decoder is linear in the harmonics of the angle.

    Args:
        problem: the rows of a loss of ``hnn_envs.pixels.losses``, and its residuals: path minus angles as read.
        parameters: the model's; those of the encoder and the decoder are what is fitted.
        ridge: of the change of the encoder, relative to the mean of the normal equations' diagonal.
        decoder_ridge: of the decoder, in frames.
        every: takes every so many frames only.
        outliers: frames whose path is farther off, in rad, are left out.
    """

    def __init__(
        self,
        problem: Problem,
        parameters: Tensors,
        *,
        ridge: Amount = 1e-4,
        decoder_ridge: Amount = 1e-3,
        every: Count = 1,
        outliers: Positive = 0.01,
    ) -> None:
        self.parameters = {name: value.detach().clone() for name, value in parameters.items()}
        self._problem, self._ridge, self._decoder_ridge = problem, ridge, decoder_ridge
        self._every, self._outliers = every, outliers

    def step(self, step: int) -> float:
        """Fits both; returns the mean square of what the encoder was off before."""
        angles, frames = self._angles_and_frames()
        missed = self._fit_encoder(angles, frames)
        self._fit_decoder(angles, frames)
        return missed

    def _angles_and_frames(self) -> tuple[Array, Array]:
        """Angles on the paths, shape (n,), and the frames there, uint8, shape (n, size, size)."""
        read, frames = self._problem.rows[0], self._problem.rows[-1]
        with torch.no_grad():
            away = self._problem.residuals(self.parameters, self._problem.rows)
        kept = (away.abs() < self._outliers).flatten()
        angles = (read + away).flatten()[kept]
        return angles.double().numpy()[:: self._every], frames.flatten(0, 1)[kept].numpy()[:: self._every]

    def _fit_encoder(self, angles: Array, frames: Array) -> float:
        encoder = self.parameters[ENCODER].double().numpy()
        normal, slope, squares = np.zeros((encoder.size,) * 2), np.zeros(encoder.size), 0.0
        for rows in _chunks(len(angles)):
            pixels = frames[rows].reshape(-1, len(encoder) - 1) / BRIGHTEST
            seen = np.concatenate((pixels, np.ones((len(pixels), 1))), axis=1)
            point = seen @ encoder
            off = wrapped(angles[rows] - np.arctan2(point[:, 1], point[:, 0]))
            turn = np.stack((-point[:, 1], point[:, 0]), axis=1) / np.square(point).sum(axis=1, keepdims=True)
            jacobian = (seen[:, :, None] * turn[:, None]).reshape(len(seen), -1)
            normal += jacobian.T @ jacobian
            slope += jacobian.T @ off
            squares += float(off @ off)
        normal.flat[:: len(normal) + 1] += self._ridge * normal.diagonal().mean()
        fitted = encoder + np.linalg.solve(normal, slope).reshape(encoder.shape)
        self._put(ENCODER, fitted)
        return squares / len(angles)

    def _fit_decoder(self, angles: Array, frames: Array) -> None:
        shape = self.parameters[DECODER].shape
        normal, slope = self._decoder_ridge * np.eye(shape[0]), np.zeros(shape)
        for rows in _chunks(len(angles)):
            series = harmonics_of(angles[rows], (shape[0] - 1) // 2)
            normal += series.T @ series
            slope += series.T @ (frames[rows].reshape(-1, shape[1]) / BRIGHTEST)
        self._put(DECODER, np.linalg.solve(normal, slope))

    def _put(self, name: str, values: Array) -> None:
        self.parameters[name] = torch.as_tensor(values).to(self.parameters[name])

    def state(self) -> Tensors:
        """Nothing but the parameters."""
        return {}

    def restore(self, state: Tensors) -> None:
        """Nothing to take up."""


def _chunks(count: int, size: int = 2048) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]
