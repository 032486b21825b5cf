"""Swing Gymnasium's pendulum up from its frames: what is seen, and what is paid for, is pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, namespace, wrapped
from hnn_envs.checkpoints import ALIASES
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.view import View
from hnn_envs.dynamics import Dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.observation import ObservationModel
from hnn_envs.pixels.camera import Camera
from hnn_envs.pixels.drawing import draw_frames
from hnn_envs.pixels.observation import FramePairs
from hnn_envs.pixels.prediction import predict_frames
from hnn_envs.pixels.system import PIXEL_PENDULUM, PixelPendulum
from hnn_envs.tasks.shared import limits, within

CAMERA = Camera()
"""Of the seed's size."""
IMAGE_SIZES = (CAMERA.size, 64)
"""Widths of frames that checkpoints are shipped for: the seed paper's, and one for convolutional policies."""


@dataclass(frozen=True)
class PixelPendulumTask:
    """Swing Gymnasium's Pendulum-v1 up and hold it, seen through its frames.

    ## Description

    The true physics is Pendulum-v1's own, step by step: q' = 3 p and p' = -5 sin q + u by the symplectic Euler method
    in steps of 0.05 s, with q = 0 hanging, where Pendulum-v1 counts from upright, and angular velocity 3 p. Learned
    physics steps in its latent space, whose coordinates are the same.

    States are seen through an observation model: those of the true pendulum through a camera, those of learned physics
    through its decoder. Frames are those that Pendulum-v1 renders, prepared as in the seed paper (Greydanus et al.
    2019, task 5), the whole circle in view.

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

    As in Pendulum-v1: any angle, velocity uniform in [-1, 1] rad/s. Learned physics starts from the state that its
    encoder estimates from the two true frames.

    ## End

    Truncated after 200 steps, or where the angular velocity exceeds 8 rad/s, at which Pendulum-v1 clips it. Never
    terminated.

    Attributes:
        camera: what films the true pendulum, and what every frame is read with, whatever showed it.
    """

    system: PixelPendulum = PIXEL_PENDULUM
    dt: float = 0.05  # s, time per step and between the two frames
    max_episode_steps: int = 200  # steps, 10 s, six periods
    max_input: float = 2.0  # torque; the weight's is at most 5
    largest_velocity: float = 8.0  # rad/s, the limit
    start_velocity: float = 1.0  # rad/s
    velocity_cost: float = 0.1  # cost per velocity squared, next to 1 per rad^2
    torque_cost: float = 0.001  # cost per torque squared
    exit_cost: float = 1000.0  # cost of the step that leaves the limits
    camera: Camera = CAMERA

    name = "pixel-pendulum"
    shown_start = (2.0, 0.0)

    @cached_property
    def observation_model(self) -> FramePairs[Camera]:
        """The frame of 0.05 s ago and the present one, as the camera shows them."""
        return FramePairs(self.camera, self.dt, self.system.inverse_mass)

    @cached_property
    def low(self) -> Array:
        """Lower limits of q (none) and p."""
        return limits(-math.inf, -self.largest_velocity / self.system.inverse_mass)

    @cached_property
    def high(self) -> Array:
        """Upper limits of q (none) and p."""
        return limits(math.inf, self.largest_velocity / self.system.inverse_mass)

    @cached_property
    def observation_low(self) -> Array:
        """Darkness, uint8, shape (2, size, size)."""
        return _even_frames(0, self.observation_model.shape)

    @cached_property
    def observation_high(self) -> Array:
        """The brightest frames."""
        return _even_frames(255, self.observation_model.shape)

    def initial_state(self, rng: np.random.Generator) -> Array:
        """Any angle and a small momentum, shape (2,)."""
        momentum = self.start_velocity / self.system.inverse_mass
        return np.array((rng.uniform(-math.pi, math.pi), rng.uniform(-momentum, momentum)))

    def with_image_size(self, size: int) -> PixelPendulumTask:
        """The same task with frames of another width and height.

        Raises:
            InvalidOptionError: no checkpoint is shipped for frames of this size.
        """
        if size not in IMAGE_SIZES:
            raise InvalidOptionError(f"image_size must be one of {', '.join(map(str, IMAGE_SIZES))}, not {size!r}")
        return replace(self, camera=Camera(size))

    def checkpoint_for(self, dynamics: str) -> str:
        """The name of the physics whose frames have this size: "default/hnn-64" for "hnn" and 64."""
        if self.camera.size == CAMERA.size or dynamics not in ALIASES:
            return dynamics
        return f"{ALIASES[dynamics]}-{self.camera.size}"

    def check_observation_model(self, model: ObservationModel, dynamics: str) -> None:
        """Checks that the frames of a dynamics are of this task's size and window.

        Raises:
            InvalidOptionError: they are of another, or no pairs of frames at all.
        """
        if not isinstance(model, FramePairs):
            raise InvalidOptionError(f"dynamics {dynamics!r} shows something else than the frames of {self.name!r}")
        size, window = model.images.size, model.images.window
        if size != self.camera.size:
            raise InvalidOptionError(
                f"dynamics {dynamics!r} has frames of {size} pixels: they need image_size={size}, "
                f"not {self.camera.size}"
            )
        if window != self.camera.window:
            raise InvalidOptionError(
                f"dynamics {dynamics!r} was learned through the window {window} of Gymnasium's frame, "
                f"and {self.name!r} is seen through {self.camera.window}"
            )

    def observation(self, x: Array) -> Array:
        """The frame of 0.05 s ago and the present one, uint8, shape (..., 2, size, size)."""
        return self.observation_model.observe(x)

    def reward(self, x: Array, u: Array, x_next: Array) -> Array:
        """Minus Pendulum-v1's cost, read off the frames after the step, and that of leaving the limits, (...,)."""
        return self.reward_of_observation(self.observation(x_next), u, self.inside(x_next))

    def reward_of_observation(self, observation: Array, u: Array, inside: Array) -> Array:
        """The same for frames at hand, shape (..., 2, size, size), and whether the state is inside the limits."""
        return self._reward(self.observation_model.estimate(observation), u, inside)

    def reward_of_state(self, x: Array, u: Array, x_next: Array) -> Array:
        """What the reward would be if frames were read without error."""
        return self._reward(x_next, u, self.inside(x_next))

    def _reward(self, x: Array, u: Array, inside: Array) -> Array:
        # Squares by xp.square: a NumPy scalar's ** goes through pow, and would differ from a batch in the last bit.
        xp = namespace(x)
        cost = (
            xp.square(wrapped(x[..., 0] - math.pi))
            + self.velocity_cost * xp.square(self.system.inverse_mass * x[..., 1])
            + self.torque_cost * xp.square(u[..., 0])
        )
        return xp.where(inside, -cost, -cost - self.exit_cost)

    def prediction_metrics(self, dynamics: Dynamics) -> dict[str, float]:
        """Of models that are learned from frames, how well they predict a hundred frames, by metric.

        "angle_error_50" is the median error of the angle read off the frames that they predict from two, in rad, and
        "frame_mse_ratio" the mean square error of the frames that they predict from ten, next to that of their own
        autoencoder, as the median over films.
        """
        if not isinstance(dynamics.observation_model, FramePairs):
            return {}
        return {
            "angle_error_50": float(np.median(predict_frames(dynamics, self).angle_errors)),
            "frame_mse_ratio": predict_frames(dynamics, self, shown=10).frame_ratio,
        }

    def inside(self, x: Array) -> Array:
        """Whether the angular velocity is within its limit, shape (...,)."""
        return within(x, self.low, self.high)

    def terminated(self, x: Array) -> Array:
        """Never."""
        return namespace(x).zeros_like(x[..., 0], dtype=namespace(x).bool)

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment: the frame that is shown, and the true pendulum's beside it, if the view has one."""
        draw_frames(canvas, view, self.observation_model)
        canvas.caption(view, "pixel pendulum")
        canvas.energy_bar(view, 0, 15, target=10)


def _even_frames(brightness: int, shape: tuple[int, ...]) -> Array:
    frames = np.full(shape, brightness, dtype=np.uint8)
    frames.flags.writeable = False
    return frames
