"""Elementary functions in a form that LLVM can vectorise, as NumPy's and the C library's are not.

Each is off by less than 4 units in the last place, and gives the same bits however a loop was vectorised:
multiply-adds are fused where the source says so, and nothing may be reassociated.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from hnn_envs.kernels.jit import inlined

# Adding this rounds a number to an integer, which then stands in the low bits of the sum.
ROUND, ROUND_32 = 1.5 * 2.0**52, np.float32(1.5 * 2.0**23)
# Constants as sums of doubles or floats, so that what remains of x after multiples of them is exact to rounding.
LN2 = (0.6931471805599453, 2.3190468138462996e-17)
LN2_32 = (np.float32(0.6931472), np.float32(-1.9046542e-09))
HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
PER_LN2, PER_LN2_32, PER_PI = 1 / math.log(2), np.float32(1 / math.log(2)), 1 / math.pi
# Taylor series, highest power first: (e^r - 1 - r) / r^2; (sin r - r) / r^3 and (ln m - 2 s) / s^3 in the square.
# 2^r.
EXP2 = tuple(math.log(2) ** n / math.factorial(n) for n in range(12, -1, -1))
EXP2_32 = tuple(np.float32(math.log(2) ** n / math.factorial(n)) for n in range(6, -1, -1))
EXP = tuple(1 / math.factorial(n) for n in range(13, 1, -1))
EXP_32 = tuple(np.float32(1 / math.factorial(n)) for n in range(7, 1, -1))
SIN = tuple((-1) ** n / math.factorial(2 * n + 1) for n in range(10, 0, -1))
LOG = tuple(2 / (2 * n + 1) for n in range(11, 0, -1))
FLAT, FLAT_32 = 500.0, np.float32(60.0)  # squares of 2^x are still finite
SATURATED, SATURATED_32 = -80.0, np.float32(-40.0)  # tanh is 1 to rounding long before
LARGEST_ANGLE = 2.0**50  # beyond it a double does not tell an angle's cosine


@intrinsic
def fma(_: Any, a: Any, b: Any, c: Any) -> Any:
    """Computes a * b + c, rounded once."""
    return a(a, a, a), lambda _context, builder, _signature, values: builder.fma(*values)


@intrinsic
def bits(_: Any, x: Any) -> Any:
    """The bits of a float as an integer."""
    integer = types.int64 if x == types.float64 else types.int32
    return integer(x), lambda context, builder, _, values: builder.bitcast(values[0], context.get_value_type(integer))


@intrinsic
def unbits(_: Any, x: Any) -> Any:
    """The float with these bits."""
    real = types.float64 if x == types.int64 else types.float32
    return real(x), lambda context, builder, _, values: builder.bitcast(values[0], context.get_value_type(real))


@inlined
def horner(x: Any, coefficients: Any) -> Any:
    """The polynomial with these coefficients, highest power first."""
    y = coefficients[0]
    for coefficient in coefficients[1:]:
        y = fma(y, x, coefficient)
    return y


def tanh(z: Any) -> Any:
    """Hyperbolic tangent, m / (m + 2) with m = e^(-2|z|) - 1 and the sign of z, in the precision of z."""


@overload(tanh)
def _tanh(z: Any) -> Any:
    return _tanh_32 if z == types.float32 else _tanh_64


def _tanh_64(z: Any) -> Any:
    x = -2.0 * abs(z)
    x = SATURATED if x < SATURATED else x
    shifted = fma(x, PER_LN2, ROUND)
    n = shifted - ROUND
    r = fma(n, -LN2[1], fma(n, -LN2[0], x))
    power = unbits((bits(shifted) << 52) + np.int64(1023 << 52))  # 2^n
    m = fma(power, fma(horner(r, EXP) * r, r, r), power - 1.0)
    return math.copysign(m / (m + 2.0), z)


def _tanh_32(z: Any) -> Any:
    x = np.float32(-2.0) * abs(z)
    x = SATURATED_32 if x < SATURATED_32 else x
    shifted = fma(x, PER_LN2_32, ROUND_32)
    n = shifted - ROUND_32
    r = fma(n, -LN2_32[1], fma(n, -LN2_32[0], x))
    power = unbits(np.int32(np.int32(bits(shifted) << np.int32(23)) + np.int32(127 << 23)))
    m = fma(power, fma(horner(r, EXP_32) * r, r, r), power - np.float32(1.0))
    return math.copysign(m / (m + np.float32(2.0)), z)


def bell(x: Any) -> Any:
    """A quarter of tanh's slope, e / (1 + e)^2 with e = 2^x in the precision of x, at x = BELL_UNIT z."""


BELL_UNIT = 2 / math.log(2)


@overload(bell)
def _bell(x: Any) -> Any:
    return _bell_32 if x == types.float32 else _bell_64


