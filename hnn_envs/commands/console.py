"""How all commands speak: one console, one-line errors, one kind of progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from hnn_envs.errors import HnnEnvsError

console = Console()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns errors of the package and of files into one line and exit status 1; the rest are bugs, with a traceback."""
    try:
        yield
    except (HnnEnvsError, OSError) as error:
        words = escape(" ".join(str(error).split()))
        Console(stderr=True).print(f"[red]error:[/red] {words}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def say(words: str) -> None:
    """Prints a line as it is: paths keep their brackets and are not broken."""
    console.print(words, markup=False, highlight=False, soft_wrap=True)


def counting() -> Progress:
    """A progress bar of things done and things in all; none where no terminal shows it."""
    return _bar(MofNCompleteColumn())


def timing() -> Progress:
    """A progress bar of a share of work."""
    return _bar(TextColumn("{task.percentage:.0f} %"))


def _bar(amount: TextColumn | MofNCompleteColumn) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        amount,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def names_in(text: str) -> list[str]:
    """The names in an option that takes several, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
