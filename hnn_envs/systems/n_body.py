"""Point masses that attract each other, tasks 4 and 5 of Greydanus, Dzamba and Yosinski 2019 (arXiv 1906.01563)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import plus, sqrt, zeros
from hnn_envs.arrays import Array, split
from hnn_envs.components import Components
from hnn_envs.hamiltonian import PortHamiltonian, PotentialFormulas, Separable
from hnn_envs.hamiltonian.pairs import closest_distance, internal_thrusts
from hnn_envs.systems.spec import Coordinate, Input, SystemSpec


def potential(system: NBody, q: Components) -> Array:
    """V(q) = -G m^2 sum_{i<j} 1 / |q_i - q_j|."""
    bodies, inverses = len(q) // 2, 0.0
    for i in range(bodies):
        for j in range(i + 1, bodies):
            dx, dy = q[2 * i] - q[2 * j], q[2 * i + 1] - q[2 * j + 1]
            inverses = inverses + 1 / sqrt(dx * dx + dy * dy)
    return -(system.coupling * inverses)


def potential_gradient(system: NBody, q: Components) -> Components:
    """dV/dq_i = G m^2 sum_j (q_i - q_j) / |q_i - q_j|^3."""
    bodies, gradient = len(q) // 2, zeros(q)
    for i in range(bodies):
        for j in range(i + 1, bodies):
            dx, dy = q[2 * i] - q[2 * j], q[2 * i + 1] - q[2 * j + 1]
            inverse = 1 / sqrt(dx * dx + dy * dy)
            slope_over_distance = system.coupling * inverse * inverse * inverse
            slope_x, slope_y = slope_over_distance * dx, slope_over_distance * dy
            gradient = plus(plus(gradient, 2 * i, slope_x), 2 * i + 1, slope_y)
            gradient = plus(plus(gradient, 2 * j, -slope_x), 2 * j + 1, -slope_y)
    return gradient


@dataclass(frozen=True)
class NBody(Separable):
    """n unit masses in the plane with G = 1: H(q, p) = sum_i |p_i|^2 / 2 - sum_{i<j} 1 / |q_i - q_j|.

    State x = [q, p], shape (..., 4*bodies), q body by body: q.reshape(..., bodies, 2). Input u, shape
    (..., 2*(bodies - 1)): internal thrusts in an orthonormal basis of the forces that sum to zero.

    Attributes:
        spec: what the system is; it says how many bodies there are.
        sampler: draws the seed's initial states, (rng, count) -> (count, 4*bodies).
        coupling: G m^2, the strength of the attraction.
        inverse_mass: 1/m.
    """

    spec: SystemSpec
    sampler: Callable[[np.random.Generator, int], Array]
    coupling: float = 1.0
    inverse_mass: float = 1.0

    damping = None
    formulas = PotentialFormulas(potential, potential_gradient)

    @property
    def bodies(self) -> int:
        """Number of bodies."""
        return self.spec.bodies

    @cached_property
    def field(self) -> PortHamiltonian:
        """The true vector field, q_i' = p_i, p_i' = attraction + internal thrust."""
        return PortHamiltonian(self, self.spec.force_matrix)

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
        return closest_distance(split(x)[0], self.bodies)

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


def bodies_spec(name: str, bodies: int, *, time_scale: float, longest_step: float, chaotic: bool = False) -> SystemSpec:
    """The description of bodies in the plane under internal thrusts, in an orthonormal basis of those."""
    places = tuple(
        Coordinate(f"{axis} of body {body + 1}", momentum=f"momentum of body {body + 1} along {axis}")
        for body in range(bodies)
        for axis in "xy"
    )
    thrusts = tuple(Input(f"thrust {pair + 1} along {axis}") for pair in range(bodies - 1) for axis in "xy")
    return SystemSpec(
        name,
        places,
        thrusts,
        tuple(tuple(row) for row in internal_thrusts(bodies).tolist()),
        time_scale=time_scale,
        longest_step=longest_step,
        chaotic=chaotic,
        bodies=bodies,
        picture="bodies",
    )


def rotate(vectors: Array, angle: float) -> Array:
    """Rotates plane vectors (..., 2) by ``angle`` (rad, counter-clockwise)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack((cosine * x - sine * y, sine * x + cosine * y), axis=-1)
