"""``hnn-envs learn`` and ``hnn-envs check``: from a recording to a model, and what that is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from hnn_envs.commands.console import check_file, counting, names_in, plain_errors, say
from hnn_envs.errors import InvalidOptionError

if TYPE_CHECKING:
    from hnn_envs.recordings.recording import Recording

DEFAULT_FOLDER = Path("runs/learned")

Files = Annotated[
    list[Path], typer.Argument(help="The recording: CSV, Parquet or npz, packed by gzip or not; several are one.")
]
Positions = Annotated[str, typer.Option(help="Columns of the positions q; a file of `hnn-envs record` needs none.")]
Velocities = Annotated[str, typer.Option(help="Columns of the velocities, in the same order, if recorded.")]
Inputs = Annotated[str, typer.Option(help="Columns of the inputs u: forces and torques.")]
Angles = Annotated[str, typer.Option(help="Which of the positions are angles, in rad.")]
Time = Annotated[Optional[str], typer.Option(help="Column of the time, by default t or time.")]  # noqa: UP045 - typer
Run = Annotated[Optional[str], typer.Option(help="Column that tells runs apart.")]  # noqa: UP045
Drives = Annotated[str, typer.Option(help="For each input the position that it pushes; by default it is found out.")]


def _load(
    files: list[Path],
    positions: str,
    velocities: str,
    inputs: str,
    angles: str,
    time: str | None,
    run: str | None,
    drives: str,
    name: str | None = None,
) -> Recording:
    from hnn_envs.recordings.recording import Recording

    chosen = files[0] if len(files) == 1 else files
    return Recording.load(
        chosen,
        names_in(positions) or None,
        names_in(velocities) or None,
        names_in(inputs),
        names_in(angles),
        time=time,
        run=run,
        name=name,
        drives=names_in(drives) or None,
    )


def learn(
    files: Files,
    positions: Positions = "",
    velocities: Velocities = "",
    inputs: Inputs = "",
    angles: Angles = "",
    time: Time = None,
    run: Run = None,
    drives: Drives = "",
    name: Annotated[Optional[str], typer.Option(help="Of the system; by default the file's.")] = None,  # noqa: UP045
    families: Annotated[str, typer.Option(help="Which are tried: trigonometric, mechanical, generic, mlp.")] = "",
    minutes: Annotated[float, typer.Option(min=0.01, help="About how long it takes on one core.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Model to write; by default runs/learned/NAME.safetensors.", dir_okay=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Learn again what is there already.")] = False,
) -> None:
    """Learn a system from a recording of it. Interrupted, it goes on where it stopped when run again."""
    from hnn_envs.learning import learn as learn_from
    from hnn_envs.learning.report import FAMILIES

    with plain_errors(), counting() as bar:
        recording = _load(files, positions, velocities, inputs, angles, time, run, drives, name)
        output = out or DEFAULT_FOLDER / f"{recording.name}.safetensors"
        check_file(output)
        if output.exists() and not overwrite:
            raise InvalidOptionError(
                f"{output} is there already; --overwrite learns it again, --out writes to another file"
            )
        say(f"learning from {recording.seconds:g} {recording.time_unit} in {len(recording.runs)} runs")
        task = bar.add_task(recording.name, total=None)

        def told(what: str, step: int, steps: int, error: float) -> None:
            bar.update(task, description=f"{what}, error {error:.3g}", completed=step, total=steps)

        model = learn_from(
            recording,
            families=names_in(families) or FAMILIES,
            minutes=minutes,
            seed=seed,
            state=output.with_suffix(".state.safetensors"),
            told=told,
            message=say,
        )
        model.save(output)
    say(str(model.report()))
    say(f"\nmodel: {output}")


def check(
    model: Annotated[Path, typer.Argument(help="A model that `hnn-envs learn` wrote.")],
    files: Files,
    positions: Positions = "",
    velocities: Velocities = "",
    inputs: Inputs = "",
    angles: Angles = "",
    time: Time = None,
    run: Run = None,
    drives: Drives = "",
) -> None:
    """Measure how far a learned model can be trusted on a recording that it was not learned from."""
    from hnn_envs.learning import LearnedModel

    with plain_errors():
        learned = LearnedModel.load(model)
        report = learned.check(_load(files, positions, velocities, inputs, angles, time, run, drives))
    say(str(report))
