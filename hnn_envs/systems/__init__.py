"""The physics, one file per system: H, its gradient, damping, inputs, invariants, initial states and a time scale.

To add a system, write its file and add a line to ``SYSTEMS``; the tests then cover it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import UnknownNameError
from hnn_envs.hamiltonian import Hamiltonian, PortHamiltonian
from hnn_envs.systems.mass_spring import MassSpring
from hnn_envs.systems.n_body import NBody
from hnn_envs.systems.pendulum import Pendulum
from hnn_envs.systems.pixel_pendulum import PixelPendulum
from hnn_envs.systems.real_pendulum import RealPendulum
from hnn_envs.systems.three_body import THREE_BODY
from hnn_envs.systems.two_body import TWO_BODY


class System(Hamiltonian, Protocol):
    """What every system states about itself, beside its Hamiltonian.

    Attributes:
        name: name in tables, cards and on the command line.
        dof: degrees of freedom; states have 2*dof entries.
        angles: which coordinates are angles, so that q and q + 2 pi are the same place.
        time_scale: a period, or for chaotic systems the Lyapunov time.
        max_step: the longest PEFRL step for which an environment step stays within 1e-9 of the exact flow.
        field: the true vector field with damping and inputs.
    """

    @property
    def name(self) -> str: ...
    @property
    def dof(self) -> int: ...
    @property
    def angles(self) -> tuple[bool, ...]: ...
    @property
    def time_scale(self) -> float: ...
    @property
    def max_step(self) -> float: ...
    @property
    def field(self) -> PortHamiltonian: ...

    def invariants(self, x: Array) -> dict[str, Array]:
        """Quantities that the free, undamped system conserves."""
        ...

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states of the seed paper's data, shape (count, 2*dof)."""
        ...


SYSTEMS: dict[str, System] = {
    system.name: system for system in (MassSpring(), Pendulum(), RealPendulum(), TWO_BODY, THREE_BODY, PixelPendulum())
}

__all__ = ["SYSTEMS", "MassSpring", "NBody", "Pendulum", "PixelPendulum", "RealPendulum", "System", "get_system"]


def get_system(name: str) -> System:
    """Returns the system called ``name``.

    Raises:
        UnknownNameError: there is no such system.
    """
    if name not in SYSTEMS:
        raise UnknownNameError.of("system", name, SYSTEMS)
    return SYSTEMS[name]
