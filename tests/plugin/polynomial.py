"""A learned family: H = inverse_mass p^2 / 2 + a polynomial of each coordinate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import namespace
from hnn_envs.hamiltonian import PortHamiltonian, Separable


@dataclass(frozen=True)
class Polynomial(Separable):
    """V(q) = sum over coordinates and powers k = 1, ..., n of c_k q^k."""

    coefficients: object  # shape (n,)
    inverse_mass: object

    def potential(self, q):
        """V(q), shape (...,)."""
        value = 0.0 * q
        for power in range(len(self.coefficients), 0, -1):
            value = (value + self.coefficients[power - 1]) * q
        return value.sum(-1)

    def potential_gradient(self, q):
        """dV/dq, shape (..., dof)."""
        slope = 0.0 * q
        for power in range(len(self.coefficients), 0, -1):
            slope = slope * q + power * self.coefficients[power - 1]
        return slope


@dataclass(frozen=True)
class Config:
    """The polynomial family.

    Attributes:
        degree: of the polynomial.
    """

    degree: int = 4

    def init(self, spec, rng):
        """A random polynomial, mass 1."""
        return {"coefficients": 0.1 * rng.standard_normal(self.degree), "log_inverse_mass": np.asarray(0.0)}

    def build(self, spec, parameters):
        """The vector field."""
        logarithm = parameters["log_inverse_mass"]
        energy = Polynomial(parameters["coefficients"], namespace(logarithm).exp(logarithm))
        return PortHamiltonian(energy, spec.force_matrix)
