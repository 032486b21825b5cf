"""``hnn-envs record``: a recording of an environment of Gymnasium."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from hnn_envs.commands.console import check_file, plain_errors, say, timing

DEFAULT_ENV = "Pendulum-v1"
DEFAULT_FOLDER = Path("runs/recordings")
RANDOM = "random"


def record(
    env_id: Annotated[str, typer.Argument(help="The environment's id.")] = DEFAULT_ENV,
    seconds: Annotated[float, typer.Option(help="How long it is watched, in its own time.")] = 60.0,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer
        typer.Option(
            help="File to write, .csv, .parquet or .npz, and .gz where it is to be packed; by default "
            "runs/recordings/NAME.csv.",
            dir_okay=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of starts, random actions and noise.")] = 0,
    noise: Annotated[float, typer.Option(min=0.0, help="Standard deviation added to positions and velocities.")] = 0.0,
    policy: Annotated[
        str, typer.Option(help='"random", or "module:object", a function of the observation that gives the action.')
    ] = RANDOM,
    starts: Annotated[
        str, typer.Option(help='"reset": where the environment starts; "wide": anywhere, in short runs.')
    ] = "reset",
    velocities: Annotated[bool, typer.Option(help="Whether velocities are recorded, too.")] = True,
) -> None:
    """Record an environment of Gymnasium: states at its time step under random or given actions, an episode a run.

    The file says what its columns are, so that `hnn-envs learn` takes it as it is.
    """
    with plain_errors(), timing() as bar:
        from hnn_envs.recordings.formats import format_of
        from hnn_envs.recordings.watching import record as watch
        from hnn_envs.registry import import_object

        path = out or DEFAULT_FOLDER / f"{env_id.rpartition('/')[2].rpartition(':')[2]}.csv"
        format_of(path)
        check_file(path)
        chosen = None if policy == RANDOM else import_object(policy, "policy")
        task = bar.add_task(env_id, total=seconds)
        recording = watch(
            env_id,
            chosen,
            seconds,
            seed=seed,
            noise=noise,
            starts=starts,
            velocities=velocities,
            progress=lambda done, total, words: bar.update(task, completed=done, total=total),
        )
        recording.save(path)
    states = sum(len(run.times) for run in recording.runs)
    say(f"{path}: {recording.seconds:g} s in {len(recording.runs)} runs, {states} states")
