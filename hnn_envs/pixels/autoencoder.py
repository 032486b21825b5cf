"""An autoencoder of frames whose code is an angle."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hnn_envs.arrays import Array, beside, cast, namespace
from hnn_envs.pixels.camera import Camera

BRIGHTEST = 255
"""Frames are bytes, and networks see brightness as a share of this, as in the seed."""


@dataclass(frozen=True)
class Autoencoder:
    """Frames to an angle and back: a linear encoder on the circle, and a decoder that is a Fourier series in the angle.

    The encoder weighs the pixels to a point in the plane, whose direction is the angle; brightness drops out. The
    decoder is linear in [1, cos q, ..., cos nq, sin q, ..., sin nq], which every frame that turns about a pivot is.

    Attributes:
        encoder: shape (size^2 + 1, 2): pixels and a constant -> (cos, sin).
        decoder: shape (1 + 2 harmonics, size^2).
        window: the window of the camera whose frames it was fitted to.
    """

    encoder: Array
    decoder: Array
    window: tuple[int, ...] = Camera.window

    @property
    def size(self) -> int:
        """Width and height of a frame, pixels."""
        return math.isqrt(self.decoder.shape[-1])

    def angle(self, frames: Array) -> Array:
        """The angles that frames show, in [-pi, pi], rad; frames (..., size, size) in bytes."""
        xp, here = namespace(self.encoder), beside(frames, self.encoder)
        # One matrix product for all: NumPy would take one for each of the leading axes.
        pixels = xp.astype(here, xp.float64).reshape(-1, self.size**2) / BRIGHTEST
        weights = cast(self.encoder, xp.float64)
        point = pixels @ weights[:-1] + weights[-1]
        return beside(xp.atan2(point[:, 1], point[:, 0]), frames).reshape(frames.shape[:-2])

    def brightness(self, q: Array) -> Array:
        """Decoded frames as shares of 255, not clipped, shape (..., size, size)."""
        series = harmonics_of(beside(q, self.decoder).reshape(-1), (self.decoder.shape[0] - 1) // 2)
        flat = cast(series, self.decoder.dtype) @ self.decoder
        return beside(flat, q).reshape(*q.shape, self.size, self.size)

    def frames(self, q: Array) -> Array:
        """Decoded frames, uint8, shape (..., size, size)."""
        xp = namespace(q)
        return xp.astype(xp.clip(xp.round(BRIGHTEST * self.brightness(q)), 0, BRIGHTEST), xp.uint8)


def harmonics_of(q: Array, count: int) -> Array:
    """[1, cos q, ..., cos nq, sin q, ..., sin nq], shape (..., 1 + 2 count)."""
    xp = namespace(q)
    turns = q[..., None] * xp.arange(1, count + 1, dtype=q.dtype, device=q.device)
    return xp.concat((xp.ones_like(q[..., None]), xp.cos(turns), xp.sin(turns)), axis=-1)
