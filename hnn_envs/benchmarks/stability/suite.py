"""What is left after a long time: every system under every physics, from many starts, up to a million steps.

``run`` gives rows; what each metric means is said where it is computed, in ``hnn_envs.evaluation.metrics``.
"""

from __future__ import annotations

import csv
import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.jobs import processes
from hnn_envs.benchmarks.stability.cells import REFERENCE, Cell, Checks, load_cell, make_cells, run_cell
from hnn_envs.benchmarks.stability.streaming import Plan, Trace, energies_of
from hnn_envs.dynamics import Dynamics
from hnn_envs.evaluation.metrics import (
    energy_trend,
    relative_energy_error,
    rounding_walk,
    same_survival,
    state_rmse,
    valid_prediction_time,
)
from hnn_envs.evaluation.records import CURVES_FORMAT, Row
from hnn_envs.progress import Progress, silent
from hnn_envs.storage import write_atomically
from hnn_envs.systems import SystemSpec
from hnn_envs.version import __version__

SUITE = "stability"
DEFAULT_STEPS = 1000
DEFAULT_STARTS = 16
TARGETS = {"max_relative_energy_error": 1e-3, "reversal_error": 1e-6, "symplecticity_defect": 1e-9}
"""What the default HNN is asked for, at most."""
THROUGH_ENCOUNTERS = {
    "ode": {"max_relative_energy_error": 1e-8},
    "hnn": {"median_relative_energy_error": 1e-4, "relative_energy_error_95": 1e-2},
}
"""What is asked for beside, of bodies that meet."""
CURVE_POINTS = 200
POLL_SECONDS = 0.5
FEWEST_BATCHES = 8  # a shorter run says nothing about a trend


def run(
    systems: Sequence[str] = (),
    dynamics: Sequence[str] = (),
    integrators: Sequence[str] = (),
    *,
    steps: int = DEFAULT_STEPS,
    starts: int = DEFAULT_STARTS,
    seed: int = 0,
    jobs: int | None = None,
    folder: Path = Path("runs/stability"),
    progress: Progress = silent,
    message: Callable[[str], object] = lambda words: None,
) -> list[Row]:
    """Runs the benchmark, or what is left of it, and writes ``stability.csv``, ``curves.csv`` and ``curves.json``.

    Where the equations of a system are not known, all are held against the first learned physics, energies are those
    that each has learned, and metrics of them are called that, such as "max_relative_learned_energy_error".

    Args:
        systems: names, "module:object", or paths of checkpoints; none for all that can be run.
        dynamics: "ode", "hnn", "paper/*", a path, ...; none for the ODE and all shipped checkpoints.
        integrators: names, "default" (the physics' own, as when none is given) or "all".
        steps: environment steps, from each start.
        starts: initial states per system, drawn by ``seed``.
        seed: of the initial states.
        jobs: processes, each with one thread; by default one per core.
        folder: where results go, and where what has been done is kept in ``cells``.
        progress: told how far it is, in seconds of one core as estimated at the start.
        message: called with a line about every system that is left out, and why.

    Raises:
        HnnEnvsError: what cannot be run, or kept work that cannot be used.
    """
    cells = make_cells(systems, dynamics, integrators, steps, starts, seed, message)
    _run_cells(cells, folder / "cells", processes(jobs), progress)
    rows, curves = [], []
    for name in dict.fromkeys(cell.system for cell in cells):
        loaded = {cell.label: (cell, *load_cell(cell, folder / "cells")) for cell in cells if cell.system == name}
        _, reference, _ = loaded.pop(REFERENCE)
        for cell, trace, checks in loaded.values():
            ode = loaded["ode"][1] if "ode" in loaded and cell.dynamics != "ode" else None
            rows += _rows(cell, trace, checks, reference, ode)
            curves.append(_curve(cell, trace, reference))
    _write(folder, rows, curves)
    return rows


