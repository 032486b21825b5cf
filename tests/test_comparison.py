"""Comparison, its figure and its animation: what is held against what, and what a reader sees of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from measured_series import measured_series
from physics import TASKED, march
from PIL import Image

from hnn_envs.drawing.colors import colour_of
from hnn_envs.errors import DataError, InvalidOptionError, UnknownNameError
from hnn_envs.evaluation.comparison import Comparison, Track, best_start, compare, compare_with_measurement
from hnn_envs.evaluation.subjects import Subject
from hnn_envs.figures.animation import write_gif
from hnn_envs.figures.plots import comparison_figure
from hnn_envs.recordings.exact import exact_trajectories
from hnn_envs.recordings.measured import Series, load_real_pendulum
from hnn_envs.systems import SYSTEMS, known_truth
from hnn_envs.systems.real_pendulum import RealPendulum
from hnn_envs.tasks import get_task

Physics = Callable[[str, str], str]
SYSTEM = RealPendulum()


@pytest.fixture(scope="module")
def short() -> Callable[[str], Comparison]:
    """A short comparison of the usual three, made once for every system."""
    made: dict[str, Comparison] = {}

    def make(system: str) -> Comparison:
        if system not in made:
            made[system] = compare(system, periods=0.5)
        return made[system]

    return make


def diverging(comparison: Comparison, *, number: int, record: int) -> Comparison:
    """The same comparison, one track of which diverges."""
    track = comparison.tracks[number]
    states = track.states.copy()
    states[record - 2 : record] *= [[1e10], [1e200]]
    states[record:] = np.nan
    with np.errstate(all="ignore"):
        energies = known_truth(SYSTEMS[comparison.spec.name]).value(states)
    broken = replace(track, states=states, energies=energies, believed_energies=energies, energy_drift=np.inf)
    tracks = [broken if index == number else other for index, other in enumerate(comparison.tracks)]
    return replace(comparison, tracks=tracks)


def synthetic(noise: float) -> tuple[Series, np.ndarray]:
    """A series made by the fitted ODE itself, with gaps and noise, and its true start."""
    times = 5 + np.delete(np.arange(200) / 6, [7, 8, 60])
    start = np.array([1.2, 0.3])
    states = exact_trajectories(SYSTEM, start[None], times)[0]
    return Series(times, states + noise * np.random.default_rng(0).standard_normal(states.shape)), start


def write(series: Series, path: Path) -> str:
    np.savetxt(path, np.column_stack((np.zeros(len(series.times)), series.times, series.states)))
    return str(path)


class TestAgainstTheOde:
    @pytest.mark.parametrize("system", TASKED)
    def test_all_start_together(self, short: Callable[[str], Comparison], system: str) -> None:
        comparison = short(system)
        assert [track.dynamics for track in comparison.tracks] == ["ode", "hnn", "baseline"]
        for track in comparison.tracks:
            np.testing.assert_array_equal(track.states[0], Subject.of(system).shown_start())
            assert len(track.states) == len(comparison.times)

    @pytest.mark.parametrize("system", TASKED)
    def test_the_ode_is_the_reference(self, short: Callable[[str], Comparison], system: str) -> None:
        ode, hnn, _ = short(system).tracks
        stepping = SYSTEMS[system].spec.stepping
        assert ode.state_error == 0
        if stepping is None:
            assert ode.energy_drift < 1e-8
        else:  # its truth is a map, whose own energy is another one: the drift is that of the map
            steps = len(ode.states) - 1
            path = march(stepping.integrator, SYSTEMS[system].field, ode.states[0], stepping.dt, steps)
            energies = SYSTEMS[system].value(path)
            expected = np.abs(energies - energies[0]).max() / abs(energies[0])
            np.testing.assert_allclose(ode.states, path, rtol=0, atol=1e-11)
            assert ode.energy_drift == pytest.approx(expected, rel=1e-9)
        assert 0 < hnn.state_error < 0.05

    def test_the_length_is_in_periods(self, short: Callable[[str], Comparison]) -> None:
        comparison = short("pendulum")
        assert comparison.times[-1] == pytest.approx(
            0.5 * SYSTEMS["pendulum"].spec.time_scale, abs=get_task("pendulum").dt
        )

    def test_a_long_one_has_no_more_records_than_a_plot_can_hold(self) -> None:
        comparison = compare("pendulum", ["ode"], periods=130)
        assert 2000 < len(comparison.times) <= 4001
        assert comparison.times[-1] == pytest.approx(130 * SYSTEMS["pendulum"].spec.time_scale, rel=0.01)

    def test_the_state_error_is_the_root_mean_square_distance(self, short: Callable[[str], Comparison]) -> None:
        comparison = short("pendulum")
        _, hnn, _ = comparison.tracks
        expected = np.sqrt(np.square(hnn.states - comparison.reference).sum(-1).mean())
        assert hnn.state_error == pytest.approx(expected)

    def test_the_drift_of_a_conservative_system_is_from_its_own_start(self, short: Callable[[str], Comparison]) -> None:
        _, hnn, _ = short("pendulum").tracks
        expected = np.abs(hnn.energies / hnn.energies[0] - 1).max()
        assert hnn.energy_drift == pytest.approx(expected)

    def test_the_drift_of_a_damped_system_is_from_the_reference(self, short: Callable[[str], Comparison]) -> None:
        ode, hnn, _ = short("real-pendulum").tracks
        assert hnn.energies[-1] < 0.99 * hnn.energies[0]
        assert hnn.energy_drift == pytest.approx(np.abs(hnn.energies - ode.energies).max() / ode.energies[0])

    def test_the_reference_is_the_ode_even_where_it_is_not_compared(self) -> None:
        comparison = compare("pendulum", ["hnn"], periods=0.5)
        np.testing.assert_array_equal(comparison.reference, compare("pendulum", ["ode"], periods=0.5).tracks[0].states)
        assert comparison.tracks[0].state_error > 0

    def test_another_integrator_is_held_against_the_ode_as_well(self) -> None:
        (track,) = compare("pendulum", ["ode"], periods=1, integrator="leapfrog").tracks
        assert 1e-9 < track.state_error < 1e-2

    def test_a_step_takes_time(self, short: Callable[[str], Comparison]) -> None:
        assert all(0.1 < track.microseconds < 1e6 for track in short("pendulum").tracks)

    def test_a_seed_draws_another_start(self) -> None:
        task, subject = get_task("pendulum"), Subject.of("pendulum")
        np.testing.assert_array_equal(subject.shown_start(4), task.initial_state(np.random.default_rng(4)))
        assert not np.array_equal(subject.shown_start(4), subject.shown_start(5))

    def test_progress_is_told(self) -> None:
        names: list[str] = []
        compare("pendulum", ["ode", "hnn"], periods=0.1, progress=lambda done, total, name: names.append(name))
        assert names == ["ode", "hnn"]

    def test_what_diverges_has_infinite_errors(self, random_checkpoint: Callable[..., str]) -> None:
        wild = random_checkpoint("mass-spring", "baseline", 1e308)
        (track,) = compare("mass-spring", [wild], periods=5).tracks
        assert not np.isfinite(track.states).all()
        assert np.isinf([track.state_error, track.energy_drift]).all()

    @pytest.mark.parametrize("periods", [0, -1, np.nan, np.inf])
    def test_a_length_that_is_none_is_refused(self, periods: float) -> None:
        with pytest.raises(InvalidOptionError, match="periods must be a positive number"):
            compare("pendulum", periods=periods)

    def test_nothing_to_compare_is_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match="at least one physics"):
            compare("pendulum", [])

    def test_an_unknown_system_is_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="'pendula'; allowed: cart-pole"):
            compare("pendula")


class TestAgainstTheMeasurement:
    def test_the_ode_follows_its_own_series_to_the_noise(self, tmp_path: Path) -> None:
        series, _ = synthetic(noise=0.01)
        (track,) = compare_with_measurement(write(series, tmp_path / "series.txt"), ["ode"]).tracks
        assert track.state_error == pytest.approx(0.01 * np.sqrt(2), rel=0.1)

    def test_all_start_where_the_ode_follows_best(self, tmp_path: Path) -> None:
        series, start = synthetic(noise=0.01)
        np.testing.assert_allclose(best_start(SYSTEM, series), start, atol=0.005)
        comparison = compare_with_measurement(write(series, tmp_path / "series.txt"))
        for track in comparison.tracks:
            np.testing.assert_allclose(track.states[0], start, atol=0.005)

    def test_records_are_where_the_samples_are(self, tmp_path: Path) -> None:
        series, _ = synthetic(noise=0.0)
        comparison = compare_with_measurement(write(series, tmp_path / "series.txt"), ["ode"])
        np.testing.assert_array_equal(comparison.times, series.times)
        np.testing.assert_allclose(comparison.tracks[0].states, series.states, atol=1e-6)

    def test_a_missing_series_is_missed(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="Schmidt and Lipson"):
            compare_with_measurement(tmp_path / "nothing.txt")

    def test_the_ode_and_the_hnn_follow_the_real_series(self) -> None:
        comparison = compare_with_measurement(measured_series())
        ode, hnn, baseline = comparison.tracks
        assert len(comparison.times) == 556
        assert comparison.measured is not None
        np.testing.assert_array_equal(comparison.reference, load_real_pendulum(measured_series()).states)
        assert ode.state_error < 0.025
        assert hnn.state_error == pytest.approx(ode.state_error, rel=0.01)
        assert baseline.state_error > hnn.state_error


def panels(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


class TestFigure:
    @pytest.mark.parametrize("system", TASKED)
    def test_every_axis_says_what_it_shows(self, short: Callable[[str], Comparison], system: str) -> None:
        figure = comparison_figure(short(system))
        bodies = system.endswith("body")
        assert panels(figure) == ["Orbits" if bodies else "Phase portrait", "Energy", "State error"]
        portrait, energy, error = figure.axes
        first = SYSTEMS[system].spec.coordinates[0]
        assert portrait.get_xlabel().startswith("position x" if bodies else first.name)
        assert portrait.get_ylabel().startswith("position y" if bodies else first.momentum)
        unit = SYSTEMS[system].spec.time_unit or "dimensionless"
        assert energy.get_xlabel() == error.get_xlabel() == f"time ({unit})"
        assert energy.get_ylabel().startswith("true energy H (")
        assert error.get_ylabel() == "distance to the ODE"

    def test_angles_are_in_radians(self, short: Callable[[str], Comparison]) -> None:
        portrait = comparison_figure(short("real-pendulum")).axes[0]
        assert (portrait.get_xlabel(), portrait.get_ylabel()) == ("angle q (rad)", "angular velocity p (rad/s)")

    @pytest.mark.parametrize("system", ["pendulum", "two-body"])
    def test_lines_have_the_colours_of_their_physics(self, short: Callable[[str], Comparison], system: str) -> None:
        comparison = short(system)
        energy = comparison_figure(comparison).axes[1]
        drawn = {line.get_label(): to_hex(line.get_color()).upper() for line in energy.lines}
        assert drawn == {"ODE": colour_of("ode"), "HNN": colour_of("hnn"), "baseline": colour_of("baseline")}

    def test_the_legend_and_the_title_name_every_physics_once(self, short: Callable[[str], Comparison]) -> None:
        figure = comparison_figure(short("pendulum"))
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["ODE", "HNN", "baseline"]
        assert figure.get_suptitle() == "pendulum: the same start under ODE, HNN and baseline"

    def test_a_line_is_the_track(self, short: Callable[[str], Comparison]) -> None:
        comparison = short("pendulum")
        portrait, energy, error = comparison_figure(comparison).axes
        hnn = comparison.tracks[1]
        np.testing.assert_array_equal(portrait.lines[1].get_xydata(), hnn.states)
        np.testing.assert_array_equal(energy.lines[1].get_xydata(), np.column_stack((comparison.times, hnn.energies)))
        distance = np.linalg.norm(hnn.states - comparison.reference, axis=-1)[1:]
        np.testing.assert_allclose(error.lines[0].get_ydata(), distance)

    def test_both_bodies_are_drawn(self, short: Callable[[str], Comparison]) -> None:
        comparison = short("two-body")
        lines = comparison_figure(comparison).axes[0].lines[:2]
        expected = comparison.tracks[0].states[:, :4]
        np.testing.assert_array_equal(np.hstack([line.get_xydata() for line in lines]), expected)

    def test_lengths_are_drawn_to_scale_for_bodies(self, short: Callable[[str], Comparison]) -> None:
        assert comparison_figure(short("three-body")).axes[0].get_aspect() == 1.0

    def test_all_of_the_reference_is_in_the_frame(self, short: Callable[[str], Comparison]) -> None:
        comparison = short("three-body")
        axes = comparison_figure(comparison).axes[0]
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        q = comparison.reference[:, :6].reshape(-1, 2)
        assert (q >= (left, bottom)).all()
        assert (q <= (right, top)).all()

    def test_where_there_is_no_difference_the_error_panel_says_so(self) -> None:
        error = comparison_figure(compare("pendulum", ["ode"], periods=0.5)).axes[2]
        assert [text.get_text() for text in error.texts] == ["no difference"]

    def test_rounding_is_not_magnified_into_a_drift(self, short: Callable[[str], Comparison]) -> None:
        comparison = short("pendulum")
        bottom, top = comparison_figure(replace(comparison, tracks=comparison.tracks[:2])).axes[1].get_ylim()
        assert top - bottom >= 0.09 * comparison.tracks[0].energies[0]

    @pytest.mark.parametrize("number", [0, 2])
    @pytest.mark.parametrize("system", ["pendulum", "two-body"])
    def test_a_track_that_diverges_hides_nothing(
        self, short: Callable[[str], Comparison], system: str, number: int, tmp_path: Path
    ) -> None:
        whole, broken = short(system), diverging(short(system), number=number, record=9)
        figure = comparison_figure(broken)
        figure.savefig(tmp_path / "figure.png")
        portrait, energy, error = figure.axes
        assert portrait.get_xlim() == comparison_figure(whole).axes[0].get_xlim()
        bottom, top = energy.get_ylim()
        assert top - bottom <= 3 * np.abs(whole.tracks[0].energies).max() * (1 + 1e-9)
        assert np.isfinite(error.get_ylim()).all()
        assert error.get_ylim()[1] < 1e5

    def test_a_track_that_diverges_says_when(self, short: Callable[[str], Comparison]) -> None:
        comparison = diverging(short("pendulum"), number=2, record=9)
        (legend,) = comparison_figure(comparison).legends
        labels = [text.get_text() for text in legend.get_texts()]
        assert labels == ["ODE", "HNN", f"baseline (diverged at t = {comparison.times[9]:.3g})"]

    def test_measured_samples_are_drawn_as_points(self, tmp_path: Path) -> None:
        series, _ = synthetic(noise=0.01)
        comparison = compare_with_measurement(write(series, tmp_path / "series.txt"), ["ode", "hnn"])
        portrait, energy, error = comparison_figure(comparison).axes
        assert (portrait.lines[0].get_linestyle(), portrait.lines[0].get_marker()) == ("None", ".")
        np.testing.assert_allclose(portrait.lines[0].get_xydata(), series.states)
        assert energy.lines[0].get_label() == "measured"
        assert error.get_ylabel() == "distance to the measurement"
        assert len(error.lines) == 2  # nothing coincides with a measurement


class TestAnimation:
    def gif(self, comparison: Comparison, path: Path, frames: int = 6) -> Image.Image:
        write_gif(comparison, path, frames=frames, size=(120, 100))
        return Image.open(path)

    def test_it_has_the_frames_and_the_size_asked_for(self, short: Callable[[str], Comparison], tmp_path: Path) -> None:
        picture = self.gif(short("pendulum"), tmp_path / "p.gif")
        assert picture.format == "GIF"
        assert (picture.n_frames, picture.size) == (6, (3 * 120, 100))  # type: ignore[attr-defined]

    def test_it_has_no_more_frames_than_records(self, tmp_path: Path) -> None:
        comparison = compare("pendulum", ["ode"], periods=0.2)
        picture = self.gif(comparison, tmp_path / "p.gif", frames=500)
        assert picture.n_frames == len(comparison.times)  # type: ignore[attr-defined]

    def test_it_plays_for_ever(self, short: Callable[[str], Comparison], tmp_path: Path) -> None:
        picture = self.gif(short("two-body"), tmp_path / "p.gif")
        assert picture.info["loop"] == 0
        assert picture.info["duration"] == 50

    def test_frames_move(self, short: Callable[[str], Comparison], tmp_path: Path) -> None:
        picture = self.gif(short("pendulum"), tmp_path / "p.gif")
        seen = []
        for number in range(6):
            picture.seek(number)
            seen.append(np.asarray(picture.convert("RGB")).tobytes())
        assert len(set(seen)) == 6

    def test_panels_stand_in_the_order_and_the_colours_of_the_physics(
        self, short: Callable[[str], Comparison], tmp_path: Path
    ) -> None:
        frame = np.asarray(self.gif(short("pendulum"), tmp_path / "p.gif").convert("RGB")).astype(int)
        for number, name in enumerate(("ode", "hnn", "baseline")):
            panel = frame[:, number * 120 : (number + 1) * 120]
            red, green, blue = (int(colour_of(name)[first : first + 2], 16) for first in (1, 3, 5))
            near = np.abs(panel - (red, green, blue)).max(axis=-1) < 24
            assert near.sum() > 30, name

    def test_a_track_that_diverges_stays_where_it_was_last_and_fades(
        self, short: Callable[[str], Comparison], tmp_path: Path
    ) -> None:
        picture = self.gif(diverging(short("pendulum"), number=2, record=9), tmp_path / "p.gif")
        picture.seek(5)
        frame = np.asarray(picture.convert("RGB"))
        assert frame[:, 240:].min() > 150
        assert frame[:, :240].min() < 60

    def test_progress_counts_the_frames(self, short: Callable[[str], Comparison], tmp_path: Path) -> None:
        calls: list[tuple[float, float, str]] = []
        write_gif(
            short("pendulum"), tmp_path / "p.gif", frames=3, size=(90, 90), progress=lambda *call: calls.append(call)
        )
        assert calls == [(count, 3, "pendulum") for count in (1, 2, 3)]


def test_a_track_knows_what_its_physics_believes(short: Callable[[str], Comparison]) -> None:
    hnn: Track = short("pendulum").tracks[1]
    assert not np.array_equal(hnn.believed_energies, hnn.energies)
    np.testing.assert_allclose(hnn.believed_energies, hnn.energies, atol=1e-3)
