"""The rate of ``TrigonometricMachine``: M and V are sums of waves of the angles times monomials of the rest.

The waves are 1, cos, sin, cos, sin, ... of the phases; a term is a wave times a monomial, and there is a row of
coefficients for each entry of M, from the diagonal on, and a last one for V.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hnn_envs.kernels.functions import cos, fma, sin
from hnn_envs.kernels.jit import borrowed, inlined
from hnn_envs.kernels.lanes import gather, gather_entries, lanes_of, put, row
from hnn_envs.kernels.matrices import multiply, solve


class Series(NamedTuple):
    """The series with their buffers.

    Attributes:
        angular: which coordinates are angles.
        linear: which are not.
        frequencies: of the phases, in each angle, shape (F, angles).
        exponents: of the monomials, in each other coordinate, shape (P, others).
        coefficients: of the terms, shape (entries + 1, (1 + 2 F) P).
        waves: buffer of the waves.
        monomials: buffer of the monomials.
        entries: buffer of the entries of M.
        spare: buffer of two rows.
    """

    angular: Any
    linear: Any
    frequencies: Any
    exponents: Any
    coefficients: Any
    waves: Any
    monomials: Any
    entries: Any
    spare: Any


@inlined
def rows_of(series: Any) -> Any:
    """How many rows of scratch space the buffers of (angular, linear, frequencies, exponents, coefficients) take."""
    return 1 + 2 * series[2].shape[0] + series[3].shape[0] + series[4].shape[0] + 1


@inlined
def with_rows(series: Any, scratch: Any, chunk: Any) -> Any:
    """The series with buffers in scratch space."""
    angular, linear, frequencies, exponents, coefficients = series
    lanes = lanes_of(chunk)
    waves, monomials = (1 + 2 * frequencies.shape[0]) * lanes, exponents.shape[0] * lanes
    entries = (coefficients.shape[0] - 1) * lanes
    rest = scratch[waves + monomials :]
    return Series(
        borrowed(angular),
        borrowed(linear),
        borrowed(frequencies),
        borrowed(exponents),
        borrowed(coefficients),
        scratch[:waves],
        scratch[waves:][:monomials],
        rest[:entries],
        rest[entries:],
    )


def copies(dof: int) -> int:
    """No network is run."""
    return 0


def write_rate(
    mass_matrix: Any,
    potential: Any,
    count: int,
    constants: Any,
    damping: float,
    network: Any,
    x: Any,
    inputs: Any,
    input_force: Any,
    out: Any,
    chunk: Any,
) -> None:
    """Writes x' = [v, d(v M v / 2 - V)/dq - damping p + G u] with v = M^-1 p, for x = [q, p]."""
    half, lanes = x.size // 2, lanes_of(chunk)
    p, dq, dp = x[half:], out[:half], out[half:]
    evaluate(network, x, chunk)
    for k in range(lanes):
        put(dq, k, lanes, solve(gather_entries(network.entries, k, lanes, count), gather(p, k, lanes, count)))
    for n in range(half):
        dp[n] = fma(-damping, p[n], input_force[n])
    add_slopes(network, x, dq, dp, chunk)


