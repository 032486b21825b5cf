"""How far ahead models see, against how long they watched: small multiples of systems and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from hnn_envs.drawing.colors import BASELINE, HNN, OTHER, SPARE, TEXT

STYLES: dict[str, tuple[str, str, str]] = {
    "trigonometric": (HNN, "o", "HNN, trigonometric"),
    "pairwise": (HNN, "D", "HNN, pairwise"),
    "mechanical": ("#56B4E9", "s", "HNN, mechanical network"),
    "hnn": (HNN, "*", "shipped HNN recipe"),
    "mlp": (BASELINE, "^", "plain network"),
    "baseline": (BASELINE, "*", "shipped plain network recipe"),
    "gaussian-process": (OTHER, "v", "Gaussian process"),
    "sindy": (SPARE[2], "X", "SINDy"),
}
"""Colour (Okabe and Ito, Tol), marker and title; markers differ, too, for those who see no colours."""
SMALLEST = 0.05
"""Prediction times below are drawn here: a logarithmic axis has no zero."""
ROOM = 1.5
"""Above the longest that can be seen, as a factor."""
APART = 2.0
"""Ratio of times from which on both have words at their ticks."""


@dataclass(frozen=True)
class LearningCurve:
    """One model of one system under one noise.

    Attributes:
        system: its name.
        noise: standard deviation of the noise on states.
        model: its name, a key of ``STYLES`` or another.
        seconds: how long it watched, increasing.
        low: lower quartile of the valid prediction time, as many numbers.
        median: likewise.
        high: upper quartile.
        time_unit: of ``seconds``; empty where time is dimensionless.
        time_scales: what valid prediction times count, such as "periods".
        longest: length of the unseen runs in these; infinite where it is not known.
    """

    system: str
    noise: float
    model: str
    seconds: tuple[float, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]
    time_unit: str
    time_scales: str
    longest: float = math.inf


def learning_figure(curves: Sequence[LearningCurve]) -> Figure:
    """Systems across, noise down: valid prediction time, its median and quartiles, against seconds watched."""
    systems = list(dict.fromkeys(curve.system for curve in curves))
    noises = sorted({curve.noise for curve in curves})
    size = (1.2 + 2.9 * max(1, len(systems)), 0.9 + 2.4 * max(1, len(noises)))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(noises), len(systems), squeeze=False, sharex=True, sharey="col")
    for row, noise in enumerate(noises):
        for column, system in enumerate(systems):
            shown = [curve for curve in curves if (curve.system, curve.noise) == (system, noise)]
            _panel(panels[row, column], shown)
            if column == 0:
                panels[row, column].set_ylabel(f"noise {noise:g}\n{panels[row, column].get_ylabel()}")
            if row == 0:
                panels[row, column].set_title(system)
            if row == len(noises) - 1:
                panels[row, column].set_xlabel(_watched(curves, system))
    _watched_times(panels[0, 0], sorted({time for curve in curves for time in curve.seconds}))
    handles: dict[str, Artist] = {}
    for axes in panels.flat:
        lines, titles = axes.get_legend_handles_labels()
        handles |= dict(zip(titles, lines, strict=True))
    order = [title for _, _, title in STYLES.values()]
    titles = sorted(handles, key=lambda title: order.index(title) if title in order else len(order))
    figure.legend([handles[title] for title in titles], titles, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("How long unseen runs are foretold, against how long the system was watched")
    return figure


def _panel(axes: Axes, curves: Sequence[LearningCurve]) -> None:
    for curve in curves:
        colour, marker, title = STYLES.get(curve.model, ("#882255", "P", curve.model))
        low, median, high = (np.maximum(values, SMALLEST) for values in (curve.low, curve.median, curve.high))
        axes.plot(curve.seconds, median, color=colour, marker=marker, markersize=6, linewidth=1.4, label=title)
        axes.fill_between(curve.seconds, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set(xscale="log", yscale="log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if curves:
        axes.set_ylabel(f"valid for ({curves[0].time_scales})")
        longest = curves[0].longest
        if math.isfinite(longest):
            axes.axhline(longest, color=TEXT, linewidth=0.8, linestyle=":", label="length of the unseen runs")
            axes.set_ylim(SMALLEST / ROOM, ROOM * longest)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=TEXT)
    axes.grid(visible=True, which="major", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


def _watched_times(axes: Axes, times: Sequence[float]) -> None:
    """Ticks where something was watched, on all panels, which share the axis; words only where there is room."""
    words: list[str] = []
    last = math.inf
    for time in reversed(times):
        room = last / time >= APART
        words.insert(0, f"{time:g}" if room else "")
        last = time if room else last
    axes.set_xticks(list(times), words)
    axes.xaxis.set_minor_formatter(NullFormatter())


def _watched(curves: Sequence[LearningCurve], system: str) -> str:
    unit = next(curve.time_unit for curve in curves if curve.system == system)
    return f"watched ({unit or 'units of time'})"
