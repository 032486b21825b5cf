"""What trained agents are held against: controllers that nothing was trained for, beyond the physics they are made in.

Every one is made by a function (task, dynamics) -> controller, and tasks name the ones that suit them
(``hnn_envs.tasks.optional.Reference``).
"""

from __future__ import annotations

import math
from typing import Protocol

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

CATCH_ANGLE = 0.5  # rad from upright, within which the regulator may take over ...
CATCH_ACTION = 3.0  # ... where it asks for at most this many times the largest torque
PUMP_GAIN = 4.0  # torque per missing energy, before it is limited


class QuadraticTask(Task, Protocol):
    """Drive a system with one input to rest at 0: the cost is |x|^2 and ``input_cost`` times u^2."""

    @property
    def input_cost(self) -> float:
        """Cost per input squared."""
        ...


class SwingUpTask(Task, Protocol):
    """Swing a pendulum up: the cost is the angle from upright squared, and these per velocity and torque squared.

    Attributes:
        velocity_unit, torque_unit: the unit of the cost's velocity per momentum, and of its torque per input.
        velocity_cost, torque_cost: cost per square of these.
    """

    @property
    def velocity_unit(self) -> float: ...  # noqa: D102 - documented together
    @property
    def torque_unit(self) -> float: ...  # noqa: D102
    @property
    def velocity_cost(self) -> float: ...  # noqa: D102
    @property
    def torque_cost(self) -> float: ...  # noqa: D102


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


def lqr(task: QuadraticTask, dynamics: str = "ode") -> Controller:
    """The linear-quadratic regulator of a task with a quadratic cost: but for the horizon's end, the optimum."""
    made = make_dynamics(task.system, dynamics, dt=task.dt)
    size = 2 * spec_of(task.system).dof
    gain = regulator(task, made, np.zeros(size), np.ones(size), task.input_cost)
    return lambda observations, states: np.clip(-(states @ gain.T) / task.max_input, -1.0, 1.0)


def swing_up(task: SwingUpTask, dynamics: str = "hnn") -> Controller:
    """Energy shaping with a regulator at the top, designed on the Hamiltonian of a physics.

    The torque pumps along the learned velocity dH/dp while the learned energy is below that of the learned upright
    rest, and the regulator, linearised on the same physics, catches the pendulum there (Astrom and Furuta 2000).

    Raises:
        InvalidOptionError: the physics has no Hamiltonian.
    """
    made = make_dynamics(task.system, dynamics, dt=task.dt)
    if not isinstance(made.field, PortHamiltonian):
        raise InvalidOptionError(f"energy shaping needs a Hamiltonian, and dynamics {dynamics!r} has none")
    hamiltonian = made.field.hamiltonian
    top = upright(hamiltonian)
    costs = np.array([1.0, task.velocity_cost * task.velocity_unit**2])
    gain = regulator(task, made, top, costs, task.torque_cost * task.torque_unit**2)
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


def mpc(task: Task | str, dynamics: str = "hnn", seed: int = 0) -> Controller:
    """Model-predictive control in a physics, by the cross-entropy method."""
    planner = Planner(task, dynamics, seed=seed)
    return lambda observations, states: planner.plan(states)
