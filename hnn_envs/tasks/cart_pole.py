"""Swing a pole up on its cart and balance it, without running off the track."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import absolute, cos, logical_not, sin, where
from hnn_envs.arrays import Array, constant, wrapped
from hnn_envs.components import Components, Step
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.machines import draw_cart_pole
from hnn_envs.drawing.view import View
from hnn_envs.systems.cart_pole import CART_POLE, CartPole
from hnn_envs.tasks.formulas import FormulaTask, TaskFormulas
from hnn_envs.tasks.optional import Reference, Search
from hnn_envs.tasks.shared import bounds, effort, limits


def observation(task: CartPoleTask, x: Components) -> Components:
    """[x, cos a, sin a, x', a']."""
    place, angle, velocity, turning = x
    return place, cos(angle), sin(angle), velocity, turning


def reward(task: CartPoleTask, step: Step) -> Array:
    """Closeness to the rest upright amid the track, less a share for effort, in [0, 1]."""
    place, angle, velocity, turning = step.x_next
    away, speed, spin = place / task.place_scale, velocity / task.velocity_scale, turning / task.turning_scale
    # 2 (1 + cos a) is the square of the distance of the tip from upright, for a pole of length 1.
    error = 2 * (1 + cos(angle)) / (task.angle_scale * task.angle_scale) + away * away + speed * speed + spin * spin
    going = step.inside & logical_not(terminated(task, step.x_next))
    return where(going, (1 - effort(task, step.u)) / (1 + error), 0.0)


def terminated(task: CartPoleTask, x: Components) -> Array:
    """Whether the cart has run off its track."""
    return absolute(x[0]) > task.track


@dataclass(frozen=True)
class CartPoleTask(FormulaTask):
    """Swing a pole up on a cart that is pushed to and fro, and balance it amid the track.

    ## Description

    The cart and the pole of Gymnasium's CartPole-v1 (1 kg, 0.1 kg, 1 m), with the pole hanging at the start and a force
    that is continuous, in SI units; cart and hinge have a little friction. The state is [x, a, x', a']: the cart's
    place in m and the pole's angle in rad, 0 hanging and pi upright, with their velocities.

    ## Action space

    | Num | Action | Min | Max | Input |
    |---|---|---|---|---|
    | 0 | force on the cart | -1 | 1 | u = 10 N action |

    ## Observation space

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0 | place x (m) | -3 | 3 |
    | 1 | cos a, 1 hanging | -1 | 1 |
    | 2 | sin a | -1 | 1 |
    | 3 | velocity x' (m/s) | -10 | 10 |
    | 4 | angular velocity a' (rad/s) | -25 | 25 |

    ## Reward

    (1 - 0.05 action^2) / (1 + e^2) with the state after the step, where e is its distance from the rest upright:
    e^2 = 2 (1 + cos a) / 0.5^2 + (x / 1 m)^2 + (x' / 4 m/s)^2 + (a' / 8 rad/s)^2, and 2 (1 + cos a) is nearly the
    square of a small angle from upright. That is 1 per step upright at rest amid the track, and 0.06 hanging. A step
    that ends the episode earns 0; since no reward is negative, leaving never pays.

    ## Start

    All four numbers uniform in [-0.05, 0.05], as in CartPole-v1, but about the rest hanging.

    ## End

    Terminated where the cart runs off its track, |x| > 2.4 m, as in CartPole-v1: that is a failure, after which nothing
    more is earned, and an agent should not value what comes behind the end as if the track went on. Truncated after 200
    steps (10 s), or outside the limits within which physics is compared: |x| in 3 m, |x'| in 10 m/s, |a'| in 25 rad/s.
    """

    system: CartPole = CART_POLE
    dt: float = 0.05  # s; the period of small oscillations is 1.58 s
    max_episode_steps: int = 200  # steps, 10 s
    max_input: float = 10.0  # N; the weight of both is 10.8 N
    track: float = 2.4  # m to each side, beyond which the episode is lost
    largest_place: float = 3.0  # m, limit; no step inside the limits leads from the track farther than that
    largest_velocity: float = 10.0  # m/s, limit
    largest_turning: float = 25.0  # rad/s, limit; falling from upright gives 8 rad/s
    start_spread: float = 0.05  # largest deviation of each number from the rest hanging
    angle_scale: float = 0.5  # rad, error that halves the reward
    place_scale: float = 1.0  # m, likewise
    velocity_scale: float = 4.0  # m/s
    turning_scale: float = 8.0  # rad/s
    effort_cost: float = 0.05  # share of the reward that full force costs

    name = "cart-pole"
    formulas = TaskFormulas(observation, reward, None, terminated)
    shown_start = (0.0, 2.5, 0.0, 0.0)
    search = Search(integrator="rk4", substeps=2)
    references = (
        Reference("mpc+lqr/ode", "hnn_envs.agents.controllers:mpc_and_lqr", "ode", slow=True),
        Reference("mpc+lqr/hnn", "hnn_envs.agents.controllers:mpc_and_lqr", "hnn", slow=True),
    )

    @cached_property
    def low(self) -> Array:
        """Lower limits of x, the angle (none) and their velocities."""
        return limits(*-self.high)

    @cached_property
    def high(self) -> Array:
        """Upper limits of x, the angle (none) and their velocities."""
        return limits(self.largest_place, math.inf, self.largest_velocity, self.largest_turning)

    @cached_property
    def observation_low(self) -> Array:
        """Lower bounds of the observation."""
        return bounds(*-self.observation_high)

    @cached_property
    def observation_high(self) -> Array:
        """Upper bounds of the observation."""
        return bounds(self.largest_place, 1, 1, self.largest_velocity, self.largest_turning)

    @cached_property
    def goal(self) -> Array:
        """The state that is asked for: at rest, upright, amid the track."""
        return limits(0.0, math.pi, 0.0, 0.0)

    @cached_property
    def goal_cost(self) -> Array:
        """The share of the reward that is lost near the goal, per products of the deviations from it."""
        scales = (self.place_scale, self.angle_scale, self.velocity_scale, self.turning_scale)
        return constant(np.diag(np.array(scales) ** -2))

    @cached_property
    def input_cost(self) -> float:
        """The share of the reward that is lost per force squared."""
        return self.effort_cost / self.max_input**2

    def initial_state(self, rng: np.random.Generator) -> Array:
        """Nearly at rest, hanging, amid the track, shape (4,)."""
        return rng.uniform(-self.start_spread, self.start_spread, 4)

    def angle_from_upright(self, x: Array) -> Array:
        """How far the pole is from upright, rad in [0, pi], shape (...,), for states of shape (..., 4)."""
        return absolute(wrapped(x[..., 1] - math.pi))

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        draw_cart_pole(canvas, view, track=self.track, length=2 * self.system.half_length)
        canvas.caption(view, "cart-pole")
        canvas.energy_bar(view, 0, 3, target=float(self.system.value(self.goal)))
