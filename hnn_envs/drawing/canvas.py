"""A canvas in world coordinates, drawn by pygame without a display; pygame is imported when the first is made."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.drawing.colors import ACTION, GUIDE, PAPER, TEXT, mix, rgb
from hnn_envs.drawing.view import View

Point = Sequence[float] | Array
"""Two numbers: x to the right and y up."""

SIZE = (480, 480)
WIDE = (800, 480)
"""Where the truth is drawn, too."""
SUPERSAMPLING = 2  # shapes are drawn this much larger and scaled down, which smooths their edges
PHYSICS_NAMES = {"ode": "true ODE", "hnn": "HNN", "baseline": "baseline"}

# Pixels that the frame leaves to words and bars: left, top, right, bottom.
MARGINS = (16, 48, 64, 40)


class Drawable(Protocol):
    """What can draw itself, such as a task."""

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        ...


def draw_frame(task: Drawable, view: View, *, size: tuple[int, int] | None = None) -> Array:
    """Draws one environment, uint8, shape (height, width, 3). Opens no window and needs no display.

    Args:
        task: the task, which knows how to draw itself.
        view: what to draw.
        size: width and height in pixels; by default what the view needs.
    """
    canvas = Canvas(size or (SIZE if view.truth is None else WIDE))
    task.draw(canvas, view)
    return canvas.to_array()


class Canvas:
    """A white page to draw on, in world coordinates with y up.

    Positions and radii are in world units, set by ``look_at``; line widths and text sizes are in pixels. Colours are
    "#RRGGBB".
    """

    def __init__(self, size: tuple[int, int] = SIZE) -> None:
        self._pygame = load_pygame()
        self.width, self.height = size
        self._surface = self._pygame.Surface((self.width * SUPERSAMPLING, self.height * SUPERSAMPLING), depth=32)
        self._surface.fill(PAPER)
        self._words: list[tuple[Any, tuple[float, float]]] = []
        self.look_at((0.0, 0.0), 1.0)

    def look_at(self, centre: Point, radius: float, *, panel: int = 0, panels: int = 1) -> None:
        """Puts the largest square that fits between the margins around ``centre``, ``radius`` to each side.

        There may be several panels side by side.
        """
        left, top, right, bottom = MARGINS
        width, height = (self.width - left - right) / panels, self.height - top - bottom
        self._scale = max(1, min(width, height)) / (2 * radius)
        self._centre = np.asarray(centre, dtype=np.float64)
        self._middle = np.array([left + (panel + 0.5) * width, top + height / 2])

    def line(self, start: Point, end: Point, colour: str, *, width: float = 2) -> None:
        """A straight line with round ends."""
        self.path((start, end), colour, width=width)

    def path(self, points: Sequence[Point] | Array, colour: str, *, width: float = 2) -> None:
        """A line through points (k, 2) with round joints."""
        pixels, half = self._pixels(points), width * SUPERSAMPLING / 2
        for quad in _quads(pixels[:-1], pixels[1:], half, half):
            self._pygame.draw.polygon(self._surface, colour, quad)
        for point in pixels.tolist():
            self._pygame.draw.circle(self._surface, colour, point, half)

    def trail(self, points: Array, colour: str, *, width: float = 4) -> None:
        """A path that fades and thins towards its first point, the oldest."""
        if len(points) < 2:
            return
        ages = np.linspace(1, 0, len(points))
        halves = width * SUPERSAMPLING / 2 * (1 - 0.7 * ages[:, None])
        pixels = self._pixels(points)
        near, far = np.array(rgb(colour)), np.array(rgb(PAPER))
        tints = near + (far - near) * (0.2 + 0.8 * ages[:-1, None])
        quads = _quads(pixels[:-1], pixels[1:], halves[:-1], halves[1:])
        for quad, tint in zip(quads, tints.astype(int).tolist(), strict=True):
            self._pygame.draw.polygon(self._surface, tint, quad)

    def disc(self, centre: Point, radius: float, colour: str) -> None:
        """A filled disc."""
        self._pygame.draw.circle(self._surface, colour, self._pixels([centre])[0], radius * self._pixel_scale)

    def box(self, centre: Point, half_width: float, half_height: float, colour: str) -> None:
        """A filled rectangle with round corners."""
        size = 2 * np.array([half_width, half_height]) * self._pixel_scale
        corner = self._pixels([centre])[0] - size / 2
        self._pygame.draw.rect(self._surface, colour, (*corner, *size), border_radius=int(size.min() / 6))

    def picture(self, centre: Point, radius: float, shares: Array, colour: str) -> None:
        """A square picture, enlarged: how much of a colour there is in each pixel, in [0, 1], shape (size, size)."""
        near, far = np.array(rgb(colour)), np.array(rgb(PAPER))
        tints = np.round(far + (near - far) * np.clip(shares, 0, 1)[..., None]).astype(np.uint8)
        small = self._pygame.image.frombuffer(tints.tobytes(), tints.shape[1::-1], "RGB")
        side = round(2 * radius * self._pixel_scale)
        corner = self._pixels([centre])[0] - side / 2
        self._surface.blit(self._pygame.transform.scale(small, (side, side)), tuple(np.round(corner).astype(int)))

    def circle(self, centre: Point, radius: float, colour: str, *, width: float = 1.5, dashes: int = 0) -> None:
        """The outline of a circle, closed or in dashes."""
        half = width * SUPERSAMPLING / 2
        if not dashes:
            middle = self._pixels([centre])[0]
            self._pygame.draw.circle(self._surface, colour, middle, radius * self._pixel_scale + half, round(2 * half))
            return
        ends = self._pixels(_on_circle(centre, radius, np.arange(2 * dashes) * math.pi / dashes))
        for quad in _quads(ends[0::2], ends[1::2], half, half):
            self._pygame.draw.polygon(self._surface, colour, quad)

    def arrow(self, start: Point, vector: Point, colour: str = ACTION, *, width: float = 4) -> None:
        """An arrow; none where the vector is shorter than a pixel."""
        start, vector = np.asarray(start, dtype=np.float64), np.asarray(vector, dtype=np.float64)
        length = float(np.hypot(*vector))
        if length * self._scale < 1:
            return
        head = min(3.2 * width / self._scale, length)
        along = vector / length
        neck = start + vector - head * along
        self.line(start, neck, colour, width=width)
        self._head(neck, along, head, colour)

    def arc_arrow(self, centre: Point, radius: float, start: float, sweep: float, *, width: float = 4) -> None:
        """An arrow on a circle, from angle ``start`` over ``sweep`` rad; none where it is shorter than a pixel."""
        if abs(sweep) * radius * self._scale < 1:
            return
        head = min(3.2 * width / self._scale, radius * abs(sweep))
        bent = start + sweep - math.copysign(head / radius, sweep)
        points = _on_circle(centre, radius, np.linspace(start, bent, 24))
        self.path(points, ACTION, width=width)
        # The chord from the neck to where the arc ends, so that the head lies on the circle.
        chord = _on_circle(centre, radius, np.array([start + sweep]))[0] - points[-1]
        self._head(points[-1], chord / np.hypot(*chord), head, ACTION)

    def spring(self, start: Point, end: Point, colour: str, *, coils: int = 9, radius: float = 0.1) -> None:
        """A coil spring between two points."""
        start, end = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        along = end - start
        across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
        turns = np.linspace(0, 1, 16 * coils + 1)
        eased = np.minimum(1, 8 * np.minimum(turns, 1 - turns))  # straight ends
        swing = radius * eased * np.sin(2 * math.pi * coils * turns)
        self.path(start + turns[:, None] * along + swing[:, None] * across, colour, width=2)

    def text(self, position: Point, words: str, *, size: int = 13, colour: str = TEXT, anchor: str = "center") -> None:
        """Words at a world position; ``anchor`` says which point of them lies there (pygame's names of a Rect)."""
        self._write(self._pixels([position])[0] / SUPERSAMPLING, words, size, colour, anchor)

    def caption(self, view: View, title: str) -> None:
        """The head of every drawing: what it is, which physics moves it, and the time."""
        colour, name = view.colour, _physics_name(view.dynamics)
        self._pygame.draw.circle(self._surface, colour, (24 * SUPERSAMPLING, 25 * SUPERSAMPLING), 7 * SUPERSAMPLING)
        self._write((38, 25), name, 17, colour, "midleft", bold=True)
        taken, wanted = _font(17, True).size(name)[0], _font(14, False).size(title)[0]
        if 38 + taken + 8 + wanted <= self.width - 96:  # a narrow panel has room for the physics only
            self._write((self.width - 96, 25), title, 14, TEXT, "midright")
        self._write((self.width - 16, 25), f"t = {view.time:.1f}", 14, TEXT, "midright")

    def scale_bar(self, length: float = 1.0) -> None:
        """A bar of a given length in world units, lower left."""
        pixels = length * self._scale
        y, left = self.height - 22, 18
        for start, end in (
            ((left, y), (left + pixels, y)),
            ((left, y - 4), (left, y + 4)),
            ((left + pixels, y - 4), (left + pixels, y + 4)),
        ):
            self._flat(start, end, TEXT, 1.5)
        self._write((left + pixels + 8, y), f"{length:g}", 12, TEXT, "midleft")

    def energy_bar(self, view: View, low: float, high: float, *, target: float | None = None) -> None:
        """The energy, right: filled to the true one, a coloured tick at the believed one, a mark at the target."""
        top, bottom = MARGINS[1] + 22, self.height - MARGINS[3] - 22
        left, right = self.width - 36, self.width - 24

        def height_of(energy: float) -> float:
            share = (energy - low) / (high - low)
            return bottom + (top - bottom) * min(1.0, max(0.0, share))

        self._flat_box(left, top, right, bottom, mix(GUIDE, PAPER, 0.7))
        self._flat_box(left, height_of(view.energy), right, bottom, mix(TEXT, PAPER, 0.45))
        if target is not None:
            y = height_of(target)
            self._flat((left - 6, y), (right + 6, y), ACTION, 2)
        if math.isfinite(view.believed_energy):
            y = height_of(view.believed_energy)
            self._flat((left - 4, y), (right + 4, y), view.colour, 4)
        middle = (left + right) / 2
        self._write((middle, top - 12), _number(high, "g"), 11, TEXT, "center")
        self._write((middle, bottom + 12), _number(low, "g"), 11, TEXT, "center")
        if math.isfinite(view.energy):
            self._write((self.width - 12, self.height - 22), f"H = {_number(view.energy, '.2f')}", 12, TEXT, "midright")

    def to_array(self) -> Array:
        """The picture, uint8, shape (height, width, 3)."""
        small = self._pygame.transform.smoothscale(self._surface, (self.width, self.height))
        small.fblits(self._words)
        pixels = np.frombuffer(self._pygame.image.tobytes(small, "RGB"), dtype=np.uint8)
        return pixels.reshape(self.height, self.width, 3).copy()

    @property
    def _pixel_scale(self) -> float:
        """Pixels of the large surface per world unit."""
        return self._scale * SUPERSAMPLING

    def _pixels(self, points: Sequence[Point] | Array) -> Array:
        """Simulation points (k, 2) on the large surface."""
        offsets = (np.asarray(points, dtype=np.float64) - self._centre) * (1, -1)
        pixels = (self._middle + offsets * self._scale) * SUPERSAMPLING
        # What is far outside is not seen; pygame wants numbers that fit an integer.
        return np.clip(pixels, -1e4, 1e4)

    def _head(self, neck: Array, along: Array, length: float, colour: str) -> None:
        across = np.array([-along[1], along[0]]) * 0.5 * length
        corners = self._pixels([neck + across, neck - across, neck + length * along])
        self._pygame.draw.polygon(self._surface, colour, corners)

    def _flat(self, start: tuple[float, float], end: tuple[float, float], colour: str, width: float) -> None:
        """A horizontal or vertical line in pixels of the frame."""
        half = width / 2
        self._flat_box(start[0] - half, start[1] - half, end[0] + half, end[1] + half, colour)

    def _flat_box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        corner, size = np.array([left, top]) * SUPERSAMPLING, np.array([right - left, bottom - top]) * SUPERSAMPLING
        self._pygame.draw.rect(self._surface, colour, (*np.round(corner), *np.round(size)))

    def _write(self, position: Point, words: str, size: int, colour: str, anchor: str, *, bold: bool = False) -> None:
        """Words in pixels of the frame; kept until the end, since letters are sharper when they are not scaled."""
        image = _font(size, bold).render(words, True, colour)
        corner = image.get_rect(**{anchor: (round(position[0]), round(position[1]))}).topleft
        self._words.append((image, corner))


def _physics_name(dynamics: str) -> str:
    """What the caption calls a physics: a word, a checkpoint's name, or the file name of a path; never too long."""
    if dynamics.endswith(".safetensors"):
        dynamics = Path(dynamics).stem
    name = PHYSICS_NAMES.get(dynamics, dynamics)
    return name if len(name) <= 18 else f"{name[:17]}\N{HORIZONTAL ELLIPSIS}"


def _number(value: float, style: str) -> str:
    """A number with a proper minus sign."""
    return format(value, style).replace("-", "\N{MINUS SIGN}")


def load_pygame() -> ModuleType:
    """pygame, without its greeting on standard output."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    return pygame


@cache
def _font(size: int, bold: bool) -> Any:
    """A font; DejaVu Sans, which comes with Matplotlib, or else pygame's own."""
    pygame = load_pygame()
    pygame.font.init()
    # No font outlives pygame.quit(), which Gymnasium's own environments call when they are closed.
    pygame.register_quit(_font.cache_clear)
    spec = importlib.util.find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
        if path.is_file():
            return pygame.font.Font(path, size)
    return pygame.font.Font(None, round(1.3 * size))


def _on_circle(centre: Point, radius: float, angles: Array) -> Array:
    """Points (k, 2) of a circle."""
    return np.asarray(centre) + radius * np.stack((np.cos(angles), np.sin(angles)), axis=-1)


def _quads(starts: Array, ends: Array, half_start: Array | float, half_end: Array | float) -> Any:
    """The four corners of straight strips between points (k, 2) as nested lists, which pygame reads fastest."""
    along = ends - starts
    across = np.stack((-along[:, 1], along[:, 0]), axis=-1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    start, end = across * half_start, across * half_end
    return np.stack((starts + start, ends + end, ends - end, starts - start), axis=1).tolist()
