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

STYLE: dict[str, dict[str, Any]] = {
    "baseline": {"linewidth": 1.2, "zorder": 2},
    "ode": {"linewidth": 3.6, "zorder": 3},
    "hnn": {"linewidth": 1.5, "zorder": 5},
}
"""The ODE is drawn wide and the HNN thin above it, so that both are seen where they agree."""
OTHER_STYLE: dict[str, Any] = {"linewidth": 1.2, "linestyle": (0, (4, 2)), "zorder": 4}
PORTRAIT_WIDTH = 0.6
"""Lines are this much thinner in a phase portrait, which holds many turns."""
MEASURED: dict[str, Any] = {"color": "0.6", "linestyle": "none", "marker": ".", "markersize": 3}

LABELS = {"ode": "ODE", "hnn": "HNN", "baseline": "baseline"}

AXES = {
    "mass-spring": ("displacement q", "momentum p"),
    "pendulum": ("angle q (rad)", "momentum p"),
    "real-pendulum": ("angle q (rad)", "angular velocity p (rad/s)"),
}
UNITS = {"real-pendulum": ("s", "rad$^2$/s$^2$")}
"""Of time and energy; the other systems are dimensionless."""
DIMENSIONLESS = ("dimensionless", "dimensionless")


def comparison_figure(comparison: Comparison) -> Figure:
    """Phase portrait (orbits, for bodies), true energy over time, and the distance to the reference over time."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    portrait, energy, error = figure.subplots(1, 3)
    name = comparison.task.name
    phase_portrait(portrait, name, comparison.tracks, comparison.reference, measured=comparison.measured is not None)
    energy_over_time(energy, comparison)
    error_over_time(error, comparison)
    handles, labels = energy.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"{name}: the same start under {_listed([_label(track.dynamics) for track in comparison.tracks])}")
    return figure


def phase_portrait(
    axes: Axes, system: str, tracks: Sequence[Track], reference: Array, *, measured: bool = False
) -> None:
    """Momentum over coordinate, or for bodies the orbit of each in the plane, from a dot at its start.

    Framed by the reference: a physics that diverges must not make the others invisible.
    """
    if measured:
        axes.plot(*reference.T, **MEASURED, zorder=6)
    for track in tracks:
        style = _style(track.dynamics)
        style["linewidth"] *= PORTRAIT_WIDTH
        for horizontal, vertical in _curves(system, track.states):
            axes.plot(horizontal, vertical, **style)
    bodies = system not in AXES
    if bodies:
        for horizontal, vertical in _curves(system, reference):
            axes.plot(horizontal[0], vertical[0], "o", color=TEXT, markersize=6, zorder=7)
    horizontal_name, vertical_name = AXES.get(system, ("position x", "position y"))
    axes.set(xlabel=horizontal_name, ylabel=vertical_name, title="Orbits" if bodies else "Phase portrait")
    _frame(axes, np.concatenate([np.stack(curve, axis=-1) for curve in _curves(system, reference)]), equal=bodies)
    _tidy(axes)


def energy_over_time(axes: Axes, comparison: Comparison) -> None:
    """The true energy along every track."""
    reference = comparison.task.system.value(comparison.reference)
    if comparison.measured is not None:
        axes.plot(comparison.times, reference, **MEASURED, label="measured")
    for track in comparison.tracks:
        axes.plot(comparison.times, track.energies, label=_legend(comparison, track), **_style(track.dynamics))
    _, unit = UNITS.get(comparison.task.name, DIMENSIONLESS)
    axes.set(ylabel=f"true energy H ({unit})", title="Energy", ylim=_energy_limits(reference, comparison.tracks))
    _time_axis(axes, comparison)


def error_over_time(axes: Axes, comparison: Comparison) -> None:
    """The distance of every track to the reference; what is the reference itself is left out."""
    far = 100 * np.abs(comparison.reference).max()
    for track in comparison.tracks:
        with np.errstate(over="ignore"):
            distance = np.minimum(np.sqrt(np.square(track.states - comparison.reference).sum(-1)), far)
        if np.nanmax(distance) > 0:
            # The distance starts at zero, which a logarithmic axis cannot show.
            axes.semilogy(comparison.times[1:], np.maximum(distance[1:], 1e-16), **_style(track.dynamics))
    if not axes.lines:
        axes.text(0.5, 0.5, "no difference", transform=axes.transAxes, ha="center", color=TEXT)
        axes.set(yticks=[], xlim=(comparison.times[0], comparison.times[-1]))
    what = "measurement" if comparison.measured is not None else "ODE"
    axes.set(ylabel=f"distance to the {what}", title="State error")
    _time_axis(axes, comparison)


def _energy_limits(reference: Array, tracks: Sequence[Track]) -> tuple[float, float]:
    """Wide enough that rounding is not magnified into a drift, and no wider than shows a drift for what it is."""
    size, centre = np.abs(reference).max(), reference.mean()
    spread = max(float(np.nanmax(np.abs(energies - centre))) for energies in (*(t.energies for t in tracks), reference))
    half = float(np.clip(1.1 * spread, 0.05 * size, 1.5 * size))
    return centre - half, centre + half


def _frame(axes: Axes, points: Array, *, equal: bool) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low).max()
    if equal:
        half = np.full(2, (high - low).max() / 2)
        low, high = (low + high) / 2 - half, (low + high) / 2 + half
        axes.set_aspect("equal")
    axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))


def _curves(system: str, states: Array) -> list[tuple[Array, Array]]:
    q, p = split(states)
    if system in AXES:
        return [(q[:, 0], p[:, 0])]
    return [(q[:, column], q[:, column + 1]) for column in range(0, q.shape[-1], 2)]


def _style(dynamics: str) -> dict[str, Any]:
    return {"color": colour_of(dynamics), **STYLE.get(dynamics, OTHER_STYLE)}


def _label(dynamics: str) -> str:
    return LABELS.get(dynamics, dynamics)


def _legend(comparison: Comparison, track: Track) -> str:
    finite = np.isfinite(track.states).all(-1)
    if finite.all():
        return _label(track.dynamics)
    return f"{_label(track.dynamics)} (diverged at t = {comparison.times[finite.argmin()]:.3g})"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _time_axis(axes: Axes, comparison: Comparison) -> None:
    unit, _ = UNITS.get(comparison.task.name, DIMENSIONLESS)
    axes.set_xlabel(f"time ({unit})")
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=TEXT)
    axes.grid(visible=True, color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
