"""What a batch tells beside observations and rewards, in the layout of Gymnasium's SyncVectorEnv."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import Array, namespace


def named(
    energy_name: str | None,
    energy: Array,
    outside: Array,
    diverged: Array,
    spread: Array | None,
    untrusted: Array | None = None,
) -> dict[str, Array]:
    """What there is to tell, by the names that infos have."""
    told = {"out_of_domain": outside, "diverged": diverged}
    if energy_name is not None:
        told[energy_name] = energy
    if spread is not None:
        told["spread"] = spread
    if untrusted is not None:
        told["untrusted"] = untrusted
    return told


def laid_out(told: dict[str, Array], num_envs: int, present: Array | None = None) -> dict[str, Array]:
    """A value and a mask per name; rows that are not present read zero, and flags are numbers."""
    infos: dict[str, Array] = {}
    for name, value in told.items():
        number = value.astype(np.float64) if value.dtype == np.bool_ else value
        infos[name] = number if present is None else _only(number, np.flatnonzero(present))
        infos[f"_{name}"] = np.ones(num_envs, dtype=np.bool_) if present is None else present.copy()
    return infos


def _only(values: Array, rows: Array) -> Array:
    """Values at ``rows``, zero elsewhere."""
    kept = namespace(values).zeros_like(values)
    kept[rows] = values[rows]
    return kept
