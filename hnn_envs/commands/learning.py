"""``hnn-envs benchmark learning``: how far ahead models see, against how long they watched, with noise and without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from hnn_envs.commands.console import (
    Jobs,
    check_file,
    check_folder,
    console,
    counting,
    names_in,
    numbers_in,
    plain_errors,
    say,
)
from hnn_envs.evaluation.records import Row


def learning(
    systems: Annotated[
        str, typer.Option(help="Systems, separated by commas; by default pendulum,cart-pole,double-pendulum,two-body.")
    ] = "",
    dynamics: Annotated[
        str,
        typer.Option(
            help="Models, of trigonometric,mechanical,pairwise,mlp,gaussian-process,sindy, and hnn,baseline for the "
            "shipped recipes; by default all."
        ),
    ] = "",
    seconds: Annotated[
        str, typer.Option(help="How long systems are watched, from 1, separated by commas; by default 3,30.")
    ] = "",
    noise: Annotated[
        str, typer.Option(help="Standard deviations of the noise on states, separated by commas; by default 0,0.01.")
    ] = "",
    full: Annotated[
        bool, typer.Option("--full", help="1,3,10,30,100,300 seconds and noise 0,0.001,0.01 where not said otherwise.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Recordings of each kind, and fits.")] = 1,
    starts: Annotated[int, typer.Option(min=1, help="Unseen runs that are foretold.")] = 64,
    minutes: Annotated[float, typer.Option(min=0.001, help="Work for a fit, as of hnn-envs learn.")] = 0.5,
    jobs: Jobs = None,
    out: Annotated[Path, typer.Option(help="Folder for results, figure and kept work.", file_okay=False)] = Path(
        "runs/learning"
    ),
    json: Annotated[
        Optional[Path],  # noqa: UP045 - typer
        typer.Option(help="Where to write the rows; by default OUT/learning.json.", dir_okay=False),
    ] = None,
) -> None:
    """Fit models to recordings of true systems, and see how long they foretell unseen runs under random inputs.

    Killed, it goes on with the fits that are left when run again with the same OUT. The Gaussian process and SINDy need
    the extra `rivals` of hnn_envs.
    """
    from hnn_envs.benchmarks.learning import FULL_NOISE, FULL_SECONDS, curves_of, run
    from hnn_envs.evaluation.records import write_rows
    from hnn_envs.figures.learning import learning_figure

    results, picture = json or out / "learning.json", out / "learning.png"
    with plain_errors(), counting() as bar:
        check_folder(out)
        check_file(results)
        task = bar.add_task("learning", total=None)
        rows = run(
            names_in(systems),
            names_in(dynamics),
            seconds=numbers_in(seconds, "seconds") or (FULL_SECONDS if full else ()),
            noise=numbers_in(noise, "noise") or (FULL_NOISE if full else ()),
            seeds=seeds,
            starts=starts,
            minutes=minutes,
            jobs=jobs,
            folder=out,
            progress=lambda done, total, what: bar.update(task, description=what, completed=done, total=total),
            message=say,
        )
        write_rows(results, rows)
        figure = learning_figure(curves_of(rows))
        for path in (picture, picture.with_suffix(".svg")):
            figure.savefig(path, dpi=120)
    for name in dict.fromkeys(row.system for row in rows):
        console.print(learning_table(rows, name))
    for row in rows:
        if row.reference is not None:
            asked = f"{row.reference:g} {row.unit} are asked for"
            say(f"{row.system}: predictions of {row.dynamics} stay valid for {row.value:.3g}; {asked}")
    say(f"results: {results}, {picture}, {picture.with_suffix('.svg')}")


def learning_table(rows: Sequence[Row], system: str) -> Table:
    """Prediction times and errors of all models of a system, those under one condition together."""
    from hnn_envs.benchmarks.learning import read_label

    found = {(row.dynamics, row.metric): row for row in rows if row.system == system}
    labels = list(dict.fromkeys(label for label, metric in found if metric == "valid_prediction_time"))
    unit = next((row.unit for row in found.values() if row.metric == "valid_prediction_time"), "")
    title = f"{system}: valid prediction time in {unit}; error after one"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("watched", "noise", "model", "valid", "quartiles", "error", "fit"):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)

    def order(label: str) -> tuple[float, float, int]:
        condition = read_label(label)[1]
        return condition.noise, condition.seconds, condition.seed

    for label in sorted(labels, key=order):
        model, condition = read_label(label)

        def value(metric: str, label: str = label) -> float:
            return found[label, metric].value

        low, high = value("valid_prediction_time_low"), value("valid_prediction_time_high")
        table.add_row(
            f"{condition.seconds:g}",
            f"{condition.noise:g}",
            escape(model) + (f" seed {condition.seed}" if condition.seed else ""),
            f"{value('valid_prediction_time'):.3g}",
            f"{low:.3g} to {high:.3g}",
            f"{value('prediction_error'):.1e}",
            f"{value('fitting_time'):.0f} s",
        )
    return table
