"""The camera of the pixel pendulum: Gymnasium's own frames of Pendulum-v1, preprocessed as in the seed paper.

This is the only place that turns angles into frames, and frames back into angles. Data sets, environments and tests
all look through it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from PIL import Image

from hnn_envs.arrays import Array, beside, constant, like, namespace
from hnn_envs.parsing import Within

SCREEN = 500
"""Width and height of Gymnasium's frame, pixels; the pivot is in the middle."""
Window = tuple[Annotated[int, Within(0, SCREEN)], ...]
"""Top, bottom, left and right edge of a window in Gymnasium's frame."""
ROD = 127
"""How bright the rod is: 204 of red less 77 of green."""

_ONE_AT_A_TIME = threading.Lock()
"""For threads: the renderer has a state, and SDL's filled polygons share their memory among all surfaces."""


@dataclass(frozen=True)
class Camera:
    """Square frames of a pendulum: a window is cut out, green is subtracted from red, and the rest is made smaller.

    Red minus green leaves the rod, 127 of 255, and nothing else: background, axle and antialiased greys vanish. What is
    drawn depends on the angle alone; Gymnasium's arrow for the last torque is left out, since it is no part of the
    pendulum. Opens no window and needs no display.

    Attributes:
        size: width and height of a frame, pixels.
        window: top, bottom, left and right edge of the window in Gymnasium's frame. By default it holds the whole
            circle; the seed's, ``SEED_WINDOW``, holds a pendulum that hangs within some 30 degrees.
    """

    size: int = 28
    window: Window = (120, 380, 120, 380)

    def frames(self, q: Array) -> Array:
        """Frames of pendulums at angles q in rad, 0 hanging, counterclockwise; uint8, shape (..., size, size).

        They are where q is, NumPy or torch.
        """
        angles = np.asarray(beside(q, self.axes[0]), dtype=np.float64)  # drawn on the CPU
        frames = np.empty((angles.size, self.size, self.size), dtype=np.uint8)
        for frame, angle in zip(frames, angles.ravel(), strict=True):
            frame[:] = self._shot(float(angle))
        return beside(frames.reshape(*angles.shape, self.size, self.size), q)

    def angle(self, frames: Array) -> Array:
        """Reads angles off frames: the direction from the pivot to the centre of brightness, in [-pi, pi], rad.

        Args:
            frames: brightness in any unit, shape (..., size, size), NumPy or torch.

        Returns:
            Shape (...,); 0 where a frame is all dark.
        """
        xp = namespace(frames)
        # Sums of doubles: a sum of bytes would overflow.
        light = xp.astype(frames, xp.float64)
        across, down = (like(axis, light) for axis in self.axes)
        return xp.atan2((light.sum(-2) * across).sum(-1), (light.sum(-1) * down).sum(-1))

    @cached_property
    def axes(self) -> tuple[Array, Array]:
        """Where the columns lie to the right of the pivot, and the rows below it, in pixels of Gymnasium's frame."""
        top, bottom, left, right = self.window
        centres = (np.arange(self.size) + 0.5) / self.size
        across = left + centres * (right - left) - SCREEN / 2
        return constant(across), constant(top + centres * (bottom - top) - SCREEN / 2)

    def _shot(self, q: float) -> Array:
        top, bottom, left, right = self.window
        picture = self._screen_at(q)[top:bottom, left:right]
        rod = Image.fromarray(picture[..., 0] - picture[..., 1])
        return np.asarray(rod.resize((self.size, self.size), Image.Resampling.BILINEAR))

    def _screen_at(self, q: float) -> Array:
        with _ONE_AT_A_TIME:
            self._pendulum.state = np.array([q + np.pi, 0.0])
            screen: Array = self._pendulum.render()
        return screen

    @cached_property
    def _pendulum(self) -> Any:
        import pygame
        from gymnasium.envs.classic_control import PendulumEnv

        pendulum: Any = PendulumEnv(render_mode="rgb_array")
        pendulum.last_u = None
        # A surface of its own: with one, Gymnasium does not ask for a display.
        pendulum.screen = pygame.Surface((SCREEN, SCREEN))
        return pendulum

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the renderer, which each process makes for itself."""
        return {"size": self.size, "window": self.window}


SEED_WINDOW = (220, 390, 165, 335)
"""The seed's window on a frame of 500 pixels (its code states it for one of 1000)."""
