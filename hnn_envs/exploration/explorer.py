"""The loop of an agent that needs almost no experience: act, record, learn, plan, and again, until a goal is held."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from hnn_envs.errors import DataError, InvalidOptionError, TrainingError
from hnn_envs.exploration.actions import ActionSpace, RandomActions, actuation_of_env
from hnn_envs.exploration.callbacks import Callback
from hnn_envs.exploration.goal import Goal, goal_of
from hnn_envs.exploration.kept import KeptTrials
from hnn_envs.exploration.learners import Learned, Learner
from hnn_envs.exploration.planning import Plan, Planning, plan_trial
from hnn_envs.exploration.trials import FEWEST_STATES, Rules, Start, Trial, TrialEnv, longest_episode
from hnn_envs.parsing import user_path
from hnn_envs.recordings.adapters import Adapter, State, adapter_of, make_env
from hnn_envs.recordings.recording import Recording

MOST_EMPTY = 20
"""Trials in a row that end before a third state, after which nothing is to be hoped for."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""What is another in every process where an object without a text of its own is shown."""
CLOSE = 1e-9
"""Rounding of times that are sums of steps."""


@dataclass(frozen=True)
class Exploration:
    """How an exploration went.

    Attributes:
        solved: whether the goal was held at the end of a trial.
        seconds: experience before that trial; all there is where none was solved.
        trials: all of them, random ones first.
    """

    solved: bool
    seconds: float
    trials: tuple[Trial, ...]

    def __repr__(self) -> str:
        outcome = "solved" if self.solved else "not solved"
        return f"Exploration({outcome} after {self.seconds:g} s, {len(self.trials)} trials)"


