"""Matrices put together from functions of the state, for NumPy and torch."""

from __future__ import annotations

from hnn_envs.arrays import Array, namespace


def symmetric(first: Array, mixed: Array, second: Array) -> Array:
    """[[first, mixed], [mixed, second]], shape (..., 2, 2), of numbers or arrays (...,), one of which is an array."""
    zero = 0 * (first + mixed + second)
    entries = (first + zero, mixed + zero, mixed + zero, second + zero)
    return namespace(zero).stack(entries, axis=-1).reshape((*zero.shape, 2, 2))
