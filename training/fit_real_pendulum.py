"""Fits the real pendulum's ODE to the measured series: where the numbers in systems/real_pendulum.py come from.

``python training/fit_real_pendulum.py PATH`` prints them with standard errors. The series is one trajectory from one
free initial state; both columns weigh alike. The fit starts with the first seconds and takes in more and more, so that
the phase is never lost.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from hnn_envs.recordings.measured import Series, load_real_pendulum

WINDOWS = (8.0, 15.0, 30.0, 60.0, 95.0)  # s
BLOCK = 24  # rows, 4 s: longer than the residuals' correlation


def residuals(parameters: np.ndarray, series: Series) -> np.ndarray:
    """Model minus data for [g, m, gamma, q0, p0], shape (2 n,)."""
    gravity, mass, damping, *start = parameters

    def field(_: float, x: np.ndarray) -> tuple[float, float]:
        return x[1] / mass, -gravity * np.sin(x[0]) - damping * x[1]

    span = (series.times[0], series.times[-1])
    solution = solve_ivp(field, span, start, "DOP853", t_eval=series.times, rtol=1e-10, atol=1e-10)
    return (solution.y.T - series.states).ravel()


def standard_errors(jacobian: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Sandwich estimate from blocks of rows, since neighbouring residuals are correlated."""
    inverse = np.linalg.inv(jacobian.T @ jacobian)
    blocks = range(0, len(errors), 2 * BLOCK)
    scores = np.stack([jacobian[first : first + 2 * BLOCK].T @ errors[first : first + 2 * BLOCK] for first in blocks])
    return np.sqrt(np.diag(inverse @ (scores.T @ scores) @ inverse))


def main() -> None:
    """Fits and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", help="the measured series, or its folder; by default HNN_ENVS_DATA")
    series = load_real_pendulum(parser.parse_args().path)
    parameters = np.array([1.2, 1.0, 0.01, *series.states[0]])
    for window in WINDOWS:
        rows = series.times <= series.times[0] + window
        part = Series(series.times[rows], series.states[rows])
        fit = least_squares(residuals, parameters, args=(part,), method="lm")
        parameters = fit.x
    errors = standard_errors(fit.jac, fit.fun)
    names = ("gravity g", "mass m", "damping gamma (1/s)", "q(0) (rad)", "p(0) (rad/s)")
    for name, value, error in zip(names, fit.x, errors, strict=True):
        print(f"{name:20} {value:.6f} +- {error:.6f}")
    rms = np.sqrt(np.square(fit.fun.reshape(-1, 2)).mean(axis=0))
    print(f"residual rms: {rms[0]:.4f} rad, {rms[1]:.4f} rad/s over {series.times[-1] - series.times[0]:.1f} s")


if __name__ == "__main__":
    main()
