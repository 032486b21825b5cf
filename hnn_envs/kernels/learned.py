"""What is learned of a field, as kernels are given it: the arrays of a network, of series, or none.

()                                                      nothing is learned
(angles, operations, weights)                           a network, ``hnn_envs.kernels.network``
(angular, linear, frequencies, exponents, coefficients) series, ``hnn_envs.kernels.series``
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from hnn_envs.kernels.jit import borrowed
from hnn_envs.kernels.lanes import lanes_of
from hnn_envs.kernels.network import OUTPUTS, TARGET, Network
from hnn_envs.kernels.series import rows_of, with_rows

NETWORK = 3
"""Number of arrays of a network."""


def scratch_rows(learned: Any, copies: int) -> Any:
    """How many rows of scratch space the buffers take, where a network is run in so many copies."""


@overload(scratch_rows)
def _scratch_rows(learned: Any, copies: int) -> Any:
    if not len(learned):
        return _no_rows
    return _network_rows if len(learned) == NETWORK else _series_rows


def _no_rows(learned: Any, copies: int) -> Any:
    return 0


def _network_rows(learned: Any, copies: int) -> Any:
    angles, operations, _ = learned
    return copies * np.int64(operations[-1, TARGET] + operations[-1, OUTPUTS]) + 2 * angles.size


def _series_rows(learned: Any, copies: int) -> Any:
    return rows_of(learned)


def with_buffers(learned: Any, scratch: Any, chunk: Any) -> Any:
    """What is learned with buffers in scratch space; None where nothing is."""


@overload(with_buffers)
def _with_buffers(learned: Any, scratch: Any, chunk: Any) -> Any:
    if not len(learned):
        return _nothing
    return _network if len(learned) == NETWORK else _series


def _nothing(learned: Any, scratch: Any, chunk: Any) -> Any:
    return None


def _network(learned: Any, scratch: Any, chunk: Any) -> Any:
    angles, operations, weights = learned
    circle = 2 * angles.size * lanes_of(chunk)
    units = scratch[circle:].view(weights.dtype)
    return Network(borrowed(operations), borrowed(weights), units, borrowed(angles), scratch[:circle])


def _series(learned: Any, scratch: Any, chunk: Any) -> Any:
    return with_rows(learned, scratch, chunk)
