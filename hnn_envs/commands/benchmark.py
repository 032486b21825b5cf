"""``hnn-envs benchmark``: measure what is shipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from hnn_envs.commands import speed
from hnn_envs.commands.console import Jobs, check_file, check_folder, console, names_in, plain_errors, say, timing
from hnn_envs.commands.learning import learning
from hnn_envs.commands.paper import paper
from hnn_envs.commands.seconds import seconds
from hnn_envs.commands.transfer import transfer
from hnn_envs.evaluation.records import Row

app = typer.Typer(help="Measure the shipped physics.", no_args_is_help=True)
app.command()(speed.speed)
app.command()(transfer)
app.command()(paper)
app.command()(learning)
app.command()(seconds)

STABILITY_COLUMNS = {
    "max_relative_energy_error": "energy",
    "significant_drift": "drift",
    "valid_prediction_time": "valid",
    "reversal_error": "reversal",
    "microseconds_per_step": "us",
}


@app.command()
def stability(
    steps: Annotated[int, typer.Option(min=1, help="Environment steps, up to millions: they are streamed.")] = 1000,
    starts: Annotated[int, typer.Option(min=1, help="Initial states per system.")] = 16,
    systems: Annotated[str, typer.Option(help="Systems, separated by commas; by default all.")] = "",
    dynamics: Annotated[
        str, typer.Option(help="Physics, such as ode,hnn,paper/*; by default the ODE and all shipped checkpoints.")
    ] = "",
    integrators: Annotated[
        str, typer.Option(help="Integrators; 'default' is each physics' own, 'all' is all that fit.")
    ] = "default",
    jobs: Jobs = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the initial states.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for results and kept work.", file_okay=False)] = Path(
        "runs/stability"
    ),
    json: Annotated[
        Optional[Path], typer.Option(help="Where to write the rows; by default OUT/stability.json.", dir_okay=False)  # noqa: UP045
    ] = None,
) -> None:
    """Run every physics from many unseen starts for a long time: energy, prediction, reversal, symplecticity, speed.

    Killed, it goes on where it was when run again with the same options.
    """
    from hnn_envs.benchmarks.stability.suite import run
    from hnn_envs.evaluation.records import write_rows

    results = json or out / "stability.json"
    with plain_errors(), timing() as bar:
        check_folder(out)
        check_file(results)
        task = bar.add_task("stability", total=None)
        rows = run(
            names_in(systems),
            names_in(dynamics),
            names_in(integrators),
            steps=steps,
            starts=starts,
            seed=seed,
            jobs=jobs,
            folder=out,
            progress=lambda done, total, _: bar.update(task, completed=done, total=total),
            message=say,
        )
        write_rows(results, rows)
    console.print(_stability_table(rows, steps, starts))
    say(f"results: {results}, {out / 'stability.csv'}, {out / 'curves.csv'}")
    say("to see them: hnn-envs report")


def _stability_table(rows: Sequence[Row], steps: int, starts: int) -> Table:
    values = {(row.system, row.dynamics, row.metric): row for row in rows}
    title = f"{steps} steps from {starts} starts; energy error; valid: periods or Lyapunov times; us per step"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("system", no_wrap=True)
    table.add_column("physics", no_wrap=True)
    for column in STABILITY_COLUMNS.values():
        table.add_column(column, justify="right", no_wrap=True)
    previous = ""
    for system, dynamics in dict.fromkeys((row.system, row.dynamics) for row in rows):
        cells = []
        for metric in STABILITY_COLUMNS:
            # Where the true energy is not known, it is the learned one's error.
            names = (metric, metric.replace("energy", "learned_energy"))
            found = [values[system, dynamics, name] for name in names if (system, dynamics, name) in values]
            cells.append(_shown(found[0] if found else None, metric))
        # Of a file the table shows its name: with its folders no other column would fit beside it.
        shown = Path(dynamics).name if dynamics.endswith(".safetensors") else dynamics
        table.add_row(system if system != previous else "", escape(shown), *cells)
        previous = system
    return table


def _shown(row: Row | None, metric: str) -> str:
    if row is None:
        return "-"
    if metric == "significant_drift":
        return "yes" if row.value else "none"
    if metric == "valid_prediction_time":
        return f"{row.value:.3g}"
    if metric == "microseconds_per_step":
        return f"{row.value:,.0f}"
    return "diverged" if math.isinf(row.value) else f"{row.value:.1e}"
