"""Figures from plain arrays: matplotlib, without a display, in the colours of ``hnn_envs.colors``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hnn_envs.arrays import Array, split
from hnn_envs.colors import TEXT, colour_of
from hnn_envs.comparison import Comparison, Track

STYLE = {"ode": {"linewidth": 2.2, "zorder": 2}, "hnn": {"linewidth": 1.4, "linestyle": (0, (4, 2)), "zorder": 3}}
"""The ODE is drawn wide and the HNN dashed above it, so that both are seen where they agree."""

LABELS = {"ode": "ODE", "hnn": "HNN", "baseline": "baseline"}

AXES = {
    "mass-spring": ("displacement q", "momentum p"),
    "pendulum": ("angle q (rad)", "momentum p"),
    "real-pendulum": ("angle q (rad)", "angular velocity p (rad/s)"),
}


def comparison_figure(comparison: Comparison) -> Figure:
    """Phase portrait (orbits, for bodies), true energy over time, and the distance to the reference over time."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    portrait, energy, error = figure.subplots(1, 3)
    reference = comparison.measured.states if comparison.measured else comparison.tracks[0].states
    phase_portrait(portrait, comparison.task.name, comparison.tracks, comparison.measured)
    energy_over_time(energy, comparison)
    _error_over_time(error, comparison, reference)
    handles, labels = energy.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def phase_portrait(axes: Axes, system: str, tracks: Sequence[Track], measured: Any = None) -> None:
    """Momentum over coordinate, or for bodies the orbit of each in the plane."""
    if measured is not None:
        axes.plot(*measured.states.T, ".", color="0.55", markersize=3, label="measured")
    for track in _back_to_front(tracks):
        for horizontal, vertical in _curves(system, track.states):
            axes.plot(horizontal, vertical, **_style(track.dynamics))
    horizontal_name, vertical_name = AXES.get(system, ("x", "y"))
    axes.set(xlabel=horizontal_name, ylabel=vertical_name, title="Phase portrait" if system in AXES else "Orbits")
    _frame_reference(axes, system, tracks)


def energy_over_time(axes: Axes, comparison: Comparison) -> None:
    """The true energy along every track."""
    if comparison.measured is not None:
        values = comparison.task.system.value(comparison.measured.states)
        axes.plot(comparison.times, values, ".", color="0.55", markersize=3, label="measured")
    for track in comparison.tracks:
        axes.plot(comparison.times, track.energies, label=_label(track.dynamics), **_style(track.dynamics))
    unit = " (s)" if comparison.task.name == "real-pendulum" else ""
    axes.set(xlabel=f"time{unit}", ylabel="true energy H", title="Energy", ylim=_energy_limits(comparison.tracks))
    _tidy(axes)


def _energy_limits(tracks: Sequence[Track]) -> tuple[float, float]:
    """Wide enough that rounding is not magnified into a drift, and no wider than shows a drift for what it is."""
    first = tracks[0].energies
    size, centre = np.abs(first).max(), first.mean()
    spread = max(float(np.nanmax(np.abs(track.energies - centre))) for track in tracks)
    half = float(np.clip(1.1 * spread, 0.05 * size, 1.5 * size))
    return centre - half, centre + half


def _error_over_time(axes: Axes, comparison: Comparison, reference: Array) -> None:
    for track in comparison.tracks:
        distance = np.sqrt(np.square(track.states - reference).sum(-1))
        if distance.max() > 0:
            # The distance starts at zero, which a logarithmic axis cannot show.
            axes.semilogy(comparison.times[1:], np.maximum(distance[1:], 1e-16), **_style(track.dynamics))
    unit = " (s)" if comparison.task.name == "real-pendulum" else ""
    what = "the measurement" if comparison.measured is not None else _label(comparison.tracks[0].dynamics)
    axes.set(xlabel=f"time{unit}", ylabel=f"distance to {what}", title="State error")
    _tidy(axes)


def _curves(system: str, states: Array) -> list[tuple[Array, Array]]:
    q, p = split(states)
    if system in AXES:
        return [(q[:, 0], p[:, 0])]
    return [(q[:, column], q[:, column + 1]) for column in range(0, q.shape[-1], 2)]


def _frame_reference(axes: Axes, system: str, tracks: Sequence[Track]) -> None:
    """Frames the first track: one that diverges must not make the others invisible."""
    curves = np.concatenate([np.stack(curve, axis=-1) for curve in _curves(system, tracks[0].states)])
    low, high = curves.min(axis=0), curves.max(axis=0)
    margin = 0.15 * (high - low).max()
    axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
    if system not in AXES:
        axes.set_aspect("equal", adjustable="datalim")
    _tidy(axes)


def _back_to_front(tracks: Sequence[Track]) -> list[Track]:
    return sorted(tracks, key=lambda track: track.dynamics != "baseline")


def _style(dynamics: str) -> dict[str, Any]:
    return {"color": colour_of(dynamics), **STYLE.get(dynamics, {"linewidth": 1.2})}


def _label(dynamics: str) -> str:
    return LABELS.get(dynamics, dynamics)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=TEXT)
    axes.grid(visible=True, color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
