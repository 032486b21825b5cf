"""What several tasks draw alike: a pendulum, and bodies in the plane."""

from __future__ import annotations

import math

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.colors import GUIDE, PAPER, TEXT, mix
from hnn_envs.drawing.view import View

DARK_GUIDE = mix(GUIDE, TEXT, 0.35)


def zoom(usual: float, reach: float, most: float) -> float:
    """Half the side of the square to look at: the usual one, enlarged in steps until ``reach`` or ``most`` is inside.

    What is further out than ``most``, as learned physics may throw it, is off the page.
    """
    steps = max(0, math.ceil(math.log(min(max(reach, 1e-9), most) / usual) / math.log(1.25)))
    return usual * 1.25**steps


def first_share(view: View) -> float:
    """The first input as a share of the largest; 0 for a system without inputs."""
    return float(view.action[0]) if len(view.action) else 0.0


def draw_pendulum(canvas: Canvas, view: View, marks: tuple[float, ...]) -> None:
    """A pendulum of length 1 on a dial with a tick every 30 degrees, torque as an arc, and marks at angles.

    The trail is drawn on a spiral, older to the inside, so that swings to and fro do not hide each other.
    """
    colour = view.colour
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
    canvas.arc_arrow((0, 0), 0.3, view.state[0] - math.pi / 2, 2.2 * first_share(view), width=5)


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
    shades = [mix(view.colour, PAPER, 0.3 * body) for body in range(bodies)]
    for body, shade in enumerate(shades):
        canvas.trail(trails[:, body], shade, width=5)
    for position, force, shade in zip(positions, forces, shades, strict=True):
        canvas.disc(position, radius, shade)
        canvas.arrow(position, force, width=4)


def draw_spring(canvas: Canvas, view: View, farthest: float) -> None:
    """A mass that slides on a spring, with a tick at every whole displacement, and the force as an arrow.

    Its past runs down from it, as the paper of a chart recorder does.

    Args:
        canvas: where to draw.
        view: what to draw; the displacement is the first coordinate.
        farthest: the largest displacement that stays on the page.
    """
    colour, trail = view.colour, view.trail[:, 0]
    half = zoom(1.5, 1.3 * float(np.abs(trail).max(initial=abs(view.state[0]))), 1.3 * farthest)
    canvas.look_at((0.0, 0.0), half)
    top = 0.55 * half
    past = np.stack((trail, top - 1.5 * half * np.arange(len(trail))[::-1] / 120), axis=-1)
    canvas.line((0, top), (0, -half), mix(GUIDE, PAPER, 0.4), width=1)
    canvas.trail(past, colour, width=5)
    _draw_floor(canvas, half, top - 0.17 * half)
    canvas.spring((-half, top), (view.state[0], top), TEXT, radius=0.07 * half)
    canvas.line((-half, top - 0.17 * half), (-half, top + 0.2 * half), TEXT, width=4)
    canvas.box((view.state[0], top), 0.13 * half, 0.13 * half, colour)
    canvas.arrow((view.state[0], top + 0.22 * half), (0.4 * half * first_share(view), 0.0), width=5)


def _draw_floor(canvas: Canvas, half: float, height: float) -> None:
    stride = max(1, math.ceil(half / 8))
    canvas.line((-half, height), (half, height), GUIDE, width=2)
    for tick in range(-math.floor(half / stride) * stride, math.floor(half) + 1, stride):
        canvas.line((tick, height), (tick, height - 0.04 * half), GUIDE, width=2)
        canvas.text((tick, height - 0.1 * half), f"{tick}".replace("-", "\N{MINUS SIGN}"), size=12)
