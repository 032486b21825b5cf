"""``hnn-envs report``: results as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from hnn_envs.commands.console import check_file, plain_errors, say


def report(
    sources: Annotated[
        Optional[list[Path]],  # noqa: UP045 - typer
        typer.Argument(help="Results files, or folders of them; by default runs."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write.", dir_okay=False)] = Path("runs/report.html"),
) -> None:
    """Turn results into one self-contained HTML page: tables, figures and animations, without a network."""
    from hnn_envs.report import write_report

    with plain_errors():
        check_file(out)
        write_report(sources or [Path("runs")], out)
    say(f"report: {out}")
