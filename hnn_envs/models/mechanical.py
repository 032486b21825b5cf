"""The mechanical network: any machine, its mass matrix and its potential learned by networks (Lutter et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hnn_envs.arrays import Array, namespace
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import HamiltonianFlow, LagrangianFlow, MachineHamiltonian, Mechanical
from hnn_envs.hamiltonian.dissipation import Dissipation
from hnn_envs.models.features import Features
from hnn_envs.models.friction import RayleighNetwork, friction_shapes, init_friction, learned_friction
from hnn_envs.models.mlp import MLP, Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.models.ports import Ports
from hnn_envs.models.settings import positive
from hnn_envs.systems.spec import SystemSpec


@dataclass(frozen=True)
class MechanicalNetwork(Mechanical):
    """M(q) = inertia (L L^T + floor 1) and V(q) = energy * network(features(q)), up to a constant.

    L is lower triangular. Its entries are the outputs of a network, row by row; those of the diagonal pass through
    (z + sqrt(z^2 + 4)) / 2, which is positive and smooth, so that M is positive definite everywhere.

    Attributes:
        masses: the network of L.
        heights: the network of V.
        features: what both see of q.
        inertia: unit of M.
        energy: unit of V.
        floor: least eigenvalue of M, in its unit.
    """

    masses: MLP
    heights: MLP
    features: Features
    inertia: float
    energy: float
    floor: float

    def mass_matrix(self, q: Array) -> Array:
        """M(q), shape (..., dof, dof)."""
        xp, size = namespace(q), q.shape[-1]
        outputs = self.masses(self.features(q))
        rows, zero, place = [], 0 * outputs[..., 0], 0
        for row in range(size):
            entries = [outputs[..., place + column] for column in range(row + 1)]
            place += row + 1
            entries[row] = 0.5 * (entries[row] + xp.sqrt(entries[row] ** 2 + 4))
            rows.append(xp.stack((*entries, *[zero] * (size - row - 1)), axis=-1))
        lower = xp.stack(rows, axis=-2)
        least = self.floor * (zero[..., None, None] + namespace(q).eye(size))
        return self.inertia * (lower @ xp.moveaxis(lower, -1, -2) + least)

    def potential(self, q: Array) -> Array:
        """V(q), shape (...,)."""
        return self.energy * self.heights(self.features(q))[..., 0]


@dataclass(frozen=True)
class Config:
    """The mechanical network, with viscous and dry friction.

    Attributes:
        hidden: units of the hidden layers of both networks.
        length: unit of the coordinates that are not angles.
        inertia: unit of M.
        energy: unit of V.
        floor: least eigenvalue of M, in its unit.
        friction: whether there is viscous and dry friction.
        sharpness: about how sharp dry friction is, in arctan(sharpness * velocity); it is learned from there.
        rayleigh: whether any other friction is learned too, as a convex, even function of the velocities.
        units: how many units that function has.
        ports: whether damping and input matrix are learned too.
    """

    hidden: tuple[int, ...] = (16,)
    length: float = positive(1.0)
    inertia: float = positive(1.0)
    energy: float = positive(1.0)
    floor: float = positive(1e-3)
    friction: bool = True
    sharpness: float = positive(50.0)
    rayleigh: bool = False
    units: int = 8
    ports: Ports = field(default_factory=Ports)

    networks = ("masses", "heights")

    def _sizes(self, spec: SystemSpec, outputs: int) -> tuple[int, ...]:
        if spec.bodies:
            raise InvalidOptionError(
                f"the mechanical family is of machines, and {spec.name!r} is made of bodies; use 'pairwise'"
            )
        return (Features.of(spec.angles).size, *self.hidden, outputs)

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters.

        Raises:
            InvalidOptionError: the system is made of bodies.
        """
        entries = spec.dof * (spec.dof + 1) // 2
        found = mlp_shapes("masses", self._sizes(spec, entries), output_bias=True)
        found |= mlp_shapes("heights", self._sizes(spec, 1))
        if self.friction:
            found |= friction_shapes(spec)
        if self.rayleigh:
            found |= {"directions": (spec.dof, self.units), "roots": (self.units,)}
        return found | self.ports.shapes(spec)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters: M near its unit, little friction."""
        entries = spec.dof * (spec.dof + 1) // 2
        parameters = init_mlp(rng, "masses", self._sizes(spec, entries), output_bias=True)
        for name in (f"masses.weight{len(self.hidden)}", f"masses.bias{len(self.hidden)}"):
            parameters[name] = 0.1 * parameters[name]
        parameters |= init_mlp(rng, "heights", self._sizes(spec, 1))
        if self.friction:
            parameters |= init_friction(spec)
        if self.rayleigh:
            parameters |= {"directions": rng.standard_normal((spec.dof, self.units))}
            parameters |= {"roots": 0.1 * rng.standard_normal(self.units)}
        return parameters | self.ports.init(spec, rng)

    def build(self, spec: SystemSpec, parameters: Parameters) -> HamiltonianFlow:
        """The vector field with these parameters."""
        machine = MechanicalNetwork(
            masses=build_mlp(parameters, "masses"),
            heights=build_mlp(parameters, "heights"),
            features=Features.of(spec.angles, self.length),
            inertia=self.inertia,
            energy=self.energy,
            floor=self.floor,
        )
        flow = self.ports.attach(MachineHamiltonian(machine), spec, parameters)
        flow = replace(flow, dissipation=self._dissipation(parameters))
        return LagrangianFlow(flow) if spec.velocities else flow

    def _dissipation(self, parameters: Parameters) -> Dissipation | None:
        friction = learned_friction(parameters, self.sharpness) if self.friction else None
        if not self.rayleigh:
            return friction
        return RayleighNetwork(friction, parameters["directions"], parameters["roots"])
