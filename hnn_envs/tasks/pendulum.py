"""Swing a pendulum up and hold it upright, with too little torque to lift it directly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from hnn_envs.arithmetic import absolute, cos, remainder, sin, where
from hnn_envs.arrays import Array, constant, wrapped
from hnn_envs.components import Components, Step
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.shapes import draw_pendulum
from hnn_envs.drawing.view import View
from hnn_envs.systems import System
from hnn_envs.systems.pendulum import PENDULUM
from hnn_envs.tasks.formulas import FormulaTask, TaskFormulas
from hnn_envs.tasks.optional import Reference
from hnn_envs.tasks.shared import bounds, limits


def observation(task: PendulumTask, x: Components) -> Components:
    """[cos q, sin q, p]."""
    q, p = x
    return cos(q), sin(q), p


def reward(task: PendulumTask, step: Step) -> Array:
    """Minus Pendulum-v1's cost of the step's start, less the cost of leaving the limits."""
    q, p = step.x
    angle = remainder(q, 2 * math.pi) - math.pi  # from upright
    velocity, torque = task.velocity_unit * p, task.torque_unit * step.u[0]
    cost = angle * angle + task.velocity_cost * (velocity * velocity) + task.torque_cost * (torque * torque)
    return where(step.inside, -cost, -cost - task.exit_cost)


@dataclass(frozen=True)
class PendulumTask(FormulaTask):
    """Swing an ideal pendulum up and hold it, with the cost of Gymnasium's Pendulum-v1.

    ## Description

    H(q, p) = 3 (1 - cos q) + p^2, so q' = 2 p and p' = -3 sin q + u; q = 0 hangs and q = pi stands upright. The largest
    torque is 0.4 of the weight's largest, as in Pendulum-v1, so the pendulum has to be swung up.

    It is Pendulum-v1 with the unit of time changed: there q'' = 15 sin(q) + 3 u with q = 0 upright, here
    q'' = -6 sin(q) + 2 u. Time here is sqrt(15 / 6) = 1.58 times time there, so the angular velocity there is
    sqrt(10) p, the torque there is 5/3 u, and a step of 0.08 lasts 0.0506 s there (Pendulum-v1: 0.05 s).

    ## Action space

    | Num | Action | Min | Max | Input |
    |---|---|---|---|---|
    | 0 | torque | -1 | 1 | u = 1.2 action |

    ## Observation space

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0 | cos q, 1 hanging | -1 | 1 |
    | 1 | sin q | -1 | 1 |
    | 2 | momentum p | -4.5 | 4.5 |

    ## Reward

    -(angle^2 + 0.1 velocity^2 + 0.001 torque^2) of the state before the step and the torque over it, with the angle
    from upright in [-pi, pi] and velocity and torque in Pendulum-v1's units. A step that leaves the limits costs 1000
    more. Swinging up costs less than 600 from every state where leaving can be avoided, so leaving never pays.

    ## Start

    As in Pendulum-v1: any angle, velocity uniform in [-1, 1] in its units, |p| < 0.32.

    ## End

    Truncated after 200 steps, or where |p| exceeds 4.5; the separatrix has |p| = 2.45 at the bottom. Never terminated.
    """

    system: System = PENDULUM
    dt: float = 0.08  # time per step; the period of small oscillations is 2.57
    max_episode_steps: int = 200  # steps, six periods
    max_input: float = 1.2  # torque; the weight's is at most 3
    largest_momentum: float = 4.5  # limit of |p|
    start_velocity: float = 1.0  # rad/s in Pendulum-v1's unit of time
    velocity_unit: float = math.sqrt(10)  # Pendulum-v1's angular velocity per momentum
    torque_unit: float = 5 / 3  # Pendulum-v1's torque per torque
    velocity_cost: float = 0.1  # cost per Pendulum-v1 velocity squared, next to 1 per rad^2
    torque_cost: float = 0.001  # cost per Pendulum-v1 torque squared
    exit_cost: float = 1000.0  # cost of the step that leaves the limits

    name = "pendulum"
    second: ClassVar[float] = math.sqrt(15 / 6)  # time here that a second of Pendulum-v1 lasts
    formulas = TaskFormulas(observation, reward)
    shown_start = (2.0, 0.0)
    references = (
        Reference("energy-shaping/ode", "hnn_envs.agents.controllers:swing_up", "ode"),
        Reference("energy-shaping/hnn", "hnn_envs.agents.controllers:swing_up", "hnn"),
        Reference("mpc/ode", "hnn_envs.agents.controllers:mpc", "ode", slow=True),
        Reference("mpc/hnn", "hnn_envs.agents.controllers:mpc", "hnn", slow=True),
    )

    @cached_property
    def low(self) -> Array:
        """Lower limits of q (none) and p."""
        return limits(-math.inf, -self.largest_momentum)

    @cached_property
    def high(self) -> Array:
        """Upper limits of q (none) and p."""
        return limits(math.inf, self.largest_momentum)

    @cached_property
    def observation_low(self) -> Array:
        """Lower bounds of the observation."""
        return bounds(-1, -1, -self.largest_momentum)

    @cached_property
    def observation_high(self) -> Array:
        """Upper bounds of the observation."""
        return bounds(1, 1, self.largest_momentum)

    @cached_property
    def goal(self) -> Array:
        """The state that is asked for: at rest, upright."""
        return limits(math.pi, 0.0)

    @cached_property
    def goal_cost(self) -> Array:
        """The cost near the goal, per products of the deviations from it."""
        return constant(np.diag([1.0, self.velocity_cost * self.velocity_unit**2]))

    @cached_property
    def input_cost(self) -> float:
        """The cost per torque squared."""
        return self.torque_cost * self.torque_unit**2

    def initial_state(self, rng: np.random.Generator) -> Array:
        """Any angle and a small momentum, shape (2,)."""
        momentum = self.start_velocity / self.velocity_unit
        return np.array((rng.uniform(-math.pi, math.pi), rng.uniform(-momentum, momentum)))

    def angle_from_upright(self, x: Array) -> Array:
        """How far the pendulum is from upright, rad in [0, pi], shape (...,), for states of shape (..., 2)."""
        return absolute(wrapped(x[..., 0] - math.pi))

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        draw_pendulum(canvas, view, marks=(math.pi,))
        canvas.caption(view, "pendulum")
        canvas.energy_bar(view, 0, 9, target=6)
