"""The measured pendulum of Schmidt and Lipson, task 3 of Greydanus, Dzamba and Yosinski 2019 (arXiv 1906.01563)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arithmetic import cos, sin
from hnn_envs.arrays import Array
from hnn_envs.components import Components
from hnn_envs.hamiltonian import PortHamiltonian, PotentialFormulas, Separable
from hnn_envs.systems.sampling import on_circles
from hnn_envs.systems.spec import Coordinate, Input, SystemSpec, one_coordinate


def potential(system: RealPendulum, q: Components) -> Array:
    """V(q) = g (1 - cos q)."""
    (angle,) = q
    return system.gravity * (1 - cos(angle))


def potential_gradient(system: RealPendulum, q: Components) -> Components:
    """dV/dq = g sin q."""
    (angle,) = q
    return (system.gravity * sin(angle),)


@dataclass(frozen=True)
class RealPendulum(Separable):
    """Damped pendulum, H(q, p) = p^2 / 2m + g (1 - cos q), p' = -dH/dq - gamma p + u, fitted to measured data.

    State x = [q, p], shape (..., 2): the angle in rad, 0 hanging, and the measured angular velocity in rad/s. Input u,
    shape (..., 1): a torque. Time in seconds.

    Where the numbers come from: Schmidt and Lipson, Science 324:81 (2009), real_pend_h_1.txt, 556 samples of angle and
    angular velocity, 1/6 s apart with gaps, from t = 5 to 99.5 s, the amplitude falling from 1.47 to 0.87 rad. One
    trajectory from one free initial state was fitted to the whole series by least squares, both columns weighted alike
    (``training/fit_real_pendulum.py`` does it again). The velocity column is 4.4 % smaller than the angle's rate of
    change, as a smoothed derivative would be; since p is that column, the mass is not 1. Standard errors, from 4 s
    blocks since residuals are correlated: 0.04 % in g/m, 0.13 % in m, 0.5 % in gamma. Residual rms over the whole
    94.5 s: 0.016 rad and 0.013 rad/s.
    """

    gravity: float = 1.29615  # in V = gravity (1 - cos q)
    inverse_mass: float = 1.0 / 0.95641
    damping: float = 0.012128  # gamma, 1/s

    formulas = PotentialFormulas(potential, potential_gradient)

    @cached_property
    def spec(self) -> SystemSpec:
        """One angle and a torque; the time scale is the period of small oscillations, 5.4 s."""
        return one_coordinate(
            Coordinate("angle q", "rad", angle=True, momentum="angular velocity p", momentum_unit="rad/s"),
            Input("torque"),
            "real-pendulum",
            time_scale=2 * math.pi / math.sqrt(self.gravity * self.inverse_mass),
            longest_step=0.021,
            picture="pendulum",
            dissipative=True,
            time_unit="s",
            energy_unit="rad\N{SUPERSCRIPT TWO}/s\N{SUPERSCRIPT TWO}",
        )

    @cached_property
    def field(self) -> PortHamiltonian:
        """The fitted vector field, q' = p / m, p' = -g sin q - gamma p + u."""
        return PortHamiltonian(self, self.spec.force_matrix, self.damping)

    def invariants(self, x: Array) -> dict[str, Array]:
        """The energy; it decays as p' = -gamma p takes it away, dH/dt = -gamma p^2 / m."""
        return {"energy": self.value(x)}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states, shape (count, 2), of the size that the measured series has: radius U(0.87, 1.47)."""
        return on_circles(rng, count, 0.87, 1.47)


REAL_PENDULUM = RealPendulum()
