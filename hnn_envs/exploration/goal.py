"""What an agent is to reach and to hold, in the coordinates in which it is watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hnn_envs.agents.controllers import QuadraticTask
from hnn_envs.agents.costs import GoalCost, distance_cost
from hnn_envs.arrays import Array, wrapped
from hnn_envs.errors import InvalidOptionError
from hnn_envs.recordings.adapters import Env
from hnn_envs.recordings.own_adapter import velocity_map
from hnn_envs.tasks.actuation import actuation_of
from hnn_envs.tasks.optional import UprightTask

TOLERANCE = 0.25
"""How far from the goal a state may be that is held there, in rad or in the coordinate's unit."""
VELOCITY_COST = 1.0 / 64.0
"""What the square of a velocity costs, next to 1 for that of a coordinate."""
ACTION_COST = 0.05
"""What the square of an action costs, next to 1 for that of a coordinate."""

NEAR = np.geomspace(1e-4, 1e4, 801)
"""Distances at which goals are told from each other, each 2 % larger than the one before."""


@dataclass(frozen=True)
class Goal:
    """A state at rest that is to be reached and held.

    Attributes:
        state: positions and velocities, shape (2*dof,).
        cost: C of the cost (x - state)^T C (x - state), shape (2*dof, 2*dof).
        action_cost: of the square of each action, which is in [-1, 1]: one for all, or one for each, shape (actions,).
        reached: states (..., 2*dof) -> whether they count as being there, shape (...,).
        low, high: limits of the state, shape (2*dof,), infinite where there are none.
    """

    state: Array
    cost: Array
    action_cost: float | Array
    reached: Callable[[Array], Array]
    low: Array
    high: Array

    def inside(self, states: Array) -> Array:
        """Whether states (..., 2*dof) are within the limits, shape (...,); those that are not finite are not."""
        within: Array = (np.isfinite(states) & (states >= self.low) & (states <= self.high)).all(-1)
        return within

    def key(self) -> tuple[Any, ...]:
        """What tells it from others: its numbers, and how far along each position it counts as reached, nearly."""
        dof = len(self.state) // 2
        away = np.concatenate([side * NEAR[:, None, None] * np.eye(dof, 2 * dof) for side in (1.0, -1.0)])
        counted = self.reached(self.state + away).sum(0).tolist()
        numbers = [each.tolist() for each in (self.state, self.cost, self.low, self.high)]
        return (*numbers, np.ravel(self.action_cost).tolist(), counted)

    def check(self, dof: int) -> None:
        """Makes sure that it is of a system with so many coordinates.

        Raises:
            InvalidOptionError: it is of another one.
        """
        if self.state.shape != (2 * dof,):
            raise InvalidOptionError(f"the goal must be of {dof} positions, not of {len(self.state) // 2}")

    def cost_of(self, angles: Sequence[bool], actions: int) -> GoalCost:
        """What trajectories cost.

        Args:
            angles: which coordinates are angles.
            actions: how many there are.
        """
        costs = np.broadcast_to(self.action_cost, actions)
        return distance_cost(angles, self.state, self.cost, costs, (self.low, self.high))

    @classmethod
    def at(
        cls,
        positions: Sequence[float],
        *,
        angles: Sequence[bool],
        tolerance: float | Sequence[float] = TOLERANCE,
        weights: Sequence[float] | None = None,
        velocity_weights: Sequence[float] | None = None,
        action_cost: float = ACTION_COST,
        low: Sequence[float] | Array | None = None,
        high: Sequence[float] | Array | None = None,
    ) -> Goal:
        """At rest in a place.

        Args:
            positions: q, shape (dof,).
            angles: which of them are angles, which go the shorter way round.
            tolerance: how far each coordinate may be off where the goal is held, one for all or one for each; infinite
                for what does not matter.
            weights: what the square of each coordinate's deviation costs, by default 1.
            velocity_weights: what the square of each velocity costs, by default 1/64.
            action_cost: what the square of an action in [-1, 1] costs.
            low: smallest positions and velocities, shape (2*dof,); by default there are none.
            high: largest ones.

        Raises:
            InvalidOptionError: numbers that do not fit each other, or are out of range.
        """
        q = np.asarray(positions, dtype=np.float64)
        dof = q.size
        each = {
            "weights": np.ones(dof) if weights is None else np.asarray(weights, dtype=np.float64),
            "velocity_weights": np.full(dof, VELOCITY_COST)
            if velocity_weights is None
            else np.asarray(velocity_weights, dtype=np.float64),
            "tolerance": np.broadcast_to(np.asarray(tolerance, dtype=np.float64), dof)
            if np.ndim(tolerance) == 0
            else np.asarray(tolerance, dtype=np.float64),
        }
        if q.ndim != 1 or not dof or not np.isfinite(q).all() or len(angles) != dof:
            raise InvalidOptionError(f"a goal has a finite position for each coordinate, not {positions!r}")
        for name, values in each.items():
            if values.shape != (dof,) or not (values >= 0).all():
                raise InvalidOptionError(f"{name} must be {dof} numbers, at least 0, not {values.tolist()}")
        if not action_cost > 0:
            raise InvalidOptionError(f"action_cost must be positive, not {action_cost!r}")
        limits = _limits(low, dof, -np.inf), _limits(high, dof, np.inf)
        reached = _near(q, angles, each["tolerance"])
        cost = np.diag(np.concatenate((each["weights"], each["velocity_weights"])))
        return cls(np.concatenate((q, np.zeros(dof))), cost, float(action_cost), reached, *limits)


