"""Figures from plain arrays: matplotlib, without a display, in the colours of ``hnn_envs.drawing.colors``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hnn_envs.arrays import Array, split
from hnn_envs.drawing.colors import TEXT, colours_of
from hnn_envs.evaluation.comparison import Comparison, Track
from hnn_envs.hamiltonian import Hamiltonian, VectorField
from hnn_envs.systems import SystemSpec

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

DIMENSIONLESS = "dimensionless"
LINE = 40
"""Characters of a line beside an axis."""


def comparison_figure(comparison: Comparison) -> Figure:
    """Phase portrait (orbits, for bodies), energy over time, and the distance to the reference over time."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    portrait, energy, error = figure.subplots(1, 3)
    phase_portrait(portrait, comparison)
    energy_over_time(energy, comparison)
    error_over_time(error, comparison)
    handles, labels = energy.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    names = _listed([_label(track.dynamics) for track in comparison.tracks])
    figure.suptitle(f"{comparison.spec.name}: the same start under {names}")
    return figure


def phase_portrait(axes: Axes, comparison: Comparison) -> None:
    """Momentum over coordinate, or for bodies the orbit of each in the plane, from a dot at its start.

    Framed by the reference: a physics that diverges must not make the others invisible.
    """
    spec, reference = comparison.spec, comparison.reference
    if comparison.measured is not None:
        axes.plot(*reference.T, **MEASURED, zorder=6)
    for track, style in _styled(comparison):
        style["linewidth"] *= PORTRAIT_WIDTH
        for horizontal, vertical in _curves(spec, track.states):
            axes.plot(horizontal, vertical, **style)
    bodies = spec.bodies > 0
    if bodies:
        for horizontal, vertical in _curves(spec, reference):
            axes.plot(horizontal[0], vertical[0], "o", color=TEXT, markersize=6, zorder=7)
    x, y = plane_titles(spec)
    axes.set(xlabel=x, ylabel=y, title="Orbits" if bodies else "Phase portrait")
    _frame(axes, np.concatenate([np.stack(curve, axis=-1) for curve in _curves(spec, reference)]), equal=bodies)
    _tidy(axes)


def plane_titles(spec: SystemSpec) -> tuple[str, str]:
    """What the axes of a portrait are: the places of bodies, else the first coordinate and its momentum."""
    first = spec.coordinates[0]
    return ("position x", "position y") if spec.bodies else (first.title, first.momentum_title)


def _lines(label: str) -> str:
    """A label of an axis in lines that fit beside it."""
    return fill(label, LINE, break_long_words=False, break_on_hyphens=False)


def energy_over_time(axes: Axes, comparison: Comparison) -> None:
    """The energy along every track."""
    reference = comparison.reference_energies
    if comparison.measured is not None:
        axes.plot(comparison.times, reference, **MEASURED, label="measured")
    for track, style in _styled(comparison):
        axes.plot(comparison.times, track.energies, label=_legend(comparison, track), **style)
    axes.set(
        ylabel=_lines(f"{comparison.energy_name} ({comparison.spec.energy_unit or DIMENSIONLESS})"), title="Energy"
    )
    if np.isfinite(reference).all():
        axes.set(ylim=_energy_limits(reference, comparison.tracks))
    _time_axis(axes, comparison)


def error_over_time(axes: Axes, comparison: Comparison) -> None:
    """The distance of every track to the reference; what is the reference itself is left out."""
    far = 100 * np.abs(comparison.reference).max()
    for track, style in _styled(comparison):
        with np.errstate(over="ignore"):
            distance = np.minimum(np.sqrt(np.square(track.states - comparison.reference).sum(-1)), far)
        if np.nanmax(distance) > 0:
            # The distance starts at zero, which a logarithmic axis cannot show.
            axes.semilogy(comparison.times[1:], np.maximum(distance[1:], 1e-16), **style)
    if not axes.lines:
        axes.text(0.5, 0.5, "no difference", transform=axes.transAxes, ha="center", color=TEXT)
        axes.set(yticks=[], xlim=(comparison.times[0], comparison.times[-1]))
    axes.set(ylabel=_lines(f"distance to the {comparison.held_against}"), title="State error")
    _time_axis(axes, comparison)


def plane(hamiltonian: Hamiltonian, field: VectorField, q: Array, p: Array) -> tuple[Array, Array]:
    """Energy (len(p), len(q)) and rates of change (len(p), len(q), 2) of a system with one degree of freedom.

    Args:
        hamiltonian: the energy, true or learned (``Dynamics.hamiltonian``).
        field: the vector field (``Dynamics.field``).
        q: coordinates of the grid's columns.
        p: momenta of its rows.
    """
    states = np.stack(np.meshgrid(q, p), axis=-1)
    return hamiltonian.value(states), field(states)


