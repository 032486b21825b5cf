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
from hnn_envs.tasks.actuation import actuation_of

CATCH_ANGLE = 0.5  # rad from upright, within which the regulator may take over ...
CATCH_ACTION = 3.0  # ... where it asks for at most this many times the largest torque
PUMP_GAIN = 4.0  # torque per missing energy, before it is limited
CAUTION = 400.0  # of a regulator that takes over: a gentle one holds more states, above all where friction is dry
TRIED_STEPS = 40  # steps for which a regulator is tried before it takes over
REACHED = 0.1  # cost at the goal, below which it has brought the state there ...
SETTLED = 0.01  # ... unless the cost has grown, beyond this


class QuadraticTask(Task, Protocol):
    """Drive a system to a state at rest, where the cost is quadratic, at least near it.

    Attributes:
        goal: the state, shape (2*dof,).
        goal_cost: C of the cost (x - goal)^T C (x - goal), shape (2*dof, 2*dof).
        input_cost: cost per input squared, or of each that is driven.
    """

    @property
    def goal(self) -> Array: ...  # noqa: D102 - documented together
    @property
    def goal_cost(self) -> Array: ...  # noqa: D102
    @property
    def input_cost(self) -> float | Array: ...  # noqa: D102


def random_policy(task: Task, seed: int = 0) -> Controller:
    """Uniformly random actions."""
    rng, actions = np.random.default_rng(seed), actuation_of(task).actions
    return lambda observations, states: rng.uniform(-1.0, 1.0, (len(states), actions))


def regulator(task: Task, dynamics: Dynamics, rest: Array, cost: Array, input_cost: float | Array) -> Array:
    """The gain K of the discrete linear-quadratic regulator, action = -K (x - rest), shape (actions, 2*dof).

    Args:
        task: says which inputs there are, and how large they are.
        dynamics: the physics, linearised as it is stepped.
        rest: the state to hold, shape (2*dof,).
        cost: C of the cost (x - rest)^T C (x - rest), shape (2*dof, 2*dof).
        input_cost: cost per input squared, or of each that is driven.
    """
    return riccati(task, dynamics, rest, cost, input_cost)[0]


def riccati(task: Task, dynamics: Dynamics, rest: Array, cost: Array, input_cost: float | Array) -> tuple[Array, Array]:
    """The gain of ``regulator``, and P of what its way to rest costs, (x - rest)^T P (x - rest)."""
    actuation = actuation_of(task)
    a, b = dynamics.jacobian(rest)
    b = b @ actuation.matrix.T
    r = input_cost * actuation.sizes**2 * np.eye(actuation.actions)
    p: Array = scipy.linalg.solve_discrete_are(a, b, cost, r)
    gain: Array = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
    return gain, p


def from_goal(task: QuadraticTask, states: Array) -> Array:
    """Where states (n, 2*dof) are as seen from the goal; angles go the shorter way round."""
    away = states - task.goal
    angles = np.array((*spec_of(task.system).angles, *(False,) * spec_of(task.system).dof))
    return np.where(angles, wrapped(away), away)


def lqr(task: QuadraticTask, dynamics: str = "ode", *, caution: float = 1.0) -> Controller:
    """The linear-quadratic regulator at a task's goal; where the cost is quadratic all over, the optimum.

    But for the horizon's end, that is.

    Args:
        task: what is asked.
        dynamics: the physics that it is designed in.
        caution: how many times as much as the task says an input costs.
    """
    made = make_dynamics(task.system, dynamics, dt=task.dt)
    gain = regulator(task, made, task.goal, task.goal_cost, caution * task.input_cost)
    return lambda observations, states: np.clip(-(from_goal(task, states) @ gain.T), -1.0, 1.0)


def mpc_and_lqr(task: QuadraticTask, dynamics: str = "hnn", seed: int = 0) -> Controller:
    """Model-predictive control, until the physics says that the regulator at the goal will bring the state there.

    The regulator is tried in the physics at every step, and what it would reach decides: its region of attraction is
    small where inputs are, and where friction is dry.
    """
    made, actuation = make_dynamics(task.system, dynamics, dt=task.dt), actuation_of(task)
    plan, hold = mpc(task, dynamics, seed), lqr(task, dynamics, caution=CAUTION)

    def reaches(states: Array) -> Array:
        first = _cost_at(task, states)
        for _ in range(TRIED_STEPS):
            states = made.step(states, actuation.to_inputs(hold(states, states)))
        last = _cost_at(task, states)
        return (last < REACHED) & (last <= np.maximum(first, SETTLED))

    def controller(observations: Array, states: Array) -> Array:
        with np.errstate(all="ignore"):
            caught = reaches(states)
        held = hold(observations, states)
        return held if caught.all() else np.where(caught[:, None], held, plan(observations, states))

    return controller


def _cost_at(task: QuadraticTask, states: Array) -> Array:
    away = from_goal(task, states)
    cost: Array = ((away @ task.goal_cost) * away).sum(-1)
    return np.where(np.isfinite(cost), cost, np.inf)


def swing_up(task: QuadraticTask, dynamics: str = "hnn") -> Controller:
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
    gain = regulator(task, made, top, task.goal_cost, task.input_cost)
    goal = hamiltonian.value(top)

    def controller(observations: Array, states: Array) -> Array:
        angle = wrapped(states[:, 0] - top[0])
        catch = -(np.stack((angle, states[:, 1]), axis=-1) @ gain.T)[:, 0]
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
