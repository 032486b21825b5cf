"""The extended Kalman filter: where a system is, from noisy measurements and dynamics that are nearly right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hnn_envs.agents.ilqr import DiscreteDynamics
from hnn_envs.arrays import Array, wrapped


class Estimate(NamedTuple):
    """What is known of states.

    Attributes:
        mean: shape (..., 2*dof).
        covariance: shape (..., 2*dof, 2*dof).
    """

    mean: Array
    covariance: Array


@dataclass(frozen=True)
class KalmanFilter:
    """Follows states that are measured whole, with independent noise on every component.

    Attributes:
        dynamics: of a step.
        noise: standard deviation of each measured component, shape (2*dof,).
        disturbance: standard deviation of what a step is off by, shape (2*dof,).
    """

    dynamics: DiscreteDynamics
    noise: Array
    disturbance: Array

    def begin(self, measured: Array) -> Estimate:
        """What a first measurement (..., 2*dof) tells."""
        mean = np.array(measured, dtype=np.float64)
        return Estimate(mean, np.broadcast_to(np.diag(self.noise**2), (*mean.shape, mean.shape[-1])).copy())

    def predict(self, estimate: Estimate, u: Array) -> Estimate:
        """What is known after a step under inputs (..., inputs)."""
        a, _ = self.dynamics.jacobian(estimate.mean, u)
        spread = a @ estimate.covariance @ np.swapaxes(a, -1, -2) + np.diag(self.disturbance**2)
        return Estimate(self.dynamics.step(estimate.mean, u), spread)

    def correct(self, estimate: Estimate, measured: Array) -> Estimate:
        """What is known once a state has been measured; angles may come wrapped, and the mean's go on."""
        missed = measured - estimate.mean
        angles = np.array((*self.dynamics.spec.angles, *(False,) * (missed.shape[-1] // 2)))
        missed = np.where(angles, wrapped(missed), missed)
        # A measurement without noise, of a step without error, leaves nothing to divide by.
        measured_spread = np.diag(np.maximum(self.noise, np.finfo(np.float64).tiny ** 0.25) ** 2)
        gain = np.swapaxes(np.linalg.solve(estimate.covariance + measured_spread, estimate.covariance), -1, -2)
        mean = estimate.mean + (gain @ missed[..., None])[..., 0]
        # Joseph's form stays symmetric and positive semidefinite.
        left = np.eye(missed.shape[-1]) - gain
        spread = left @ estimate.covariance @ np.swapaxes(left, -1, -2)
        return Estimate(mean, spread + gain @ measured_spread @ np.swapaxes(gain, -1, -2))
