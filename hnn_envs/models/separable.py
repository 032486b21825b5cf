"""The separable HNN: H = p^2 / 2m + V(q), m and V learned; with learned damping it is the dissipative HNN."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.components import Form
from hnn_envs.errors import UnknownNameError
from hnn_envs.hamiltonian import PortHamiltonian, Separable
from hnn_envs.models.features import Features
from hnn_envs.models.mlp import ACTIVATIONS, MLP, Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.models.ports import Ports, exponential
from hnn_envs.models.settings import positive
from hnn_envs.systems.spec import SystemSpec


@dataclass(frozen=True)
class SeparableHamiltonian(Separable):
    """H(q, p) = inverse_mass |p|^2 / 2 + scale * network(features(q)); a function on the circle for every angle."""

    network: MLP
    inverse_mass: Array
    features: Features
    scale: float

    def potential(self, q: Array) -> Array:
        """V(q), shape (...,), up to a constant."""
        return self.scale * self.network(self.features(q))[..., 0]

    def potential_gradient(self, q: Array) -> Array:
        """dV/dq, shape (..., dof), in closed form."""
        return self.scale * self.features.pull_back(q, self.network.gradient(self.features(q)))

    def compiled_form(self) -> Form:
        """How the force is compiled."""
        return Form(
            "hnn_envs.kernels.potential",
            self,
            network=self.network,
            features=self.features,
            inverse_mass=self.inverse_mass,
        )


@dataclass(frozen=True)
class MirroredHamiltonian(Separable):
    """A separable H whose V is made even, V(q) = (U(q) + U(-q)) / 2: left and right are alike.

    Noise leaves the place of a general potential's bottom uncertain; symmetry says that it is at q = 0.
    """

    original: SeparableHamiltonian

    @property
    def inverse_mass(self) -> Array:
        """1/m."""
        return self.original.inverse_mass

    def potential(self, q: Array) -> Array:
        """V(q), shape (...,), up to a constant."""
        return 0.5 * (self.original.potential(q) + self.original.potential(-q))

    def potential_gradient(self, q: Array) -> Array:
        """dV/dq, shape (..., dof), an odd function."""
        return 0.5 * (self.original.potential_gradient(q) - self.original.potential_gradient(-q))

    def compiled_form(self) -> Form:
        """How the force is compiled."""
        return replace(self.original.compiled_form(), kernel="hnn_envs.kernels.even_potential", owner=self)


@dataclass(frozen=True)
class Config:
    """The separable HNN.

    Attributes:
        hidden: units of the hidden layers of V.
        length: unit of the coordinates that are not angles.
        energy: unit of V.
        activation: of the units, a key of ``hnn_envs.models.mlp.ACTIVATIONS``.
        even: whether V(q) = V(-q) by construction.
        ports: whether damping and input matrix are learned too.
    """

    hidden: tuple[int, ...] = (16,)
    length: float = positive(1.0)
    energy: float = positive(1.0)
    activation: str = "tanh"
    even: bool = False
    ports: Ports = field(default_factory=Ports)

    networks = ("network",)

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise UnknownNameError.of("activation", self.activation, ACTIVATIONS)

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        network = mlp_shapes("network", self._sizes(spec))
        return network | {"log_inverse_mass": ()} | self.ports.shapes(spec)

    def _sizes(self, spec: SystemSpec) -> tuple[int, ...]:
        return (Features.of(spec.angles).size, *self.hidden, 1)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters, the mass started at 1."""
        parameters = init_mlp(rng, "network", self._sizes(spec)) | {"log_inverse_mass": np.asarray(0.0)}
        if self.activation != "tanh":  # units that level off nowhere need bends spread over the data
            for name in ("network.weight0", "network.bias0"):
                parameters[name] = rng.standard_normal(parameters[name].shape)
        return parameters | self.ports.init(spec, rng)

    def build(self, spec: SystemSpec, parameters: Parameters) -> PortHamiltonian:
        """The vector field with these parameters."""
        hamiltonian = SeparableHamiltonian(
            network=build_mlp(parameters, "network", self.activation),
            inverse_mass=exponential(parameters["log_inverse_mass"]),
            features=Features.of(spec.angles, self.length),
            scale=self.energy,
        )
        chosen = MirroredHamiltonian(hamiltonian) if self.even else hamiltonian
        return self.ports.attach(chosen, spec, parameters)
