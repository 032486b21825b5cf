"""The loop of few seconds: it acts, records, learns, plans and plays until a goal is held, whatever happens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from exploring import (
    CART_POLE,
    NOISE,
    SLIDER,
    CountsResets,
    Diverges,
    EndsAtOnce,
    Raises,
    Slider,
    TrueLearner,
    explorer,
    get_upright,
    same,
)

from hnn_envs.errors import CheckpointError, DataError, IntegrationError, InvalidOptionError
from hnn_envs.exploration.callbacks import Callback, Log
from hnn_envs.exploration.explorer import MOST_EMPTY, Explorer
from hnn_envs.exploration.goal import Goal
from hnn_envs.exploration.learners import Learned
from hnn_envs.exploration.planning import Planning
from hnn_envs.exploration.steps import StepModel
from hnn_envs.recordings.adapters import adapter_of

SLIDER_GOAL = Goal.at([1.0], angles=[False])


def test_the_cart_pole_is_held_upright_after_half_a_second_where_the_physics_is_known() -> None:
    found = explorer().run(5.0)
    assert found.solved
    assert found.seconds == pytest.approx(0.5)
    assert [trial.planned for trial in found.trials] == [False, True]
    assert len(found.trials[-1].inputs) == 80
    assert (get_upright(found.trials[-1].states[-20:]) <= 0.25).all()


def test_the_same_seed_gives_the_same_trials_and_another_seed_others() -> None:
    first, again, other = (explorer(seed=seed).run(5.0) for seed in (3, 3, 4))
    assert all(same(one, two) for one, two in zip(first.trials, again.trials, strict=True))
    assert not same(first.trials[0], other.trials[0])


def test_what_is_learned_from_is_what_was_measured_and_not_the_state() -> None:
    learner = TrueLearner()
    found = explorer(learner=learner).run(5.0)
    run, trial = learner.recordings[0].runs[0], found.trials[0]
    np.testing.assert_array_equal(run.samples, trial.measured)
    missed = trial.measured - trial.states
    assert 0.5 * NOISE < missed.std() < 2 * NOISE


def test_an_exploration_that_was_interrupted_goes_on_with_the_same_result(tmp_path: Path) -> None:
    whole = explorer(learner=TrueLearner(1)).run(5.0)
    begun = explorer(learner=TrueLearner(1), folder=tmp_path)
    begun.step()
    found = explorer(learner=TrueLearner(1), folder=tmp_path).run(5.0)
    assert found.seconds == whole.seconds
    assert all(same(one, two) for one, two in zip(found.trials, whole.trials, strict=True))


def test_what_was_solved_is_not_played_again(tmp_path: Path) -> None:
    found = explorer(folder=tmp_path).run(5.0)
    learner = TrueLearner()
    again = explorer(folder=tmp_path, learner=learner).run(5.0)
    assert again.solved
    assert again.seconds == found.seconds
    assert len(again.trials) == len(found.trials)


@pytest.mark.parametrize("options", [{"seed": 1}, {"noise": 0.02}, {"first_seconds": 1.0}, {"start": None}])
def test_trials_of_another_exploration_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    explorer(folder=tmp_path).step()
    with pytest.raises(CheckpointError, match="another environment, goal, learner, seed or options"):
        explorer(folder=tmp_path, **options)


def at_rest_upright(tolerance: float) -> Goal:
    return Goal.at([0.0, math.pi], angles=[False, True], tolerance=tolerance, low=np.full(4, -9.0))


@pytest.mark.parametrize(
    "options",
    [
        {"goal": at_rest_upright(0.2)},
        {"goal": replace(at_rest_upright(0.1), low=np.full(4, -5.0))},
        {"goal": at_rest_upright(0.1), "learner": Diverges(lambda learned: learned)},
    ],
)
def test_trials_of_another_goal_or_learner_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    explorer(folder=tmp_path, goal=at_rest_upright(0.1)).step()
    assert len(explorer(folder=tmp_path, goal=at_rest_upright(0.1)).trials) == 1
    with pytest.raises(CheckpointError, match="another environment, goal, learner, seed or options"):
        explorer(folder=tmp_path, **options)


def test_trials_of_an_environment_without_an_id_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    class Another(Slider):
        """The same, of another class."""

    played = Explorer(Slider(), SLIDER_GOAL, adapter=SLIDER, first_seconds=0.5, folder=tmp_path)
    played.step()
    with pytest.raises(CheckpointError, match="another environment"):
        Explorer(Another(), SLIDER_GOAL, adapter=SLIDER, first_seconds=0.5, folder=tmp_path)


def test_objects_that_an_environment_was_made_with_do_not_keep_it_from_going_on(tmp_path: Path) -> None:
    def made(told: object) -> gymnasium.Env[Any, Any]:
        env = gymnasium.make(CART_POLE)
        env.unwrapped.spec.kwargs["told"] = told  # type: ignore[union-attr]
        return env

    one, two = object(), object()
    explorer(made(one), folder=tmp_path).step()
    assert len(explorer(made(two), folder=tmp_path).trials) == 1


def test_a_damaged_file_of_trials_is_refused(tmp_path: Path) -> None:
    explorer(folder=tmp_path).step()
    file = next(tmp_path.glob("*.safetensors"))
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=file.name):
        explorer(folder=tmp_path)


def test_a_fit_that_fails_at_first_is_followed_by_more_random_actions() -> None:
    said: list[str] = []
    found = explorer(learner=TrueLearner(0), message=said.append).run(5.0)
    assert [trial.planned for trial in found.trials[:3]] == [False, False, True]
    assert "the fit diverged" in said[0]
    assert "more random actions" in said[0]


def test_a_fit_that_fails_later_leaves_what_was_learned_before() -> None:
    said: list[str] = []
    played = explorer(learner=TrueLearner(1), message=said.append)
    played.step()
    first = played.step() and played.learned
    played.step()
    assert played.learned is first
    assert "what was learned before" in said[0]


def raising(error: Exception) -> Callable[[Learned], Learned]:
    def change(learned: Learned) -> Learned:
        raise error

    return change


def nowhere(learned: Learned) -> Learned:
    """What was learned, with steps that lead to no number."""
    step = learned.dynamics.step
    model = StepModel(learned.dynamics.spec, lambda x, u: np.nan * step(x, u), learned.dynamics.jacobian)
    return replace(learned, dynamics=model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (raising(np.linalg.LinAlgError("Singular matrix")), "Singular matrix"),
        (raising(FloatingPointError("overflow")), "overflow"),
        (raising(IntegrationError("no solution")), "no solution"),
        (nowhere, "none that is finite"),
        (lambda learned: replace(learned, noise=np.nan * learned.noise), "learned noise"),
        (lambda learned: replace(learned, disturbance=np.full(4, math.inf)), "learned disturbance"),
        (lambda learned: replace(learned, noise=np.zeros(2)), "learned noise"),
    ],
)
def test_a_fit_that_diverges_leaves_what_was_learned_before(change: Callable[[Learned], Learned], words: str) -> None:
    said: list[str] = []
    played = explorer(learner=Diverges(change), message=said.append, planning=Planning(lengths=(0.1,), rounds=1))
    played.step()
    first = played.step() and played.learned
    played.step()
    assert first is not None
    assert played.learned is first
    assert words in said[0]
    assert "what was learned before" in said[0]


def test_a_learner_is_given_what_it_learned_before() -> None:
    learner = TrueLearner()
    played = explorer(learner=learner)
    for _ in range(3):
        played.step()
    assert learner.before[0] is None
    assert learner.before[1] is not None


def test_an_environment_that_raises_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    env = gymnasium.make(CART_POLE)
    broken = explorer(Raises(env, 15), folder=tmp_path)
    broken.step()
    with pytest.raises(RuntimeError, match="too hot"):
        broken.step()
    repaired = explorer(gymnasium.make(CART_POLE), folder=tmp_path)
    assert len(repaired.trials) == 1
    assert repaired.run(5.0).solved


class StopsOnce(Callback):
    """Interrupts what is done next, as a key does, when the plan of a number is made."""

    def __init__(self, number: int) -> None:
        self.left = number

    def on_plan(self, seconds: float, plan: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_step_that_was_interrupted_and_is_taken_again_learns_once() -> None:
    learner, undisturbed = TrueLearner(), explorer()
    played = explorer(learner=learner, callbacks=[StopsOnce(1)])
    played.step()
    with pytest.raises(KeyboardInterrupt):
        played.step()
    played.step()
    undisturbed.step()
    undisturbed.step()
    assert learner.before == [None]
    assert all(same(one, two) for one, two in zip(played.trials, undisturbed.trials, strict=True))


def test_episodes_that_end_at_once_are_given_up() -> None:
    played = explorer(EndsAtOnce(gymnasium.make(CART_POLE)))
    with pytest.raises(DataError, match="in a row"):
        played.run(5.0)
    assert len(played.trials) == MOST_EMPTY


def test_callbacks_are_told_what_is_learned_planned_and_played() -> None:
    class Notes(Callback):
        def __init__(self) -> None:
            self.seen: list[tuple[str, float]] = []

        def on_learned(self, seconds: float, learned: Any) -> None:
            self.seen.append(("learned", seconds))

        def on_plan(self, seconds: float, plan: Any) -> None:
            self.seen.append(("plan", seconds))

        def on_trial(self, seconds: float, trial: Any) -> None:
            self.seen.append(("trial", seconds))

    notes = Notes()
    explorer(callbacks=[notes]).run(5.0)
    assert [what for what, _ in notes.seen] == ["trial", "learned", "plan", "trial"]
    assert [seconds for _, seconds in notes.seen] == pytest.approx([0.5, 0.5, 0.5, 4.5])


def test_a_log_holds_every_trial(tmp_path: Path) -> None:
    found = explorer(callbacks=[Log(tmp_path)]).run(5.0)
    written = list(tmp_path.iterdir())
    assert written
    if written[0].suffix == ".csv":
        lines = written[0].read_text().splitlines()
        assert len(lines) == 1 + len(found.trials)
        assert "trial/solved" in lines[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": -1.0}, "noise"),
        ({"noise": math.nan}, "noise"),
        ({"first_seconds": 0.0}, "first_seconds"),
        ({"trial_seconds": math.inf}, "trial_seconds"),
        ({"hold_seconds": 5.0}, "hold_seconds must not be more than trial_seconds, 4, not 5"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"seed": 1.5}, "seed must be an integer of at least 0, not 1.5"),
        ({"start": (np.zeros(2),)}, "a start is 2 finite positions and as many velocities"),
        ({"start": "ab"}, "a start is 2 finite positions and as many velocities"),
        ({"goal": Goal.at([0.0], angles=[True])}, "the goal must be of 2 positions, not of 1"),
        ({"start": (np.zeros(1), np.zeros(2))}, "start"),
        ({"start": (np.full(2, math.nan), np.zeros(2))}, "start"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        explorer(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lengths": ()}, r"lengths must be shares of a trial, above 0 and up to 1, not \(\)"),
        ({"lengths": (0.5, -1.0)}, "lengths"),
        ({"longest": 0}, "longest must be a positive integer, not 0"),
        ({"guesses": 0}, "guesses"),
        ({"rounds": 0}, "rounds"),
        ({"iterations": 0}, "iterations"),
        ({"least": 0}, "least"),
        ({"rehearsals": 0}, "rehearsals"),
        ({"enough": 2.0}, "enough must be a share, from 0 to 1, not 2.0"),
    ],
)
def test_planning_out_of_range_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words):
        Planning(**options)


def test_a_time_limit_that_lets_no_trial_end_is_refused() -> None:
    env = gymnasium.wrappers.TimeLimit(gymnasium.make(CART_POLE), 79)
    with pytest.raises(InvalidOptionError, match=r"trial_seconds must be at most 3.95, .* after 79 steps, not 4"):
        explorer(gymnasium.wrappers.RecordEpisodeStatistics(env))
    assert explorer(gymnasium.make(CART_POLE, max_episode_steps=80)).rules.steps == 80


def test_a_time_limit_that_is_shorter_than_the_first_seconds_makes_several_random_trials() -> None:
    env = gymnasium.make(CART_POLE, max_episode_steps=10)
    played = explorer(env, first_seconds=1.2, trial_seconds=0.5, hold_seconds=0.1)
    assert [len(played.step().inputs) for _ in range(3)] == [10, 10, 4]


def test_seconds_that_are_no_number_are_refused() -> None:
    with pytest.raises(InvalidOptionError, match="seconds must be a number, not nan"):
        explorer().run(math.nan)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dt": 0.0}, "dt must be finite and positive, not 0.0"),
        ({"dt": -1.0}, "dt must be finite and positive, not -1.0"),
        ({"input_matrix": None}, "must say by input_matrix"),
    ],
)
def test_adapters_with_which_nothing_can_be_learned_are_refused_at_once(changes: dict[str, Any], words: str) -> None:
    env = gymnasium.make(CART_POLE)
    env.reset(seed=0)
    with pytest.raises(InvalidOptionError, match=words):
        Explorer(env, adapter=replace(adapter_of(env), **changes))


def test_a_state_of_another_size_than_the_adapter_says_is_refused() -> None:
    env = gymnasium.make(CART_POLE)
    env.reset(seed=0)
    adapter = replace(adapter_of(env), state=lambda own: (own.state[:1], own.state[2:]))
    with pytest.raises(DataError, match="2 coordinates, and its state 1 positions and 2 velocities"):
        explorer(env, adapter=adapter, start=None).run()


def test_what_actions_drive_is_found_through_wrappers_that_change_them() -> None:
    env = gymnasium.wrappers.RescaleAction(gymnasium.make("Pendulum-v1"), -1.0, 1.0)
    played = Explorer(env, Goal.at([0.0], angles=[True]), first_seconds=0.5)
    assert played.actuation.sizes.tolist() == [2.0]
    trial = played.step()
    assert 1.0 < np.abs(trial.inputs).max() <= 2.0


def test_a_trial_resets_its_environment_once() -> None:
    env = CountsResets(gymnasium.make(CART_POLE))
    played = explorer(env)
    before = env.resets
    played.step()
    played.step()
    assert env.resets - before == 2
