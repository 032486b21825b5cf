"""The rate of ``GenericHamiltonian``: a network of the whole state is the energy."""

from __future__ import annotations

from typing import Any

from hnn_envs.kernels.functions import fma
from hnn_envs.kernels.network import ONE, outputs, run, set_inputs


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
    """Writes x' = [dH/dp, -dH/dq - damping p + G u]."""
    half = x.size // 2
    p, dq, dp = x[half:], out[:half], out[half:]
    set_inputs(network, x, 1.0, 1.0, chunk)
    run(network, ONE, chunk)
    gradient = outputs(network, chunk)
    for n in range(half):
        dq[n], dp[n] = gradient[half + n], fma(-damping, p[n], input_force[n]) - gradient[n]
