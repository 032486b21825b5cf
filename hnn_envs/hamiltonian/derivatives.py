"""Derivatives of functions that are written for NumPy and torch, exact to rounding, without a formula for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hnn_envs.arrays import Array

COMPLEX_STEP = 1e-30  # nothing is subtracted, so it may be so small that its square is lost to rounding


def gradient(function: Callable[[Array], Array], x: Array) -> Array:
    """D function / dx for a scalar function that broadcasts over leading axes, shape (..., n) for x of shape (..., n).

    NumPy arrays take the complex step (Squire and Trapp, SIAM Review 40 (1998) 110), torch tensors forward-mode
    derivatives. The function is given arrays of shape (..., n, n), one row per direction, complex ones by NumPy: it has
    to be analytic, of sums, products, powers, sines, exponentials and the like.
    """
    size = x.shape[-1]
    if isinstance(x, np.ndarray):
        return np.imag(function(x[..., None, :] + (1j * COMPLEX_STEP) * np.eye(size))) / COMPLEX_STEP
    import torch

    directions = torch.eye(size, dtype=x.dtype, device=x.device).expand((*x.shape[:-1], size, size)).clone()
    return torch.func.jvp(function, (x[..., None, :] + torch.zeros_like(directions),), (directions,))[1]


def along(function: Callable[[Array], Array], x: Array, direction: Array) -> Array:
    """The derivative of a function of vectors x (..., n) along a direction (..., n), of the shape of its values."""
    if isinstance(x, np.ndarray):
        return np.imag(function(x + (1j * COMPLEX_STEP) * direction)) / COMPLEX_STEP
    import torch

    return torch.func.jvp(function, (x,), (direction,))[1]
