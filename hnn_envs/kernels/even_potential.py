"""The force of ``MirroredHamiltonian``: a network of the coordinates, made even, is the potential."""

from __future__ import annotations

from typing import Any

from hnn_envs.kernels.potential import add_share


def copies(dof: int) -> int:
    """The network is run twice for a state, one time after the other."""
    return 1


def add_force(
    formula: Any, count: int, constants: Any, network: Any, q: Any, force: Any, scratch: Any, chunk: Any
) -> None:
    """Adds -dV/dq, V(q) = (U(q) + U(-q)) / 2 with U of ``potential``."""
    scale, length = constants.original.scale / 2, constants.original.features.scale
    for side in range(2):
        add_share(scale, length, network, q, 1.0 - 2.0 * side, force, chunk)
