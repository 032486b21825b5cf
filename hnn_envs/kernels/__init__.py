"""Compiled steps: the same physics as the array code, as machine code over one state or a batch.

``compile_step`` is the only entry, and the only place that decides whether there is a kernel. What has none (DOP853,
the implicit midpoint rule, torch tensors, a field that a user wrote) is stepped by the array code, against which the
kernels are tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.hamiltonian import PortHamiltonian, Separable, VectorField
from hnn_envs.integrators import Integrator, Splitting, rk4
from hnn_envs.kernels import network as networks
from hnn_envs.kernels import steps
from hnn_envs.kernels.functions import BELL_UNIT
from hnn_envs.models.baseline import MLPField
from hnn_envs.models.features import Features
from hnn_envs.models.generic import GenericHamiltonian
from hnn_envs.models.mlp import MLP
from hnn_envs.models.pairwise import PairwiseHamiltonian
from hnn_envs.models.separable import MirroredHamiltonian, SeparableHamiltonian
from hnn_envs.systems.mass_spring import MassSpring
from hnn_envs.systems.n_body import NBody
from hnn_envs.systems.pendulum import Pendulum
from hnn_envs.systems.real_pendulum import RealPendulum

KNOWN: dict[Any, tuple[int, str]] = {
    MassSpring.potential_gradient: (steps.SPRING, "stiffness"),
    Pendulum.potential_gradient: (steps.PENDULUM, "gravity"),
    RealPendulum.potential_gradient: (steps.PENDULUM, "gravity"),
    NBody.potential_gradient: (steps.BODIES, "coupling"),
}
"""The method that is each true potential's gradient -> the same as machine code, and the name of its strength.

