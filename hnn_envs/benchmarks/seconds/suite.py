"""The seconds benchmark: which cells there are, how they are run, and the rows that they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hnn_envs.benchmarks.jobs import processes, results_of
from hnn_envs.benchmarks.learning.rivals import is_installed
from hnn_envs.benchmarks.seconds.cells import OURS, Cell, Result, check_agent, run_cell, suits
from hnn_envs.benchmarks.seconds.challenges import GYMNASIUM, OWN, challenge_of, step_of
from hnn_envs.errors import InvalidOptionError
from hnn_envs.evaluation.metrics import upper_median
from hnn_envs.evaluation.records import Row
from hnn_envs.figures.seconds import SecondsUntilSolved
from hnn_envs.progress import Progress, silent

SUITE = "seconds"
SEEDS = 20
SHARE = 0.9
"""Of the seeds, that is to solve a task within its target."""


def run(
    tasks: Sequence[str] = (),
    agents: Sequence[str] = (),
    *,
    seeds: int = SEEDS,
    first_seed: int = 0,
    jobs: int | None = 1,
    folder: Path = Path("runs/seconds"),
    progress: Progress = silent,
    message: Callable[[str], object] = lambda _: None,
) -> list[Row]:
    """Runs the benchmark, or what is left of it.

    Args:
        tasks: names of upright tasks, or "Pendulum-v1" and "InvertedDoublePendulum-v5"; none for the four of this
            package.
        agents: of ``AGENTS``; none for ours.
        seeds: how many.
        first_seed: the first of them.
        jobs: processes, each with one thread; by default one per core.
        folder: where what has been done is kept, in ``cells``.
        progress: told how many cells are done.
        message: called with a line about everything that is left out, and why.

    Raises:
        UnknownNameError: a task or agent that does not exist.
        InvalidOptionError: an option that is out of range, or nothing is left to run.
        ResultsError: kept work that cannot be used.
    """
    cells = make_cells(tasks, agents, seeds, first_seed, message)
    kept = folder / "cells"
    kept.mkdir(parents=True, exist_ok=True)
    results: dict[Cell, Result] = {}
    progress(0, len(cells), SUITE)
    for cell, result in zip(cells, results_of(partial(run_cell, folder=kept), cells, processes(jobs)), strict=True):
        results[cell] = result
        progress(len(results), len(cells), f"{cell.task}, {cell.label}")
    groups = dict.fromkeys((cell.task, cell.agent) for cell in cells)
    return [row for task, agent in groups for row in _rows(task, agent, results)]


def make_cells(
    tasks: Sequence[str],
    agents: Sequence[str],
    seeds: int,
    first_seed: int,
    message: Callable[[str], object] = lambda _: None,
) -> list[Cell]:
    """All that is run, seed by seed; see ``run``."""
    if seeds < 1 or first_seed < 0:
        raise InvalidOptionError(f"seeds must be positive and first_seed at least 0, not {seeds} and {first_seed}")
    chosen = [*dict.fromkeys(agents or (OURS,))]
    asked = [*dict.fromkeys(tasks or OWN)]
    for agent in chosen:
        check_agent(agent)
    for task in asked:
        challenge_of(task)
    missing = [agent for agent in chosen if not is_installed(agent)]
    if missing:
        message(f'left out: {", ".join(missing)}; install hnn_envs with the extra "rivals" to have them measured')
    there = [agent for agent in chosen if agent not in missing]
    pairs = [(task, agent) for task in asked for agent in there if suits(agent, task)]
    if not pairs:
        raise InvalidOptionError(f"nothing to run: none of {', '.join(chosen)} is there for {', '.join(asked)}")
    return [Cell(task, agent, first_seed + seed) for seed in range(seeds) for task, agent in pairs]


def _rows(task: str, agent: str, results: dict[Cell, Result]) -> list[Row]:
    """Of an agent on a task: of each seed, the median, the share within the target, and what it took."""
    found = {cell: result for cell, result in results.items() if (cell.task, cell.agent) == (task, agent)}
    asked = challenge_of(task)
    seconds = np.array([result.seconds for result in found.values()], dtype=np.float64)
    target = asked.target if agent == OURS else None
    rows = [
        Row(SUITE, task, cell.label, "seconds_until_solved", result.seconds, unit="s", reference=target)
        for cell, result in found.items()
    ]
    middle = upper_median(seconds)
    rows.append(Row(SUITE, task, agent, "median_seconds_until_solved", middle, unit="s", reference=target))
    rows.append(Row(SUITE, task, agent, "solved_share", float(np.isfinite(seconds).mean())))
    if target is not None:
        rows.append(Row(SUITE, task, agent, "share_within_target", float((seconds <= target).mean()), reference=SHARE))
    shares = [result.share for result in found.values() if result.share is not None]
    if shares:
        rows.append(Row(SUITE, task, agent, "policy_solved_share", float(np.mean(shares))))
    if task in GYMNASIUM:
        rows.append(Row(SUITE, task, agent, "median_transitions_until_solved", middle / step_of(asked)))
    work = float(np.median([each.work for each in found.values()]))
    return [*rows, Row(SUITE, task, agent, "median_work", work, unit="s")]


def seconds_of(rows: Sequence[Row], task: str, agent: str) -> list[float]:
    """Experience until solved of every seed of an agent on a task, from rows."""
    return [
        row.value
        for row in rows
        if row.metric == "seconds_until_solved" and row.system == task and row.dynamics.rpartition("@")[0] == agent
    ]


def agents_of(rows: Sequence[Row]) -> list[SecondsUntilSolved]:
    """What the figure shows: every agent on every task."""
    return [
        SecondsUntilSolved(row.system, row.dynamics, tuple(seconds_of(rows, row.system, row.dynamics)), row.reference)
        for row in rows
        if row.metric == "median_seconds_until_solved"
    ]
