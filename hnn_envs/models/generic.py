"""The seed paper's model: one network of the whole state, whose two outputs are a potential and a Hamiltonian."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hnn_envs.arrays import Array, join, like, split
from hnn_envs.components import Form
from hnn_envs.errors import UnknownNameError
from hnn_envs.hamiltonian import PortHamiltonian, VectorField
from hnn_envs.models.features import Features
from hnn_envs.models.mlp import MLP, Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.models.ports import Ports
from hnn_envs.systems.spec import SystemSpec

FIELD_TYPES = ("solenoidal", "conservative", "both")
CONSERVATIVE, SOLENOIDAL = 0, 1


@dataclass(frozen=True)
class GenericHamiltonian:
    """H(x) = one output of a network of the whole state; nothing is assumed, not even separability."""

    network: MLP
    output: int = SOLENOIDAL

    def value(self, x: Array) -> Array:
        """H(x), shape (...,)."""
        return self.network(x)[..., self.output]

    def gradient(self, x: Array) -> Array:
        """dH/dx, shape (..., 2*dof), in closed form."""
        return self.network.gradient(x, self.output)

    def compiled_form(self) -> Form:
        """How the gradient is compiled."""
        column = self.network.weights[-1][:, self.output : self.output + 1]
        energy = replace(self.network, weights=(*self.network.weights[:-1], column))
        whole_state = Features(tuple(range(len(self.network.weights[0]))), ())
        return Form("hnn_envs.kernels.whole_state", self, network=energy, features=whole_state)


@dataclass(frozen=True)
class HelmholtzField:
    """x' = grad F1 [+ J grad F2] + G u: the seed's "conservative" and "both" fields (Helmholtz decomposition).

    Not Hamiltonian when F1 is present: the paper's way to let a model lose or gain energy.
    """

    conservative: GenericHamiltonian
    solenoidal: PortHamiltonian | None
    input_matrix: Array

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """x', shape (..., 2*dof)."""
        gradient = self.conservative.gradient(x)
        if self.solenoidal is not None:
            return gradient + self.solenoidal(x, u)
        if u is None:
            return gradient
        first, second = split(gradient)
        return join(first, second + u @ like(self.input_matrix, u).T)


@dataclass(frozen=True)
class Config:
    """The generic HNN.

    Attributes:
        hidden: units of the hidden layers; the paper has (200, 200).
        field_type: "solenoidal" (an HNN), "conservative" (a gradient field) or "both".
        ports: what is learned beside it, for solenoidal fields.
    """

    hidden: tuple[int, ...] = (200, 200)
    field_type: str = "solenoidal"
    ports: Ports = field(default_factory=Ports)

    networks = ("network",)

    def __post_init__(self) -> None:
        if self.field_type not in FIELD_TYPES:
            raise UnknownNameError.of("field type", self.field_type, FIELD_TYPES)

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        return mlp_shapes("network", self._sizes(spec)) | self.ports.shapes(spec)

    def _sizes(self, spec: SystemSpec) -> tuple[int, ...]:
        return (2 * spec.dof, *self.hidden, 2)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters."""
        network = init_mlp(rng, "network", self._sizes(spec))
        return network | self.ports.init(spec, rng)

    def build(self, spec: SystemSpec, parameters: Parameters) -> VectorField:
        """The vector field with these parameters."""
        network = build_mlp(parameters, "network")
        flow = self.ports.attach(GenericHamiltonian(network), spec, parameters)
        if self.field_type == "solenoidal":
            return flow
        potential = GenericHamiltonian(network, CONSERVATIVE)
        return HelmholtzField(potential, flow if self.field_type == "both" else None, flow.input_matrix)
