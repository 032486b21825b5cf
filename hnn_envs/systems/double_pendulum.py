"""The double pendulum of Wiebe et al., IEEE Robot. Autom. Mag. 31(2) (2024), doi 10.1109/MRA.2023.3341257."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import cos
from hnn_envs.arrays import Array, join
from hnn_envs.components import Components
from hnn_envs.hamiltonian import LagrangianFlow, MachineFormulas, MachineHamiltonian, Mechanical, PortHamiltonian
from hnn_envs.hamiltonian.dissipation import Friction
from hnn_envs.systems.spec import Coordinate, Input, SystemSpec


def mass_matrix(system: DoublePendulum, q: Components) -> Components:
    """M(q): M11, M12 and M22."""
    _, elbow = q
    rotor, ratio = system.rotor_inertia, system.gear_ratio
    coupling = system.mass_2 * system.length_1 * system.centre_2 * cos(elbow)
    both = system.inertia_1 + system.inertia_2 + system.mass_2 * system.length_1**2 + (ratio**2 + 1) * rotor
    return (both + 2 * coupling, system.inertia_2 - ratio * rotor + coupling, system.inertia_2 + ratio**2 * rotor)


def potential(system: DoublePendulum, q: Components) -> Array:
    """V(q): 0 where both links hang."""
    shoulder, elbow = q
    lever_1 = system.mass_1 * system.centre_1 + system.mass_2 * system.length_1
    lever_2 = system.mass_2 * system.centre_2
    return system.gravity * (lever_1 * (1 - cos(shoulder)) + lever_2 * (1 - cos(shoulder + elbow)))


@dataclass(frozen=True)
class DoublePendulum(Mechanical):
    """Two links with a motor at each joint, the acrobot and the pendubot in one machine.

    M11 = I1 + I2 + m2 l1^2 + 2 m2 l1 r2 cos q2 + (n^2 + 1) Ir,  M12 = I2 + m2 l1 r2 cos q2 - n Ir,  M22 = I2 + n^2 Ir
    V(q) = m1 g r1 (1 - cos q1) + m2 g (l1 (1 - cos q1) + r2 (1 - cos(q1 + q2)))

    State x = [q, q'], shape (..., 4): the angle of the first link, 0 hanging, and of the second relative to the first,
    0 stretched, in rad and not wrapped, with their velocities. Inputs u, shape (..., 2): the torques at the shoulder
    and at the elbow, N m. The numbers are the published ones of the machine, design C.1, model 1.0: rotors that turn
    n times as fast as the joints, and friction that is viscous and dry.
    """

    mass_1: float = 0.52346  # m1, kg
    mass_2: float = 0.62557  # m2, kg
    length_1: float = 0.2  # l1, m, from the shoulder to the elbow
    centre_1: float = 0.2  # r1, m, from the shoulder to the centre of mass
    centre_2: float = 0.25569  # r2, m, from the elbow to the centre of mass
    inertia_1: float = 0.031887  # I1, kg m^2, about the shoulder
    inertia_2: float = 0.050870  # I2, kg m^2, about the elbow
    rotor_inertia: float = 6.2872e-5  # Ir, kg m^2
    gear_ratio: float = 6.0  # n
    gravity: float = 9.81  # g, m/s^2
    viscous_friction: tuple[float, float] = (0.001, 0.001)  # N m s/rad
    dry_friction: tuple[float, float] = (0.16, 0.12)  # N m, times arctan(100 q')

    formulas = MachineFormulas(mass_matrix, potential)

    @cached_property
    def spec(self) -> SystemSpec:
        """Two angles and two torques."""
        return SystemSpec(
            "double-pendulum",
            tuple(
                Coordinate(f"{joint} angle", "rad", angle=True, momentum=f"{joint} velocity", momentum_unit="rad/s")
                for joint in ("shoulder", "elbow")
            ),
            (Input("shoulder torque", "N m"), Input("elbow torque", "N m")),
            ((1.0, 0.0), (0.0, 1.0)),
            # Lyapunov time without friction: exponent 1.31 +- 0.06 by Benettin's method (two nearby trajectories,
            # renormalised) on 200 of the states below, from t = 2 s until 20 s; test_machine_methods measures it again.
            time_scale=0.76,
            longest_step=0.00045,
            chaotic=True,
            dissipative=True,
            velocities=True,
            time_unit="s",
            energy_unit="J",
        )

    @cached_property
    def field(self) -> LagrangianFlow:
        """The vector field with friction and both torques."""
        friction = Friction.of(self.viscous_friction, self.dry_friction, sharpness=100.0)
        return LagrangianFlow(PortHamiltonian(MachineHamiltonian(self), self.spec.force_matrix, dissipation=friction))

    def invariants(self, x: Array) -> dict[str, Array]:
        """The energy, which is conserved without friction."""
        return {"energy": self.value(x)}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """States (count, 4): any angles, velocities U(-6, 6) rad/s."""
        q = rng.uniform(-math.pi, math.pi, (count, 2))
        return join(q, rng.uniform(-6.0, 6.0, (count, 2)))


DOUBLE_PENDULUM = DoublePendulum()
