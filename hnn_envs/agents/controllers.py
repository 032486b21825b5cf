"""What trained agents are held against: controllers that nothing was trained for, beyond the physics they are made in.

Every anchor is a controller of states. Those that are designed in a physics say so in their name: "mpc/hnn".
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg

from hnn_envs.agents.episodes import Controller
from hnn_envs.agents.planning import Planner
from hnn_envs.arrays import Array, wrapped
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import Hamiltonian, PortHamiltonian
from hnn_envs.systems import spec_of
from hnn_envs.tasks import Task
from hnn_envs.tasks.mass_spring import MassSpringTask
from hnn_envs.tasks.pendulum import PendulumTask

CATCH_ANGLE = 0.5  # rad from upright, within which the regulator may take over ...
CATCH_ACTION = 3.0  # ... where it asks for at most this many times the largest torque
PUMP_GAIN = 4.0  # torque per missing energy, before it is limited


def random_policy(task: Task, seed: int = 0) -> Controller:
    """Uniformly random actions."""
    rng, inputs = np.random.default_rng(seed), spec_of(task.system).force_matrix.shape[-1]
    return lambda observations, states: rng.uniform(-1.0, 1.0, (len(states), inputs))


def regulator(task: Task, dynamics: Dynamics, rest: Array, costs: Array, input_cost: float) -> Array:
    """The gain K of the discrete linear-quadratic regulator u = -K (x - rest), shape (inputs, 2*dof).

    It is linearised on one step of the physics, by central differences, so it holds for any physics as it is stepped.
    """
    size, inputs = len(rest), spec_of(task.system).force_matrix.shape[-1]
    epsilon = 1e-4
    bumps = np.concatenate((epsilon * np.eye(size), -epsilon * np.eye(size)))
    moved = dynamics.step(rest + bumps, np.zeros((2 * size, inputs)))
    a = (moved[:size] - moved[size:]).T / (2 * epsilon)
    pushes = np.concatenate((epsilon * np.eye(inputs), -epsilon * np.eye(inputs)))
    pushed = dynamics.step(np.tile(rest, (2 * inputs, 1)), pushes)
    b = (pushed[:inputs] - pushed[inputs:]).T / (2 * epsilon)
    q, r = np.diag(costs), input_cost * np.eye(inputs)
    p = scipy.linalg.solve_discrete_are(a, b, q, r)
    gain: Array = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
    return gain


def lqr(physics: str = "ode") -> Controller:
    """The linear-quadratic regulator of the mass on a spring: but for the horizon's end, the optimum."""
    task = MassSpringTask()
    dynamics = make_dynamics(task.system, physics, dt=task.dt)
    gain = regulator(task, dynamics, np.zeros(2), np.ones(2), task.input_cost)
    return lambda observations, states: np.clip(-(states @ gain.T) / task.max_input, -1.0, 1.0)


def swing_up(physics: str = "hnn") -> Controller:
    """Energy shaping with a regulator at the top, designed on the Hamiltonian of a physics.

    The torque pumps along the learned velocity dH/dp while the learned energy is below that of the learned upright
    rest, and the regulator, linearised on the same physics, catches the pendulum there (Astrom and Furuta 2000).

    Raises:
        InvalidOptionError: the physics has no Hamiltonian.
    """
    task = PendulumTask()
    dynamics = make_dynamics(task.system, physics, dt=task.dt)
    if not isinstance(dynamics.field, PortHamiltonian):
        raise InvalidOptionError(f"energy shaping needs a Hamiltonian, and dynamics {physics!r} has none")
    hamiltonian = dynamics.field.hamiltonian
    top = upright(hamiltonian)
    costs = np.array([1.0, task.velocity_cost * task.velocity_unit**2])
    gain = regulator(task, dynamics, top, costs, task.torque_cost * task.torque_unit**2)
    goal = hamiltonian.value(top)

    def controller(observations: Array, states: Array) -> Array:
        angle = wrapped(states[:, 0] - top[0])
        catch = -(np.stack((angle, states[:, 1]), axis=-1) @ gain.T)[:, 0] / task.max_input
        velocity = hamiltonian.gradient(states)[:, 1]
        missing = goal - hamiltonian.value(states)
        pump = np.clip(PUMP_GAIN * missing, -1.0, 1.0) * np.where(velocity >= 0, 1.0, -1.0)
        near = (np.abs(angle) < CATCH_ANGLE) & (np.abs(catch) < CATCH_ACTION)
        return np.clip(np.where(near, catch, pump), -1.0, 1.0)[:, None]

    return controller


def upright(hamiltonian: Hamiltonian) -> Array:
    """Where the pendulum's Hamiltonian has its saddle: Newton's method on its gradient, from [pi, 0]."""
    x, epsilon = np.array([math.pi, 0.0]), 1e-4
    for _ in range(20):
        bumps = np.concatenate((epsilon * np.eye(2), -epsilon * np.eye(2)))
        gradients = hamiltonian.gradient(x + bumps)
        hessian = (gradients[:2] - gradients[2:]) / (2 * epsilon)
        x = x - np.linalg.solve(hessian, hamiltonian.gradient(x[None])[0])
    return x


def mpc(task: str, physics: str, seed: int = 0) -> Controller:
    """Model-predictive control in a physics, by the cross-entropy method."""
    planner = Planner(task, physics, seed=seed)
    return lambda observations, states: planner.plan(states)
