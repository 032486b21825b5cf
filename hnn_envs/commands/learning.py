"""``hnn-envs benchmark learning``: how far models that watched for a minute see ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from hnn_envs.commands.console import check_file, console, names_in, plain_errors, say, timing
from hnn_envs.evaluation.records import Row


def learning(
    dynamics: Annotated[str, typer.Option(help="Models, by the names of their recipes, separated by commas.")] = "",
    seconds: Annotated[float, typer.Option(min=20, help="How long the double pendulum is watched for.")] = 60.0,
    starts: Annotated[int, typer.Option(min=1, help="How many unseen runs of 20 s are foretold.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of the runs and of the fits.")] = 0,
    json: Annotated[
        Optional[Path], typer.Option(help="Where to write the rows.", dir_okay=False)  # noqa: UP045 - typer
    ] = Path("runs/learning/learning.json"),
) -> None:
    """Fit models to a minute of a double pendulum under random torques, and see how long they foretell unseen runs."""
    from hnn_envs.benchmarks.learning import MODELS, Protocol, run
    from hnn_envs.evaluation.records import write_rows

    with plain_errors(), timing() as bar:
        if json is not None:
            check_file(json)
        task = bar.add_task("learning", total=None)

        def told(name: str, stage: int, step: int, steps: int, loss: float) -> None:
            bar.update(task, description=f"{name}, stage {stage + 1}, loss {loss:.1e}", completed=step, total=steps)

        rows = run(names_in(dynamics) or MODELS, Protocol(seconds, starts, seed=seed), told)
        if json is not None:
            write_rows(json, rows)
    console.print(_table(rows))
    if json is not None:
        say(f"results: {json}")


def _table(rows: list[Row]) -> Table:
    table = Table(title="double pendulum under random torques", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("physics", "metric", "value", "unit", "asked"):
        table.add_column(column, justify="right" if column in ("value", "asked") else "left", no_wrap=True)
    for row in rows:
        asked = "" if row.reference is None else f"{row.reference:.3g}"
        table.add_row(row.dynamics, row.metric, f"{row.value:.3g}", row.unit, asked)
    return table
