"""``hnn-envs plan``: model-predictive control in a physics, with nothing trained for the task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from hnn_envs.arrays import Array
from hnn_envs.commands.console import check_folder, console, counting, plain_errors, say
from hnn_envs.errors import InvalidOptionError

if TYPE_CHECKING:
    from hnn_envs.agents.planned import Planned
    from hnn_envs.tasks import Task


def plan(
    system: Annotated[
        str, typer.Argument(help="A system or a task, such as pendulum, or a checkpoint that says what it is of.")
    ] = "pendulum",
    dynamics: Annotated[
        str, typer.Option(help="Physics to plan in; by default hnn, or the checkpoint that was given.")
    ] = "",
    acting: Annotated[
        str, typer.Option(help="Physics to act in; by default the ODE, or where that is not known the one to plan in.")
    ] = "",
    task: Annotated[
        Optional[str],  # noqa: UP045 - typer
        typer.Option(help="A task of your own, module:Class; by default the system's, or to bring it to rest."),
    ] = None,
    options: Annotated[
        str, typer.Option(help='Arguments of such a task as JSON, such as {"target": [0, 3.14, 0, 0]}.')
    ] = "",
    planner: Annotated[
        str, typer.Option(help="cem, the cross-entropy method, or ilqr, iterative linear-quadratic control.")
    ] = "cem",
    episodes: Annotated[int, typer.Option(min=1, help="Starts, all planned for at once.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the starts and of the plans.")] = 0,
    gif: Annotated[bool, typer.Option(help="Whether to draw the first episode.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the GIF.", file_okay=False)] = Path("runs/plan"),
) -> None:
    """Plan every step in a physics, act in another or the same, and print the return."""
    with plain_errors():
        from hnn_envs.agents.planned import plan_episodes
        from hnn_envs.systems import spec_of

        if gif:
            check_folder(out)
        chosen, planned_in, acted_in = _chosen(system, dynamics, acting, task, options)
        with counting() as bar:
            counted = bar.add_task("planning", total=chosen.max_episode_steps)
            found = plan_episodes(
                chosen,
                planned_in,
                acted_in,
                episodes=episodes,
                seed=seed,
                frames=gif,
                planner=planner,
                progress=lambda done, total, _: bar.update(counted, completed=done),
            )
        name = spec_of(chosen.system).name
        console.print(_table(found, name if name == chosen.name else f"{name}: {chosen.name}"))
        say(f"planned in {planned_in}, acted in {acted_in}: {found.milliseconds:.1f} ms per step")
        if gif:
            path = out / f"{name}.gif"
            _write(found.frames, 1 / chosen.dt, path)
            say(f"animation: {path}")


def _chosen(system: str, dynamics: str, acting: str, task: str | None, options: str) -> tuple[Task, str, str]:
    """The task, and the names of the physics to plan and to act in."""
    from hnn_envs.checkpoints import find_checkpoint, is_path
    from hnn_envs.evaluation.subjects import Subject
    from hnn_envs.parsing import parse_json
    from hnn_envs.tasks.own import task_on

    subject = Subject.of(system)
    planned_in = dynamics or (system if is_path(system) else "hnn")
    own = task is not None or bool(options) or subject.task is None
    chosen = subject.task
    if own or chosen is None:
        card = (subject.checkpoint or find_checkpoint(subject.name, planned_in)).card
        given = parse_json(options) if options else {}
        if not isinstance(given, dict):
            raise InvalidOptionError(f"options must be a table of JSON, not {options}")
        chosen = task_on(card, task, given)
    # A task of one's own is on the description of a system, of which no equations are known.
    return chosen, planned_in, acting or (planned_in if own or subject.truth is None else "ode")


def _table(found: Planned, name: str) -> Table:
    table = Table(title=name, box=SIMPLE_HEAD, pad_edge=False)
    for column in ("episode", "return", "steps", "end"):
        table.add_column(column, justify="left" if column == "end" else "right", no_wrap=True)
    for number, (total, steps, outside) in enumerate(zip(found.returns, found.steps, found.outside, strict=True)):
        table.add_row(str(number), f"{total:.2f}", str(steps), "outside the limits" if outside else "")
    return table


def _write(frames: Sequence[Array], fps: float, path: Path) -> None:
    from hnn_envs.play.recording import Gif

    film = Gif(path, max(1, round(fps)))
    for frame in frames:
        film.add(frame)
    film.close()