Systems that inherit the method have the same potential; one that overrides it does not, and gets array code.
"""


@dataclass(frozen=True)
class Physics:
    """A field as the compiled functions see it.

    Attributes:
        kind: what moves the state.
        inputs: G, shape (dof, inputs).
        network: None for the true systems; that of an energy has one output.
        features: what a network sees of the coordinates or the state.
        inverse_mass, damping, strength, centre, incline, mirrored: what ``steps`` calls ``numbers``.
    """

    kind: int
    inputs: Array
    network: MLP | None = None
    features: Features | None = None
    inverse_mass: float = 1.0
    damping: float = 0.0
    strength: float = 1.0
    centre: float = 0.0
    incline: float = 0.0
    mirrored: bool = False

    def arguments(self) -> tuple[Any, ...]:
        """The arguments kind, numbers, inputs, angles, moves, weights."""
        features = Features((), ()) if self.features is None else self.features
        angles = np.zeros(len(features.linear) + len(features.angular), dtype=np.int64)
        angles[list(features.angular)] = 1
        numbers = (self.inverse_mass, self.damping, self.strength, features.scale)
        moves, weights = np.zeros((1, 8), dtype=np.uint64), None
        if self.network is not None:
            moves, weights = plan(self.network, gradient=self.kind != steps.FIELD)
        return (
            self.kind,
            np.array((*numbers, self.centre, self.incline, self.mirrored), dtype=np.float64),
            np.array(self.inputs, dtype=np.float64),
            angles,
            moves,
            weights,
        )


FEW = 8
"""Fewer rows than this are faster one by one than as a chunk that is mostly empty."""


@dataclass(frozen=True)
class CompiledStep:
    """A step by machine code: states (..., 2*dof) and inputs (..., inputs) or None -> the next states.

    Attributes:
        kernel: the compiled function; its first arguments are flat states, changed in place, flat inputs, and None for
            one state or True for many.
        arguments: its other arguments.
        inputs: number of inputs.
    """

    kernel: Callable[..., int]
    arguments: tuple[Any, ...]
    inputs: int

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """The next states, a new array."""
        if u is None:
            u = np.zeros((*x.shape[:-1], self.inputs))
        elif u.ndim != x.ndim or (x.ndim > 1 and u.shape[:-1] != x.shape[:-1]):
            leading = np.broadcast_shapes(x.shape[:-1], u.shape[:-1])
            x, u = np.broadcast_to(x, (*leading, x.shape[-1])), np.broadcast_to(u, (*leading, u.shape[-1]))
        x, u = x.copy(), np.array(u, np.float64)  # Numba compiles anew for arrays that are read-only or not contiguous
        if x.ndim == 1:
            self.kernel(x, u, None, *self.arguments)
        elif x.size < FEW * x.shape[-1]:
            for row, held in zip(x.reshape(-1, x.shape[-1]), u.reshape(-1, self.inputs), strict=True):
                self.kernel(row, held, None, *self.arguments)
        else:
            self.kernel(x.reshape(-1), u.reshape(-1), True, *self.arguments)
        return x


def compile_step(field: VectorField, integrator: Integrator, dt: float, substeps: int) -> CompiledStep | None:
    """The compiled step of a field, or None where there is no kernel for it.

    Machine code is made at the first call, or read from Numba's cache on disk.
    """
    physics = _describe(field)
    if physics is None:
        return None
    h, inputs = dt / substeps, np.shape(physics.inputs)[-1]
    if integrator.step is rk4:
        return CompiledStep(steps.runge_kutta, (np.full(substeps, h), *physics.arguments()), inputs)
    if isinstance(integrator.step, Splitting):
        return CompiledStep(
            steps.splitting, (_stages(integrator.step, physics, h, substeps), *physics.arguments()), inputs
        )
    return None


def _describe(field: VectorField) -> Physics | None:
    """A field as the compiled functions see it; None where they cannot step it."""
    if isinstance(field, MLPField) and _is_plain(field.network):
        inputs = np.zeros_like(field.input_matrix) if field.learned_inputs else field.input_matrix
        return Physics(steps.FIELD, inputs, field.network, field.features)
    if not isinstance(field, PortHamiltonian):
        return None
    physics = _described_energy(field.hamiltonian, field.input_matrix)
    return None if physics is None else replace(physics, damping=float(field.damping or 0.0))


def _described_energy(energy: Any, inputs: Array) -> Physics | None:
    gradient = getattr(type(energy), "potential_gradient", None)
    if gradient in KNOWN and type(energy).kinetic_gradient is Separable.kinetic_gradient:
        kind, strength = KNOWN[gradient]
        return Physics(kind, inputs, inverse_mass=energy.inverse_mass, strength=getattr(energy, strength))
    if isinstance(energy, MirroredHamiltonian):
        physics = _described_energy(energy.original, inputs)
        return None if physics is None else replace(physics, mirrored=True)
    if not isinstance(energy, GenericHamiltonian | SeparableHamiltonian | PairwiseHamiltonian):
        return None
    network = energy.network
    if not _is_plain(network):
        return None
    if isinstance(energy, GenericHamiltonian):
        state = Features(tuple(range(len(network.weights[0]))), ())
        column = network.weights[-1][:, energy.output : energy.output + 1]
        network = replace(network, weights=(*network.weights[:-1], column))
        return Physics(steps.GENERIC, inputs, network, state)
    mass = float(energy.inverse_mass)
    if isinstance(energy, SeparableHamiltonian):
        return Physics(steps.SEPARABLE, inputs, network, energy.features, mass, strength=energy.scale)
    return Physics(
        steps.PAIRWISE,
        inputs,
        network,
        Features((0,), (), energy.spread),
        mass,
        strength=energy.energy,
        centre=energy.centre,
        incline=float(energy.slope),
    )


def _is_plain(network: MLP) -> bool:
    """Whether the compiled functions can run a network: NumPy's, with a hidden layer, and no deep one of log cosh."""
    hidden = len(network.weights) - 1
    return isinstance(network.weights[0], np.ndarray) and (hidden == 1 or (hidden > 1 and network.activation == "tanh"))


