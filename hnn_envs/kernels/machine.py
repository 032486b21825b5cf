"""The rate of a machine whose mass matrix M and potential V are known: derivatives of its formulas, for every lane."""

from __future__ import annotations

from typing import Any

from numba.extending import overload

from hnn_envs.hamiltonian.derivatives import COMPLEX_STEP
from hnn_envs.kernels.arithmetic import in_lanes
from hnn_envs.kernels.functions import fma
from hnn_envs.kernels.jit import inlined
from hnn_envs.kernels.lanes import gather, lanes_of, put
from hnn_envs.kernels.matrices import imaginary, multiply, slope_of_kinetic, solve, toward


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
    for k in range(lanes):
        place = gather(x, k, lanes, count)
        v = solve(in_lanes(mass_matrix, constants, place), gather(p, k, lanes, count))
        put(dq, k, lanes, v)
        put(dp, k, lanes, slopes(mass_matrix, potential, constants, place, v, place))
    for n in range(half):
        dp[n] += fma(-damping, p[n], input_force[n])


def to_momenta(mass_matrix: Any, potential: Any, count: int, constants: Any, network: Any, x: Any, chunk: Any) -> None:
    """Turns [q, v] into [q, p], p = M v."""
    half, lanes = x.size // 2, lanes_of(chunk)
    second = x[half:]
    for k in range(lanes):
        matrix = in_lanes(mass_matrix, constants, gather(x, k, lanes, count))
        put(second, k, lanes, multiply(matrix, gather(second, k, lanes, count)))


def to_velocities(
    mass_matrix: Any, potential: Any, count: int, constants: Any, network: Any, x: Any, chunk: Any
) -> None:
    """Turns [q, p] into [q, v], v = M^-1 p."""
    half, lanes = x.size // 2, lanes_of(chunk)
    second = x[half:]
    for k in range(lanes):
        matrix = in_lanes(mass_matrix, constants, gather(x, k, lanes, count))
        put(second, k, lanes, solve(matrix, gather(second, k, lanes, count)))


def slopes(mass_matrix: Any, potential: Any, constants: Any, q: Any, v: Any, rest: Any) -> Any:
    """The derivatives of v M v / 2 - V by the last coordinates of q, as many as ``rest`` has."""


@overload(slopes, prefer_literal=True, jit_options={"error_model": "numpy", "forceinline": True})
def _slopes(mass_matrix: Any, potential: Any, constants: Any, q: Any, v: Any, rest: Any) -> Any:
    index = len(q) - len(rest)

    def last(mass_matrix: Any, potential: Any, constants: Any, q: Any, v: Any, rest: Any) -> Any:
        return (_slope(mass_matrix, potential, constants, toward(q, index), v),)

    def and_more(mass_matrix: Any, potential: Any, constants: Any, q: Any, v: Any, rest: Any) -> Any:
        first = _slope(mass_matrix, potential, constants, toward(q, index), v)
        return (first, *slopes(mass_matrix, potential, constants, q, v, rest[1:]))

    return last if len(rest) == 1 else and_more


@inlined
def _slope(mass_matrix: Any, potential: Any, constants: Any, moved: Any, v: Any) -> Any:
    kinetic = slope_of_kinetic(in_lanes(mass_matrix, constants, moved), v)
    return (kinetic - imaginary(in_lanes(potential, constants, moved))) / COMPLEX_STEP