def landscape(axes: Axes, q: Array, p: Array, energy: Array, rates: Array | None = None, *, levels: Any = 16) -> None:
    """Contours of an energy over the phase plane, and arrows of the flow.

    Args:
        axes: where to draw.
        q: coordinates of the columns.
        p: momenta of the rows.
        energy: shape (len(p), len(q)).
        rates: [q', p'] at every point, shape (len(p), len(q), 2); None for no arrows.
        levels: of the contours, how many or which.
    """
    drawn = axes.contour(q, p, energy, levels=levels, cmap="viridis", linewidths=1.1)
    if rates is not None:
        rows, columns = (slice(size // 30, None, max(1, size // 15)) for size in energy.shape)
        arrows = rates[rows, columns]
        axes.quiver(q[columns], p[rows], arrows[..., 0], arrows[..., 1], color=TEXT, width=0.004, alpha=0.8)
    axes.set(xlim=(q[0], q[-1]), ylim=(p[0], p[-1]), xlabel="q", ylabel="p")
    axes.figure.colorbar(drawn, ax=axes, shrink=0.8).ax.tick_params(labelsize=8, colors=TEXT)
    _tidy(axes)


def landscapes_figure(
    q: Array,
    p: Array,
    true: tuple[Array, Array],
    learned: tuple[Array, Array],
    *,
    title: str = "",
    names: tuple[str, str] = ("true", "learned"),
) -> Figure:
    """A learned energy with its flow beside the true one, and how far apart they are.

    Args:
        q: coordinates of the grid's columns.
        p: momenta of its rows.
        true: energy and rates, as ``plane`` gives them.
        learned: the same of the model; an energy is free up to a constant, so its mean is moved to the true one's.
        title: of the figure.
        names: of the two.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    panels = figure.subplots(1, 3)
    energy = learned[0] - learned[0].mean() + true[0].mean()
    levels = np.linspace(true[0].min(), true[0].max(), 17)[1:]
    for axes, name, values, rates in zip(panels[:2], names, (true[0], energy), (true[1], learned[1]), strict=True):
        landscape(axes, q, p, values, rates, levels=levels)
        axes.set_title(f"H and its flow, {name}")
    difference = np.maximum(np.abs(energy - true[0]), 1e-16)
    drawn = panels[2].pcolormesh(q, p, np.log10(difference), cmap="magma", shading="auto", rasterized=True)
    figure.colorbar(drawn, ax=panels[2], shrink=0.8, label="log$_{10}$ of the difference")
    panels[2].set(xlabel="q", title="Where they differ")
    figure.suptitle(title)
    return figure


def energy_drift(
    axes: Axes, times: Array, errors: Mapping[str, Array], *, unit: str = "", roles: Mapping[str, str] | None = None
) -> None:
    """Absolute relative energy errors over time, on logarithmic axes.

    Args:
        axes: where to draw.
        times: shape (records,); where it is 0, the error is 0 and is not drawn.
        errors: one series per physics, shape (records,), or (records, starts) drawn as the median and the range.
        unit: of time.
        roles: what each physics is, as ``Dynamics.role`` says, for the colours; by default its name says it.
    """
    later = np.asarray(times) > 0
    colours = colours_of([(roles or {}).get(name, name) for name in errors])
    for (name, values), colour in zip(errors.items(), colours, strict=True):
        size = np.maximum(np.abs(np.asarray(values)[later]), 1e-17)
        if size.ndim > 1:
            axes.fill_between(times[later], size.min(axis=1), size.max(axis=1), color=colour, alpha=0.15)
            size = np.median(size, axis=1)
        axes.loglog(times[later], size, label=_label(name), **_style(name, colour))
    axes.set(xlabel=f"time ({unit})" if unit else "time", ylabel="relative energy error", title="Energy drift")
    axes.legend(frameon=False)
    _tidy(axes)


def latent_space(axes: Axes, latents: Array, angles: Array) -> None:
    """The latent plane of a model that is learned from frames, coloured by the angle that it was never told.

    Args:
        axes: where to draw.
        latents: encoded frames, shape (records, 2).
        angles: true angles, rad, shape (records,).
    """
    drawn = axes.scatter(latents[:, 0], latents[:, 1], c=angles, cmap="twilight", s=6)
    axes.figure.colorbar(drawn, ax=axes, shrink=0.8, label="true angle (rad)")
    axes.set(xlabel="latent $z_1$", ylabel="latent $z_2$", title="Latent space")
    _tidy(axes)


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


def _curves(spec: SystemSpec, states: Array) -> list[tuple[Array, Array]]:
    q, p = split(states)
    if not spec.bodies:
        return [(q[:, 0], p[:, 0])]
    return [(q[:, column], q[:, column + 1]) for column in range(0, q.shape[-1], 2)]


def _styled(comparison: Comparison) -> list[tuple[Track, dict[str, Any]]]:
    """The tracks and how their lines are drawn."""
    colours = colours_of([track.role for track in comparison.tracks])
    return [(track, _style(track.dynamics, colour)) for track, colour in zip(comparison.tracks, colours, strict=True)]


def _style(dynamics: str, colour: str) -> dict[str, Any]:
    return {"color": colour, **STYLE.get(dynamics, OTHER_STYLE)}


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
    axes.set_xlabel(f"time ({comparison.spec.time_unit or DIMENSIONLESS})")
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=TEXT)
    axes.grid(visible=True, color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
