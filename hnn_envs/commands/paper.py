"""``hnn-envs benchmark paper``: the seed paper's tables again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from hnn_envs.commands.console import Jobs, check_file, check_folder, console, counting, names_in, plain_errors, say
from hnn_envs.errors import InvalidOptionError
from hnn_envs.evaluation.records import Row

METRICS = {
    "test_loss": "test loss",
    "test_loss_increment": "test loss, increment",
    "test_loss_reclocked": "test loss, re-clocked",
    "test_loss_reclocked_less_hnn": "re-clocked less HNN's",
    "energy_mse": "energy MSE",
    "energy_mse_rescaled": "energy MSE, rescaled",
    "energy_mse_wide": "energy MSE, wide",
    "energy_mse_without_mirror": "energy MSE, no mirror",
    "seconds_to_hnn_loss": "s to the HNN's loss",
    "time_ratio": "of the seed's time",
}
NOTES = """\
Rescaled: time run through 1.09 times as fast, as in the paper. Increment: x' read as the difference over the sampling
interval that it is. Re-clocked: x' = s(H) J grad H, s fitted to the noisy training states. Wide: films that start
anywhere within 30 degrees, not near 17 as the paper's. Limit: what no model can do better, or none whose V is not even
by construction; of films, one who knows the pendulum and their first two frames. Seconds of the seed's way: 100 steps,
extrapolated to all."""


def paper(
    systems: Annotated[str, typer.Option(help="Systems, separated by commas; by default all.")] = "",
    dynamics: Annotated[str, typer.Option(help="Models, such as paper/hnn,paper/structured; by default all.")] = "",
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Start from the data, not from shipped checkpoints.")
    ] = False,
    seeds: Annotated[
        Optional[int],  # noqa: UP045 - typer
        typer.Option(min=1, help="Seeds of data and training, with --retrain; by default 5."),
    ] = None,
    jobs: Jobs = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="File or folder of the measured series, for real-pendulum; or set HNN_ENVS_DATA."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for results and retrained checkpoints.", file_okay=False)] = Path(
        "runs/paper"
    ),
    json: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Where to write the rows; by default OUT/paper.json.", dir_okay=False),
    ] = None,
) -> None:
    """Test loss and energy MSE of the seed paper's models and of ours, beside the published numbers.

    With --retrain every model is trained on every seed; interrupted, the command goes on where it was when run again.
    """
    from hnn_envs.benchmarks.paper.suite import Retraining, run
    from hnn_envs.evaluation.records import write_rows

    results = json or out / "paper.json"
    with plain_errors(), counting() as bar:
        if seeds is not None and not retrain:
            raise InvalidOptionError("--seeds says how many seeds to train, which needs --retrain")
        check_folder(out)
        check_file(results)
        task = bar.add_task("paper", total=None)
        rows = run(
            names_in(systems),
            names_in(dynamics),
            data_path=data,
            retraining=Retraining(out=out, **({} if seeds is None else {"seeds": seeds})) if retrain else None,
            jobs=jobs,
            progress=lambda done, total, words: bar.update(
                task, description=f"paper: done with {words}", completed=done, total=total
            ),
            filming=lambda done, frames, _: bar.update(
                task, description="paper: filming", completed=done, total=frames
            ),
            message=say,
        )
        write_rows(results, rows)
    for name in dict.fromkeys(row.system for row in rows):
        console.print(_table(name, [row for row in rows if row.system == name]))
    errors = "over seeds" if retrain else "over the test's trajectories and starts"
    say(NOTES.replace("\n", " "))
    say(f"Standard errors are {errors}. Published: arXiv 1906.01563; re-run: the authors' code, once.")
    say(f"results: {results}")


def _table(system: str, rows: Sequence[Row]) -> Table:
    from hnn_envs.benchmarks.paper.published import PAPER, RERUN, TARGETS

    table = Table(title=system, box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("model")
    table.add_column("metric")
    for title in ("value", "published", "re-run", "target"):
        table.add_column(title, justify="right")
    table.add_column("")
    shown = ""
    for row in rows:
        key = (system, row.metric, row.dynamics)
        target = TARGETS.get((system, row.metric)) if row.dynamics == "paper/structured" else None
        verdict = "" if target is None else "met" if row.value <= target else "missed"
        value = _short(row.value) + ("" if row.stderr is None else f" ± {_short(row.stderr, 0)}")
        model, shown = "" if row.dynamics == shown else row.dynamics.removeprefix("paper/"), row.dynamics
        held = (_short(one) for one in (PAPER.get(key), RERUN.get(key), target))
        table.add_row(model, METRICS.get(row.metric, row.metric), value, *held, verdict)
    return table


def _short(value: float | None, digits: int = 2) -> str:
    """Such as 3.59e-2; nothing for None."""
    if value is None:
        return ""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"
