"""What the window shows: a panel per physics, their energies over time, and which keys do what."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.drawing.canvas import draw_frame
from hnn_envs.drawing.colors import ACTION, GUIDE, PAPER, TEXT
from hnn_envs.play.session import HISTORY, Session

PANEL = 400
CHART = 150
FOOT = 46
MARGIN = (70, 10, 14, 20)  # of the chart: left, top, right, bottom
KEYS = "arrows, mouse: push   K: kick   space: pause   N: step   R: reset   I: integrator   G: GIF   M: MP4   Q: quit"
SHORT_KEYS = "arrows push  K kick  space pause  N step  R reset  I integrator  G M record  Q quit"


def size_of(session: Session) -> tuple[int, int]:
    """Width and height of the picture."""
    return PANEL * max(1, len(session.tracks)), PANEL + CHART + FOOT


class Picture:
    """Draws a session onto a pygame surface.

    Args:
        pygame: the module; nothing here imports it.
        session: what to draw.
    """

    def __init__(self, pygame: Any, session: Session) -> None:
        self._pygame, self._session = pygame, session
        self.size = size_of(session)
        self._font = pygame.font.Font(_font_file(), 12)

    def draw(self, surface: Any, status: str, recording: bool) -> None:
        """Draws the moment."""
        surface.fill(PAPER)
        for index, view in enumerate(self._session.views()):
            frame = draw_frame(self._session.drawing, view, size=(PANEL, PANEL))
            image = self._pygame.image.frombuffer(frame.tobytes(), (PANEL, PANEL), "RGB")
            surface.blit(image, (index * PANEL, 0))
            if self._session.tracks[index].diverged:
                self._write(surface, "diverged: R starts anew", (index * PANEL + PANEL // 2, PANEL - 30), "center")
        self._chart(surface)
        self._foot(surface, status, recording)

    def _chart(self, surface: Any) -> None:
        """Energies of the recent steps, one line per physics."""
        left, top = MARGIN[0], PANEL + MARGIN[1]
        width, height = self.size[0] - MARGIN[0] - MARGIN[2], CHART - MARGIN[1] - MARGIN[3]
        low, high = self._limits()
        for energy in (low, high):
            y = round(top + height * (high - energy) / (high - low))
            self._pygame.draw.line(surface, GUIDE, (left, y), (left + width, y))
            self._write(surface, f"{energy:.4g}".replace("-", "\N{MINUS SIGN}"), (left - 6, y), "midright")
        self._write(
            surface,
            "energy H" if self._session.subject.truth is not None else "learned H",
            (left - 6, top + height // 2),
            "midright",
        )
        for order in (0, 1):  # the first, the truth, is wide, and lies below
            for index, colour in enumerate(self._session.colours):
                if (index > 0) == bool(order):
                    points = self._points(index, left, top, width, height, low, high)
                    if len(points) > 1:
                        self._pygame.draw.lines(surface, colour, False, points, 4 if index == 0 else 2)

    def _points(
        self, index: int, left: int, top: int, width: int, height: int, low: float, high: float
    ) -> list[tuple[float, float]]:
        energies = np.array(self._session.tracks[index].energies)
        if not np.isfinite(energies).all():
            return []
        x = left + width * np.arange(len(energies)) / (HISTORY - 1)
        y = top + height * np.clip((high - energies) / (high - low), 0.0, 1.0)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def _limits(self) -> tuple[float, float]:
        """Around the truth's recent energies, and wide enough that rounding looks flat."""
        energies = np.array(self._session.tracks[0].energies)
        if not np.isfinite(energies).all():
            return -1.0, 1.0
        others = np.concatenate([np.array(track.energies) for track in self._session.tracks])
        centre, size = float(energies.mean()), max(float(np.abs(energies).max()), 1e-3)
        spread = min(max(float(np.abs(others - centre).max()), 0.05 * size), 3 * size)
        return centre - 1.1 * spread, centre + 1.1 * spread

    def _foot(self, surface: Any, status: str, recording: bool) -> None:
        y = PANEL + CHART + 8
        words = KEYS if self.size[0] >= 800 else SHORT_KEYS
        self._write(surface, words, (12, y), "midleft")
        method = self._session.integrator or "own"
        state = "paused" if self._session.paused else "running"
        self._write(surface, f"{state}   integrator: {method}   {status}", (12, y + 20), "midleft", ACTION)
        if recording:
            self._pygame.draw.circle(surface, "#D03030", (self.size[0] - 24, y + 10), 7)

    def _write(self, surface: Any, words: str, place: tuple[int, int], anchor: str, colour: str = TEXT) -> None:
        image = self._font.render(words, True, colour)
        surface.blit(image, image.get_rect(**{anchor: place}))

    def frame(self, surface: Any) -> Array:
        """The picture as an array, uint8, shape (height, width, 3)."""
        pixels = np.frombuffer(self._pygame.image.tobytes(surface, "RGB"), dtype=np.uint8)
        return pixels.reshape(self.size[1], self.size[0], 3)


def _font_file() -> str:
    """DejaVu Sans, which comes with Matplotlib; pygame's own has no minus sign."""
    from matplotlib import get_data_path

    return f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"
