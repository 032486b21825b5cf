"""How all commands speak: one console, one-line errors, one kind of progress bar, outputs that are checked first."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from hnn_envs.errors import HnnEnvsError, InvalidOptionError

Jobs = Annotated[Optional[int], typer.Option(min=1, help="Processes; by default one per core.")]  # noqa: UP045 - typer
LINE_SECONDS = 10.0  # between two lines of progress where no terminal shows a bar

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


class Bar(Progress):
    """A progress bar; where no terminal shows it, a line every ``LINE_SECONDS`` seconds instead.

    Args:
        amount: the column that tells how much is done.
    """

    def __init__(self, amount: TextColumn | MofNCompleteColumn) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
        super().__init__(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._amount, self._said = amount, time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Tells how far a task is; see ``rich.progress.Progress.update``."""
        super().update(task_id, **changes)
        if self.disable and "completed" in changes and time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            task = self.tasks[task_id]
            say(f"{task.description}: {self._amount.render(task).plain.strip()}")


def counting() -> Bar:
    """A progress bar of things done and things in all."""
    return Bar(MofNCompleteColumn())


def timing() -> Bar:
    """A progress bar of a share of work."""
    return Bar(TextColumn("{task.percentage:.0f} %"))


def names_in(text: str) -> list[str]:
    """The names in an option that takes several, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers_in(text: str, option: str) -> list[float]:
    """The numbers in an option that takes several, separated by commas.

    Raises:
        InvalidOptionError: something else is among them.
    """
    try:
        found = [float(name) for name in names_in(text)]
    except ValueError:
        found = [math.nan]
    if not all(math.isfinite(number) for number in found):
        raise InvalidOptionError(f"--{option} takes numbers separated by commas, not {text!r}")
    return found


def check_file(path: Path) -> None:
    """Refuses an output that could not be written, before any work is done for it.

    Raises:
        InvalidOptionError: a folder has this name, or its own folder cannot be written to.
    """
    if path.is_dir():
        raise InvalidOptionError(f"cannot write {path}: it is a folder, not a file")
    _check_place(path, path.parent)


def check_folder(path: Path) -> None:
    """Refuses a folder of outputs that could not be made or written to, before any work is done for it.

    Raises:
        InvalidOptionError: something else has the name of the folder or of one above it, or it cannot be written to.
    """
    _check_place(path, path)


def _check_place(path: Path, folder: Path) -> None:
    """Tries to write to a folder, or to the nearest one above it that exists: permissions do not tell everything."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir():
        raise InvalidOptionError(f"cannot write {path}: {nearest} is a file, not a folder")
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise InvalidOptionError(f"cannot write {path}: {error.strerror or error} in {nearest}") from error
