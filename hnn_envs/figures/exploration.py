"""What was learned of an energy beside the truth: curves along a coordinate, contours over two, and films of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from hnn_envs.arrays import Array
from hnn_envs.drawing.colors import ACTION, BASELINE, GUIDE, HNN, ODE, PAPER, TEXT, mix
from hnn_envs.errors import InvalidOptionError
from hnn_envs.storage import write_atomically

DPI = 100
FORMATS = {".gif": "GIF", ".webp": "WEBP"}
COLOURS = 64
"""Of a film."""
KEPT, BAND = (ODE, HNN, ACTION, BASELINE, TEXT, PAPER), 20
"""Colours that a film always has, and the height in pixels of the band that sees to it."""
LEVELS = 9
"""Contours of an energy."""
LARGER = 1.5
"""What was learned is seen whole where it goes beyond the truth by this share of its range at most."""
MARGIN = 0.15
"""Above and below curves, as a share of their range."""
PALEST = 0.55
"""Share of paper where an energy is highest."""
TRUE: dict[str, Any] = {"color": ODE, "linewidth": 0.8}
LEARNED: dict[str, Any] = {"color": HNN, "linewidth": 2.2}
SHADES = (0.0, 0.35, 0.6)
"""Of several curves in a panel, how much paper is mixed in."""


@dataclass(frozen=True)
class Panel:
    """Functions of one coordinate.

    Attributes:
        title: what they are.
        learned: shape (n, curves); None where nothing was learned.
        truth: same shape; None where it is not known.
        names: of the curves; empty of a single one.
    """

    title: str
    learned: Array | None
    truth: Array | None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Curves:
    """Functions of one coordinate, the first of them with the state as a point on it.

    Attributes:
        x: shape (n,), increasing.
        x_title: what it is.
        panels: from top to bottom.
    """

    x: Array
    x_title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Plane:
    """A function of two coordinates.

    Attributes:
        x: of the columns, shape (n,).
        y: of the rows, shape (m,).
        x_title: what x is.
        y_title: what y is.
        title: what the function is.
        learned: shape (m, n); None where nothing was learned.
        truth: same shape; None where it is not known.
    """

    x: Array
    y: Array
    x_title: str
    y_title: str
    title: str
    learned: Array | None
    truth: Array | None


Chart = Curves | Plane


def chart_figure(chart: Chart, seen: Array, goal: Array, *, path: Array, size: tuple[float, float]) -> Figure:
    """What was learned, with what it was learned from, and a trial.

    Args:
        chart: functions of one coordinate or of two.
        seen: coordinates at which it was learned, shape (k, 1 or 2).
        goal: those that are to be held, shape (1 or 2,).
        path: those of the trial, shape (k, 1 or 2).
        size: in inches.
    """
    drawn = Drawn(chart, seen, goal, size)
    for artist in drawn.move(path):
        artist.set_animated(False)
    return drawn.figure


class Drawn:
    """A chart on a figure, over which a trial moves.

    Args:
        chart: functions of one coordinate or of two.
        seen: coordinates at which it was learned, shape (k, 1 or 2).
        goal: those that are to be held, shape (1 or 2,).
        size: in inches.
        head: share of the height that is left for words above.
    """

    def __init__(self, chart: Chart, seen: Array, goal: Array, size: tuple[float, float], head: float = 0.0) -> None:
        self.figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        self.figure.get_layout_engine().set(rect=(0.0, 0.0, 0.985, 1.0 - head))  # type: ignore[union-attr,call-arg]
        self._chart = chart
        if isinstance(chart, Plane):
            self._moving = _draw_plane(self.figure.subplots(), chart, seen, goal)
        else:
            heights = [1.7] + [1.0] * (len(chart.panels) - 1)
            axes = self.figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
            self._moving = _draw_curves(list(axes), chart, seen, goal)

    def move(self, path: Array) -> list[Artist]:
        """Puts the trial where it got to, along coordinates (k, 1 or 2); the artists that changed."""
        if isinstance(self._chart, Plane):
            line, dot = self._moving
            line.set_data(*_broken(path, self._chart).T)
            dot.set_data(*path[-1:].T)
            return [line, dot]
        place, shown = float(path[-1, 0]), self._chart.panels[0]
        heights = shown.truth if shown.learned is None else shown.learned
        dot, *lines = self._moving
        dot.set_data([place], [0.0 if heights is None else np.interp(place, self._chart.x, heights[:, 0])])
        for line in lines:
            line.set_xdata([place, place])
        return [*lines, dot]


class Animation:
    """Draws what moves over a chart again and again, and words above it; the rest only once.

    Args:
        chart: functions of one coordinate or of two.
        seen: coordinates at which it was learned, shape (k, 1 or 2).
        goal: those that are to be held, shape (1 or 2,).
        size: in pixels.
    """

    def __init__(self, chart: Chart, seen: Array, goal: Array, size: tuple[int, int]) -> None:
        width, height = (pixels / DPI for pixels in size)
        self._drawn = Drawn(chart, seen, goal, (width, height), head=0.42 / height)
        figure = self._drawn.figure
        style: dict[str, Any] = {"fontsize": 9.5, "verticalalignment": "top", "color": TEXT}
        self._words = (
            figure.text(0.03, 1 - 0.1 / height, "", animated=True, fontweight="bold", **style),
            figure.text(0.985, 1 - 0.1 / height, "", animated=True, horizontalalignment="right", **style),
        )
        self._canvas = _canvas_of(figure)
        self._canvas.draw()
        figure.set_layout_engine("none")
        self._still = self._canvas.copy_from_bbox(figure.bbox)

    def frame(self, path: Array, left: str, right: str, colour: str = TEXT) -> Array:
        """The picture, uint8, shape (height, width, 3).

        Args:
            path: coordinates of the trial so far, shape (k, 1 or 2).
            left: words.
            right: other words.
            colour: of the first.
        """
        self._canvas.restore_region(self._still)
        for words, text in zip(self._words, (left, right), strict=True):
            words.set_text(text)
        self._words[0].set_color(colour)
        for artist in (*self._drawn.move(path), *self._words):
            artist.axes.draw_artist(artist) if artist.axes else self._drawn.figure.draw_artist(artist)
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()


def _broken(path: Array, plane: Plane) -> Array:
    """The path with gaps where it goes on at the other side of the plane."""
    half = 0.5 * np.array([plane.x[-1] - plane.x[0], plane.y[-1] - plane.y[0]])
    jumps = np.flatnonzero((np.abs(np.diff(path, axis=0)) > half).any(axis=1)) + 1
    return np.insert(path, jumps, np.nan, axis=0)


def _canvas_of(figure: Figure) -> Any:
    """What draws a figure without a display; its methods have no types."""
    return FigureCanvasAgg(figure)


def _draw_plane(axes: Axes, plane: Plane, seen: Array, goal: Array) -> Any:
    levels = _levels(plane.truth if plane.truth is not None else plane.learned)
    if plane.learned is not None:
        shades = [mix(HNN, PAPER, share) for share in np.linspace(1.0, PALEST, LEVELS)]
        axes.contourf(plane.x, plane.y, plane.learned, levels=levels, colors=shades, extend="max")
        axes.contour(plane.x, plane.y, plane.learned, levels=levels, colors=HNN, linewidths=1.8, linestyles="solid")
    if plane.truth is not None:
        axes.contour(plane.x, plane.y, plane.truth, levels=levels, colors=ODE, linewidths=0.7, linestyles="solid")
    axes.plot(*seen.T, ".", color=mix(TEXT, PAPER, 0.2), markersize=3, zorder=6)
    axes.plot(*goal, "o", markersize=11, markerfacecolor="none", markeredgecolor=TEXT, markeredgewidth=1.3, zorder=6)
    axes.set(xlim=plane.x[[0, -1]], ylim=plane.y[[0, -1]], xlabel=plane.x_title, ylabel=plane.y_title)
    axes.set_title(plane.title, loc="left", fontsize=9, color=TEXT)
    _explain(axes, plane.learned, plane.truth)
    _tidy(axes)
    line = axes.plot([], [], color=ACTION, linewidth=1.6, animated=True, zorder=7)[0]
    return line, axes.plot([], [], "o", color=ACTION, markersize=7, animated=True, zorder=8)[0]


def _draw_curves(axes: Sequence[Axes], curves: Curves, seen: Array, goal: Array) -> Any:
    for panel, place in zip(curves.panels, axes, strict=True):
        _shade_unseen(place, curves.x, seen[:, 0])
        for values, style in ((panel.learned, LEARNED), (panel.truth, TRUE)):
            for number, column in enumerate(() if values is None else values.T):
                shade = mix(style["color"], PAPER, SHADES[number % len(SHADES)])
                place.plot(curves.x, column, **style | {"color": shade})
        for value, names in _ends(panel).items():
            place.annotate(names, (curves.x[-1], value), (3, 0), textcoords="offset points", fontsize=8, va="center")
        place.axvline(goal[0], color=GUIDE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        place.set(xlim=curves.x[[0, -1]], ylim=_limits(panel))
        place.set_title(panel.title, loc="left", fontsize=9, color=TEXT)
        _tidy(place)
    _explain(axes[0], curves.panels[0].learned, curves.panels[0].truth)
    axes[-1].set_xlabel(curves.x_title)
    dot = axes[0].plot([], [], "o", color=ACTION, markersize=9, animated=True, zorder=8)[0]
    return [dot, *(place.axvline(0, color=ACTION, linewidth=1, animated=True) for place in axes)]


def _shade_unseen(axes: Axes, x: Array, seen: Array) -> None:
    """Grey where nothing was watched."""
    if not len(seen):
        axes.axvspan(x[0], x[-1], color="0.94", linewidth=0, zorder=-1)
        return
    middles, width = 0.5 * (x[1:] + x[:-1]), x[1] - x[0]
    reach = 0.02 * (x[-1] - x[0]) + width
    far = np.abs(middles[:, None] - seen).min(axis=1) > reach
    for middle in middles[far]:
        axes.axvspan(middle - width / 2, middle + width / 2, color="0.94", linewidth=0, zorder=-1)


def _explain(axes: Axes, learned: Array | None, truth: Array | None) -> None:
    """Says which lines are learned and which are true."""
    words = ("nothing learned yet", TEXT) if learned is None else ("learned", HNN)
    axes.set_title(f"{words[0]}{'' if truth is None else '  (thin: true)'}", loc="right", fontsize=9, color=words[1])


def _levels(values: Array | None) -> Array:
    if values is None:
        return np.linspace(0.0, 1.0, LEVELS)
    return np.linspace(float(values.min()), float(values.max()), LEVELS + 1)[:-1] + 1e-9


def _limits(panel: Panel) -> tuple[float, float]:
    """Around the truth, and around what was learned as far as that is not much larger."""
    every = [values for values in (panel.truth, panel.learned) if values is not None]
    if not every:
        return -1.0, 1.0
    bounds = [(float(values.min()), float(values.max())) for values in every]
    low, high = bounds[0]
    room = LARGER * max(high - low, 0.1 * abs(high), 1e-9)
    low, high = max(low - room, min(each[0] for each in bounds)), min(high + room, max(each[1] for each in bounds))
    margin = MARGIN * max(high - low, 0.1 * abs(high), 1e-9)
    return low - margin, high + margin


def _ends(panel: Panel) -> dict[float, str]:
    """Where curves end at the right, and the names of those that end there."""
    shown, found = panel.learned if panel.truth is None else panel.truth, dict[float, str]()
    for name, value in zip(panel.names, [] if shown is None else np.round(shown[-1], 2).tolist(), strict=False):
        found[value] = f"{found[value]}, {name}" if value in found else name
    return found


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=TEXT, labelsize=8)
    axes.xaxis.label.set(fontsize=9, color=TEXT)
    axes.yaxis.label.set(fontsize=9, color=TEXT)


def write_film(path: Path, frames: Sequence[Array], milliseconds: Sequence[int]) -> None:
    """Writes frames as a GIF or as WebP, whichever the path ends with, again and again; atomically.

    Args:
        path: ends with .gif or .webp.
        frames: uint8, shape (height, width, 3), at least one.
        milliseconds: how long each is shown.

    Raises:
        InvalidOptionError: another ending.
    """
    check_film(path)
    pictures = [Image.fromarray(frame) for frame in frames]
    kind, buffer = FORMATS[path.suffix.lower()], BytesIO()
    options: dict[str, Any] = {"lossless": True, "method": 4} if kind == "WEBP" else {"optimize": True}
    pictures = _in_one_palette(pictures)
    first, rest = pictures[0], pictures[1:]
    first.save(buffer, kind, save_all=True, append_images=rest, duration=list(milliseconds), loop=0, **options)
    write_atomically(path, buffer.getvalue())


def check_film(path: Path) -> None:
    """Refuses a name that says no kind of film.

    Raises:
        InvalidOptionError: it does not end with .gif or .webp.
    """
    if path.suffix.lower() not in FORMATS:
        raise InvalidOptionError(f"a film's name ends with {' or '.join(FORMATS)}, not {path.name!r}")


def _in_one_palette(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """With the same colours in all, so that a file holds only what changes."""
    chosen = pictures[:: max(1, len(pictures) // 12)]
    sheet = Image.new("RGB", (chosen[0].width, sum(each.height for each in chosen) + BAND * len(KEPT)))
    for number, colour in enumerate(KEPT):
        sheet.paste(colour, (0, sheet.height - BAND * (number + 1), sheet.width, sheet.height - BAND * number))
    for number, each in enumerate(chosen):
        sheet.paste(each, (0, number * each.height))
    palette = sheet.quantize(COLOURS, dither=Image.Dither.NONE)
    return [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures]
