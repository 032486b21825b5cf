"""A multilayer perceptron over lanes of environments, forward and, for a gradient, backward again.

A network is run as a table of operations, which ``hnn_envs.kernels.operations`` makes. Each is a matrix product and
what is done to its outputs, such as tanh; the table says where operands and results are in two flat buffers,
``weights`` and ``units``. Every sum is added in the same order for one environment and in a chunk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from hnn_envs.kernels.functions import bell, cos, fma, sin, tanh
from hnn_envs.kernels.jit import inlined
from hnn_envs.kernels.lanes import LANES, lanes_of, row

MATRIX, BIAS, SOURCE, TARGET, INPUTS, OUTPUTS, AFTER, OTHER = range(8)
"""Columns of an operation: where its matrix and bias begin in ``weights``, its inputs and outputs in ``units``; how
many there are; what is done to the outputs, and with which other units."""
NOTHING, TANH, BELL, CHAIN = range(4)
"""What is done to y: nothing; tanh y; tanh's slope as ``bell`` has it; y times the slope of OTHER units, 1 - h^2."""
BLOCK = 4
"""Outputs come in multiples of this."""

# Indices are unsigned, since Numba asks of signed ones whether they are negative, which keeps LLVM from vectorising;
# in chunks the distance of rows is constant, so that LLVM sees which of them cannot overlap.
ZERO, ONE, TWO, THREE, FOUR = (np.uint64(n) for n in range(5))
ROW, ROW2, ROW3 = (np.uint64(n * LANES) for n in range(1, 4))


class Network(NamedTuple):
    """A network with its buffers.

    Attributes:
        operations: the table, shape (operations, 8).
        weights: all matrices and biases.
        units: buffer of the inputs and of the results of all operations.
        angles: 1 for each coordinate that is an angle, else 0.
        circle: buffer of the cosine and the sine of each angle.
    """

    operations: Any
    weights: Any
    units: Any
    angles: Any
    circle: Any


@inlined
def set_inputs(network: Any, values: Any, sign: float, length: float, chunk: Any) -> int:
    """Makes sign * values the inputs, as ``Features`` does: [linear / length, cosines, sines]; returns how many."""
    angles, units, lanes = network.angles, network.units, lanes_of(chunk)
    linear = angles.size
    for i in range(angles.size):
        linear -= angles[i]
    at, angle = 0, 0
    for i in range(angles.size):
        source = row(values, i, lanes)
        if angles[i]:
            cosine, sine = row(network.circle, 2 * angle, lanes), row(network.circle, 2 * angle + 1, lanes)
            to_cosine, to_sine = row(units, linear + angle, lanes), row(units, angles.size + angle, lanes)
            for k in range(lanes):
                cosine[k], sine[k] = cos(source[k]), sign * sin(source[k])
            for k in range(lanes):
                to_cosine[k], to_sine[k] = cosine[k], sine[k]
            angle += 1
        else:
            target = row(units, at, lanes)
            for k in range(lanes):
                target[k] = sign * source[k] / length
            at += 1
    return linear + 2 * angle


@inlined
def add_gradient(network: Any, factor: float, length: float, out: Any, chunk: Any) -> None:
    """Adds factor times the output's gradient with respect to the values that ``set_inputs`` was given."""
    angles, lanes = network.angles, lanes_of(chunk)
    slopes = outputs(network, chunk)
    linear = angles.size
    for i in range(angles.size):
        linear -= angles[i]
    at, angle = 0, 0
    for i in range(angles.size):
        target = row(out, i, lanes)
        if angles[i]:
            cosine, sine = row(network.circle, 2 * angle, lanes), row(network.circle, 2 * angle + 1, lanes)
            by_cosine, by_sine = row(slopes, linear + angle, lanes), row(slopes, angles.size + angle, lanes)
            for k in range(lanes):
                target[k] = fma(factor, fma(cosine[k], by_sine[k], -sine[k] * by_cosine[k]), target[k])
            angle += 1
        else:
            slope = row(slopes, at, lanes)
            for k in range(lanes):
                target[k] = fma(factor / length, slope[k], target[k])
            at += 1


@inlined
def outputs(network: Any, chunk: Any) -> Any:
    """The results of the last operation, for one copy."""
    return network.units[np.int64(network.operations[-1, TARGET]) * lanes_of(chunk) :]


@inlined
def run(network: Any, copies: Any, chunk: Any) -> None:
    """Runs a network on the inputs at the start of its units, for each lane of each copy.

    The results are the targets of the last operation. A place in ``units`` holds the copies one after another.
    """
    operations, weights, units = network.operations, network.weights, network.units
    lanes = np.uint64(lanes_of(chunk))
    for n in range(operations.shape[0]):
        matrix, bias = operations[n, MATRIX], operations[n, BIAS]
        inputs, results = operations[n, INPUTS], operations[n, OUTPUTS]
        source, target = operations[n, SOURCE] * copies * lanes, operations[n, TARGET] * copies * lanes
        for copy in range(copies):
            of, to = source + copy * inputs * lanes, target + copy * results * lanes
            multiply(chunk, weights, matrix, bias, units, of, to, inputs, results)
        after, last = operations[n, AFTER], target + results * copies * lanes
        if after == TANH:
            for k in range(target, last):
                units[k] = tanh(units[k])
        elif after == BELL:
            for k in range(target, last):
                units[k] = bell(units[k])
        elif after == CHAIN:
            other = operations[n, OTHER] * copies * lanes
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
