"""The learning benchmark: which cells there are, how they are run, and the rows that they give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hnn_envs.benchmarks.jobs import processes, results_of
from hnn_envs.benchmarks.learning.cells import Cell, Condition, Result, read_label, run_cell
from hnn_envs.benchmarks.learning.models import MODELS, RECIPES, check_model, is_recipe, suits
from hnn_envs.benchmarks.learning.rivals import is_installed
from hnn_envs.benchmarks.learning.watching import UNSEEN_SCALES, UNSEEN_STEPS, unseen_runs
from hnn_envs.errors import InvalidOptionError
from hnn_envs.evaluation.metrics import upper_median
from hnn_envs.evaluation.records import Row
from hnn_envs.figures.learning import LearningCurve
from hnn_envs.progress import Progress, silent
from hnn_envs.systems import get_spec

SUITE = "learning"
SYSTEMS = ("pendulum", "cart-pole", "double-pendulum", "two-body")
SECONDS = (3.0, 30.0)
NOISE = (0.0, 1e-2)
FULL_SECONDS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
FULL_NOISE = (0.0, 1e-3, 1e-2)
STARTS = 64
MINUTES = 0.5
TARGET = 10.0
"""Lyapunov times that the median prediction of the default HNN is asked to stay valid for, from a minute of chaos."""


def run(
    systems: Sequence[str] = (),
    models: Sequence[str] = (),
    *,
    seconds: Sequence[float] = (),
    noise: Sequence[float] = (),
    seeds: int = 1,
    starts: int = STARTS,
    minutes: float = MINUTES,
    jobs: int | None = 1,
    folder: Path = Path("runs/learning"),
    progress: Progress = silent,
    message: Callable[[str], object] = lambda _: None,
) -> list[Row]:
    """Runs the benchmark, or what is left of it.

    Args:
        systems: names; none for ``SYSTEMS``.
        models: of ``MODELS``, "hnn" and "baseline" for the shipped recipes, or names of other recipes, such as
            "default/hnn"; none for ``MODELS``, and the two under the condition of their target.
        seconds: how long systems are watched; none for ``SECONDS``, and a minute for recipes.
        noise: standard deviations of the noise on states; none for ``NOISE``, and none at all for recipes.
        seeds: of recordings and fits, from 0 on.
        starts: unseen runs that are foretold.
        minutes: of work for a fit, as for ``hnn_envs.learn``; recipes say themselves how much they do.
        jobs: processes, each with one thread; by default one per core.
        folder: where what has been done is kept, in ``cells``.
        progress: told how many cells are done.
        message: called with a line about everything that is left out, and why.

    Raises:
        UnknownNameError: a system or model that does not exist.
        InvalidOptionError: an option that is out of range, or nothing is left to run.
        ResultsError: kept work that cannot be used.
    """
    cells = make_cells(systems, models, seconds, noise, seeds, starts, minutes, message)
    kept = folder / "cells"
    kept.mkdir(parents=True, exist_ok=True)
    rows, order = [], list(dict.fromkeys(cell.system for cell in cells))
    for system in order:
        rows += _of_unseen_runs(system, starts)
    results = _run_all(cells, kept, processes(jobs), progress)
    for cell in sorted(cells, key=lambda cell: order.index(cell.system)):
        if results[cell].failure:
            message(f"{cell.system}: {cell.label} is left out: {results[cell].failure}")
        else:
            rows += _rows(cell, results[cell])
    return rows


def make_cells(
    systems: Sequence[str],
    models: Sequence[str],
    seconds: Sequence[float],
    noise: Sequence[float],
    seeds: int,
    starts: int,
    minutes: float,
    message: Callable[[str], object] = lambda _: None,
) -> list[Cell]:
    """All that is run, in an order in which the first results say something about all systems; see ``run``."""
    _check(seconds, noise, seeds, starts, minutes)
    chosen = [*models] or [*MODELS, *RECIPES]
    for name in chosen:
        check_model(name)
    missing = [name for name in chosen if not is_installed(name)]
    if missing:
        message(f'left out: {", ".join(missing)}; install hnn_envs with the extra "rivals" to have them measured')
    cells = []
    for system in systems or SYSTEMS:
        spec = get_spec(system)
        for name in chosen:
            if name in missing:
                continue
            if suits(name, spec):
                cells += [
                    Cell(system, name, each, starts, minutes) for each in _conditions(name, seconds, noise, seeds)
                ]
            elif models:
                message(f"{system}: {name} is left out: {_unsuited(name)}")
    if not cells:
        raise InvalidOptionError(f"nothing to run: none of {', '.join(chosen)} is there for {', '.join(systems)}")
    order = [*dict.fromkeys(cell.condition for cell in cells)]
    return sorted(cells, key=lambda cell: order.index(cell.condition))


def _unsuited(name: str) -> str:
    if is_recipe(name):
        return "there is no recipe of this name that fits positions and velocities that were watched"
    return "it is of bodies that attract each other" if name == "pairwise" else "it is of links and joints"


def _conditions(name: str, seconds: Sequence[float], noise: Sequence[float], seeds: int) -> list[Condition]:
    usual = Condition()
    times = seconds or ((usual.seconds,) if is_recipe(name) else SECONDS)
    sizes = noise or ((usual.noise,) if is_recipe(name) else NOISE)
    return [Condition(float(time), float(size), seed) for seed in range(seeds) for size in sizes for time in times]


def _check(seconds: Sequence[float], noise: Sequence[float], seeds: int, starts: int, minutes: float) -> None:
    for value in seconds:
        if not 1 <= value <= 1000:
            raise InvalidOptionError(f"seconds must be from 1 to 1000, not {value:g}")
    for value in noise:
        if not 0 <= value <= 1:
            raise InvalidOptionError(f"noise must be from 0 to 1, not {value:g}")
    if seeds < 1 or starts < 1 or not 0 < minutes <= 1000:
        raise InvalidOptionError(
            f"seeds and starts must be positive integers and minutes a number up to 1000, "
            f"not {seeds}, {starts} and {minutes:g}"
        )


def _run_all(cells: Sequence[Cell], folder: Path, jobs: int, progress: Progress) -> dict[Cell, Result]:
    results: dict[Cell, Result] = {}
    progress(0, len(cells), SUITE)
    for cell, result in zip(cells, results_of(partial(run_cell, folder=folder), cells, jobs), strict=True):
        results[cell] = result
        progress(len(results), len(cells), f"{cell.system}, {cell.label}")
    return results


def _of_unseen_runs(system: str, starts: int) -> list[Row]:
    spec, unseen = get_spec(system), unseen_runs(system, starts)
    length = float(unseen.times[-1]) / unseen.time_scale
    rows = [Row(SUITE, system, "ode", "unseen_time", length, unit=spec.time_scales)]
    if spec.chaotic:
        rows.append(Row(SUITE, system, "ode", "lyapunov_time", unseen.time_scale, unit=spec.time_unit))
    return rows


def _rows(cell: Cell, result: Result) -> list[Row]:
    spec, name = get_spec(cell.system), cell.label
    low, median, high = (float(each) for each in np.quantile(result.valid, (0.25, 0.5, 0.75)))
    asked = TARGET if name == "hnn" and spec.chaotic else None
    unit = spec.time_scales
    return [
        Row(SUITE, cell.system, name, "valid_prediction_time", median, unit=unit, reference=asked),
        Row(SUITE, cell.system, name, "valid_prediction_time_low", low, unit=unit),
        Row(SUITE, cell.system, name, "valid_prediction_time_high", high, unit=unit),
        Row(SUITE, cell.system, name, "prediction_error", upper_median(result.error)),
        Row(SUITE, cell.system, name, "fitting_time", result.fitting_time, unit="s"),
    ]


def curves_of(rows: Sequence[Row]) -> list[LearningCurve]:
    """What the figure shows: valid prediction time against seconds watched, the median over seeds."""
    found: dict[tuple[str, float, str], dict[float, list[tuple[float, float, float]]]] = {}
    table = {(row.system, row.dynamics, row.metric): row.value for row in rows}
    for system, label, metric in table:
        if metric != "valid_prediction_time":
            continue
        model, condition = read_label(label)
        points = found.setdefault((system, condition.noise, model), {})
        ends = (table[system, label, f"{metric}{end}"] for end in ("_low", "", "_high"))
        low, median, high = ends
        points.setdefault(condition.seconds, []).append((low, median, high))
    curves = []
    for (system, noise, model), points in found.items():
        spec, seconds = get_spec(system), tuple(sorted(points))
        low, median, high = np.transpose([np.median(points[time], axis=0) for time in seconds]).tolist()
        longest = table.get((system, "ode", "unseen_time"), math.inf)
        units = spec.time_unit, spec.time_scales, longest
        curves.append(LearningCurve(system, noise, model, seconds, tuple(low), tuple(median), tuple(high), *units))
    return curves


__all__ = ["UNSEEN_SCALES", "UNSEEN_STEPS", "curves_of", "make_cells", "run"]
