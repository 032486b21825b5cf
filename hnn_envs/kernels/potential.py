"""The force of ``SeparableHamiltonian``: a network of the coordinates is the potential."""

from __future__ import annotations

from typing import Any

from hnn_envs.kernels.jit import inlined
from hnn_envs.kernels.network import ONE, add_gradient, run, set_inputs


def copies(dof: int) -> int:
    """The network is run once for a state."""
    return 1


def add_force(
    formula: Any, count: int, constants: Any, network: Any, q: Any, force: Any, scratch: Any, chunk: Any
) -> None:
    """Adds -dV/dq, V(q) = scale network(features(q))."""
    add_share(constants.scale, constants.features.scale, network, q, 1.0, force, chunk)


@inlined
def add_share(scale: float, length: float, network: Any, q: Any, sign: float, force: Any, chunk: Any) -> None:
    """Adds -d/dq of scale network(features(sign q)), sign being 1 or -1."""
    set_inputs(network, q, sign, length, chunk)
    run(network, ONE, chunk)
    add_gradient(network, -sign * scale, length, force, chunk)
