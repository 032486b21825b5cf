"""Drive a mass on a spring to rest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, namespace
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.colors import GUIDE, PAPER, TEXT, colour_of, mix
from hnn_envs.drawing.shapes import zoom
from hnn_envs.drawing.view import View
from hnn_envs.systems import System
from hnn_envs.systems.mass_spring import MASS_SPRING
from hnn_envs.tasks.optional import Reference
from hnn_envs.tasks.shared import bounds, limits, observe, within


@dataclass(frozen=True)
class MassSpringTask:
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

    def initial_state(self, rng: np.random.Generator) -> Array:
        """A random direction, radius U(0.1, 1), shape (2,)."""
        return self.system.sample_states(rng, 1)[0]

    def observation(self, x: Array) -> Array:
        """[q, p], float32, shape (..., 2)."""
        return observe((x[..., 0], x[..., 1]), self.observation_low, self.observation_high)

    def reward(self, x: Array, u: Array, x_next: Array) -> Array:
        """-(q^2 + p^2 + 8 u^2) of the step's start, less the cost of leaving the limits, shape (...,)."""
        cost = (x * x).sum(-1) + self.input_cost * (u * u).sum(-1)
        return namespace(x).where(self.inside(x_next), -cost, -cost - self.exit_cost)

    def inside(self, x: Array) -> Array:
        """Whether |q| and |p| are within their limits, shape (...,)."""
        return within(x, self.low, self.high)

    def terminated(self, x: Array) -> Array:
        """Never."""
        return namespace(x).zeros_like(x[..., 0], dtype=namespace(x).bool)

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        colour, trail = colour_of(view.dynamics), view.trail[:, 0]
        half = zoom(1.5, 1.3 * float(np.abs(trail).max(initial=abs(view.state[0]))), 1.3 * self.largest)
        canvas.look_at((0.0, 0.0), half)
        top = 0.55 * half  # where the mass slides; its past runs down from there like a chart recorder's paper
        past = np.stack((trail, top - 1.5 * half * np.arange(len(trail))[::-1] / 120), axis=-1)
        canvas.line((0, top), (0, -half), mix(GUIDE, PAPER, 0.4), width=1)
        canvas.trail(past, colour, width=5)
        _draw_axis(canvas, half, top - 0.17 * half)
        canvas.spring((-half, top), (view.state[0], top), TEXT, radius=0.07 * half)
        canvas.line((-half, top - 0.17 * half), (-half, top + 0.2 * half), TEXT, width=4)
        canvas.box((view.state[0], top), 0.13 * half, 0.13 * half, colour)
        canvas.arrow((view.state[0], top + 0.22 * half), (0.4 * half * float(view.action[0]), 0.0), width=5)
        canvas.caption(view, "mass on a spring")
        canvas.energy_bar(view, 0, 1.5, target=0)


def _draw_axis(canvas: Canvas, half: float, height: float) -> None:
    """The floor, with a tick at every whole displacement."""
    canvas.line((-half, height), (half, height), GUIDE, width=2)
    for tick in range(-math.floor(half), math.floor(half) + 1):
        canvas.line((tick, height), (tick, height - 0.04 * half), GUIDE, width=2)
        canvas.text((tick, height - 0.1 * half), f"{tick}".replace("-", "\N{MINUS SIGN}"), size=12)
