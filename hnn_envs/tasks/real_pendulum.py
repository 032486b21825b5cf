"""Pump a damped pendulum to a given energy and hold it there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import absolute, where
from hnn_envs.arrays import Array
from hnn_envs.components import Components, Step
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.shapes import draw_pendulum
from hnn_envs.drawing.view import View
from hnn_envs.systems import System
from hnn_envs.systems.real_pendulum import REAL_PENDULUM
from hnn_envs.systems.sampling import on_circles
from hnn_envs.tasks.formulas import FormulaTask, TaskFormulas
from hnn_envs.tasks.optional import Search
from hnn_envs.tasks.shared import bounds, effort, limits


def observation(task: RealPendulumTask, x: Components) -> Components:
    """[q, p]."""
    return x


def reward(task: RealPendulumTask, step: Step) -> Array:
    """Closeness to the asked energy, less a share for effort, in [0, 1]."""
    closeness = 1 - absolute(step.energy - task.target_energy) / task.target_energy
    share = 1 - effort(task, step.u)
    return where(step.inside & (closeness > 0), closeness * share, 0.0)


@dataclass(frozen=True)
class RealPendulumTask(FormulaTask):
    """Pump the measured pendulum of Schmidt and Lipson up to a swing of 1.2 rad and hold that energy.

    ## Description

    H(q, p) = p^2 / 2m + 1.296 (1 - cos q), q' = p / m, p' = -1.296 sin q - 0.0121 p + u, time in seconds: a pendulum
    fitted to measured data, with friction that halves its energy in about a minute. The torque is weak, so the swing
    has to be pumped in step with the motion, and held against friction. The asked energy, 0.826, is that of a swing of
    1.2 rad amplitude, amid the measured swings of 0.87 to 1.47 rad.

    ## Action space

    | Num | Action | Min | Max | Input |
    |---|---|---|---|---|
    | 0 | torque | -1 | 1 | u = 0.1 action |

    ## Observation space

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0 | angle q, 0 hanging (rad) | -1.8 | 1.8 |
    | 1 | momentum p (the measured angular velocity, rad/s) | -1.8 | 1.8 |

    ## Reward

    (1 - |H - 0.826| / 0.826) (1 - 0.1 action^2) with H after the step, and 0 where the first factor is negative: 1 per
    step on the asked energy without effort, 0 at rest or at twice that energy. A step that leaves the limits earns 0;
    since no reward is negative, leaving never pays.

    ## Start

    A random direction of the plane, radius uniform in [0.1, 0.6]: at most a quarter of the asked energy.

    ## End

    Truncated after 300 steps (50 s), or where |q| or |p| exceeds 1.8. Never terminated.
    """

    system: System = REAL_PENDULUM
    dt: float = 1 / 6  # s, the sampling interval of the measured series; the period is 5.6 s
    max_episode_steps: int = 300  # steps, 50 s
    max_input: float = 0.1  # torque; the weight's is at most 1.3
    largest: float = 1.8  # limit of |q| (rad) and of |p| (rad/s)
    start_smallest: float = 0.1  # radius of the smallest start in the plane of q and p
    start_largest: float = 0.6  # radius of the largest
    amplitude: float = 1.2  # rad, of the swing that is asked for
    effort_cost: float = 0.1  # share of the reward that full torque costs

    name = "real-pendulum"
    formulas = TaskFormulas(observation, reward)
    shown_start = (1.2, 0.0)
    search = Search(hold=5)

    @cached_property
    def low(self) -> Array:
        """Lower limits of q and p."""
        return limits(-self.largest, -self.largest)

    @cached_property
    def high(self) -> Array:
        """Upper limits of q and p."""
        return limits(self.largest, self.largest)

    @cached_property
    def observation_low(self) -> Array:
        """Lower bounds of the observation."""
        return bounds(*self.low)

    @cached_property
    def observation_high(self) -> Array:
        """Upper bounds of the observation."""
        return bounds(*self.high)

    @cached_property
    def target_energy(self) -> float:
        """The energy that is asked for: at rest at the amplitude."""
        return float(self.system.value(np.array([self.amplitude, 0.0])))

    def initial_state(self, rng: np.random.Generator) -> Array:
        """A random direction, radius U(0.1, 0.6), shape (2,)."""
        return on_circles(rng, 1, self.start_smallest, self.start_largest)[0]

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        draw_pendulum(canvas, view, marks=(-self.amplitude, self.amplitude))
        canvas.caption(view, "real pendulum")
        canvas.energy_bar(view, 0, 1.5, target=self.target_energy)
