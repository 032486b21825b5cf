"""Bring two bodies that attract each other onto a wider circular orbit, and hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import sqrt, where
from hnn_envs.arrays import Array, namespace
from hnn_envs.components import Components, Step, components
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.shapes import DARK_GUIDE, draw_bodies, zoom
from hnn_envs.drawing.view import View
from hnn_envs.systems.n_body import NBody
from hnn_envs.systems.two_body import TWO_BODY
from hnn_envs.tasks.formulas import FormulaTask, TaskFormulas
from hnn_envs.tasks.optional import Reference, Search
from hnn_envs.tasks.shared import bounds, effort, limits


def orbit(task: TwoBodyTask, x: Components) -> Components:
    """Direction x and y, separation, radial and tangential velocity of body 1 as seen from body 2."""
    dx, dy = x[0] - x[2], x[1] - x[3]
    velocity_x, velocity_y = task.system.inverse_mass * (x[4] - x[6]), task.system.inverse_mass * (x[5] - x[7])
    separation = sqrt(dx * dx + dy * dy)
    along_x, along_y = dx / separation, dy / separation
    radial = along_x * velocity_x + along_y * velocity_y
    tangential = along_x * velocity_y - along_y * velocity_x
    return along_x, along_y, separation, radial, tangential


def reward(task: TwoBodyTask, step: Step) -> Array:
    """Closeness to the asked orbit, less a share for effort, in [0, 1]."""
    _, _, separation, radial, tangential = orbit(task, step.x_next)
    length = (separation - task.target_separation) / task.separation_scale
    inward, across = radial / task.velocity_scale, (tangential - task.target_velocity) / task.velocity_scale
    error = length * length + inward * inward + across * across
    return where(step.inside, (1 - effort(task, step.u)) / (1 + error), 0.0)


def inside(task: TwoBodyTask, x: Components) -> Array:
    """Whether the separation is within its limits."""
    dx, dy = x[0] - x[2], x[1] - x[3]
    separation = sqrt(dx * dx + dy * dy)
    return (separation >= task.smallest_separation) & (separation <= task.largest_separation)


@dataclass(frozen=True)
class TwoBodyTask(FormulaTask):
    """Transfer two bodies to a circular orbit of separation 2.5 and hold it, by the thrust between them.

    ## Description

    Two unit masses with H = |p_1|^2 / 2 + |p_2|^2 / 2 - 1 / |q_1 - q_2| circle each other closer than they should. A
    weak thrust pushes them with equal and opposite forces, so their centre of mass stays at rest in the origin. The
    asked orbit runs counter-clockwise, as the start does, at the relative speed sqrt(2 / 2.5) = 0.894.

    ## Action space

    | Num | Action | Min | Max | Input |
    |---|---|---|---|---|
    | 0 | thrust along x: u / sqrt(2) on body 1, -u / sqrt(2) on body 2 | -1 | 1 | u = 0.05 action |
    | 1 | thrust along y, likewise | -1 | 1 | u = 0.05 action |

    ## Observation space

    With r the vector from body 2 to body 1, and v its rate of change:

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0, 1 | direction of r, a unit vector | -1 | 1 |
    | 2 | separation, the length of r | 1 | 4 |
    | 3 | radial velocity, v along r | -2.83 | 2.83 |
    | 4 | tangential velocity, v across r, counter-clockwise | -2.83 | 2.83 |

    ## Reward

    (1 - 0.1 mean(action^2)) / (1 + e^2) with the state after the step, where e is its distance from the asked orbit:
    e^2 = ((separation - 2.5) / 0.3)^2 + (radial velocity / 0.2)^2 + ((tangential velocity - 0.894) / 0.2)^2. That is 1
    per step on the orbit without thrust. A step that leaves the limits earns 0; since no reward is negative, leaving
    never pays.

    ## Start

    Any direction, separation uniform in [1.5, 2], the speed of the circular orbit times 1 + N(0, 0.05).

    ## End

    Truncated after 200 steps, or outside the limits: separation in [1, 4], coordinates in [-2.2, 2.2], momenta in
    [-1, 1]. Never terminated.
    """

    system: NBody = TWO_BODY
    dt: float = 0.1  # time per step; the asked orbit's period is 17.6
    max_episode_steps: int = 200  # steps
    max_input: float = 0.05  # thrust; the attraction is 0.16 on the asked orbit
    smallest_separation: float = 1.0  # limit; the escape speed there is |p| = 1
    largest_separation: float = 4.0  # limit
    largest_coordinate: float = 2.2  # limit of each coordinate, half the largest separation and a margin
    largest_momentum: float = 1.0  # limit of each component
    start_smallest: float = 1.5  # separation of the closest start
    start_largest: float = 2.0  # separation of the widest
    start_speed_noise: float = 0.05  # standard deviation of the start's relative error in speed
    target_separation: float = 2.5  # of the asked orbit
    separation_scale: float = 0.3  # error in separation that halves the reward
    velocity_scale: float = 0.2  # error in relative velocity that halves it
    effort_cost: float = 0.1  # share of the reward that full thrust costs

    name = "two-body"
    formulas = TaskFormulas(orbit, reward, inside)
    shown_start = (0.9, 0.0, -0.9, 0.0, 0.0, 0.45, 0.0, -0.45)  # clearly an ellipse
    search = Search(horizon=10, hold=5)
    references = (
        Reference("mpc/ode", "hnn_envs.agents.controllers:mpc", "ode", slow=True),
        Reference("mpc/hnn", "hnn_envs.agents.controllers:mpc", "hnn", slow=True),
    )

    @cached_property
    def low(self) -> Array:
        """Lower limits of the coordinates and momenta."""
        return limits(*-self.high)

    @cached_property
    def high(self) -> Array:
        """Upper limits of the coordinates and momenta."""
        return limits(*[self.largest_coordinate] * 4, *[self.largest_momentum] * 4)

    @cached_property
    def observation_low(self) -> Array:
        """Lower bounds of the observation."""
        return bounds(-1, -1, self.smallest_separation, -self.largest_velocity, -self.largest_velocity)

    @cached_property
    def observation_high(self) -> Array:
        """Upper bounds of the observation."""
        return bounds(1, 1, self.largest_separation, self.largest_velocity, self.largest_velocity)

    @cached_property
    def largest_velocity(self) -> float:
        """The largest relative velocity inside the limits."""
        return 2 * math.sqrt(2) * self.largest_momentum * self.system.inverse_mass

    @cached_property
    def target_velocity(self) -> float:
        """Relative speed on the asked orbit, sqrt(2 / separation) for unit masses."""
        return math.sqrt(2 * self.system.coupling * self.system.inverse_mass / self.target_separation)

    def initial_state(self, rng: np.random.Generator) -> Array:
        """A nearly circular orbit with the centre of mass at rest in the origin, shape (8,)."""
        angle = rng.uniform(-math.pi, math.pi)
        radius = rng.uniform(self.start_smallest, self.start_largest) / 2
        speed = (1 + self.start_speed_noise * rng.standard_normal()) / (2 * math.sqrt(radius))
        position = radius * np.array([math.cos(angle), math.sin(angle)])
        momentum = speed * np.array([-math.sin(angle), math.cos(angle)])
        return np.concatenate((position, -position, momentum, -momentum))

    def orbit(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """Direction (..., 2), separation, radial and tangential velocity (...,) of body 1 as seen from body 2."""
        along_x, along_y, *rest = orbit(self, components(x))
        return (namespace(x).stack((along_x, along_y), axis=-1), *rest)

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        forces = (self.system.field.input_matrix @ view.action).reshape(2, 2)
        canvas.look_at(
            (0.0, 0.0), zoom(1.6, float(np.abs(view.trail[:, :4]).max(initial=0.0)) + 0.15, self.largest_coordinate)
        )
        canvas.circle((0, 0), self.target_separation / 2, DARK_GUIDE, dashes=60)
        draw_bodies(canvas, view, 0.6 * forces)
        canvas.caption(view, "two bodies")
        canvas.scale_bar(1.0)
        # Half the potential energy of the asked orbit, by the virial theorem.
        target = -self.system.coupling / (2 * self.target_separation)
        canvas.energy_bar(view, -0.5, 0, target=target)
