"""The extended Kalman filter: it is the Kalman filter of linear systems, and follows others through noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hnn_envs.dynamics import make_dynamics
from hnn_envs.exploration.kalman import KalmanFilter
from hnn_envs.tasks import get_task

TASK = get_task("cart-pole")
DYNAMICS = make_dynamics(TASK.system, "ode", dt=TASK.dt, integrator="rk4", substeps=2)


def test_on_a_linear_system_it_is_the_kalman_filter() -> None:
    dynamics = make_dynamics("mass-spring", "ode", dt=0.1)
    noise, disturbance = np.array([0.1, 0.2]), np.array([0.01, 0.02])
    a, _ = dynamics.jacobian(np.zeros(2), np.zeros(1))
    rng, follower = np.random.default_rng(0), KalmanFilter(dynamics, noise, disturbance)
    z = rng.standard_normal((5, 2))
    estimate = follower.begin(z[0])
    mean, spread = z[0], np.diag(noise**2)
    for measured in z[1:]:
        estimate = follower.correct(follower.predict(estimate, np.zeros(1)), measured)
        mean, spread = a @ mean, a @ spread @ a.T + np.diag(disturbance**2)
        gain = spread @ np.linalg.inv(spread + np.diag(noise**2))
        mean, spread = mean + gain @ (measured - mean), (np.eye(2) - gain) @ spread
    np.testing.assert_allclose(estimate.mean, mean, rtol=1e-7)
    np.testing.assert_allclose(estimate.covariance, spread, rtol=1e-7)


def test_it_knows_better_than_what_is_measured_where_a_pole_swings() -> None:
    rng, x = np.random.default_rng(1), np.tile([0.0, 1.0, 0.0, 0.0], (50, 1))
    follower = KalmanFilter(DYNAMICS, np.full(4, 1e-2), np.full(4, 1e-5))
    u = np.zeros((50, 1))
    estimate = follower.begin(x + 1e-2 * rng.standard_normal(x.shape))
    for _ in range(30):
        x = DYNAMICS.step(x, u)
        estimate = follower.correct(follower.predict(estimate, u), x + 1e-2 * rng.standard_normal(x.shape))
    missed = estimate.mean - x
    assert (missed.std(axis=0) < 0.5e-2).all()
    expected = np.sqrt(np.diagonal(estimate.covariance, axis1=-2, axis2=-1)).mean(axis=0)
    np.testing.assert_allclose(missed.std(axis=0), expected, rtol=0.4)


def test_angles_may_come_wrapped_and_the_estimate_goes_on() -> None:
    follower = KalmanFilter(DYNAMICS, np.full(4, 1e-2), np.full(4, 1e-3))
    estimate = follower.begin(np.array([0.0, math.pi + 0.1, 0.0, 0.0]))
    corrected = follower.correct(estimate, np.array([0.0, -math.pi + 0.1, 0.0, 0.0]))
    assert corrected.mean[1] == pytest.approx(math.pi + 0.1)


def test_what_is_measured_without_noise_is_believed() -> None:
    follower = KalmanFilter(DYNAMICS, np.zeros(4), np.full(4, 1e-3))
    moved = follower.predict(follower.begin(np.zeros(4)), np.zeros(1))
    corrected = follower.correct(moved, np.array([0.01, 0.02, 0.03, 0.04]))
    np.testing.assert_allclose(corrected.mean, [0.01, 0.02, 0.03, 0.04])
    assert np.isfinite(corrected.covariance).all()


def test_states_of_a_batch_are_followed_each_by_itself() -> None:
    rng, follower = np.random.default_rng(2), KalmanFilter(DYNAMICS, np.full(4, 1e-2), np.full(4, 1e-3))
    first, second, u = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.standard_normal((3, 1))
    both = follower.correct(follower.predict(follower.begin(first), u), second)
    for row in range(3):
        alone = follower.correct(follower.predict(follower.begin(first[row]), u[row]), second[row])
        np.testing.assert_allclose(both.mean[row], alone.mean, atol=1e-12)
        np.testing.assert_allclose(both.covariance[row], alone.covariance, atol=1e-12)
