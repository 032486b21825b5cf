"""What drawings promise: right without a display, in the colour of their physics, and a window only where asked for."""

import subprocess
import sys
import time

import gymnasium
import numpy as np
import pygame
import pytest

from hnn_envs.checkpoints import shipped_checkpoints
from hnn_envs.drawing.canvas import Canvas, draw_frame
from hnn_envs.drawing.colors import ACTION, BASELINE, HNN, ODE, OTHER, colour_of, colours_of, mix, rgb
from hnn_envs.drawing.view import View
from hnn_envs.drawing.window import Window
from hnn_envs.dynamics import make_dynamics, role_by_name
from hnn_envs.errors import DisplayError
from hnn_envs.systems import SYSTEMS
from hnn_envs.tasks import TASKS

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
PHYSICS = {"ode": ODE, "hnn": HNN, "baseline": BASELINE}


def view_of(task, dynamics="ode", *, action=0.0, state=None, trail=1, **changes):
    x = task.initial_state(np.random.default_rng(0)) if state is None else state
    inputs = task.system.field.input_matrix.shape[-1]
    energy = float(task.system.value(x))
    given = {"energy": energy, "believed_energy": energy, "time": 1.0} | changes
    given = {"colour": colour_of(dynamics)} | given
    return View(state=x, trail=np.tile(x, (trail, 1)), action=np.full(inputs, action), dynamics=dynamics, **given)


def count(frame, colour):
    """Pixels of exactly this colour; edges are blends."""
    return int((frame == np.array(rgb(colour), dtype=np.uint8)).all(-1).sum())


