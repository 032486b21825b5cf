"""Swing Gymnasium's pendulum up from its frames: what is seen, and what is paid for, is pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, namespace, wrapped
from hnn_envs.camera import Camera
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.shapes import draw_film
from hnn_envs.drawing.view import View
from hnn_envs.hamiltonian import VectorField
from hnn_envs.models.pixels import Eye, Sighted
from hnn_envs.systems import System
from hnn_envs.systems.pixel_pendulum import PIXEL_PENDULUM
from hnn_envs.tasks.shared import limits, within
from hnn_envs.tasks.task import Task

CAMERA = Camera()
"""Of the seed's size."""


@dataclass(frozen=True)
class PixelPendulumTask:
    """Swing Gymnasium's Pendulum-v1 up and hold it, seen through its frames.

    ## Description

    The true physics is Pendulum-v1's own, step by step: q' = 3 p and p' = -5 sin q + u by the symplectic Euler method
    in steps of 0.05 s, with q = 0 hanging, where Pendulum-v1 counts from upright, and angular velocity 3 p. Learned
    physics steps in its latent space, whose coordinates are the same.

    An eye shows the states: the camera those of the true pendulum, a decoder those of learned physics. Frames are those
    that Pendulum-v1 renders, prepared as in the seed paper (Greydanus et al. 2019, task 5), the whole circle in view.

    ## Action space

    | Num | Action | Min | Max | Input |
    |---|---|---|---|---|
    | 0 | torque | -1 | 1 | u = 2 action |

    ## Observation space

    Two frames, uint8 in [0, 255], shape (2, size, size): that of 0.05 s ago, and the present one. A step moves the
    angle with the new velocity, so the frame of 0.05 s ago shows q - 0.05 * 3 p, and both are a function of the state.

    ## Reward

    -(angle^2 + 0.1 velocity^2 + 0.001 torque^2), the cost of Pendulum-v1, with the angle from upright in [-pi, pi].
    Angle and velocity are read off the two frames that the agent sees after the step: an angle is the direction from
    the pivot to the centre of brightness, and the velocity is what it turned by, per 0.05 s. For true frames of 28
    pixels that is 1.5 mrad and 0.05 rad/s off (root mean square). A step that leaves the limits costs 1000 more.

    ## Start

    As in Pendulum-v1: any angle, velocity uniform in [-1, 1] rad/s. Learned physics starts where its encoder believes
    the pendulum to be when it is shown the two true frames.

    ## End

    Truncated after 200 steps, or where the angular velocity exceeds 8 rad/s, at which Pendulum-v1 clips it. Never
    terminated.

    Attributes:
        eye: what shows the states.
    """

    system: System = PIXEL_PENDULUM
    dt: float = 0.05  # s, time per step and between the two frames
    max_episode_steps: int = 200  # steps, 10 s, six periods
    max_input: float = 2.0  # torque; the weight's is at most 5
    largest_velocity: float = 8.0  # rad/s, the limit
    start_velocity: float = 1.0  # rad/s
    velocity_unit: float = 3.0  # angular velocity per momentum
    velocity_cost: float = 0.1  # cost per velocity squared, next to 1 per rad^2
    torque_cost: float = 0.001  # cost per torque squared
    exit_cost: float = 1000.0  # cost of the step that leaves the limits
    eye: Eye = CAMERA

    name = "pixel-pendulum"
    shown_start = (2.0, 0.0)

    @cached_property
    def camera(self) -> Camera:
        """What films the true pendulum, and what every frame is read with, whichever eye it is from."""
        return Camera(self.eye.size)

    @cached_property
    def low(self) -> Array:
        """Lower limits of q (none) and p."""
        return limits(-math.inf, -self.largest_velocity / self.velocity_unit)

    @cached_property
    def high(self) -> Array:
        """Upper limits of q (none) and p."""
        return limits(math.inf, self.largest_velocity / self.velocity_unit)

    @cached_property
    def observation_low(self) -> Array:
        """Darkness, uint8, shape (2, size, size)."""
        return _even_frames(0, self.eye.size)

    @cached_property
    def observation_high(self) -> Array:
        """The brightest frames."""
        return _even_frames(255, self.eye.size)

    def initial_state(self, rng: np.random.Generator) -> Array:
        """Any angle and a small momentum, shape (2,)."""
        momentum = self.start_velocity / self.velocity_unit
        return np.array((rng.uniform(-math.pi, math.pi), rng.uniform(-momentum, momentum)))

    def observation(self, x: Array) -> Array:
        """The frame of 0.05 s ago and the present one, uint8, shape (..., 2, size, size)."""
        xp = namespace(x)
        earlier = x[..., 0] - (self.dt * self.velocity_unit) * x[..., 1]
        turned = wrapped(xp.stack((earlier, x[..., 0]), axis=-1))
        return self.eye.frames(xp.where(xp.isfinite(turned), turned, xp.zeros_like(turned)))

    def reward(self, x: Array, u: Array, x_next: Array) -> Array:
        """Minus Pendulum-v1's cost, read off the frames after the step, and that of leaving the limits, (...,)."""
        return self.reward_of_frames(self.observation(x_next), u, self.inside(x_next))

    def reward_of_frames(self, frames: Array, u: Array, inside: Array) -> Array:
        """The same for frames at hand, shape (..., 2, size, size), and whether the state is inside the limits."""
        angles = self.camera.angle(frames)
        velocity = wrapped(angles[..., 1] - angles[..., 0]) / self.dt
        return self._priced(angles[..., 1], velocity, u, inside)

    def reward_of_state(self, x: Array, u: Array, x_next: Array) -> Array:
        """What the reward would be if frames were read without error; spares drawing them where a plan is weighed."""
        return self._priced(x_next[..., 0], self.velocity_unit * x_next[..., 1], u, self.inside(x_next))

    def _priced(self, angle: Array, velocity: Array, u: Array, inside: Array) -> Array:
        # Squares by xp.square: a NumPy scalar's ** goes through pow, and would differ from a batch in the last bit.
        xp = namespace(velocity)
        cost = (
            xp.square(wrapped(angle - math.pi))
            + self.velocity_cost * xp.square(velocity)
            + self.torque_cost * xp.square(u[..., 0])
        )
        return xp.where(inside, -cost, -cost - self.exit_cost)

    def believed_state(self, x: Array) -> Array:
        """Where the eye, shown the camera's frames, believes states to be, shape (..., 2), inside the limits."""
        xp = namespace(x)
        angles = self.eye.angle(replace(self, eye=self.camera).observation(x))
        momentum = wrapped(angles[..., 1] - angles[..., 0]) / (self.dt * self.velocity_unit)
        highest = float(self.high[1])
        return xp.stack((angles[..., 1], xp.clip(momentum, -highest, highest)), axis=-1)

    def inside(self, x: Array) -> Array:
        """Whether the angular velocity is within its limit, shape (...,)."""
        return within(x, self.low, self.high)

    def terminated(self, x: Array) -> Array:
        """Never."""
        return namespace(x).zeros_like(x[..., 0], dtype=namespace(x).bool)

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment: the frame that is shown, and the true pendulum's beside it, if the view has one."""
        draw_film(canvas, view, self.eye, self.camera)
        canvas.caption(view, "pixel pendulum")
        canvas.energy_bar(view, 0, 15, target=10)


def seen_through(task: Task, field: VectorField) -> Task:
    """A task as a physics shows it: with frames, through the eye of a learned field that has its own."""
    if isinstance(task, PixelPendulumTask) and isinstance(field, Sighted):
        return replace(task, eye=field.eye)
    return task


def _even_frames(brightness: int, size: int) -> Array:
    frames = np.full((2, size, size), brightness, dtype=np.uint8)
    frames.flags.writeable = False
    return frames
