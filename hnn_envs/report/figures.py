"""The figures of the page, as the dictionaries that Plotly draws from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hnn_envs.drawing.colors import TEXT, colours_of
from hnn_envs.evaluation.records import Row
from hnn_envs.systems import SystemSpec

Figure = dict[str, Any]
Curve = dict[str, Any]
"""An entry of curves.json, as ``hnn_envs.benchmarks.stability.suite`` writes it; "spec" is a ``SystemSpec``."""

FLOOR = 1e-17  # a logarithmic axis has no zero
ORDER = ("ode", "hnn", "baseline", "paper/hnn", "paper/structured", "paper/baseline")
PER_ANIMATION = 4  # physics; more would hide each other


def layout(title: str, x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What all figures share: quiet axes, a legend below, room for a phone."""
    axis = {"gridcolor": "#e8ebee", "zeroline": False, "linecolor": "#aab1b9", "ticks": "outside", "automargin": True}
    return {
        "title": {"text": title, "font": {"size": 15}, "x": 0.02, "xanchor": "left"},
        "font": {"color": TEXT, "size": 12},
        "margin": {"l": 56, "r": 12, "t": 40, "b": 44},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hovermode": "closest",
        "legend": {"orientation": "h", "traceorder": "normal", "y": -0.24, "yanchor": "top"},
        "xaxis": axis | _titled(x),
        "yaxis": axis | _titled(y),
        **more,
    }


def _titled(axis: dict[str, Any]) -> dict[str, Any]:
    words = axis.pop("title")
    return {"title": {"text": words, "standoff": 8}, **axis}


def powers(title: str) -> dict[str, Any]:
    """A logarithmic axis with powers of ten."""
    return {"title": title, "type": "log", "exponentformat": "power", "dtick": None, "nticks": 8}


def in_order(curves: Sequence[Curve]) -> list[Curve]:
    """The ODE, the HNN and the baseline first, then the others by name."""
    return sorted(curves, key=lambda curve: (_place(curve["dynamics"]), curve["dynamics"]))


def _place(dynamics: str) -> int:
    return ORDER.index(dynamics) if dynamics in ORDER else len(ORDER)


def _truth_first(ordered: Sequence[Curve]) -> list[Curve]:
    """In the order of drawing: what comes later lies over what came before, so the HNN is last."""
    return [*ordered[:1], *reversed(ordered[1:])]


def lines_of(curves: Sequence[Curve], *, thin: bool = False) -> list[dict[str, Any]]:
    """Colours by what a physics is; those beside the default ones are dashed, other integrators dotted."""
    return [_line(curve["dynamics"], colour, thin) for curve, colour in zip(curves, _colours(curves), strict=True)]


def _line(dynamics: str, colour: str, thin: bool) -> dict[str, Any]:
    base, _, integrator = dynamics.partition("@")
    dash = "dot" if integrator else "dash" if "/" in base else "solid"
    return {"color": colour, "dash": dash, "width": 3.5 if base == "ode" and not thin else 1.8}


def _colours(curves: Sequence[Curve]) -> list[str]:
    """Of lines of one dash, the second of a role has a colour of its own; another integrator changes no colour."""
    bases = {curve["dynamics"].partition("@")[0]: curve["role"] for curve in in_order(curves)}
    found: dict[str, str] = {}
    for group in ([name for name in bases if "/" not in name], [name for name in bases if "/" in name]):
        found |= zip(group, colours_of([bases[name] for name in group]), strict=True)
    return [found[curve["dynamics"].partition("@")[0]] for curve in curves]


def label_of(dynamics: str) -> str:
    """What a reader calls a physics."""
    return {"ode": "ODE", "hnn": "HNN"}.get(dynamics, dynamics)


def system_figures(curves: Sequence[Curve]) -> dict[str, Figure]:
    """All figures of one system, by the id of their place on the page."""
    ordered = in_order(curves)
    spec, known = ordered[0]["spec"], ordered[0]["energy"] == "true"
    energy = "Energy error" if known else "Error of each one's learned energy"
    truth = "truth" if known else "first physics"
    return {
        "energy": _over_time(spec, ordered, "energy_error_max", f"{energy}, largest of all starts", "relative error"),
        "error": _over_time(spec, ordered, "state_rmse", "State error", f"rms distance to the {truth}"),
        "first": _portrait(spec, ordered, "first", "The first steps"),
        "last": _portrait(spec, ordered, "last", "The last steps"),
    }


def _over_time(spec: SystemSpec, curves: Sequence[Curve], quantity: str, title: str, axis: str) -> Figure:
    data = []
    for curve, line in zip(curves, lines_of(curves), strict=True):
        points = [
            (when / spec.time_scale, max(value, FLOOR))
            for when, value in zip(curve["time"], curve[quantity], strict=True)
            if when > 0 and value is not None
        ]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": label_of(curve["dynamics"]),
                "x": [when for when, _ in points],
                "y": [value for _, value in points],
                "line": line,
                "hovertemplate": "%{y:.2e} after %{x:.3g}",
            }
        )
    return {"data": data, "layout": layout(title, powers(f"time ({spec.time_scales})"), powers(axis))}