def _run_cells(cells: Sequence[Cell], folder: Path, jobs: int, progress: Progress) -> None:
    """Runs all cells, the longest first so that no core waits for it in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    costs = {cell: _cost(cell) for cell in cells}
    ordered = sorted(cells, key=lambda cell: -costs[cell])
    with _watched(costs, folder, progress):
        if jobs == 1:
            for cell in ordered:
                run_cell(cell, folder)
            return
        with parallel_config("loky", inner_max_num_threads=1):
            Parallel(n_jobs=jobs)(delayed(run_cell)(cell, folder) for cell in ordered)


def _cost(cell: Cell) -> float:
    """Seconds that a cell will take, from three of its steps; the first compiles, or reads what was compiled."""
    made, states = cell.make(), cell.states()
    made.step(states)
    began = time.perf_counter()
    for _ in range(3):
        made.step(states)
    return (time.perf_counter() - began) / 3 * cell.steps


@contextmanager
def _watched(costs: dict[Cell, float], folder: Path, progress: Progress) -> Iterator[None]:
    """Reports progress while cells run in other processes, which leave the steps that they have done in files."""
    stop = threading.Event()
    counters = {cell.path(folder).with_suffix(".steps"): (cost, cell.steps) for cell, cost in costs.items()}
    total = sum(costs.values())

    def look() -> None:
        while not stop.wait(POLL_SECONDS):
            progress(sum(cost * _count(path) / steps for path, (cost, steps) in counters.items()), total, SUITE)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        for path in counters:
            path.unlink(missing_ok=True)
    progress(total, total, SUITE)


def _count(path: Path) -> int:
    try:
        return int(path.read_text() or 0)
    except (OSError, ValueError):  # not begun, or being written
        return 0


def _rows(cell: Cell, trace: Trace, checks: Checks | None, reference: Trace, ode: Trace | None) -> list[Row]:
    """All metrics of a cell."""
    dynamics = cell.make()
    plan, spec = cell.plan(dynamics), dynamics.spec
    found = [
        *_energy_rows(trace, plan, dynamics),
        *_prediction_rows(trace, plan, reference, spec),
        *(_check_rows(checks, trace, plan) if checks is not None else ()),
        *(_body_rows(trace, plan, ode, dynamics) if spec.bodies else ()),
    ]
    targets = TARGETS if cell.label == "hnn" else {}
    if spec.bodies and spec.chaotic:
        targets = targets | THROUGH_ENCOUNTERS.get(cell.label, {})
    return [
        Row(SUITE, spec.name, cell.label, _named(metric, dynamics), value, stderr, unit, targets.get(metric))
        for metric, value, stderr, unit in found
    ]


Entry = tuple[str, float, float | None, str]
"""Metric, value, standard error and unit."""


def _named(metric: str, dynamics: Dynamics) -> str:
    """The name of a metric; where the true energy is not known, it says that it is of the learned one."""
    return metric if dynamics.truth is not None else metric.replace("energy", "learned_energy")


def _energy_rows(trace: Trace, plan: Plan, dynamics: Dynamics) -> list[Entry]:
    if dynamics.truth is None and dynamics.hamiltonian is None:
        return []
    return _energy_entries(trace, plan, dynamics.spec)


def _energy_entries(trace: Trace, plan: Plan, spec: SystemSpec) -> list[Entry]:
    squares = np.where(np.isnan(trace.squares), np.inf, trace.squares) / plan.steps
    mean, error = _mean(squares)
    entries: list[Entry] = [
        ("energy_mse", mean, error, "energy^2"),
        ("max_relative_energy_error", float(trace.largest.max()), None, "1"),
        ("relative_energy_error_95", float(np.quantile(trace.largest, 0.95, method="higher")), None, "1"),
        ("median_relative_energy_error", float(np.median(trace.largest)), None, "1"),
    ]
    times, means = _batches(trace, plan, spec)
    # Where the energy decays, so does its error, and a trend says nothing.
    if len(times) < FEWEST_BATCHES or spec.dissipative:
        return entries
    with np.errstate(invalid="ignore", over="ignore"):
        trend = energy_trend(times, means, floor=rounding_walk(plan.steps * plan.substeps))
    per = f"1/{spec.time_scales.removesuffix('s')}"
    return [
        *entries,
        ("energy_trend", trend.slope, trend.stderr, per),
        ("energy_trend_low", trend.low, None, per),
        ("energy_trend_high", trend.high, None, per),
        ("drifting_starts", float(trend.drifting), None, "starts"),
        ("significant_drift", float(trend.significant), None, "0 or 1"),
    ]


def _batches(trace: Trace, plan: Plan, spec: SystemSpec) -> tuple[Array, Array]:
    """Middle times and means of batches of at least a period each: shorter ones would show the motion as a trend."""
    merged = max(1, math.ceil(spec.time_scale / (plan.batch * plan.dt)))
    whole = plan.steps // plan.batch // merged
    means = trace.means[: whole * merged].reshape(whole, merged, plan.starts).mean(axis=1)
    return (np.arange(whole) + 0.5) * merged * plan.batch * plan.dt / spec.time_scale, means


def _prediction_rows(trace: Trace, plan: Plan, reference: Trace, spec: SystemSpec) -> list[Entry]:
    times = plan.records * plan.dt / spec.time_scale
    with np.errstate(all="ignore"):
        valid = valid_prediction_time(times, trace.records, reference.records, spec.angles)
        error = state_rmse(trace.records, reference.records, spec.angles)
    clipped = np.sort(np.minimum(valid, times[-1]))
    return [
        ("valid_prediction_time", float(np.median(clipped)), _median_error(clipped), spec.time_scales),
        ("valid_to_the_end", float(np.isinf(valid).mean()), None, "share of starts"),
        ("state_rmse", float(error[-1]), None, "state"),
        ("horizon", float(times[-1]), None, spec.time_scales),
        ("starts", float(plan.starts), None, "starts"),
    ]


def _check_rows(checks: Checks, trace: Trace, plan: Plan) -> list[Entry]:
    entries: list[Entry] = [
        ("symplecticity_defect", max(checks.defect), None, "1"),
        ("microseconds_per_step", checks.microseconds, None, "us"),
        ("microseconds_per_step_batched", 1e6 * trace.seconds / (plan.steps * plan.starts), None, "us"),
    ]
    if checks.reversal:
        entries.append(("reversal_error", max(checks.reversal), None, "1"))
        entries.append(("reversal_steps", float(checks.reversal_steps), None, "steps"))
    return entries


def _body_rows(trace: Trace, plan: Plan, ode: Trace | None, dynamics: Dynamics) -> list[Entry]:
    """What bodies have beside: conserved momenta, and for three of them encounters and escapes."""
    momentum, angular = trace.changes.max(axis=1)
    conserved: list[Entry] = [
        ("momentum_drift", float(momentum), None, "momentum"),
        ("angular_momentum_drift", float(angular), None, "angular momentum"),
    ]
    entries = conserved if dynamics.truth is not None else []
    if not dynamics.spec.chaotic:
        return entries
    escapes = _times(trace.escape, plan)
    entries += [
        ("max_relative_energy_error_apart", float(trace.largest_apart.max()), None, "1"),
        ("median_relative_energy_error_apart", float(np.median(trace.largest_apart)), None, "1"),
        ("encountered", float((trace.encounter >= 0).mean()), None, "share of starts"),
        ("escaped", float(np.isfinite(escapes).mean()), None, "share of starts"),
        ("escape_time", float(np.median(np.minimum(escapes, plan.steps * plan.dt))), None, "time"),
    ]
    if ode is not None and plan.starts > 1:
        for name, mine, true in (("escape", trace.escape, ode.escape), ("encounter", trace.encounter, ode.encounter)):
            entries.append((f"{name}_p_value", _same(_times(mine, plan), _times(true, plan), plan), None, "p"))
    return entries


def _times(steps: Array, plan: Plan) -> Array:
    """Steps of events as times; infinite where there was none."""
    return np.where(steps < 0, np.inf, steps * plan.dt)


def _same(times: Array, others: Array, plan: Plan) -> float:
    """Whether event times are of one distribution; from disjoint halves of the starts, so that they are independent."""
    return same_survival(times[0::2], others[1::2], plan.steps * plan.dt)


def _mean(values: Array) -> tuple[float, float | None]:
    if len(values) < 2 or not np.isfinite(values).all():
        return float(values.mean()), None
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def _median_error(ordered: Array) -> float | None:
    """Standard error of a median: half the distance of the order statistics one standard deviation of rank away."""
    count = len(ordered)
    if count < 4:
        return None
    away = 0.5 * math.sqrt(count)
    low, high = math.floor(count / 2 - away), math.ceil(count / 2 + away) - 1
    return float(ordered[min(count - 1, high)] - ordered[max(0, low)]) / 2


def _curve(cell: Cell, trace: Trace, reference: Trace) -> dict[str, Any]:
    """What plots need of a cell: errors over time, thinned, and the first start's states, early and late."""
    dynamics = cell.make()
    spec, plan = dynamics.spec, cell.plan(dynamics)
    kept = _thinned(len(plan.records))
    with np.errstate(all="ignore"):
        energies = energies_of(dynamics, trace.records[kept])
        error = relative_energy_error(energies, trace.targets[kept], trace.targets[0])
        size = np.where(np.isfinite(error), np.abs(error), np.inf)
        rmse = state_rmse(trace.records[kept], reference.records[kept], spec.angles)
    return {
        "system": spec.name,
        "spec": spec.as_table(),
        "dynamics": cell.label,
        "role": dynamics.role,
        "energy": "true" if dynamics.truth is not None else "learned",
        "integrator": plan.integrator,
        "steps": plan.steps,
        "starts": plan.starts,
        "seed": plan.seed,
        "dt": plan.dt,
        "substeps": plan.substeps,
        "time": _plain(plan.records[kept] * plan.dt),
        "energy_error_median": _plain(np.median(size, axis=1)),
        "energy_error_max": _plain(size.max(axis=1)),
        "state_rmse": _plain(rmse),
        "first": _plain(trace.first),
        "last": _plain(trace.last),
    }


