"""The table of operations by which the kernels run a network, and the weights that it refers to."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.kernels import network as networks
from hnn_envs.kernels.functions import BELL_UNIT
from hnn_envs.models.mlp import MLP


def can_run(network: MLP) -> bool:
    """Whether the kernels can run a network: NumPy's, with a hidden layer, and no deep one of log cosh."""
    hidden = len(network.weights) - 1
    return isinstance(network.weights[0], np.ndarray) and (hidden == 1 or (hidden > 1 and network.activation == "tanh"))


def plan(network: MLP, *, derivative: bool) -> tuple[Array, Array]:
    """The operations that run a network, shape (operations, 8), and the weights that they refer to.

    Layers are padded with units that do nothing, so that they come in whole blocks.

    Args:
        network: the network.
        derivative: gives the derivative of the only output with respect to the inputs, instead of the outputs.
    """
    table = _Table(len(network.weights[0]))
    matrices = [_padded(weight, rows=layer > 0) for layer, weight in enumerate(network.weights)]
    biases = [*network.biases, np.zeros_like(network.weights[-1][0])][: len(matrices)]
    last = len(matrices) - 1
    places = [0]
    for layer in range(last):
        after, unit = networks.TANH, 1.0  # tanh is the slope of log cosh, too
        if derivative and layer == last - 1 and network.activation == "tanh":
            after, unit = networks.BELL, BELL_UNIT
        places.append(table.add(unit * matrices[layer], unit * biases[layer], places[-1], after))
    if not derivative:
        table.add(matrices[last], biases[last], places[-1], networks.NOTHING)
        return table.operations, table.weights
    place, seeds = places[last], (4.0 if after == networks.BELL else 1.0) * matrices[last][:, :1]
    for layer in reversed(range(last)):
        after = networks.CHAIN if layer else networks.NOTHING
        place = table.add(_padded(seeds * matrices[layer].T), np.zeros(0), place, after, places[layer])
        seeds = np.ones_like(seeds[:1])
    return table.operations, table.weights


class _Table:
    """A growing table of operations; see ``networks.MATRIX`` and so on for its columns."""

    def __init__(self, inputs: int) -> None:
        self._rows: list[tuple[int, ...]] = []
        self._weights: list[Array] = []
        self._units, self._size = inputs, 0

    def add(self, matrix: Array, bias: Array, source: int, after: int, other: int = 0) -> int:
        """Appends an operation; returns where its results are."""
        (inputs, outputs), target, at = matrix.shape, self._units, self._size
        self._rows.append((at, at + matrix.size, source, target, inputs, outputs, after, other))
        padding = np.zeros(outputs - len(bias), dtype=matrix.dtype)
        self._weights += [matrix.ravel(), bias.astype(matrix.dtype), padding]
        self._units, self._size = target + outputs, at + matrix.size + outputs
        return target

    @property
    def operations(self) -> Array:
        """The operations, shape (operations, 8)."""
        return np.array(self._rows, dtype=np.uint64)

    @property
    def weights(self) -> Array:
        """All matrices and biases, one after another."""
        return np.concatenate(self._weights)


def _padded(matrix: Array, *, rows: bool = False) -> Array:
    """A matrix with zero columns, and zero rows too where asked for, up to the next whole block."""
    missing = [-size % networks.BLOCK for size in matrix.shape]
    return np.pad(matrix, ((0, missing[0] if rows else 0), (0, missing[1])))
