"""Playing: a session without a window, and the window driven by events, on a dummy and on a virtual display."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pygame
import pytest
from PIL import Image
from typer.testing import CliRunner

from hnn_envs.checkpoints import shipped_checkpoints
from hnn_envs.cli import app
from hnn_envs.errors import DisplayError, InvalidOptionError, UnknownNameError
from hnn_envs.integrators import INTEGRATORS, fits
from hnn_envs.play.picture import PANEL, size_of
from hnn_envs.play.recording import free_name
from hnn_envs.play.session import Session
from hnn_envs.play.window import Window
from hnn_envs.tasks import TASKS


@pytest.fixture(
    params=[name for name, task in TASKS.items() if "default/hnn" in shipped_checkpoints(task.system.spec.name)]
)
def session(request: pytest.FixtureRequest) -> Session:
    return Session(request.param, ("ode", "hnn"), seed=0)


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Window]:
    opened = Window(Session("pendulum", ("ode", "hnn"), seed=0), folder=tmp_path)
    yield opened
    opened.close()


def press(*keys: int, up: bool = False) -> None:
    for key in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYUP if up else pygame.KEYDOWN, key=key))


def run(window: Window, frames: int = 1) -> None:
    for _ in range(frames):
        window.update()


class TestSession:
    def test_all_start_together_and_answer_to_the_same_input(self, session: Session) -> None:
        ode, hnn = session.tracks
        assert np.array_equal(ode.x, hnn.x)
        for _ in range(30):
            session.tick(np.full(session.inputs, 0.5))
        assert np.allclose(ode.x, hnn.x, atol=1e-2)
        assert not np.array_equal(ode.x, hnn.x)
        free = Session(session.subject.name, ("ode",), seed=0)
        for _ in range(30):
            free.tick(np.zeros(free.inputs))
        assert not np.allclose(free.tracks[0].x, ode.x, atol=1e-3)

    def test_a_kick_changes_the_momenta_at_once_and_alike(self, session: Session) -> None:
        before = session.tracks[0].x
        session.kick()
        changes = [track.x - before for track in session.tracks]
        assert np.array_equal(*changes)
        assert np.allclose(changes[0][: session.subject.spec.dof], 0)
        assert np.abs(changes[0]).max() > 0
        session.kick(-1)
        assert np.allclose(session.tracks[0].x, before)

    def test_paused_nothing_moves_but_by_single_steps(self, session: Session) -> None:
        session.paused = True
        before = session.tracks[0].x
        session.tick(np.ones(session.inputs))
        assert np.array_equal(session.tracks[0].x, before)
        session.step()
        assert not np.array_equal(session.tracks[0].x, before)
        assert session.time == session.dt

    def test_a_reset_starts_all_anew(self, session: Session) -> None:
        first = session.tracks[0].x
        session.tick(np.zeros(session.inputs))
        session.reset()
        assert not np.array_equal(session.tracks[0].x, first)
        assert np.array_equal(session.tracks[0].x, session.tracks[1].x)
        assert session.time == 0

    def test_integrators_go_round(self) -> None:
        session = Session("pendulum")
        fitting = {name for name, method in INTEGRATORS.items() if fits(method, session.tracks[0].dynamics.field)}
        offered = {"each its own", *fitting} - {"dop853"}  # the reference is too slow to play with
        seen = [session.switch_integrator() for _ in offered]
        assert set(seen) == offered
        assert session.tracks[1].dynamics.integrator.name == "blanes_moan4"

    def test_what_diverges_is_held_and_said(self) -> None:
        session = Session("mass-spring", ("ode",), seed=0)
        session.tracks[0].x = np.array([1e7, 0.0])
        session.step()
        assert session.tracks[0].diverged
        assert np.isfinite(session.views()[0].energy)
        session.reset()
        assert not session.tracks[0].diverged

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(InvalidOptionError):
            Session("pendulum", ())
        with pytest.raises(UnknownNameError):
            Session("pendulum", ("oracle",))
        with pytest.raises(UnknownNameError):
            Session("sun")


class TestWindow:
    def test_it_shows_every_system(self, session: Session, tmp_path: Path) -> None:
        window = Window(session, folder=tmp_path)
        run(window, 3)
        picture = pygame.surfarray.array3d(window.surface)
        window.close()
        assert picture.shape[:2] == size_of(session)
        left, right = picture[:PANEL, :PANEL], picture[PANEL : 2 * PANEL, :PANEL]
        assert (left != 255).any(axis=-1).mean() > 0.005
        assert not np.array_equal(left, right)  # other colours
        assert (picture[:, PANEL:] != 255).any()

    def test_arrows_push_while_they_are_held(self, window: Window) -> None:
        press(pygame.K_RIGHT)
        run(window)
        assert window.session.action.tolist() == [1.0]
        press(pygame.K_RIGHT, up=True)
        run(window)
        assert window.session.action.tolist() == [0.0]

    def test_the_mouse_pushes_towards_itself(self, window: Window) -> None:
        post, event = pygame.event.post, pygame.event.Event
        post(event(pygame.MOUSEBUTTONDOWN, button=1, pos=(PANEL // 4, 10)))
        run(window)
        assert window.session.action == pytest.approx([-0.5])
        post(event(pygame.MOUSEMOTION, pos=(PANEL + 3 * PANEL // 4, 10)))
        run(window)
        assert window.session.action == pytest.approx([0.5])
        post(event(pygame.MOUSEBUTTONUP, button=1, pos=(0, 0)))
        run(window)
        assert window.session.action.tolist() == [0.0]

    def test_losing_the_focus_ends_all_pushes(self, window: Window) -> None:
        press(pygame.K_LEFT)
        pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))
        run(window)
        assert window.session.action.tolist() == [0.0]

    def test_its_other_keys(self, window: Window) -> None:
        session = window.session
        press(pygame.K_SPACE)
        run(window, 2)
        paused_at = session.time
        assert session.paused
        press(pygame.K_n)
        run(window)
        assert session.time == pytest.approx(paused_at + session.dt)
        momentum = session.tracks[0].x[1]
        press(pygame.K_k)
        run(window)
        assert session.tracks[0].x[1] > momentum
        press(pygame.K_i)
        run(window)
        assert session.integrator == "symplectic_euler"
        press(pygame.K_r, pygame.K_SPACE)
        run(window)
        assert not session.paused
        assert session.time == pytest.approx(session.dt)
        press(pygame.K_q)
        run(window)
        assert window.closed

    def test_it_records_a_gif(self, window: Window, tmp_path: Path) -> None:
        press(pygame.K_g)
        run(window, 9)
        press(pygame.K_g)
        run(window)
        path = tmp_path / "pendulum-001.gif"
        assert "saved" in window.status
        with Image.open(path) as image:
            assert getattr(image, "n_frames", 1) == 3
            assert image.size == tuple(side // 2 for side in window.surface.get_size())
        assert free_name(tmp_path, "pendulum", "gif").name == "pendulum-002.gif"

    def test_it_records_an_mp4(self, window: Window, tmp_path: Path) -> None:
        pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg comes with the dev extra only")
        press(pygame.K_m)
        run(window, 8)
        window.close()  # ends the recording
        content = (tmp_path / "pendulum-001.mp4").read_bytes()
        assert content[4:8] == b"ftyp"
        assert len(list(tmp_path.iterdir())) == 1

    def test_an_mp4_without_ffmpeg_says_what_to_install(self, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
        press(pygame.K_m)
        run(window)
        assert "pip install imageio-ffmpeg" in window.status
        assert window.recording is None

    def test_a_frame_leaves_time_to_spare(self, window: Window) -> None:
        run(window, 10)
        began = time.process_time()
        run(window, 30)
        # A sixtieth of a second is 17 ms; a busy machine may take twice its usual time.
        assert (time.process_time() - began) / 30 < 0.04


class TestCommand:
    def test_it_closes_after_so_many_frames(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["play", "two-body", "--frames", "2", "--out", str(tmp_path)])
        assert result.exit_code == 0, result.output

    def test_no_display_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
        monkeypatch.setenv("DISPLAY", ":no-such-display")
        with pytest.raises(DisplayError, match="xvfb-run hnn-envs play"):
            Window(Session("pendulum", seed=0))
        assert CliRunner().invoke(app, ["play"]).exit_code == 1


@pytest.fixture
def virtual_display() -> Iterator[str]:
    """An X server without a screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (apt-get install xvfb), so no real window can be opened")
    reader, writer = os.pipe()
    words = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            number = answer.readline().strip()
        if not number:
            pytest.skip("Xvfb is installed and does not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def test_a_real_window_opens(virtual_display: str, tmp_path: Path) -> None:
    environment: dict[str, Any] = {**os.environ, "DISPLAY": virtual_display, "XDG_RUNTIME_DIR": str(tmp_path)}
    environment.pop("SDL_VIDEODRIVER", None)
    words = [sys.executable, "-m", "hnn_envs.cli", "play", "pendulum", "--frames", "20", "--out", str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
