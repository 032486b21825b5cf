"""``hnn-envs explore``: what it prints and writes, and that it goes on where it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exploring import TrueLearner
from typer.testing import CliRunner

from hnn_envs.checkpoints import checkpoint_path
from hnn_envs.cli import app
from hnn_envs.dynamics import make_dynamics
from hnn_envs.exploration import machine_learner
from hnn_envs.learning import LearnedModel

QUICK = ["--first", "0.5", "--seed", "0"]


def true_path(steps: int) -> np.ndarray:
    """Positions of the true cart-pole that is let go at an angle of 1 rad."""
    dynamics = make_dynamics("cart-pole", "ode", dt=0.05)
    path = [np.array([0.0, 1.0, 0.0, 0.0])]
    for _ in range(steps):
        path.append(dynamics.step(path[-1], np.zeros(1)))
    return np.stack(path)[:, :2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in a folder of its own, with a learner that knows the cart-pole."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine_learner, "MachineLearner", TrueLearner)
    shipped = LearnedModel.load(checkpoint_path("cart-pole", "hnn"))
    monkeypatch.setattr(machine_learner, "model_of", lambda learned, recording: shipped)


def run(*arguments: str) -> Any:
    """The command in this process; a traceback is a failure of the test."""
    result = CliRunner().invoke(app, ["explore", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_line_tells_of_every_trial_and_there_is_a_film() -> None:
    lines = run("cart-pole", *QUICK, "--out", "here", "--log").stdout.splitlines()
    assert lines[0] == "trial 1, after 0.0 s: random, 0.5 s, whole"
    assert lines[1] == "trial 2, after 0.5 s: planned, 4.0 s, solved"
    assert lines[-3:] == ["solved after 0.5 s of experience", "model: here/model.safetensors", "film: here/film.gif"]
    assert LearnedModel.load("here/model.safetensors").spec.dof == 2
    assert Path("here/film.gif").stat().st_size > 1000
    assert list(Path("here/log").iterdir())


def test_the_model_is_of_all_trials_and_foretells_what_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    assert "model: " in run("cart-pole", "--first", "0.8", "--seed", "0", "--out", str(tmp_path / "here")).stdout
    model = LearnedModel.load(tmp_path / "here" / "model.safetensors")
    assert model.checkpoint.card.metrics["seconds"] == pytest.approx(4.8)
    q, _ = model.predict(np.array([0.0, 1.0]), np.zeros(2), np.zeros((20, 1)))
    np.testing.assert_allclose(q, true_path(20), atol=0.1)


def test_where_the_last_fit_fails_no_model_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    learners = iter((TrueLearner(), TrueLearner(0)))
    monkeypatch.setattr(machine_learner, "MachineLearner", lambda: next(learners))
    assert "no model is written" in run("cart-pole", *QUICK, "--out", "here").stdout
    assert not Path("here/model.safetensors").exists()
    assert Path("here/film.gif").exists()


def test_run_again_it_goes_on_where_it_was() -> None:
    whole = run("cart-pole", *QUICK, "--out", "whole").stdout
    run("cart-pole", *QUICK, "--out", "parts", "--seconds", "0.4")
    again = run("cart-pole", *QUICK, "--out", "parts").stdout
    assert again.replace("parts", "whole").splitlines()[1:] == whole.splitlines()
    assert "going on after 1 trials" in again
    assert Path("parts/film.gif").read_bytes() == Path("whole/film.gif").read_bytes()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["Pendulum-v1"], r"random, 1.0 s, whole"),
        (["mass-spring", "--start", "0.5"], r"random, 1.0 s, whole"),
        (["hnn_envs:hnn_envs/Pendulum-v0", "--goal", "3.14", "--out", "there"], r"random, 1.0 s, whole"),
    ],
)
def test_tasks_and_ids_are_explored(words: list[str], shown: str) -> None:
    assert re.search(shown, run(*words, "--first", "1", "--seconds", "0.5").stdout)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["cart-pole", "--goal", "1"], "--goal takes a position for each of q1, q2, not 1"),
        (["cart-pole", "--start", "1,2,3"], "--start takes a position for each of q1, q2, not 3"),
        (["Acrobot-v1"], "exploring plans continuous actions within bounds"),
        (["no-such-thing"], "environment 'no-such-thing' cannot be made"),
        (["two-body"], "nothing says what"),
    ],
)
def test_what_cannot_be_explored_is_said_in_a_line(words: list[str], cause: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert cause in result.stderr
    assert result.stderr.count("\n") == 1
