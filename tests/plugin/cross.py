"""Another task on the same system: go from the left well to the right one, where it ends. Its rules are array code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import namespace
from hnn_envs.tasks.shared import bounds, limits, observe, within
from plugin.drawing import draw_bead
from plugin.duffing import DUFFING, Duffing

LARGEST = 3.0


@dataclass(frozen=True)
class Cross:
    """Cross the hill: -1 per step until q > 1, where the episode ends.

    ## Action space

    The force is 0.2 times the action: too weak to push the bead over the hill at once.
    """

    system: Duffing = DUFFING
    dt: float = 0.1
    max_episode_steps: int = 80
    max_input: float = 0.2

    name = "duffing-cross"
    low = limits(-LARGEST, -LARGEST)
    high = limits(LARGEST, LARGEST)
    observation_low = bounds(-LARGEST, -LARGEST, -1)
    observation_high = bounds(LARGEST, LARGEST, 1)

    def initial_state(self, rng):
        """At rest near the bottom of the left well."""
        return np.array([-1.0 + 0.1 * rng.uniform(-1, 1), 0.0])

    def observation(self, x):
        """[q, p, sign of q], float32."""
        features = (x[..., 0], x[..., 1], namespace(x).sign(x[..., 0]))
        return observe(features, self.observation_low, self.observation_high)

    def reward(self, x, u, x_next):
        """-1 per step, and -100 where it leaves the limits."""
        xp = namespace(x)
        return xp.where(self.inside(x_next), xp.full_like(x[..., 0], -1.0), xp.full_like(x[..., 0], -100.0))

    def inside(self, x):
        """Whether |q| and |p| are within 3."""
        return within(x, self.low, self.high)

    def terminated(self, x):
        """Beyond q = 1."""
        return x[..., 0] > 1.0

    def draw(self, canvas, view):
        """A bead on its potential."""
        draw_bead(canvas, view, self.system, np.array([1.0]))
        canvas.caption(view, "cross")
