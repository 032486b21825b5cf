"""``hnn-envs benchmark seconds``: how much experience agents need until a task is solved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from hnn_envs.commands.console import Jobs, check_file, check_folder, console, counting, names_in, plain_errors, say
from hnn_envs.evaluation.records import Row


def seconds(
    tasks: Annotated[
        str,
        typer.Option(
            help="Tasks, separated by commas: pendulum, cart-pole, acrobot, pendubot (the default), Pendulum-v1 and "
            "InvertedDoublePendulum-v5."
        ),
    ] = "",
    agents: Annotated[
        str,
        typer.Option(
            help="Agents, separated by commas: trigonometric, pets, gaussian-process and sindy, which plan in what "
            "they learn, trigonometric+ppo, a policy trained in that, sac and ppo; by default trigonometric; or all."
        ),
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="How often each agent is tried.")] = 20,
    first_seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    jobs: Jobs = None,
    out: Annotated[Path, typer.Option(help="Folder for results, figure and kept work.", file_okay=False)] = Path(
        "runs/seconds"
    ),
    json: Annotated[
        Optional[Path],  # noqa: UP045 - typer
        typer.Option(help="Where to write the rows; by default OUT/seconds.json.", dir_okay=False),
    ] = None,
) -> None:
    """Measure how many seconds of noisy experience agents need until they solve a task.

    Trials start at rest, hanging, and last 4 s; one is solved where all is upright within 0.25 rad over its last
    second. Experience counts everything that was watched before that trial. Noise of 0.01 is on every position and
    velocity. Killed, it goes on with what is left when run again with the same OUT. The Gaussian process and SINDy need
    the extra `rivals` of hnn_envs.
    """
    from hnn_envs.benchmarks.seconds import AGENTS, agents_of, run
    from hnn_envs.evaluation.records import write_rows
    from hnn_envs.figures.seconds import seconds_figure

    results, picture = json or out / "seconds.json", out / "seconds.png"
    with plain_errors(), counting() as bar:
        check_folder(out)
        check_file(results)
        task = bar.add_task("seconds", total=None)
        rows = run(
            names_in(tasks),
            AGENTS if agents.strip() == "all" else names_in(agents),
            seeds=seeds,
            first_seed=first_seed,
            jobs=jobs,
            folder=out,
            progress=lambda done, total, what: bar.update(task, description=what, completed=done, total=total),
            message=say,
        )
        write_rows(results, rows)
        figure = seconds_figure(agents_of(rows))
        for path in (picture, picture.with_suffix(".svg")):
            figure.savefig(path, dpi=120)
    console.print(seconds_table(rows))
    say(f"results: {results}, {picture}, {picture.with_suffix('.svg')}")


def seconds_table(rows: Sequence[Row]) -> Table:
    """Experience until solved, of all agents on all tasks."""
    from hnn_envs.benchmarks.seconds import seconds_of

    table = Table(title="seconds of experience until solved", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("task", "agent", "median", "all seeds", "target", "within"):
        table.add_column(column, justify="left" if column in ("task", "agent") else "right")
    found = {(row.system, row.dynamics, row.metric): row for row in rows}
    for (task, agent, metric), row in found.items():
        if metric != "median_seconds_until_solved":
            continue
        each = sorted(seconds_of(rows, task, agent))
        target = "" if row.reference is None else f"{row.reference:g}"
        within = "" if row.reference is None else f"{sum(value <= row.reference for value in each)} of {len(each)}"
        spread = f"{_shown(each[0])} to {_shown(each[-1])}"
        table.add_row(task, agent, _shown(row.value), spread, target, within)
    return table


def _shown(value: float) -> str:
    return "never" if value == float("inf") else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
