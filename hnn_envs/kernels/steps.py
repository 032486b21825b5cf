"""Forces, rates and steps over lanes of environments.

A batch is cut into chunks of ``LANES`` rows, and a chunk is turned on its side: a buffer holds n quantities of all its
environments, so that every inner loop runs over neighbours in memory and compiles to vector instructions. One
environment is a chunk with one lane, compiled apart. Each number comes from the same operations in the same order
whatever its lane, so a state in a batch moves bit for bit as it does alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from hnn_envs.kernels.functions import cos, fma, log, sin
from hnn_envs.kernels.jit import borrowed, compiled, inlined
from hnn_envs.kernels.network import INPUTS, ONE, OUTPUTS, TARGET, TWO, ZERO, lanes_of, propagate

SPRING, PENDULUM, BODIES, SEPARABLE, PAIRWISE, GENERIC, FIELD = range(7)
"""What moves the state: a known potential, a learned one, V(q) or v(r), a learned H(x), or a learned x'."""

INVERSE_MASS, DAMPING, STRENGTH, LENGTH, CENTRE, INCLINE, MIRRORED = range(7)
"""``numbers``: 1/m; gamma; k, m g l, G m^2 or the unit of a learned energy; unit and origin of a network's input; the
slope of a linear term beside the network; whether a learned V(q) is made even."""


@inlined
def row(values: Any, index: int, lanes: int) -> Any:
    """One quantity of all lanes."""
    return values[index * lanes : (index + 1) * lanes]


@inlined
def add_force(kind: int, numbers: Any, net: Any, q: Any, force: Any, pull: Any, chunk: Any) -> None:
    """Adds -dV/dq, true or learned; ``net`` is None for the true systems, and ``pull`` is scratch space."""
    strength = numbers[STRENGTH]
    if kind in (BODIES, PAIRWISE):
        _add_attraction(numbers, net, q, force, pull, chunk)
    elif net is not None:
        sides = 2 if numbers[MIRRORED] else 1
        for side in range(sides):
            sign = 1.0 - 2.0 * side
            see(numbers, net, q, sign, chunk)
            propagate(net[0], net[1], net[2], ONE, chunk)
            _pull_back(net, -sign * strength / sides, numbers[LENGTH], force, chunk)
    elif kind == SPRING:
        for n in range(q.size):
            force[n] = fma(-strength, q[n], force[n])
    else:
        for n in range(q.size):
            force[n] = fma(-strength, sin(q[n]), force[n])


@inlined
def _add_attraction(numbers: Any, net: Any, q: Any, force: Any, pull: Any, chunk: Any) -> None:
    """Adds what each pair of bodies does, strength / r^2 or the learned v'(r); ``pull`` is scratch, a row per pair."""
    width = np.uint64(lanes_of(chunk))
    step = TWO * width
    pair, size = ZERO, np.uint64(q.size)
    for i in range(ZERO, size, step):
        for j in range(i + step, size, step):
            for k in range(width):
                dx, dy = q[i + k] - q[j + k], q[i + width + k] - q[j + width + k]
                pull[pair + k] = fma(dx, dx, dy * dy)
            pair += width
    if net is None:
        for n in range(pull.size):
            inverse = 1.0 / math.sqrt(pull[n])
            pull[n] = numbers[STRENGTH] * inverse * inverse * inverse
    else:
        _learned_pull(numbers, net, pull, chunk)
    pair = ZERO
    for i in range(ZERO, size, step):
        for j in range(i + step, size, step):
            for k in range(width):
                impulse = pull[pair + k] * (q[i + k] - q[j + k])
                force[i + k], force[j + k] = force[i + k] - impulse, force[j + k] + impulse
            for k in range(width, step):
                impulse = pull[pair + k - width] * (q[i + k] - q[j + k])
                force[i + k], force[j + k] = force[i + k] - impulse, force[j + k] + impulse
            pair += width


