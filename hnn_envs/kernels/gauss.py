"""The implicit methods of Gauss over lanes of environments; ``hnn_envs.integrators.implicit`` is the array code.

The stages are found by fixed-point iteration, each with the newest values of the others. A lane stops where rounding is
all that changes it: with the first change that is not smaller than the last (Hairer, McLachlan, Razakarivony, BIT 48
(2008) 231), so that it has no trend. A state for which nothing contracts comes back as NaN.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from hnn_envs.integrators.implicit import ITERATIONS, ROUNDING
from hnn_envs.kernels.functions import fma
from hnn_envs.kernels.jit import borrowed, compiled, inlined
from hnn_envs.kernels.lanes import as_text, lanes_of, load, record, row, store
from hnn_envs.kernels.learned import scratch_rows, with_buffers
from hnn_envs.kernels.rates import STEP_CONSTANTS, Parts


@cache
def make_gauss(parts: Parts) -> Any:
    """The compiled step of the methods of Gauss."""
    rate, function, copies, enter, leave, formula, mass_matrix, potential, count, layout = parts
    names = as_text((*STEP_CONSTANTS, ("field", layout)))

    def gauss(
        x: Any, u: Any, chunk: Any, tableau: Any, steps: int, constants: Any, matrix: Any, friction: Any, *learned: Any
    ) -> int:
        """Steps by h each; the rows of ``tableau`` are h A, and the last is h b."""
        lanes, (dof, width), stages = lanes_of(chunk), matrix.shape, tableau.shape[1]
        size, driven, scratched = 2 * dof * lanes, width * lanes, copies(dof) * lanes
        more = scratch_rows(learned, copies(dof))
        buffers = np.empty((4 + stages) * size + driven + 3 * lanes + scratched + more * lanes)
        rows = borrowed(buffers)
        state, point, slope = rows[:size], rows[size:][:size], rows[2 * size :][:size]
        input_force, moves = rows[3 * size :][: size // 2], rows[4 * size :][: stages * size]
        rest = rows[(4 + stages) * size :]
        inputs, change = rest[:driven], rest[driven:][:lanes]
        smallest, settled = rest[driven + lanes :][:lanes], rest[driven + 2 * lanes :][:lanes]
        scratch = rest[driven + 3 * lanes :]
        net = with_buffers(learned, scratch[scratched:], chunk)
        x, u, tableau, matrix = borrowed(x), borrowed(u), borrowed(tableau), borrowed(matrix)
        named, scratch, friction = record(names, borrowed(constants)), scratch[:scratched], borrowed(friction)
        longest = 0.0
        for i in range(stages):
            longest += tableau[stages, i]
        for first in range(0, x.size // (2 * dof), lanes):
            load(x, u, matrix, first, state, inputs, input_force, chunk)
            enter(mass_matrix, potential, count, named.field, net, state, chunk)
            for _ in range(steps):
                rate(named, function, formula, mass_matrix, potential, count, net, state, inputs, input_force, slope,
                     scratch, friction, chunk)  # fmt: skip
                for i in range(stages):
                    for n in range(size):
                        moves[i * size + n] = slope[n]
                for k in range(lanes):
                    smallest[k], settled[k] = math.inf, 0.0
                for _ in range(ITERATIONS):
                    for k in range(lanes):
                        change[k] = 0.0
                    for i in range(stages):
                        add_moves(tableau, i, moves, state, point)
                        rate(named, function, formula, mass_matrix, potential, count, net, point, inputs, input_force,
                             slope, scratch, friction, chunk)  # fmt: skip
                        replace_moves(longest, slope, moves[i * size :][:size], change, settled, chunk)
                    if all_settled(change, smallest, settled):
                        break
                add_moves(tableau, stages, moves, state, point)
                for n in range(2 * dof):
                    to, source = row(state, n, lanes), row(point, n, lanes)
                    for k in range(lanes):
                        to[k] = source[k] if settled[k] != 0.0 else math.nan
            leave(mass_matrix, potential, count, named.field, net, state, chunk)
            store(state, first, x, 2 * dof, chunk)
        return buffers.size  # which keeps the buffers until here

    return compiled(gauss, *parts.functions())


@inlined
def add_moves(tableau: Any, line: int, moves: Any, state: Any, out: Any) -> None:
    """Writes state + sum_j tableau[line, j] moves_j."""
    size = state.size
    for n in range(size):
        out[n] = tableau[line, 0] * moves[n]
    for j in range(1, tableau.shape[1]):
        weight, move = tableau[line, j], moves[j * size :][:size]
        for n in range(size):
            out[n] = fma(weight, move[n], out[n])
    for n in range(size):
        out[n] = state[n] + out[n]


@inlined
def replace_moves(h: float, slope: Any, moves: Any, change: Any, settled: Any, chunk: Any) -> None:
    """Takes over new slopes where a lane has not settled, and notes how much h times them changed."""
    lanes = lanes_of(chunk)
    for entry in range(slope.size // lanes):
        new, old = row(slope, entry, lanes), row(moves, entry, lanes)
        for k in range(lanes):
            difference = abs(h * (new[k] - old[k])) / (1.0 + abs(h * new[k]))
            # NaN is kept: it compares false.
            change[k] = change[k] if difference <= change[k] else difference
            old[k] = old[k] if settled[k] != 0.0 else new[k]


@inlined
def all_settled(change: Any, smallest: Any, settled: Any) -> bool:
    """Marks the lanes that have settled, or that are NaN and stay so; tells whether all are."""
    count = 0
    for k in range(change.size):
        stale = not (change[k] < smallest[k]) and change[k] <= ROUNDING
        if stale or change[k] == 0.0 or math.isnan(change[k]):
            settled[k] = 1.0
        if change[k] < smallest[k]:
            smallest[k] = change[k]
        count += settled[k] != 0.0
    return count == change.size
