"""``hnn-envs train``: a checkpoint from its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from hnn_envs.commands.console import check_file, counting, plain_errors, say
from hnn_envs.errors import InvalidOptionError

DEFAULT_FOLDER = Path("runs/checkpoints")


def train(
    recipe: Annotated[
        Optional[str],  # noqa: UP045 - typer
        typer.Argument(help="A recipe's name, or the path of a TOML file; without one, the names are listed."),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Checkpoint to write; by default runs/checkpoints/NAME.safetensors.", dir_okay=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Train again what is there already.")] = False,
    seed: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, help="In place of the recipe's own; by default it is part of the checkpoint's file name."),
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
    from hnn_envs.fitting.recipes import load_recipe, shipped_recipes, with_seed

    if recipe is None:
        say("Recipes; for instance: hnn-envs train pendulum/default/hnn")
        for name in shipped_recipes():
            say(f"  {name}")
        return
    with plain_errors(), counting() as bar:
        chosen = load_recipe(recipe) if seed is None else with_seed(load_recipe(recipe), seed)
        output = out or DEFAULT_FOLDER / f"{chosen.identity}{'' if seed is None else f'-seed{seed}'}.safetensors"
        check_file(output)
        if output.exists() and not overwrite:
            raise InvalidOptionError(
                f"{output} is there already; --overwrite trains it again, --out writes to another file"
            )
        task = bar.add_task(chosen.identity, total=None)

        def report(stage: int, step: int, steps: int, loss: float) -> None:
            words = f"{chosen.identity}: stage {stage + 1} of {len(chosen.stages)}, loss {loss:.3e}"
            bar.update(task, description=words, completed=step, total=steps)

        def filming(done: float, frames: float, _: str) -> None:
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
