"""The force of a potential that is known: the system's own formula for its gradient, for every lane."""

from __future__ import annotations

from typing import Any

from hnn_envs.kernels.arithmetic import in_lanes
from hnn_envs.kernels.lanes import gather, lanes_of, subtract


def copies(dof: int) -> int:
    """No network is run."""
    return 0


def add_force(
    formula: Any, count: int, constants: Any, network: Any, q: Any, force: Any, scratch: Any, chunk: Any
) -> None:
    """Adds -dV/dq."""
    lanes = lanes_of(chunk)
    for k in range(lanes):
        subtract(force, k, lanes, in_lanes(formula, constants, gather(q, k, lanes, count)))
