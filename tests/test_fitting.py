"""Fitting: where data comes from, what losses measure, how optimisers lower them, and runs that survive a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from measured_series import measured_series
from physics import NAMES, exact, march, model, states, to_torch
from safetensors import safe_open
from safetensors.torch import save_file

from hnn_envs.errors import DataError, InvalidOptionError, TrainingError, UnknownNameError
from hnn_envs.fitting import trainer
from hnn_envs.fitting.datasets import (
    BoxSource,
    Dataset,
    DrivenSource,
    MeasuredSource,
    PaperSource,
    ScatteredSource,
    make_source,
    merge,
)
from hnn_envs.fitting.exact import exact_trajectories
from hnn_envs.fitting.losses import make_loss, mean_square
from hnn_envs.fitting.measured import FILE_NAME, VARIABLE, load_real_pendulum
from hnn_envs.fitting.optimisers import OPTIMISERS, make_optimiser
from hnn_envs.fitting.problem import Problem
from hnn_envs.fitting.trainer import Stage, fit, loss_on
from hnn_envs.models import Parameters, make_family
from hnn_envs.systems import SYSTEMS, NBody, System

PENDULUM, TWO_BODY, THREE_BODY = (SYSTEMS[name] for name in ("pendulum", "two-body", "three-body"))
N_BODY = [TWO_BODY, THREE_BODY]

# The table of the seed paper's protocol in short form; the n-body sets are smaller here, which changes nothing else.
PAPER = {
    "mass-spring": PaperSource(50, 3.0, 30, 0.1, 0.5, test_first=False),
    "pendulum": PaperSource(50, 3.0, 45, 0.1, 0.5, test_first=False),
    "two-body": PaperSource(10, 20.0, 50, 0.0, 0.2, test_first=True),
    "three-body": PaperSource(10, 5.0, 20, 0.0, 0.2, test_first=True),
}
SHARES = {"mass-spring": (25, 25), "pendulum": (25, 25), "two-body": (8, 2), "three-body": (8, 2)}


@cache
def drawn(source: Any, system: System, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Training and test share of a source."""
    train, test = source.make(system, np.random.default_rng(seed))
    return train, test


def in_order(source: PaperSource, system: System, seed: int = 0) -> Dataset:
    """All trajectories of the paper's source, in the order in which they were drawn."""
    train, test = drawn(source, system, seed)
    return merge([test, train] if source.test_first else [train, test])


