"""The paper's control experiment: an MLP that outputs the vector field itself, without any Hamiltonian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array, like, namespace
from hnn_envs.components import Form
from hnn_envs.hamiltonian import VectorField
from hnn_envs.models.features import Features
from hnn_envs.models.mlp import MLP, Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.systems.spec import SystemSpec


@dataclass(frozen=True)
class MLPField:
    """x' = network(features(x), u) if inputs are learned, else network(features(x)) + [0, G u]."""

    network: MLP
    features: Features
    input_matrix: Array
    learned_inputs: bool

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """x', shape (..., 2*dof)."""
        xp, seen = namespace(x), self.features(x)
        if self.learned_inputs:
            held = xp.zeros_like(x[..., : self.input_matrix.shape[-1]]) if u is None else u
            held = xp.broadcast_to(held, (*seen.shape[:-1], held.shape[-1]))
            return self.network(xp.concat((seen, held), axis=-1))
        rate = self.network(seen)
        if u is None:
            return rate
        force = u @ like(self.input_matrix, u).T
        return rate + xp.concat((xp.zeros_like(force), force), axis=-1)

    def compiled_form(self) -> Form:
        """How the field is compiled; the force of inputs that are learned comes from the network alone."""
        matrix = 0.0 * self.input_matrix if self.learned_inputs else self.input_matrix
        return Form(
            "hnn_envs.kernels.vector_field",
            self,
            network=self.network,
            features=self.features,
            derivative=False,
            input_matrix=matrix,
        )


@dataclass(frozen=True)
class Config:
    """The baseline.

    Attributes:
        hidden: units of the hidden layers; the paper has (200, 200).
        inputs: whether the network also sees the input; otherwise G is the system's, known by construction.
        angles: whether angles enter as cosine and sine; the paper's baseline sees the bare angle.
    """

    hidden: tuple[int, ...] = (200, 200)
    inputs: bool = False
    angles: bool = False

    networks = ("network",)

    def _features(self, spec: SystemSpec) -> Features:
        marks = spec.angles if self.angles else (False,) * spec.dof
        return Features.of((*marks, *(False,) * spec.dof))

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        return mlp_shapes("network", self._sizes(spec))

    def _sizes(self, spec: SystemSpec) -> tuple[int, ...]:
        extra = spec.force_matrix.shape[-1] if self.inputs else 0
        return (self._features(spec).size + extra, *self.hidden, 2 * spec.dof)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters."""
        return init_mlp(rng, "network", self._sizes(spec))

    def build(self, spec: SystemSpec, parameters: Parameters) -> VectorField:
        """The vector field with these parameters."""
        return MLPField(build_mlp(parameters, "network"), self._features(spec), spec.force_matrix, self.inputs)
