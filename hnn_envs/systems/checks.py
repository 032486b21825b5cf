"""Whether the equations of a system can be those of a machine: what a user states is checked before it is stepped."""

from __future__ import annotations

import math

import numpy as np

from hnn_envs.arrays import Array, join, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import (
    LagrangianFlow,
    MachineHamiltonian,
    PortHamiltonian,
    canonical,
    check_derivatives,
    check_mass_matrix,
)
from hnn_envs.hamiltonian.dissipation import check_dissipation
from hnn_envs.systems.protocol import Known
from hnn_envs.systems.spec import SystemSpec

COUNT = 256
SLOWER = (1.0, 0.1, 0.001)
"""Friction is looked at near rest, too, where dry friction turns around."""


def check_system(system: Known, low: Array | None = None, high: Array | None = None) -> None:
    """Checks that a system's mass matrix is symmetric and positive definite, and that its friction takes energy out.

    That is asked at states as the system samples them, at angles all the way round, and within a task's limits.

    Args:
        system: the system; one whose equations are not known has nothing to check.
        low: a task's lower limits of the state, shape (2*dof,); an infinite one is left to what the system samples.
        high: its upper limits.

    Raises:
        InvalidOptionError: a state at which it is not so.
    """
    if isinstance(system, SystemSpec) or not isinstance(canonical(system.field), PortHamiltonian):
        return
    states = _states(system.sample_states(np.random.default_rng(0), COUNT), system.spec.angles, low, high)
    try:
        _check_states(system.field, states)
    except InvalidOptionError as error:
        raise InvalidOptionError(f"the system {system.spec.name!r} cannot be stepped: {error}") from error


def _states(sampled: Array, angles: tuple[bool, ...], low: Array | None, high: Array | None) -> Array:
    """States (n, 2*dof) as they are sampled, and others from the whole range of each entry."""
    rng = np.random.default_rng(1)
    sampled = np.asarray(sampled, dtype=np.float64)
    least, most = sampled.min(0), sampled.max(0)
    turning = np.array([*angles, *(False for _ in angles)])
    least, most = np.where(turning, -math.pi, least), np.where(turning, math.pi, most)
    if low is not None and high is not None:
        least, most = np.where(np.isfinite(low), low, least), np.where(np.isfinite(high), high, most)
    return np.concatenate((sampled, rng.uniform(np.minimum(least, most), most, sampled.shape)))


def _check_states(field: PortHamiltonian | LagrangianFlow, states: Array) -> None:
    flow = field.canonical if isinstance(field, LagrangianFlow) else field
    q, velocities = split(states)
    energy = flow.hamiltonian
    if isinstance(energy, MachineHamiltonian):
        check_mass_matrix(energy.machine, states)
        if not isinstance(field, LagrangianFlow):
            velocities = energy.machine.velocity(q, velocities)
        check_derivatives(energy.machine, join(q, velocities)[::8])
    else:
        velocities = split(energy.gradient(states))[1]
    if flow.dissipation is not None:
        check_dissipation(flow.dissipation, np.concatenate([factor * velocities for factor in SLOWER]))
    if flow.damping is not None and not (np.isfinite(flow.damping).all() and np.all(np.asarray(flow.damping) >= 0)):
        raise InvalidOptionError(f"damping must be finite and not negative, not {flow.damping!r}")
