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


def compare(
    systems: Annotated[
        str,
        typer.Option(help="Systems, or checkpoints that say what they are of, separated by commas."),
    ] = DEFAULT_SYSTEMS,
    dynamics: Annotated[
        str, typer.Option(help="Physics to compare, separated by commas; by default the ODE, hnn and baseline.")
    ] = "",
    periods: Annotated[float, typer.Option(help="Length, in periods (three-body: Lyapunov times).")] = 20,
    seed: Annotated[
        Optional[int],  # noqa: UP045 - typer
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

    With the measured series at hand, real-pendulum is held against that instead of against the ODE. A system whose
    equations are not known is held against the first physics.
    """
    from hnn_envs.evaluation.comparison import compare as compare_physics
    from hnn_envs.evaluation.comparison import compare_with_measurement
    from hnn_envs.evaluation.subjects import Subject
    from hnn_envs.figures.plots import comparison_figure
    from hnn_envs.recordings.measured import SYSTEM, VARIABLE
    from hnn_envs.storage import write_atomically

    chosen, names = names_in(systems), names_in(dynamics) or None
    with plain_errors():
        if not chosen:
            raise InvalidOptionError("name at least one system, such as pendulum")
        for system in chosen:
            Subject.of(system)
        if data is not None and SYSTEM not in chosen:
            raise InvalidOptionError(f"--data is for {SYSTEM}, not for {', '.join(chosen)}")
        check_folder(out)
        series = data or os.environ.get(VARIABLE)
        for system in chosen:
            with console.status(f"{system}: rolling out") as status:

                def progress(done: float, total: float, name: str, system: str = system) -> None:
                    status.update(f"{system}: rolling out {name}")

                if system == SYSTEM and series:
                    comparison = compare_with_measurement(series, names, integrator=integrator, progress=progress)
                else:
                    comparison = compare_physics(
                        system, names, periods=periods, seed=seed, integrator=integrator, progress=progress
                    )
            name = comparison.spec.name
            console.print(_comparison_table(comparison))
            plot = out / f"{name}.png"
            buffer = BytesIO()
            comparison_figure(comparison).savefig(buffer, format="png", dpi=150)
            write_atomically(plot, buffer.getvalue())
            say(f"plot: {plot}")
            if gif:
                _draw(comparison, out / f"{name}.gif")


def _draw(comparison: Comparison, path: Path) -> None:
    from hnn_envs.figures.animation import write_gif

    with counting() as bar:
        drawing = bar.add_task(f"{comparison.spec.name}: drawing")
        write_gif(comparison, path, progress=lambda done, total, _: bar.update(drawing, completed=done, total=total))
    say(f"animation: {path}")


def _comparison_table(comparison: Comparison) -> Table:
    spec = comparison.spec
    length = comparison.times[-1] - comparison.times[0]
    scales, scale = length / spec.time_scale, spec.time_scales
    table = Table(title=f"{spec.name}: time {length:.4g}, {scales:.3g} {scale}, against the {comparison.held_against}")
    table.add_column("physics")
    for title in ("energy drift", "state error", "time per step"):
        table.add_column(title, justify="right")
    for track in comparison.tracks:
        numbers = (f"{track.energy_drift:.2e}", f"{track.state_error:.2e}", f"{track.microseconds:,.0f} us")
        table.add_row(escape(track.dynamics), *numbers)
    return table
