"""How much experience agents need until they solve a task: a dot per seed, a line at the median, tasks across."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from hnn_envs.drawing.colors import BASELINE, GUIDE, HNN, OTHER, SPARE, TEXT
from hnn_envs.evaluation.metrics import upper_median

STYLES: dict[str, tuple[str, str, str]] = {
    "trigonometric": (HNN, "o", "HNN, planned in"),
    "trigonometric+ppo": ("#56B4E9", "s", "HNN, PPO trained in it"),
    "gaussian-process": (OTHER, "v", "Gaussian process"),
    "sindy": (SPARE[2], "X", "SINDy"),
    "pets": (BASELINE, "^", "networks (PETS)"),
    "sac": (SPARE[1], "D", "SAC, no model"),
    "ppo": (TEXT, "P", "PPO, no model"),
}
"""Colour (Okabe and Ito, Tol), marker and title, from the top of a panel down."""
NEVER = 3.0
"""Where seeds are drawn that never solved a task: so many times beyond the slowest that did."""
APART = 6.0
"""Ratio of that to the last tick before it, at least: their words need room."""
JITTER = 0.22
"""How far dots are spread up and down, as a share of the distance between two agents."""


@dataclass(frozen=True)
class SecondsUntilSolved:
    """An agent on a task.

    Attributes:
        task: its name.
        agent: a key of ``STYLES``, or another name.
        seconds: of each seed; infinite where it never solved the task.
        target: what was asked for; None where nothing was.
    """

    task: str
    agent: str
    seconds: tuple[float, ...]
    target: float | None = None


def seconds_figure(found: Sequence[SecondsUntilSolved]) -> Figure:
    """Panels of tasks, with the agents of all of them from top to bottom."""
    tasks = list(dict.fromkeys(each.task for each in found))
    order = [*STYLES, *(each.agent for each in found if each.agent not in STYLES)]
    agents = sorted({each.agent for each in found}, key=order.index)
    size = 2.2 + 2.7 * max(1, len(tasks)), 1.3 + 0.36 * max(1, len(agents))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, max(1, len(tasks)), squeeze=False, sharey=True)[0]
    known = [value for each in found for value in each.seconds if math.isfinite(value)]
    slowest = max(known, default=1.0)
    for axes, task in zip(panels, tasks, strict=False):
        _panel(axes, [each for each in found if each.task == task], agents, NEVER * slowest)
        axes.set_title(task)
        axes.set_xlabel("experience (s)")
    panels[0].set_yticks(range(len(agents)), [STYLES.get(agent, ("", "", agent))[2] for agent in agents])
    panels[0].set_ylim(len(agents) - 0.5, -0.5)
    figure.suptitle("Noisy experience until a trial is solved: a dot for each seed, a bar at the median")
    return figure


def _panel(axes: Axes, found: Sequence[SecondsUntilSolved], agents: Sequence[str], never: float) -> None:
    """One task; what never solved it is drawn beyond a line at the right, hollow."""
    for each in found:
        colour, marker, _ = STYLES.get(each.agent, (TEXT, "o", each.agent))
        values, place = np.sort(np.array(each.seconds)), agents.index(each.agent)
        solved = np.isfinite(values)
        heights = place + JITTER * np.linspace(-1, 1, len(values)) if len(values) > 1 else np.full(1, float(place))
        axes.plot(values[solved], heights[solved], marker, color=colour, markersize=5, alpha=0.8, linestyle="none")
        axes.plot(
            np.full((~solved).sum(), never), heights[~solved], marker, color=colour, markersize=5, fillstyle="none"
        )
        median = upper_median(values)
        middle = median if math.isfinite(median) else never
        axes.plot([middle, middle], [place - 0.38, place + 0.38], color=colour, linewidth=2.2)
        if each.target is not None:
            axes.axvline(each.target, color=GUIDE, linewidth=1.2, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlim(1.0, never * 2.0)
    ticks = [10.0**power for power in range(math.floor(math.log10(never / APART)) + 1)]
    axes.set_xticks([*ticks, never], [*(f"{tick:g}" for tick in ticks), "never"])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.axvline(never / math.sqrt(NEVER), color=GUIDE, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=TEXT)
    axes.grid(visible=True, which="major", axis="x", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
