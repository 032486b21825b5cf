"""Where data comes from: the sources of training data, exact trajectories and the measured series."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fitting_data import (
    BOX,
    DRIVEN,
    N_BODY,
    PAIR_BOX,
    PAPER,
    PENDULUM,
    SCATTERED,
    SOURCES,
    THREE_BODY,
    TWO_BODY,
    all_points,
    drawn,
)
from measured_series import measured_series
from physics import NAMES, exact, states

from hnn_envs.errors import DataError, InvalidOptionError, UnknownNameError
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.kernels import compile_step
from hnn_envs.recordings import make_source
from hnn_envs.recordings.dataset import Dataset, merge
from hnn_envs.recordings.exact import FIRST_STEP, HALVINGS, exact_trajectories
from hnn_envs.recordings.measured import FILE_NAME, VARIABLE, load_real_pendulum
from hnn_envs.recordings.sources import BoxSource, DrivenSource, MeasuredSource, PaperSource
from hnn_envs.systems import SYSTEMS, System
from hnn_envs.systems.n_body import NBody

SHARES = {"mass-spring": (25, 25), "pendulum": (25, 25), "two-body": (8, 2), "three-body": (8, 2)}
TASK_DATA = pytest.mark.parametrize(("name", "source"), SOURCES.values(), ids=SOURCES)


def in_order(source: PaperSource, system: System, seed: int = 0) -> Dataset:
    """All trajectories of the paper's source, in the order in which they were drawn."""
    train, test = drawn(source, system, seed)
    return merge([test, train] if source.test_first else [train, test])


@pytest.mark.parametrize("name", PAPER)
class TestPaperData:
    def test_shares_and_points_are_the_papers(self, name: str) -> None:
        train, test = drawn(PAPER[name], SYSTEMS[name])
        points, size = PAPER[name].points, 2 * SYSTEMS[name].spec.dof
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
    @pytest.mark.parametrize("system", N_BODY, ids=lambda system: system.spec.name)
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

    @pytest.mark.parametrize("system", N_BODY, ids=lambda system: system.spec.name)
    def test_driven_states_keep_their_distances(self, system: NBody) -> None:
        x, _, _ = all_points(DRIVEN, system)
        assert (system.closest_distance(x) >= DRIVEN.closest).all()
        assert np.abs(x[:, : system.spec.dof]).max() <= DRIVEN.widest

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
        assert make_source(table) == BoxSource(3, (0, 0), (1, 1), 0.5)
        assert table["source"] == "box"

    @pytest.mark.parametrize("table", [{}, {"source": "internet"}])
    def test_an_unknown_source_is_refused_with_those_that_exist(self, table: dict[str, Any]) -> None:
        known = "box, driven, films, measured, paper, recorded, scattered, watched"
        with pytest.raises(UnknownNameError, match=f"allowed: {known}"):
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
        for name in SYSTEMS:
            if name != "real-pendulum":
                with pytest.raises(InvalidOptionError, match=f"angle in rad and its velocity.*, not of .* {name}"):
                    drawn(MeasuredSource(0.2, str(file)), SYSTEMS[name])

    def test_the_real_file_is_what_the_design_says(self) -> None:
        series = load_real_pendulum(measured_series())
        assert series.states.shape == (556, 2)
        gaps = np.diff(series.times)
        assert np.median(gaps) == pytest.approx(1 / 6)
        assert gaps.max() > 1 / 3
        first, last = (np.abs(series.states[rows]).max() for rows in (slice(40), slice(-40, None)))
        assert (first, last) == pytest.approx((1.47, 0.87), abs=0.01)


@pytest.mark.parametrize("name", ["mass-spring", "pendulum", "two-body", "three-body"])
def test_recordings_of_separable_systems_are_made_by_pefrl_whatever_environments_step_by(name: str) -> None:
    """Bit for bit, at one of the steps that it may choose: a new default method does not change the data."""
    system = SYSTEMS[name]
    x, span = system.sample_states(np.random.default_rng(3), 1), 0.2
    found = exact_trajectories(system, x, np.array([0.0, span]))[:, 1]
    lengths = (FIRST_STEP * system.spec.longest_step / 2**halving for halving in range(HALVINGS))
    steps = {max(1, math.ceil(span / length)) for length in lengths}
    made = (compile_step(system.field, INTEGRATORS["pefrl"], span, count) for count in steps)
    assert any(np.array_equal(step(x), found) for step in made if step is not None)
