"""What several tasks draw alike: a pendulum, and bodies in the plane."""

from __future__ import annotations

import math

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.colors import GUIDE, PAPER, TEXT, colour_of, mix
from hnn_envs.drawing.view import View

DARK_GUIDE = mix(GUIDE, TEXT, 0.35)


def zoom(usual: float, reach: float, most: float) -> float:
    """Half the side of the square to look at: the usual one, enlarged in steps until ``reach`` or ``most`` is inside.

    What is further out than ``most``, as learned physics may throw it, is off the page.
    """
    steps = max(0, math.ceil(math.log(min(max(reach, 1e-9), most) / usual) / math.log(1.25)))
    return usual * 1.25**steps


def draw_pendulum(canvas: Canvas, view: View, marks: tuple[float, ...]) -> None:
    """A pendulum of length 1 on a dial with a tick every 30 degrees, torque as an arc, and marks at angles.

    The trail is drawn on a spiral, older to the inside, so that swings to and fro do not hide each other.
    """
    colour = colour_of(view.dynamics)
    canvas.look_at((0.0, 0.0), 1.32)
    canvas.circle((0, 0), 1.0, mix(GUIDE, PAPER, 0.6), width=1)
    for angle in np.arange(12) * math.pi / 6:
        canvas.line(_bob(angle, 1.17), _bob(angle, 1.22 if angle % (math.pi / 2) else 1.26), GUIDE, width=1.5)
    for mark in marks:
        canvas.line(_bob(mark, 0.16), _bob(mark, 1.26), DARK_GUIDE, width=1)
    canvas.trail(_spiral(view.trail[:, 0]), colour, width=5)
    bob = _bob(view.state[0], 1.0)
    canvas.line((0, 0), bob, colour, width=6)
    canvas.disc((0, 0), 0.05, TEXT)
    canvas.disc(bob, 0.12, colour)
    # Angles of pendulums start at the bottom and those of the page at the right.
    canvas.arc_arrow((0, 0), 0.3, view.state[0] - math.pi / 2, 2.2 * float(view.action[0]), width=5)


def _bob(angle: float, radius: float) -> Array:
    return radius * np.array([math.sin(angle), -math.cos(angle)])


def _spiral(angles: Array) -> Array:
    """The trail's points, shape (k, 2), finer than the steps so that fast turns look round."""
    count = len(angles)
    fine = np.linspace(0, count - 1, 3 * count - 2)
    swing = np.interp(fine, np.arange(count), angles)
    radius = 1 - 0.65 * (count - 1 - fine) / 120
    return np.stack((radius * np.sin(swing), -radius * np.cos(swing)), axis=-1)


def draw_bodies(canvas: Canvas, view: View, forces: Array, *, radius: float = 0.11) -> None:
    """Bodies with their trails, and an arrow for the thrust on each; forces (bodies, 2) in lengths of the arrows."""
    bodies = len(forces)
    trails = split(view.trail)[0].reshape(-1, bodies, 2)
    positions = split(view.state)[0].reshape(bodies, 2)
    shades = [mix(colour_of(view.dynamics), PAPER, 0.3 * body) for body in range(bodies)]
    for body, shade in enumerate(shades):
        canvas.trail(trails[:, body], shade, width=5)
    for position, force, shade in zip(positions, forces, shades, strict=True):
        canvas.disc(position, radius, shade)
        canvas.arrow(position, force, width=4)
