"""The ``hnn-envs`` command: list what there is, compare physics, train checkpoints."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from hnn_envs.commands import benchmark, play, report
from hnn_envs.commands.console import console, counting, names_in, plain_errors, say
from hnn_envs.errors import CheckpointError, InvalidOptionError
from hnn_envs.ids import ENVIRONMENTS
from hnn_envs.version import __version__

if TYPE_CHECKING:
    from hnn_envs.evaluation.comparison import Comparison

app = typer.Typer(
    name="hnn-envs",
    help="Physical systems whose physics is the true ODE or a trained Hamiltonian neural network.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(benchmark.app, name="benchmark")
app.command()(report.report)
app.command()(play.play)
DEFAULT_PHYSICS = "ode,hnn,baseline"


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"hnn-envs {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Physical systems whose physics is the true ODE or a trained Hamiltonian neural network."""


@app.command("list")
def list_everything() -> None:
    """List environments, checkpoints with their metrics, recipes and integrators."""
    from hnn_envs.checkpoints import checkpoint_path, load_checkpoint, shipped_checkpoints
    from hnn_envs.fitting.recipes import shipped_recipes
    from hnn_envs.integrators import INTEGRATORS
    from hnn_envs.systems import spec_of
    from hnn_envs.tasks import get_task

    environments = Table("id", "system", "state", "action", "steps", "dt", title="Environments")
    environments.columns[0].no_wrap = True
    checkpoints = Table(
        "system",
        "dynamics=",
        "family",
        "test loss",
        "episode error",
        title="Checkpoints",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column in checkpoints.columns[:3]:
        column.no_wrap = True
    problems = []
    with plain_errors():
        for name, (task_name, steps) in ENVIRONMENTS.items():
            task = get_task(task_name)
            inputs = spec_of(task.system).force_matrix.shape[-1]
            row = (str(2 * spec_of(task.system).dof), str(inputs), str(steps), f"{task.dt:.4g}")
            environments.add_row(f"hnn_envs/{name}-v0", task_name, *row)
            for shipped in shipped_checkpoints(task_name):
                try:
                    card = load_checkpoint(checkpoint_path(task_name, shipped), task_name).card
                except CheckpointError as error:
                    problems.append(str(error))
                    checkpoints.add_row(task_name, shipped, "unusable, see below")
                    continue
                loss, deviation = (_shown(card.metrics.get(name)) for name in ("test_loss", "episode_error_95"))
                checkpoints.add_row(task_name, shipped, card.family, loss, deviation)
    console.print(environments, checkpoints)
    say(
        "dt is the time per step. Test loss: mean square error of x' on unseen data; of the seed's models of films,\n"
        "what they were trained to lower. Episode error: largest deviation from the ODE in an episode, as a share\n"
        "of the domain's width, 95th percentile of 100 episodes.\n"
    )
    for problem in problems:
        say(f"unusable: {problem}")
    say(f"Integrators: {', '.join(INTEGRATORS)}")
    say("Recipes, for hnn-envs train:")
    for recipe in shipped_recipes():
        say(f"  {recipe}")


def _shown(metric: float | None) -> str:
    return "" if metric is None else f"{metric:.1e}"


@app.command()
def compare(
    systems: Annotated[
        Optional[list[str]], typer.Argument(help="Systems; by default pendulum and two-body.")  # noqa: UP045 - typer
    ] = None,
    dynamics: Annotated[str, typer.Option(help="Physics to compare, separated by commas.")] = DEFAULT_PHYSICS,
    periods: Annotated[float, typer.Option(help="Length, in periods (three-body: Lyapunov times).")] = 20,
    seed: Annotated[
        Optional[int], typer.Option(help="Draw the start from the task's own; by default a telling one.")  # noqa: UP045
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

    With the measured series at hand, real-pendulum is held against that instead of against the ODE.
    """
    from hnn_envs.evaluation.comparison import compare as compare_physics
    from hnn_envs.evaluation.comparison import compare_with_measurement
    from hnn_envs.figures.plots import comparison_figure
    from hnn_envs.recordings.measured import VARIABLE
    from hnn_envs.storage import write_atomically
    from hnn_envs.systems import get_system

    chosen = systems or ["pendulum", "two-body"]
    names = names_in(dynamics)
    with plain_errors():
        for system in chosen:
            get_system(system)
        if data is not None and "real-pendulum" not in chosen:
            raise InvalidOptionError(f"--data is for real-pendulum, not for {', '.join(chosen)}")
        series = data or os.environ.get(VARIABLE)
        for system in chosen:
            with console.status(f"{system}: rolling out") as status:

                def progress(name: str, system: str = system) -> None:
                    status.update(f"{system}: rolling out {name}")

                if system == "real-pendulum" and series:
                    comparison = compare_with_measurement(series, names, integrator=integrator, progress=progress)
                else:
                    comparison = compare_physics(
                        system, names, periods=periods, seed=seed, integrator=integrator, progress=progress
                    )
            console.print(_comparison_table(comparison, system))
            plot = out / f"{system}.png"
            buffer = BytesIO()
            comparison_figure(comparison).savefig(buffer, format="png", dpi=150)
            write_atomically(plot, buffer.getvalue())
            say(f"plot: {plot}")
            if gif:
                _draw(comparison, out / f"{system}.gif")


def _draw(comparison: Comparison, path: Path) -> None:
    from hnn_envs.figures.animation import write_gif

    with counting() as bar:
        drawing = bar.add_task(f"{comparison.task.name}: drawing")
        write_gif(comparison, path, progress=lambda done, total: bar.update(drawing, completed=done, total=total))
    say(f"animation: {path}")


def _comparison_table(comparison: Comparison, system: str) -> Table:
    from hnn_envs.systems import spec_of

    spec = spec_of(comparison.task.system)
    length = comparison.times[-1] - comparison.times[0]
    scales, scale = length / spec.time_scale, spec.time_scales
    reference = "the measurement" if comparison.measured is not None else "the ODE"
    table = Table(title=f"{system}: time {length:.4g}, {scales:.3g} {scale}, against {reference}")
    table.add_column("physics")
    for title in ("energy drift", "state error", "time per step"):
        table.add_column(title, justify="right")
    for track in comparison.tracks:
        numbers = (f"{track.energy_drift:.2e}", f"{track.state_error:.2e}", f"{track.microseconds:,.0f} us")
        table.add_row(escape(track.dynamics), *numbers)
    return table


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see `hnn-envs list`), or the path of a TOML file.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Checkpoint to write; by default runs/checkpoints/NAME.safetensors.", dir_okay=False),
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="File or folder of the measured series, if the recipe needs it; by default HNN_ENVS_DATA."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads; the shipped checkpoints were made with 1.")] = 1,
) -> None:
    """Train a checkpoint from its recipe. Interrupted, it goes on where it stopped when run again."""
    from hnn_envs.evaluation.card_metrics import card_metrics
    from hnn_envs.fitting.pipeline import follow
    from hnn_envs.fitting.recipes import load_recipe

    with plain_errors(), counting() as bar:
        chosen = load_recipe(recipe)
        output = out or Path("runs/checkpoints") / f"{chosen.identity}.safetensors"
        task = bar.add_task(chosen.identity, total=None)

        def report(stage: int, step: int, steps: int, loss: float) -> None:
            words = f"{chosen.identity}: stage {stage + 1} of {len(chosen.stages)}, loss {loss:.3e}"
            bar.update(task, description=words, completed=step, total=steps)

        def filming(done: int, frames: int) -> None:
            bar.update(task, description=f"{chosen.identity}: filming", completed=done, total=frames)

        def message(words: str) -> None:
            say(f"{chosen.identity}: {words}")
            bar.update(task, description=f"{chosen.identity}: {words}")

        checkpoint = follow(
            chosen,
            output,
            data_path=data,
            report=report,
            progress=filming,
            message=message,
            measure=card_metrics,
            threads=threads,
        )
    say(f"{output}: {', '.join(f'{name} {value:.3e}' for name, value in checkpoint.card.metrics.items())}")


if __name__ == "__main__":
    app()
