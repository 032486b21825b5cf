"""What the functions of ``hnn_envs.arithmetic`` are to the compiler: those of C, but for forces over lanes."""

from __future__ import annotations

import math
from functools import cache
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np
from numba import types
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.extending import intrinsic, overload

from hnn_envs import arithmetic
from hnn_envs.kernels import functions
from hnn_envs.kernels.jit import inlined, is_part, make_part


def _means(function: Any, implementation: Any, of_dual: Any = None) -> None:
    """Tells what a function is; ``of_dual`` is what it is of complex numbers that carry a derivative."""

    def chosen(*arguments: Any) -> Any:
        return of_dual if of_dual is not None and isinstance(arguments[0], types.Complex) else implementation

    overload(function, strict=False, jit_options={"error_model": "numpy"})(chosen)


@inlined
def dual(value: Any, slope: Any, x: Any) -> Any:
    """A function's value with its derivative along that of x."""
    return complex(value, slope * x.imag)


@inlined
def sin_dual(x: Any) -> Any:
    """Sine."""
    return dual(functions.sin(x.real), functions.cos(x.real), x)


@inlined
def cos_dual(x: Any) -> Any:
    """Cosine."""
    return dual(functions.cos(x.real), -functions.sin(x.real), x)


def _exp_dual(x: Any) -> Any:
    return dual(math.exp(x.real), math.exp(x.real), x)


def _log_dual(x: Any) -> Any:
    return dual(math.log(x.real), 1.0 / x.real, x)


def _sqrt_dual(x: Any) -> Any:
    return dual(math.sqrt(x.real), 0.5 / math.sqrt(x.real), x)


_means(arithmetic.sin, lambda x: math.sin(x))
_means(arithmetic.cos, lambda x: math.cos(x))
_means(arithmetic.exp, lambda x: math.exp(x), _exp_dual)
_means(arithmetic.log, lambda x: math.log(x), _log_dual)
_means(arithmetic.sqrt, lambda x: math.sqrt(x), _sqrt_dual)
_means(arithmetic.absolute, lambda x: abs(x))
_means(arithmetic.remainder, lambda x, divisor: x - divisor * np.floor(x / divisor))
_means(arithmetic.where, lambda condition, x, y: x if condition else y)
_means(arithmetic.logical_not, lambda condition: not condition)
_means(arithmetic.never, lambda x: False)


@intrinsic
def _zeros(_: Any, values: Any) -> Any:
    kind = types.UniTuple(types.float64, len(values))
    return kind(values), lambda context, builder, signature, _: context.get_constant_null(signature.return_type)


_means(arithmetic.zeros, lambda values: _zeros(values))
_means(arithmetic.plus, lambda values, index, amount: tuple_setitem(values, index, values[index] + amount))


Meanings: TypeAlias = "tuple[tuple[Any, Any], ...]"

IN_LANES: Meanings = ((arithmetic.sin, functions.sin), (arithmetic.cos, functions.cos))
"""What LLVM can vectorise, which the functions of the C library are not."""

DUAL_IN_LANES: Meanings = ((arithmetic.sin, sin_dual), (arithmetic.cos, cos_dual))
"""The same of complex numbers that carry a derivative."""


def in_lanes(formula: Any, constants: Any, q: Any) -> Any:
    """The value of a formula, by functions that LLVM can vectorise."""


@overload(in_lanes, prefer_literal=True, jit_options={"error_model": "numpy", "forceinline": True})
def _in_lanes(formula: Any, constants: Any, q: Any) -> Any:
    meanings = DUAL_IN_LANES if isinstance(q[0], types.Complex) else IN_LANES
    function = _lane_version(formula.typing_key, meanings)

    def implementation(formula: Any, constants: Any, q: Any) -> Any:
        return function(constants, q)

    return implementation


@cache
def _lane_version(function: FunctionType, meanings: Meanings) -> FunctionType:
    """A copy of a plain function, and of those that it calls, with other functions for those of ``arithmetic``."""
    names, others = dict(function.__globals__), dict(meanings)
    for name in function.__code__.co_names:
        value = names.get(name)
        if isinstance(value, FunctionType) and value in others:
            names[name] = others[value]
        elif is_part(value) and value is not function:
            names[name] = _lane_version(value, meanings)
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    make_part(copy)
    return copy
