"""The seconds benchmark: what is run, what is kept, and the rows that it gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hnn_envs.benchmarks.seconds import AGENTS, OURS, OWN, cells, run, seconds_of, suite
from hnn_envs.benchmarks.seconds.cells import POLICY, Cell, Result, run_cell, suits
from hnn_envs.benchmarks.seconds.challenges import GYMNASIUM, challenge_of
from hnn_envs.cli import app
from hnn_envs.errors import InvalidOptionError, ResultsError, UnknownNameError
from hnn_envs.evaluation.records import read_rows
from hnn_envs.figures.seconds import SecondsUntilSolved, seconds_figure
from hnn_envs.tasks import get_task
from hnn_envs.tasks.optional import second_of


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Cells whose measuring was asked for; each takes as many seconds as its seed says, and the third none at all."""
    asked: list[Cell] = []

    def measure(cell: Cell) -> tuple[float, int, float | None]:
        asked.append(cell)
        return (math.inf if cell.seed == 2 else 1.0 + cell.seed), 1, 0.75 if cell.agent == POLICY else None

    monkeypatch.setattr(cells, "_measured", measure)
    return asked


def test_the_pendulum_is_solved_within_two_seconds_of_noisy_experience(tmp_path: Path) -> None:
    rows = run(["pendulum"], seeds=1, first_seed=100, folder=tmp_path)
    found = {row.metric: row for row in rows}
    assert found["seconds_until_solved"].dynamics == f"{OURS}@100"
    assert found["seconds_until_solved"].value <= 2.0
    assert found["median_seconds_until_solved"].value == found["seconds_until_solved"].value
    assert found["median_seconds_until_solved"].reference == 2.0
    assert found["share_within_target"].value == 1.0


def test_every_task_agent_and_seed_has_a_row(tmp_path: Path, measured: list[Cell]) -> None:
    rows = run(["pendulum", "cart-pole"], [OURS, "pets"], seeds=3, first_seed=0, folder=tmp_path)
    labels = {(row.system, row.dynamics) for row in rows if row.metric == "seconds_until_solved"}
    assert labels == {
        (task, f"{agent}@{seed}") for task in ("pendulum", "cart-pole") for agent in (OURS, "pets") for seed in range(3)
    }
    assert seconds_of(rows, "pendulum", "pets") == [1.0, 2.0, math.inf]
    medians = {row.dynamics: row.value for row in rows if row.metric == "median_seconds_until_solved"}
    assert medians == {OURS: 2.0, "pets": 2.0}


def test_what_was_measured_is_not_measured_again(tmp_path: Path, measured: list[Cell]) -> None:
    first = run(["pendulum"], seeds=3, folder=tmp_path)
    again = run(["pendulum"], seeds=3, folder=tmp_path)
    assert len(measured) == 3
    assert [row.value for row in first] == [row.value for row in again]


def test_a_kept_cell_that_was_damaged_is_refused(tmp_path: Path, measured: list[Cell]) -> None:
    cell = Cell("pendulum", OURS, 0)
    run_cell(cell, tmp_path)
    path = cell.path(tmp_path)
    path.write_text(path.read_text().replace("1.0", "0.1"))
    with pytest.raises(ResultsError, match="delete it"):
        run_cell(cell, tmp_path)


def test_what_never_solves_a_task_is_infinite_and_is_kept_as_such(tmp_path: Path, measured: list[Cell]) -> None:
    cell = Cell("pendulum", OURS, 2)
    assert run_cell(cell, tmp_path).seconds == math.inf
    assert run_cell(cell, tmp_path) == Result(math.inf, run_cell(cell, tmp_path).work, 1)


def test_policies_have_the_share_of_trials_that_they_solve(tmp_path: Path, measured: list[Cell]) -> None:
    rows = run(["cart-pole"], [POLICY], seeds=2, folder=tmp_path)
    assert [row.value for row in rows if row.metric == "policy_solved_share"] == [0.75]