class Explorer:
    """Explores an environment until a goal is held, with as little experience as possible.

    It watches random actions for a moment, learns the physics from all that was watched so far, plans a trial in it,
    and plays that, until a trial is solved: until the goal is held over the last second of one.

    Everything random follows from the seed. With a folder, every trial is kept on disk as soon as it was played, and an
    exploration that was interrupted goes on where it was, with the same result.

    Args:
        env: an environment, or its id: of this package, or any other whose state an adapter sees. Actions are
            continuous, and drive an input each.
        goal: what is to be held; by default what the task of an environment of this package says.
        learner: what learns from experience; by default the family of mechanical systems that ``hnn_envs.learn`` fits.
        noise: standard deviation of what is measured of every position and velocity.
        start: positions and velocities that trials start from; by default where the environment resets to.
        first_seconds: how long random actions are watched at first, in the environment's unit of time.
        trial_seconds: the longest trial; a time limit of the environment must not be shorter.
        hold_seconds: how long the goal has to be held at its end.
        planning: how trials are planned.
        adapter: where the environment's state is; by default the registered one.
        seed: of all that is random.
        folder: where what was done is kept; None keeps nothing.
        callbacks: told about everything that happens.
        message: called with a line where something goes another way than planned.

    Raises:
        UnknownNameError: nothing is known of the environment's state.
        InvalidOptionError: an argument out of range, actions of another kind, no goal, one of another size, or an
            adapter that does not say what its inputs push where the learner is the default one.
        CheckpointError: the folder holds trials of another exploration.
    """

    def __init__(
        self,
        env: str | gymnasium.Env[Any, Any],
        goal: Goal | None = None,
        *,
        learner: Learner | None = None,
        noise: float = 0.0,
        start: State | None = None,
        first_seconds: float = 2.0,
        trial_seconds: float = 4.0,
        hold_seconds: float = 1.0,
        planning: Planning | None = None,
        adapter: Adapter | None = None,
        seed: int = 0,
        folder: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
        message: Callable[[str], object] = lambda _: None,
    ) -> None:
        if not (math.isfinite(noise) and noise >= 0):
            raise InvalidOptionError(f"noise must be finite and at least 0, not {noise!r}")
        self.seed = _checked_seed(seed)
        made = make_env(env) if isinstance(env, str) else env
        base: Any = made.unwrapped
        chosen = adapter or adapter_of(made)
        _check_adapter(chosen, made, learner)
        if start is not None and chosen.put is None:
            raise InvalidOptionError("a start needs an adapter that can put the environment into a state: put")
        space = ActionSpace.of(made.action_space)
        made.reset(seed=self.seed)
        self.trial_env = TrialEnv(made, chosen, space, float(noise), _checked_start(start, chosen))
        self.goal = goal_of(base) if goal is None else goal
        self.goal.check(len(chosen.coordinates))
        self.actuation = actuation_of_env(made, chosen, space)
        self.planning = Planning() if planning is None else planning
        self._first = int(_seconds("first_seconds", first_seconds, self.dt) / self.dt + CLOSE)
        steps, held = (
            round(_seconds(name, value, self.dt) / self.dt)
            for name, value in (("trial_seconds", trial_seconds), ("hold_seconds", hold_seconds))
        )
        if held > steps:
            raise InvalidOptionError(
                f"hold_seconds must not be more than trial_seconds, {trial_seconds:g}, not {hold_seconds:g}"
            )
        limit = longest_episode(made)
        if limit < steps:
            raise InvalidOptionError(
                f"trial_seconds must be at most {limit * self.dt:g}, since a time limit ends episodes after {limit:g} "
                f"steps, not {trial_seconds:g}"
            )
        self.rules = Rules(steps, held, self.goal.reached)
        self._learner = _default_learner() if learner is None else learner
        self._callbacks, self._message = tuple(callbacks), message
        self._kept = KeptTrials(None if folder is None else user_path(folder) / "trials.safetensors", self._key(made))
        self.trials: list[Trial] = self._kept.read(message)
        self.learned: Learned | None = None
        self.plan: Plan | None = None
        self._learned_from = 0
        for count in range(1, len(self.trials)):
            self._learn(count)  # as it was done before these trials were played

    @property
    def dt(self) -> float:
        """Time of a step."""
        return self.trial_env.dt

    @property
    def seconds(self) -> float:
        """Experience so far."""
        return self.seconds_before(len(self.trials))

    @property
    def solved(self) -> bool:
        """Whether a trial was solved."""
        return any(trial.solved for trial in self.trials)

    def seconds_before(self, number: int) -> float:
        """Experience before a trial, by its number from 0 on."""
        return self.dt * self._steps(number)

    def recording(self) -> Recording:
        """All that was watched so far.

        Raises:
            DataError: that is less than three states in a row.
        """
        return self._recording(len(self.trials))

    def run(self, seconds: float = 30.0, *, trials: int = 100) -> Exploration:
        """Explores until a trial is solved, or so much was watched.

        Args:
            seconds: experience from which on no other trial begins.
            trials: most trials in all.

        Raises:
            InvalidOptionError: seconds that are no number.
            DataError: the environment gives states that are not finite, or of another size than its adapter says, or
                its episodes end at once.
        """
        if math.isnan(seconds):
            raise InvalidOptionError(f"seconds must be a number, not {seconds!r}")
        while not self.solved and self.seconds < seconds - CLOSE and len(self.trials) < trials:
            self.step()
        before = self.seconds_before(len(self.trials) - 1 if self.solved else len(self.trials))
        return Exploration(self.solved, before, tuple(self.trials))

    def step(self) -> Trial:
        """Learns, plans and plays one trial; a random one where there is nothing to plan in yet."""
        count = len(self.trials)
        self._learn(count)
        trial = self._play_random(count) if self.learned is None else self._play_plan(count, self.learned)
        self.trials.append(trial)
        self._kept.write(self.trials)
        for callback in self._callbacks:
            callback.on_trial(self.seconds, trial)
        if len(self.trials) >= MOST_EMPTY and all(
            len(each.states) < FEWEST_STATES for each in self.trials[-MOST_EMPTY:]
        ):
            raise DataError(f"{self.trial_env.env}: {MOST_EMPTY} trials in a row ended before a third state")
        return trial

    def _learn(self, count: int) -> None:
        """Learns from so many of the trials; what was learned before stays where that fails.

        A step that was interrupted after that, and is taken again, does not learn the same twice: the second fit would
        begin where the first one ended, and the result would be another.
        """
        if self._steps(count) < self._first or count == self._learned_from:
            return
        try:
            recording = self._recording(count)
            learned = self._learner(recording, dt=self.dt, seed=self.seed, previous=self.learned)
            learned.check(recording)
        except (TrainingError, DataError, ArithmeticError, np.linalg.LinAlgError) as error:
            instead = "more random actions" if self.learned is None else "what was learned before"
            self._learned_from = count
            self._message(
                f"after {self.seconds_before(count):g} s nothing usable was learned ({error}): {instead} instead"
            )
            return
        self.learned, self._learned_from = learned, count
        for callback in self._callbacks:
            callback.on_learned(self.seconds_before(count), learned)

    def _play_random(self, count: int) -> Trial:
        left = self._first - self._steps(count)
        steps = left if left > 0 else max(FEWEST_STATES, self._first // 2)
        acting = RandomActions(np.random.default_rng((self.seed, count, 1)), self.actuation.actions)
        return self.trial_env.play(self._start(count), acting, steps)

    def _play_plan(self, count: int, learned: Learned) -> Trial:
        rng = np.random.default_rng((self.seed, count, 2))
        start = self._start(count)
        problem = learned, self.goal, self.actuation, start.measured, self.rules
        self.plan, tracker = plan_trial(*problem, rng, self.planning)
        for callback in self._callbacks:
            callback.on_plan(self.seconds_before(count), self.plan)
        return self.trial_env.play(start, tracker, self.rules.steps, self.rules)

    def _start(self, count: int) -> Start:
        """Resets the environment, with a seed of its own for each trial."""
        seed = np.random.SeedSequence((self.seed, count)).generate_state(1)[0]
        return self.trial_env.reset(int(seed % 2**31))

    def _steps(self, count: int) -> int:
        return sum(len(trial.inputs) for trial in self.trials[:count])

    def _recording(self, count: int) -> Recording:
        adapter = self.trial_env.adapter
        runs = [trial.run(f"trial {number}") for number, trial in enumerate(self.trials[:count], start=1)]
        usable = tuple(run for run in runs if run is not None)
        if not usable:
            raise DataError("nothing was watched yet from which anything can be learned: no trial has three states")
        return Recording(self._name, adapter.coordinates, adapter.inputs, usable, adapter.input_matrix)

    @property
    def _name(self) -> str:
        env = self.trial_env.env
        return type(env.unwrapped).__name__ if env.spec is None else env.spec.id.rpartition("/")[2]

    def _key(self, env: gymnasium.Env[Any, Any]) -> str:
        """What the trials in a folder depend on; it must be the same in every process."""
        spec = () if env.spec is None else (env.spec.id, sorted(env.spec.kwargs.items()))
        start = None if self.trial_env.start is None else np.concatenate(self.trial_env.start).tolist()
        kinds = [type(each).__qualname__ for each in (env.unwrapped, self._learner)]
        parts = (spec, kinds, self.seed, self.trial_env.noise, self._first, self.rules.steps, self.rules.held)
        return ADDRESS.sub("", repr((*parts, self.planning, self.goal.key(), start)))


def _default_learner() -> Learner:
    from hnn_envs.exploration.machine_learner import MachineLearner

    return MachineLearner()


def _checked_seed(seed: object) -> int:
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InvalidOptionError(f"seed must be an integer of at least 0, not {seed!r}")
    return int(seed)


def _checked_start(start: State | None, adapter: Adapter) -> State | None:
    if start is None:
        return None
    dof = len(adapter.coordinates)
    try:
        parts = [np.asarray(part, dtype=np.float64).reshape(-1) for part in start]
    except (TypeError, ValueError):
        parts = []
    if len(parts) != 2 or any(part.shape != (dof,) or not np.isfinite(part).all() for part in parts):
        raise InvalidOptionError(f"a start is {dof} finite positions and as many velocities, not {start!r}")
    return parts[0], parts[1]


def _check_adapter(adapter: Adapter, env: gymnasium.Env[Any, Any], learner: Learner | None) -> None:
    """Refuses an adapter with which nothing could be learned, before anything is watched."""
    dt = adapter.step_of(env.unwrapped)
    if not (math.isfinite(dt) and dt > 0):
        raise InvalidOptionError(f"the adapter's dt must be finite and positive, not {dt!r}")
    if learner is None and adapter.input_matrix is None:
        raise InvalidOptionError(
            "the adapter must say by input_matrix what its inputs push, or another learner must be given"
        )


def _seconds(name: str, value: float, dt: float) -> float:
    if not (math.isfinite(value) and value >= dt):
        raise InvalidOptionError(f"{name} must be at least a step, {dt:g}, not {value!r}")
    return float(value)