def _portrait(spec: SystemSpec, curves: Sequence[Curve], part: str, title: str) -> Figure:
    data = []
    shown = _truth_first(curves)
    for curve, line in zip(shown, lines_of(shown), strict=True):
        for number, (horizontal, vertical) in enumerate(_paths(spec, curve[part])):
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": label_of(curve["dynamics"]),
                    "legendgroup": curve["dynamics"],
                    "legendrank": _place(curve["dynamics"]),
                    "showlegend": number == 0,
                    "x": horizontal,
                    "y": vertical,
                    "line": line,
                    "hoverinfo": "name",
                }
            )
    first = spec.coordinates[0]
    x, y = ("position x", "position y") if spec.bodies else (first.title, first.momentum_title)
    left, right, low, high = _frame(spec, curves, part)
    horizontal_axis: dict[str, Any] = {"title": x, "range": [left, right]}
    vertical_axis: dict[str, Any] = {"title": y, "range": [low, high]}
    if spec.bodies:
        vertical_axis |= {"scaleanchor": "x", "scaleratio": 1}
    return {"data": data, "layout": layout(title, horizontal_axis, vertical_axis)}


def _paths(spec: SystemSpec, states: Sequence[Sequence[float | None]]) -> list[tuple[list[Any], list[Any]]]:
    """The curves that a trajectory draws: (q, p), or each body in the plane."""
    columns = [(2 * body, 2 * body + 1) for body in range(spec.bodies)] or [(0, spec.dof)]
    return [([state[i] for state in states], [state[j] for state in states]) for i, j in columns]


def _frame(spec: SystemSpec, curves: Sequence[Curve], part: str) -> tuple[float, float, float, float]:
    """What the ODE, else the first physics, fills, with a margin: one that diverges must not hide the others."""
    shown = [curve for curve in curves if curve["dynamics"] == "ode"] or list(curves[:1])
    paths = [path for curve in shown for path in _paths(spec, curve[part])]
    sides = []
    for axis in (0, 1):
        values = [value for path in paths for value in path[axis] if value is not None] or [-1.0, 1.0]
        margin = 0.15 * max(max(values) - min(values), 1e-3)
        sides += [min(values) - margin, max(values) + margin]
    return sides[0], sides[1], sides[2], sides[3]


def animation(curves: Sequence[Curve]) -> dict[str, Any]:
    """What the canvas plays: the first start under several physics, the truth wide and hollow below the others."""
    shown = [curve for curve in in_order(curves) if "@" not in curve["dynamics"]][:PER_ANIMATION]
    shown = shown or in_order(curves)[:PER_ANIMATION]
    spec, dt = shown[0]["spec"], shown[0]["dt"]
    reach = 1.0
    if spec.picture != "pendulum":
        columns = [0, spec.dof] if spec.picture == "plane" else range(spec.dof)
        seen = [state[column] for state in shown[0]["first"] for column in columns]
        reach = max((abs(value) for value in seen if value is not None), default=1.0)
    ordered = _truth_first(shown)
    tracks = [
        {
            "name": label_of(curve["dynamics"]),
            "colour": line["color"] if "/" not in curve["dynamics"] else "#7a8087",
            "hollow": curve["role"] == "ode",
            "states": [_positions(state, spec) for state in curve["first"]],
        }
        for curve, line in zip(ordered, lines_of(ordered), strict=True)
    ]
    count = max(len(track["states"]) for track in tracks)
    scene = {"kind": spec.picture, "reach": 1.15 * (reach or 1.0), "dt": dt, "scale": spec.time_scale}
    return {**scene, "count": count, "tracks": tracks}


def _positions(state: Sequence[float | None], spec: SystemSpec) -> list[float | None]:
    """What the painters need: bodies keep their momenta's places, so that their number can be told."""
    needed = {"bodies": state, "plane": [state[0], state[spec.dof]]}.get(spec.picture, state[:1])
    return [None if value is None else round(value, 4) for value in needed]


def bars(title: str, axis: str, values: Sequence[Row], roles: Mapping[str, str]) -> Figure:
    """One group of bars per system, on a logarithmic axis.

    Args:
        title: of the figure.
        axis: what the values are.
        values: one row per system and physics.
        roles: what each physics is, by its name.
    """
    names = sorted({row.dynamics for row in values}, key=lambda name: (_place(name), name))
    colours = _colours([{"dynamics": name, "role": roles.get(name.partition("@")[0], "other")} for name in names])
    data = []
    for dynamics, colour in zip(names, colours, strict=True):
        mine = [row for row in values if row.dynamics == dynamics and row.value > 0 and math.isfinite(row.value)]
        data.append(
            {
                "type": "bar",
                "name": label_of(dynamics),
                "x": [row.system for row in mine],
                "y": [row.value for row in mine],
                "error_y": {"type": "data", "array": [row.stderr or 0 for row in mine], "thickness": 1},
                "marker": {"color": colour, "pattern": {"shape": _pattern(dynamics)}},
                "hovertemplate": "%{x}: %{y:.3g}",
            }
        )
    return {"data": data, "layout": layout(title, {"title": ""}, powers(axis), barmode="group", bargap=0.25)}


def _pattern(dynamics: str) -> str:
    return "." if "@" in dynamics else "/" if "/" in dynamics else ""
