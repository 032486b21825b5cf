"""The systems, one file each: what the system is (a ``SystemSpec``) and, where they are known, its equations.

To add a system, write its file and a line in ``SYSTEMS``, or call ``register_system`` from outside; the tests then
cover it. A name of the form "module:object" is a system, too. Systems from outside are checked when they are first
used.
"""

from __future__ import annotations

from hnn_envs.errors import NoTruthError
from hnn_envs.registry import Registry
from hnn_envs.systems.checks import check_system
from hnn_envs.systems.protocol import Known, System
from hnn_envs.systems.spec import Coordinate, Input, Stepping, SystemSpec

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
    check=check_system,
)

__all__ = [
    "SYSTEMS",
    "Coordinate",
    "Input",
    "Known",
    "Stepping",
    "System",
    "SystemSpec",
    "check_system",
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
        InvalidOptionError: another system has this name; or its mass matrix or its friction cannot be a machine's,
            which for "module:object" is found when it is first used.
    """
    if not isinstance(system, str):
        check_system(system)
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
        InvalidOptionError: its mass matrix or its friction cannot be a machine's.
    """
    if isinstance(system, str):
        return SYSTEMS[system]
    name = spec_of(system).name
    if name not in SYSTEMS or SYSTEMS[name] is not system:
        check_system(system)
    return system


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
