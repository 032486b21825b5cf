"""Windows of recorded runs: what is in them, where the files are looked for, and the fits that are made of them."""

from __future__ import annotations

import gzip
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measured_series import measured_folder

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError, InvalidOptionError, UnknownNameError
from hnn_envs.evaluation.records import read_rows
from hnn_envs.fitting.losses import make_loss
from hnn_envs.fitting.trainer import Stage, fit
from hnn_envs.models import make_family
from hnn_envs.recordings import make_source
from hnn_envs.recordings.recorded import MovingWindows, low_passed, run_files
from hnn_envs.recordings.recording import Run
from hnn_envs.recordings.watched import WatchedSource
from hnn_envs.systems import SYSTEMS

DOUBLE, CART = SYSTEMS["double-pendulum"], SYSTEMS["cart-pole"]
EXAMPLE = Path(__file__).parents[1] / "examples" / "measured_double_pendulum.py"
FOLDER = "double_pendulum/sysid"
COLUMNS = {
    "positions": ["pos_meas1", "pos_meas2"],
    "velocities": ["vel_filt1", "vel_filt2"],
    "inputs": ["tau_meas1", "tau_meas2"],
}
GRID = MovingWindows(dt=0.01, intervals=20, spacing=10, least_speed=1.0)


def swinging(seconds: float = 2.0, rate: float = 500.0) -> Run:
    """Both joints swing, under torques that rise with time."""
    times = np.arange(0, seconds, 1 / rate)
    q = np.stack((np.sin(3 * times), 0.5 * np.sin(5 * times)), axis=1)
    v = np.stack((3 * np.cos(3 * times), 2.5 * np.cos(5 * times)), axis=1)
    return Run("swing", times, q, v, times, np.stack((times, -times), axis=1))


def written(folder: Path, run: Run, packed: bool = False) -> Path:
    """A run as the double pendulum's makers write theirs."""
    table = np.column_stack((run.times, run.positions, run.velocities, run.inputs))
    head = ",".join(("time", *(name for names in COLUMNS.values() for name in names)))
    text = "\n".join((head, *(",".join(map(repr, row)) for row in table.tolist())))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("run.csv.gz" if packed else "run.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def source(path: Path, **settings: Any) -> Any:
    return make_source(
        {"source": "recorded", **COLUMNS, "folder": FOLDER, "origin": "ask its makers", "path": str(path), **settings}
    )


class TestWindows:
    def test_they_start_on_the_grid_where_something_moves(self) -> None:
        run = swinging()
        states, _ = GRID.of(run)
        starts = 0.1 * np.arange(18)
        fast = np.maximum(np.abs(3 * np.cos(3 * starts)), np.abs(2.5 * np.cos(5 * starts))) > 1
        assert (~fast).sum() > 0
        assert states.shape == (fast.sum(), 21, 4)
        times = starts[fast][:, None] + 0.01 * np.arange(21)
        np.testing.assert_allclose(states[..., 0], np.sin(3 * times), atol=1e-4)
        np.testing.assert_allclose(states[..., 3], 2.5 * np.cos(5 * times), atol=1e-3)

    def test_inputs_are_the_means_of_their_intervals(self) -> None:
        run = swinging()
        _, inputs = GRID.of(run)
        assert inputs.shape[1:] == (20, 2)
        # Each sample is held for 2 ms, so that the mean over 10 ms of u = t lags by 1 ms from the middle.
        np.testing.assert_allclose(inputs[0, :, 0], 0.01 * np.arange(20) + 0.004, atol=1e-12)
        np.testing.assert_allclose(inputs[..., 1], -inputs[..., 0])

    def test_a_run_that_is_too_short_has_none(self) -> None:
        states, inputs = GRID.of(swinging(seconds=0.1))
        assert states.shape == (0, 21, 4)
        assert inputs.shape == (0, 20, 2)

    def test_without_velocities_nothing_tells_where_to_start(self) -> None:
        run = swinging()
        bare = Run(run.name, run.times, run.positions, None, run.input_times, run.inputs)
        with pytest.raises(InvalidOptionError, match="windows start from recorded velocities, and swing has none"):
            GRID.of(bare)

    def test_a_filter_of_first_order_follows_velocities(self) -> None:
        times = 0.002 * np.arange(3000)
        ramp = np.stack((times, -2 * times), axis=1)
        followed = low_passed(Run("ramp", times, ramp, ramp, times, ramp), 0.2)
        # It lags by (1 - share) / share samples.
        np.testing.assert_allclose(followed.velocities[1000:], ramp[1000:] - 0.008 * np.array([1, -2]), atol=1e-12)
        np.testing.assert_array_equal(followed.positions, ramp)


class TestSource:
    @pytest.mark.parametrize("packed", [False, True])
    def test_the_end_of_each_file_is_for_the_test(self, tmp_path: Path, packed: bool) -> None:
        written(tmp_path, swinging(), packed)
        train, test = source(tmp_path, intervals=20, test_share=0.25).make(DOUBLE, np.random.default_rng(0))
        states, inputs = GRID.of(swinging())
        assert len(test) == len(states) // 4
        np.testing.assert_allclose(np.concatenate((train.states, test.states)), states, atol=1e-12)
        np.testing.assert_allclose(train.inputs[:, :-1], inputs[: len(train)], atol=1e-12)
        np.testing.assert_allclose(train.derivatives[..., :2], train.states[..., 2:])

    def test_files_are_found_below_the_folder_of_all_data(self, tmp_path: Path, monkeypatch: Any) -> None:
        path = written(tmp_path / FOLDER, swinging())
        monkeypatch.setenv("HNN_ENVS_DATA", str(tmp_path))
        assert run_files(None, FOLDER, "") == [path]
        for place in (tmp_path, tmp_path / "double_pendulum", tmp_path / FOLDER):
            assert run_files(place, FOLDER, "") == [path]

    def test_where_there_are_no_files_it_says_where_they_are_from(self, tmp_path: Path, monkeypatch: Any) -> None:
        with pytest.raises(DataError, match=r"no .csv or .csv.gz files in .*ask its makers"):
            source(tmp_path).make(DOUBLE, np.random.default_rng(0))
        monkeypatch.delenv("HNN_ENVS_DATA", raising=False)
        with pytest.raises(DataError, match="pass their folder, or set HNN_ENVS_DATA; ask its makers"):
            run_files(None, FOLDER, "ask its makers")

    def test_a_file_of_other_columns_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "other.csv").write_text("time,angle\n0,1\n1,2\n", encoding="utf-8")
        with pytest.raises(DataError, match="pos_meas1"):
            source(tmp_path).make(DOUBLE, np.random.default_rng(0))

    def test_states_of_another_kind_are_refused(self, tmp_path: Path) -> None:
        written(tmp_path, swinging())
        with pytest.raises(InvalidOptionError, match=r"of 2 positions .* not of states of pendulum"):
            source(tmp_path).make(SYSTEMS["pendulum"], np.random.default_rng(0))


