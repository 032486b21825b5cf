"""How a system is drawn that no task draws, by ``SystemSpec.picture``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.colors import GUIDE, TEXT
from hnn_envs.drawing.shapes import draw_bodies, draw_pendulum, draw_spring, zoom
from hnn_envs.drawing.view import View
from hnn_envs.systems.spec import SystemSpec

FARTHEST = 1e6
"""What is further out is off the page."""
MOST_PANELS = 4
"""Coordinates that are drawn."""


@dataclass(frozen=True)
class StatePicture:
    """Draws states as a spring, a pendulum, bodies, or coordinate by coordinate.

    Attributes:
        spec: what the system is.
        energy: ends of the bar that shows the energy; None for no bar.
        goal: a state to mark, shape (2*dof,); None for no mark.
    """

    spec: SystemSpec
    energy: tuple[float, float] | None = None
    goal: tuple[float, ...] | None = None

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one state with its trail and its inputs."""
        if self.spec.picture == "pendulum":
            draw_pendulum(canvas, view, marks=() if self.goal is None else self.goal[:1])
        elif self.spec.picture == "spring":
            draw_spring(canvas, view, FARTHEST)
            if self.goal is not None:
                canvas.line((self.goal[0], -1e3), (self.goal[0], 1e3), GUIDE, width=2)
        elif self.spec.picture == "bodies":
            self._draw_bodies(canvas, view)
        else:
            self._draw_panels(canvas, view)
        canvas.caption(view, self.spec.name)
        if self.energy is not None and self.energy[0] < self.energy[1]:
            canvas.energy_bar(view, *self.energy)

    def _draw_bodies(self, canvas: Canvas, view: View) -> None:
        forces = (self.spec.force_matrix @ view.action).reshape(self.spec.bodies, 2)
        canvas.look_at((0.0, 0.0), zoom(1.0, _reach(view, slice(self.spec.dof)) + 0.3, FARTHEST))
        for place in np.reshape(self.goal[: self.spec.dof] if self.goal is not None else (), (-1, 2)):
            canvas.circle(place, 0.15, GUIDE)
        draw_bodies(canvas, view, 0.5 * forces)
        canvas.scale_bar(1.0)

    def _draw_panels(self, canvas: Canvas, view: View) -> None:
        """A panel per coordinate: a dial for an angle beside others, else the plane of it and its momentum."""
        panels = min(self.spec.dof, MOST_PANELS)
        shares = np.clip(self.spec.force_matrix @ view.action, -1, 1)
        for index, coordinate in enumerate(self.spec.coordinates[:panels]):
            if coordinate.angle and panels > 1:
                canvas.look_at((0.0, 0.0), 1.4, panel=index, panels=panels)
                self._draw_dial(canvas, view, index, float(shares[index]))
                continue
            reach = _reach(view, [index, index + self.spec.dof])
            half = zoom(1.0, 1.2 * reach, FARTHEST)
            canvas.look_at((0.0, 0.0), half, panel=index, panels=panels)
            self._draw_plane(canvas, view, index, half, 0.4 * half * float(shares[index]))

    def _draw_dial(self, canvas: Canvas, view: View, index: int, share: float) -> None:
        canvas.circle((0, 0), 1.0, GUIDE, width=1)
        canvas.text((0, -1.3), self.spec.coordinates[index].title, size=12)
        if self.goal is not None:
            canvas.circle(_on_dial(self.goal[index]), 0.15, TEXT, width=2)
        canvas.trail(np.stack([_on_dial(angle) for angle in view.trail[:, index]]), view.colour, width=4)
        place = _on_dial(view.state[index])
        canvas.line((0, 0), place, view.colour, width=5)
        canvas.disc(place, 0.1, view.colour)
        canvas.arc_arrow((0, 0), 0.3, float(view.state[index]) - math.pi / 2, 2.2 * share, width=4)

    def _draw_plane(self, canvas: Canvas, view: View, index: int, half: float, push: float) -> None:
        pair, named = [index, index + self.spec.dof], self.spec.coordinates[index]
        canvas.line((-half, 0), (half, 0), GUIDE, width=1.5)
        canvas.line((0, -half), (0, half), GUIDE, width=1.5)
        canvas.text((0.98 * half, -0.06 * half), named.title, size=12, anchor="midright")
        canvas.text((0.03 * half, 0.95 * half), named.momentum_title, size=12, anchor="midleft")
        if self.goal is not None:
            canvas.circle((self.goal[pair[0]], self.goal[pair[1]]), 0.08 * half, TEXT, width=2)
        canvas.trail(view.trail[:, pair], view.colour, width=5)
        canvas.disc(view.state[pair], 0.05 * half, view.colour)
        canvas.arrow(view.state[pair], (0.0, push), width=4)


def _on_dial(angle: float) -> Array:
    """Where an angle is on a circle of radius 1; 0 is at the bottom."""
    return np.array([math.sin(angle), -math.cos(angle)])


def _reach(view: View, columns: slice | list[int]) -> float:
    """The largest component of a state and its trail."""
    seen: Array = np.concatenate((view.trail, view.state[None]))[:, columns]
    return float(np.abs(seen).max(initial=0.0))
