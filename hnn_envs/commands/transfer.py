"""``hnn-envs benchmark transfer``: agents trained under each physics, played under the ODE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from hnn_envs.commands.console import Jobs, check_file, check_folder, console, names_in, plain_errors, say, timing
from hnn_envs.evaluation.records import Row

Values = dict[tuple[str, str, str], float]
"""(task, agent, metric) -> value"""


def transfer(
    tasks: Annotated[
        str, typer.Option(help="Tasks, separated by commas; by default all that agents are trained for.")
    ] = "",
    dynamics: Annotated[
        str, typer.Option(help="Physics that agents were trained in, of ode,hnn,baseline; by default all.")
    ] = "",
    seeds: Annotated[
        Optional[int],  # noqa: UP045 - typer
        typer.Option(min=1, help="Training seeds; by default 5 to train, and to play those that are there."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes per training seed.")] = 20,
    policies: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of the policies; by default the shipped ones, or OUT/policies.", file_okay=False),
    ] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train the agents that are not in POLICIES yet.")] = False,
    hyperparameters: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="YAML file to train by, in rl-baselines3-zoo's form; with --retrain.", dir_okay=False),
    ] = None,
    jobs: Jobs = None,
    out: Annotated[Path, typer.Option(help="Folder for results, logs and retrained policies.", file_okay=False)] = Path(
        "runs/transfer"
    ),
    json: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Where to write the rows; by default OUT/transfer.json.", dir_okay=False),
    ] = None,
) -> None:
    """Train agents in true and in learned physics, and play all in the true one, beside reference controllers.

    Without --retrain the shipped policies are played. With it, what is not trained yet is; interrupted, it goes on with
    the runs that are left. TensorBoard shows OUT/logs where it is installed (the extra `tensorboard` of hnn_envs).
    """
    from hnn_envs.benchmarks.transfer import run
    from hnn_envs.evaluation.records import write_rows

    results = json or out / "transfer.json"
    folder = policies or (out / "policies" if retrain else None)
    with plain_errors(), timing() as bar:
        check_folder(out)
        check_file(results)
        if retrain and folder is not None:
            check_folder(folder)
        task = bar.add_task("transfer", total=None)
        rows = run(
            names_in(tasks),
            names_in(dynamics),
            seeds=seeds,
            episodes=episodes,
            policies=folder,
            retrain=retrain,
            hyperparameters=hyperparameters,
            logs=out / "logs",
            jobs=jobs,
            progress=lambda done, total, what: bar.update(task, description=what, completed=done, total=total),
        )
        write_rows(results, rows)
    for name in dict.fromkeys(row.system for row in rows):
        console.print(transfer_table(rows, name))
    say(
        "Improvement: return beyond a random policy's, as a share of the ode-trained agent's. Belief: return in the\n"
        "agent's own physics less that under the ODE, as a share of the same. Training: steps per second of one core."
    )
    for line in verdict(rows):
        say(line)
    say(f"results: {results}")


def transfer_table(rows: Sequence[Row], task: str) -> Table:
    """Return, improvement, belief and training speed of every agent of a task."""
    values = _values(rows)
    seeds = values.get((task, "ode", "training_seeds"), 0)
    table = Table(title=f"{task}, played under the ODE; {seeds:.0f} training seeds", box=SIMPLE_HEAD)
    table.add_column("agent", no_wrap=True)
    for title in ("return", "95 % interval", "improvement", "belief", "training"):
        table.add_column(title, justify="right")
    for agent in dict.fromkeys(row.dynamics for row in rows if row.system == task):

        def shown(metric: str, form: str, agent: str = agent) -> str:
            return form.format(values[task, agent, metric]) if (task, agent, metric) in values else ""

        interval = f"{shown('return_low', '{:.1f}')} to {shown('return_high', '{:.1f}')}"
        numbers = (shown("relative_improvement", "{:.1%}"), shown("believed_gap", "{:+.1%}"))
        table.add_row(
            escape(agent), shown("return", "{:.1f}"), interval, *numbers, shown("steps_per_second", "{:,.0f}/s")
        )
    return table


def verdict(rows: Sequence[Row]) -> list[str]:
    """The targets, met or not, and where the baseline does as well as the HNN."""
    values, lines = _values(rows), []
    for row in rows:
        if row.dynamics == "hnn" and row.metric == "relative_improvement" and row.reference is not None:
            gap = values[row.system, "hnn", "believed_gap"]
            reached = row.value >= row.reference and abs(gap) < 0.05
            lines.append(
                f"{row.system}: trained under hnn, {row.value:.1%} of the ode-trained agent's improvement, belief off "
                f"by {abs(gap):.1%}: {'targets met' if reached else 'TARGETS MISSED'}{_beside(values, row.system)}"
            )
    return lines


def _beside(values: Values, task: str) -> str:
    """What the baseline does on the same task."""
    hnn, other = (values.get((task, name, "relative_improvement")) for name in ("hnn", "baseline"))
    if hnn is None or other is None:
        return ""
    low, high = (values[task, "baseline", f"relative_improvement_{end}"] for end in ("low", "high"))
    words = "does as well" if other >= hnn else "cannot be told apart" if low <= hnn <= high else "does worse"
    return f"; the baseline {words} ({other:.1%})"


def _values(rows: Sequence[Row]) -> Values:
    return {(row.system, row.dynamics, row.metric): row.value for row in rows}
