"""The rate of ``MLPField``: a network of the state, and of the inputs where they are learned, is x'."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnn_envs.kernels.lanes import lanes_of
from hnn_envs.kernels.network import INPUTS, ONE, outputs, run, set_inputs


def copies(dof: int) -> int:
    """The network is run once for a state."""
    return 1


def write_rate(
    mass_matrix: Any,
    potential: Any,
    count: int,
    constants: Any,
    damping: float,
    network: Any,
    x: Any,
    inputs: Any,
    input_force: Any,
    out: Any,
    chunk: Any,
) -> None:
    """Writes x' = network(features(x), u) + [0, G u], G being zero where the network sees the inputs."""
    half, lanes = x.size // 2, lanes_of(chunk)
    dq, dp = out[:half], out[half:]
    of_state = set_inputs(network, x, 1.0, constants.features.scale, chunk) * lanes
    for n in range(np.int64(network.operations[0, INPUTS]) * lanes - of_state):
        network.units[of_state + n] = inputs[n]
    run(network, ONE, chunk)
    rate = outputs(network, chunk)
    for n in range(half):
        dq[n], dp[n] = rate[n], rate[half + n] + input_force[n]
