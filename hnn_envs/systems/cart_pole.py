"""A pole on a cart: the machine of Barto, Sutton and Anderson, IEEE Trans. Syst. Man Cybern. 13 (1983) 834."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import cos
from hnn_envs.arrays import Array, join, split
from hnn_envs.components import Components
from hnn_envs.hamiltonian import LagrangianFlow, MachineFormulas, MachineHamiltonian, Mechanical, PortHamiltonian
from hnn_envs.hamiltonian.dissipation import Friction
from hnn_envs.systems.spec import Coordinate, Input, SystemSpec


def mass_matrix(system: CartPole, q: Components) -> Components:
    """M(q): of cart and rod together, of both, and of the rod about the hinge."""
    _, angle = q
    lever = system.pole_mass * system.half_length
    return (system.cart_mass + system.pole_mass, lever * cos(angle), 4 / 3 * lever * system.half_length)


def potential(system: CartPole, q: Components) -> Array:
    """V(q): 0 where the rod hangs."""
    _, angle = q
    return system.pole_mass * system.gravity * system.half_length * (1 - cos(angle))


@dataclass(frozen=True)
class CartPole(Mechanical):
    """A uniform rod that hangs from a cart on a level track.

    M(q) = [[m_c + m, m l cos a], [m l cos a, 4/3 m l^2]],  V(q) = m g l (1 - cos a),  q = [x, a]

    State [q, q'], shape (..., 4): the cart's place x in m and the rod's angle a in rad, 0 hanging and not wrapped, with
    their velocities. Input u, shape (..., 1): a force on the cart, N. Masses, length and gravity are those of
    Gymnasium's CartPole-v1, which are Barto, Sutton and Anderson's, as is the friction of the hinge. They have a cart
    that slides; here it rolls, with the friction of PILCO's (Deisenroth, Fox, Rasmussen, IEEE Trans. Pattern Anal.
    Mach. Intell. 37 (2015) 408).
    """

    cart_mass: float = 1.0  # m_c, kg
    pole_mass: float = 0.1  # m, kg
    half_length: float = 0.5  # l, m, from the hinge to the rod's centre
    gravity: float = 9.8  # g, m/s^2
    cart_friction: float = 0.1  # N s/m
    hinge_friction: float = 2e-6  # N m s/rad

    formulas = MachineFormulas(mass_matrix, potential)

    @cached_property
    def spec(self) -> SystemSpec:
        """A place and an angle; the time scale is the period of small oscillations, 1.58 s."""
        inertia = self.mass_matrix(np.zeros(2))
        weight = self.pole_mass * self.gravity * self.half_length
        frequency = math.sqrt(weight * inertia[0, 0] / np.linalg.det(inertia))
        return SystemSpec(
            "cart-pole",
            (
                Coordinate("position x", "m", momentum="velocity", momentum_unit="m/s"),
                Coordinate("angle a", "rad", angle=True, momentum="angular velocity", momentum_unit="rad/s"),
            ),
            (Input("force", "N"),),
            ((1.0,), (0.0,)),
            time_scale=2 * math.pi / frequency,
            longest_step=0.003,
            dissipative=True,
            velocities=True,
            time_unit="s",
            energy_unit="J",
        )

    @cached_property
    def field(self) -> LagrangianFlow:
        """The vector field with friction and the force on the cart."""
        friction = Friction.of((self.cart_friction, self.hinge_friction))
        return LagrangianFlow(PortHamiltonian(MachineHamiltonian(self), self.spec.force_matrix, dissipation=friction))

    def invariants(self, x: Array) -> dict[str, Array]:
        """What is conserved without friction: the energy and, the track being level, the momentum along it."""
        return {"energy": self.value(x), "momentum": self.momentum(*split(x))[..., 0]}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """States (count, 4): place U(-1, 1) m, any angle, velocities U(-1, 1) m/s and U(-6, 6) rad/s."""
        q = rng.uniform((-1.0, -math.pi), (1.0, math.pi), (count, 2))
        return join(q, rng.uniform((-1.0, -6.0), (1.0, 6.0), (count, 2)))


CART_POLE = CartPole()
