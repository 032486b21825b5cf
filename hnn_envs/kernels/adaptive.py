"""The explicit method that chooses its steps, over lanes; ``hnn_envs.integrators.adaptive`` is the array code.

A lane takes the steps that its state would take alone. When it is through, the next row of the batch takes its place,
so that no lane waits for the slowest of a chunk.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from hnn_envs.integrators.adaptive import LARGEST_FACTOR, MOST_ATTEMPTS, SAFETY, SMALLEST_FACTOR
from hnn_envs.kernels.functions import fma
from hnn_envs.kernels.jit import borrowed, compiled, inlined
from hnn_envs.kernels.lanes import as_text, lanes_of, load, record, row, store
from hnn_envs.kernels.learned import scratch_rows, with_buffers
from hnn_envs.kernels.rates import STEP_CONSTANTS, Parts

STAGES = 12
LANE_ROWS = 7  # h, share, left, fifth, third, their sums: see below


@cache
def make_adaptive(parts: Parts) -> Any:
    """The compiled step of the method of Dormand and Prince."""
    rate, function, copies, enter, leave, formula, mass_matrix, potential, count, layout = parts
    names = as_text((*STEP_CONSTANTS, ("field", layout)))

    def adaptive(
        x: Any,
        u: Any,
        chunk: Any,
        span: Any,
        tableau: Any,
        constants: Any,
        matrix: Any,
        friction: Any,
        *learned: Any,
    ) -> int:
        """Advances by span[0] with errors of at most span[1] a step.

        The rows of ``tableau`` are A and b of 12 stages, then the two error estimates of 13 slopes.
        """
        lanes, (dof, width) = lanes_of(chunk), matrix.shape
        size, driven, scratched = 2 * dof * lanes, width * lanes, copies(dof) * lanes
        more = scratch_rows(learned, copies(dof))
        buffers = np.empty((STAGES + 4) * size + driven + LANE_ROWS * lanes + scratched + more * lanes)
        places = np.empty(2 * lanes, np.int64)
        rows = borrowed(buffers)
        slopes, state = rows[: (STAGES + 1) * size], rows[(STAGES + 1) * size :][:size]
        point, rest = rows[(STAGES + 2) * size :][:size], rows[(STAGES + 3) * size :]
        input_force, inputs, lane_rows = rest[: size // 2], rest[size:][:driven], rest[size + driven :]
        h, share, left = lane_rows[:lanes], lane_rows[lanes:][:lanes], lane_rows[2 * lanes :][:lanes]
        sums = lane_rows[3 * lanes :][: 4 * lanes]
        scratch = lane_rows[LANE_ROWS * lanes :]
        net = with_buffers(learned, scratch[scratched:], chunk)
        x, u, span, tableau = borrowed(x), borrowed(u), borrowed(span), borrowed(tableau)
        matrix, friction, scratch = borrowed(matrix), borrowed(friction), scratch[:scratched]
        named, taken = record(names, borrowed(constants)), borrowed(places)
        last, total = slopes[STAGES * size :], x.size // (2 * dof)
        for first in range(0, total, lanes):
            load(x, u, matrix, first, state, inputs, input_force, chunk)
            enter(mass_matrix, potential, count, named.field, net, state, chunk)
            store(state, first, x, 2 * dof, chunk)
        load(x, u, matrix, 0, state, inputs, input_force, chunk)
        following, active = min(lanes, total), min(lanes, total)
        for k in range(lanes):
            taken[k], taken[lanes + k] = k if k < total else -1, 0
            share[k], left[k] = 1.0, 1.0 if k < total else 0.0
        rate(named, function, formula, mass_matrix, potential, count, net, state, inputs, input_force, slopes[:size],
             scratch, friction, chunk)  # fmt: skip
        while active > 0:
            for k in range(lanes):
                h[k] = span[0] * share[k] if left[k] > 0.0 else 0.0
            for stage in range(1, STAGES + 1):
                advance(tableau, stage, slopes, h, state, point, chunk)
                rate(named, function, formula, mass_matrix, potential, count, net, point, inputs, input_force,
                     slopes[stage * size :][:size], scratch, friction, chunk)  # fmt: skip
            estimate(tableau, span[1], slopes, h, state, point, sums, chunk)
            choose(sums, state, point, slopes[:size], last, share, left, taken, chunk)
            fresh = False
            for k in range(lanes):
                if taken[k] < 0 or is_busy(state, share, left, taken, k, lanes):
                    continue
                for i in range(2 * dof):
                    x[taken[k] * 2 * dof + i] = state[i * lanes + k] if left[k] == 0.0 else math.nan
                left[k], taken[k] = 0.0, -1
                if following == total:
                    active -= 1
                    continue
                take(x, u, matrix, following, k, state, inputs, input_force, chunk)
                taken[k], taken[lanes + k], share[k], left[k] = following, 0, 1.0, 1.0
                following += 1
                fresh = True
            if fresh:
                rate(named, function, formula, mass_matrix, potential, count, net, state, inputs, input_force, last,
                     scratch, friction, chunk)  # fmt: skip
                for i in range(2 * dof):
                    to, source = row(slopes, i, lanes), row(last, i, lanes)
                    for k in range(lanes):
                        to[k] = source[k] if left[k] == 1.0 else to[k]
        for first in range(0, total, lanes):
            load(x, u, matrix, first, state, inputs, input_force, chunk)
            leave(mass_matrix, potential, count, named.field, net, state, chunk)
            store(state, first, x, 2 * dof, chunk)
        return buffers.size + places.size  # which keeps the buffers until here

    return compiled(adaptive, *parts.functions())


@inlined
def advance(tableau: Any, line: int, slopes: Any, h: Any, state: Any, out: Any, chunk: Any) -> None:
    """Writes state + h sum_j tableau[line, j] slopes_j, each lane with its own h."""
    lanes, size = lanes_of(chunk), state.size
    for n in range(size):
        out[n] = tableau[line, 0] * slopes[n]
    for j in range(1, line):
        weight, slope = tableau[line, j], slopes[j * size :][:size]
        if weight != 0.0:
            for n in range(size):
                out[n] = fma(weight, slope[n], out[n])
    for entry in range(size // lanes):
        to, of = row(out, entry, lanes), row(state, entry, lanes)
        for k in range(lanes):
            to[k] = fma(h[k], to[k], of[k])


@inlined
def estimate(
    tableau: Any, tolerance: float, slopes: Any, h: Any, state: Any, proposed: Any, sums: Any, chunk: Any
) -> None:
    """Writes the errors of all lanes over the tolerance into the first row of ``sums``."""
    lanes, size = lanes_of(chunk), state.size
    fifths, thirds = sums[:lanes], sums[lanes:][:lanes]
    fifth, third = sums[2 * lanes :][:lanes], sums[3 * lanes :][:lanes]
    for k in range(lanes):
        fifths[k], thirds[k] = 0.0, 0.0
    for entry in range(size // lanes):
        for k in range(lanes):
            fifth[k], third[k] = 0.0, 0.0
        for j in range(STAGES + 1):
            slope = row(slopes[j * size :], entry, lanes)
            a, b = tableau[STAGES + 1, j], tableau[STAGES + 2, j]
            if a != 0.0 or b != 0.0:
                for k in range(lanes):
                    fifth[k], third[k] = fma(a, slope[k], fifth[k]), fma(b, slope[k], third[k])
        old, new = row(state, entry, lanes), row(proposed, entry, lanes)
        for k in range(lanes):
            larger = abs(old[k]) if abs(old[k]) > abs(new[k]) else abs(new[k])
            unit = 1.0 / (tolerance * (1.0 + larger))
            a, b = fifth[k] * unit, third[k] * unit
            fifths[k], thirds[k] = fma(a, a, fifths[k]), fma(b, b, thirds[k])
    entries = size // lanes
    for k in range(lanes):
        norm = math.sqrt((fifths[k] + 0.01 * thirds[k]) * entries)
        fifths[k] = abs(h[k]) * fifths[k] / (norm if norm > 0.0 else 1.0)


@inlined
def choose(
    sums: Any, state: Any, proposed: Any, first: Any, last: Any, share: Any, left: Any, taken: Any, chunk: Any
) -> None:
    """Takes over the steps whose error is small enough, and chooses the next ones."""
    lanes = lanes_of(chunk)
    errors, passed = sums[:lanes], sums[lanes:][:lanes]
    for k in range(lanes):
        passed[k] = 1.0 if errors[k] <= 1.0 and left[k] > 0.0 else 0.0
        left[k] = left[k] - share[k] if passed[k] != 0.0 else left[k]
        error = errors[k] if errors[k] > 1e-12 else 1e-12
        factor = SAFETY / math.sqrt(math.sqrt(math.sqrt(error)))
        factor = factor if factor < LARGEST_FACTOR else LARGEST_FACTOR
        # An error that is not finite compares false, and divides the step by the most.
        factor = factor if factor > SMALLEST_FACTOR and errors[k] < math.inf else SMALLEST_FACTOR
        length = share[k] * factor
        share[k] = length if length < left[k] else left[k]
        taken[lanes + k] += 1
    for entry in range(state.size // lanes):
        x, y = row(state, entry, lanes), row(proposed, entry, lanes)
        old, new = row(first, entry, lanes), row(last, entry, lanes)
        for k in range(lanes):
            x[k] = y[k] if passed[k] != 0.0 else x[k]
            old[k] = new[k] if passed[k] != 0.0 else old[k]


@inlined
def is_busy(state: Any, share: Any, left: Any, taken: Any, k: int, lanes: int) -> bool:
    """Whether a lane has a way to go, and can."""
    busy = left[k] > 0.0 and left[k] + share[k] > left[k] and taken[lanes + k] < MOST_ATTEMPTS
    for i in range(state.size // lanes):
        busy &= math.isfinite(state[i * lanes + k])
    return busy


@inlined
def take(x: Any, u: Any, matrix: Any, at: int, k: int, state: Any, inputs: Any, input_force: Any, chunk: Any) -> None:
    """Loads one row of the batch into one lane."""
    lanes, (dof, count) = lanes_of(chunk), matrix.shape
    for i in range(2 * dof):
        state[i * lanes + k] = x[at * 2 * dof + i]
    for j in range(count):
        inputs[j * lanes + k] = u[at * count + j]
    for i in range(dof):
        force = 0.0
        for j in range(count):
            force = fma(matrix[i, j], inputs[j * lanes + k], force)
        input_force[i * lanes + k] = force
