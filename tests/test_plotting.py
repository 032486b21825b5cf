"""Figures from plain arrays: what they show, and that they need nothing but arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from hnn_envs.dynamics import make_dynamics
from hnn_envs.evaluation.comparison import compare
from hnn_envs.figures.plots import comparison_figure, energy_drift, landscape, landscapes_figure, latent_space, plane
from hnn_envs.systems import get_system

Q, P = np.linspace(-3, 3, 61), np.linspace(-2, 2, 41)


def picture(figure: Figure) -> np.ndarray:
    """The figure as pixels; drawing it is a test of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.fixture
def axes() -> Any:
    return Figure().subplots()


def grid(physics: str) -> tuple[np.ndarray, np.ndarray]:
    dynamics = make_dynamics(get_system("pendulum"), physics)
    return plane(dynamics.hamiltonian, dynamics.field, Q, P)


def test_a_plane_holds_the_energy_and_the_flow() -> None:
    energy, rates = grid("ode")
    assert energy.shape == (41, 61)
    assert energy[30, 10] == pytest.approx(3 * (1 - np.cos(Q[10])) + P[30] ** 2)
    assert rates[30, 10] == pytest.approx([2 * P[30], -3 * np.sin(Q[10])])


def test_a_landscape_has_contours_and_arrows(axes: Any) -> None:
    landscape(axes, Q, P, *grid("ode"))
    kinds = {type(artist).__name__ for artist in axes.get_children()}
    assert {"QuadContourSet", "Quiver"} <= kinds
    assert axes.get_xlim() == (-3, 3)


def test_a_learned_landscape_is_moved_to_the_true_one() -> None:
    true, (energy, rates) = grid("ode"), grid("hnn")
    one = picture(landscapes_figure(Q, P, true, (energy, rates), title="pendulum"))
    other = picture(landscapes_figure(Q, P, true, (energy + 5, rates), title="pendulum"))
    assert np.mean(one != other) < 0.01  # but for what rounding does to the logarithm


def test_a_drift_is_drawn_for_one_start_and_for_many(axes: Any) -> None:
    times = np.arange(5.0)
    energy_drift(axes, times, {"ode": 1e-9 * times, "hnn": 1e-5 * times[:, None] * np.array([1, 2, 3])}, unit="s")
    assert axes.get_xscale() == axes.get_yscale() == "log"
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert lines["HNN"] == pytest.approx(2e-5 * times[1:])
    assert len(lines["ODE"]) == 4
    assert axes.get_xlabel() == "time (s)"


def test_a_latent_space_is_coloured_by_the_angle(axes: Any) -> None:
    angles = np.linspace(-1, 1, 50)
    latent_space(axes, np.stack([np.cos(angles), np.sin(angles)], axis=-1), angles)
    assert len(axes.collections[0].get_offsets()) == 50
    assert np.array_equal(axes.collections[0].get_array(), angles)


@pytest.mark.parametrize("name", ["pendulum", "two-body"])
def test_a_comparison_is_drawn(name: str) -> None:
    figure = comparison_figure(compare(name, ("ode", "hnn"), periods=1))
    assert len(figure.axes) == 3
    assert picture(figure).std() > 0


def test_what_is_drawn_can_be_saved(axes: Any, tmp_path: Any) -> None:
    landscape(axes, Q, P, grid("hnn")[0])
    axes.figure.savefig(tmp_path / "landscape.png")
    assert (tmp_path / "landscape.png").stat().st_size > 1000
