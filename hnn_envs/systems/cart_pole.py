"""A pole on a cart: the machine of Barto, Sutton and Anderson, IEEE Trans. Syst. Man Cybern. 13 (1983) 834."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, join, namespace, split
from hnn_envs.dissipation import Viscous
from hnn_envs.hamiltonian import Mechanical, PortHamiltonian
from hnn_envs.systems.matrices import symmetric
from hnn_envs.systems.spec import Coordinate, Input, SystemSpec


@dataclass(frozen=True)
class CartPole(Mechanical):
    """A uniform rod that hangs from a cart on a level track.

    M(q) = [[m_c + m, m l cos a], [m l cos a, 4/3 m l^2]],  V(q) = m g l (1 - cos a),  q = [x, a]

    State [q, p], shape (..., 4): the cart's place x in m and the rod's angle a in rad, 0 hanging and not wrapped, with
    their momenta. Input u, shape (..., 1): a force on the cart, N. Masses, length and gravity are those of Gymnasium's
    CartPole-v1, which are Barto, Sutton and Anderson's, as is the friction of the hinge. They have a cart that slides;
    here it rolls, with the friction of PILCO's (Deisenroth, Fox, Rasmussen, IEEE Trans. Pattern Anal. Mach. Intell. 37
    (2015) 408).
    """

    cart_mass: float = 1.0  # m_c, kg
    pole_mass: float = 0.1  # m, kg
    half_length: float = 0.5  # l, m, from the hinge to the rod's centre
    gravity: float = 9.8  # g, m/s^2
    cart_friction: float = 0.1  # N s/m
    hinge_friction: float = 2e-6  # N m s/rad

    @cached_property
    def spec(self) -> SystemSpec:
        """A place and an angle; the time scale is the period of small oscillations, 1.58 s."""
        inertia = self.mass_matrix(np.zeros(2))
        weight = self.pole_mass * self.gravity * self.half_length
        frequency = math.sqrt(weight * inertia[0, 0] / np.linalg.det(inertia))
        return SystemSpec(
            "cart-pole",
            (
                Coordinate("position x", "m", momentum="momentum", momentum_unit="kg m/s"),
                Coordinate(
                    "angle a", "rad", angle=True, momentum="angular momentum", momentum_unit="kg m\N{SUPERSCRIPT TWO}/s"
                ),
            ),
            (Input("force", "N"),),
            ((1.0,), (0.0,)),
            time_scale=2 * math.pi / frequency,
            longest_step=0.003,
            dissipative=True,
            time_unit="s",
            energy_unit="J",
        )

    def mass_matrix(self, q: Array) -> Array:
        """M(q), shape (..., 2, 2)."""
        lever = self.pole_mass * self.half_length
        mixed = lever * namespace(q).cos(q[..., 1])
        return symmetric(self.cart_mass + self.pole_mass, mixed, 4 / 3 * lever * self.half_length)

    def potential(self, q: Array) -> Array:
        """V(q), shape (...,): 0 where the rod hangs."""
        return self.pole_mass * self.gravity * self.half_length * (1 - namespace(q).cos(q[..., 1]))

    @cached_property
    def field(self) -> PortHamiltonian:
        """The vector field with friction and the force on the cart."""
        friction = Viscous((self.cart_friction, self.hinge_friction))
        return PortHamiltonian(self, self.spec.force_matrix, dissipation=friction)

    def invariants(self, x: Array) -> dict[str, Array]:
        """What is conserved without friction: the energy and, the track being level, the momentum along it."""
        return {"energy": self.value(x), "momentum": split(x)[1][..., 0]}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """States (count, 4): place U(-1, 1) m, any angle, velocities U(-1, 1) m/s and U(-6, 6) rad/s."""
        q = rng.uniform((-1.0, -math.pi), (1.0, math.pi), (count, 2))
        return join(q, self.momentum(q, rng.uniform((-1.0, -6.0), (1.0, 6.0), (count, 2))))


CART_POLE = CartPole()
