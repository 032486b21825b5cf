"""How machines are drawn: a pole on a cart, and two links with motors at their joints."""

from __future__ import annotations

import math

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.colors import ACTION, GUIDE, PAPER, TEXT, mix
from hnn_envs.drawing.shapes import DARK_GUIDE, zoom
from hnn_envs.drawing.view import View

FINER = 5
"""Points of a trail per step: a link that turns fast goes round in a few steps."""
TIP_TRAIL = 36
"""How many past states the trail of a tip shows; a longer one would cover the page."""
FARTHEST = 50.0
"""What is further out, in m, is off the page."""
PAGE = 120
"""Steps for which the place of a cart is shown."""


def draw_cart_pole(canvas: Canvas, view: View, *, track: float, length: float) -> None:
    """A cart on its track with ends, the pole on it, and the force as an arrow; a ring marks where the tip should be.

    The past of the cart runs down from the track, as the paper of a chart recorder does.

    Args:
        canvas: where to draw.
        view: what to draw; the state is [x, angle, x', angle'], the angle 0 hanging.
        track: where the track ends, at either side.
        length: of the pole.
    """
    colour, (place, angle) = view.colour, view.state[:2]
    half = zoom(1.14 * track, abs(place) + 0.1 * track, FARTHEST)
    canvas.look_at((0.0, 0.0), half)
    rail, page = 0.22 * half, 0.22 * half - 0.42 * length
    hinge = np.array([place, rail + 0.2 * length])
    _draw_track(canvas, track, rail, length)
    past = view.trail[:, 0]
    below = page - (0.95 * half + page) * np.arange(len(past))[::-1] / PAGE
    canvas.line((0, page), (0, -half), mix(GUIDE, PAPER, 0.5), width=1)
    canvas.trail(np.stack((past, below), -1), mix(colour, PAPER, 0.45), width=4)
    goal = (0.0, hinge[1] + length)
    canvas.line((-track, goal[1]), (track, goal[1]), mix(GUIDE, PAPER, 0.45), width=1)
    canvas.circle(goal, 0.1 * length, DARK_GUIDE, dashes=12)
    angles, places = _finer(view.trail[-TIP_TRAIL:, 1]), _finer(view.trail[-TIP_TRAIL:, 0])
    canvas.trail(np.stack((places, np.full_like(places, hinge[1])), -1) + length * _down(angles), colour, width=4)
    _draw_cart(canvas, hinge, length, mix(colour, PAPER, 0.35))
    canvas.line(hinge, hinge + length * _down(angle), colour, width=9)
    canvas.disc(hinge, 0.085 * length, TEXT)
    canvas.disc(hinge, 0.04 * length, PAPER)
    force = float(view.action[0])
    side = math.copysign(0.36 * length, force)
    canvas.arrow((place + side, hinge[1] - 0.04 * length), (1.1 * length * force, 0.0), width=6)


def _draw_track(canvas: Canvas, track: float, rail: float, length: float) -> None:
    canvas.line((-track, rail), (track, rail), DARK_GUIDE, width=4)
    for tick in range(-math.floor(track), math.floor(track) + 1):
        canvas.line((tick, rail), (tick, rail - 0.09 * length), DARK_GUIDE, width=1.5)
        words = f"{tick} m" if tick == 0 else f"{tick}".replace("-", "\N{MINUS SIGN}")
        canvas.text((tick, rail - 0.24 * length), words, size=12)
    for end in (-track, track):
        outside = end + math.copysign(0.05 * length, end)
        canvas.box((outside, rail + 0.12 * length), 0.05 * length, 0.16 * length, TEXT)


def _draw_cart(canvas: Canvas, hinge: Array, length: float, colour: str) -> None:
    canvas.box(hinge - (0.0, 0.04 * length), 0.32 * length, 0.11 * length, colour)
    for side in (-0.19, 0.19):
        wheel = (hinge[0] + side * length, hinge[1] - 0.135 * length)
        canvas.disc(wheel, 0.075 * length, TEXT)
        canvas.disc(wheel, 0.03 * length, PAPER)


def draw_double_pendulum(canvas: Canvas, view: View, *, lengths: tuple[float, float], driven: tuple[int, ...]) -> None:
    """Two links on a stand, the trail of the tip, and torques as arcs; a line and a ring mark where the tip should be.

    Joints with a motor have a green core, those without are hollow.

    Args:
        canvas: where to draw.
        view: what to draw; the state begins with the angle of the first link, 0 hanging, and that of the second to it.
        lengths: of the links.
        driven: the joints that have a motor in this task, of 0 and 1.
    """
    colour, reach = view.colour, sum(lengths)
    upper = mix(colour, PAPER, 0.35)
    canvas.look_at((0.0, 0.0), 1.22 * reach)
    canvas.circle((0, 0), reach, mix(GUIDE, PAPER, 0.6), width=1)
    canvas.line((-1.15 * reach, reach), (1.15 * reach, reach), DARK_GUIDE, width=1.5)
    canvas.circle((0, reach), 0.055 * reach, DARK_GUIDE, dashes=10)
    canvas.trail(_tips(view.trail[-TIP_TRAIL:], lengths), colour, width=4)
    shoulder = np.zeros(2)
    elbow = lengths[0] * _down(view.state[0])
    tip = elbow + lengths[1] * _down(view.state[0] + view.state[1])
    _draw_stand(canvas, reach)
    canvas.line(shoulder, elbow, upper, width=17)
    canvas.line(elbow, tip, colour, width=13)
    for joint, (place, size) in enumerate(((shoulder, 0.058 * reach), (elbow, 0.046 * reach))):
        canvas.disc(place, size, TEXT)
        canvas.disc(place, 0.5 * size, ACTION if joint in driven else PAPER)
    # Angles of links start at the bottom and those of the page at the right.
    turns = (view.state[0], view.state[0] + view.state[1])
    for place, turn, torque, radius in zip((shoulder, elbow), turns, view.action, (0.2, 0.15), strict=True):
        canvas.arc_arrow(place, radius * reach, turn - math.pi / 2, 2.2 * float(torque), width=5)


def _draw_stand(canvas: Canvas, reach: float) -> None:
    """A post behind the shoulder."""
    foot, shade = -0.16 * reach, mix(GUIDE, PAPER, 0.2)
    canvas.line((0, 0), (0, foot), shade, width=10)
    canvas.line((-0.1 * reach, foot), (0.1 * reach, foot), shade, width=5)


def _tips(trail: Array, lengths: tuple[float, float]) -> Array:
    """Where the tip was, shape (k, 2)."""
    first, second = _finer(trail[:, 0]), _finer(trail[:, 1])
    return lengths[0] * _down(first) + lengths[1] * _down(first + second)


def _down(angle: Array | float) -> Array:
    """Unit vectors (..., 2) at an angle from the vertical, 0 down."""
    return np.stack((np.sin(angle), -np.cos(angle)), axis=-1)


def _finer(values: Array) -> Array:
    """Values (k,) with others between them on straight lines."""
    count = len(values)
    return np.interp(np.linspace(0, count - 1, FINER * (count - 1) + 1), np.arange(count), values)
