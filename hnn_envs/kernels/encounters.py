"""Steps of bodies that meet, over lanes: ``hnn_envs.integrators.encounters`` as machine code.

A chunk of states takes the steps of the splitting together. Those whose pairs were too fast for them go alone, in one
lane, from where they were, so that a state in a batch moves bit for bit as it does alone.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from hnn_envs.components import Layout
from hnn_envs.integrators.encounters import MOST_STEPS, SHARE
from hnn_envs.kernels.functions import fma
from hnn_envs.kernels.jit import borrowed, compiled, inlined
from hnn_envs.kernels.lanes import as_text, lanes_of, load, record, store
from hnn_envs.kernels.learned import scratch_rows, with_buffers
from hnn_envs.kernels.rates import STEP_CONSTANTS

STAGES = 12
TRIANGLE = STAGES * STAGES
"""Entries of the matrix of the method of Dormand and Prince; its weights follow."""


@cache
def make_encounters(copies: Any, add_force: Any, formula: Any, count: int, layout: Layout) -> Any:
    """The compiled step of the bodies of a force; states (rows, 2*dof), flat, are changed in place."""
    names = as_text((*STEP_CONSTANTS, ("field", layout)))

    def encounters(
        x: Any, u: Any, chunk: Any, stages: Any, constants: Any, matrix: Any, tableau: Any, limits: Any, *learned: Any
    ) -> int:
        """Alternates drifts and kicks as ``make_splitting`` does; ``limits`` are the fastest pace and the duration."""
        lanes, (dof, width) = lanes_of(chunk), matrix.shape
        half, driven, scratched = dof * lanes, width * lanes, copies(dof) * lanes
        more = scratch_rows(learned, copies(dof))
        alone = copies(dof) + more + (STAGES + 2) * (2 * dof + 2) + 2 * dof + 1
        buffers = np.empty(4 * half + driven + scratched + more * lanes + lanes + alone)
        rows = borrowed(buffers)
        q, p, force, input_force = rows[:half], rows[half:][:half], rows[2 * half :][:half], rows[3 * half :][:half]
        state, inputs, rest = rows[: 2 * half], rows[4 * half :][:driven], rows[4 * half + driven :]
        paces, scratch, single = rest[:lanes], rest[lanes + alone :], rest[lanes:][:alone]
        y, pushes = single[: 2 * dof + 2], single[2 * dof + 2 :][:dof]
        net = with_buffers(learned, scratch[scratched:], chunk)
        net_alone = with_buffers(learned, single[alone - more :], None)
        x, u, stages, matrix = borrowed(x), borrowed(u), borrowed(stages), borrowed(matrix)
        named, tableau, limits = record(names, borrowed(constants)), borrowed(tableau), borrowed(limits)
        fastest, states, last = limits[0] * limits[0], x.size // (2 * dof), stages.shape[0] - 1
        for first in range(0, states, lanes):
            load(x, u, matrix, first, state, inputs, input_force, chunk)
            for k in range(lanes):
                paces[k] = 0.0
            for stage in range(stages.shape[0]):
                for n in range(half):
                    q[n] = fma(stages[stage, 0], p[n], q[n])
                    force[n] = input_force[n]
                add_force(formula, count, named.field, net, q, force, scratch[:scratched], chunk)
                if stage % last == 0:
                    note_paces(named, q, p, force, paces, chunk)
                    calm = False
                    for k in range(lanes):
                        calm |= paces[k] <= fastest
                    if not calm:
                        break
                for n in range(half if stage < last else 0):
                    p[n] = fma(stages[stage, 2], force[n], stages[stage, 1] * p[n])
            for k in range(min(lanes, states - first)):
                if not paces[k] <= fastest:
                    for i in range(2 * dof):
                        y[i] = x[(first + k) * 2 * dof + i]
                    for i in range(dof):
                        pushes[i] = input_force[i * lanes + k]
                    pass_through(add_force, formula, count, named, net_alone, single, tableau, limits[1], dof, copies)
                    for i in range(2 * dof):
                        state[i * lanes + k] = y[i]
            store(state, first, x, 2 * dof, chunk)
        return buffers.size  # which keeps the buffers until here

    parts = (copies, add_force, formula)
    return compiled(encounters, *(part for part in parts if part is not None))


@inlined
def note_paces(named: Any, q: Any, p: Any, force: Any, paces: Any, chunk: Any) -> None:
    """Raises the squared paces, one for each lane, to those of the fastest pairs; what is not finite becomes NaN."""
    width = lanes_of(chunk)
    step = 2 * width
    for i in range(0, q.size, step):
        for j in range(i + step, q.size, step):
            for k in range(width):
                apart, speed, pull = 0.0, 0.0, 0.0
                for axis in range(0, step, width):
                    a, b = i + axis + k, j + axis + k
                    dq, dp = q[a] - q[b], p[a] - p[b]
                    df = fma(-named.damping, dp, force[a] - force[b])
                    apart, speed, pull = fma(dq, dq, apart), fma(dp, dp, speed), fma(df, df, pull)
                speed *= named.inverse_mass * named.inverse_mass
                pace = max(speed / apart, named.inverse_mass * math.sqrt(pull / apart))
                paces[k] = (pace if pace > paces[k] else paces[k]) + (pace - pace)


@inlined
def closest_body(q: Any) -> int:
    """The first body of the closest pair of one state."""
    body, least = 0, math.inf
    for i in range(0, q.size, 2):
        for j in range(i + 2, q.size, 2):
            dx, dy = q[i] - q[j], q[i + 1] - q[j + 1]
            apart = fma(dx, dx, dy * dy)
            if apart < least:
                body, least = i, apart
    return body


@inlined
def write_slope(
    add_force: Any, formula: Any, count: int, named: Any, network: Any, y: Any, pushes: Any, slope: Any, scratch: Any
) -> None:
    """Writes x' of one state, whose origin stands behind it and rests."""
    dof = pushes.size
    p, dq, dp = y[dof:], slope[:dof], slope[dof:][:dof]
    for n in range(dof):
        dq[n], dp[n] = named.inverse_mass * p[n], fma(-named.damping, p[n], pushes[n])
    slope[2 * dof], slope[2 * dof + 1] = 0.0, 0.0
    add_force(formula, count, named.field, network, y[:dof], dp, scratch, None)


