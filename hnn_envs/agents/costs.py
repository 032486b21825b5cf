"""Costs of trajectories with their derivatives, as iterative linear-quadratic control needs them.

A cost is of all states (..., steps + 1, 2*dof) and actions (..., steps, actions) of trajectories at once. Its expansion
has exact gradients, and curvatures by blocks, one for each state and each action, which are positive semidefinite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import numpy as np

from hnn_envs.agents.controllers import QuadraticTask
from hnn_envs.arrays import Array, wrapped
from hnn_envs.systems import spec_of
from hnn_envs.tasks import Task
from hnn_envs.tasks.actuation import actuation_of
from hnn_envs.tasks.optional import planning_reward_of

DIFFERENCE = 2.0**-13
"""Width of the differences of a reward: the fourth root of rounding, since it is differentiated twice."""


class Expansion(NamedTuple):
    """A cost to second order about trajectories.

    Attributes:
        state_slopes: by each state, shape (..., steps + 1, 2*dof).
        state_curves: shape (..., steps + 1, 2*dof, 2*dof).
        action_slopes: by each action, shape (..., steps, actions).
        action_curves: shape (..., steps, actions, actions).
    """

    state_slopes: Array
    state_curves: Array
    action_slopes: Array
    action_curves: Array


class Cost(Protocol):
    """What a trajectory costs."""

    def total(self, states: Array, actions: Array) -> Array:
        """The cost, shape (...,), of states (..., steps + 1, 2*dof) and actions (..., steps, actions)."""
        ...

    def expand(self, states: Array, actions: Array) -> Expansion:
        """The cost to second order about these trajectories."""
        ...


@dataclass(frozen=True)
class GoalCost:
    """Squared distances r^T W r of all states but the first from a goal, and squares of the actions.

    The distances r are of rows of the state, rows (x - goal): 2 sin(d / 2) for a row of angles d, which is smooth, and
    the same after a whole turn, and d itself for all others. Curvatures are Gauss and Newton's.

    Attributes:
        goal: shape (2*dof,).
        rows: which sums of entries are measured, shape (rows, 2*dof); those of angles are whole numbers.
        turning: which rows are of angles, shape (rows,).
        weights: W on the way, shape (rows, rows).
        last_weights: W at the last state.
        action_costs: of the square of each action, shape (actions,).
        low, high: soft bounds of the state, shape (2*dof,), infinite where there are none.
        bound_costs: of the square of what is beyond them, shape (2*dof,).
    """

    goal: Array
    rows: Array
    turning: Array
    weights: Array
    last_weights: Array
    action_costs: Array
    low: Array
    high: Array
    bound_costs: Array

    def total(self, states: Array, actions: Array) -> Array:
        """The cost, shape (...,)."""
        distance, _ = self._distances(states[..., 1:, :])
        on_way = np.square(distance[..., :-1, :] @ self._root(self.weights)).sum((-1, -2))
        at_end = np.square(distance[..., -1, :] @ self._root(self.last_weights)).sum(-1)
        beyond = (self.bound_costs * np.square(self._beyond(states[..., 1:, :]))).sum((-1, -2))
        total: Array = on_way + at_end + beyond + (self.action_costs * actions * actions).sum((-1, -2))
        return total

    def expand(self, states: Array, actions: Array) -> Expansion:
        """The cost to second order; the first state counts nothing."""
        steps, size = actions.shape[-2], states.shape[-1]
        distance, slope = self._distances(states)
        weights = np.broadcast_to(self.weights, (steps + 1, *self.weights.shape)).copy()
        weights[0], weights[-1] = 0.0, self.last_weights
        jacobian = slope[..., None] * self.rows
        weighed = weights @ jacobian
        curves = 2 * np.swapaxes(jacobian, -1, -2) @ weighed
        slopes = 2 * (distance[..., None, :] @ weighed)[..., 0, :]
        beyond = self._beyond(states)
        beyond[..., 0, :] = 0.0
        slopes += 2 * self.bound_costs * beyond
        curves[..., range(size), range(size)] += 2 * self.bound_costs * (beyond != 0)
        fixed = np.broadcast_to(2 * np.diag(self.action_costs), (*actions.shape, actions.shape[-1]))
        return Expansion(slopes, curves, 2 * self.action_costs * actions, fixed)

    def _distances(self, states: Array) -> tuple[Array, Array]:
        """The distances r, and their slopes by d, each of shape (..., rows)."""
        away = (states - self.goal) @ self.rows.T
        half = 0.5 * wrapped(away)
        return np.where(self.turning, 2 * np.sin(half), away), np.where(self.turning, np.cos(half), 1.0)

    def _beyond(self, states: Array) -> Array:
        """How far states are beyond the soft bounds, with its sign."""
        return states - np.clip(states, self.low, self.high)

    @staticmethod
    def _root(weights: Array) -> Array:
        """A matrix whose product with its transpose is W."""
        values, vectors = np.linalg.eigh(weights)
        root: Array = vectors * np.sqrt(np.maximum(values, 0.0))
        return root


def goal_cost(
    task: QuadraticTask, *, last: float | Array = 10.0, margin: float = 0.75, bound: float = 10.0
) -> GoalCost:
    """The cost of a task with a goal: what it takes off its reward near there, of all states and more of the last.

    Costs of two angles d and e, c d e, are measured by the sine of half d + e or d - e, so that these are smooth as
    well: those of directions of links, say.

    Args:
        task: what is asked.
        last: how many times as much as another the last state counts; or P of what it costs near the goal,
            (x - goal)^T P (x - goal), such as ``hnn_envs.agents.controllers.riccati`` gives it.
        margin: share of the way from the goal to a limit that costs no more than the distance says.
        bound: what a state at the limit costs.
    """
    spec, actuation = spec_of(task.system), actuation_of(task)
    return distance_cost(
        spec.angles,
        np.array(task.goal),
        np.array(task.goal_cost),
        task.input_cost * actuation.sizes**2,
        (task.low, task.high),
        last=last,
        margin=margin,
        bound=bound,
    )


def distance_cost(
    angles: Sequence[bool],
    goal: Array,
    cost: Array,
    action_costs: Array,
    limits: tuple[Array, Array],
    *,
    last: float | Array = 10.0,
    margin: float = 0.75,
    bound: float = 10.0,
) -> GoalCost:
    """The cost (x - goal)^T C (x - goal) of states, of angles as ``goal_cost`` says, and of the square of each action.

    Args:
        angles: which coordinates are angles.
        goal: shape (2*dof,).
        cost: C, shape (2*dof, 2*dof).
        action_costs: shape (actions,).
        limits: of the state, lower and upper, shape (2*dof,) each, infinite where there are none.
        last: see ``goal_cost``.
        margin: likewise.
        bound: likewise.
    """
    size = len(goal)
    turning = np.array((*angles, *(False,) * (size - len(angles))))
    pairs, paired, own = _pairs_of_angles(cost, turning)
    rows = np.concatenate((np.eye(size), pairs))
    weights = np.zeros((len(rows), len(rows)))
    weights[:size, :size], weights[range(size, len(rows)), range(size, len(rows))] = own, paired
    last_weights = np.zeros_like(weights)
    if isinstance(last, np.ndarray):
        last_weights[:size, :size] = last
    else:
        last_weights = last * weights
    low, high = (goal + margin * (limit - goal) for limit in limits)
    with np.errstate(divide="ignore"):
        bound_costs = bound / np.square((1 - margin) * np.minimum(limits[1] - goal, goal - limits[0]))
    return GoalCost(
        goal=goal,
        rows=rows,
        turning=np.concatenate((turning, np.ones(len(pairs), dtype=np.bool_))),
        weights=weights,
        last_weights=last_weights,
        action_costs=action_costs,
        low=low,
        high=high,
        bound_costs=bound_costs,
    )


def _pairs_of_angles(cost: Array, angles: Array) -> tuple[Array, Array, Array]:
    """Sums and differences of angles whose squares take up what a cost has of products of two; and what is left.

    Returns:
        Rows (pairs, 2*dof), their weights (pairs,), and the cost without them; no rows where that is not semidefinite.
    """
    size, rest, rows, weights = len(cost), cost.copy(), [], []
    for i in range(size):
        for j in range(i + 1, size):
            if angles[i] and angles[j] and cost[i, j] != 0:
                row = np.eye(size)[i] + np.sign(cost[i, j]) * np.eye(size)[j]
                rest -= abs(cost[i, j]) * np.outer(row, row)
                rows.append(row)
                weights.append(abs(cost[i, j]))
    if np.linalg.eigvalsh(rest)[0] < -1e-12 * np.abs(cost).max():
        return np.zeros((0, size)), np.zeros(0), cost
    return np.array(rows).reshape(-1, size), np.array(weights), rest


@dataclass(frozen=True)
class RewardCost:
    """Minus the sum of a task's rewards, differentiated by central differences.

    Curvatures that are negative are left out, and so are those between a state, its action and the state after it.

    Attributes:
        task: what is asked.
    """

    task: Task

    def total(self, states: Array, actions: Array) -> Array:
        """The cost, shape (...,)."""
        total: Array = self._costs(states[..., :-1, :], actions, states[..., 1:, :]).sum(-1)
        return total

    def expand(self, states: Array, actions: Array) -> Expansion:
        """The cost to second order."""
        x, following = states[..., :-1, :], states[..., 1:, :]
        before = _derivatives(lambda x: self._costs(x, actions[..., None, :], following[..., None, :]), x)
        after = _derivatives(lambda y: self._costs(x[..., None, :], actions[..., None, :], y), following)
        driven = _derivatives(lambda a: self._costs(x[..., None, :], a, following[..., None, :]), actions)
        slopes, curves = np.zeros(states.shape), np.zeros((*states.shape, states.shape[-1]))
        slopes[..., :-1, :] += before[0]
        slopes[..., 1:, :] += after[0]
        curves[..., :-1, :, :] += before[1]
        curves[..., 1:, :, :] += after[1]
        return Expansion(slopes, _semidefinite(curves), driven[0], _semidefinite(driven[1]))

    def _costs(self, x: Array, actions: Array, following: Array) -> Array:
        """Of each step, shape (...,), whatever of it the reward depends on."""
        reward = planning_reward_of(self.task)(x, actuation_of(self.task).to_inputs(actions), following)
        return np.broadcast_to(-reward, np.broadcast_shapes(*(each.shape[:-1] for each in (x, actions, following))))


def cost_of(task: Task) -> Cost:
    """The cost that a task is planned by: of the distance from its goal where it has one, else minus its reward."""
    if all(hasattr(task, name) for name in ("goal", "goal_cost", "input_cost")):
        return goal_cost(cast("QuadraticTask", task))
    return RewardCost(task)


def _derivatives(function: Callable[[Array], Array], z: Array) -> tuple[Array, Array]:
    """Gradient (..., n) and second derivatives (..., n, n) of a function of vectors, at vectors z (..., n).

    The function is given vectors (..., points, n) and gives values (..., points).
    """
    size = z.shape[-1]
    first, second = np.triu_indices(size)
    unit = DIFFERENCE * np.eye(size)
    both, apart = unit[first] + unit[second], unit[first] - unit[second]
    corners = np.concatenate((both, -both, apart, -apart))
    values = function(z[..., None, :] + np.concatenate((unit, -unit, corners)))
    slopes = (values[..., :size] - values[..., size : 2 * size]) / (2 * DIFFERENCE)
    ahead, behind, across, back = np.split(values[..., 2 * size :], 4, axis=-1)
    curves = np.empty((*z.shape, size))
    curves[..., first, second] = curves[..., second, first] = (ahead + behind - across - back) / (4 * DIFFERENCE**2)
    return slopes, curves


def _semidefinite(curves: Array) -> Array:
    """Symmetric matrices (..., n, n) without their negative eigenvalues; zero where they are not finite."""
    values, vectors = np.linalg.eigh(np.where(np.isfinite(curves), curves, 0.0))
    found: Array = (vectors * np.maximum(values, 0.0)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return found
