"""The ``hnn-envs`` command: list what there is, compare physics, train checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from hnn_envs import ENVIRONMENTS, __version__
from hnn_envs.errors import HnnEnvsError

app = typer.Typer(
    name="hnn-envs",
    help="Physical systems whose physics is the true ODE or a trained Hamiltonian neural network.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
console = Console()
DEFAULT_PHYSICS = "ode,hnn,baseline"


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turns the package's own errors into one line and exit status 1; anything else is a bug and keeps its traceback."""
    try:
        yield
    except HnnEnvsError as error:
        Console(stderr=True).print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"hnn-envs {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Physical systems whose physics is the true ODE or a trained Hamiltonian neural network."""


@app.command("list")
def list_everything() -> None:
    """List environments, checkpoints with their metrics, recipes and integrators."""
    from hnn_envs.checkpoints import checkpoint_path, load_checkpoint, shipped_checkpoints
    from hnn_envs.integrators import INTEGRATORS
    from hnn_envs.recipes import shipped_recipes
    from hnn_envs.tasks import get_task

    environments = Table("id", "system", "state", "action", "steps", "time per step", title="Environments")
    checkpoints = Table("system", "dynamics=", "family", "test loss", "episode error", title="Checkpoints")
    with _plain_errors():
        for name, (task_name, steps) in ENVIRONMENTS.items():
            task = get_task(task_name)
            inputs = task.system.field.input_matrix.shape[-1]
            row = (str(2 * task.system.dof), str(inputs), str(steps), f"{task.dt:.4g}")
            environments.add_row(f"hnn_envs/{name}-v0", task_name, *row)
            for shipped in shipped_checkpoints(task_name):
                card = load_checkpoint(checkpoint_path(task_name, shipped)).card
                error = card.metrics.get("episode_error_95")
                shown = "" if error is None else f"{error:.1e}"
                checkpoints.add_row(task_name, shipped, card.family, f"{card.metrics['test_loss']:.2e}", shown)
    console.print(environments, checkpoints)
    console.print("Episode error: 95th percentile of the largest deviation from the ODE in an episode, of the domain.")
    console.print(f"Integrators: {', '.join(INTEGRATORS)}", highlight=False)
    console.print(f"Recipes: {', '.join(shipped_recipes())}", highlight=False)


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
        typer.Option(help="File or folder of the measured series, for real-pendulum; or set HNN_ENVS_DATA."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the plot and the GIF.")] = Path("runs/compare"),
    gif: Annotated[bool, typer.Option(help="Also write the GIF.")] = True,
) -> None:
    """Roll out several physics from the same start: a table, a plot and a GIF side by side.

    With --data, real-pendulum is compared with the measured series instead of the fitted ODE.
    """
    from hnn_envs.animation import write_gif
    from hnn_envs.comparison import compare as compare_physics
    from hnn_envs.comparison import compare_with_measurement
    from hnn_envs.files import write_atomically
    from hnn_envs.plotting import comparison_figure

    names = [name.strip() for name in dynamics.split(",") if name.strip()]
    with _plain_errors():
        for system in systems or ["pendulum", "two-body"]:
            with console.status(f"{system}: rolling out") as status:

                def progress(name: str, system: str = system) -> None:
                    status.update(f"{system}: rolling out {name}")

                if system == "real-pendulum" and data is not None:
                    comparison = compare_with_measurement(data, names, integrator=integrator, progress=progress)
                else:
                    comparison = compare_physics(
                        system, names, periods=periods, seed=seed, integrator=integrator, progress=progress
                    )
            console.print(_comparison_table(comparison, system))
            plot = out / f"{system}.png"
            buffer = BytesIO()
            comparison_figure(comparison).savefig(buffer, format="png", dpi=150)
            write_atomically(plot, buffer.getvalue())
            console.print(f"plot: {plot}", highlight=False)
            if gif:
                with _progress() as bar:
                    drawing = bar.add_task(f"{system}: drawing")
                    write_gif(
                        comparison,
                        out / f"{system}.gif",
                        progress=lambda done, total: bar.update(drawing, completed=done, total=total),
                    )
                console.print(f"animation: {out / f'{system}.gif'}", highlight=False)


def _comparison_table(comparison, system: str) -> Table:  # type: ignore[no-untyped-def]
    length = comparison.times[-1] - comparison.times[0]
    reference = "the measured series" if comparison.measured is not None else "the ODE"
    title = f"{system}: {length:.4g} time units, {length / comparison.task.system.time_scale:.3g} periods"
    table = Table("physics", "energy drift", f"state error against {reference}", "time per step", title=title)
    for track in comparison.tracks:
        table.add_row(
            track.dynamics, f"{track.energy_drift:.2e}", f"{track.state_error:.2e}", f"{track.microseconds:.3g} us"
        )
    return table


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see `hnn-envs list`), or the path of a TOML file.")],
    out: Annotated[
        Optional[Path], typer.Option(help="Checkpoint to write; by default runs/checkpoints/NAME.safetensors.")  # noqa: UP045
    ] = None,
    data: Annotated[
        Optional[str], typer.Option(help="File or folder of the measured series, where the recipe needs it.")  # noqa: UP045
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads; the shipped checkpoints were made with 1.")] = 1,
) -> None:
    """Train a checkpoint from its recipe. Interrupted, it goes on where it stopped when run again."""
    from hnn_envs.recipes import follow, load_recipe

    with _plain_errors(), _progress() as bar:
        chosen = load_recipe(recipe)
        output = out or Path("runs/checkpoints") / f"{chosen.identity}.safetensors"
        task = bar.add_task(chosen.identity, total=None)

        def report(stage: int, step: int, steps: int, loss: float) -> None:
            words = f"{chosen.identity}: stage {stage + 1} of {len(chosen.stages)}, loss {loss:.3e}"
            bar.update(task, description=words, completed=step, total=steps)

        def message(words: str) -> None:
            bar.update(task, description=f"{chosen.identity}: {words}", completed=0, total=None)

        checkpoint = follow(chosen, output, data_path=data, report=report, message=message, threads=threads)
    console.print(f"{output}: {', '.join(f'{name} {value:.3e}' for name, value in checkpoint.card.metrics.items())}")


if __name__ == "__main__":
    app()