@pytest.fixture
def window(monkeypatch):
    """A window on SDL's dummy driver, closed afterwards."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window(fps=100)
    yield window
    window.close()


@every_task
@pytest.mark.parametrize(("dynamics", "colour"), PHYSICS.items())
def test_a_frame_is_an_image_in_the_colour_of_its_physics(task, dynamics, colour):
    frame = draw_frame(task, view_of(task, dynamics))
    assert frame.shape == (480, 480, 3)
    assert frame.dtype == np.uint8
    assert frame.flags.writeable
    assert count(frame, colour) > 300
    for other in set(PHYSICS.values()) - {colour}:
        assert count(frame, other) == 0


@every_task
def test_frames_have_the_size_that_was_asked_for(task):
    assert draw_frame(task, view_of(task), size=(640, 360)).shape == (360, 640, 3)


@every_task
def test_the_action_is_drawn_and_no_action_is_not(task):
    idle, acting = (count(draw_frame(task, view_of(task, action=action)), ACTION) for action in (0.0, 1.0))
    assert acting > idle + 50


@every_task
def test_the_same_view_gives_the_same_frame_and_another_state_another(task):
    moved = task.initial_state(np.random.default_rng(1))
    first = draw_frame(task, view_of(task))
    np.testing.assert_array_equal(first, draw_frame(task, view_of(task)))
    assert (first != draw_frame(task, view_of(task, state=moved))).any()


@every_task
def test_the_believed_energy_is_marked_apart_from_the_true_one(task):
    view = view_of(task, "hnn")
    other = view_of(task, "hnn", believed_energy=view.energy + 0.15)
    column = slice(480 - 40, 480 - 36)  # just left of the bar, where only the ticks are
    rows = [np.flatnonzero((draw_frame(task, v)[60:430, column] == rgb(HNN)).all(-1).any(-1)) for v in (view, other)]
    assert rows[0].size
    assert rows[1].size
    assert rows[1].mean() < rows[0].mean()


@every_task
@pytest.mark.parametrize("factor", [0.0, 1.0, 1e9])
@pytest.mark.filterwarnings("ignore:divide by zero")  # bodies in one place
def test_any_finite_state_can_be_drawn(task, factor):
    high = np.where(np.isfinite(task.high), task.high, 1.0)
    x = factor * high * np.linspace(0.5, 1, len(high))
    draw_frame(task, view_of(task, state=x, trail=200, energy=-1e9, believed_energy=1e9))


def test_a_trail_fades_towards_its_oldest_point():
    canvas = Canvas()
    canvas.trail(np.stack((np.linspace(-1, 1, 50), np.zeros(50)), -1), ODE)
    darkest = 255 - canvas.to_array().min(axis=(0, 2)).astype(int)
    ends = np.flatnonzero(darkest)
    assert darkest[ends[0] : ends[0] + 40].mean() < 0.5 * darkest[ends[-1] - 40 : ends[-1]].mean()


def test_edges_are_smooth():
    canvas = Canvas()
    canvas.disc((0, 0), 0.5, ODE)
    grey = canvas.to_array()[..., 0]
    assert ((grey > 20) & (grey < 235)).sum() > 100


def test_world_coordinates_have_y_up():
    canvas = Canvas()
    canvas.look_at((10.0, 10.0), 2.0)
    canvas.disc((11.0, 11.0), 0.3, ODE)
    rows, columns = np.nonzero(canvas.to_array()[..., 0] < 50)
    assert rows.mean() < 240 - 40
    assert columns.mean() > 240 + 40


@pytest.mark.parametrize(
    ("role", "colour"), [("ode", ODE), ("hnn", HNN), ("baseline", BASELINE), ("other", OTHER), ("", OTHER)]
)
def test_every_physics_has_the_colour_of_what_it_is(role, colour):
    assert colour_of(role) == colour


@pytest.mark.parametrize("name", [name for name in SYSTEMS if shipped_checkpoints(name)])
def test_what_a_shipped_physics_is_does_not_depend_on_its_name(name):
    for dynamics in shipped_checkpoints(name):
        role = make_dynamics(name, dynamics).role
        assert role == ("baseline" if "baseline" in dynamics else "hnn")
        assert role_by_name(name, dynamics) == role
    assert make_dynamics(name, "ode").role == role_by_name(name, "ode") == "ode"
    assert role_by_name(name, "nobody") == "other"


def test_two_of_a_kind_can_be_told_apart_in_a_figure():
    assert colours_of(["ode", "hnn", "baseline"]) == [ODE, HNN, BASELINE]
    mixed = colours_of(["hnn", "hnn", "ode", "hnn", "hnn"])
    assert mixed[:3] == [HNN, OTHER, ODE]
    assert len(set(mixed)) == 5
    assert len(set(colours_of(["hnn", "hnn", "other"]))) == 3


def test_colours_mix():
    assert mix("#000000", "#FFFFFF", 0.0) == "#000000"
    assert mix("#000000", "#FFFFFF", 1.0) == "#FFFFFF"
    assert rgb(mix("#102030", "#304050", 0.5)) == (32, 48, 64)


@pytest.mark.parametrize("dynamics", ["a/very/long/path/to/some_checkpoint_of_mine.safetensors", "x" * 80])
def test_long_names_of_checkpoints_leave_room_for_the_title(dynamics):
    frame = draw_frame(TASKS["mass-spring"], view_of(TASKS["mass-spring"], dynamics))
    columns = np.flatnonzero((frame[:48] == rgb(OTHER)).all(-1).any(0))
    assert columns.max() < 270


def test_a_narrow_panel_names_the_physics_and_leaves_out_the_title():
    def words(title, width):
        canvas = Canvas((width, 260))
        canvas.caption(view_of(TASKS["two-body"], "baseline"), title)
        return canvas.to_array()

    assert (words("two bodies", 260) == words("", 260)).all()
    assert (words("two bodies", 480) != words("", 480)).any()


def test_drawing_needs_no_display_and_tasks_need_no_pygame():
    code = (
        "import sys, numpy as np, hnn_envs.tasks as tasks\n"
        "task = [*tasks.TASKS.values()][1]\n"
        "assert 'pygame' not in sys.modules\n"
        "from hnn_envs.drawing.canvas import draw_frame\n"
        "from hnn_envs.drawing.view import View\n"
        "draw_frame(task, View(np.ones(2), np.ones((3, 2)), np.ones(1), 1.0, 1.0, 'ode', 0.0))\n"
        "import pygame; assert not pygame.display.get_init()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_drawing_goes_on_after_gymnasium_has_quit_pygame():
    task = TASKS["pixel-pendulum"]
    first = draw_frame(task, view_of(task))
    for again in range(2):
        reference = gymnasium.make("Pendulum-v1", render_mode="rgb_array")
        reference.reset(), reference.render(), reference.close()
        if again:
            pygame.init()
        np.testing.assert_array_equal(draw_frame(task, view_of(task)), first)


def test_a_window_shows_frames_at_their_pace(window):
    frame = draw_frame(TASKS["pendulum"], view_of(TASKS["pendulum"]))
    window.show(frame)
    start = time.perf_counter()
    for _ in range(10):
        window.show(frame)
    assert time.perf_counter() - start > 0.07
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, frame)


def test_closing_the_window_by_hand_ends_the_showing_and_nothing_else(window):
    frame = np.zeros((20, 30, 3), dtype=np.uint8)
    window.show(frame)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.show(frame)
    assert window.closed
    assert not pygame.display.get_init()
    window.show(frame)
    window.close()
    window.close()


def test_a_second_window_works_after_the_first_is_closed(window):
    window.close()
    second = Window(fps=100)
    second.show(np.zeros((20, 30, 3), dtype=np.uint8))
    assert pygame.display.get_init()
    second.close()


def test_no_display_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    with pytest.raises(DisplayError, match="use render_mode='rgb_array'"):
        Window()


def test_sdls_silent_fall_back_to_drawing_off_screen_is_an_error_too(monkeypatch):
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    monkeypatch.setattr(pygame.display, "init", lambda: None)
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    with pytest.raises(DisplayError, match="off"):
        Window()