@inlined
def _learned_pull(numbers: Any, net: Any, pull: Any, chunk: Any) -> None:
    """Turns r^2 into v'(r) / r, where v = strength (network(z) + incline z), z = (ln r - centre) / length."""
    moves, weights, units, _, _ = net
    per_length, width, size = 1.0 / numbers[LENGTH], np.uint64(lanes_of(chunk)), np.uint64(pull.size)
    for n in range(size):
        units[n] = (0.5 * log(pull[n]) - numbers[CENTRE]) * per_length
    propagate(moves, weights, units, size // width, chunk)
    slope, apart = moves[-1, TARGET] * size, moves[-1, OUTPUTS] * width
    for pair in range(ZERO, size, width):
        for k in range(width):
            steepness = units[slope + k] + numbers[INCLINE]
            pull[pair + k] = numbers[STRENGTH] * per_length * steepness / pull[pair + k]
        slope += apart


@inlined
def see(numbers: Any, net: Any, values: Any, sign: float, chunk: Any) -> int:
    """Shows a network sign * values, as ``Features`` does: [linear / length, cosines, sines]; returns how many."""
    _, _, units, angles, turns = net
    lanes = lanes_of(chunk)
    linear = angles.size
    for i in range(angles.size):
        linear -= angles[i]
    at, turn = 0, 0
    for i in range(angles.size):
        source = row(values, i, lanes)
        if angles[i]:
            cosine, sine = row(turns, 2 * turn, lanes), row(turns, 2 * turn + 1, lanes)
            to_cosine, to_sine = row(units, linear + turn, lanes), row(units, angles.size + turn, lanes)
            for k in range(lanes):
                cosine[k], sine[k] = cos(source[k]), sign * sin(source[k])
            for k in range(lanes):
                to_cosine[k], to_sine[k] = cosine[k], sine[k]
            turn += 1
        else:
            target = row(units, at, lanes)
            for k in range(lanes):
                target[k] = sign * source[k] / numbers[LENGTH]
            at += 1
    return linear + 2 * turn


@inlined
def _pull_back(net: Any, factor: float, length: float, force: Any, chunk: Any) -> None:
    """Adds factor times the network's slope with respect to the coordinates that it was shown."""
    moves, _, units, angles, turns = net
    lanes = lanes_of(chunk)
    slopes = units[np.int64(moves[-1, TARGET]) * lanes :]
    linear = angles.size
    for i in range(angles.size):
        linear -= angles[i]
    at, turn = 0, 0
    for i in range(angles.size):
        target = row(force, i, lanes)
        if angles[i]:
            cosine, sine = row(turns, 2 * turn, lanes), row(turns, 2 * turn + 1, lanes)
            by_cosine, by_sine = row(slopes, linear + turn, lanes), row(slopes, angles.size + turn, lanes)
            for k in range(lanes):
                target[k] = fma(factor, fma(cosine[k], by_sine[k], -sine[k] * by_cosine[k]), target[k])
            turn += 1
        else:
            slope = row(slopes, at, lanes)
            for k in range(lanes):
                target[k] = fma(factor / length, slope[k], target[k])
            at += 1


@inlined
def rate(kind: int, numbers: Any, net: Any, x: Any, given: Any, held: Any, out: Any, pull: Any, chunk: Any) -> None:
    """Writes x' of a whole state into ``out``."""
    half, lanes = x.size // 2, lanes_of(chunk)
    p, dq, dp = x[half:], out[:half], out[half:]
    if kind <= PAIRWISE:
        for n in range(half):
            dq[n], dp[n] = numbers[INVERSE_MASS] * p[n], fma(-numbers[DAMPING], p[n], held[n])
        add_force(kind, numbers, net, x[:half], dp, pull, chunk)
    elif net is not None:
        moves, weights, units, _, _ = net
        seen = see(numbers, net, x, 1.0, chunk) * lanes
        for n in range(np.int64(moves[0, INPUTS]) * lanes - seen):
            units[seen + n] = given[n]
        propagate(moves, weights, units, ONE, chunk)
        result = units[np.int64(moves[-1, TARGET]) * lanes :]
        if kind == GENERIC:
            for n in range(half):
                dq[n], dp[n] = result[half + n], fma(-numbers[DAMPING], p[n], held[n]) - result[n]
        else:
            for n in range(half):
                dq[n], dp[n] = result[n], result[half + n] + held[n]


# Steps. Each advances all rows of x in place, a chunk at a time.


def network(moves: Any, weights: Any, angles: Any, scratch: Any, chunk: Any) -> Any:
    """What ``add_force`` and ``rate`` need of a network, with its buffers; None where there is none."""


@overload(network)
def _network(moves: Any, weights: Any, angles: Any, scratch: Any, chunk: Any) -> Any:
    return _without_network if weights == types.none else _with_network


def _without_network(moves: Any, weights: Any, angles: Any, scratch: Any, chunk: Any) -> Any:
    return None


def _with_network(moves: Any, weights: Any, angles: Any, scratch: Any, chunk: Any) -> Any:
    turns = 2 * angles.size * lanes_of(chunk)
    units = scratch[turns:].view(weights.dtype)
    return borrowed(moves), borrowed(weights), units, borrowed(angles), scratch[:turns]


@inlined
def pairs_of(kind: int, dof: int) -> int:
    """Pairs of bodies; 1 where there are no bodies."""
    bodies = dof // 2
    return bodies * (bodies - 1) // 2 if kind in (BODIES, PAIRWISE) else 1


@inlined
def scratch_rows(kind: int, dof: int, moves: Any, angles: Any) -> int:
    """How many quantities forces keep in scratch space: a pull for each pair, and a network's."""
    units = np.int64(moves[-1, TARGET] + moves[-1, OUTPUTS])
    return pairs_of(kind, dof) * (1 + units) + 2 * angles.size


@inlined
def load(x: Any, u: Any, inputs: Any, first: int, state: Any, given: Any, held: Any, chunk: Any) -> None:
    """Turns a chunk of rows on its side, and computes G u; lanes beyond the last row repeat it."""
    lanes, (dof, pushes) = lanes_of(chunk), inputs.shape
    for k in range(lanes):
        at = min(first + k, x.size // (2 * dof) - 1)
        for i in range(2 * dof):
            state[i * lanes + k] = x[at * 2 * dof + i]
        for i in range(pushes):
            given[i * lanes + k] = u[at * pushes + i]
    for i in range(dof):
        force = row(held, i, lanes)
        for k in range(lanes):
            force[k] = 0.0
        for j in range(pushes):
            source = row(given, j, lanes)
            for k in range(lanes):
                force[k] = fma(inputs[i, j], source[k], force[k])


@inlined
def store(state: Any, first: int, x: Any, size: int, chunk: Any) -> None:
    """Writes a chunk back."""
    lanes = lanes_of(chunk)
    for k in range(min(lanes, x.size // size - first)):
        for i in range(size):
            x[(first + k) * size + i] = state[i * lanes + k]


@compiled
def splitting(
    x: Any, u: Any, chunk: Any, stages: Any, kind: int, numbers: Any, inputs: Any, angles: Any, moves: Any, weights: Any
) -> int:
    """Alternates drifts and kicks; each row of ``stages`` is (drift, decay, impulse), the last is a drift alone."""
    lanes, (dof, pushes) = lanes_of(chunk), inputs.shape
    half, pushed, pairs = dof * lanes, pushes * lanes, pairs_of(kind, dof) * lanes
    buffers = np.empty(4 * half + pushed + scratch_rows(kind, dof, moves, angles) * lanes)
    rows = borrowed(buffers)
    q, p, force, held = rows[:half], rows[half:][:half], rows[2 * half :][:half], rows[3 * half :][:half]
    state, given, scratch = rows[: 2 * half], rows[4 * half :][:pushed], rows[4 * half + pushed :]
    net = network(moves, weights, angles, scratch[pairs:], chunk)
    x, u, stages, numbers, inputs = borrowed(x), borrowed(u), borrowed(stages), borrowed(numbers), borrowed(inputs)
    for first in range(0, x.size // (2 * dof), lanes):
        load(x, u, inputs, first, state, given, held, chunk)
        for n in range(half):
            q[n] = fma(stages[0, 0], p[n], q[n])
        for stage in range(stages.shape[0] - 1):
            decay, impulse, drift = stages[stage, 1], stages[stage, 2], stages[stage + 1, 0]
            for n in range(half):
                force[n] = held[n]
            add_force(kind, numbers, net, q, force, scratch[:pairs], chunk)
            for n in range(half):
                p[n] = fma(impulse, force[n], decay * p[n])
                q[n] = fma(drift, p[n], q[n])
        store(state, first, x, 2 * dof, chunk)
    return buffers.size  # which keeps the buffers until here


@compiled
def runge_kutta(
    x: Any, u: Any, chunk: Any, steps: Any, kind: int, numbers: Any, inputs: Any, angles: Any, moves: Any, weights: Any
) -> int:
    """The classical method; ``steps`` holds the lengths of its steps."""
    lanes, (dof, pushes) = lanes_of(chunk), inputs.shape
    size, pushed, pairs = 2 * dof * lanes, pushes * lanes, pairs_of(kind, dof) * lanes
    buffers = np.empty(5 * size + pushed + scratch_rows(kind, dof, moves, angles) * lanes)
    rows = borrowed(buffers)
    state, ahead, slope, total = rows[:size], rows[size:][:size], rows[2 * size :][:size], rows[3 * size :][:size]
    held, given, scratch = rows[4 * size :][: size // 2], rows[5 * size :][:pushed], rows[5 * size + pushed :]
    net = network(moves, weights, angles, scratch[pairs:], chunk)
    x, u, steps, numbers, inputs = borrowed(x), borrowed(u), borrowed(steps), borrowed(numbers), borrowed(inputs)
    for first in range(0, x.size // (2 * dof), lanes):
        load(x, u, inputs, first, state, given, held, chunk)
        for step in range(steps.size):
            h = steps[step]
            for n in range(size):
                ahead[n], total[n] = state[n], 0.0
            for stage in range(4):
                rate(kind, numbers, net, ahead, given, held, slope, scratch[:pairs], chunk)
                weight = 1.0 if stage in (0, 3) else 2.0
                length = h if stage == 2 else 0.5 * h
                for n in range(size):
                    total[n] = fma(weight, slope[n], total[n])
                    ahead[n] = fma(length, slope[n], state[n])
            for n in range(size):
                state[n] = fma(h / 6.0, total[n], state[n])
        store(state, first, x, 2 * dof, chunk)
    return buffers.size  # which keeps the buffers until here
