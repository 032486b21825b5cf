"""The functions that formulas of components are written with: for arrays of NumPy and torch, and in machine code.

A formula is a plain function of a module that says what a system's energy or a task's reward is. Its arguments are
components: arrays of shape (...,), one for each entry of a state, or the floats of one state where it is compiled.
``hnn_envs.kernels`` tells the compiler what these functions are. In a task's rules they round as NumPy's do; in a force
sine and cosine are off by less than four units in the last place, so that they compile to vector instructions.

    def potential(system, q):
        (angle,) = q
        return system.gravity * (1 - cos(angle))

What the compiler allows is what Numba allows: arithmetic, comparisons, ``if`` and loops over ranges, these functions,
and other plain functions of a module. A condition on components is a ``where``, so that arrays can have it too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hnn_envs.arrays import Array, namespace


def _functions(x: Any) -> Any:
    return np if isinstance(x, np.ndarray | float | bool) else namespace(x)


def sin(x: Array) -> Array:
    """Sine of an angle in rad."""
    return _functions(x).sin(x)


def cos(x: Array) -> Array:
    """Cosine of an angle in rad."""
    return _functions(x).cos(x)


def exp(x: Array) -> Array:
    """Exponential."""
    return _functions(x).exp(x)


def log(x: Array) -> Array:
    """Natural logarithm."""
    return _functions(x).log(x)


def sqrt(x: Array) -> Array:
    """Square root."""
    return _functions(x).sqrt(x)


def absolute(x: Array) -> Array:
    """Absolute value."""
    if isinstance(x, np.ndarray) and np.iscomplexobj(x):  # derivatives are taken by the complex step
        return np.where(x.real < 0, -x, x)
    return _functions(x).abs(x)


def remainder(x: Array, divisor: float) -> Array:
    """What x is above a multiple of a positive divisor, in [0, divisor)."""
    return _functions(x).remainder(x, divisor)


def where(condition: Array, x: Array, y: Array) -> Array:
    """The entries of x where a condition holds, else those of y; one of them may be a float."""
    return _functions(condition).where(condition, x, y)


def logical_not(condition: Array) -> Array:
    """Whether a condition does not hold."""
    return _functions(condition).logical_not(condition)


def never(x: Array) -> Array:
    """False, in the shape of x."""
    xp = _functions(x)
    return xp.zeros_like(x, dtype=xp.bool)


def zeros(values: tuple[Array, ...]) -> tuple[Array, ...]:
    """As many zeros as there are components."""
    return (0.0,) * len(values)


def plus(values: tuple[Array, ...], index: int, amount: Array) -> tuple[Array, ...]:
    """The same components, with an amount added to one of them."""
    return (*values[:index], values[index] + amount, *values[index + 1 :])
