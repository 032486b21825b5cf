"""How states that are seen in frames are drawn."""

from __future__ import annotations

import math

from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.colors import GUIDE, ODE, PAPER, mix
from hnn_envs.drawing.view import View
from hnn_envs.observation import ObservationModel
from hnn_envs.pixels.camera import ROD

SQUARE = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0))


def draw_frames(canvas: Canvas, view: View, true: ObservationModel) -> None:
    """The present frame of a state, enlarged, with the torque as an arc; beside it the true one, if there is a truth.

    Args:
        canvas: where to draw.
        view: what to draw; its own observation model shows its state, if it has one.
        true: shows the true state, and that of physics without an observation model.
    """
    shown = [(view.observation_model or true, view.state, "shown", view.colour)]
    if view.truth is not None:
        shown.append((true, view.truth, "true", ODE))
    for panel, (model, state, label, colour) in enumerate(shown):
        canvas.look_at((0.0, 0.0), 1.04, panel=panel, panels=len(shown))
        canvas.picture((0, 0), 1.0, model.observe(state)[-1] / ROD, colour)
        canvas.path(SQUARE, mix(GUIDE, PAPER, 0.4), width=1)
        canvas.arc_arrow((0, 0), 0.3, state[0] - math.pi / 2, 2.2 * float(view.action[0]), width=5)
        if view.truth is not None:
            canvas.text((0, -1.1), label, size=14, colour=colour)