@inlined
def pass_through(
    add_force: Any,
    formula: Any,
    count: int,
    named: Any,
    network: Any,
    buffers: Any,
    tableau: Any,
    duration: float,
    dof: int,
    copies: Any,
) -> None:
    """Takes one state through its encounters, or to NaN where two bodies have met.

    ``buffers`` begin with the state and its origin, and the push of the inputs on each coordinate.
    """
    size = 2 * dof + 2
    y, pushes, ahead = buffers[:size], buffers[size:][:dof], buffers[size + dof :][:size]
    slopes = buffers[2 * size + dof :][: STAGES * size]
    rest = buffers[(STAGES + 2) * size + dof :]
    force, paces, scratch = rest[:dof], rest[dof:][:1], rest[dof + 1 :][: copies(dof)]
    left, step, body = abs(duration), 0.0, 0
    y[size - 2], y[size - 1] = 0.0, 0.0
    for _ in range(MOST_STEPS):
        for n in range(size):
            ahead[n] = y[n]
        for stage in range(STAGES):
            slope = slopes[stage * size :][:size]
            write_slope(add_force, formula, count, named, network, ahead, pushes, slope, scratch)
            if stage == 0:
                body, h = closest_body(y[:dof]), longest_step(named, y, slope, force, paces, left)
                left, step = left - h, math.copysign(h, duration)
                move_origin(y, body)
            move_origin(slope, body)
            row = tableau[(stage + 1) * STAGES :][:STAGES]
            for n in range(size):
                ahead[n] = 0.0
            for before in range(stage + 1):
                for n in range(size):
                    ahead[n] = fma(row[before], slopes[before * size + n], ahead[n])
            for n in range(size):
                ahead[n] = fma(step, ahead[n], y[n])
        for n in range(size):
            y[n] = ahead[n]
        if not left > 0.0:
            break
    for n in range(dof):
        y[n] = y[n] + y[size - 2 + n % 2] if left == 0.0 else math.nan
        y[dof + n] = y[dof + n] if left == 0.0 else math.nan


@inlined
def longest_step(named: Any, y: Any, slope: Any, force: Any, paces: Any, left: float) -> float:
    """The next step of one state; NaN where bodies have met."""
    dof = force.size
    for n in range(dof):  # the force without the damping, which is told apart there
        force[n] = fma(named.damping, y[dof + n], slope[dof + n])
    paces[0] = 0.0
    note_paces(named, y[:dof], y[dof : 2 * dof], force, paces, None)
    h = left / max(1.0, math.ceil(left * max(math.sqrt(paces[0]), named.damping) / SHARE))
    return h if left - h < left and paces[0] >= 0.0 else math.nan  # where they meet, rounding swallows the step


@inlined
def move_origin(y: Any, body: int) -> None:
    """Moves the origin of a state, which stands behind it, to a body; of a slope, the origin's own slope."""
    at_x, at_y = y[body], y[body + 1]
    for n in range(0, y.size // 2 - 1, 2):
        y[n], y[n + 1] = y[n] - at_x, y[n + 1] - at_y
    y[y.size - 2], y[y.size - 1] = y[y.size - 2] + at_x, y[y.size - 1] + at_y
