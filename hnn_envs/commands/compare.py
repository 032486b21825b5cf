"""``hnn-envs compare``: several physics from the same start."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.markup import escape
from rich.table import Table

from hnn_envs.commands.console import check_folder, console, counting, names_in, plain_errors, say
from hnn_envs.errors import InvalidOptionError

if TYPE_CHECKING:
    from hnn_envs.evaluation.comparison import Comparison

DEFAULT_SYSTEMS = "pendulum,two-body"
DEFAULT_PERIODS = 20.0


def compare(
    names: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer
        typer.Argument(metavar="SYSTEM ...", help="What --systems takes, one by one."),
    ] = None,
    systems: Annotated[
        str,
        typer.Option(
            help="Systems, tasks, or checkpoints that say what they are of, separated by commas; by default "
            f"{DEFAULT_SYSTEMS}."
        ),
    ] = "",
    dynamics: Annotated[
        str, typer.Option(help="Physics to compare, separated by commas; by default the ODE, hnn and baseline.")
    ] = "",
    periods: Annotated[
        Optional[float],  # noqa: UP045 - typer
        typer.Option(help="Length, in periods (of chaotic systems: Lyapunov times); by default 20."),
    ] = None,
    seed: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, help="Draw the start from the task's own; by default a telling one."),
    ] = None,
    integrator: Annotated[
        Optional[str], typer.Option(help="Integrator for all; by default each physics' own.")  # noqa: UP045
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="File or folder of the measured series, for real-pendulum; by default HNN_ENVS_DATA."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the plot and the GIF.", file_okay=False)] = Path("runs/compare"),
    gif: Annotated[bool, typer.Option(help="Whether to draw the GIF, too.")] = True,
) -> None:
    """Roll out several physics from the same start: a table, a plot and a GIF side by side.

    With the measured series at hand, real-pendulum is held against that instead of against the ODE, unless another
    length or start than the series' own is asked for. A system whose equations are not known is held against the first
    physics, and what was learned of it, if it is alone, against itself in half its step.
    """
    from hnn_envs.evaluation.subjects import Subject
    from hnn_envs.recordings.measured import SYSTEM, VARIABLE
    from hnn_envs.tasks import TASKS

    chosen, own_start = [*(names or ()), *names_in(systems)], seed is not None or periods is not None
    physics = names_in(dynamics) if dynamics else None
    with plain_errors():
        if not chosen and not systems:
            chosen = names_in(DEFAULT_SYSTEMS)
        if not chosen:
            raise InvalidOptionError("name at least one system, such as pendulum")
        for system in chosen:
            Subject.of(system)
        if data is not None and SYSTEM not in chosen:
            raise InvalidOptionError(f"--data is for {SYSTEM}, not for {', '.join(chosen)}")
        if data is not None and own_start:
            raise InvalidOptionError("--data brings its own start and length, which --seed and --periods cannot change")
        check_folder(out)
        series = data or (None if own_start else os.environ.get(VARIABLE))
        length = DEFAULT_PERIODS if periods is None else periods
        for system in chosen:
            measured = series if system == SYSTEM else None
            comparison = _rolled_out(system, physics, measured, length, seed, integrator)
            # The name of a task stands for its system, of which there may be several tasks.
            _show(comparison, system if system in TASKS else comparison.spec.name, out, gif=gif)


def _rolled_out(
    system: str, names: list[str] | None, series: str | None, periods: float, seed: int | None, integrator: str | None
) -> Comparison:
    """Rolls out the physics of one system, and says on a terminal which."""
    from hnn_envs.evaluation.comparison import compare, compare_with_measurement

    with console.status(f"{system}: rolling out") as status:

        def progress(done: float, total: float, name: str) -> None:
            status.update(f"{system}: rolling out {name}")

        if series:
            return compare_with_measurement(series, names, integrator=integrator, progress=progress)
        return compare(system, names, periods=periods, seed=seed, integrator=integrator, progress=progress)


def _show(comparison: Comparison, name: str, folder: Path, *, gif: bool) -> None:
    """Prints the table, and draws the plot and the animation."""
    from hnn_envs.figures.plots import comparison_figure
    from hnn_envs.storage import write_atomically

    console.print(_comparison_table(comparison, name))
    if comparison.held_against not in ("ODE", "measurement"):
        say(
            f"the equations of {comparison.spec.name} are not known: errors are against {comparison.held_against}; "
            f"drifts are of the {comparison.energy_name}"
        )
    buffer = BytesIO()
    comparison_figure(comparison).savefig(buffer, format="png", dpi=150)
    write_atomically(folder / f"{name}.png", buffer.getvalue())
    say(f"plot: {folder / name}.png")
    if gif:
        _draw(comparison, folder / f"{name}.gif")


def _draw(comparison: Comparison, path: Path) -> None:
    from hnn_envs.figures.animation import write_gif

    with counting() as bar:
        drawing = bar.add_task(f"{comparison.spec.name}: drawing")
        write_gif(comparison, path, progress=lambda done, total, _: bar.update(drawing, completed=done, total=total))
    say(f"animation: {path}")


def _comparison_table(comparison: Comparison, name: str) -> Table:
    spec = comparison.spec
    length = comparison.times[-1] - comparison.times[0]
    scales, scale = length / spec.time_scale, spec.time_scales
    table = Table(title=f"{name}: time {length:.4g}, {scales:.3g} {scale}, against the {comparison.held_against}")
    table.add_column("physics")
    for title in ("energy drift", "state error", "time per step"):
        table.add_column(title, justify="right")
    for track in comparison.tracks:
        numbers = (f"{track.energy_drift:.2e}", f"{track.state_error:.2e}", f"{track.microseconds:,.0f} us")
        table.add_row(escape(track.dynamics), *numbers)
    return table
