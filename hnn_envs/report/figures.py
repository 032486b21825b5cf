"""The figures of the page, as the dictionaries that Plotly draws from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hnn_envs.drawing.colors import TEXT, colour_of
from hnn_envs.systems import get_spec

Figure = dict[str, Any]
Curve = dict[str, Any]
"""An entry of curves.json, as ``hnn_envs.benchmarks.stability.suite`` writes it."""

FLOOR = 1e-17  # a logarithmic axis has no zero
KINDS = {"mass-spring": "spring"} | dict.fromkeys(("pendulum", "real-pendulum", "pixel-pendulum"), "pendulum")
PLANE = {
    "mass-spring": ("displacement q", "momentum p"),
    "pendulum": ("angle q (rad)", "momentum p"),
    "real-pendulum": ("angle q (rad)", "angular velocity p (rad/s)"),
    "pixel-pendulum": ("angle q (rad)", "momentum p (kg m\N{SUPERSCRIPT TWO}/s)"),
}
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


def line_of(dynamics: str, *, thin: bool = False) -> dict[str, Any]:
    """Colour by kind; the paper's models dashed, other integrators dotted."""
    base, _, integrator = dynamics.partition("@")
    dash = "dot" if integrator else "dash" if "/" in base else "solid"
    width = 3.5 if base == "ode" and not thin else 1.8
    return {"color": colour_of(base), "dash": dash, "width": width}


def label_of(dynamics: str) -> str:
    """What a reader calls a physics."""
    return {"ode": "ODE", "hnn": "HNN"}.get(dynamics, dynamics)


def system_figures(system: str, curves: Sequence[Curve]) -> dict[str, Figure]:
    """All figures of one system, by the id of their place on the page."""
    ordered = in_order(curves)
    return {
        "energy": _over_time(
            ordered, "energy_error_max", "Energy error, largest of all starts", "relative energy error"
        ),
        "error": _over_time(ordered, "state_rmse", "State error", "rms distance to the truth"),
        "first": _portrait(system, ordered, "first", "The first steps"),
        "last": _portrait(system, ordered, "last", "The last steps"),
    }


def _over_time(curves: Sequence[Curve], quantity: str, title: str, axis: str) -> Figure:
    data = []
    for curve in curves:
        scale = get_spec(curve["system"]).time_scale
        points = [
            (when / scale, max(value, FLOOR))
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
                "line": line_of(curve["dynamics"]),
                "hovertemplate": "%{y:.2e} after %{x:.3g}",
            }
        )
    return {"data": data, "layout": layout(title, powers(time_axis(curves)), powers(axis))}


def time_axis(curves: Sequence[Curve]) -> str:
    """What time is counted in."""
    chaotic = curves and curves[0]["system"] == "three-body"
    return "time (Lyapunov times)" if chaotic else "time (periods)"


def _portrait(system: str, curves: Sequence[Curve], part: str, title: str) -> Figure:
    data = []
    for curve in _truth_first(curves):
        for number, (horizontal, vertical) in enumerate(_paths(system, curve[part])):
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
                    "line": line_of(curve["dynamics"]),
                    "hoverinfo": "name",
                }
            )
    x, y = PLANE.get(system, ("position x", "position y"))
    left, right, low, high = _frame(system, curves, part)
    horizontal_axis: dict[str, Any] = {"title": x, "range": [left, right]}
    vertical_axis: dict[str, Any] = {"title": y, "range": [low, high]}
    if system not in PLANE:
        vertical_axis |= {"scaleanchor": "x", "scaleratio": 1}
    return {"data": data, "layout": layout(title, horizontal_axis, vertical_axis)}


def _paths(system: str, states: Sequence[Sequence[float | None]]) -> list[tuple[list[Any], list[Any]]]:
    """The curves that a trajectory draws: (q, p), or each body in the plane."""
    columns = [(0, 1)] if system in PLANE else [(2 * body, 2 * body + 1) for body in range(len(states[0]) // 4)]
    return [([state[i] for state in states], [state[j] for state in states]) for i, j in columns]


def _frame(system: str, curves: Sequence[Curve], part: str) -> tuple[float, float, float, float]:
    """What the ODE fills, with a margin: a physics that diverges must not make the others invisible."""
    shown = [curve for curve in curves if curve["dynamics"] == "ode"] or list(curves[:1])
    paths = [path for curve in shown for path in _paths(system, curve[part])]
    sides = []
    for axis in (0, 1):
        values = [value for path in paths for value in path[axis] if value is not None] or [-1.0, 1.0]
        margin = 0.15 * max(max(values) - min(values), 1e-3)
        sides += [min(values) - margin, max(values) + margin]
    return sides[0], sides[1], sides[2], sides[3]


def animation(system: str, curves: Sequence[Curve]) -> dict[str, Any]:
    """What the canvas plays: the first start under several physics, the truth wide and hollow below the others."""
    shown = [curve for curve in in_order(curves) if "@" not in curve["dynamics"]][:PER_ANIMATION]
    kind, dof = KINDS.get(system, "bodies"), get_spec(system).dof
    reach = 1.0
    if kind != "pendulum":
        truth = shown[0]["first"]
        reach = max(abs(value) for state in truth for value in state[:dof] if value is not None)
    tracks = [
        {
            "name": label_of(curve["dynamics"]),
            "colour": line_of(curve["dynamics"])["color"] if "/" not in curve["dynamics"] else "#7a8087",
            "hollow": curve["dynamics"] == "ode",
            "states": [_positions(state, kind) for state in curve["first"]],
        }
        for curve in _truth_first(shown)
    ]
    scale = get_spec(system).time_scale
    count = max(len(track["states"]) for track in tracks)
    return {"kind": kind, "reach": 1.15 * reach, "dt": shown[0]["dt"], "scale": scale, "count": count, "tracks": tracks}


def _positions(state: Sequence[float | None], kind: str) -> list[float | None]:
    """What the painters need: bodies keep their momenta's places, so that their number can be told."""
    return [None if value is None else round(value, 4) for value in (state if kind == "bodies" else state[:1])]


def bars(title: str, axis: str, values: Sequence[tuple[str, str, float, float | None]]) -> Figure:
    """One group of bars per system: (system, dynamics, value, standard error), on a logarithmic axis."""
    data = []
    for dynamics in sorted({entry[1] for entry in values}, key=lambda name: (_place(name), name)):
        mine = [entry for entry in values if entry[1] == dynamics and entry[2] > 0 and math.isfinite(entry[2])]
        data.append(
            {
                "type": "bar",
                "name": label_of(dynamics),
                "x": [entry[0] for entry in mine],
                "y": [entry[2] for entry in mine],
                "error_y": {"type": "data", "array": [entry[3] or 0 for entry in mine], "thickness": 1},
                "marker": {"color": colour_of(dynamics.partition("@")[0]), "pattern": {"shape": _pattern(dynamics)}},
                "hovertemplate": "%{x}: %{y:.3g}",
            }
        )
    return {"data": data, "layout": layout(title, {"title": ""}, powers(axis), barmode="group", bargap=0.25)}


def _pattern(dynamics: str) -> str:
    return "." if "@" in dynamics else "/" if "/" in dynamics else ""
