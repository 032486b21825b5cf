"""The page: its sections, and everything that it needs inlined, so that it works without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from hnn_envs.report.figures import animation, bars, system_figures
from hnn_envs.report.sources import Material, collect
from hnn_envs.report.tables import escapes_table, paper_table, rows_table, stability_table, targets_table
from hnn_envs.storage import write_atomically
from hnn_envs.version import __version__

LEAD = (
    "The same systems, stepped by their true equations (ODE), by a Hamiltonian neural network (HNN) that learned the "
    "energy, and by a plain network (baseline) that learned the motion. Black is the truth everywhere, blue an HNN, "
    "orange a baseline; dashed are the models of the seed paper."
)


def write_report(sources: Sequence[Path], out: Path) -> None:
    """Writes the page.

    Args:
        sources: results files, or folders of them.
        out: the HTML file; written atomically.

    Raises:
        ResultsError: results that are missing, damaged, or of another version.
    """
    write_atomically(out, render(collect(sources)).encode())


def render(material: Material) -> str:
    """The page as HTML."""
    from plotly.offline import get_plotlyjs

    sections, overall = _sections(material)
    by_system = {name: [c for c in material.curves if c["system"] == name] for name in material.systems}
    shown = {name: curves for name, curves in by_system.items() if curves}
    data = {
        "figures": {name: system_figures(curves) for name, curves in shown.items()},
        "animations": {name: animation(curves) for name, curves in shown.items()},
        "overall": overall,
    }
    parts = {
        "CSS": _asset("page.css"),
        "LEAD": LEAD,
        "SECTIONS": "\n".join(sections),
        "FOOTER": f"Made by hnn_envs {__version__} with <code>hnn-envs report</code>.",
        "PLOTLY": get_plotlyjs(),
        "DATA": _inline(data),
        "SCRIPT": _asset("page.js"),
    }
    # In one pass: what stands for a part may itself have what looks like a placeholder.
    return re.sub("@@([A-Z]+)@@", lambda place: parts[place[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (files("hnn_envs.report") / name).read_text(encoding="utf-8")


def _inline(data: Any) -> str:
    """JSON that may stand inside a script element, whatever its strings are."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _sections(material: Material) -> tuple[list[str], dict[str, Any]]:
    """The page's sections, and the figures that are not of one system."""
    stability, paper = material.suite("stability"), material.suite("paper")
    sections, overall = [], {}
    if stability:
        asked = f'<div id="asked">{targets_table(stability, material.spec)}</div>'
        sections.append(_section("What was asked, and what was measured", asked, _TARGETS))
    if paper:
        sections.append(_section("The seed paper's table", paper_table(paper), _PAPER))
    if material.curves:
        names = [name for name in material.systems if any(curve["system"] == name for curve in material.curves)]
        sections.append(_system_section(names))
    valid = [row for row in stability if row.metric == "valid_prediction_time"]
    if valid:
        sections.append(_section("How long a prediction is valid", _place("valid"), _VALID))
        overall["valid"] = bars("", "periods, Lyapunov times", valid, material.roles())
    overall |= _speed_figures(material, sections)
    if stability:
        sections.append(_section("All of the stability benchmark", stability_table(stability), _STABILITY))
    escapes = escapes_table(stability)
    if escapes:
        sections.append(_section("Three bodies, statistically", escapes, _ESCAPES))
    others = dict.fromkeys(row.suite for row in material.rows if row.suite not in ("stability", "paper"))
    sections += [_section(f"The {escape(name)} benchmark", rows_table(material.suite(name))) for name in others]
    sections.append(_section("What was run on what", _machines(material)))
    return sections, overall


def _speed_figures(material: Material, sections: list[str]) -> dict[str, Any]:
    """Microseconds per step, as the speed benchmark measured them; as stability did, where that was not run."""
    for suite in ("speed", "stability"):
        rows = [row for row in material.suite(suite) if row.metric == "microseconds_per_step" and row.system]
        if rows:
            sections.append(_section("Speed", _place("speed"), _SPEED))
            return {"speed": bars("", "microseconds per step", rows, material.roles())}
    return {}


def _section(title: str, body: str, note: str = "") -> str:
    words = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{title}</h2>{words}{body}</section>"


def _place(name: str) -> str:
    return f'<div class="figure" id="{name}"></div>'


def _system_section(names: Sequence[str]) -> str:
    """The figures and the animation of one system at a time, with buttons to choose it."""
    buttons = "".join(
        f'<button type="button" data-system="{escape(name)}" aria-pressed="false">{escape(name)}</button>'
        for name in names
    )
    stage = (
        '<div class="stage"><canvas id="canvas" role="img" aria-label="animation of all physics"></canvas>'
        '<div class="controls"><button type="button" id="play" aria-pressed="false">Play</button>'
        '<input type="range" id="scrub" min="0" value="0" aria-label="time"><span class="clock" id="clock"></span>'
        '<button type="button" id="speed-button">Speed 1 x</button></div>'
        '<div class="controls" id="legend"></div></div>'
    )
    return (
        f'<section><h2>System by system</h2><nav aria-label="system">{buttons}</nav>'
        f'<p class="note">{_OVERLAID}</p>{stage}'
        f'<p class="note">{_CURVES}</p><div class="pair">{_place("energy")}{_place("error")}</div>'
        f'<p class="note">{_PORTRAITS}</p><div class="pair">{_place("first")}{_place("last")}</div></section>'
    )


def _machines(material: Material) -> str:
    lines = [
        f"{escape(name)}: "
        + escape(", ".join(f"{key} {value}" for key, value in machine.items()) or "machine not recorded")
        for name, machine in material.machines.items()
    ]
    runs: dict[str, list[str]] = {}
    for curve in material.curves:
        what = (
            f"{curve['system']}, {curve['steps']:,} steps of {curve['dt']:.4g} from {curve['starts']} starts "
            f"(seed {curve['seed']})"
        )
        how = f"{curve['dynamics']} ({curve['integrator']}, {curve['substeps']} substeps)"
        runs.setdefault(what, []).append(how)
    lines += [escape(f"{what}: {', '.join(how)}") for what, how in runs.items()]
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f'<ul class="note">{items}</ul>'


_TARGETS = "The default HNN with its default integrator, at the horizon that was run."
_PAPER = (
    "Mean square error of the predicted derivative on the test share, and of the true energy along rollouts from "
    "unseen states, by the protocol of Greydanus, Dzamba and Yosinski (2019)."
)
_OVERLAID = "One start under every physics at once. The truth is drawn as a ring, what was learned as a disc over it."
_CURVES = "From many starts; both axes are logarithmic. A line ends where the first of its trajectories diverges."
_PORTRAITS = "The first start over the first 400 steps, and over the last 400 of the whole run."
_VALID = (
    "Median time until the squared error exceeds 2.5 % of the squared size of the motion (after Botev et al. 2021). "
    "A bar that ends at the horizon is a lower bound."
)
_ESCAPES = (
    "Single trajectories of a chaotic system cannot be predicted, their statistics can. p is the chance that the times "
    "would differ so much if they were of the ODE's distribution (log-rank test; what had not happened at the end of "
    "the run counts as censored)."
)
_SPEED = "One step of one state on one core; less is better."
_STABILITY = "What each number means is written where it is computed, in <code>hnn_envs/evaluation/metrics.py</code>."
