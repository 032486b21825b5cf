"""The ``hnn-envs`` command: list what there is, compare, play, train, measure and report."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hnn_envs.commands import benchmark, compare, explore, learn, listing, plan, play, record, report, train
from hnn_envs.commands.console import say
from hnn_envs.version import __version__

app = typer.Typer(
    name="hnn-envs",
    help="Physical systems whose physics is the true ODE or a trained Hamiltonian neural network.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command("list")(listing.list_everything)
app.command()(compare.compare)
app.command()(play.play)
app.command()(plan.plan)
app.command()(explore.explore)
app.command()(record.record)
app.command()(train.train)
app.command()(learn.learn)
app.command()(learn.check)
app.command()(report.report)
app.add_typer(benchmark.app, name="benchmark")


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
    # Python looks for modules in the current folder when it runs `python -m`, but not when it runs an installed script.
    # With this, a name of the form "module:object" means the same for both; joblib hands the path on to its processes.
    # It comes last, so that no file of a user's hides an installed module.
    if "" not in sys.path:
        sys.path = [*sys.path, ""]


if __name__ == "__main__":
    app()
