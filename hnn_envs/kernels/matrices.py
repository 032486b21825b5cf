"""Small symmetric matrices in machine code: tuples of their rows' entries from the diagonal on, M11, M12, ..., M22, ...

Every product and sum is written out for the size of the tuples, so that loops over lanes compile to vector
instructions. Derivatives are taken by the complex step: an imaginary part that is so small that its square is lost to
rounding moves along as a derivative does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from numba import types
from numba.extending import intrinsic, overload

from hnn_envs.hamiltonian.derivatives import COMPLEX_STEP


def _pairs(size: int) -> Iterator[tuple[int, int]]:
    """The places (row, column) in the order of the entries."""
    return ((i, j) for i in range(size) for j in range(i, size))


def _real_entries(context: Any, builder: Any, kind: Any, value: Any) -> list[Any]:
    """The entries of a tuple as doubles."""
    return [
        context.cast(builder, builder.extract_value(value, index), entry, types.float64)
        for index, entry in enumerate(kind)
    ]


@intrinsic
def solve(_: Any, matrix: Any, vector: Any) -> Any:
    """M^-1 p by elimination; NaN where M is not positive definite."""
    size = len(vector)
    result = types.UniTuple(types.float64, size)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero, one, nan = (context.get_constant(types.float64, number) for number in (0.0, 1.0, math.nan))
        entries = _real_entries(context, builder, signature.args[0], arguments[0])
        b = _real_entries(context, builder, signature.args[1], arguments[1])
        a = dict(zip(_pairs(size), entries, strict=True))
        inverse = []
        for k in range(size):
            pivot = builder.select(builder.fcmp_ordered(">", a[k, k], zero), a[k, k], nan)
            inverse.append(builder.fdiv(one, pivot))
            for i in range(k + 1, size):
                factor = builder.fmul(a[k, i], inverse[k])
                for j in range(i, size):
                    a[i, j] = builder.fsub(a[i, j], builder.fmul(factor, a[k, j]))
                b[i] = builder.fsub(b[i], builder.fmul(factor, b[k]))
        for k in reversed(range(size)):
            for j in range(k + 1, size):
                b[k] = builder.fsub(b[k], builder.fmul(a[k, j], b[j]))
            b[k] = builder.fmul(b[k], inverse[k])
        return context.make_tuple(builder, result, b)

    return result(matrix, vector), build


@intrinsic
def multiply(_: Any, matrix: Any, vector: Any) -> Any:
    """M v."""
    size = len(vector)
    result = types.UniTuple(types.float64, size)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        entries = _real_entries(context, builder, signature.args[0], arguments[0])
        v = _real_entries(context, builder, signature.args[1], arguments[1])
        a = dict(zip(_pairs(size), entries, strict=True))
        rows = []
        for i in range(size):
            total = context.get_constant(types.float64, 0.0)
            for j in range(size):
                total = builder.fadd(total, builder.fmul(a[min(i, j), max(i, j)], v[j]))
            rows.append(total)
        return context.make_tuple(builder, result, rows)

    return result(matrix, vector), build


@intrinsic
def slope_of_kinetic(_: Any, matrix: Any, vector: Any) -> Any:
    """The imaginary part of v M v / 2 for real v; an entry that is not complex does not depend on q."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, size = signature.args[0], len(signature.args[1])
        v = _real_entries(context, builder, signature.args[1], arguments[1])
        half = context.get_constant(types.float64, 0.5)
        total = context.get_constant(types.float64, 0.0)
        for index, (i, j) in enumerate(_pairs(size)):
            if isinstance(kinds[index], types.Complex):
                entry = builder.extract_value(arguments[0], index)
                weight = builder.fmul(v[i], v[j])
                weight = builder.fmul(half, weight) if i == j else weight
                total = builder.fadd(total, builder.fmul(weight, builder.extract_value(entry, 1)))
        return total

    return types.float64(matrix, vector), build


@intrinsic(prefer_literal=True)
def toward(_: Any, q: Any, index: Any) -> Any:
    """The coordinates as complex numbers, one of them moved by the complex step."""
    if not isinstance(index, types.IntegerLiteral):
        return None
    moved = index.literal_value
    result = types.UniTuple(types.complex128, len(q))

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = []
        for place, real in enumerate(_real_entries(context, builder, signature.args[0], arguments[0])):
            number = context.make_complex(builder, types.complex128)
            number.real = real
            number.imag = context.get_constant(types.float64, COMPLEX_STEP if place == moved else 0.0)
            parts.append(number._getvalue())
        return context.make_tuple(builder, result, parts)

    return result(q, index), build


def imaginary(z: Any) -> Any:
    """The imaginary part; 0 of a number that is not complex."""


@overload(imaginary, jit_options={"forceinline": True})
def _imaginary(z: Any) -> Any:
    return _imag if isinstance(z, types.Complex) else _no_imag


def _imag(z: Any) -> Any:
    return z.imag


def _no_imag(z: Any) -> Any:
    return 0.0
