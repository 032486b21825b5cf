"""The environments' own tanh over an array, to be timed."""

from __future__ import annotations

from typing import Any

from hnn_envs.kernels.functions import tanh
from hnn_envs.kernels.jit import compiled


@compiled
def own_tanh(values: Any, out: Any) -> None:
    """Fills ``out`` with the tanh of each value."""
    for n in range(values.size):
        out[n] = tanh(values[n])
