"""How both tasks draw the oscillator."""

from __future__ import annotations

import numpy as np

from hnn_envs.drawing.colors import GUIDE, colour_of


def draw_bead(canvas, view, system, goal):
    """A bead on the curve of its potential, with the goal as a mark and the force as an arrow."""
    canvas.look_at((0.0, 0.4), 2.0)
    q = np.linspace(-2.0, 2.0, 80)
    canvas.path(np.stack((q, system.potential(q[:, None])), axis=-1), GUIDE, width=2)
    canvas.line((goal[0], -0.5), (goal[0], 0.5), GUIDE, width=1)
    place = (float(view.state[0]), float(system.potential(view.state[:1])))
    canvas.disc(place, 0.08, colour_of(view.dynamics))
    canvas.arrow(place, (0.5 * float(view.action[0]), 0.0))
    canvas.energy_bar(view, -0.5, 1.0)
