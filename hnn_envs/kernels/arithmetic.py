"""What the functions of ``hnn_envs.arithmetic`` are to the compiler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.extending import intrinsic, overload

from hnn_envs import arithmetic
from hnn_envs.kernels import functions


def _means(function: Any, implementation: Any) -> None:
    overload(function, strict=False, jit_options={"error_model": "numpy"})(lambda *_: implementation)


_means(arithmetic.sin, lambda x: functions.sin(x))
_means(arithmetic.cos, lambda x: functions.cos(x))
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
