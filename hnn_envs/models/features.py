"""What a network sees of coordinates that may be angles: cosine and sine for an angle, the value itself otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from hnn_envs.arrays import Array, namespace


@dataclass(frozen=True)
class Features:
    """Maps coordinates (..., n) to network inputs, [linear coordinates / scale, cosines, sines].

    A function of these features has period 2 pi in every angle by construction.

    Attributes:
        linear: indices of the coordinates that are not angles.
        angular: indices of those that are.
        scale: unit of the linear coordinates, so that the network sees numbers of order one.
    """

    linear: tuple[int, ...]
    angular: tuple[int, ...]
    scale: float = 1.0

    @classmethod
    def of(cls, angles: tuple[bool, ...], scale: float = 1.0) -> Features:
        """Features for coordinates of which ``angles`` says which are angles."""
        linear = tuple(index for index, angle in enumerate(angles) if not angle)
        angular = tuple(index for index, angle in enumerate(angles) if angle)
        return cls(linear, angular, scale)

    @property
    def size(self) -> int:
        """Number of network inputs."""
        return len(self.linear) + 2 * len(self.angular)

    def __call__(self, x: Array) -> Array:
        """Network inputs, shape (..., size)."""
        if not self.angular:
            return x / self.scale
        xp = namespace(x)
        angles = x[..., self.angular]
        parts = (xp.cos(angles), xp.sin(angles))
        return xp.concat((x[..., self.linear] / self.scale, *parts) if self.linear else parts, axis=-1)

    def pull_back(self, x: Array, gradient: Array) -> Array:
        """Turns a gradient with respect to the features into one with respect to the coordinates, shape (..., n)."""
        if not self.angular:
            return gradient / self.scale
        xp = namespace(x)
        angles, first = x[..., self.angular], len(self.linear)
        cosines, sines = gradient[..., first : first + len(self.angular)], gradient[..., first + len(self.angular) :]
        turned = xp.cos(angles) * sines - xp.sin(angles) * cosines
        if not self.linear:
            return turned
        joined = xp.concat((gradient[..., :first] / self.scale, turned), axis=-1)
        order = sorted(range(len(self.linear) + len(self.angular)), key=(*self.linear, *self.angular).__getitem__)
        return joined[..., order]
