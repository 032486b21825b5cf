"""Point masses that attract each other, tasks 4 and 5 of Greydanus, Dzamba and Yosinski 2019 (arXiv 1906.01563)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, namespace, split
from hnn_envs.hamiltonian import PortHamiltonian, Separable
from hnn_envs.systems.pairs import gather, internal_thrusts, separations


@dataclass(frozen=True)
class NBody(Separable):
    """n unit masses in the plane with G = 1: H(q, p) = sum_i |p_i|^2 / 2 - sum_{i<j} 1 / |q_i - q_j|.

    State x = [q, p], shape (..., 4*bodies), q body by body: q.reshape(..., bodies, 2). Input u, shape
    (..., 2*(bodies - 1)): internal thrusts in an orthonormal basis of the forces that sum to zero.

    Attributes:
        name: name of the system.
        bodies: number of bodies.
        time_scale: a period (two bodies) or the Lyapunov time (three).
        max_step: the longest PEFRL step that keeps to 1e-9 of the exact flow over the task's states.
        sampler: draws the seed's initial states, (rng, count) -> (count, 4*bodies).
        coupling: G m^2, the strength of the attraction.
        inverse_mass: 1/m.
    """

    name: str
    bodies: int
    time_scale: float
    max_step: float
    sampler: Callable[[np.random.Generator, int], Array]
    coupling: float = 1.0
    inverse_mass: float = 1.0

    damping = None

    @property
    def dof(self) -> int:
        """Degrees of freedom, two per body."""
        return 2 * self.bodies

    @property
    def angles(self) -> tuple[bool, ...]:
        """No coordinate is an angle."""
        return (False,) * self.dof

    def potential(self, q: Array) -> Array:
        """V(q) = -sum_{i<j} 1 / |q_i - q_j|, shape (...,)."""
        _, distances = separations(q, self.bodies)
        return -self.coupling * (1 / distances).sum(-1)

    def potential_gradient(self, q: Array) -> Array:
        """dV/dq_i = sum_j (q_i - q_j) / |q_i - q_j|^3, shape (..., 2*bodies)."""
        differences, distances = separations(q, self.bodies)
        cubes = distances * distances * distances
        return gather(self.coupling * differences / cubes[..., None], self.bodies)

    @cached_property
    def field(self) -> PortHamiltonian:
        """The true vector field, q_i' = p_i, p_i' = attraction + internal thrust."""
        return PortHamiltonian(self, internal_thrusts(self.bodies))

    def momentum(self, x: Array) -> Array:
        """Total momentum, shape (..., 2)."""
        _, p = split(x)
        return p.reshape((*p.shape[:-1], self.bodies, 2)).sum(-2)

    def angular_momentum(self, x: Array) -> Array:
        """Total angular momentum sum_i q_i x p_i, shape (...,)."""
        q, p = split(x)
        return (q[..., 0::2] * p[..., 1::2] - q[..., 1::2] * p[..., 0::2]).sum(-1)

    def centre_of_mass(self, x: Array) -> Array:
        """Mean position of the bodies, shape (..., 2)."""
        q, _ = split(x)
        return q.reshape((*q.shape[:-1], self.bodies, 2)).sum(-2) / self.bodies

    def closest_distance(self, x: Array) -> Array:
        """The smallest separation of two bodies, shape (...,)."""
        return namespace(x).min(separations(split(x)[0], self.bodies)[1], axis=-1)

    def invariants(self, x: Array) -> dict[str, Array]:
        """What the free system conserves: energy, momentum (..., 2) and angular momentum."""
        return {
            "energy": self.value(x),
            "momentum": self.momentum(x),
            "angular_momentum": self.angular_momentum(x),
        }

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states of the seed's data set, shape (count, 4*bodies)."""
        return self.sampler(rng, count)


def rotate(vectors: Array, angle: float) -> Array:
    """Rotates plane vectors (..., 2) by ``angle`` (rad, counter-clockwise)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack((cosine * x - sine * y, sine * x + cosine * y), axis=-1)