def _bell_64(x: Any) -> Any:
    x = -FLAT if x < -FLAT else x
    x = FLAT if x > FLAT else x
    shifted = x + ROUND
    e = unbits(bits(horner(x - (shifted - ROUND), EXP2)) + (bits(shifted) << 52))
    return e / ((1.0 + e) * (1.0 + e))


def _bell_32(x: Any) -> Any:
    x = -FLAT_32 if x < -FLAT_32 else x
    x = FLAT_32 if x > FLAT_32 else x
    shifted = x + ROUND_32
    e = unbits(np.int32(bits(horner(x - (shifted - ROUND_32), EXP2_32)) + np.int32(bits(shifted) << np.int32(23))))
    return e / ((np.float32(1.0) + e) * (np.float32(1.0) + e))


LARGEST_POWER = 1023.0


@inlined
def exp(x: Any) -> Any:
    """e^x; infinite above and zero below the range of normal numbers."""
    shifted = fma(x, PER_LN2, ROUND)
    n = shifted - ROUND
    r = fma(n, -LN2[1], fma(n, -LN2[0], x))
    power = unbits((bits(shifted) << 52) + np.int64(1023 << 52))  # 2^n
    y = fma(power, fma(horner(r, EXP) * r, r, r), power)
    y = math.inf if n > LARGEST_POWER else y
    return (0.0 if n < 1.0 - LARGEST_POWER else y) + (x - x)  # NaN stays so


@inlined
def sin_remainder(x: Any, half_turns: Any, sign: Any) -> Any:
    """sin(x - half_turns * pi / 2), its sign turned by the parity of the bits of ``sign``."""
    r = fma(half_turns, -HALF_PI[2], fma(half_turns, -HALF_PI[1], fma(half_turns, -HALF_PI[0], x)))
    square = r * r
    return unbits(bits(fma(horner(square, SIN) * square, r, r)) ^ (bits(sign) << 63))


@inlined
def sin(x: Any) -> Any:
    """Sine of x, (-1)^n times that of x - n pi."""
    x = x if abs(x) < LARGEST_ANGLE else math.nan
    shifted = fma(x, PER_PI, ROUND)
    return sin_remainder(x, 2.0 * (shifted - ROUND), shifted)


@inlined
def cos(x: Any) -> Any:
    """Cosine of x, (-1)^(n + 1) times the sine of x - (n + 1/2) pi."""
    x = x if abs(x) < LARGEST_ANGLE else math.nan
    shifted = fma(x, PER_PI, -0.5) + ROUND
    n = shifted - ROUND
    return sin_remainder(x, fma(2.0, n, 1.0), shifted + 1.0)


@inlined
def log(x: Any) -> Any:
    """Natural logarithm of a normal x = m 2^e, e ln 2 + 2 atanh(s) with m in [0.7, 1.4] and s = (m - 1) / (m + 1)."""
    offset = bits(x) - np.int64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
    e = np.float64(offset >> 52)
    m = unbits((offset & np.int64(0xFFFFFFFFFFFFF)) + np.int64(0x3FE6A09E667F3BCD))
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    tail = fma(e, LN2[1], horner(square, LOG) * square * s)
    return fma(e, LN2[0], fma(2.0, s, tail)) + (x - x)  # what is not finite stays so


def _arctangent() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Two polynomials in x^2, highest power first, whose quotient is arctan(x) / x for |x| <= tan(pi / 8).

    That is Gauss's continued fraction 1 / (1 + z / (3 + 4 z / (5 + 9 z / ...))), z = x^2, whose error falls by a factor
    of 25 with every level.
    """
    levels = 12
    above, below = [Fraction(2 * levels + 1)], [Fraction(1)]  # lowest power first
    for level in range(levels, 0, -1):
        shifted = [Fraction(0), *(level * level * each for each in below)]
        scaled = [(2 * level - 1) * each for each in above]
        size = max(len(shifted), len(scaled))
        shifted += [Fraction(0)] * (size - len(shifted))
        scaled += [Fraction(0)] * (size - len(scaled))
        above, below = [a + b for a, b in zip(shifted, scaled, strict=True)], above
    unit = above[0]
    return tuple(float(each / unit) for each in reversed(below)), tuple(float(each / unit) for each in reversed(above))


ATAN_ABOVE, ATAN_BELOW = _arctangent()
TAN_EIGHTH = math.sqrt(2) - 1  # the tangent of pi / 8


@inlined
def atan(x: Any) -> Any:
    """Arctangent: that of 1 / x beyond 1, and of (t - 1) / (t + 1) beyond the tangent of pi / 8."""
    size = abs(x)
    t = 1.0 / size if size > 1.0 else size
    is_large = t > TAN_EIGHTH
    r = (t - 1.0) / (t + 1.0) if is_large else t
    square = r * r
    y = r * (horner(square, ATAN_ABOVE) / horner(square, ATAN_BELOW))
    y = y + HALF_PI[0] / 2 if is_large else y
    y = HALF_PI[0] - y if size > 1.0 else y
    return math.copysign(y, x)
