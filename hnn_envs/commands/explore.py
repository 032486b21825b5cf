"""``hnn-envs explore``: learn and plan in an environment from nothing until a goal is held there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy as np
import typer

from hnn_envs.commands.console import check_folder, console, numbers_in, plain_errors, say
from hnn_envs.errors import InvalidOptionError, TrainingError

if TYPE_CHECKING:
    from hnn_envs.benchmarks.seconds.challenges import Challenge
    from hnn_envs.exploration.explorer import Explorer
    from hnn_envs.exploration.goal import Goal
    from hnn_envs.exploration.trials import Trial
    from hnn_envs.recordings.adapters import Adapter, State

FILM, MODEL = "film.gif", "model.safetensors"


def explore(
    environment: Annotated[
        str, typer.Argument(help="A task, such as cart-pole, or an environment's id, such as Pendulum-v1.")
    ] = "cart-pole",
    noise: Annotated[
        Optional[float],  # noqa: UP045 - typer
        typer.Option(
            min=0,
            help="Of what is measured of each position and velocity; by default 0.01, and none of what benchmark "
            "seconds takes from Gymnasium.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Experience after which no other trial begins.")] = 30.0,
    first: Annotated[
        Optional[float],  # noqa: UP045 - typer
        typer.Option(min=0, help="Seconds of random actions to begin with; by default 2, as a rule."),
    ] = None,
    goal: Annotated[
        str, typer.Option(help="Positions to hold, such as 0,3.14; by default what the task or the benchmark says.")
    ] = "",
    start: Annotated[
        str,
        typer.Option(
            help="Positions at which trials start at rest; by default hanging, or where the environment resets to."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of trials, model and film; by default runs/explore/NAME.", file_okay=False),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Whether to write a log for TensorBoard, too.")] = False,
) -> None:
    """Watch random actions, learn the physics, plan in it, try, and again until the goal is held.

    A trial lasts 4 s, and is solved where the goal is held over its last second. Interrupted, it goes on where it was
    when run again with the same OUT. The film shows the trials, and what was learned before each. The model is learned
    from all of them; ``hnn-envs plan``, ``play`` and ``compare`` take it.
    """
    from hnn_envs.exploration.callbacks import Callback, Log
    from hnn_envs.exploration.explorer import Explorer
    from hnn_envs.exploration.film import Film

    with plain_errors():
        folder = out or Path("runs/explore") / environment.rpartition("/")[2]
        check_folder(folder)
        asked = _asked(environment)
        env = asked.make()
        positions = numbers_in(goal, "goal"), numbers_in(start, "start")
        aim, begin = _goal(asked, env, positions[0]), _start(asked, env, positions[1])
        film, second = Film(), _second(asked, env)
        watching: list[Callback] = [film, *([Log(folder / "log")] if log else [])]
        explorer = Explorer(
            env,
            aim,
            noise=asked.noise if noise is None else noise,
            start=begin,
            first_seconds=second * (asked.first if first is None else first),
            trial_seconds=second * asked.trial,
            hold_seconds=second * asked.held,
            planning=asked.planning,
            seed=seed,
            folder=folder,
            callbacks=watching,
            message=say,
        )
        _run(explorer, seconds * second, second)
        _save_model(explorer, folder / MODEL)
        path = film.write(explorer, folder / FILM)
    say(f"film: {path}")


def _run(explorer: Explorer, seconds: float, second: float) -> None:
    """Explores, with a line for each trial."""
    for number, trial in enumerate(explorer.trials):
        _tell(explorer, number, trial, second)
    before = len(explorer.trials)
    while True:
        with console.status(f"trial {before + 1}"):
            found = explorer.run(seconds, trials=before + 1)
        if len(explorer.trials) == before:
            break
        _tell(explorer, before, explorer.trials[before], second)
        before += 1
    outcome = "solved" if found.solved else "not solved"
    say(f"{outcome} after {found.seconds / second:.1f} s of experience")


def _save_model(explorer: Explorer, path: Path) -> None:
    """Learns once more, from the last trial too, and writes the model; where nothing was learned, there is none."""
    from hnn_envs.exploration import machine_learner

    if explorer.learned is None:
        return
    recording, learner = explorer.recording(), machine_learner.MachineLearner()
    try:
        learned = learner(recording, dt=explorer.dt, seed=explorer.seed, previous=explorer.learned)
    except TrainingError as error:
        say(f"no model is written, since nothing usable was learned from all trials ({error})")
        return
    machine_learner.model_of(learned, recording).save(path)
    say(f"model: {path}")


def _tell(explorer: Explorer, number: int, trial: Trial, second: float) -> None:
    experience = explorer.seconds_before(number) / second
    kind = "planned" if trial.planned else "random"
    end = "solved" if trial.solved else trial.ended
    say(f"trial {number + 1}, after {experience:.1f} s: {kind}, {trial.seconds / second:.1f} s, {end}")


def _asked(name: str) -> Challenge:
    """What the benchmark of seconds asks there, or the environment as it is."""
    import gymnasium

    from hnn_envs.benchmarks.seconds.challenges import FIRST_SECONDS, GYMNASIUM, Challenge, challenge_of
    from hnn_envs.ids import environment_of
    from hnn_envs.recordings.adapters import make_env
    from hnn_envs.tasks import TASKS, get_task
    from hnn_envs.tasks.optional import UprightTask

    if name in GYMNASIUM or (name in TASKS and isinstance(get_task(name), UprightTask)):
        return challenge_of(name)
    if name in TASKS:
        made, keywords = environment_of(name)
        return Challenge(name, lambda: gymnasium.make(made, **keywords), None, None, 1.0, FIRST_SECONDS)
    return Challenge(name, lambda: make_env(name), None, None, 1.0, FIRST_SECONDS)


def _second(asked: Challenge, env: Any) -> float:
    """Units of the environment's time in a second, which its task says where it was made by its id."""
    from hnn_envs.tasks.optional import second_of

    task = getattr(env.unwrapped, "task", None)
    return asked.second if task is None else second_of(task)


def _adapter(env: Any, positions: list[float], option: str) -> Adapter:
    """How the environment is seen, where there is a position for each coordinate."""
    from hnn_envs.recordings.adapters import adapter_of

    adapter = adapter_of(env)
    if len(positions) != len(adapter.coordinates):
        names = ", ".join(coordinate.name for coordinate in adapter.coordinates)
        raise InvalidOptionError(f"--{option} takes a position for each of {names}, not {len(positions)}")
    return adapter


def _goal(asked: Challenge, env: Any, positions: list[float]) -> Goal | None:
    if not positions:
        return asked.goal
    from hnn_envs.exploration.goal import Goal

    adapter = _adapter(env, positions, "goal")
    return Goal.at(positions, angles=[coordinate.angle for coordinate in adapter.coordinates])


def _start(asked: Challenge, env: Any, positions: list[float]) -> State | None:
    if not positions:
        return asked.start
    _adapter(env, positions, "start")
    return np.array(positions), np.zeros(len(positions))