class TestLoss:
    data = WatchedSource(1.0, 0.5, 0.05, 5, 2.0).make(DOUBLE, np.random.default_rng(0))[0]

    def test_of_positions_it_is_the_same_without_velocities(self) -> None:
        other = make_family("trigonometric", {"degree": 1})
        field = other.build(DOUBLE.spec, other.init(DOUBLE.spec, np.random.default_rng(0)))
        both = [
            make_loss("prediction", {"horizon": 5, "integrator": "rk4", "substeps": 4, "positions": positions})
            for positions in (False, True)
        ]
        whole, part = (loss.residuals(field, loss.prepare(self.data, torch.float64)) for loss in both)
        np.testing.assert_array_equal(part, whole.reshape(len(whole), 5, 4)[:, :, :2].reshape(len(whole), -1))

    def test_where_a_model_diverges_it_is_bounded(self) -> None:
        loss = make_loss("prediction", {"horizon": 5, "integrator": "rk4"})
        residuals = loss.residuals(lambda x, u=None: 1e200 * x**3, loss.prepare(self.data, torch.float64))
        assert float(residuals.abs().max()) == 1e3


class TestChain:
    family = make_family("trigonometric", {"degree": 1, "chain": True})

    def random(self) -> dict[str, Array]:
        rng = np.random.default_rng(0)
        return {name: rng.standard_normal(shape) for name, shape in self.family.shapes(DOUBLE.spec).items()}

    def test_whatever_its_parameters_its_mass_does_not_depend_on_the_first_angle(self) -> None:
        machine, rng = self.family.build(DOUBLE.spec, self.random()).machine, np.random.default_rng(1)
        q = rng.uniform(-3, 3, (20, 2))
        turned = q + rng.uniform(-3, 3, (20, 1)) * [1, 0]
        np.testing.assert_allclose(machine.mass_matrix(q), machine.mass_matrix(turned), atol=1e-12)
        assert np.ptp(machine.mass_matrix(q), axis=0).min() > 0.1

    def test_its_potential_is_of_the_links_directions(self) -> None:
        """It has no part that depends on both."""
        machine = self.family.build(DOUBLE.spec, self.random()).machine
        first, second = np.random.default_rng(1).uniform(-3, 3, (2, 2, 20))
        corners = [machine.potential(np.stack((a, b - a), axis=-1)) for a in first for b in second]
        np.testing.assert_allclose(corners[0] - corners[1], corners[2] - corners[3], atol=1e-12)
        assert np.abs(corners[0] - corners[1]).min() > 1e-3

    def test_the_true_double_pendulum_is_one(self) -> None:
        data, _ = WatchedSource(8.0, 0.5, 0.02, 5, 6.0).make(DOUBLE, np.random.default_rng(0))
        marquardt = {"steps": 12, "optimiser": "levenberg-marquardt"}
        stages = [
            Stage(loss="impulse", settings={"scaling": "largest", "hold": ["sharpness"]}, **marquardt),
            Stage(loss="prediction", settings={"scaling": "largest", "differences": 1e-6}, **marquardt),
        ]
        machine = self.family.build(DOUBLE.spec, fit(DOUBLE.spec, self.family, data, stages, 0)).machine
        q = np.random.default_rng(1).uniform(-3, 3, (20, 2))
        np.testing.assert_allclose(machine.mass_matrix(q), DOUBLE.mass_matrix(q), rtol=1e-3)

    def test_a_cart_is_no_link(self) -> None:
        with pytest.raises(InvalidOptionError, match="a chain of links has angles only, and 'cart-pole' has other"):
            self.family.shapes(CART.spec)


