"""Runge-Kutta methods of any field: the classical one of order 4, and the reference, SciPy's DOP853."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.hamiltonian import VectorField


def rk4(field: VectorField, x: Array, u: Array | None, h: float) -> Array:
    """The classical fourth-order Runge-Kutta method (Hairer, Norsett, Wanner, Solving ODEs I, table II.1.2)."""
    k1 = field(x, u)
    k2 = field(x + (h / 2) * k1, u)
    k3 = field(x + (h / 2) * k2, u)
    k4 = field(x + h * k3, u)
    return x + (h / 6) * (k1 + 2 * k2 + 2 * k3 + k4)


def dop853(field: VectorField, x: Array, u: Array | None, h: float) -> Array:
    """SciPy's DOP853 with rtol = atol = 1e-12, each state on its own: the reference, slow on purpose."""
    from scipy.integrate import solve_ivp

    states = np.asarray(x, dtype=np.float64)
    flat = states.reshape(-1, states.shape[-1])
    inputs: list[Array | None] = [None] * len(flat)
    if u is not None:
        inputs = list(np.broadcast_to(u, (*states.shape[:-1], np.shape(u)[-1])).reshape(len(flat), -1))
    out = np.full_like(flat, np.nan)
    for row, (state, constant) in enumerate(zip(flat, inputs, strict=True)):
        if not np.isfinite(state).all():  # diverged before; SciPy would raise
            continue
        solution = solve_ivp(lambda _, y, u=constant: field(y, u), (0.0, h), state, "DOP853", rtol=1e-12, atol=1e-12)
        if solution.success:
            out[row] = solution.y[:, -1]
    return out.reshape(states.shape)