def plan(network: MLP, *, gradient: bool) -> tuple[Array, Array]:
    """The moves that run a network, shape (moves, 8), and the weights that they refer to.

    Layers are padded with units that do nothing, so that they come in whole blocks.

    Args:
        network: the network.
        gradient: gives the derivative of the only output with respect to the inputs, instead of the outputs.
    """
    moves = _Moves(len(network.weights[0]))
    matrices = [_padded(weight, rows=layer > 0) for layer, weight in enumerate(network.weights)]
    biases = [*network.biases, np.zeros_like(network.weights[-1][0])][: len(matrices)]
    last = len(matrices) - 1
    places = [0]
    for layer in range(last):
        after, unit = networks.TANH, 1.0  # tanh is the slope of log cosh, too
        if gradient and layer == last - 1 and network.activation == "tanh":
            after, unit = networks.BELL, BELL_UNIT
        places.append(moves.add(unit * matrices[layer], unit * biases[layer], places[-1], after))
    if not gradient:
        moves.add(matrices[last], biases[last], places[-1], networks.NOTHING)
        return moves.table, moves.weights
    place, seeds = places[last], (4.0 if after == networks.BELL else 1.0) * matrices[last][:, :1]
    for layer in reversed(range(last)):
        after = networks.CHAIN if layer else networks.NOTHING
        place = moves.add(_padded(seeds * matrices[layer].T), np.zeros(0), place, after, places[layer])
        seeds = np.ones_like(seeds[:1])
    return moves.table, moves.weights


class _Moves:
    """A growing table of moves; see ``networks.MATRIX`` and so on for its columns."""

    def __init__(self, inputs: int) -> None:
        self._rows: list[tuple[int, ...]] = []
        self._weights: list[Array] = []
        self._units, self._size = inputs, 0

    def add(self, matrix: Array, bias: Array, source: int, after: int, other: int = 0) -> int:
        """Appends a move; returns where its outputs are."""
        (inputs, outputs), target, at = matrix.shape, self._units, self._size
        self._rows.append((at, at + matrix.size, source, target, inputs, outputs, after, other))
        padding = np.zeros(outputs - len(bias), dtype=matrix.dtype)
        self._weights += [matrix.ravel(), bias.astype(matrix.dtype), padding]
        self._units, self._size = target + outputs, at + matrix.size + outputs
        return target

    @property
    def table(self) -> Array:
        """The moves, shape (moves, 8)."""
        return np.array(self._rows, dtype=np.uint64)

    @property
    def weights(self) -> Array:
        """All matrices and biases, one after another."""
        return np.concatenate(self._weights)


def _padded(matrix: Array, *, rows: bool = False) -> Array:
    """A matrix with zero columns, and zero rows too where asked for, up to the next whole block."""
    missing = [-size % networks.BLOCK for size in matrix.shape]
    return np.pad(matrix, ((0, missing[0] if rows else 0), (0, missing[1])))


def _stages(splitting: Splitting, physics: Physics, h: float, substeps: int) -> Array:
    """All drifts and kicks of a step, shape (kicks + 1, 3): drift / mass, then decay and impulse of the next kick.

    The last drift of a substep and the first of the next are one, and so are kicks that no drift parts.
    """
    each = len(splitting.kicks)
    drifts = np.zeros(each * substeps + 1)
    for first in range(0, each * substeps, each):
        drifts[first : first + each + 1] += np.multiply(splitting.drifts, h * physics.inverse_mass)
    apart = np.flatnonzero(np.append(True, drifts[1:-1] != 0.0))
    kicks = np.add.reduceat(h * np.tile(splitting.kicks, substeps), apart)
    growth = -np.expm1(-physics.damping * kicks)
    table = np.zeros((len(kicks) + 1, 3))
    table[:, 0] = np.append(drifts[apart], drifts[-1])
    table[:-1, 1], table[:-1, 2] = 1 - growth, growth / physics.damping if physics.damping else kicks
    return table
