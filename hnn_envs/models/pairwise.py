"""The pairwise n-body HNN: H = sum |p_i|^2 / 2m + sum_{i<j} v(|q_i - q_j|), m and v learned, all bodies alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hnn_envs.arrays import Array, namespace
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import PortHamiltonian, Separable
from hnn_envs.models.mlp import MLP, Parameters, build_mlp, init_mlp
from hnn_envs.models.ports import Ports, exponential
from hnn_envs.systems import NBody, System
from hnn_envs.systems.pairs import gather, separations


@dataclass(frozen=True)
class PairwiseHamiltonian(Separable):
    """H with one learned pair potential v of the logarithm and the value of the distance; conserves both momenta."""

    network: MLP
    inverse_mass: Array
    bodies: int
    scale: float

    def potential(self, q: Array) -> Array:
        """V(q) = sum_{i<j} v(r_ij), shape (...,), up to a constant."""
        _, distances = separations(q, self.bodies)
        return self.scale * self.network(self._inputs(distances))[..., 0].sum(-1)

    def potential_gradient(self, q: Array) -> Array:
        """dV/dq, shape (..., 2*bodies), in closed form."""
        differences, distances = separations(q, self.bodies)
        gradient = self.network.gradient(self._inputs(distances))
        slope = self.scale * (gradient[..., 0] / distances + gradient[..., 1])
        return gather((slope / distances)[..., None] * differences, self.bodies)

    @staticmethod
    def _inputs(distances: Array) -> Array:
        xp = namespace(distances)
        return xp.stack((xp.log(distances), distances), axis=-1)


@dataclass(frozen=True)
class Config:
    """The pairwise HNN.

    Attributes:
        hidden: units of the hidden layers of v.
        energy: unit of v.
        ports: whether damping and input matrix are learned too.
    """

    hidden: tuple[int, ...] = (32,)
    energy: float = 1.0
    ports: Ports = field(default_factory=Ports)

    def init(self, system: System, rng: np.random.Generator) -> Parameters:
        """Random parameters, the mass started at 1."""
        parameters = init_mlp(rng, "network", (2, *self.hidden, 1)) | {"log_inverse_mass": np.asarray(0.0)}
        return parameters | self.ports.init(system, rng)

    def build(self, system: System, parameters: Parameters) -> PortHamiltonian:
        """The vector field with these parameters.

        Raises:
            InvalidOptionError: the system is not made of bodies that attract each other.
        """
        if not isinstance(system, NBody):
            raise InvalidOptionError(f"the pairwise family needs an n-body system, and {system.name!r} is none")
        hamiltonian = PairwiseHamiltonian(
            network=build_mlp(parameters, "network"),
            inverse_mass=exponential(parameters["log_inverse_mass"]),
            bodies=system.bodies,
            scale=self.energy,
        )
        return self.ports.attach(hamiltonian, system, parameters)