def _limits(given: Sequence[float] | Array | None, dof: int, usual: float) -> Array:
    values = np.full(2 * dof, usual) if given is None else np.asarray(given, dtype=np.float64)
    if values.shape != (2 * dof,) or np.isnan(values).any():
        raise InvalidOptionError(f"limits are {2 * dof} numbers, not {given!r}")
    return values


def goal_of(env: Env) -> Goal:
    """The goal of an environment of this package, whose task is to bring the system to a state at rest.

    Args:
        env: without wrappers.

    Raises:
        InvalidOptionError: the environment has no such task.
    """
    task: Any = getattr(env, "task", None)
    if not all(hasattr(task, name) for name in ("goal", "goal_cost", "input_cost")):
        raise InvalidOptionError(f"nothing says what {env} is to reach: give a goal, such as hnn_envs.Goal.at(...)")
    return _of_task(env, task)


def _of_task(env: Env, task: QuadraticTask) -> Goal:
    """The same where momenta are watched as velocities: v = M^-1 p, with M at the goal."""
    goal = np.array(task.goal)
    dof = len(goal) // 2
    to_velocity = velocity_map(env, goal[:dof])
    back = np.eye(2 * dof)
    back[dof:, dof:] = np.linalg.inv(to_velocity)
    limits = [np.concatenate((side[:dof], _scaled(np.abs(to_velocity), side[dof:]))) for side in (task.low, task.high)]
    action_costs = task.input_cost * actuation_of(task).sizes ** 2
    reached = (
        _upright(task) if isinstance(task, UprightTask) else _near(goal[:dof], env.dynamics.spec.angles, TOLERANCE)
    )
    return Goal(goal, back.T @ task.goal_cost @ back, action_costs, reached, *limits)


def _upright(task: UprightTask) -> Callable[[Array], Array]:
    def reached(states: Array) -> Array:
        near: Array = task.angle_from_upright(states) <= TOLERANCE
        return near

    return reached


def _near(q: Array, angles: Sequence[bool], tolerance: float | Array) -> Callable[[Array], Array]:
    """Whether all positions of states are within a tolerance of q, angles the shorter way round."""
    turning = np.array(angles, dtype=np.bool_)

    def reached(states: Array) -> Array:
        away = states[..., : len(q)] - q
        near: Array = (np.abs(np.where(turning, wrapped(away), away)) <= tolerance).all(-1)
        return near

    return reached


def _scaled(matrix: Array, sides: Array) -> Array:
    """A product in which 0 times infinity is 0."""
    with np.errstate(invalid="ignore"):
        product: Array = np.where(matrix == 0, 0.0, matrix * sides).sum(axis=-1)
    return product
