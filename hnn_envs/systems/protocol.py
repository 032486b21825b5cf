"""What every system whose equations are known has."""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.hamiltonian import Hamiltonian, HamiltonianFlow
from hnn_envs.systems.spec import SystemSpec


@runtime_checkable
class System(Hamiltonian, Protocol):
    """A system whose equations are known: what it is, beside its Hamiltonian."""

    @property
    def spec(self) -> SystemSpec:
        """What the system is, without its equations."""
        ...

    @property
    def field(self) -> HamiltonianFlow:
        """The true vector field with damping and inputs."""
        ...

    def invariants(self, x: Array) -> dict[str, Array]:
        """Quantities that the free, undamped system conserves."""
        ...

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states, shape (count, 2*dof); of the paper's systems those of the seed paper's data."""
        ...


Known: TypeAlias = "System | SystemSpec"
"""A system with its equations, or one of which only recordings are known."""
