"""The speed benchmark works, and judges its rows; how fast things are is no test's business."""

from __future__ import annotations

import math
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from hnn_envs.benchmarks import speed
from hnn_envs.benchmarks.speed import peers
from hnn_envs.benchmarks.speed.interleaved import Timing, interleave, repeat
from hnn_envs.cli import app
from hnn_envs.commands.speed import _table
from hnn_envs.dynamics import make_dynamics
from hnn_envs.evaluation.records import Row, read_rows
from hnn_envs.tasks import TASKS, get_task


def test_the_command_measures_everything_and_says_what_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    done = CliRunner().invoke(app, ["benchmark", "speed", "--quick", "--json", str(path)], terminal_width=200)
    assert done.exit_code == 0, done.output
    rows = read_rows(path)
    assert all(row.suite == "speed" and math.isfinite(row.value) for row in rows)
    differences = ("trainer_overhead", "ppo_share_of_environments_4")
    assert all(row.value > 0 for row in rows if row.metric not in differences)
    short = [row for row in rows if speed.missed(row)]
    aimed = [row for row in rows if row.reference is not None]
    assert f"{len(short)} of {len(aimed)} targets missed" in done.output
    assert done.output.count("MISSED") == len(short)
    assert {re.sub(r"_\d+$", "", row.metric) for row in aimed} >= {
        *("step_over_pendulum_v1", "times_sync_vector_env", "times_seed", "rollout_times_vector_env"),
        *("cost_over_best_size", "share_of_the_limit", "ppo_times_make_vec_env", "import_seconds"),
        *("first_step_seconds", "training_step_over_seed", "trainer_overhead"),
    }
    for peer in ("jax", "mujoco", "envpool"):
        assert any(peer in row.metric for row in rows) == peers.has_peer(peer)


@pytest.mark.parametrize("width", [80, 200])
def test_a_verdict_is_shown_whole_however_long_its_row(width: int) -> None:
    row = Row(
        "speed", "three-body", "paper/hnn", "first_step_seconds", 1234567.0, 98765.4, "steps per second", reference=1.0
    )
    console = Console(width=width, file=StringIO())
    console.print(_table([row]))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "MISSED" in printed
    assert "<= 1" in printed


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("step_over_pendulum_v1", 0.9, False),
        ("step_over_pendulum_v1", 1.1, True),
        ("times_seed", 24.0, True),
        ("times_seed", 26.0, False),
    ],
)
def test_a_target_is_the_largest_or_the_smallest_value(metric: str, value: float, expected: bool) -> None:
    target = 1.0 if metric == "step_over_pendulum_v1" else 25.0
    assert speed.missed(Row("speed", "pendulum", "hnn", metric, value, reference=target)) is expected
    assert not speed.missed(Row("speed", "pendulum", "hnn", metric, value))


def test_every_upper_bound_is_a_metric_that_is_measured() -> None:
    source = "".join(file.read_text() for file in Path(speed.__file__).parent.glob("[!_]*.py"))
    assert all(f'"{metric}"' in source for metric in speed.AT_MOST)


def test_cases_take_turns_and_the_first_turn_does_not_count() -> None:
    order: list[str] = []
    costs = iter([9.0, 9.0, 1.0, 2.0, 3.0, 12.0, 2.0, 8.0])

    def case(name: str) -> float:
        order.append(name)
        return next(costs)

    timings = interleave({name: lambda name=name: case(name) for name in "ab"}, turns=3)  # type: ignore[misc]
    assert order == list("abababab")
    np.testing.assert_array_equal(timings["a"].costs, [1, 3, 2])
    assert timings["b"].median == 8
    assert timings["b"].over(timings["a"]).median == 4  # the median of 2, 4, 4: no turn's noise is in another's ratio
    assert timings["a"].rate().times(6).costs.tolist() == [6, 2, 3]


def test_the_error_of_a_median_is_that_of_normal_samples() -> None:
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((400, 101))
    claimed = np.mean([Timing(sample).stderr for sample in samples])
    assert claimed == pytest.approx(np.median(samples, axis=1).std(), rel=0.1)


def test_a_case_costs_seconds_per_unit() -> None:
    calls: list[int] = []
    assert repeat(lambda: calls.append(1), 0.0, units=10**9)() < 1e-9
    assert len(calls) == 1


def test_jax_steps_what_the_environments_step() -> None:
    jax = pytest.importorskip("jax")
    task = get_task("pendulum")
    rng = np.random.default_rng(0)
    x, u = rng.uniform(-2, 2, (5, 2)), rng.uniform(-1, 1, (5, 1))
    dynamics = make_dynamics(task.system, "hnn", dt=task.dt)
    peers.jax_steps(dynamics, 1)()
    step = jax.vmap(peers.jax_step(dynamics, jax))
    np.testing.assert_allclose(step(x, u), dynamics.step(x, u), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["mass-spring", "pendulum", "real-pendulum", "two-body", "three-body"])
def test_the_arithmetic_of_a_step_is_counted(name: str) -> None:
    task = TASKS[name]
    dynamics = make_dynamics(task.system, "hnn", dt=task.dt)
    counted = peers.arithmetic(dynamics)
    network = dynamics.field.hamiltonian.network  # type: ignore[attr-defined]
    pairs = {"two-body": 1, "three-body": 3}.get(name, 1)
    looks = 1 if dynamics.spec.bodies else 0
    forces = (6 * dynamics.substeps + 1 + looks) * pairs
    (inputs, units), outputs = network.weights[0].shape, 1
    assert counted.operations == forces * 4 * (inputs * units + units * outputs)
    assert counted.functions == forces * (units + {"mass-spring": 0}.get(name, 2))
