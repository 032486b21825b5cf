"""The stability benchmark: its metrics against cases with known answers, its streams against plain rollouts."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hnn_envs.benchmarks.stability import streaming
from hnn_envs.benchmarks.stability.cells import Cell, make_cells
from hnn_envs.benchmarks.stability.streaming import Plan, load_trace, simulate
from hnn_envs.benchmarks.stability.suite import run
from hnn_envs.checkpoints import ALIASES, shipped_checkpoints
from hnn_envs.cli import app
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError, ResultsError, UnknownNameError
from hnn_envs.evaluation import metrics
from hnn_envs.evaluation.records import Row, read_rows
from hnn_envs.rollouts import rollout
from hnn_envs.systems import SYSTEMS, SystemSpec, get_system
from hnn_envs.systems.pendulum import Pendulum

PENDULUM, SPRING = get_system("pendulum"), get_system("mass-spring")


def starts(system: Any, count: int = 4) -> np.ndarray:
    return system.sample_states(np.random.default_rng(5), count)


class TestTrend:
    times = np.arange(200.0)

    def noise(self, seed: int, starts: int, correlation: float = 0.6) -> np.ndarray:
        """AR(1) series: errors of neighbouring batches are alike."""
        rng = np.random.default_rng(seed)
        series = rng.standard_normal((200, starts))
        for row in range(1, 200):
            series[row] += correlation * series[row - 1]
        return series

    def test_correlated_noise_is_rarely_taken_for_a_drift(self) -> None:
        found = [metrics.energy_trend(self.times, self.noise(seed, 8)).significant for seed in range(100)]
        assert np.mean(found) < 0.15  # one test at 5 %, and one at 1 % that is somewhat liberal

    def test_a_shared_drift_is_found_and_measured(self) -> None:
        trend = metrics.energy_trend(self.times, self.noise(0, 8) + 0.02 * self.times[:, None])
        assert trend.significant
        assert trend.low < 0.02 < trend.high

    def test_drifts_of_both_signs_are_found(self) -> None:
        signs = np.array([1, -1] * 4)
        trend = metrics.energy_trend(self.times, self.noise(0, 8) + 0.05 * signs * self.times[:, None])
        assert trend.low < 0 < trend.high
        assert trend.drifting == 8
        assert trend.significant

    def test_a_single_start_has_an_interval_too(self) -> None:
        trend = metrics.energy_trend(self.times, self.noise(0, 1))
        assert trend.low < trend.slope < trend.high

    def test_what_rounding_can_do_is_no_drift(self) -> None:
        series = 1e-15 * self.times[:, None] * np.ones(4)
        assert metrics.energy_trend(self.times, series).significant
        assert not metrics.energy_trend(self.times, series, floor=1e-12).significant

    def test_a_diverged_start_drifts(self) -> None:
        series = self.noise(0, 3)
        series[50:, 1] = np.nan
        assert metrics.energy_trend(self.times, series).significant


class TestMetrics:
    def test_a_rotation_that_lags_is_valid_until_its_error_is_large(self) -> None:
        times = np.linspace(0, 100, 2001)
        orbit = np.stack([np.cos(times), np.sin(times)], axis=-1)[:, None]
        late = np.stack([np.cos(0.99 * times), np.sin(0.99 * times)], axis=-1)[:, None]
        valid = metrics.valid_prediction_time(times, late, orbit, (False,))
        # |difference|^2 = 4 sin^2(lag / 2), relative to 1
        lag = 2 * math.asin(math.sqrt(metrics.VALID_MSE) / 2)
        assert valid[0] == pytest.approx(lag / 0.01, abs=0.1)
        assert np.isinf(metrics.valid_prediction_time(times, orbit, orbit, (False,))[0])

    def test_whole_turns_are_no_error(self) -> None:
        states = np.array([[[0.1, 0.5]], [[0.2, 0.4]]])
        turned = states + np.array([2 * math.pi, 0.0])
        assert np.allclose(metrics.state_rmse(turned, states, (True,)), 0)
        assert metrics.state_rmse(turned, states, (False,))[0] > 1

    def test_what_diverged_is_invalid_from_there_on(self) -> None:
        times, states = np.arange(3.0), np.ones((3, 1, 2))
        broken = states.copy()
        broken[1:] = np.nan
        assert metrics.valid_prediction_time(times, broken, states, (False,)) == [1.0]
        assert np.isinf(metrics.state_rmse(broken, states, (False,))[1])

    @pytest.mark.parametrize(("method", "reversible"), [("pefrl", True), ("leapfrog", True), ("rk4", False)])
    def test_symmetric_methods_retrace_their_path(self, method: str, reversible: bool) -> None:
        dynamics = make_dynamics(PENDULUM, dt=0.3, integrator=method, substeps=1)
        error = metrics.reversal_error(dynamics, starts(PENDULUM), 500).max()
        assert bool(error < 1e-10) is reversible

    @pytest.mark.parametrize("name", ["mass-spring", "pendulum", "real-pendulum", "two-body", "three-body"])
    def test_splittings_are_symplectic(self, name: str) -> None:
        system = get_system(name)
        assert metrics.symplecticity_defect(make_dynamics(system, dt=0.05), starts(system)).max() < 1e-10

    def test_the_defect_of_rk4_is_what_theory_says(self) -> None:
        # On the harmonic oscillator RK4 multiplies areas by 1 - z^6 / 72 + z^8 / 576 with z = omega h.
        h = 0.4
        defect = metrics.symplecticity_defect(make_dynamics(SPRING, dt=h, integrator="rk4", substeps=1), starts(SPRING))
        z = 2 * h
        assert defect == pytest.approx(z**6 / 72 - z**8 / 576, rel=1e-8)

    def test_a_body_escapes_when_it_is_far_and_fast_enough(self) -> None:
        q = np.array([0.5, 0.0, -0.5, 0.0, 6.0, 0.0])
        still, fast, back = (np.array([0, 0.5, 0, -0.5, speed, 0.0]) for speed in (0.0, 2.0, -2.0))
        found = [bool(metrics.escaped(np.concatenate((q, p)), 3)) for p in (still, fast, back)]
        assert found == [False, True, False]

    def test_event_times_of_one_distribution_are_told_from_others(self) -> None:
        rng = np.random.default_rng(0)
        one, same, other = rng.exponential(10, 200), rng.exponential(10, 200), rng.exponential(20, 200)
        censored = [np.where(times > 15, np.inf, times) for times in (one, same, other)]
        assert metrics.same_survival(censored[0], censored[1], 15) > 0.05
        assert metrics.same_survival(censored[0], censored[2], 15) < 1e-3
        assert metrics.same_survival(np.full(3, np.inf), np.full(3, np.inf), 15) == 1.0


class TestStream:
    def stream(self, folder: Path, steps: int = 700, name: str = "pendulum", **options: Any) -> Any:
        system = get_system(name)
        dynamics = make_dynamics(system, dt=0.1)
        plan = Plan.of(dynamics, steps, 4, 0)
        return simulate(dynamics, plan, starts(system), plan.path(folder), **options), plan

    def test_it_measures_what_a_plain_rollout_shows(self, tmp_path: Path) -> None:
        trace, plan = self.stream(tmp_path)
        whole = rollout(PENDULUM, starts(PENDULUM), plan.steps, dt=0.1)
        error = np.abs(whole.energies - whole.energies[0]) / whole.energies[0]
        assert np.allclose(trace.largest, error.max(axis=0), rtol=1e-6)
        assert np.allclose(trace.records, whole.states[plan.records])
        assert np.allclose(trace.x, whole.states[-1])
        assert np.allclose(trace.squares, np.square(whole.energies - whole.energies[0]).sum(axis=0), rtol=1e-6)
        assert np.allclose(trace.first, whole.states[:401, 0])
        assert np.allclose(trace.last, whole.states[-401:, 0])

    def test_its_chunks_do_not_show(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole, _ = self.stream(tmp_path / "a", name="two-body")
        monkeypatch.setattr(streaming, "CHUNK_BYTES", 4 * 8 * 8)
        pieces, _ = self.stream(tmp_path / "b", name="two-body")
        for name in ("x", "records", "largest", "largest_apart", "encounter", "first", "last"):
            assert np.array_equal(getattr(whole, name), getattr(pieces, name), equal_nan=True), name
        assert np.allclose(whole.means, pieces.means, rtol=1e-9, atol=1e-18)

    def test_killed_it_goes_on_where_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole, _ = self.stream(tmp_path / "a")
        monkeypatch.setattr(streaming, "SAVE_SECONDS", 0.0)

        def kill(done: int) -> None:
            if done >= 300:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.stream(tmp_path / "b", progress=kill)
        seen: list[int] = []
        resumed, _ = self.stream(tmp_path / "b", progress=seen.append)
        assert seen[0] >= 300
        assert np.array_equal(whole.records, resumed.records)
        assert np.array_equal(whole.largest, resumed.largest)
        assert np.array_equal(whole.last, resumed.last)

    def test_a_killed_command_leaves_work_that_can_be_used(self, tmp_path: Path) -> None:
        words = "benchmark stability --systems mass-spring --dynamics ode --steps 100000000 --starts 8 --jobs 1 --out"
        command = [sys.executable, "-m", "hnn_envs.cli", *words.split(), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603
            end = time.monotonic() + 60
            while not list(tmp_path.glob("cells/*.safetensors")) and time.monotonic() < end:
                time.sleep(0.1)
            process.kill()
        cells = make_cells(["mass-spring"], ["ode"], [], 10**8, 8, 0)
        kept = [load_trace(cell.path(tmp_path / "cells"), cell.plan(cell.make()), cell.states()) for cell in cells]
        assert max(trace.done for trace in kept) > 0
        assert all(np.isfinite(trace.x).all() for trace in kept)

    def test_a_damped_energy_is_held_against_the_true_one(self, tmp_path: Path) -> None:
        system = get_system("real-pendulum")
        dynamics = make_dynamics(system, dt=0.1)
        plan = Plan.of(dynamics, 300, 4, 0)
        trace = simulate(dynamics, plan, starts(system), plan.path(tmp_path), guide=dynamics)
        assert trace.largest.max() == 0.0
        assert trace.targets[-1].max() < trace.targets[0].max()

    @pytest.mark.parametrize("damage", [b"", b"not a file of arrays", None])
    def test_damaged_work_is_named(self, tmp_path: Path, damage: bytes | None) -> None:
        _, plan = self.stream(tmp_path)
        path = plan.path(tmp_path)
        path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
        with pytest.raises(ResultsError, match=path.name):
            load_trace(path, plan, starts(PENDULUM))

    def test_work_of_another_run_is_not_taken_for_this_one(self, tmp_path: Path) -> None:
        _, plan = self.stream(tmp_path)
        _, other = self.stream(tmp_path, steps=500)
        other.path(tmp_path).replace(plan.path(tmp_path))
        with pytest.raises(ResultsError, match="another run"):
            load_trace(plan.path(tmp_path), plan, starts(PENDULUM))

    def test_what_does_not_fit_is_refused_with_the_figure(self) -> None:
        with pytest.raises(InvalidOptionError, match=r"\d GiB"):
            make_cells(["three-body"], ["ode"], [], 10**6, 10**9, 0)

    def test_steps_cost_no_memory(self) -> None:
        plans = [Plan("pendulum", "ode", "pefrl", 0.1, 8, "", steps, 32, 0) for steps in (10**6, 10**9)]
        assert plans[1].memory(2) == pytest.approx(plans[0].memory(2), rel=0.1)


def by_name(rows: list[Row]) -> dict[tuple[str, str], float]:
    return {(row.dynamics, row.metric): row.value for row in rows}


class Lonely(Pendulum):
    """A system that there is no task on."""

    @property
    def spec(self) -> SystemSpec:
        return replace(super().spec, name="lonely")


LONELY = Lonely()
QUANTILES = ("median_relative_energy_error", "relative_energy_error_95", "max_relative_energy_error")


class TestBenchmark:
    def test_hnn_beside_ode(self, tmp_path: Path) -> None:
        rows = run(["pendulum"], ["ode", "hnn"], steps=600, starts=4, jobs=1, folder=tmp_path)
        found = by_name(rows)
        assert found["ode", "max_relative_energy_error"] < 1e-8
        assert found["hnn", "max_relative_energy_error"] < 1e-3
        assert found["hnn", "symplecticity_defect"] < 1e-9
        assert found["hnn", "reversal_error"] < 1e-6
        assert found["hnn", "valid_prediction_time"] == found["hnn", "horizon"]
        with (tmp_path / "stability.csv").open() as file:
            assert len(list(csv.DictReader(file))) == len(rows)

    def test_a_system_without_a_task_steps_fifty_times_a_period(self, tmp_path: Path) -> None:
        (ode,) = {row.system for row in run(["test_stability:LONELY"], ["ode"], steps=20, jobs=1, folder=tmp_path)}
        assert ode == "lonely"
        (_, cell) = make_cells(["test_stability:LONELY"], ["ode"], [], 20, 2, 0)
        assert cell.make().dt == pytest.approx(LONELY.spec.time_scale / 50)

    def test_processes_do_not_show(self, tmp_path: Path) -> None:
        one, two = (
            run(["mass-spring"], ["ode", "hnn"], steps=50, starts=4, jobs=jobs, folder=tmp_path / str(jobs))
            for jobs in (1, 2)
        )
        kept = [(row.dynamics, row.metric, row.value) for row in one if "microseconds" not in row.metric]
        assert kept == [(row.dynamics, row.metric, row.value) for row in two if "microseconds" not in row.metric]

    def test_what_is_done_is_not_done_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = run(["mass-spring"], ["ode"], steps=50, starts=4, jobs=1, folder=tmp_path)
        monkeypatch.setattr(streaming, "trajectory", None)  # would be needed for a single step more
        assert run(["mass-spring"], ["ode"], steps=50, starts=4, jobs=1, folder=tmp_path) == first

    def test_three_bodies_are_compared_by_their_escapes(self, tmp_path: Path) -> None:
        found = by_name(run(["three-body"], ["ode", "hnn"], steps=500, starts=12, jobs=1, folder=tmp_path))
        assert 0 <= found["hnn", "escape_p_value"] <= 1
        assert found["ode", "max_relative_energy_error_apart"] < 1e-6
        assert found["hnn", "max_relative_energy_error_apart"] < 1e-3
        errors = [found["ode", metric] for metric in QUANTILES]
        assert errors == sorted(errors)
        assert errors[-1] < 1e-8
        assert found["ode", "encountered"] > 0

    def test_every_integrator_that_fits(self) -> None:
        cells = make_cells(["pendulum"], ["ode"], ["all"], 10, 2, 0)
        assert {cell.label for cell in cells} == {
            "reference",
            "ode",
            "ode@symplectic_euler",
            "ode@leapfrog",
            "ode@yoshida4",
            "ode@blanes_moan4",
            "ode@implicit_midpoint",
            "ode@gauss4",
            "ode@gauss6",
            "ode@gauss8",
            "ode@dormand_prince8",
            "ode@dormand_prince8_coarse",
            "ode@rk4",
        }

    def test_substeps_may_be_asked_for(self) -> None:
        assert Cell("pendulum", "ode", "pefrl:3", 10, 2, 0).make().substeps == 3
        with pytest.raises(InvalidOptionError, match="pefrl:x"):
            make_cells(["pendulum"], ["ode"], ["pefrl:x"], 10, 2, 0)

    def test_what_is_shipped_is_run_by_default(self) -> None:
        short = {name: alias for alias, name in ALIASES.items()}
        cells = make_cells([], [], [], 10, 2, 0)
        for system in SYSTEMS:
            labels = {cell.label for cell in cells if cell.system == system} - {"reference", "ode"}
            assert labels == {short.get(name, name) for name in shipped_checkpoints(system)}

    @pytest.mark.parametrize("pattern", ["default/*", "hnn*"])
    def test_a_pattern_means_names_with_and_without_their_folder(self, pattern: str) -> None:
        labels = {cell.label for cell in make_cells(["pendulum"], [pattern], [], 10, 2, 0)}
        assert labels == {"reference", "hnn"} | ({"baseline"} if pattern == "default/*" else set())

    def test_it_runs_in_its_default_form(self, tmp_path: Path) -> None:
        rows = run(steps=20, starts=2, jobs=1, folder=tmp_path)
        assert {row.system for row in rows} == set(SYSTEMS)
        assert all(row.dynamics in {*ALIASES, "ode"} or "/" in row.dynamics for row in rows)

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"systems": ["sun"]}, UnknownNameError),
            ({"dynamics": ["oracle"]}, UnknownNameError),
            ({"integrators": ["euler"]}, UnknownNameError),
            ({"steps": 0}, InvalidOptionError),
            ({"starts": -1}, InvalidOptionError),
        ],
    )
    def test_bad_input_is_refused(self, changes: dict[str, Any], error: type[Exception]) -> None:
        given: dict[str, Any] = {"systems": ["pendulum"], "dynamics": ["ode"], "integrators": []}
        with pytest.raises(error):
            make_cells(**({**given, "steps": 10, "starts": 2, "seed": 0} | changes))

    def test_the_command(self, tmp_path: Path) -> None:
        words = ["benchmark", "stability", "--systems", "mass-spring", "--dynamics", "ode", "--steps", "40"]
        result = CliRunner().invoke(app, [*words, "--starts", "2", "--jobs", "1", "--out", str(tmp_path)])
        assert result.exit_code == 0, result.output
        assert {row.suite for row in read_rows(tmp_path / "stability.json")} == {"stability"}
        refused = CliRunner().invoke(app, [*words, "--integrators", "euler", "--out", str(tmp_path)])
        assert refused.exit_code == 1
        assert "euler" in refused.output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mass-spring", "pendulum", "two-body"])
def test_a_million_steps(name: str, tmp_path: Path) -> None:
    found = by_name(run([name], ["hnn"], steps=10**6, starts=32, jobs=1, folder=tmp_path))
    assert found["hnn", "max_relative_energy_error"] < 1e-3
    assert not found["hnn", "significant_drift"]
    assert found["hnn", "reversal_error"] < 1e-6
    assert found["hnn", "symplecticity_defect"] < 1e-9
