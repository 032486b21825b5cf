"""Array helpers shared by NumPy and torch code: which namespace an array belongs to, and its halves q and p."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import ArrayLike

Array: TypeAlias = Any
"""A NumPy array or a torch tensor. The physics is written once for both."""


MOST_MOVED = 256
"""Tensors of constants that are kept; there are a handful per task and device."""


def namespace(x: Array) -> Any:
    """Returns the array-API namespace of ``x``; ``numpy`` itself for NumPy's, which spares a slow lookup."""
    return np if isinstance(x, np.ndarray | np.generic) else array_namespace(x)


def split(x: Array) -> tuple[Array, Array]:
    """Splits a state (..., 2*dof) into its coordinates q and momenta p, each (..., dof)."""
    dof = x.shape[-1] // 2
    return x[..., :dof], x[..., dof:]


def join(q: Array, p: Array) -> Array:
    """Joins coordinates and momenta, each (..., dof), into a state (..., 2*dof)."""
    return namespace(q).concat((q, p), axis=-1)


def constant(values: ArrayLike, dtype: type[np.floating[Any]] = np.float64) -> Array:
    """A read-only array, which nobody changes by accident and which moves to a device once."""
    out = np.array(values, dtype=dtype)
    out.flags.writeable = False
    return out


def like(values: Array, x: Array) -> Array:
    """Converts ``values`` to the namespace, dtype and device of ``x``; gradients of torch tensors pass through.

    Read-only arrays are constants: their tensors are kept.
    """
    if isinstance(x, np.ndarray):
        return np.asarray(values, dtype=x.dtype)
    if isinstance(values, np.ndarray):
        if not values.flags.writeable:
            return _moved(values, x)
        return namespace(x).asarray(values.copy(), dtype=x.dtype, device=x.device)
    return values.to(x)


_MOVED: dict[tuple[int, Any, Any], tuple[Array, Array]] = {}


def _moved(values: Array, x: Array) -> Array:
    """The tensor of a constant, kept next to it, so that the constant's id is not given to another."""
    key = (id(values), x.dtype, x.device)
    if key not in _MOVED:
        import torch

        if len(_MOVED) >= MOST_MOVED:
            _MOVED.clear()
        with torch.inference_mode(mode=False):  # a tensor made in that mode could not be used outside of it
            _MOVED[key] = (values, torch.tensor(values, dtype=x.dtype, device=x.device))
    return _MOVED[key][1]


def beside(values: Array, x: Array) -> Array:
    """Moves ``values`` to where ``x`` is, NumPy or a torch device; unlike ``like``, they keep their dtype."""
    here = isinstance(values, np.ndarray | np.generic)
    if isinstance(x, np.ndarray | np.generic):
        return values if here else values.detach().cpu().numpy()
    if here:
        import torch

        return torch.as_tensor(values, device=x.device)
    return values.to(x.device)


def wrapped(angle: Array) -> Array:
    """The same angles in [-pi, pi), rad."""
    return namespace(angle).remainder(angle + math.pi, 2 * math.pi) - math.pi


def cast(x: Array, dtype: Any) -> Array:
    """Returns ``x`` in another dtype of its own namespace; ``x`` itself where nothing changes."""
    return x if x.dtype == dtype else namespace(x).astype(x, dtype)


def replaced(values: Array, where: Array, others: Array) -> Array:
    """A copy of ``values`` with ``others`` in the places that a mask of the leading axes marks."""
    out = np.array(values) if isinstance(values, np.ndarray | np.generic) else values.clone()
    out[where] = others
    return out
