"""The observation model of the pixel pendulum: its states are seen in pairs of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hnn_envs.arrays import Array, namespace, wrapped
from hnn_envs.pixels.system import INTERVAL, PixelPendulum, momentum_of, turn_of


class AngleImages(Protocol):
    """What shows angles in frames and reads them off frames: a camera, or an autoencoder that has learned to.

    What it gives is where what it was given is, NumPy or torch.
    """

    @property
    def size(self) -> int:
        """Width and height of a frame, pixels."""
        ...

    @property
    def window(self) -> tuple[int, ...]:
        """The window of the camera in Gymnasium's frame: of the camera itself, or that it was learned through."""
        ...

    def frames(self, q: Array) -> Array:
        """Frames of pendulums at angles q in rad, uint8, shape (..., size, size)."""
        ...

    def angle(self, frames: Array) -> Array:
        """The angles that frames show, in [-pi, pi], rad, shape (...,)."""
        ...


Images = TypeVar("Images", bound=AngleImages, covariant=True)


@dataclass(frozen=True)
class FramePairs(Generic[Images]):
    """A state is seen in the frame of the step before, and in the present one.

    Attributes:
        images: what shows one angle and reads it.
        interval: time between the two frames, s.
        inverse_mass: angular velocity per momentum, which no frame shows.
    """

    images: Images
    interval: float = INTERVAL
    inverse_mass: float = PixelPendulum.inverse_mass

    @property
    def shape(self) -> tuple[int, ...]:
        """(2, size, size): channels first."""
        return (2, self.images.size, self.images.size)

    def angles(self, x: Array) -> Array:
        """The angles of the two frames of states (..., 2), not wrapped, shape (..., 2)."""
        q, p = x[..., 0], x[..., 1]
        return namespace(x).stack((q - turn_of(p, self.interval, self.inverse_mass), q), axis=-1)

    def state(self, angles: Array) -> Array:
        """The states (..., 2) of the angles in two frames, shape (..., 2)."""
        turn = wrapped(angles[..., 1] - angles[..., 0])
        return namespace(angles).stack((angles[..., 1], momentum_of(turn, self.interval, self.inverse_mass)), axis=-1)

    def observe(self, x: Array) -> Array:
        """The two frames of states (..., 2), uint8, shape (..., 2, size, size); a diverged one hangs still."""
        xp, turned = namespace(x), wrapped(self.angles(x))
        return self.images.frames(xp.where(xp.isfinite(turned), turned, xp.zeros_like(turned)))

    def estimate(self, observation: Array) -> Array:
        """The states (..., 2) that pairs of frames (..., 2, size, size) show."""
        return self.state(self.images.angle(observation))
