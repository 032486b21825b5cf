"""``hnn-envs play``: push a system and watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from hnn_envs.commands.console import check_folder, names_in, plain_errors


def play(
    system: Annotated[
        str, typer.Argument(help="A system or a task, such as pendulum, or a checkpoint that says what it is of.")
    ] = "pendulum",
    dynamics: Annotated[
        str, typer.Option(help="Physics side by side, separated by commas; by default the ODE and hnn.")
    ] = "",
    integrator: Annotated[Optional[str], typer.Option(help="For all; by default each physics' own.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(min=0, help="Of the starts.")] = None,  # noqa: UP045
    out: Annotated[Path, typer.Option(help="Folder for recordings.", file_okay=False)] = Path("runs/play"),
    frames: Annotated[Optional[int], typer.Option(min=1, help="Close after so many frames.")] = None,  # noqa: UP045
) -> None:
    """Push a system with keys or mouse, and watch true and learned physics answer side by side."""
    from hnn_envs.play import play as open_window

    with plain_errors():
        check_folder(out)
        open_window(
            system,
            names_in(dynamics) if dynamics else None,
            integrator=integrator,
            seed=seed,
            folder=out,
            frames=frames,
        )
