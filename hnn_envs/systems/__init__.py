"""The systems, one file each: what the system is (a ``SystemSpec``) and, where they are known, its equations.

To add a system, write its file and a line in ``SYSTEMS``, or call ``register_system`` from outside; the tests then
cover it. A name of the form "module:object" is a system, too.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import NoTruthError
from hnn_envs.hamiltonian import Hamiltonian, HamiltonianFlow
from hnn_envs.registry import Registry
from hnn_envs.systems.spec import Coordinate, Input, Stepping, SystemSpec


@runtime_checkable
class System(Hamiltonian, Protocol):
    """A system whose equations are known: what it is, beside its Hamiltonian.

    Attributes:
        spec: what the system is, without its equations.
        field: the true vector field with damping and inputs.
    """

    @property
    def spec(self) -> SystemSpec: ...
    @property
    def field(self) -> HamiltonianFlow: ...

    def invariants(self, x: Array) -> dict[str, Array]:
        """Quantities that the free, undamped system conserves."""
        ...

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states, shape (count, 2*dof); of the paper's systems those of the seed paper's data."""
        ...


Known: TypeAlias = "System | SystemSpec"
"""A system with its equations, or one of which only recordings are known."""

SYSTEMS: Registry[Known] = Registry(
    "system",
    {
        "mass-spring": "hnn_envs.systems.mass_spring:MASS_SPRING",
        "pendulum": "hnn_envs.systems.pendulum:PENDULUM",
        "real-pendulum": "hnn_envs.systems.real_pendulum:REAL_PENDULUM",
        "two-body": "hnn_envs.systems.two_body:TWO_BODY",
        "three-body": "hnn_envs.systems.three_body:THREE_BODY",
        "cart-pole": "hnn_envs.systems.cart_pole:CART_POLE",
        "double-pendulum": "hnn_envs.systems.double_pendulum:DOUBLE_PENDULUM",
    },
    instances=True,
)

__all__ = [
    "SYSTEMS",
    "Coordinate",
    "Input",
    "Known",
    "Stepping",
    "System",
    "SystemSpec",
    "find_truth",
    "get_spec",
    "get_system",
    "known_truth",
    "register_system",
    "resolve_system",
    "spec_of",
    "truth_of",
]


def register_system(system: Known | str, name: str | None = None) -> None:
    """Makes a system known by its name.

    Args:
        system: a ``System``, a ``SystemSpec`` of one whose equations are unknown, or where either is, "module:object".
        name: its name; needed for "module:object", which is not imported before it is used.

    Raises:
        InvalidOptionError: another system has this name.
    """
    SYSTEMS.register(name or spec_of(system if not isinstance(system, str) else SYSTEMS[system]).name, system)


def spec_of(system: Known) -> SystemSpec:
    """What a system is, whether its equations are known or not."""
    return system if isinstance(system, SystemSpec) else system.spec


def truth_of(system: Known) -> System | None:
    """The equations of a system; None where they are not known."""
    return None if isinstance(system, SystemSpec) else system


def resolve_system(system: str | Known) -> Known:
    """The system that a name stands for, a registered one or "module:object"; a system stands for itself.

    Raises:
        UnknownNameError: there is no such system.
    """
    return SYSTEMS[system] if isinstance(system, str) else system


def find_truth(spec: SystemSpec) -> System | None:
    """The registered equations of the very system that a spec describes; None where there are none."""
    truth = truth_of(SYSTEMS[spec.name]) if spec.name in SYSTEMS else None
    return truth if truth is not None and truth.spec == spec else None


def get_spec(name: str) -> SystemSpec:
    """Returns what the system called ``name`` is.

    Raises:
        UnknownNameError: there is no such system.
    """
    return spec_of(SYSTEMS[name])


def get_system(name: str) -> System:
    """Returns the equations of the system called ``name``.

    Raises:
        UnknownNameError: there is no such system.
        NoTruthError: only recordings of it are known.
    """
    return known_truth(SYSTEMS[name])


def known_truth(system: Known) -> System:
    """The equations of a system.

    Raises:
        NoTruthError: they are not known.
    """
    if isinstance(system, SystemSpec):
        raise NoTruthError.of(system.name)
    return system