def all_points(source: Any, system: System, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, derivatives and inputs of both shares."""
    return merge(list(drawn(source, system, seed))).flat()


@pytest.mark.parametrize("name", PAPER)
class TestPaperData:
    def test_shares_and_points_are_the_papers(self, name: str) -> None:
        train, test = drawn(PAPER[name], SYSTEMS[name])
        points, size = PAPER[name].points, 2 * SYSTEMS[name].dof
        assert (train.states.shape, test.states.shape) == tuple((n, points, size) for n in SHARES[name])
        assert train.derivatives.shape == train.states.shape
        assert train.inputs.shape[:2] == train.states.shape[:2]

    def test_times_are_even_and_reach_both_ends(self, name: str) -> None:
        train, _ = drawn(PAPER[name], SYSTEMS[name])
        np.testing.assert_allclose(train.times, np.linspace(0, PAPER[name].duration, PAPER[name].points))

    def test_the_split_goes_by_the_order_of_the_trajectories(self, name: str) -> None:
        clean = replace(PAPER[name], noise=0.0)
        starts = SYSTEMS[name].sample_states(np.random.default_rng(0), clean.trajectories)
        np.testing.assert_array_equal(in_order(clean, SYSTEMS[name]).states[:, 0], starts)

    def test_derivatives_are_the_field_at_the_exact_states(self, name: str) -> None:
        exact_states = in_order(replace(PAPER[name], noise=0.0), SYSTEMS[name]).states
        derivatives = in_order(PAPER[name], SYSTEMS[name]).derivatives
        np.testing.assert_array_equal(derivatives, SYSTEMS[name].field(exact_states))

    def test_states_follow_the_true_flow(self, name: str) -> None:
        data = in_order(replace(PAPER[name], noise=0.0), SYSTEMS[name])
        for index in (1, -1):
            flowed = exact(SYSTEMS[name].field, data.states[3, 0], float(data.times[index]))
            np.testing.assert_allclose(data.states[3, index], flowed, atol=1e-8)

    def test_noise_on_the_states_has_the_papers_size(self, name: str) -> None:
        exact_states = in_order(replace(PAPER[name], noise=0.0), SYSTEMS[name]).states
        noise = in_order(PAPER[name], SYSTEMS[name]).states - exact_states
        tolerance = 4 * PAPER[name].noise / np.sqrt(noise.size)
        assert abs(noise.mean()) <= tolerance
        assert abs(noise.std() - PAPER[name].noise) <= tolerance

    def test_there_are_no_inputs(self, name: str) -> None:
        assert not in_order(PAPER[name], SYSTEMS[name]).inputs.any()

    def test_a_seed_decides_everything(self, name: str) -> None:
        short = replace(PAPER[name], trajectories=5, duration=0.5)
        drawn.cache_clear()
        first = in_order(short, SYSTEMS[name])
        drawn.cache_clear()
        assert in_order(short, SYSTEMS[name]).states.tobytes() == first.states.tobytes()
        assert not np.isclose(in_order(short, SYSTEMS[name], 1).states, first.states).any()


BOX = BoxSource(300, (-3.0, -2.0), (1.0, 4.0), max_input=0.7)
PAIR_BOX = BoxSource(300, (-1.0,) * 8, (1.0,) * 8, max_input=0.2, closest=0.8)
SCATTERED = ScatteredSource(300, closest=0.4, widest=3.0, max_momentum=1.5, max_input=0.2)
DRIVEN = DrivenSource(20, 3.0, 7, max_input=0.1, closest=0.9, widest=1.8)
SOURCES: dict[str, tuple[str, Any]] = {
    "pendulum in a box": ("pendulum", BOX),
    "pairs in a box": ("two-body", PAIR_BOX),
    "scattered pairs": ("two-body", SCATTERED),
    "scattered triples": ("three-body", SCATTERED),
    "driven pendulum": ("pendulum", DrivenSource(20, 10.0, 11, max_input=1.0)),
    "driven pairs": ("two-body", DRIVEN),
    "driven triples": ("three-body", DRIVEN),
}
TASK_DATA = pytest.mark.parametrize(("name", "source"), SOURCES.values(), ids=SOURCES)


class TestTaskData:
    @TASK_DATA
    def test_derivatives_are_the_field_under_the_inputs(self, name: str, source: Any) -> None:
        x, derivatives, u = all_points(source, SYSTEMS[name])
        np.testing.assert_array_equal(derivatives, SYSTEMS[name].field(x, u))

    @TASK_DATA
    def test_inputs_fill_their_range(self, name: str, source: Any) -> None:
        _, _, u = all_points(source, SYSTEMS[name])
        assert (np.abs(u) <= source.max_input).all()
        assert (u.min(axis=0) < -0.9 * source.max_input).all()
        assert (u.max(axis=0) > 0.9 * source.max_input).all()

    @TASK_DATA
    def test_a_fifth_is_kept_for_the_test(self, name: str, source: Any) -> None:
        train, test = drawn(source, SYSTEMS[name])
        assert len(test) == int(0.2 * (len(train) + len(test)))

    @TASK_DATA
    def test_a_seed_decides_everything(self, name: str, source: Any) -> None:
        first = all_points(source, SYSTEMS[name])
        drawn.cache_clear()
        again, other = all_points(source, SYSTEMS[name]), all_points(source, SYSTEMS[name], 1)
        assert all(one.tobytes() == two.tobytes() for one, two in zip(first, again, strict=True))
        assert not np.array_equal(first[0], other[0])

    def test_a_box_is_filled_to_its_limits_and_not_beyond(self) -> None:
        x, _, _ = all_points(BOX, PENDULUM)
        assert len(x) == BOX.count
        assert (x >= BOX.low).all()
        assert (x <= BOX.high).all()
        np.testing.assert_allclose(x.min(axis=0), BOX.low, atol=0.1)
        np.testing.assert_allclose(x.max(axis=0), BOX.high, atol=0.1)

    @pytest.mark.parametrize(("name", "source"), [("two-body", PAIR_BOX), ("three-body", SCATTERED)])
    def test_as_many_states_as_asked_have_their_bodies_apart(self, name: str, source: Any) -> None:
        x, _, _ = all_points(source, SYSTEMS[name])
        assert len(x) == source.count
        assert (SYSTEMS[name].closest_distance(x) >= source.closest).all()

    @pytest.mark.parametrize("source", [SCATTERED, DRIVEN], ids=["scattered", "driven"])
    @pytest.mark.parametrize("system", N_BODY, ids=lambda system: system.name)
    def test_the_centre_of_mass_rests_at_the_origin(self, system: NBody, source: Any) -> None:
        x, _, _ = all_points(source, system)
        np.testing.assert_allclose(system.centre_of_mass(x), 0, atol=1e-9)
        np.testing.assert_allclose(system.momentum(x), 0, atol=1e-9)

    def test_scattered_pairs_are_spread_evenly_in_scale(self) -> None:
        x, _, _ = all_points(SCATTERED, TWO_BODY)
        distances = TWO_BODY.closest_distance(x)
        assert distances.max() <= SCATTERED.widest
        middle = np.sqrt(SCATTERED.closest * SCATTERED.widest)
        assert abs((distances < middle).mean() - 0.5) < 0.1

    def test_scattered_momenta_stay_within_twice_their_size(self) -> None:
        x, _, _ = all_points(SCATTERED, THREE_BODY)
        assert 0.9 * SCATTERED.max_momentum < np.abs(x[:, 6:]).max() <= 2 * SCATTERED.max_momentum

    @pytest.mark.parametrize("system", N_BODY, ids=lambda system: system.name)
    def test_driven_states_keep_their_distances(self, system: NBody) -> None:
        x, _, _ = all_points(DRIVEN, system)
        assert (system.closest_distance(x) >= DRIVEN.closest).all()
        assert np.abs(x[:, : system.dof]).max() <= DRIVEN.widest

    def test_what_follows_a_state_that_was_left_out_is_left_out_too(self) -> None:
        source = DrivenSource(30, 3.0, 7, max_input=0.0, widest=1.5)
        starts = PENDULUM.sample_states(np.random.default_rng(0), 30)
        whole = exact_trajectories(PENDULUM, starts, np.linspace(0, 3, 7))
        inside = np.abs(whole[..., 0]) <= 1.5
        before_leaving = np.logical_and.accumulate(inside, axis=1)
        assert before_leaving.sum() < inside.sum()  # some come back
        found = all_points(source, PENDULUM)[0]
        expected = whole[before_leaving]
        np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=1e-7)

    def test_inputs_drive_the_states_away_from_free_motion(self) -> None:
        source = DrivenSource(20, 10.0, 11, max_input=1.0)
        energies = PENDULUM.value(PENDULUM.sample_states(np.random.default_rng(0), 20))
        driven = PENDULUM.value(all_points(source, PENDULUM)[0])
        assert driven.max() > energies.max() + 1

    def test_all_states_are_kept_where_nothing_limits_them(self) -> None:
        assert len(all_points(DrivenSource(20, 10.0, 11, max_input=1.0), PENDULUM)[0]) == 20 * 11

    def test_a_box_of_the_wrong_size_is_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match="two-body needs 8 limits low and high, not 2 and 2"):
            drawn(BOX, TWO_BODY)

    def test_bodies_that_cannot_be_apart_are_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match="bodies 9 apart"):
            drawn(replace(PAIR_BOX, closest=9.0), TWO_BODY)

    def test_a_pendulum_cannot_be_scattered(self) -> None:
        with pytest.raises(InvalidOptionError, match="'pendulum' is none"):
            drawn(SCATTERED, PENDULUM)


class TestSourceTables:
    def test_a_table_names_its_source(self) -> None:
        table = {"source": "box", "count": 3, "low": [0, 0], "high": [1, 1], "max_input": 0.5}
        assert make_source(table) == BoxSource(3, [0, 0], [1, 1], 0.5)  # type: ignore[arg-type]
        assert table["source"] == "box"

    @pytest.mark.parametrize("table", [{}, {"source": "internet"}])
    def test_an_unknown_source_is_refused_with_those_that_exist(self, table: dict[str, Any]) -> None:
        with pytest.raises(UnknownNameError, match="allowed: box, driven, films, measured, paper, scattered"):
            make_source(table)

    def test_an_unknown_setting_is_refused_with_those_that_exist(self) -> None:
        with pytest.raises(InvalidOptionError, match="'measured' has no setting 'share'; allowed: test_share, path"):
            make_source({"source": "measured", "share": 0.1})

    def test_a_missing_setting_is_named(self) -> None:
        with pytest.raises(InvalidOptionError, match="'driven' lacks the setting 'points' and 'max_input'"):
            make_source({"source": "driven", "trajectories": 3, "duration": 1.0})

    def test_sets_are_joined_in_order(self) -> None:
        first, second = drawn(BOX, PENDULUM)
        joined = merge([first, second])
        np.testing.assert_array_equal(joined.states, np.concatenate((first.states, second.states)))
        np.testing.assert_array_equal(joined.derivatives[len(first) :], second.derivatives)

    def test_trajectories_and_single_states_cannot_be_joined(self) -> None:
        with pytest.raises(InvalidOptionError, match="45, 1 points"):
            merge([drawn(PAPER["pendulum"], PENDULUM)[0], drawn(BOX, PENDULUM)[0]])


class TestExactTrajectories:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("driven", [False, True], ids=["free", "driven"])
    def test_they_agree_with_dop853(self, name: str, driven: bool) -> None:
        system = SYSTEMS[name]
        starts, times = states(system, 3), np.array([0.0, 0.3, 1.0, 1.1])  # uneven
        u = 0.1 * np.ones((3, np.shape(system.field.input_matrix)[-1])) if driven else None
        found = exact_trajectories(system, starts, times, u)
        for row, start in enumerate(starts):
            for column, time in enumerate(times[1:], 1):
                held = None if u is None else u[row]
                np.testing.assert_allclose(
                    found[row, column], exact(system.field, start, float(time), held), atol=1e-8, rtol=0
                )

    def test_they_begin_at_the_starts(self) -> None:
        starts = states(TWO_BODY, 4)
        np.testing.assert_array_equal(exact_trajectories(TWO_BODY, starts, np.array([0.0, 0.5]))[:, 0], starts)

    def test_a_close_encounter_keeps_its_energy(self) -> None:
        # Falling together from a distance of 2 with little angular momentum: they pass each other at 2e-4.
        start = np.array([[1.0, 0, -1, 0, 0, 0.01, 0, -0.01]])
        found = exact_trajectories(TWO_BODY, start, np.linspace(0, 3, 13))[0]
        np.testing.assert_allclose(TWO_BODY.value(found), TWO_BODY.value(start[0]), rtol=1e-6)
        np.testing.assert_allclose(found[4], exact(TWO_BODY.field, start[0], 1.0), atol=1e-8)

    def test_no_trajectory_depends_on_the_others(self) -> None:
        starts, times = states(THREE_BODY, 6), np.linspace(0, 2, 5)
        together = exact_trajectories(THREE_BODY, starts, times)
        alone = np.concatenate([exact_trajectories(THREE_BODY, start[None], times) for start in starts])
        np.testing.assert_allclose(together, alone, atol=1e-12, rtol=0)

    def test_none_is_no_trouble(self) -> None:
        assert exact_trajectories(PENDULUM, np.empty((0, 2)), np.array([0.0, 1.0])).shape == (0, 2, 2)


ROWS = "%o v\n 0 5.0 1.0 0.5\n 0 5.5 1.2 0.25\n 0 6.5 0.9 -0.5\n 0 7.0 0.4 -1.0\n 0 7.5 0.1 0.0\n 0 8.0 0.0 0.5\n"


class TestMeasuredSeries:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """A small series in the format of the real one, with a gap from 5.5 to 6.5."""
        path = tmp_path / "somewhere" / "below" / FILE_NAME
        path.parent.mkdir(parents=True)
        path.write_text(ROWS)
        return path

    def test_the_columns_are_trial_time_angle_and_angular_velocity(self, file: Path) -> None:
        series = load_real_pendulum(file)
        np.testing.assert_array_equal(series.times, [5, 5.5, 6.5, 7, 7.5, 8])
        np.testing.assert_array_equal(series.states[:3], [[1, 0.5], [1.2, 0.25], [0.9, -0.5]])

    def test_a_folder_is_searched(self, file: Path, tmp_path: Path) -> None:
        np.testing.assert_array_equal(load_real_pendulum(tmp_path).states, load_real_pendulum(file).states)

    def test_the_environment_variable_says_where_it_is(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, str(file))
        assert len(load_real_pendulum().times) == 6

    @pytest.mark.parametrize("value", [None, ""])
    def test_without_a_path_it_says_how_to_give_one(self, value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(VARIABLE, raising=False)
        if value is not None:
            monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(DataError, match=f"pass its path, or set {VARIABLE}.*Science 324:81"):
            load_real_pendulum()

    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            ("0 5.0 1.0\n0 5.5 1.2\n0 6.0 1.3\n", "four columns trial, t, angle, angular velocity"),
            ("0 5.0 1.0 0.5\n0 5.5 1.2 0.2\n", "four columns"),
            ("", "four columns"),
            (ROWS.replace("0.25", "nan"), "four columns"),
            (ROWS.replace("0.25", "fast"), "not a table of numbers"),
            (ROWS.replace("7.5", "6.5"), "times .* must increase"),
        ],
        ids=["three columns", "two rows", "empty", "nan", "a word", "times that fall"],
    )
    def test_what_is_no_series_is_refused(self, file: Path, text: str, cause: str) -> None:
        file.write_text(text)
        with pytest.raises(DataError, match=f"{cause}.*Schmidt and Lipson") as caught:
            load_real_pendulum(file)
        assert str(file) in str(caught.value)

    @pytest.mark.parametrize("name", ["no such file", "."])
    def test_a_missing_file_is_named_with_where_it_comes_from(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DataError, match=r"no measured series at .*invar_datasets\.zip") as caught:
            load_real_pendulum(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)

    def test_derivatives_are_forward_differences_across_gaps_too(self, file: Path) -> None:
        x, derivatives, _ = all_points(MeasuredSource(0.4, str(file)), SYSTEMS["real-pendulum"])
        np.testing.assert_array_equal(x, load_real_pendulum(file).states[:-1])
        np.testing.assert_allclose(derivatives[:3], [[0.4, -0.5], [-0.3, -0.75], [-1.0, -1.0]])

    def test_the_last_share_in_time_is_the_test(self, file: Path) -> None:
        train, test = drawn(MeasuredSource(0.4, str(file)), SYSTEMS["real-pendulum"])
        assert (len(train), len(test)) == (3, 2)
        np.testing.assert_array_equal(test.states[:, 0], load_real_pendulum(file).states[3:5])

    def test_it_belongs_to_the_real_pendulum_alone(self, file: Path) -> None:
        with pytest.raises(InvalidOptionError, match="not to pendulum"):
            drawn(MeasuredSource(0.2, str(file)), PENDULUM)

    def test_the_real_file_is_what_the_design_says(self) -> None:
        series = load_real_pendulum(measured_series())
        assert series.states.shape == (556, 2)
        gaps = np.diff(series.times)
        assert np.median(gaps) == pytest.approx(1 / 6)
        assert gaps.max() > 1 / 3
        first, last = (np.abs(series.states[rows]).max() for rows in (slice(40), slice(-40, None)))
        assert (first, last) == pytest.approx((1.47, 0.87), abs=0.01)


def prepared(loss: Any, data: Dataset) -> tuple[torch.Tensor, ...]:
    rows: tuple[torch.Tensor, ...] = loss.prepare(data, torch.float64)
    return rows


class TestDerivativeLoss:
    @pytest.mark.parametrize("name", NAMES)
    def test_the_true_field_leaves_nothing(self, name: str) -> None:
        system = SYSTEMS[name]
        source = SCATTERED if isinstance(system, NBody) else BOX
        loss = make_loss("derivative", {})
        residuals = loss.residuals(system.field, prepared(loss, drawn(source, system)[0]))
        np.testing.assert_allclose(residuals.numpy(), 0, atol=1e-12)

    def test_residuals_are_model_minus_data_at_every_point(self) -> None:
        data, loss, there = drawn(PAPER["pendulum"], PENDULUM)[0], make_loss("derivative", {}), model("mlp/pendulum/0")
        residuals = loss.residuals(there.torch_field, prepared(loss, data))
        x, derivatives, _ = data.flat()
        np.testing.assert_allclose(residuals.numpy(), there.field(x) - derivatives, atol=1e-12)

    def test_balance_divides_by_one_plus_so_much_of_the_force(self) -> None:
        data, there = drawn(BOX, PENDULUM)[0], model("mlp/pendulum/0")
        plain, balanced = make_loss("derivative", {}), make_loss("derivative", {"balance": 0.5})
        size = np.linalg.norm(data.flat()[1], axis=-1, keepdims=True)
        expected = plain.residuals(there.torch_field, prepared(plain, data)).numpy() / (1 + 0.5 * size)
        found = balanced.residuals(there.torch_field, prepared(balanced, data)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_the_loss_of_a_model_is_the_mean_square(self) -> None:
        data, there = drawn(BOX, PENDULUM)[0], model("separable/pendulum/0")
        x, derivatives, u = data.flat()
        expected = np.square(there.field(x, u) - derivatives).mean()
        assert loss_on(PENDULUM, there.family, there.parameters, data) == pytest.approx(expected, rel=1e-12)


class TestTrajectoryLoss:
    def clean(self, name: str) -> Dataset:
        return drawn(replace(PAPER[name], noise=0.0, trajectories=6), SYSTEMS[name])[0]

    @pytest.mark.parametrize("name", PAPER)
    def test_the_true_field_leaves_what_the_integrator_leaves(self, name: str) -> None:
        loss, data = make_loss("trajectory", {"horizon": 2, "substeps": 100}), self.clean(name)
        residuals = loss.residuals(SYSTEMS[name].field, prepared(loss, data))
        assert np.abs(residuals.numpy()).max() < 1e-7

    @pytest.mark.parametrize("method", ["leapfrog", "rk4"])
    def test_it_predicts_what_a_rollout_from_every_state_gives(self, method: str) -> None:
        data, there = self.clean("pendulum"), model("separable/pendulum/0")
        loss = make_loss("trajectory", {"horizon": 3, "integrator": method, "substeps": 2})
        residuals = loss.residuals(there.torch_field, prepared(loss, data))
        windows = np.stack([data.states[:, first : first + 4] for first in range(data.states.shape[1] - 3)], axis=1)
        windows = windows.reshape(-1, 4, 2)
        h = (data.times[1] - data.times[0]) / 2
        rolled = march(method, there.field, windows[:, 0], float(h), 6)[2::2]
        expected = (np.moveaxis(rolled, 0, 1) - windows[:, 1:]).reshape(len(windows), -1)
        np.testing.assert_allclose(residuals.numpy(), expected, atol=1e-12)

    def test_inputs_are_held_from_the_start_of_the_window(self) -> None:
        times, u = np.array([0.0, 0.1]), np.array([[0.8], [-0.3]])
        x = exact_trajectories(PENDULUM, states(PENDULUM, 2), times, u)
        data = Dataset(times, x, PENDULUM.field(x), np.repeat(u[:, None], 2, axis=1))
        loss = make_loss("trajectory", {"substeps": 20})
        assert np.abs(loss.residuals(PENDULUM.field, prepared(loss, data)).numpy()).max() < 1e-8

    def test_single_states_are_too_short(self) -> None:
        with pytest.raises(InvalidOptionError, match="needs trajectories of 3 points, and the data has 1"):
            prepared(make_loss("trajectory", {"horizon": 2}), drawn(BOX, PENDULUM)[0])

    def test_uneven_data_is_refused(self) -> None:
        data = self.clean("pendulum")
        with pytest.raises(InvalidOptionError, match="evenly sampled"):
            prepared(make_loss("trajectory", {}), replace(data, times=data.times**2))


class TestLossNames:
    def test_an_unknown_loss_is_refused_with_those_that_exist(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown loss 'luck'; allowed: .*derivative.*trajectory"):
            make_loss("luck", {})

    def test_an_unknown_setting_is_refused_with_those_that_exist(self) -> None:
        with pytest.raises(InvalidOptionError, match="'trajectory' has no setting 'steps'; allowed: horizon"):
            make_loss("trajectory", {"steps": 2})

    def test_the_mean_is_over_rows_and_components(self) -> None:
        assert mean_square(torch.tensor([[1.0, 3.0], [1.0, 1.0]])).item() == 3.0


def line() -> tuple[dict[str, torch.Tensor], tuple[torch.Tensor, ...]]:
    """A small regression: parameters and rows (inputs, outputs)."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((40, 3)))
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 0.3
    return {"slope": torch.zeros(3, dtype=torch.float64), "shift": torch.zeros((), dtype=torch.float64)}, (x, y)


def off_line(parameters: dict[str, torch.Tensor], rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
    x, y = rows
    return x @ parameters["slope"] + parameters["shift"] - y


class TestAdam:
    @pytest.mark.parametrize("decay", [0.0, 0.1])
    def test_it_is_torchs(self, decay: float) -> None:
        parameters, rows = line()
        ours = make_optimiser(
            "adam", Problem(off_line, rows, 60, 0), parameters, {"learning_rate": 0.05, "weight_decay": decay}
        )
        losses = [ours.step(step) for step in range(60)]
        theirs = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        adam, expected = torch.optim.Adam(theirs.values(), 0.05, weight_decay=decay), []
        for _ in range(60):
            adam.zero_grad()
            loss = off_line(theirs, rows).square().mean()
            loss.backward()
            adam.step()
            expected.append(loss.item())
        assert losses == pytest.approx(expected, rel=1e-12)
        for name, value in theirs.items():
            np.testing.assert_allclose(ours.parameters[name].detach(), value.detach(), rtol=1e-12)

    def test_it_leaves_the_given_parameters_alone(self) -> None:
        parameters, rows = line()
        make_optimiser("adam", Problem(off_line, rows, 1, 0), parameters, {}).step(0)
        assert not parameters["slope"].any()

    def test_the_rate_falls_along_a_cosine(self) -> None:
        # Far away from the minimum the gradient is constant, and a step of Adam is as long as its rate.
        problem = Problem(lambda parameters, rows: parameters["x"] + 1e9 + 0 * rows[0], (torch.zeros(1),), 8, 0)
        adam = make_optimiser(
            "adam", problem, {"x": torch.zeros(1, dtype=torch.float64)}, {"learning_rate": 0.1, "final_rate": 0.02}
        )
        path = [0.0]
        for step in range(8):
            adam.step(step)
            path.append(adam.parameters["x"].item())
        expected = 0.02 + 0.04 * (1 + np.cos(np.pi * np.arange(8) / 8))
        np.testing.assert_allclose(-np.diff(path), expected, rtol=1e-4)

    def test_a_minibatch_depends_on_seed_and_step_alone(self) -> None:
        def seen(seed: int, steps: range) -> list[bytes]:
            parameters, rows = line()
            batches = []

            def record(values: dict[str, torch.Tensor], drawn_rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
                batches.append(drawn_rows[0].numpy().tobytes())
                assert len(drawn_rows[0]) == len(drawn_rows[1]) == 7
                return off_line(values, drawn_rows)

            adam = make_optimiser("adam", Problem(record, rows, 10, seed), parameters, {"batch": 7})
            for step in steps:
                adam.step(step)
            return batches

        whole = seen(3, range(10))
        assert seen(3, range(6, 10)) == whole[6:]
        assert len(set(whole)) == 10
        assert not set(seen(4, range(10))) & set(whole)


class TestLevenbergMarquardt:
    def problem(self) -> tuple[Problem, dict[str, torch.Tensor]]:
        """Data from one small separable HNN, and the parameters of another near it."""
        family, loss = make_family("separable", {"hidden": [3]}), make_loss("derivative", {})
        x, _, u = all_points(BOX, PENDULUM)
        teacher = family.init(PENDULUM, np.random.default_rng(7))
        data = Dataset(np.zeros(1), x[:, None], family.build(PENDULUM, teacher)(x, u)[:, None], u[:, None])
        rng = np.random.default_rng(1)
        parameters = to_torch(
            {name: np.asarray(value + 0.2 * rng.standard_normal(value.shape)) for name, value in teacher.items()}
        )

        def residuals(values: dict[str, torch.Tensor], rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
            found: torch.Tensor = loss.residuals(family.build(PENDULUM, values), rows)
            return found

        return Problem(residuals, prepared(loss, data), 100, 0), parameters

    def test_a_small_separable_model_is_found_to_the_last_digits(self) -> None:
        problem, parameters = self.problem()
        optimiser = make_optimiser("levenberg-marquardt", problem, parameters, {})
        losses = [optimiser.step(step) for step in range(40)]
        assert losses[0] > 1e-2
        assert losses[-1] < 1e-20

    def test_it_never_takes_a_step_up(self) -> None:
        problem, parameters = self.problem()
        optimiser = make_optimiser("levenberg-marquardt", problem, parameters, {"damping": 1e-8})
        losses = [optimiser.step(step) for step in range(25)]
        assert (np.diff(losses) <= 0).all()

    @pytest.mark.parametrize("chunk", [1, 5, 100])
    def test_its_jacobian_is_autograds(self, chunk: int) -> None:
        problem, parameters = self.problem()
        optimiser: Any = make_optimiser("levenberg-marquardt", problem, parameters, {"chunk": chunk})
        flat = torch.cat([value.reshape(-1) for value in parameters.values()])
        expected = torch.autograd.functional.jacobian(optimiser._residuals, flat)
        np.testing.assert_allclose(optimiser._jacobian(flat), expected, atol=1e-12)

    def test_a_line_is_found_at_once(self) -> None:
        parameters, rows = line()
        optimiser = make_optimiser("levenberg-marquardt", Problem(off_line, rows, 2, 0), parameters, {"damping": 1e-14})
        optimiser.step(0)
        np.testing.assert_allclose(optimiser.parameters["slope"], [1.0, -2.0, 0.5], atol=1e-9)
        np.testing.assert_allclose(optimiser.parameters["shift"], 0.3, atol=1e-9)

    def test_data_that_is_no_number_gives_a_loss_that_is_none(self) -> None:
        parameters, (x, y) = line()
        optimiser = make_optimiser("levenberg-marquardt", Problem(off_line, (x, y * np.nan), 1, 0), parameters, {})
        assert np.isnan(optimiser.step(0))


class TestOptimiserNames:
    def test_an_unknown_optimiser_is_refused_with_those_that_exist(self) -> None:
        parameters, rows = line()
        with pytest.raises(UnknownNameError, match="unknown optimiser 'sgd'; allowed: adam, bundle-adjustment, "):
            make_optimiser("sgd", Problem(off_line, rows, 1, 0), parameters, {})

    @pytest.mark.parametrize("name", ["adam", "levenberg-marquardt"])
    def test_an_unknown_setting_is_refused_with_those_that_exist(self, name: str) -> None:
        parameters, rows = line()
        with pytest.raises(InvalidOptionError, match=f"'{name}' has no setting 'momentum'; allowed: "):
            make_optimiser(name, Problem(off_line, rows, 1, 0), parameters, {"momentum": 0.9})

    def test_a_value_that_cannot_be_is_refused(self) -> None:
        parameters, rows = line()
        with pytest.raises(InvalidOptionError, match="learning rate: -1"):
            make_optimiser("adam", Problem(off_line, rows, 1, 0), parameters, {"learning_rate": -1.0})


FAMILY = make_family("separable", {"hidden": [4], "ports": {"inputs": True}})
DATA = drawn(replace(BOX, count=80), PENDULUM)[0]
STAGES = [
    Stage(steps=8, settings={"batch": 16, "learning_rate": 1e-2}, dtype="float32"),
    Stage(steps=5, optimiser="levenberg-marquardt", every=2, settings={"damping": 1.0}),
    Stage(steps=4, settings={"learning_rate": 1e-3, "final_rate": 1e-4}, loss_settings={"balance": 1.0}),
]
STEPS = sum(stage.steps for stage in STAGES)


class KilledError(Exception):
    """Stands for whatever ends a process."""


def killer(after: int) -> Callable[..., None]:
    """A report callback that ends the run at its n-th call."""
    calls = count(1)

    def report(*_: object) -> None:
        if next(calls) == after:
            raise KilledError

    return report


def run(state: Path | None = None, **options: Any) -> Parameters:
    """A short run over all three stages."""
    arguments: dict[str, Any] = {"data": DATA, "stages": STAGES, "seed": 0, "state": state, "key": "this run"} | options
    return fit(PENDULUM, FAMILY, **arguments)


def alike(one: Parameters, two: Parameters) -> bool:
    """Whether two sets of parameters are the same bit for bit."""
    return one.keys() == two.keys() and all(one[name].tobytes() == two[name].tobytes() for name in one)


def state_of(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header and the tensors of a saved state."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        header: dict[str, Any] = json.loads(file.metadata()["hnn_envs"])
    return header, tensors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.state.safetensors"


@pytest.fixture(scope="module")
def unbroken() -> Parameters:
    return run()


@pytest.fixture
def slow_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which every look takes a second: each step is reported, and saving is due every few steps."""
    seconds = count(1)
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: next(seconds)))


class TestTrainer:
    def test_the_same_seed_gives_the_same_model(self, unbroken: Parameters) -> None:
        assert alike(run(), unbroken)

    def test_another_seed_gives_another_model(self, unbroken: Parameters) -> None:
        assert not alike(run(seed=1), unbroken)

    def test_it_fits(self, unbroken: Parameters) -> None:
        start = FAMILY.init(PENDULUM, np.random.default_rng((0, 1)))
        assert loss_on(PENDULUM, FAMILY, unbroken, DATA) < 0.1 * loss_on(PENDULUM, FAMILY, start, DATA)

    def test_parameters_come_back_in_double_precision(self) -> None:
        assert {value.dtype for value in run(stages=STAGES[:1]).values()} == {np.dtype(np.float64)}

    def test_single_precision_is_single(self) -> None:
        found = run(stages=STAGES[:1])
        assert all((value == value.astype(np.float32)).all() for value in found.values())

    @pytest.mark.usefixtures("slow_steps")
    def test_every_stage_reports_its_steps_and_losses(self) -> None:
        calls: list[tuple[int, int, int, float]] = []
        run(report=lambda *call: calls.append(call))
        assert [call[:3] for call in calls] == [
            (number, step + 1, stage.steps) for number, stage in enumerate(STAGES) for step in range(stage.steps)
        ]
        assert all(0 < loss < 1e3 for *_, loss in calls)

    def test_nothing_is_written_unless_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        run()
        assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("slow_steps")
class TestResuming:
    @pytest.mark.parametrize("save_every", [0, 12])
    @pytest.mark.parametrize("after", range(1, STEPS + 1))
    def test_a_run_killed_at_any_step_ends_as_an_unbroken_one(
        self, path: Path, unbroken: Parameters, after: int, save_every: int
    ) -> None:
        with pytest.raises(KilledError):
            run(path, report=killer(after), save_every=save_every)
        assert alike(run(path), unbroken)

    def test_a_run_goes_on_where_it_stopped(self, path: Path) -> None:
        with pytest.raises(KilledError):
            run(path, report=killer(11), save_every=0)
        calls: list[tuple[int, ...]] = []
        run(path, report=lambda *call: calls.append(call))
        assert calls[0][:2] == (1, 3)

    def test_a_run_killed_again_and_again_ends_as_an_unbroken_one(self, path: Path, unbroken: Parameters) -> None:
        for _ in range(5):
            with pytest.raises(KilledError):
                run(path, report=killer(4), save_every=0)
        assert alike(run(path), unbroken)

    def test_a_finished_run_is_not_done_again(self, path: Path, unbroken: Parameters) -> None:
        run(path)
        calls: list[object] = []
        assert alike(run(path, report=lambda *call: calls.append(call)), unbroken)
        assert not calls

    def test_the_state_of_another_run_is_not_taken_up(self, path: Path, unbroken: Parameters) -> None:
        with pytest.raises(KilledError):
            run(path, key="another", seed=1, report=killer(9), save_every=0)
        assert alike(run(path), unbroken)

    @pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "no header", "odd header", "odd tensors"])
    def test_a_damaged_state_is_ignored(self, path: Path, unbroken: Parameters, damage: str) -> None:
        with pytest.raises(KilledError):
            run(path, seed=1, report=killer(9), save_every=0)
        content = path.read_bytes()
        _, tensors = state_of(path)
        if damage in ("truncated", "empty", "garbage"):
            path.write_bytes({"truncated": content[:-9], "empty": b"", "garbage": b"\x80\x04" * 99}[damage])
        elif damage == "no header":
            save_file(tensors, path)
        elif damage == "odd header":
            save_file(tensors, path, {"hnn_envs": '["this run"]'})
        else:
            header = json.dumps({"key": "this run", "stage": 0, "step": 2})
            save_file({"weights": torch.zeros(2)}, path, {"hnn_envs": header})
        assert alike(run(path), unbroken)

    def test_at_every_moment_the_folder_holds_one_whole_state(self, path: Path) -> None:
        def look(*_: object) -> None:
            assert list(path.parent.iterdir()) == [path]
            assert state_of(path)[0]["key"] == "this run"

        run(path, report=look, save_every=0)


class TestLossThatIsNoNumber:
    def test_training_stops_and_names_the_step(self, path: Path) -> None:
        stages = [STAGES[0], Stage(steps=9, settings={"learning_rate": 1e30}, dtype="float32")]
        with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step 1 of stage 2 \(adam\)"):
            run(path, stages=stages)

    def test_the_last_good_state_is_kept_and_named(self, path: Path) -> None:
        stages = [STAGES[0], Stage(steps=9, settings={"learning_rate": 1e30}, dtype="float32")]
        with pytest.raises(TrainingError, match="step 0 of stage 2 is kept in") as caught:
            run(path, stages=stages, save_every=0)
        assert str(path) in str(caught.value)
        header, tensors = state_of(path)
        assert (header["stage"], header["step"]) == (1, 0)
        good = run(stages=STAGES[:1])
        assert all((tensors[f"parameters/{name}"].numpy() == value).all() for name, value in good.items())

    @pytest.mark.parametrize("optimiser", ["adam", "levenberg-marquardt"])
    def test_data_that_is_no_number_stops_the_first_step(self, path: Path, optimiser: str) -> None:
        broken = replace(DATA, derivatives=np.where(DATA.derivatives > 3, np.nan, DATA.derivatives))
        with pytest.raises(TrainingError, match=r"the loss is nan at step 0 of stage 1 .*; nothing was saved"):
            run(path, data=broken, stages=[Stage(steps=3, optimiser=optimiser)])
        assert not path.exists()

    def test_a_last_step_that_ruins_the_parameters_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Ruinous(OPTIMISERS["adam"]):  # type: ignore[misc]
            def step(self, step: int) -> float:
                loss: float = super().step(step)
                if step == 4:
                    self.parameters["network.weight0"] = self.parameters["network.weight0"] * torch.inf
                return loss

        monkeypatch.setitem(OPTIMISERS, "ruinous", Ruinous)
        with pytest.raises(TrainingError, match=r"not finite after step 4, the last of stage 1 \(ruinous\)"):
            run(stages=[Stage(steps=5, optimiser="ruinous")])


class TestStageTables:
    @pytest.mark.parametrize(
        ("settings", "cause"),
        [
            ({"optimiser": "sgd"}, "unknown optimiser 'sgd'; allowed: adam"),
            ({"loss": "luck"}, "unknown loss 'luck'"),
            ({"loss_settings": {"balanced": 1.0}}, "no setting 'balanced'; allowed: balance"),
            ({"dtype": "float16"}, "unknown dtype 'float16'; allowed: float32, float64"),
            ({"every": 0}, "must be positive"),
        ],
    )
    def test_what_cannot_be_is_refused_before_training(self, settings: dict[str, Any], cause: str) -> None:
        with pytest.raises((InvalidOptionError, UnknownNameError), match=cause):
            Stage(steps=1, **settings)