def _thinned(count: int) -> Array:
    return np.unique(np.linspace(0, count - 1, min(CURVE_POINTS, count)).astype(int))


def _plain(values: Array) -> list[Any]:
    """Numbers as JSON has them: seven digits, None for what is not finite."""
    if values.ndim > 1:
        return [_plain(row) for row in values]
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in values.tolist()]


def _write(folder: Path, rows: Sequence[Row], curves: Sequence[dict[str, Any]]) -> None:
    names = ("suite", "system", "dynamics", "metric", "value", "stderr", "unit", "reference")
    table = [[getattr(row, name) for name in names] for row in rows]
    write_atomically(folder / "stability.csv", _csv(names, table))
    quantities = ("energy_error_median", "energy_error_max", "state_rmse")
    points = [
        [curve["system"], curve["dynamics"], when, name, value]
        for curve in curves
        for name in quantities
        for when, value in zip(curve["time"], curve[name], strict=True)
    ]
    write_atomically(folder / "curves.csv", _csv(("system", "dynamics", "time", "metric", "value"), points))
    content = {"format": CURVES_FORMAT, "version": __version__, "curves": list(curves)}
    write_atomically(folder / "curves.json", json.dumps(content, allow_nan=False).encode())


def _csv(names: Sequence[str], table: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(table)
    return text.getvalue().encode()
