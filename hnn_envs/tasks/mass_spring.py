"""Drive a mass on a spring to rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import where
from hnn_envs.arrays import Array, constant
from hnn_envs.components import Components, Step
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.shapes import draw_spring
from hnn_envs.drawing.view import View
from hnn_envs.systems import System
from hnn_envs.systems.mass_spring import MASS_SPRING
from hnn_envs.tasks.formulas import FormulaTask, TaskFormulas
from hnn_envs.tasks.optional import Reference
from hnn_envs.tasks.shared import bounds, limits


def observation(task: MassSpringTask, x: Components) -> Components:
    """[q, p]."""
    return x


def reward(task: MassSpringTask, step: Step) -> Array:
    """-(q^2 + p^2 + 8 u^2) of the step's start, less the cost of leaving the limits."""
    (q, p), (force,) = step.x, step.u
    cost = q * q + p * p + task.input_cost * (force * force)
    return where(step.inside, -cost, -cost - task.exit_cost)


@dataclass(frozen=True)
class MassSpringTask(FormulaTask):
    """Drive a frictionless mass on a spring to rest, with a cost for which LQR is the optimum.

    ## Description

    H(q, p) = q^2 + p^2, so q' = 2 p and p' = -2 q + u: nothing slows the mass but the force, and a step of 0.1 is 1/31
    of the period pi. The cost is quadratic, and the force on the optimal path never reaches its maximum, so the
    optimal policy is known in closed form: the linear-quadratic regulator.

    ## Action space

    | Num | Action | Min | Max | Input |
    |---|---|---|---|---|
    | 0 | force on the mass | -1 | 1 | u = 0.5 action |

    ## Observation space

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0 | displacement q | -4.5 | 4.5 |
    | 1 | momentum p | -4.5 | 4.5 |

    ## Reward

    -(q^2 + p^2 + 8 u^2) of the state before the step and the force over it, and -5000 more for a step that leaves the
    limits: more than 100 steps inside them can cost, so leaving never pays.

    ## Start

    A random direction of the plane, radius uniform in [0.1, 1].

    ## End

    Truncated after 100 steps, or where |q| or |p| exceeds 4.5. The force cannot drive the true mass that far in 100
    steps; learned physics may get there. Never terminated.
    """

    system: System = MASS_SPRING
    dt: float = 0.1  # time per step; the period is pi
    max_episode_steps: int = 100  # steps, three periods
    max_input: float = 0.5  # force
    largest: float = 4.5  # limit of |q| and of |p|
    input_cost: float = 8.0  # cost per force squared, next to 1 per q^2 and p^2
    exit_cost: float = 5000.0  # cost of the step that leaves the limits

    name = "mass-spring"
    formulas = TaskFormulas(observation, reward)
    shown_start = (1.0, 0.0)
    references = (Reference("lqr", "hnn_envs.agents.controllers:lqr"),)

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
    def goal(self) -> Array:
        """The state that is asked for: at rest."""
        return limits(0.0, 0.0)

    @cached_property
    def goal_cost(self) -> Array:
        """The cost per products of q and p."""
        return constant(np.eye(2))

    def initial_state(self, rng: np.random.Generator) -> Array:
        """A random direction, radius U(0.1, 1), shape (2,)."""
        return self.system.sample_states(rng, 1)[0]

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        draw_spring(canvas, view, self.largest)
        canvas.caption(view, "mass on a spring")
        canvas.energy_bar(view, 0, 1.5, target=0)