def test_pruning_leaves_alone_what_it_is_not_asked_about() -> None:
    data = TestLoss.data
    family, start = make_family("trigonometric", {"degree": 1}), np.random.default_rng(0)
    assert family.init(DOUBLE.spec, start)["potential"].all()
    settings = {"differences": 1e-6, "allowance": 1e6, "only": ["mass"]}
    kept = fit(DOUBLE.spec, family, data, [Stage(1, "pruning", settings, "prediction")], 0)
    assert kept["potential"].all()
    assert not kept["mass"].all()
    wrong = Stage(1, "pruning", {**settings, "only": ["sharpness"]}, "prediction")
    with pytest.raises(UnknownNameError, match="unknown sparse parameter 'sharpness'; allowed: mass, potential"):
        fit(DOUBLE.spec, family, data, [wrong], 0)


class TestMeasuredDoublePendulum:
    """What was learned from excitation alone, on runs by controllers."""

    def table(self, folder: str, tmp_path: Path, monkeypatch: Any) -> dict[tuple[str, str, str], float]:
        """The example's numbers by run, model and metric."""
        monkeypatch.setattr(sys, "argv", [EXAMPLE.name, "--data", folder, "--json", str(tmp_path / "rows.json")])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
        assert {"rows", "machine", "version"} <= json.loads((tmp_path / "rows.json").read_text()).keys()
        rows = read_rows(tmp_path / "rows.json")
        assert {(row.system, row.unit) for row in rows} == {("double-pendulum", "rad")}
        return {(row.suite, row.dynamics, row.metric): row.value for row in rows}

    def test_the_learned_model_foretells_them_better_than_the_published_one(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        table = self.table(str(measured_folder("double_pendulum/runs")), tmp_path, monkeypatch)
        runs = {suite for suite, _, _ in table}
        assert runs
        for run in runs:
            for metric in ("angle_error_0.1", "angle_error_0.25", "angle_error_0.5"):
                hnn, ode, plain = (table[run, name, metric] for name in ("hardware/hnn", "ode", "hardware/baseline"))
                assert hnn < ode
                assert hnn < plain
            assert table[run, "hardware/hnn", "angle_error_0.5"] < 0.75 * table[run, "ode", "angle_error_0.5"]

    def test_rows_are_of_whatever_files_are_in_the_folder(self, tmp_path: Path, monkeypatch: Any) -> None:
        written(tmp_path / "own", swinging(), packed=True)
        table = self.table(str(tmp_path / "own"), tmp_path, monkeypatch)
        assert len(table) == 9
        assert {suite for suite, _, _ in table} == {"run"}
        assert np.isfinite([*table.values()]).all()

    def test_without_files_it_says_where_they_are_from(self, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
        monkeypatch.setattr(sys, "argv", [EXAMPLE.name, "--data", str(tmp_path)])
        with pytest.raises(SystemExit):
            runpy.run_path(str(EXAMPLE), run_name="__main__")
        assert re.search(r"no .csv.*dfki-ric-underactuated-lab/double_pendulum", capsys.readouterr().err)
