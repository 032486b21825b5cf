"""A window that shows frames in real time, for those who have a display."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.drawing.canvas import load_pygame
from hnn_envs.errors import DisplayError


class Window:
    """A window that shows frames in real time.

    A user who closes the window is done looking, not done computing: later frames are then dropped.

    Args:
        fps: frames per second that ``show`` keeps to by waiting.
        title: the window's title.

    Raises:
        DisplayError: there is no display.
    """

    def __init__(self, fps: int = 30, *, title: str = "hnn_envs") -> None:
        self._pygame = load_pygame()
        self._fps, self._title = fps, title
        self._screen: Any = None
        self._clock = self._pygame.time.Clock()
        self.closed = False
        self._open_display()

    def show(self, frame: Array) -> None:
        """Shows a frame, uint8, shape (height, width, 3), and waits until the next one is due."""
        if self.closed:
            return
        height, width = frame.shape[:2]
        if self._screen is None or self._screen.get_size() != (width, height):
            self._screen = self._set_mode((width, height))
        image = self._pygame.image.frombuffer(np.ascontiguousarray(frame).tobytes(), (width, height), "RGB")
        self._screen.blit(image, (0, 0))
        self._pygame.display.flip()
        if any(event.type == self._pygame.QUIT for event in self._pygame.event.get()):
            self.close()
            return
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Closes the window; a second time does nothing."""
        if not self.closed:
            self.closed = True
            self._screen = None
            self._pygame.display.quit()

    def _open_display(self) -> None:
        try:
            self._pygame.display.init()
        except self._pygame.error as error:
            raise _no_display(str(error)) from error
        # Without a display SDL falls back to drawing off screen, and nobody would ever see the window.
        driver = self._pygame.display.get_driver()
        if driver in ("offscreen", "dummy") and not os.environ.get("SDL_VIDEODRIVER"):
            self._pygame.display.quit()
            raise _no_display(f"SDL found only its {driver!r} driver")

    def _set_mode(self, size: tuple[int, int]) -> Any:
        try:
            screen = self._pygame.display.set_mode(size)
        except self._pygame.error as error:
            self.close()
            raise _no_display(str(error)) from error
        self._pygame.display.set_caption(self._title)
        return screen


def _no_display(cause: str) -> DisplayError:
    return DisplayError(
        f"render_mode='human' needs a display, and there is none ({cause}); use render_mode='rgb_array' and save the "
        "frames, or set SDL_VIDEODRIVER=dummy to go through the motions without a picture"
    )
