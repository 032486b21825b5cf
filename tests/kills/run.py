"""``make kill``: kills commands at random moments, lets each go on to its end, and compares what it leaves.

python tests/kills/run.py KILLS [COMMAND ...]

Every run is a fork of this process, which has loaded what takes seconds to load, so that all of a run is work. Kept
work is saved at every opportunity: in the seconds between two saves a kill would find nothing but the last one.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from commands import COMMANDS, Command, kept_in, results_of, short_recipes
from typer.testing import CliRunner

from hnn_envs.benchmarks.stability import streaming
from hnn_envs.cli import app
from hnn_envs.fitting import recipes, trainer

SAVE_SECONDS = 0.02
MEMORY = Path("/dev/shm")  # noqa: S108 - what a killed process has written is there, on a disk as well as here
MODULES = ".modules"
"""A file of the names of what a run has loaded; no command reads it."""
MOST_TRIES = 20
"""For a kill that comes before the command's end, which may be earlier than that of the first."""


def main() -> int:
    """All commands, or those that are named; the exit status says whether a result differed."""
    torch.set_num_threads(1)
    recipes.recipes_folder = short_recipes
    streaming.SAVE_SECONDS = SAVE_SECONDS
    trainer.fit.__kwdefaults__["save_every"] = SAVE_SECONDS
    kills, names = int(sys.argv[1]), sys.argv[2:] or list(COMMANDS)
    return int(sum(_killed(name, COMMANDS[name], kills) for name in names) > 0)


def _killed(name: str, command: Command, kills: int) -> int:
    """Kills a command so many times; returns how many of the results differ from those of an undisturbed run."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
        first = _prepared(command, Path(place) / "undisturbed")
        _finish(command, first)  # compiles
        _load(first)
        again = _prepared(command, Path(place) / "again")
        seconds = -time.monotonic()
        _finish(command, again)
        seconds += time.monotonic()
        good, differing, resumed = results_of(first), 0, 0
        assert any(name.endswith(".safetensors") for name in good)
        if results_of(again) != good:
            raise AssertionError(f"{name} gives other results when it is run twice: {_differences(again, good)}")
        for number in range(kills):
            folder = Path(place) / str(number)
            kept = _kill_once(command, folder, seconds, np.random.default_rng((0, number)))
            resumed += kept > 0
            _finish(command, folder)
            if results_of(folder) != good:
                differing += 1
                print(f"  kill {number}: {_differences(folder, good)}", flush=True)  # noqa: T201
    print(  # noqa: T201
        f"{name}: {kills} kills within {seconds:.1f} s, {resumed} of them with work to go on from, "
        f"{differing} results that differ; {time.monotonic() - began:.0f} s in all",
        flush=True,
    )
    return differing


def _kill_once(command: Command, folder: Path, seconds: float, rng: np.random.Generator) -> int:
    """Runs a command and kills it at a random moment of its run; returns how many files it has left to go on from."""
    for trial in range(MOST_TRIES):
        tried = _prepared(command, folder.with_name(f"{folder.name}-{trial}"))
        child = _start(command, tried)
        time.sleep(rng.uniform(0, seconds))
        if os.waitpid(child, os.WNOHANG) == (0, 0):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kept = kept_in(tried)
            tried.rename(folder)
            return kept
    raise AssertionError("the command always ended before it was killed")


def _load(folder: Path) -> None:
    """Loads what a run has loaded, so that the next ones find it here."""
    for name in (folder / MODULES).read_text(encoding="utf-8").split():
        with suppress(Exception):
            import_module(name)


def _prepared(command: Command, folder: Path) -> Path:
    folder.mkdir()
    command.prepare(folder)
    return folder


def _start(command: Command, folder: Path) -> int:
    """Starts a command in a process of its own."""
    child = os.fork()
    if child:
        return child
    try:
        result = CliRunner().invoke(app, command.arguments(folder))
        if result.exit_code:
            print(result.output, result.exception, flush=True)  # noqa: T201
        (folder / MODULES).write_text("\n".join(sorted(sys.modules)), encoding="utf-8")
        os._exit(result.exit_code)
    finally:
        os._exit(1)


def _finish(command: Command, folder: Path) -> None:
    _, status = os.waitpid(_start(command, folder), 0)
    if status:
        raise AssertionError(f"{' '.join(command.arguments(folder))} failed")


def _differences(folder: Path, good: dict[str, object]) -> list[str]:
    found = results_of(folder)
    return sorted(name for name in found.keys() | good.keys() if found.get(name) != good.get(name))


if __name__ == "__main__":
    sys.exit(main())
