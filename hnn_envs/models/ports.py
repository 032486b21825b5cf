"""Damping and inputs of a learned port-Hamiltonian flow: learned where a family asks for it, else the system's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array, namespace
from hnn_envs.hamiltonian import Hamiltonian, PortHamiltonian
from hnn_envs.models.mlp import Parameters, Shapes
from hnn_envs.systems.spec import SystemSpec


@dataclass(frozen=True)
class Ports:
    """What is learned beside the Hamiltonian.

    Attributes:
        damping: learn gamma >= 0 (the dissipative HNN of Sosanya and Greydanus 2022); otherwise there is none.
        inputs: learn the input matrix G (Zhong et al. 2020); otherwise it is the system's, known by construction.
    """

    damping: bool = False
    inputs: bool = False

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Starts at little damping and a small random input matrix."""
        parameters: Parameters = {}
        if self.damping:
            parameters["log_damping"] = np.asarray(math.log(0.05))
        if self.inputs:
            parameters["input_matrix"] = 0.1 * rng.standard_normal(spec.force_matrix.shape)
        return parameters

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        damping: Shapes = {"log_damping": ()} if self.damping else {}
        return damping | ({"input_matrix": spec.force_matrix.shape} if self.inputs else {})

    def attach(self, hamiltonian: Hamiltonian, spec: SystemSpec, parameters: Parameters) -> PortHamiltonian:
        """Joins a learned Hamiltonian with its learned damping and input matrix."""
        damping = exponential(parameters["log_damping"]) if self.damping else None
        input_matrix = parameters["input_matrix"] if self.inputs else spec.force_matrix
        return PortHamiltonian(hamiltonian, input_matrix, damping)


def exponential(logarithm: Array) -> Array:
    """The exponential of a 0-d parameter: a float for NumPy, which steps faster, a tensor for torch, which trains."""
    return math.exp(logarithm) if isinstance(logarithm, np.ndarray | float) else namespace(logarithm).exp(logarithm)
