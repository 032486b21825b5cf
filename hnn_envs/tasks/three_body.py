"""Keep three bodies that attract each other together, and apart, for as long as possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import logical_not, never, sqrt, where
from hnn_envs.arrays import Array, split
from hnn_envs.components import Components, Step
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.colors import GUIDE
from hnn_envs.drawing.shapes import draw_bodies, zoom
from hnn_envs.drawing.view import View
from hnn_envs.systems.n_body import NBody
from hnn_envs.systems.three_body import THREE_BODY
from hnn_envs.tasks.formulas import FormulaTask, TaskFormulas
from hnn_envs.tasks.optional import Search
from hnn_envs.tasks.shared import bounds, effort, limits


def observation(task: ThreeBodyTask, x: Components) -> Components:
    """Positions and momenta."""
    return x


def reward(task: ThreeBodyTask, step: Step) -> Array:
    """1 for staying bound and apart, less a share for effort."""
    alive = step.inside & logical_not(terminated(task, step.x_next))
    return where(alive, 1 - effort(task, step.u), 0.0)


def terminated(task: ThreeBodyTask, x: Components) -> Array:
    """Whether two bodies have met or one is lost."""
    centre_x, centre_y = (x[0] + x[2] + x[4]) / 3, (x[1] + x[3] + x[5]) / 3
    ended = never(x[0])
    for i in range(3):
        dx, dy = x[2 * i] - centre_x, x[2 * i + 1] - centre_y
        ended = ended | (dx * dx + dy * dy > task.largest_distance * task.largest_distance)
        for j in range(i):
            dx, dy = x[2 * j] - x[2 * i], x[2 * j + 1] - x[2 * i + 1]
            ended = ended | (sqrt(dx * dx + dy * dy) < task.smallest_separation)
    return ended


@dataclass(frozen=True)
class ThreeBodyTask(FormulaTask):
    """Keep three bodies bound, without a close encounter, for as long as possible on little thrust.

    ## Description

    Three unit masses, H = sum |p_i|^2 / 2 - sum 1 / |q_i - q_j|, start near Lagrange's rotating equilateral triangle.
    For equal masses that orbit is unstable: left alone, it breaks up after a revolution or so, by an encounter or by
    throwing a body out. The thrusts sum to zero, so the centre of mass stays at rest in the origin.

    ## Action space

    | Num | Action | Min | Max | Input |
    |---|---|---|---|---|
    | 0, 1 | thrust along x and y: u / sqrt(2) on body 1, -u / sqrt(2) on body 2 | -1 | 1 | u = 0.1 action |
    | 2, 3 | thrust along x and y: u / sqrt(6) on bodies 1 and 2, -2 u / sqrt(6) on body 3 | -1 | 1 | u = 0.1 action |

    ## Observation space

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0 to 5 | positions x and y of bodies 1, 2, 3 | -4 | 4 |
    | 6 to 11 | their momenta | -3 | 3 |

    ## Reward

    1 - 0.1 mean(action^2) for each step after which the bodies are bound and apart, 0 for the step that ends it.

    ## Start

    The seed paper's: an equilateral triangle of radius uniform in [0.9, 1.2], its circular velocities with each
    component multiplied by 1 + U(-0.2, 0.2), the total momentum then taken off.

    ## End

    Terminated where two bodies are closer than 0.5, or one is further than 3.5 from the centre of mass. Truncated after
    500 steps, some three revolutions, or where a coordinate exceeds 4 or a momentum 3; the true system is terminated
    before it gets there.
    """

    system: NBody = THREE_BODY
    dt: float = 0.05  # time per step; the triangle of radius 1 revolves in 8.3
    max_episode_steps: int = 500  # steps
    max_input: float = 0.1  # thrust; the attraction is 0.58 in the triangle of radius 1
    smallest_separation: float = 0.5  # a closer encounter ends the episode
    largest_distance: float = 3.5  # from the centre of mass; further out counts as lost
    largest_coordinate: float = 4.0  # limit of each coordinate, beyond what one step adds to the largest distance
    largest_momentum: float = 3.0  # limit of each component; the true system stays below 2
    effort_cost: float = 0.1  # share of the reward that full thrust costs

    name = "three-body"
    formulas = TaskFormulas(observation, reward, terminated=terminated)
    search = Search(horizon=10, hold=6)

    @cached_property
    def low(self) -> Array:
        """Lower limits of the coordinates and momenta."""
        return limits(*-self.high)

    @cached_property
    def high(self) -> Array:
        """Upper limits of the coordinates and momenta."""
        return limits(*[self.largest_coordinate] * 6, *[self.largest_momentum] * 6)

    @cached_property
    def observation_low(self) -> Array:
        """Lower bounds of the observation."""
        return bounds(*self.low)

    @cached_property
    def observation_high(self) -> Array:
        """Upper bounds of the observation."""
        return bounds(*self.high)

    def initial_state(self, rng: np.random.Generator) -> Array:
        """A rotating triangle with disturbed velocities and its centre of mass at rest in the origin, shape (12,)."""
        q, p = split(self.system.sample_states(rng, 1)[0])
        return np.concatenate((_centred(q), _centred(p)))

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment."""
        forces = (self.system.field.input_matrix @ view.action).reshape(3, 2)
        positions = split(view.state)[0].reshape(3, 2)
        half = zoom(1.7, float(np.abs(view.trail[:, :6]).max(initial=0.0)) + 0.3, self.largest_coordinate)
        canvas.look_at((0.0, 0.0), half)
        if self.largest_distance < 1.2 * half:
            canvas.circle((0, 0), self.largest_distance, GUIDE, dashes=90)
        for position in positions:  # rings that touch are an encounter
            canvas.circle(position, self.smallest_separation / 2, GUIDE, width=1)
        draw_bodies(canvas, view, 0.7 * forces)
        canvas.caption(view, "three bodies")
        canvas.scale_bar(1.0)
        canvas.energy_bar(view, -1.5, 0)


def _centred(vectors: Array) -> Array:
    """Takes the mean off three plane vectors, shape (6,)."""
    pairs = vectors.reshape(3, 2)
    return (pairs - pairs.mean(0)).reshape(6)
