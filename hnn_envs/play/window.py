"""The window: what keys and mouse do, sixty times a second."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.errors import DisplayError, HnnEnvsError, InvalidOptionError
from hnn_envs.evaluation.subjects import SystemLike
from hnn_envs.play.picture import PANEL, Picture, size_of
from hnn_envs.play.recording import Gif, Mp4, Recording, free_name
from hnn_envs.play.session import Session

FPS = 60
DEFAULT_FOLDER = Path("runs/play")


def play(
    system: SystemLike,
    dynamics: Sequence[str | Checkpoint] | None = None,
    *,
    integrator: str | None = None,
    seed: int | None = None,
    folder: Path = DEFAULT_FOLDER,
    frames: int | None = None,
) -> None:
    """Opens the window, and returns when the user closes it.

    Args:
        system: a system, its name or "module:object", or the name of a task; or a checkpoint or the path of one.
        dynamics: as for ``Session``; energies are drawn around those of the first.
        integrator: for all; None for each physics' own.
        seed: of the starts.
        folder: where recordings go.
        frames: close by itself after so many.

    Raises:
        DisplayError: there is no display.
        InvalidOptionError: what cannot be played.
    """
    session = Session(system, dynamics, fps=FPS, integrator=integrator, seed=seed)
    window = Window(session, folder=folder)
    try:
        while not window.closed and (frames is None or window.shown < frames):
            window.update()
    finally:
        window.close()


class Window:
    """A session in a window.

    Args:
        session: what is played.
        folder: where recordings go.

    Raises:
        DisplayError: there is no display.
    """

    def __init__(self, session: Session, *, folder: Path = DEFAULT_FOLDER) -> None:
        self.session, self.folder = session, folder
        self.closed, self.shown, self.status = False, 0, ""
        self.recording: Recording | None = None
        self._held: set[int] = set()
        self._pointer: tuple[int, int] | None = None
        self._pygame = _pygame()
        self.surface = _open(self._pygame, size_of(session), f"hnn_envs: {session.subject.name}")
        self._picture = Picture(self._pygame, session)
        self._clock = self._pygame.time.Clock()
        self._commands = self._bindings()

    @property
    def fps(self) -> float:
        """Frames per second of late."""
        return float(self._clock.get_fps())

    def update(self) -> None:
        """One frame: what the user did, a step, a picture; waits until the next is due."""
        for event in self._pygame.event.get():
            self._take(event)
        if self.closed:
            return
        self.session.tick(self.action())
        self._picture.draw(self.surface, self.status, self.recording is not None)
        if self.recording is not None:
            self.recording.add(self._picture.frame(self.surface))
        self._pygame.display.flip()
        self.shown += 1
        self._clock.tick(FPS)

    def close(self) -> None:
        """Ends a recording and closes the window; a second time does nothing."""
        self._stop_recording()
        if not self.closed:
            self.closed = True
        self._pygame.display.quit()

    def action(self) -> Array:
        """The input that keys and mouse ask for: the first two inputs by arrows or mouse, the next two by WASD."""
        keys = self._pygame
        pairs = ((keys.K_LEFT, keys.K_RIGHT), (keys.K_DOWN, keys.K_UP), (keys.K_a, keys.K_d), (keys.K_s, keys.K_w))
        action = np.array([float(plus in self._held) - float(minus in self._held) for minus, plus in pairs])
        if self._pointer is not None:
            x, y = self._pointer[0] % PANEL, self._pointer[1]
            action[:2] += (2 * x / PANEL - 1, 1 - 2 * y / PANEL)
        return np.clip(action[: self.session.inputs], -1.0, 1.0)

    def _bindings(self) -> dict[int, Callable[[], object]]:
        keys, session = self._pygame, self.session
        return {
            keys.K_SPACE: self._pause,
            keys.K_n: self._single_step,
            keys.K_r: session.reset,
            keys.K_k: lambda: session.kick(-1.0 if {keys.K_LSHIFT, keys.K_RSHIFT} & self._held else 1.0),
            keys.K_i: self._switch,
            keys.K_g: lambda: self._toggle_recording("gif"),
            keys.K_m: lambda: self._toggle_recording("mp4"),
            keys.K_q: self.close,
            keys.K_ESCAPE: self.close,
        }

    def _take(self, event: Any) -> None:
        """An event of the user."""
        pygame = self._pygame
        if event.type == pygame.QUIT:
            self.close()
        elif event.type == pygame.KEYDOWN:
            self._held.add(event.key)
            self._commands.get(event.key, lambda: None)()
        elif event.type == pygame.KEYUP:
            self._held.discard(event.key)
        elif self._is_push(event):
            self._pointer = event.pos
        elif event.type in (pygame.MOUSEBUTTONUP, pygame.WINDOWFOCUSLOST):
            # Without the focus no release is ever reported, and the push would last for ever.
            self._pointer = None
            if event.type == pygame.WINDOWFOCUSLOST:
                self._held.clear()

    def _is_push(self, event: Any) -> bool:
        """Whether the mouse pushes: pressed inside a panel, or moved while it is pressed."""
        if event.type == self._pygame.MOUSEBUTTONDOWN:
            return bool(event.button == 1 and event.pos[1] < PANEL)
        return bool(event.type == self._pygame.MOUSEMOTION and self._pointer is not None)

    def _pause(self) -> None:
        self.session.paused = not self.session.paused

    def _single_step(self) -> None:
        self.session.paused = True
        self.session.step()

    def _switch(self) -> None:
        self.status = f"integrator: {self.session.switch_integrator()}"

    def _toggle_recording(self, ending: str) -> None:
        if self.recording is not None:
            self._stop_recording()
            return
        path = free_name(self.folder, self.session.subject.name, ending)
        try:
            self.recording = Gif(path, FPS) if ending == "gif" else Mp4(path, FPS)
            self.status = f"recording {path}"
        except InvalidOptionError as error:
            self.status = str(error)

    def _stop_recording(self) -> None:
        if self.recording is None:
            return
        recording, self.recording = self.recording, None
        try:
            recording.close()
            self.status = f"saved {recording.path}"
        except (OSError, HnnEnvsError) as error:
            self.status = f"not saved: {error}"


def _pygame() -> ModuleType:
    """pygame, without its greeting on standard output."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    return pygame


def _open(pygame: ModuleType, size: tuple[int, int], title: str) -> Any:
    """Opens the window."""
    try:
        pygame.display.init()
        driver = pygame.display.get_driver()
        # Without a display SDL falls back to drawing where nobody sees it.
        if driver in ("offscreen", "dummy") and not os.environ.get("SDL_VIDEODRIVER"):
            raise pygame.error(f"SDL found only its {driver!r} driver")
        pygame.font.init()
        surface = pygame.display.set_mode(size)
    except pygame.error as error:
        pygame.display.quit()
        raise DisplayError(
            f"hnn-envs play needs a display, and there is none ({error}); run it on a desktop, over ssh with ssh -X, "
            "or under a virtual display: xvfb-run hnn-envs play ...; for pictures without a window: hnn-envs compare"
        ) from error
    pygame.display.set_caption(title)
    return surface
