"""Steps over lanes of environments, by the splittings and by the classical Runge-Kutta method.

Each number comes from the same operations in the same order whatever its lane, so a state in a batch moves bit for bit
as it does alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hnn_envs.components import Layout
from hnn_envs.kernels.functions import fma
from hnn_envs.kernels.jit import borrowed, compiled
from hnn_envs.kernels.lanes import as_text, lanes_of, load, record, store
from hnn_envs.kernels.learned import scratch_rows, with_buffers
from hnn_envs.kernels.rates import STEP_CONSTANTS, Parts


@cache
def make_splitting(copies: Any, add_force: Any, formula: Any, count: int, layout: Layout) -> Any:
    """The compiled step of the splittings for a force; states (rows, 2*dof), flat, are changed in place."""
    names = as_text((*STEP_CONSTANTS, ("field", layout)))

    def splitting(x: Any, u: Any, chunk: Any, stages: Any, constants: Any, matrix: Any, *learned: Any) -> int:
        """Alternates drifts and kicks; each row of ``stages`` is (drift, decay, impulse), the last is a drift alone."""
        lanes, (dof, width) = lanes_of(chunk), matrix.shape
        half, driven, scratched = dof * lanes, width * lanes, copies(dof) * lanes
        more = scratch_rows(learned, copies(dof))
        buffers = np.empty(4 * half + driven + scratched + more * lanes)
        rows = borrowed(buffers)
        q, p, force, input_force = rows[:half], rows[half:][:half], rows[2 * half :][:half], rows[3 * half :][:half]
        state, inputs, scratch = rows[: 2 * half], rows[4 * half :][:driven], rows[4 * half + driven :]
        net = with_buffers(learned, scratch[scratched:], chunk)
        x, u, stages, matrix = borrowed(x), borrowed(u), borrowed(stages), borrowed(matrix)
        named = record(names, borrowed(constants))
        for first in range(0, x.size // (2 * dof), lanes):
            load(x, u, matrix, first, state, inputs, input_force, chunk)
            for n in range(half):
                q[n] = fma(stages[0, 0], p[n], q[n])
            for stage in range(stages.shape[0] - 1):
                decay, impulse, drift = stages[stage, 1], stages[stage, 2], stages[stage + 1, 0]
                for n in range(half):
                    force[n] = input_force[n]
                add_force(formula, count, named.field, net, q, force, scratch[:scratched], chunk)
                for n in range(half):
                    p[n] = fma(impulse, force[n], decay * p[n])
                    q[n] = fma(drift, p[n], q[n])
            store(state, first, x, 2 * dof, chunk)
        return buffers.size  # which keeps the buffers until here

    return compiled(splitting, *(part for part in (copies, add_force, formula) if part is not None))


@cache
def make_runge_kutta(parts: Parts) -> Any:
    """The compiled step of the classical method."""
    rate, function, copies, enter, leave, formula, mass_matrix, potential, count, layout = parts
    names = as_text((*STEP_CONSTANTS, ("field", layout)))

    def runge_kutta(
        x: Any, u: Any, chunk: Any, steps: Any, constants: Any, matrix: Any, friction: Any, *learned: Any
    ) -> int:
        """The classical method; ``steps`` holds the lengths of its steps."""
        lanes, (dof, width) = lanes_of(chunk), matrix.shape
        size, driven, scratched = 2 * dof * lanes, width * lanes, copies(dof) * lanes
        more = scratch_rows(learned, copies(dof))
        buffers = np.empty(5 * size + driven + scratched + more * lanes)
        rows = borrowed(buffers)
        state, ahead, slope, total = rows[:size], rows[size:][:size], rows[2 * size :][:size], rows[3 * size :][:size]
        input_force, inputs = rows[4 * size :][: size // 2], rows[5 * size :][:driven]
        scratch = rows[5 * size + driven :]
        net = with_buffers(learned, scratch[scratched:], chunk)
        x, u, steps, matrix = borrowed(x), borrowed(u), borrowed(steps), borrowed(matrix)
        named, scratch, friction = record(names, borrowed(constants)), scratch[:scratched], borrowed(friction)
        for first in range(0, x.size // (2 * dof), lanes):
            load(x, u, matrix, first, state, inputs, input_force, chunk)
            enter(mass_matrix, potential, count, named.field, net, state, chunk)
            for step in range(steps.size):
                h = steps[step]
                for n in range(size):
                    ahead[n], total[n] = state[n], 0.0
                for stage in range(4):
                    rate(named, function, formula, mass_matrix, potential, count, net, ahead, inputs, input_force,
                         slope, scratch, friction, chunk)  # fmt: skip
                    weight = 1.0 if stage in (0, 3) else 2.0
                    length = h if stage == 2 else 0.5 * h
                    for n in range(size):
                        total[n] = fma(weight, slope[n], total[n])
                        ahead[n] = fma(length, slope[n], state[n])
                for n in range(size):
                    state[n] = fma(h / 6.0, total[n], state[n])
            leave(mass_matrix, potential, count, named.field, net, state, chunk)
            store(state, first, x, 2 * dof, chunk)
        return buffers.size  # which keeps the buffers until here

    return compiled(runge_kutta, *parts.functions())
