"""The film of an exploration: every trial, and beside it what was learned before it and the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from exploring import CART_POLE, NOISE, REST, TrueLearner
from PIL import Image

from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError, TrainingError
from hnn_envs.exploration.energies import Charting, learned_machine, true_machine
from hnn_envs.exploration.explorer import Explorer
from hnn_envs.exploration.film import Film, _chosen, _rendering, _scene
from hnn_envs.exploration.goal import Goal
from hnn_envs.exploration.learners import Learned
from hnn_envs.figures.exploration import Curves, Plane, chart_figure, write_film
from hnn_envs.systems import get_system

ACROBOT, PENDULUM = "hnn_envs:hnn_envs/Acrobot-v0", "hnn_envs:hnn_envs/Pendulum-v0"


def refuse(recording: Any, **options: Any) -> Learned:
    raise TrainingError("nothing")


def random_explorer(env: Any, seconds: float = 1.0, **options: Any) -> Explorer:
    """Two trials with random actions, from which nothing is learned."""
    made = Explorer(env, learner=refuse, noise=NOISE, first_seconds=seconds, **options)
    made.run(trials=2)
    return made


@pytest.fixture(scope="module")
def solved() -> tuple[Explorer, Film]:
    film = Film()
    made = Explorer(CART_POLE, learner=TrueLearner(), noise=NOISE, start=REST, first_seconds=0.5, callbacks=[film])
    made.run(5.0)
    return made, film


def learned(system: str) -> Learned:
    return Learned(make_dynamics(system, "ode", dt=0.05), np.full(4, NOISE), np.full(4, NOISE))


def test_a_film_shows_every_state_of_every_trial(solved: tuple[Explorer, Film], tmp_path: Path) -> None:
    explorer, film = solved
    with Image.open(film.write(explorer, tmp_path / "explore.gif")) as picture:
        frames, shown = picture.n_frames, 0
        for number in range(frames):
            picture.seek(number)
            shown += picture.info["duration"]
    states = [len(trial.states) for trial in explorer.trials]
    assert shown == 50 * (sum(states) - 2) + 2 * 1200  # frames that are alike are one, which is shown for longer
    assert frames > 0.8 * sum(states)
    assert (tmp_path / "explore.gif").stat().st_size < 1_500_000


def test_the_end_of_the_name_says_the_format(solved: tuple[Explorer, Film], tmp_path: Path) -> None:
    frames = [np.full((8, 8, 3), value, dtype=np.uint8) for value in (0, 255)]
    write_film(tmp_path / "short.webp", frames, [50, 50])
    with Image.open(tmp_path / "short.webp") as picture:
        assert (picture.format, picture.n_frames) == ("WEBP", 2)
    explorer, film = solved
    with pytest.raises(InvalidOptionError, match=r"ends with .gif or .webp, not 'film.mp4'"):
        film.write(explorer, tmp_path / "film.mp4")


def test_what_is_shown_beside_a_trial_was_learned_before_it(solved: tuple[Explorer, Film]) -> None:
    explorer, film = solved
    assert film.learned_before(0.0) is None
    assert film.learned_before(0.5) is explorer.learned


def test_a_film_of_an_exploration_that_went_on_from_its_folder_is_the_same(tmp_path: Path) -> None:
    def made(film: Film) -> Explorer:
        options: dict[str, Any] = {"noise": NOISE, "start": REST, "first_seconds": 0.5, "folder": tmp_path / "kept"}
        return Explorer(CART_POLE, learner=TrueLearner(), callbacks=[film], **options)

    first, again = Film(), Film()
    explorer = made(first)
    explorer.run(5.0, trials=2)
    paths = first.write(explorer, tmp_path / "first.gif"), again.write(made(again), tmp_path / "again.gif")
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_of_many_trials_the_first_and_the_last_are_shown() -> None:
    assert _chosen(3, 5) == [0, 1, 2]
    assert _chosen(9, 5) == [0, 5, 6, 7, 8]
    assert _chosen(9, 1) == [8]


def test_a_film_without_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="0 are there"):
        Film().write(Explorer(CART_POLE, learner=TrueLearner()), tmp_path / "film.gif")


def test_of_one_degree_of_freedom_the_energy_is_over_position_and_velocity() -> None:
    explorer = random_explorer(PENDULUM)
    chart = Charting.of(explorer).chart(None)
    assert isinstance(chart, Plane)
    assert chart.learned is None
    # H = 3 (1 - cos q) + p^2 with q' = 2 p, less what it is where trials start.
    q, v = np.meshgrid(chart.x, chart.y)
    expected = 3 * (1 - np.cos(q)) + v**2 / 4
    assert chart.truth is not None
    np.testing.assert_allclose(chart.truth - chart.truth[0, 0], expected - expected[0, 0], atol=1e-12)


def test_of_a_pole_on_a_cart_potential_and_masses_are_along_the_angle(solved: tuple[Explorer, Film]) -> None:
    explorer, _ = solved
    chart = Charting.of(explorer).chart(explorer.learned)
    assert isinstance(chart, Curves)
    potential, masses = chart.panels
    for panel in chart.panels:
        assert panel.learned is not None
        np.testing.assert_allclose(panel.learned, panel.truth)
    assert potential.learned is not None
    assert masses.learned is not None
    np.testing.assert_allclose(potential.learned[:, 0], 0.49 * (1 - np.cos(chart.x)), atol=1e-12)
    assert masses.learned.shape == (len(chart.x), 3)


def test_of_two_links_the_potential_is_over_both_angles() -> None:
    explorer = random_explorer(ACROBOT, start=REST)
    chart = Charting.of(explorer).chart(learned("double-pendulum"))
    assert isinstance(chart, Plane)
    assert chart.title == "potential V"
    np.testing.assert_allclose(chart.learned, chart.truth)
    system: Any = get_system("double-pendulum")
    places = np.stack(np.meshgrid(chart.x, chart.y), axis=-1)
    np.testing.assert_allclose(chart.learned, system.potential(places) - system.potential(np.zeros(2)), atol=1e-12)


def test_what_has_no_energy_is_not_drawn(solved: tuple[Explorer, Film]) -> None:
    explorer, _ = solved

    class Step:
        spec = get_system("cart-pole").spec

    unknown: Any = Learned(Step(), np.ones(4), np.ones(4))  # type: ignore[arg-type]
    assert learned_machine(unknown) is None
    chart = Charting.of(explorer).chart(unknown)
    assert isinstance(chart, Curves)
    assert chart.panels[0].learned is None
    figure = chart_figure(chart, np.zeros((0, 1)), np.array([np.pi]), path=np.zeros((2, 1)), size=(4, 3))
    assert "nothing learned yet" in figure.axes[0].get_title(loc="right")


def test_a_figure_shows_the_same_of_a_trial(solved: tuple[Explorer, Film]) -> None:
    explorer, film = solved
    titles = [film.figure(explorer, number).axes[0].get_title(loc="right") for number in (1, 2)]
    assert titles == ["nothing learned yet  (thin: true)", "learned  (thin: true)"]
    with pytest.raises(InvalidOptionError, match="from 1 to 2, not 3"):
        film.figure(explorer, 3)


def test_a_trial_that_turned_round_ends_where_the_goal_is_drawn(solved: tuple[Explorer, Film]) -> None:
    explorer, _ = solved
    path = Charting.of(explorer).path(explorer.trials[-1])
    assert abs(path[-1, 0] - np.pi) < 0.25
    assert path[0, 0] == pytest.approx(2 * np.pi * round(path[0, 0] / (2 * np.pi)))


def test_a_trial_that_goes_round_and_round_stays_in_the_picture(solved: tuple[Explorer, Film]) -> None:
    explorer, _ = solved
    round_and_round = np.zeros((41, 4))
    round_and_round[:, 1] = np.linspace(0.0, 12.0, 41)
    last = explorer.trials[-1]
    trial = replace(last, states=round_and_round, measured=round_and_round, inputs=last.inputs[:40])
    path = Charting.of(explorer).path(trial)[:, 0]
    assert (np.abs(path - np.pi) <= np.pi + 1e-9).all()
    np.testing.assert_allclose(np.cos(path), np.cos(round_and_round[:, 1]), atol=1e-12)


def test_other_environments_are_drawn_by_themselves_and_are_not_moved() -> None:
    explorer = random_explorer("Pendulum-v1", goal=Goal.at([0.0], angles=[True]))
    inner: Any = explorer.trial_env.env.unwrapped
    before = np.array(inner.state)
    with _rendering(explorer.trial_env) as render:
        assert render is not None
        scene = _scene(explorer.trial_env, explorer.trials[0], render)
        first, last = scene(0), scene(len(explorer.trials[0].states) - 1)
    assert first.shape == last.shape == (300, 300, 3)
    assert (first != last).any()
    np.testing.assert_array_equal(inner.state, before)
    assert true_machine(explorer) is None


def test_an_environment_that_draws_nothing_is_shown_by_its_coordinates() -> None:
    class Silent(gymnasium.Wrapper[Any, Any, Any, Any]):
        metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's

    explorer = random_explorer(Silent(gymnasium.make("Pendulum-v1")), goal=Goal.at([0.0], angles=[True]))
    with _rendering(explorer.trial_env) as render:
        assert render is None
    scene = _scene(explorer.trial_env, explorer.trials[0], None)
    assert (scene(0) != scene(5)).any()


def test_an_environment_that_cannot_draw_without_a_display_is_shown_by_its_coordinates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class NoDisplayError(Exception):
        """As MuJoCo's FatalError, which is of no other kind."""

    seen: list[str] = []

    def fail(env: Any) -> Any:
        seen.append("render")
        raise NoDisplayError("an OpenGL platform library has not been loaded")

    explorer = random_explorer("Pendulum-v1", goal=Goal.at([0.0], angles=[True]))
    inner = type(explorer.trial_env.env.unwrapped)
    monkeypatch.setattr(inner, "render", fail)
    monkeypatch.setattr(inner, "close", lambda env: seen.append("close"))
    written = Film().write(explorer, tmp_path / "film.gif")
    assert written.stat().st_size > 10_000
    assert seen == ["render", "close"]
