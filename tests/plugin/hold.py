"""A task on the Duffing oscillator: stay in the right well. Its rules are formulas, and so run as machine code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arithmetic import where
from hnn_envs.tasks.formulas import FormulaTask, TaskFormulas
from hnn_envs.tasks.shared import bounds, limits
from plugin.drawing import draw_bead
from plugin.duffing import DUFFING, Duffing

LARGEST, GOAL = 3.0, 1.0


def observation(task, x):
    """[q, p]."""
    return x


def reward(task, step):
    """-((q - 1)^2 + p^2 + 0.1 u^2) after the step, and -20 where it leaves the limits."""
    (q, p), (force,) = step.x_next, step.u
    cost = (q - GOAL) * (q - GOAL) + p * p + 0.1 * (force * force)
    return where(step.inside, -cost, -20.0)


@dataclass(frozen=True)
class Hold(FormulaTask):
    """Come to rest at q = 1, at quadratic cost.

    ## Action space

    The force is 0.5 times the action.

    ## Observation space

    [q, p], within 3 of zero.
    """

    system: Duffing = DUFFING
    dt: float = 0.1
    max_episode_steps: int = 60
    max_input: float = 0.5

    name = "duffing-hold"
    formulas = TaskFormulas(observation, reward)
    low = limits(-LARGEST, -LARGEST)
    high = limits(LARGEST, LARGEST)
    observation_low = bounds(-LARGEST, -LARGEST)
    observation_high = bounds(LARGEST, LARGEST)

    def initial_state(self, rng):
        """Anywhere in the wells."""
        return self.system.sample_states(rng, 1)[0]

    def draw(self, canvas, view):
        """A bead on its potential."""
        draw_bead(canvas, view, self.system, np.array([GOAL]))
        canvas.caption(view, "hold")
