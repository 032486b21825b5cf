"""What the functions of ``hnn_envs.arithmetic`` are to the compiler: those of C, but for forces over lanes."""

from __future__ import annotations

import math
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from numba import types
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.extending import intrinsic, overload

from hnn_envs import arithmetic
from hnn_envs.kernels import functions
from hnn_envs.kernels.jit import is_part, make_part


def _means(function: Any, implementation: Any) -> None:
    overload(function, strict=False, jit_options={"error_model": "numpy"})(lambda *_: implementation)


_means(arithmetic.sin, lambda x: math.sin(x))
_means(arithmetic.cos, lambda x: math.cos(x))
_means(arithmetic.exp, lambda x: math.exp(x))
_means(arithmetic.log, lambda x: math.log(x))
_means(arithmetic.sqrt, lambda x: math.sqrt(x))
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


IN_LANES = {arithmetic.sin: functions.sin, arithmetic.cos: functions.cos}
"""What LLVM can vectorise, which the functions of the C library are not."""


def in_lanes(formula: Any, constants: Any, q: Any) -> Any:
    """The value of a formula, by functions that LLVM can vectorise."""


@overload(in_lanes, prefer_literal=True, jit_options={"error_model": "numpy", "forceinline": True})
def _in_lanes(formula: Any, constants: Any, q: Any) -> Any:
    function = _lane_version(formula.typing_key)

    def implementation(formula: Any, constants: Any, q: Any) -> Any:
        return function(constants, q)

    return implementation


@cache
def _lane_version(function: FunctionType) -> FunctionType:
    """A copy of a plain function, and of those that it calls, with other functions for those of ``arithmetic``."""
    names = dict(function.__globals__)
    for name in function.__code__.co_names:
        value = names.get(name)
        if isinstance(value, FunctionType) and value in IN_LANES:
            names[name] = IN_LANES[value]
        elif is_part(value) and value is not function:
            names[name] = _lane_version(value)
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    make_part(copy)
    return copy
