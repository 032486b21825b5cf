"""Two tasks on one system: what names a task means the task, what names a system means the system."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import MakeCheckpoint
from typer.testing import CliRunner

from hnn_envs.agents.controllers import lqr, mpc_and_lqr
from hnn_envs.agents.planning import Planner
from hnn_envs.agents.policies import Policy, PolicyCard, load_policy, save_policy
from hnn_envs.checkpoints import load_checkpoint
from hnn_envs.cli import app
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import CheckpointError
from hnn_envs.evaluation import card_metrics, episode_error
from hnn_envs.evaluation.comparison import compare
from hnn_envs.evaluation.records import Row
from hnn_envs.evaluation.subjects import Subject
from hnn_envs.play.session import Session
from hnn_envs.report import sources
from hnn_envs.systems import SYSTEMS
from hnn_envs.tasks import TASKS, tasks_of
from hnn_envs.tasks.optional import Search

BOTH = ("acrobot", "pendubot")
IDS = {"acrobot": "hnn_envs:hnn_envs/Acrobot", "pendubot": "hnn_envs:hnn_envs/Pendubot"}
both = pytest.mark.parametrize("name", BOTH)


def driven_entry(name: str) -> int:
    """Which of [shoulder, elbow] the task drives."""
    return {"acrobot": 1, "pendubot": 0}[name]


@both
def test_actions_of_environments_turn_one_joint(name: str) -> None:
    env = gym.make(f"{IDS[name]}-v0").unwrapped
    assert env.action_space.shape == (1,)
    env.reset(seed=0)
    x, u = env.state, np.zeros(2)  # type: ignore[attr-defined]
    env.step(np.array([0.7], np.float32))
    u[driven_entry(name)] = TASKS[name].max_input * float(np.float32(0.7))
    np.testing.assert_array_equal(env.state, make_dynamics("double-pendulum", dt=0.05).step(x, u))  # type: ignore[attr-defined]


@both
def test_ids_of_learned_physics_name_the_system_that_the_task_is_on(name: str) -> None:
    for suffix, dynamics in (("HNN", "hnn"), ("Baseline", "baseline")):
        spec = gym.spec(f"{IDS[name].partition(':')[2]}{suffix}-v0")
        assert spec.kwargs == {"task": name, "dynamics": dynamics}


def test_one_checkpoint_moves_both(random_checkpoint: MakeCheckpoint) -> None:
    path = random_checkpoint("double-pendulum", "baseline")
    for name in BOTH:
        batch: Any = gym.make_vec(f"{IDS[name]}-v0", num_envs=2, dynamics=path)
        batch.reset(seed=0)
        batch.step(np.ones((2, 1), np.float32))
        assert np.isfinite(batch.unwrapped.state).all()
        batch.close()


def test_a_task_is_played_by_its_own_motor_and_a_system_by_all() -> None:
    sessions = {name: Session(name, ("ode",), seed=0) for name in (*BOTH, "double-pendulum")}
    assert {name: session.inputs for name, session in sessions.items()} == {
        "acrobot": 1,
        "pendubot": 1,
        "double-pendulum": 2,
    }
    assert sessions["pendubot"].drawing is TASKS["pendubot"]
    moved = {}
    for name, session in sessions.items():
        session.tick(np.ones(1) if name in BOTH else np.array([0.0, 1.0]))
        moved[name] = session.tracks[0].x
        shown = session.views()[0].action
        np.testing.assert_array_equal(shown, np.eye(2)[driven_entry(name) if name in BOTH else 1])
    np.testing.assert_array_equal(moved["acrobot"], moved["double-pendulum"])
    assert not np.array_equal(moved["acrobot"], moved["pendubot"])


@both
def test_a_kick_is_an_impulse_at_the_joint_that_is_pushed(name: str) -> None:
    session = Session(name, ("ode",), seed=0)
    machine: Any = SYSTEMS["double-pendulum"]
    before = machine.field.to_canonical(session.tracks[0].x)
    session.kick()
    change = machine.field.to_canonical(session.tracks[0].x) - before
    assert change[2 + driven_entry(name)] > 0.05
    np.testing.assert_allclose(np.delete(change, 2 + driven_entry(name)), 0.0, atol=1e-12)


def test_comparisons_take_the_start_and_the_drawing_of_the_task_that_is_named() -> None:
    for name in BOTH:
        found = compare(name, ["ode"], periods=0.2)
        assert found.spec.name == "double-pendulum"
        assert found.drawing is TASKS[name]
    assert Subject.of("double-pendulum").task is tasks_of("double-pendulum")[0]
    assert Subject.of("double-pendulum").driven == (0, 1)
    assert Subject.of("acrobot").name == "double-pendulum"


def test_commands_name_their_files_after_the_task(tmp_path: Path) -> None:
    words = ["compare", "--systems", "acrobot,pendubot", "--dynamics", "ode", "--periods", "0.2", "--no-gif"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"acrobot.png", "pendubot.png"}


def test_the_list_has_both_tasks_on_their_system_and_its_checkpoints_once() -> None:
    words = CliRunner().invoke(app, ["list"]).output
    for name in ("Acrobot", "Pendubot"):
        assert re.search(rf"hnn_envs:hnn_envs/{name}-v0 +double-pendulum +4 +1 +200", words)
    for system in SYSTEMS:
        assert len(re.findall(rf"^ {system} +hnn ", words, re.MULTILINE)) <= 1


def test_a_card_has_the_error_of_the_task_where_it_is_worst(
    random_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(Path(random_checkpoint("double-pendulum", "baseline")))
    acrobot, pendubot = (
        episode_error.episode_errors(checkpoint, 4, task=TASKS[name]) for name in ("acrobot", "pendubot")
    )
    assert np.isfinite(acrobot).all()
    assert not np.array_equal(acrobot, pendubot)
    np.testing.assert_array_equal(acrobot, episode_error.episode_errors(checkpoint, 4))
    errors = {"acrobot": 0.1, "pendubot": 0.3}
    monkeypatch.setattr(card_metrics, "episode_errors", lambda checkpoint, task: np.full(100, errors[task.name]))
    recipe: Any = type("Recipe", (), {"spec": SYSTEMS["double-pendulum"].spec, "known": SYSTEMS["double-pendulum"]})
    assert card_metrics._in_its_tasks(recipe, checkpoint) == {"episode_error_95": pytest.approx(0.3)}


def test_a_policy_for_one_is_none_for_the_other(tmp_path: Path) -> None:
    weights = {
        "0.weight": np.zeros((1, 6), np.float32),
        "0.bias": np.zeros(1, np.float32),
        "mean": np.zeros(6),
        "scale": np.ones(6),
    }
    card = PolicyCard(task="acrobot", dynamics="ode", algorithm="ppo", hyperparameters={}, seed=0, steps=1)
    save_policy(tmp_path / "p.safetensors", Policy(card, weights))
    assert load_policy(tmp_path / "p.safetensors", task="acrobot").predict(np.zeros((3, 6))).shape == (3, 1)
    with pytest.raises(CheckpointError, match="trained for task 'acrobot', not for 'pendubot'"):
        load_policy(tmp_path / "p.safetensors", task="pendubot")


def test_rows_that_name_a_task_are_of_the_physics_of_its_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(sources, "role_by_name", lambda system, name: asked.append((system, name)) or "hnn")
    rows = [Row("transfer", name, "hnn", "return", 1.0) for name in ("pendubot", "pendulum", "unheard-of")]
    sources.Material(rows=rows[:1]).roles()
    sources.Material(rows=rows[1:2]).roles()
    sources.Material(rows=rows[2:]).roles()
    assert asked == [("double-pendulum", "hnn"), ("pendulum", "hnn"), ("unheard-of", "hnn")]


@pytest.mark.parametrize(
    ("name", "spread", "least"), [("cart-pole", 0.1, 95), ("pendubot", 0.01, 99), ("acrobot", 0.002, 99)]
)
def test_the_regulator_holds_a_machine_at_its_goal(name: str, spread: float, least: float) -> None:
    task: Any = TASKS[name]
    control, dynamics, rng = lqr(task), make_dynamics(task.system, dt=task.dt), np.random.default_rng(0)
    x, total = task.goal + spread * rng.uniform(-1, 1, (10, 4)), np.zeros(10)
    x[:5] += 2 * np.pi * np.array([*task.system.spec.angles, 0, 0])  # the same place
    for _ in range(100):
        action = control(x, x)
        assert action.shape == (10, 1)
        u = np.zeros((10, len(task.system.spec.inputs)))
        u[:, getattr(task, "driven", (0,))] = task.max_input * action
        following = dynamics.step(x, u)
        total += task.reward(x, u, following)
        x = following
    assert total.min() > least


def test_planning_hands_over_where_the_regulator_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = []

    def plan(self: Planner, states: Any) -> Any:
        planned.append(len(states))
        return np.full((len(states), 1), 9.0)

    monkeypatch.setattr(Planner, "plan", plan)
    task: Any = TASKS["cart-pole"]
    control, hold = mpc_and_lqr(task, "ode"), lqr(task)
    near, hanging = task.goal + np.array([0.0, 0.05, 0.0, 0.0]), np.zeros(4)
    np.testing.assert_array_equal(control(near[None], near[None]), hold(near[None], near[None]))
    assert not planned
    pair = np.stack((near, hanging))
    assert control(pair, pair)[1] == 9.0
    np.testing.assert_array_equal(control(pair, pair)[0], hold(pair, pair)[0])


def test_plans_take_the_method_and_the_steps_that_a_search_says() -> None:
    planner = Planner("acrobot", "ode", Search(hold=2, integrator="rk4", substeps=7))
    assert (planner._dynamics.integrator.name, planner._dynamics.substeps) == ("rk4", 14)
    assert planner._dynamics.dt == pytest.approx(0.1)
