"""Commands take the file of a system that no package knows as they take a shipped name."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learned import CRANE, DOMAIN, write_crane
from test_cli import error, good

from hnn_envs.agents.planned import plan_episodes
from hnn_envs.checkpoints import load_checkpoint
from hnn_envs.evaluation.comparison import compare
from hnn_envs.play.session import Session
from hnn_envs.tasks.own import task_on


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_crane(tmp_path_factory.mktemp("learned") / "crane.safetensors", members=2)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, on a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


class TestCompare:
    def test_a_file_alone_is_held_against_itself_in_half_its_step(self, path: str) -> None:
        comparison = compare(path, periods=1)
        (track,) = comparison.tracks
        assert comparison.held_against == "mine/hnn in half its step"
        assert 0 < track.state_error < 1e-6
        assert 0 < track.energy_drift < 1e-6
        coarse = compare(path, periods=1, integrator="rk4")
        assert coarse.tracks[0].state_error > track.state_error

    def test_the_command_says_so(self, path: str) -> None:
        words = " ".join(good("compare", path, "--periods", "0.5", "--no-gif").split())
        assert "crane: time 0.8, 0.5 periods, against the mine/hnn in half its step" in words
        assert (
            "the equations of crane are not known: errors are against mine/hnn in half its step; drifts are of the "
            "learned energy H of mine/hnn"
        ) in words
        assert Path("runs/compare/crane.png").is_file()

    def test_two_files_are_held_against_the_first(self, path: str, tmp_path: Path) -> None:
        other = write_crane(tmp_path / "other.safetensors", spread_scale=2.0)
        words = good("compare", "--systems", path, "--dynamics", f"{path},{other}", "--periods", "0.5", "--no-gif")
        assert f"errors are against {path};" in words

    def test_there_is_no_ode(self, path: str) -> None:
        assert "equations of 'crane' are not known" in error("compare", path, "--dynamics", "ode,hnn")


class TestPlay:
    def test_a_file_is_played_alone_with_the_inputs_that_it_saw(self, path: str) -> None:
        good("play", path, "--frames", "2")
        session = Session(path, seed=0)
        assert [track.dynamics.role for track in session.tracks] == ["hnn"]
        before = session.tracks[0].x
        session.tick(np.ones(1))
        expected = session.tracks[0].dynamics.step(before, np.array([10.0]))
        np.testing.assert_array_equal(session.tracks[0].x, expected)
        assert session.views()[0].action.tolist() == [1.0]
        session.kick()


@pytest.mark.parametrize("picture", ["plane", "pendulum", "spring"])
def test_what_has_no_inputs_is_played_and_compared(tmp_path_factory: pytest.TempPathFactory, picture: str) -> None:
    free = replace(CRANE, inputs=(), input_matrix=((), ()), picture=picture)
    folder = tmp_path_factory.mktemp("free")
    path = write_crane(folder / "free.safetensors", spec=free, domain=replace(DOMAIN, inputs=()))
    assert "a task needs an input, and 'crane' has none" in error("plan", path)
    good("play", path, "--frames", "2")
    session = Session(path, seed=0)
    before = session.tracks[0].x
    session.kick()
    np.testing.assert_array_equal(session.tracks[0].x, before)
    assert compare(path, periods=0.2).tracks[0].state_error < 1e-6


class TestStability:
    def test_a_file_is_measured_alone(self, path: str) -> None:
        arguments = ("--steps", "20", "--starts", "2", "--jobs", "1")
        words = good("benchmark", "stability", "--systems", path, *arguments)
        assert f"the equations of crane are not known: all are held against {path} in half its step" in words
        rows = json.loads(Path("runs/stability/stability.json").read_text())["rows"]
        found = {row["metric"]: row["value"] for row in rows}
        assert {row["system"] for row in rows} == {"crane"}
        assert found["state_rmse"] < 1e-6
        assert found["max_relative_learned_energy_error"] < 1e-6
        (line,) = (
            line for line in words.splitlines() if line.strip().startswith("crane") and "crane.safetensors" in line
        )
        assert "0.0e+00" in line  # with friction, energies are held against the model's own


class TestPlan:
    def test_a_file_is_planned_for(self, path: str) -> None:
        options = {"target": [1, 0, 0, 0], "start_spread": 0, "max_episode_steps": 20}
        words = good("plan", path, "--options", json.dumps(options), "--episodes", "2", "--gif")
        assert "crane: regulate" in words
        assert len(re.findall(r"^ +[01] +\d+\.\d\d +20", words, re.MULTILINE)) == 2
        assert f"planned in {path}, acted in {path}: " in words
        assert Path("runs/plan/crane.gif").stat().st_size > 1000

    def test_a_plan_earns_more_than_none(self, path: str) -> None:
        options = {"target": [1, 0, 0, 0], "start_spread": 0, "max_episode_steps": 60, "state_weights": [1, 0, 0.1, 0]}
        task = task_on(load_checkpoint(Path(path)).card, None, options)
        found = plan_episodes(task, path, path)
        rest = float(task.reward(np.zeros(4), np.zeros(1), np.zeros(4)))
        assert (found.steps.tolist(), found.outside.tolist(), found.frames) == ([60], [False], [])
        assert found.returns[0] > 60 * rest + 0.3 * 60 * (1 - rest)

    def test_a_system_is_planned_for_in_its_model_and_played_in_the_ode(self) -> None:
        words = good("plan", "mass-spring")
        assert "planned in hnn, acted in ode" in words
        assert re.search(r"^ +0 +-?\d+\.\d\d +100", words, re.MULTILINE)

    def test_a_task_of_ones_own(self, path: str) -> None:
        words = good("plan", path, "--task", "own_tasks:Upright", "--options", '{"limit": 1.9}')
        assert "crane: upright" in words

    def test_what_cannot_be_planned_is_refused(self, path: str) -> None:
        assert "unknown" in error("plan", "yoyo")
        assert "it is no JSON" in error("plan", path, "--options", "{")
        assert "has no setting 'goal'" in error("plan", path, "--options", '{"goal": 1}')
        assert "options must be a table" in error("plan", path, "--options", "[1]")
        assert "equations of 'crane' are not known" in error("plan", path, "--acting", "ode")
        assert "no task at" in error("plan", path, "--task", "own_tasks:Nowhere")
