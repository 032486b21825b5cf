"""Array helpers shared by NumPy and torch code: which namespace an array belongs to, and its halves q and p."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace

Array: TypeAlias = Any
"""A NumPy array or a torch tensor. The physics is written once for both."""


def namespace(x: Array) -> Any:
    """Returns the array-API namespace of ``x``; ``numpy`` itself for NumPy arrays, which spares a lookup in step()."""
    return np if isinstance(x, np.ndarray) else array_namespace(x)


def split(x: Array) -> tuple[Array, Array]:
    """Splits a state (..., 2*dof) into its coordinates q and momenta p, each (..., dof)."""
    dof = x.shape[-1] // 2
    return x[..., :dof], x[..., dof:]


def join(q: Array, p: Array) -> Array:
    """Joins coordinates and momenta, each (..., dof), into a state (..., 2*dof)."""
    return namespace(q).concat((q, p), axis=-1)


def like(values: Array, x: Array) -> Array:
    """Converts ``values`` to the namespace, dtype and device of ``x``; gradients of torch tensors pass through."""
    if isinstance(x, np.ndarray):
        return np.asarray(values, dtype=x.dtype)
    if isinstance(values, np.ndarray):
        return namespace(x).asarray(values.copy(), dtype=x.dtype, device=x.device)
    return values.to(x)


def cast(x: Array, dtype: Any) -> Array:
    """Returns ``x`` in another dtype of its own namespace; ``x`` itself where nothing changes."""
    return x if x.dtype == dtype else namespace(x).astype(x, dtype)
