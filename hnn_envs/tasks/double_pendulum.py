"""What the tasks of the double pendulum share: swing both links up and hold them, with a motor at one joint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from hnn_envs.arithmetic import absolute, cos, sin, where
from hnn_envs.arrays import Array, constant, namespace, wrapped
from hnn_envs.components import Components, Step
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.machines import draw_double_pendulum
from hnn_envs.drawing.view import View
from hnn_envs.systems.double_pendulum import DOUBLE_PENDULUM, DoublePendulum
from hnn_envs.tasks.formulas import FormulaTask, TaskFormulas
from hnn_envs.tasks.optional import Reference, Search
from hnn_envs.tasks.shared import bounds, limits


def observation(task: DoublePendulumTask, x: Components) -> Components:
    """Cosine and sine of both angles, and their velocities."""
    shoulder, elbow, turning_1, turning_2 = x
    return cos(shoulder), sin(shoulder), cos(elbow), sin(elbow), turning_1, turning_2


def reward(task: DoublePendulumTask, step: Step) -> Array:
    """Closeness to the rest upright, less a share for effort, in [0, 1]."""
    shoulder, elbow, turning_1, turning_2 = step.x_next
    spin_1, spin_2 = turning_1 / task.turning_scale, turning_2 / task.turning_scale
    # 2 (1 + cos a) is the square of the distance of a link's end from upright, for a link of length 1.
    apart = 2 * (2 + cos(shoulder) + cos(shoulder + elbow)) / (task.angle_scale * task.angle_scale)
    first, second = step.u[0] / task.max_input, step.u[1] / task.max_input
    share = 1 - task.effort_cost * (first * first + second * second)
    return where(step.inside, share / (1 + apart + spin_1 * spin_1 + spin_2 * spin_2), 0.0)


@dataclass(frozen=True)
class DoublePendulumTask(FormulaTask):
    """Swing both links of a double pendulum up and hold them upright, with a motor at one joint.

    ``AcrobotTask`` and ``PendubotTask`` say which, and have the pages.
    """

    system: DoublePendulum = DOUBLE_PENDULUM
    dt: float = 0.05  # s; the Lyapunov time is 0.76 s
    max_episode_steps: int = 200  # steps, 10 s
    max_input: float = 3.0  # N m; the weight's is at most 3.8 at the shoulder and 1.6 at the elbow
    largest_turning_1: float = 20.0  # rad/s, limit at the shoulder
    largest_turning_2: float = 30.0  # rad/s, limit at the elbow
    start_spread: float = 0.1  # largest deviation of each number from the rest hanging, rad and rad/s
    angle_scale: float = 1.0  # rad, error that halves the reward
    turning_scale: float = 8.0  # rad/s, likewise
    effort_cost: float = 0.05  # share of the reward that full torque costs

    name: ClassVar[str]
    driven: ClassVar[tuple[int, ...]]
    formulas = TaskFormulas(observation, reward)
    search = Search(horizon=30, hold=1, iterations=4, integrator="rk4", substeps=25)
    references = (
        Reference("mpc+lqr/ode", "hnn_envs.agents.controllers:mpc_and_lqr", "ode", slow=True),
        Reference("mpc+lqr/hnn", "hnn_envs.agents.controllers:mpc_and_lqr", "hnn", slow=True),
    )

    @cached_property
    def low(self) -> Array:
        """Lower limits of the angles (none) and their velocities."""
        return limits(*-self.high)

    @cached_property
    def high(self) -> Array:
        """Upper limits of the angles (none) and their velocities."""
        return limits(math.inf, math.inf, self.largest_turning_1, self.largest_turning_2)

    @cached_property
    def observation_low(self) -> Array:
        """Lower bounds of the observation."""
        return bounds(*-self.observation_high)

    @cached_property
    def observation_high(self) -> Array:
        """Upper bounds of the observation."""
        return bounds(1, 1, 1, 1, self.largest_turning_1, self.largest_turning_2)

    @cached_property
    def goal(self) -> Array:
        """The state that is asked for: at rest, both links upright."""
        return limits(math.pi, 0.0, 0.0, 0.0)

    @cached_property
    def goal_cost(self) -> Array:
        """The share of the reward that is lost near the goal, per products of the deviations from it."""
        links, speeds = np.array([[2.0, 1.0], [1.0, 1.0]]) / self.angle_scale**2, np.eye(2) / self.turning_scale**2
        return constant(np.block([[links, np.zeros((2, 2))], [np.zeros((2, 2)), speeds]]))

    @cached_property
    def input_cost(self) -> float:
        """The share of the reward that is lost per torque squared."""
        return self.effort_cost / self.max_input**2

    def initial_state(self, rng: np.random.Generator) -> Array:
        """Nearly at rest, hanging, shape (4,)."""
        return rng.uniform(-self.start_spread, self.start_spread, 4)

    def angle_from_upright(self, x: Array) -> Array:
        """How far the link that leans most is from upright, rad in [0, pi], shape (...,), for states (..., 4).

        Both links are measured against the vertical: the second one's angle is that of the shoulder and the elbow.
        """
        first = absolute(wrapped(x[..., 0] - math.pi))
        second = absolute(wrapped(x[..., 0] + x[..., 1] - math.pi))
        return namespace(x).maximum(first, second)

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        # The machine's second link is half as long again as its first.
        lengths = (self.system.length_1, 1.5 * self.system.length_1)
        draw_double_pendulum(canvas, view, lengths=lengths, driven=self.driven)
        canvas.caption(view, self.name)
        canvas.energy_bar(view, 0, 16, target=float(self.system.value(self.goal)))
