"""A film of an exploration: every trial, and beside it what was learned before it.

What was learned is drawn by ``hnn_envs.figures.exploration``, from arrays; which arrays these are, this room knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from hnn_envs.arrays import Array
from hnn_envs.drawing.canvas import draw_frame
from hnn_envs.drawing.colors import ACTION, BASELINE, OTHER, TEXT, colour_of
from hnn_envs.drawing.pictures import StatePicture
from hnn_envs.drawing.view import View
from hnn_envs.envs.single import PhysicsEnv
from hnn_envs.errors import InvalidOptionError
from hnn_envs.exploration.callbacks import Callback
from hnn_envs.exploration.energies import Charting
from hnn_envs.exploration.explorer import CLOSE, Explorer
from hnn_envs.exploration.learners import Learned
from hnn_envs.exploration.trials import Trial, TrialEnv
from hnn_envs.figures.exploration import Animation, chart_figure, check_film, write_film
from hnn_envs.parsing import user_path
from hnn_envs.recordings.own_adapter import velocity_map
from hnn_envs.systems.spec import SystemSpec
from hnn_envs.tasks.actuation import actuation_of
from hnn_envs.tasks.optional import second_of

SCENE, CHART = (300, 300), (400, 300)
"""Pixels of what is seen and of what was learned."""
MOST_TRIALS = 5
"""That are shown: the first and the last ones."""
MOST_FRAMES = 260
"""Of a film, which leaves out every second state, or more of them, of a longer one."""
LAST = 1200
"""Milliseconds for which the end of a trial is shown."""
FASTEST = 40
"""Milliseconds of a frame at least: viewers slow down what is faster."""
TRAIL = 40
"""Past states that a scene shows."""

Scene: TypeAlias = Callable[[int], Array]
"""The number of a state -> its picture, uint8, shape (height, width, 3)."""
Render: TypeAlias = Callable[[Array], Array]
"""A state (2*dof,) -> its picture."""


class Film(Callback):
    """Remembers what was learned, and makes a film of it and of the trials.

    It is one of the explorer's callbacks, and writes when it is asked to::

        film = Film()
        explorer = hnn_envs.Explorer("hnn_envs:hnn_envs/CartPole-v0", noise=0.01, callbacks=[film])
        explorer.run()
        film.write(explorer, "explore.gif")
    """

    def __init__(self) -> None:
        self._learned: list[tuple[float, Learned]] = []

    def on_learned(self, seconds: float, learned: Learned) -> None:
        """Remembers it."""
        self._learned.append((seconds, learned))

    def learned_before(self, seconds: float) -> Learned | None:
        """What was known after so much experience, when the next trial was planned; None where nothing was."""
        known = [learned for time, learned in self._learned if time <= seconds + CLOSE]
        return known[-1] if known else None

    def figure(self, explorer: Explorer, number: int, *, size: tuple[float, float] = (4.4, 3.6)) -> Figure:
        """What was learned before a trial, and the way that the trial took.

        Args:
            explorer: whose callback this is.
            number: of the trial, from 1.
            size: in inches.

        Raises:
            InvalidOptionError: there is no such trial.
        """
        if not 1 <= number <= len(explorer.trials):
            raise InvalidOptionError(f"number must be of a trial, from 1 to {len(explorer.trials)}, not {number}")
        charting, before = Charting.of(explorer), number - 1
        chart = charting.chart(self.learned_before(explorer.seconds_before(before)))
        path = charting.path(explorer.trials[before])
        return chart_figure(chart, charting.seen(before), charting.goal, path=path, size=size)

    def write(self, explorer: Explorer, path: str | Path, *, trials: int = MOST_TRIALS) -> Path:
        """Writes the film of all that was done so far.

        Args:
            explorer: whose callback this is.
            path: ends with .gif or .webp.
            trials: at most so many are shown, the first and the last ones.

        Returns:
            The path.

        Raises:
            InvalidOptionError: another ending, or there is no trial yet, or not one is to be shown.
            WriteError: it cannot be written.
        """
        target = user_path(path)
        check_film(target)
        if not explorer.trials or trials < 1:
            raise InvalidOptionError(f"a film shows a trial at least: {len(explorer.trials)} are there, {trials} asked")
        shown = _chosen(len(explorer.trials), trials)
        steps = sum(len(explorer.trials[number].states) for number in shown)
        every, charting = -(-steps // MOST_FRAMES), Charting.of(explorer)
        frames: list[Array] = []
        durations: list[int] = []
        usual = max(FASTEST, round(1000 * explorer.dt * every / _second(explorer)[0]))
        with _rendering(explorer.trial_env) as render:
            for number in shown:
                made = self._frames(explorer, charting, number, every, render)
                frames += made
                durations += [usual] * (len(made) - 1) + [LAST]
        write_film(target, frames, durations)
        return target

    def _frames(
        self, explorer: Explorer, charting: Charting, number: int, every: int, render: Render | None
    ) -> list[Array]:
        """A trial, its outcome on its last frame."""
        trial, before = explorer.trials[number], explorer.seconds_before(number)
        path, (second, unit) = charting.path(trial), _second(explorer)
        animation = Animation(charting.chart(self.learned_before(before)), charting.seen(number), charting.goal, CHART)
        last, name = len(trial.states) - 1, f"trial {number + 1}, {'planned' if trial.planned else 'random'}"
        scene = _scene(explorer.trial_env, trial, render)
        found = []
        for state in [*range(0, last, every), last]:
            words, colour = (_outcome(trial, name), _colour(trial)) if state == last else (name, TEXT)
            experience = f"experience {(before + state * explorer.dt) / second:.1f}{unit}"
            found.append(np.hstack((scene(state), animation.frame(path[: state + 1], words, experience, colour))))
        return found


def _chosen(count: int, most: int) -> list[int]:
    """The first trial and the last ones; all where there are few."""
    return list(range(count)) if count <= most else [*range(min(1, most - 1)), *range(count - max(1, most - 1), count)]


def _second(explorer: Explorer) -> tuple[float, str]:
    """How much of the environment's time is called a second, and the unit of what is told."""
    base: Any = explorer.trial_env.env.unwrapped
    if not isinstance(base, PhysicsEnv):
        return 1.0, " s"
    second, unit = second_of(base.task), base.dynamics.spec.time_unit
    return second, " s" if second != 1.0 else f" {unit}".rstrip()


