"""The double pendulum of Wiebe et al., IEEE Robot. Autom. Mag. 31(2) (2024), doi 10.1109/MRA.2023.3341257."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, join, namespace
from hnn_envs.dissipation import SmoothCoulomb, Sum, Viscous
from hnn_envs.hamiltonian import Mechanical, PortHamiltonian
from hnn_envs.systems.matrices import symmetric
from hnn_envs.systems.spec import Coordinate, Input, SystemSpec


@dataclass(frozen=True)
class DoublePendulum(Mechanical):
    """Two links with a motor at each joint, the acrobot and the pendubot in one machine.

    M11 = I1 + I2 + m2 l1^2 + 2 m2 l1 r2 cos q2 + (n^2 + 1) Ir,  M12 = I2 + m2 l1 r2 cos q2 - n Ir,  M22 = I2 + n^2 Ir
    V(q) = m1 g r1 (1 - cos q1) + m2 g (l1 (1 - cos q1) + r2 (1 - cos(q1 + q2)))

    State x = [q, p], shape (..., 4): the angle of the first link, 0 hanging, and of the second relative to the first,
    0 stretched, in rad and not wrapped, with their momenta. Inputs u, shape (..., 2): the torques at the shoulder and
    at the elbow, N m. The numbers are the published ones of the machine, design C.1, model 1.0: rotors that turn
    n times as fast as the joints, and friction that is viscous and dry.
    """

    masses: tuple[float, float] = (0.52346, 0.62557)  # m1, m2, kg
    length: float = 0.2  # l1, m, from the shoulder to the elbow
    centres: tuple[float, float] = (0.2, 0.25569)  # r1, r2, m, from the joints to the centres of mass
    inertias: tuple[float, float] = (0.031887, 0.050870)  # I1, I2, kg m^2, about the joints
    rotor_inertia: float = 6.2872e-5  # Ir, kg m^2
    gear_ratio: float = 6.0  # n
    gravity: float = 9.81  # g, m/s^2
    viscous_friction: tuple[float, float] = (0.001, 0.001)  # N m s/rad
    dry_friction: tuple[float, float] = (0.16, 0.12)  # N m, times arctan(100 q')

    @cached_property
    def spec(self) -> SystemSpec:
        """Two angles and two torques."""
        return SystemSpec(
            "double-pendulum",
            tuple(
                Coordinate(
                    name, "rad", angle=True, momentum=f"momentum of {name}", momentum_unit="kg m\N{SUPERSCRIPT TWO}/s"
                )
                for name in ("shoulder angle", "elbow angle")
            ),
            (Input("shoulder torque", "N m"), Input("elbow torque", "N m")),
            ((1.0, 0.0), (0.0, 1.0)),
            # Lyapunov time without friction: exponent 1.31 +- 0.06 by Benettin's method (two nearby trajectories,
            # renormalised) on 200 of the states below, from t = 2 s until 20 s; test_mechanics measures it again.
            time_scale=0.76,
            longest_step=0.00045,
            chaotic=True,
            dissipative=True,
            time_unit="s",
            energy_unit="J",
        )

    def mass_matrix(self, q: Array) -> Array:
        """M(q), shape (..., 2, 2)."""
        rotor, ratio = self.rotor_inertia, self.gear_ratio
        coupling = self.masses[1] * self.length * self.centres[1] * namespace(q).cos(q[..., 1])
        both = sum(self.inertias) + self.masses[1] * self.length**2 + (ratio**2 + 1) * rotor
        second = self.inertias[1]
        return symmetric(both + 2 * coupling, second - ratio * rotor + coupling, second + ratio**2 * rotor)

    def potential(self, q: Array) -> Array:
        """V(q), shape (...,): 0 where both links hang."""
        xp = namespace(q)
        shoulder = self.masses[0] * self.centres[0] + self.masses[1] * self.length
        elbow = self.masses[1] * self.centres[1]
        return self.gravity * (shoulder * (1 - xp.cos(q[..., 0])) + elbow * (1 - xp.cos(q[..., 0] + q[..., 1])))

    @cached_property
    def field(self) -> PortHamiltonian:
        """The vector field with friction and both torques."""
        friction = Sum((Viscous(self.viscous_friction), SmoothCoulomb(self.dry_friction, sharpness=100.0)))
        return PortHamiltonian(self, self.spec.force_matrix, dissipation=friction)

    def invariants(self, x: Array) -> dict[str, Array]:
        """The energy, which is conserved without friction."""
        return {"energy": self.value(x)}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """States (count, 4): any angles, velocities U(-6, 6) rad/s."""
        q = rng.uniform(-math.pi, math.pi, (count, 2))
        return join(q, self.momentum(q, rng.uniform(-6.0, 6.0, (count, 2))))


DOUBLE_PENDULUM = DoublePendulum()
