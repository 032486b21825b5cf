"""The learning benchmark: what is watched, what models make of it, and that nothing is done twice."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from hnn_envs.benchmarks import learning
from hnn_envs.benchmarks.learning import Condition, cells, curves_of, read_label, rivals, run, suite, watching
from hnn_envs.benchmarks.learning.cells import Cell, load_result, run_cell
from hnn_envs.benchmarks.learning.watching import observed, record_system, unseen_runs
from hnn_envs.cli import app
from hnn_envs.errors import InvalidOptionError, ResultsError, TrainingError, UnknownNameError
from hnn_envs.evaluation.records import read_rows
from hnn_envs.figures.learning import LearningCurve, learning_figure
from hnn_envs.learning.alone import fit_family
from hnn_envs.systems import get_system

METRICS = {
    "valid_prediction_time",
    "valid_prediction_time_low",
    "valid_prediction_time_high",
    "prediction_error",
    "fitting_time",
}
TINY = {"seconds": (3.0,), "noise": (0.0,), "starts": 2, "minutes": 0.01, "jobs": 1}


@pytest.fixture
def short(monkeypatch):
    """Unseen runs of a few steps."""
    monkeypatch.setattr(watching, "UNSEEN_STEPS", 30)
    monkeypatch.setattr(watching, "UNSEEN_SCALES", 1)
    unseen_runs.cache_clear()
    yield
    unseen_runs.cache_clear()


class TestConditions:
    @pytest.mark.parametrize("condition", [Condition(), Condition(1, 1e-3, 2), Condition(300, 0.0, 0)])
    def test_a_rows_label_says_them(self, condition):
        assert read_label(condition.label("mlp")) == ("mlp", condition)

    def test_the_one_of_the_target_needs_no_numbers(self):
        assert Condition().label("default/hnn") == "default/hnn"
        assert Condition(30, 0.01, 1).label("sindy") == "sindy@30:0.01:1"

    @pytest.mark.parametrize("label", ["mlp@", "mlp@30", "mlp@30:0.1", "mlp@30:x:0", "mlp@30:0:0:1", "hnn@rk4"])
    def test_other_labels_are_refused(self, label):
        with pytest.raises(ResultsError, match=r"seconds, noise and seed"):
            read_label(label)


class TestRecordings:
    @pytest.mark.parametrize(("seconds", "runs", "steps"), [(1.0, 3, 4), (8.0, 3, 33), (80.0, 10, 100)])
    def test_they_have_several_starts_and_the_length_that_was_asked_for(self, seconds, runs, steps):
        recording = record_system(get_system("pendulum"), seconds, 0.0, 0)
        assert [len(each.times) for each in recording.runs] == [steps + 1] * runs
        assert recording.seconds == pytest.approx(seconds, rel=0.06)

    def test_states_are_positions_and_velocities(self):
        (first, *_) = record_system(get_system("pendulum"), 8.0, 0.0, 0).runs
        rises = 0.04 * (first.velocities[1:] + first.velocities[:-1])
        assert np.abs(np.diff(first.positions, axis=0) - rises).max() < 2e-3
        x = np.array([[0.3, 1.0]])
        assert observed(get_system("pendulum"), x).tolist() == [[0.3, 2.0]]

    def test_noise_is_on_every_component(self):
        clean, noisy = (record_system(get_system("two-body"), 100.0, size, 0) for size in (0.0, 0.01))
        for name in ("positions", "velocities"):
            pairs = zip(clean.runs, noisy.runs, strict=True)
            apart = np.concatenate([getattr(b, name) - getattr(a, name) for a, b in pairs])
            assert apart.std(axis=0) == pytest.approx(np.full(4, 0.01), rel=0.1)
        assert all(np.array_equal(a.inputs, b.inputs) for a, b in zip(clean.runs, noisy.runs, strict=True))

    def test_the_unseen_runs_have_none_and_are_not_among_them(self, short):
        unseen, recording = unseen_runs("pendulum", 3), record_system(get_system("pendulum"), 3.0, 0.0, 0)
        assert unseen.states.shape == (33, 3, 2)
        assert unseen.inputs.shape == (32, 3, 1)
        starts = np.array([[*each.positions[0], *each.velocities[0]] for each in recording.runs])
        assert np.abs(starts[:, None] - unseen.states[0]).max(axis=-1).min() > 1e-3

    def test_a_chaotic_system_counts_in_lyapunov_times(self, short):
        assert 0.3 < unseen_runs("double-pendulum", 8).time_scale < 3.0


@pytest.mark.parametrize(
    ("system", "model"),
    [
        ("pendulum", "trigonometric"),
        ("pendulum", "mechanical"),
        ("cart-pole", "mlp"),
        ("two-body", "pairwise"),
        ("pendulum", "gaussian-process"),
        ("cart-pole", "sindy"),
    ],
)
def test_every_model_gives_its_rows(system, model, short, tmp_path):
    pytest.importorskip(rivals.NEEDS.get(model, "numpy"))
    rows = run([system], [model], folder=tmp_path, **TINY)
    first, *rows = rows
    assert (first.dynamics, first.metric) == ("ode", "unseen_time")
    assert {row.metric for row in rows} == METRICS
    assert {(row.suite, row.system, row.dynamics) for row in rows} == {("learning", system, f"{model}@3:0:0")}
    value = {row.metric: row.value for row in rows}
    assert 0 < value["valid_prediction_time_low"] <= value["valid_prediction_time"]
    assert value["valid_prediction_time"] <= value["valid_prediction_time_high"]
    assert np.isfinite(value["prediction_error"])


def test_the_trigonometric_machine_finds_the_pendulum(short, tmp_path):
    rows = run(["pendulum"], ["trigonometric"], folder=tmp_path, **{**TINY, "minutes": 0.5})
    assert next(row.value for row in rows if row.metric == "prediction_error") < 1e-4


@pytest.mark.parametrize(("model", "error"), [("sindy", 1e-4), ("gaussian-process", 1e-2)])
def test_rivals_find_the_pendulum_too(model, error, short, tmp_path):
    pytest.importorskip(rivals.NEEDS[model])
    rows = run(["pendulum"], [model], folder=tmp_path, **{**TINY, "seconds": (10.0,)})
    assert next(row.value for row in rows if row.metric == "prediction_error") < error


class TestOneFamily:
    def test_an_unknown_one_is_refused(self):
        recording = record_system(get_system("pendulum"), 3.0, 0.0, 0)
        with pytest.raises(UnknownNameError, match="unknown family 'series'"):
            fit_family(recording, "series", dt=0.1)

    def test_the_recording_must_say_what_inputs_push(self):
        recording = replace(record_system(get_system("pendulum"), 3.0, 0.0, 0), input_matrix=None)
        with pytest.raises(InvalidOptionError, match=r"recording 'pendulum' must say by input_matrix"):
            fit_family(recording, "mlp", dt=0.1)

    @pytest.mark.parametrize(("system", "size"), [("pendulum", 1), ("cart-pole", 2)])
    def test_pairs_need_bodies(self, system, size):
        recording = record_system(get_system(system), 3.0, 0.0, 0)
        with pytest.raises(InvalidOptionError, match=f"pairs of bodies .* {system} has {size}"):
            fit_family(recording, "pairwise", dt=0.1)


class TestRecipes:
    def test_they_are_fitted_to_what_was_watched(self, short, monkeypatch, tmp_path):
        seen = []

        def fit(spec, family, data, stages, seed, **_):
            seen.append((data, [stage.loss for stage in stages]))
            return family.init(spec, np.random.default_rng(0))

        monkeypatch.setattr("hnn_envs.benchmarks.learning.models.fit", fit)
        rows = run(["double-pendulum"], ["hnn"], starts=2, folder=tmp_path, jobs=1)
        ((data, losses),) = seen
        assert data.states.shape == (12, 101, 4)
        assert not data.derivatives.any()
        assert set(losses) <= {"impulse", "prediction", "trajectory"}
        (asked,) = (row for row in rows if row.metric == "valid_prediction_time")
        assert (asked.dynamics, asked.reference, asked.unit) == ("hnn", 10.0, "Lyapunov times")
        assert {row.metric for row in rows} == METRICS | {"lyapunov_time", "unseen_time"}

    def test_those_that_need_the_equations_are_left_out(self, tmp_path):
        told = []
        with pytest.raises(InvalidOptionError, match="nothing to run"):
            run(["two-body"], ["hnn"], folder=tmp_path, message=told.append)
        assert told == [
            "two-body: hnn is left out: there is no recipe of this name that fits positions and velocities that were "
            "watched"
        ]


class TestCells:
    def test_what_was_done_is_not_done_again(self, short, monkeypatch, tmp_path):
        first = run(["pendulum"], ["mlp"], folder=tmp_path, **TINY)
        monkeypatch.setattr(cells, "fit_model", None)
        assert run(["pendulum"], ["mlp"], folder=tmp_path, **TINY) == first

    def test_other_options_are_other_cells(self, tmp_path):
        usual = Cell("pendulum", "mlp", Condition(3), 2, 0.5)
        others = [
            Cell("pendulum", "mlp", Condition(3), 2, 1.0),
            Cell("pendulum", "mlp", Condition(3), 3, 0.5),
            Cell("pendulum", "mlp", Condition(3, 0.1), 2, 0.5),
            Cell("pendulum", "mlp", Condition(3, 0.0, 1), 2, 0.5),
        ]
        assert len({each.path(tmp_path) for each in (usual, *others)}) == 5

    def test_damaged_work_is_told(self, short, tmp_path):
        run(["pendulum"], ["mlp"], folder=tmp_path, **TINY)
        (path,) = (tmp_path / "cells").iterdir()
        table = json.loads(path.read_text())
        path.write_text(json.dumps({**table, "fitting_time": 1.0}))
        with pytest.raises(ResultsError, match=f"{path} cannot be read .* delete it"):
            run(["pendulum"], ["mlp"], folder=tmp_path, **TINY)

    def test_what_cannot_be_fitted_has_no_rows_and_a_reason(self, short, monkeypatch, tmp_path):
        def fails(*_):
            raise TrainingError("it diverged")

        monkeypatch.setattr(cells, "fit_model", fails)
        told = []
        rows = run(["pendulum"], ["mlp"], folder=tmp_path, message=told.append, **TINY)
        assert {row.dynamics for row in rows} == {"ode"}
        assert told == ["pendulum: mlp@3:0:0 is left out: it diverged"]

    def test_a_model_that_diverges_is_infinitely_wrong(self, short, monkeypatch, tmp_path):
        monkeypatch.setattr(cells, "fit_model", lambda *_: lambda x, u: 1e9 * x)
        cell = Cell("pendulum", "mlp", Condition(3), 2, 0.5)
        result = run_cell(cell, tmp_path)
        assert result.error == [np.inf, np.inf]
        assert result.valid == pytest.approx([0.08 / get_system("pendulum").spec.time_scale] * 2)
        assert load_result(cell.path(tmp_path)) == result

    def test_all_systems_come_first_under_one_condition(self):
        made = suite.make_cells((), ("mlp",), (3.0, 30.0), (0.0,), 1, 2, 0.5)
        assert [(each.system, each.condition.seconds) for each in made] == [
            *((system, 3.0) for system in suite.SYSTEMS),
            *((system, 30.0) for system in suite.SYSTEMS),
        ]


class TestOptions:
    def test_without_the_extra_rivals_are_left_out_and_named(self, monkeypatch):
        monkeypatch.setattr(rivals, "find_spec", lambda name: None)
        told = []
        made = suite.make_cells(("pendulum",), (), (), (), 1, 2, 0.5, told.append)
        assert told == [
            'left out: gaussian-process, sindy; install hnn_envs with the extra "rivals" to have them measured'
        ]
        assert {each.model for each in made} == {"trigonometric", "mechanical", "mlp"}

    @pytest.mark.parametrize(
        ("options", "cause"),
        [
            ({"seconds": (0.5,)}, "seconds must be from 1 to 1000, not 0.5"),
            ({"noise": (-1.0,)}, "noise must be from 0 to 1, not -1"),
            ({"noise": (float("nan"),)}, "noise must be from 0 to 1, not nan"),
            ({"seeds": 0}, "seeds and starts must be positive"),
            ({"minutes": 0.0}, "minutes a number up to 1000"),
            ({"jobs": 0}, "jobs must be a positive integer"),
        ],
    )
    def test_what_is_out_of_range_is_refused(self, options, cause, tmp_path):
        with pytest.raises(InvalidOptionError, match=cause):
            run(["pendulum"], ["mlp"], folder=tmp_path / "new", **options)
        assert not list(tmp_path.glob("new/cells/*"))

    def test_unknown_models_are_refused(self):
        with pytest.raises(UnknownNameError, match="unknown dynamics 'mpl'"):
            run(["pendulum"], ["mpl"])


class TestFigure:
    def test_systems_are_across_and_noise_down_with_units(self, tmp_path):
        def curve(system, noise, model, unit):
            return LearningCurve(
                system, noise, model, (3.0, 30.0), (0.0, 2.0), (1.0, 3.0), (2.0, 9.0), unit, "periods", 9.5
            )

        curves = [curve("pendulum", noise, model, "") for noise in (0.0, 0.01) for model in ("mlp", "sindy")]
        figure = learning_figure([*curves, curve("cart-pole", 0.01, "trigonometric", "s")])
        assert [axes.get_title() for axes in figure.axes] == ["pendulum", "cart-pole", "", ""]
        assert [axes.get_xlabel() for axes in figure.axes[2:]] == ["watched (units of time)", "watched (s)"]
        assert figure.axes[0].get_ylabel() == "noise 0\nvalid for (periods)"
        assert {axes.get_xscale() for axes in figure.axes} == {"log"}
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [
            "HNN, trigonometric",
            "plain network",
            "SINDy",
            "length of the unseen runs",
        ]
        figure.savefig(tmp_path / "figure.png")

    def test_seeds_are_one_curve(self, short, tmp_path):
        rows = run(["pendulum"], ["mlp"], folder=tmp_path, seeds=2, **TINY)
        (curve,) = curves_of(rows)
        values = [row.value for row in rows if row.metric == "valid_prediction_time"]
        assert len(values) == 2
        assert curve.median == (np.median(values),)
        assert (curve.system, curve.noise, curve.model, curve.seconds) == ("pendulum", 0.0, "mlp", (3.0,))


def test_the_command_writes_rows_and_figure(short, tmp_path):
    words = ["--systems", "pendulum", "--dynamics", "mlp", "--seconds", "3,4", "--noise", "0.01", "--starts", "2"]
    out = ["--minutes", "0.01", "--jobs", "1", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["benchmark", "learning", *words, *out])
    assert result.exit_code == 0, result.output
    rows = read_rows(tmp_path / "out" / "learning.json")
    assert {row.dynamics for row in rows} == {"ode", "mlp@3:0.01:0", "mlp@4:0.01:0"}
    assert (tmp_path / "out" / "learning.png").is_file()
    assert "valid prediction time in periods" in result.output
    assert learning.SECONDS == (3.0, 30.0)


def test_numbers_that_are_none_are_refused(tmp_path):
    result = CliRunner().invoke(app, ["benchmark", "learning", "--seconds", "3,x", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "--seconds takes numbers separated by commas, not '3,x'" in result.stderr
