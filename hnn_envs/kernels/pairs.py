"""The force of ``PairwiseHamiltonian``: a network of the distance is the potential of each pair of bodies."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnn_envs.kernels.functions import exp, fma, log
from hnn_envs.kernels.jit import inlined
from hnn_envs.kernels.lanes import lanes_of
from hnn_envs.kernels.network import OUTPUTS, TARGET, TWO, ZERO, run


def copies(dof: int) -> int:
    """The network is run for each pair of bodies in the plane."""
    bodies = dof // 2
    return bodies * (bodies - 1) // 2


def add_force(
    formula: Any, count: int, constants: Any, network: Any, q: Any, force: Any, scratch: Any, chunk: Any
) -> None:
    """Adds -dV/dq, V(q) = sum of v(r) over pairs; ``scratch`` has a row for each of them."""
    width = np.uint64(lanes_of(chunk))
    step = TWO * width
    pair, size = ZERO, np.uint64(q.size)
    for i in range(ZERO, size, step):
        for j in range(i + step, size, step):
            for k in range(width):
                dx, dy = q[i + k] - q[j + k], q[i + width + k] - q[j + width + k]
                scratch[pair + k] = fma(dx, dx, dy * dy)
            pair += width
    slopes_over_distance(constants, network, scratch, chunk)
    pair = ZERO
    for i in range(ZERO, size, step):
        for j in range(i + step, size, step):
            for k in range(width):
                impulse = scratch[pair + k] * (q[i + k] - q[j + k])
                force[i + k], force[j + k] = force[i + k] - impulse, force[j + k] + impulse
            for k in range(width, step):
                impulse = scratch[pair + k - width] * (q[i + k] - q[j + k])
                force[i + k], force[j + k] = force[i + k] - impulse, force[j + k] + impulse
            pair += width


@inlined
def slopes_over_distance(constants: Any, network: Any, squares: Any, chunk: Any) -> None:
    """Turns r^2 into v'(r) / r, where v is what ``PairwiseHamiltonian`` says."""
    units, operations = network.units, network.operations
    per_spread, width, size = 1.0 / constants.spread, np.uint64(lanes_of(chunk)), np.uint64(squares.size)
    for n in range(size):
        units[n] = (0.5 * log(squares[n]) - constants.centre) * per_spread
    run(network, size // width, chunk)
    at, apart = operations[-1, TARGET] * size, operations[-1, OUTPUTS] * width
    for pair in range(ZERO, size, width):
        for k in range(width):
            steepness = constants.energy * per_spread * (units[at + k] + constants.slope)
            law = constants.power * constants.amplitude * exp(-0.5 * constants.power * log(squares[pair + k]))
            squares[pair + k] = (steepness - law) / squares[pair + k]
        at += apart