def to_momenta(mass_matrix: Any, potential: Any, count: int, constants: Any, network: Any, x: Any, chunk: Any) -> None:
    """Turns [q, v] into [q, p], p = M v."""
    lanes, second = lanes_of(chunk), x[x.size // 2 :]
    evaluate(network, x, chunk)
    for k in range(lanes):
        matrix = gather_entries(network.entries, k, lanes, count)
        put(second, k, lanes, multiply(matrix, gather(second, k, lanes, count)))


def to_velocities(
    mass_matrix: Any, potential: Any, count: int, constants: Any, network: Any, x: Any, chunk: Any
) -> None:
    """Turns [q, p] into [q, v], v = M^-1 p."""
    lanes, second = lanes_of(chunk), x[x.size // 2 :]
    evaluate(network, x, chunk)
    for k in range(lanes):
        matrix = gather_entries(network.entries, k, lanes, count)
        put(second, k, lanes, solve(matrix, gather(second, k, lanes, count)))


@inlined
def evaluate(series: Any, q: Any, chunk: Any) -> None:
    """Fills in the waves, the monomials and the entries of M."""
    lanes, coefficients = lanes_of(chunk), series.coefficients
    write_waves(series, q, chunk)
    write_monomials(series, q, chunk)
    monomials, term = series.exponents.shape[0], series.spare[:lanes]
    for n in range(series.entries.size):
        series.entries[n] = 0.0
    for t in range(coefficients.shape[1]):
        wave, monomial = row(series.waves, t // monomials, lanes), row(series.monomials, t % monomials, lanes)
        for k in range(lanes):
            term[k] = wave[k] * monomial[k]
        for e in range(coefficients.shape[0] - 1):
            c = coefficients[e, t]
            if c != 0.0:
                entry = row(series.entries, e, lanes)
                for k in range(lanes):
                    entry[k] = fma(c, term[k], entry[k])


@inlined
def write_waves(series: Any, q: Any, chunk: Any) -> None:
    """Fills in 1, cos, sin, cos, sin, ... of the phases."""
    lanes, phase = lanes_of(chunk), series.spare[: lanes_of(chunk)]
    for k in range(lanes):
        series.waves[k] = 1.0
    for f in range(series.frequencies.shape[0]):
        for k in range(lanes):
            phase[k] = 0.0
        for a in range(series.angular.size):
            frequency, angle = series.frequencies[f, a], row(q, series.angular[a], lanes)
            for k in range(lanes):
                phase[k] = fma(frequency, angle[k], phase[k])
        cosine, sine = row(series.waves, 2 * f + 1, lanes), row(series.waves, 2 * f + 2, lanes)
        for k in range(lanes):
            cosine[k] = cos(phase[k])
        for k in range(lanes):
            sine[k] = sin(phase[k])


@inlined
def write_monomials(series: Any, q: Any, chunk: Any) -> None:
    """Fills in the products of powers."""
    lanes = lanes_of(chunk)
    for m in range(series.exponents.shape[0]):
        target = row(series.monomials, m, lanes)
        for k in range(lanes):
            target[k] = 1.0
        for i in range(series.linear.size):
            source = row(q, series.linear[i], lanes)
            for _ in range(series.exponents[m, i]):
                for k in range(lanes):
                    target[k] *= source[k]


@inlined
def add_slopes(series: Any, q: Any, v: Any, force: Any, chunk: Any) -> None:
    """Adds the derivatives of v M v / 2 - V by the coordinates; ``evaluate`` has been called."""
    lanes, coefficients, monomials = lanes_of(chunk), series.coefficients, series.exponents.shape[0]
    weight, product = series.spare[:lanes], series.spare[lanes:]
    for t in range(coefficients.shape[1]):
        weigh(series, t, v, weight, chunk)
        which, m = t // monomials, t % monomials
        if which > 0:
            # The derivative of a cosine by its phase is minus the sine, that of a sine the cosine.
            sign, other = (-1.0, which + 1) if which % 2 else (1.0, which - 1)
            turned, monomial = row(series.waves, other, lanes), row(series.monomials, m, lanes)
            for k in range(lanes):
                product[k] = sign * weight[k] * turned[k] * monomial[k]
            for a in range(series.angular.size):
                frequency = series.frequencies[(which - 1) // 2, a]
                if frequency != 0.0:
                    target = row(force, series.angular[a], lanes)
                    for k in range(lanes):
                        target[k] = fma(frequency, product[k], target[k])
        wave = row(series.waves, which, lanes)
        for i in range(series.linear.size):
            if series.exponents[m, i] > 0:
                for k in range(lanes):
                    product[k] = weight[k] * wave[k]
                multiply_slope(series, m, i, q, product, chunk)
                target = row(force, series.linear[i], lanes)
                for k in range(lanes):
                    target[k] += product[k]


@inlined
def weigh(series: Any, t: int, v: Any, weight: Any, chunk: Any) -> None:
    """Writes what a term counts in v M v / 2 - V."""
    lanes, coefficients = lanes_of(chunk), series.coefficients
    dof = v.size // lanes
    for k in range(lanes):
        weight[k] = -coefficients[coefficients.shape[0] - 1, t]
    entry = 0
    for i in range(dof):
        for j in range(i, dof):
            c = coefficients[entry, t] if i != j else 0.5 * coefficients[entry, t]
            if c != 0.0:
                first, second = row(v, i, lanes), row(v, j, lanes)
                for k in range(lanes):
                    weight[k] = fma(c * first[k], second[k], weight[k])
            entry += 1


@inlined
def multiply_slope(series: Any, m: int, by: int, q: Any, out: Any, chunk: Any) -> None:
    """Multiplies by the derivative of a monomial by one of its coordinates, in which it has a positive power."""
    lanes = lanes_of(chunk)
    for k in range(lanes):
        out[k] *= series.exponents[m, by]
    for i in range(series.linear.size):
        source = row(q, series.linear[i], lanes)
        for _ in range(series.exponents[m, i] - (i == by)):
            for k in range(lanes):
                out[k] *= source[k]