def _outcome(trial: Trial, name: str) -> str:
    if not trial.planned:
        return name if trial.ended == "whole" else f"{name}: {ENDS[trial.ended]}"
    return f"{name}: {'solved' if trial.solved else ENDS[trial.ended]}"


ENDS = {"whole": "missed", "missed": "missed", "left": "left the limits", "stop": "met a stop"}
"""How a trial ended that was not solved, in words."""


def _colour(trial: Trial) -> str:
    return ACTION if trial.solved else BASELINE if trial.planned else TEXT


def _scene(trial_env: TrialEnv, trial: Trial, render: Render | None) -> Scene:
    """A trial as its task draws it, or as the environment does; else by its coordinates."""
    env: Any = trial_env.env.unwrapped
    if isinstance(env, PhysicsEnv):
        return _own_scene(env, trial)
    if render is None:
        return _plain_scene(trial_env, trial)
    return lambda number: render(trial.states[number])


def _own_scene(env: PhysicsEnv, trial: Trial) -> Scene:
    dof, dynamics = env.dynamics.spec.dof, env.dynamics
    states = np.array(trial.states)
    if not dynamics.spec.velocities:
        states[:, dof:] = [np.linalg.solve(velocity_map(env, x[:dof]), x[dof:]) for x in trial.states]
    shares = actuation_of(env.task).to_shares(trial.inputs)
    return lambda number: draw_frame(env.task, _view(env, states, shares, trial.dt, number), size=SCENE)


def _view(env: PhysicsEnv, states: Array, shares: Array, dt: float, number: int) -> View:
    energy = env.dynamics.reported_energy(states[number])
    known = float("nan") if energy is None else float(energy)
    return View(
        state=states[number],
        trail=states[max(0, number - TRAIL) : number + 1],
        action=shares[number - 1] if number else np.zeros(shares.shape[1]),
        energy=known,
        believed_energy=known,
        dynamics=env.dynamics.name,
        time=number * dt,
        colour=colour_of(env.dynamics.role),
    )


@contextmanager
def _rendering(trial_env: TrialEnv) -> Iterator[Render | None]:
    """Another environment of the same kind that draws states; None where it does not, or cannot without a display.

    It is tried once only: MuJoCo's renderer ends the process where it fails a second time.
    """
    spec, put = trial_env.env.spec, trial_env.adapter.put
    own = isinstance(trial_env.env.unwrapped, PhysicsEnv)
    if own or spec is None or put is None or "rgb_array" not in trial_env.env.metadata.get("render_modes", []):
        yield None
        return
    dof = len(trial_env.adapter.coordinates)
    twin = gymnasium.make(spec, render_mode="rgb_array")

    def render(state: Array) -> Array:
        put(twin.unwrapped, state[:dof], state[dof:])
        return _square(twin.render())

    try:
        twin.reset(seed=0)
        yield render if _draws(twin) else None
    finally:
        twin.close()


def _draws(env: gymnasium.Env[Any, Any]) -> bool:
    try:
        return env.render() is not None
    except Exception:  # renderers raise what they like: MuJoCo's error without OpenGL has no base of its own
        return False


def _square(rendered: Any) -> Array:
    """The middle of a picture, of the size of a scene."""
    picture = Image.fromarray(np.asarray(rendered))
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize(SCENE, Image.Resampling.LANCZOS))


def _plain_scene(trial_env: TrialEnv, trial: Trial) -> Scene:
    """A dial for each angle, and a plane for each other coordinate."""
    adapter, env = trial_env.adapter, trial_env.env
    name = "system" if env.spec is None else env.spec.id.rpartition("/")[2]
    matrix = adapter.input_matrix or ((0.0,) * len(adapter.inputs),) * len(adapter.coordinates)
    described = SystemSpec(name, adapter.coordinates, adapter.inputs, matrix, 1.0, 1.0, velocities=True)
    picture, nothing = StatePicture(described), float("nan")
    still = np.zeros(len(adapter.inputs))

    def draw(number: int) -> Array:
        trail = trial.states[max(0, number - TRAIL) : number + 1]
        view = View(trial.states[number], trail, still, nothing, nothing, "environment", number * trial.dt, OTHER)
        return draw_frame(picture, view, size=SCENE)

    return draw
