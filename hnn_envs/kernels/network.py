"""A multilayer perceptron over lanes of environments, forward and, for a gradient, backward again.

Buffers are flat: n quantities times lanes, of one environment or of a chunk of them. A network is run as a table of
``moves``; each is a matrix product and what is done to its outputs. Every sum is added in the same order for one
environment and in a chunk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from hnn_envs.kernels.functions import bell, fma, tanh
from hnn_envs.kernels.jit import inlined

LANES = 64
"""Rows per chunk: enough to fill registers, few enough for a wide network's activations to stay in the cache."""

MATRIX, BIAS, SOURCE, TARGET, INPUTS, OUTPUTS, AFTER, OTHER = range(8)
"""Columns of a move: where its matrix and bias begin in ``weights``, its inputs and outputs in ``units``; how many."""
NOTHING, TANH, BELL, CHAIN = range(4)
"""What is done to y: nothing; tanh y; tanh's slope as ``bell`` has it; y times the slope of OTHER units, 1 - h^2."""
BLOCK = 4
"""Outputs come in multiples of this."""

# Indices are unsigned, since Numba asks of signed ones whether they are negative, which keeps LLVM from vectorising;
# in chunks the distance of rows is constant, so that LLVM sees which of them cannot overlap.
ZERO, ONE, TWO, THREE, FOUR = (np.uint64(n) for n in range(5))
ROW, ROW2, ROW3 = (np.uint64(n * LANES) for n in range(1, 4))


def lanes_of(chunk: Any) -> Any:
    """The number of lanes, 1 where ``chunk`` is None and LANES where it is True: a constant, told by the type."""


@overload(lanes_of)
def _lanes_of(chunk: Any) -> Any:
    return _one_lane if chunk == types.none else _all_lanes


def _one_lane(chunk: Any) -> Any:
    return 1


def _all_lanes(chunk: Any) -> Any:
    return LANES


@inlined
def propagate(moves: Any, weights: Any, units: Any, copies: Any, chunk: Any) -> None:
    """Runs a network on the inputs at the start of ``units``, for each lane of each copy.

    The results are the targets of the last move. A place in ``units`` holds the copies one after another.
    """
    lanes = np.uint64(lanes_of(chunk))
    for n in range(moves.shape[0]):
        matrix, bias, inputs, outputs = moves[n, MATRIX], moves[n, BIAS], moves[n, INPUTS], moves[n, OUTPUTS]
        source, target = moves[n, SOURCE] * copies * lanes, moves[n, TARGET] * copies * lanes
        for copy in range(copies):
            of, to = source + copy * inputs * lanes, target + copy * outputs * lanes
            multiply(chunk, weights, matrix, bias, units, of, to, inputs, outputs)
        after, last = moves[n, AFTER], target + outputs * copies * lanes
        if after == TANH:
            for k in range(target, last):
                units[k] = tanh(units[k])
        elif after == BELL:
            for k in range(target, last):
                units[k] = bell(units[k])
        elif after == CHAIN:
            other = moves[n, OTHER] * copies * lanes
            for k in range(last - target):
                h = units[other + k]
                units[target + k] *= fma(-h, h, 1)


def multiply(
    chunk: Any, weights: Any, matrix: Any, bias: Any, units: Any, source: Any, target: Any, inputs: Any, outputs: Any
) -> None:
    """target[j] = bias[j] + sum_i source[i] matrix[i, j], added in the order of i."""


@overload(multiply)
def _multiply(
    chunk: Any, weights: Any, matrix: Any, bias: Any, units: Any, source: Any, target: Any, inputs: Any, outputs: Any
) -> Any:
    return _multiply_one if chunk == types.none else _multiply_chunk


def _multiply_one(
    chunk: Any, weights: Any, matrix: Any, bias: Any, units: Any, source: Any, target: Any, inputs: Any, outputs: Any
) -> None:
    """One lane: along the rows of the matrix, four at a time."""
    for j in range(outputs):
        units[target + j] = weights[bias + j]
    blocks = inputs - inputs % FOUR
    for i in range(ZERO, blocks, FOUR):
        of, one = source + i, matrix + i * outputs
        two, three, four = one + outputs, one + TWO * outputs, one + THREE * outputs
        a, b, c, d = units[of], units[of + ONE], units[of + TWO], units[of + THREE]
        for j in range(outputs):
            y = fma(b, weights[two + j], fma(a, weights[one + j], units[target + j]))
            units[target + j] = fma(d, weights[four + j], fma(c, weights[three + j], y))
    for i in range(blocks, inputs):
        a, one = units[source + i], matrix + i * outputs
        for j in range(outputs):
            units[target + j] = fma(a, weights[one + j], units[target + j])


def _multiply_chunk(
    chunk: Any, weights: Any, matrix: Any, bias: Any, units: Any, source: Any, target: Any, inputs: Any, outputs: Any
) -> None:
    """A chunk: four outputs and four inputs at a time, whose sixteen weights stay in registers."""
    single = inputs % FOUR
    for j in range(ZERO, outputs, FOUR):
        to, at = target + j * ROW, bias + j
        a0, a1, a2, a3 = weights[at], weights[at + ONE], weights[at + TWO], weights[at + THREE]
        for k in range(to, to + ROW):
            units[k], units[k + ROW], units[k + ROW2], units[k + ROW3] = a0, a1, a2, a3
        for i in range(single):
            of, at = source + i * ROW, matrix + i * outputs + j
            a0, a1, a2, a3 = weights[at], weights[at + ONE], weights[at + TWO], weights[at + THREE]
            for k in range(ROW):
                a, n = units[of + k], to + k
                units[n], units[n + ROW] = fma(a, a0, units[n]), fma(a, a1, units[n + ROW])
                units[n + ROW2], units[n + ROW3] = fma(a, a2, units[n + ROW2]), fma(a, a3, units[n + ROW3])
        for i in range(single, inputs, FOUR):
            of, at = source + i * ROW, matrix + i * outputs + j
            a0, a1, a2, a3 = weights[at], weights[at + ONE], weights[at + TWO], weights[at + THREE]
            at += outputs
            b0, b1, b2, b3 = weights[at], weights[at + ONE], weights[at + TWO], weights[at + THREE]
            at += outputs
            c0, c1, c2, c3 = weights[at], weights[at + ONE], weights[at + TWO], weights[at + THREE]
            at += outputs
            d0, d1, d2, d3 = weights[at], weights[at + ONE], weights[at + TWO], weights[at + THREE]
            for k in range(ROW):
                a, b, c, d = units[of + k], units[of + ROW + k], units[of + ROW2 + k], units[of + ROW3 + k]
                n = to + k
                units[n] = fma(d, d0, fma(c, c0, fma(b, b0, fma(a, a0, units[n]))))
                units[n + ROW] = fma(d, d1, fma(c, c1, fma(b, b1, fma(a, a1, units[n + ROW]))))
                units[n + ROW2] = fma(d, d2, fma(c, c2, fma(b, b2, fma(a, a2, units[n + ROW2]))))
                units[n + ROW3] = fma(d, d3, fma(c, c3, fma(b, b3, fma(a, a3, units[n + ROW3]))))