def test_environments_of_gymnasium_are_counted_in_transitions(tmp_path: Path, measured: list[Cell]) -> None:
    rows = run(["Pendulum-v1"], seeds=1, folder=tmp_path)
    assert [row.value for row in rows if row.metric == "median_transitions_until_solved"] == [pytest.approx(20)]


@pytest.mark.parametrize(
    ("tasks", "agents", "options", "error"),
    [
        (["pendulun"], [], {}, UnknownNameError),
        (["mass-spring"], [], {}, InvalidOptionError),
        ([], ["nobody"], {}, UnknownNameError),
        ([], [], {"seeds": 0}, InvalidOptionError),
        ([], [], {"first_seed": -1}, InvalidOptionError),
        (["Pendulum-v1"], ["ppo"], {}, InvalidOptionError),
    ],
)
def test_what_cannot_be_run_is_refused(
    tmp_path: Path, tasks: list[str], agents: list[str], options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run(tasks, agents, folder=tmp_path, **options)


def test_agents_that_are_not_installed_are_left_out(
    tmp_path: Path, measured: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "is_installed", lambda name: name != "sindy")
    said: list[str] = []
    rows = run(["pendulum"], [OURS, "sindy"], seeds=1, folder=tmp_path, message=said.append)
    assert "sindy" in said[0]
    assert not any(row.dynamics.startswith("sindy") for row in rows)


def test_a_policy_is_trained_where_states_are_of_velocities() -> None:
    assert suits(POLICY, "cart-pole")
    assert not suits(POLICY, "pendulum")
    assert not suits(POLICY, "Pendulum-v1")


@pytest.mark.parametrize("name", [*OWN, *GYMNASIUM])
def test_every_task_says_what_is_asked(name: str) -> None:
    asked = challenge_of(name)
    env = asked.make()
    try:
        assert asked.trial == (50.0 if name == "InvertedDoublePendulum-v5" else 4.0)
        assert asked.noise == (0.0 if name in GYMNASIUM else 1e-2)
        assert asked.second == (1.0 if name in GYMNASIUM else second_of(get_task(name)))
        assert env.action_space.shape == (1,)
    finally:
        env.close()


def test_the_command_writes_rows_and_shows_a_table(tmp_path: Path, measured: list[Cell]) -> None:
    path = tmp_path / "rows.json"
    arguments = ["--tasks", "pendulum,acrobot", "--agents", f"{OURS},sac", "--seeds", "3", "--jobs", "1"]
    done = CliRunner().invoke(
        app, ["benchmark", "seconds", *arguments, "--out", str(tmp_path / "kept"), "--json", str(path)]
    )
    assert done.exit_code == 0, done.output
    assert "1 to never" in done.output
    assert "2 of 3" in done.output
    assert (tmp_path / "kept" / "seconds.png").stat().st_size > 10_000
    assert {row.dynamics.partition("@")[0] for row in read_rows(path)} == {OURS, "sac"}


def test_the_figure_has_a_panel_for_each_task_and_shows_what_never_solved_it_apart() -> None:
    found = [
        SecondsUntilSolved("pendulum", OURS, (2.0, 2.0, 5.0), 2.0),
        SecondsUntilSolved("pendulum", "sac", (100.0, math.inf, math.inf)),
        SecondsUntilSolved("acrobot", OURS, (2.0,), 15.0),
    ]
    panels = seconds_figure(found).axes
    assert [panel.get_title() for panel in panels] == ["pendulum", "acrobot"]
    drawn = [line for line in panels[0].lines if line.get_fillstyle() == "none" and len(line.get_xdata())]
    assert len(drawn[0].get_xdata()) == 2
    assert min(drawn[0].get_xdata()) > 100
    assert panels[0].get_xticklabels()[-1].get_text() == "never"


def test_all_stands_for_all_agents(tmp_path: Path, measured: list[Cell]) -> None:
    arguments = ["--tasks", "cart-pole", "--agents", "all", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["benchmark", "seconds", *arguments])
    assert done.exit_code == 0, done.output
    assert {cell.agent for cell in measured} == set(AGENTS)
