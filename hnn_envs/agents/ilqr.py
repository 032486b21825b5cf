"""Iterative linear-quadratic control of bounded actions, of many starts or guesses as one batch, in any physics.

    cost, actuation = cost_of(task), actuation_of(task)
    found = optimise(dynamics, cost, actuation, x0, guess)  # x0 (..., 2*dof), guess (..., steps, actions)
    action = found.action(step, x)  # tracks the plan from wherever the system is

An iteration linearises the physics along the trajectories by one call of ``jacobian``, solves the
linear-quadratic problem backwards, with the actions kept within their bounds (Tassa, Mansard, Todorov, ICRA 2014,
doi 10.1109/ICRA.2014.6907001), and rolls out the step that it found; where that gains too little, several shorter ones
at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from hnn_envs.agents.costs import Cost, Expansion
from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidActionError, InvalidStateError
from hnn_envs.systems import SystemSpec
from hnn_envs.tasks.actuation import Actuation

FULL = np.array([1.0])
SHORTER = np.array([0.5, 0.25, 0.1, 0.03, 0.01])
"""Lengths of a step, tried all at once where the full one does not gain enough."""
ENOUGH = 0.3
"""Share of the gain that is expected of a full step, from which on no shorter one is tried."""
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-9, 1e6
"""Added to the curvature by the actions."""
EASIER, HARDER = 0.3, 8.0
"""What the damping is multiplied by after a step that was taken, and after one that was not."""
NEWTON_STEPS = 6
"""Most changes of which actions are at their bounds, of several that are driven at once."""


class DiscreteDynamics(Protocol):
    """Steps with their derivatives, such as ``hnn_envs.dynamics.Dynamics`` on the CPU, or any model of a step."""

    @property
    def spec(self) -> SystemSpec:
        """What the system is."""
        ...

    def step(self, x: Array, u: Array, /) -> Array:
        """The states after a step, from states (..., 2*dof) under inputs (..., inputs)."""
        ...

    def jacobian(self, x: Array, u: Array, /) -> tuple[Array, Array]:
        """The derivatives of ``step`` by states (..., 2*dof, 2*dof) and by inputs (..., 2*dof, inputs)."""
        ...


@dataclass(frozen=True)
class Trajectory:
    """Plans, of any leading axes (...,).

    Attributes:
        states: shape (..., steps + 1, 2*dof).
        actions: shape (..., steps, actions), in [-1, 1].
        gains: how the actions answer deviations from the states, shape (..., steps, actions, 2*dof); zero for an
            action that is at its bound.
        cost: shape (...,); infinite for what diverges.
        iterations: how many were made.
    """

    states: Array
    actions: Array
    gains: Array
    cost: Array
    iterations: int = 0

    def action(self, step: int, x: Array) -> Array:
        """What to do at a step in states x (..., 2*dof) near the plan's, shape (..., actions), in [-1, 1]."""
        moved = (self.gains[..., step, :, :] @ (x - self.states[..., step, :])[..., None])[..., 0]
        return np.clip(self.actions[..., step, :] + moved, -1.0, 1.0)

    def rest(self, steps: int = 1) -> Trajectory:
        """What is left of the plans after so many steps; the cost remains that of the whole."""
        later = {name: getattr(self, name)[..., steps:, :] for name in ("states", "actions")}
        return replace(self, **later, gains=self.gains[..., steps:, :, :])

    def longer(self, steps: int = 1) -> Trajectory:
        """The same plans, whose last action is held for so many steps more, without an answer to deviations."""

        def hold(values: Array, axis: int) -> Array:
            last = np.take(values, [-1] * steps, axis=axis)
            return np.concatenate((values, last), axis=axis)

        gains = hold(self.gains, -3)
        gains[..., -steps:, :, :] = 0.0
        return replace(self, states=hold(self.states, -2), actions=hold(self.actions, -2), gains=gains)

    def __getitem__(self, index: object) -> Trajectory:
        """Some of the plans, as NumPy indexes their leading axes."""
        arrays = {name: getattr(self, name)[index] for name in ("states", "actions", "gains", "cost")}
        return replace(self, **arrays)

    def best(self, axis: int = -1) -> Trajectory:
        """The cheapest along one of the leading axes."""
        axis %= self.cost.ndim
        chosen = np.expand_dims(np.argmin(self.cost, axis=axis), axis)

        def take(values: Array) -> Array:
            index = chosen.reshape((*chosen.shape, *(1,) * (values.ndim - chosen.ndim)))
            return np.take_along_axis(values, index, axis=axis).squeeze(axis)

        return Trajectory(take(self.states), take(self.actions), take(self.gains), take(self.cost), self.iterations)


def stacked(plans: Sequence[Trajectory]) -> Trajectory:
    """Plans of the same shape along a new first axis."""
    states, actions, gains, cost = (
        np.stack([getattr(plan, name) for plan in plans]) for name in ("states", "actions", "gains", "cost")
    )
    return Trajectory(states, actions, gains, cost)


class Policy(NamedTuple):
    """What a backward pass gives, with the steps first.

    Attributes:
        moves: changes of the actions, shape (steps, n, actions).
        gains: shape (steps, n, actions, 2*dof).
        gain: what the whole step is expected to take off the cost, shape (n,).
    """

    moves: Array
    gains: Array
    gain: Array


def optimise(
    dynamics: DiscreteDynamics,
    cost: Cost,
    actuation: Actuation,
    state: Array,
    guess: Array | Trajectory,
    *,
    iterations: int = 50,
    tolerance: float = 1e-4,
    gains: bool = True,
) -> Trajectory:
    """Improves actions until nothing is gained; each start or guess goes its own way, whatever the others do.

    Args:
        dynamics: the physics.
        cost: what is to be small.
        actuation: how actions drive the inputs.
        state: where trajectories start, shape (..., 2*dof).
        guess: first actions, shape (..., steps, actions), whose leading axes broadcast with those of the state, beyond
            [-1, 1] clipped; or plans, which are followed by their gains.
        iterations: at the most.
        tolerance: an iteration that takes off a smaller share of the cost is the last.
        gains: whether the gains are wanted of the very plan that is returned, which costs half an iteration; otherwise
            they are those about the one before, and zero where nothing was gained.

    Raises:
        InvalidStateError: a state of another shape, or not finite.
        InvalidActionError: actions of another shape, or not finite.
    """
    followed = guess if isinstance(guess, Trajectory) else None
    x, u = _checked(dynamics, actuation, state, guess if followed is None else followed.actions)
    leading = x.shape[:-1]
    problem = _Problem(dynamics, cost, actuation)
    with np.errstate(all="ignore"):
        found = problem.begin(x.reshape(-1, x.shape[-1]), u.reshape(-1, *u.shape[-2:]), followed)
        damping, busy, done = np.full(len(found.cost), FIRST_DAMPING), np.isfinite(found.cost), 0
        while done < iterations and busy.any():
            done += 1
            busy = problem.improve(found, damping, np.flatnonzero(busy), tolerance)
        if gains:
            policy = problem.backward(found, np.full(len(found.cost), LEAST_DAMPING))
            found.gains[:] = np.moveaxis(policy.gains, 0, 1)
    states, planned, answers = (
        values.reshape(*leading, *values.shape[1:]) for values in (found.states, found.actions, found.gains)
    )
    return Trajectory(states, planned, answers, found.cost.reshape(leading), done)


@dataclass(frozen=True)
class _Problem:
    """A physics, a cost, and how actions drive it; trajectories are a batch of n."""

    dynamics: DiscreteDynamics
    cost: Cost
    actuation: Actuation

    def begin(self, x: Array, actions: Array, followed: Trajectory | None) -> Trajectory:
        """The trajectories of first guesses; those of a plan that is followed answer what is off it."""
        count, steps, width = actions.shape
        states, gains, u = np.empty((count, steps + 1, x.shape[-1])), np.zeros((*actions.shape, x.shape[-1])), actions
        states[:, 0] = x
        if followed is not None:
            gains, u = followed.gains.reshape(gains.shape).copy(), actions.copy()
        for step in range(steps):
            if followed is not None:
                here = states[:, step].reshape(followed.states[..., 0, :].shape)
                wanted = followed.action(step, here).reshape(count, width)
                # Once a trajectory has diverged there is nothing to answer, and the plan stands.
                u[:, step] = np.where(np.isfinite(wanted), wanted, u[:, step])
            states[:, step + 1] = self.dynamics.step(states[:, step], self.actuation.to_inputs(u[:, step]))
        return Trajectory(states, u.copy(), gains, self.total(states, u))

    def total(self, states: Array, actions: Array) -> Array:
        """The cost, infinite for what diverges."""
        total = self.cost.total(states, actions)
        return np.where(np.isfinite(total), total, np.inf)

    def improve(self, found: Trajectory, damping: Array, rows: Array, tolerance: float) -> Array:
        """One iteration of some of the trajectories, in place; which of all are worth another, shape (n,)."""
        here = found[rows]
        policy = self.backward(here, damping[rows])
        states, actions, cost = self.forward(here, policy, FULL)
        short = np.flatnonzero(~(here.cost - cost > ENOUGH * policy.gain))
        if len(short):
            some = Policy(policy.moves[:, short], policy.gains[:, short], policy.gain[short])
            others = self.forward(here[short], some, SHORTER)
            better = others[2] < cost[short]
            states[short[better]], actions[short[better]], cost[short[better]] = (each[better] for each in others)
        gain = here.cost - cost
        better = gain > 0
        taken = rows[better]
        found.states[taken], found.actions[taken], found.cost[taken] = states[better], actions[better], cost[better]
        found.gains[taken] = np.moveaxis(policy.gains, 0, 1)[better]
        damping[rows] = np.maximum(damping[rows] * np.where(better, EASIER, HARDER), LEAST_DAMPING)
        busy = np.zeros(len(found.cost), dtype=np.bool_)
        busy[rows] = np.where(better, gain > tolerance * np.abs(here.cost), damping[rows] < MOST_DAMPING)
        return busy

    def forward(self, found: Trajectory, policy: Policy, lengths: Array) -> tuple[Array, Array, Array]:
        """The states (n, steps + 1, 2*dof), actions and costs (n,) of the best of some lengths of a step."""
        count, steps, width = found.actions.shape
        states = np.empty((steps + 1, count, len(lengths), found.states.shape[-1]))
        actions = np.empty((steps, count, len(lengths), width))
        planned = np.moveaxis(found.actions, 1, 0)[:, :, None] + lengths[:, None] * policy.moves[:, :, None]
        old, turned = np.moveaxis(found.states, 1, 0)[:, :, None], np.swapaxes(policy.gains, -1, -2)
        states[0] = old[0]
        for step in range(steps):
            wanted = planned[step] + (states[step] - old[step]) @ turned[step]
            actions[step] = np.minimum(np.maximum(wanted, -1.0), 1.0)
            states[step + 1] = self.dynamics.step(states[step], self.actuation.to_inputs(actions[step]))
        states, actions = np.moveaxis(states, 0, 2), np.moveaxis(actions, 0, 2)
        cost = self.total(states, actions)
        each, best = np.arange(count), np.argmin(cost, axis=1)
        return states[each, best], actions[each, best], cost[each, best]

    def backward(self, found: Trajectory, damping: Array) -> Policy:
        """The changes and the gains that the linear-quadratic problems about the trajectories ask for."""
        size, width = found.states.shape[-1], found.actions.shape[-1]
        steps = found.actions.shape[1]
        a, b = self.dynamics.jacobian(found.states[:, :-1], self.actuation.to_inputs(found.actions))
        by_actions = b @ self.actuation.matrix.T
        ahead = np.ascontiguousarray(np.moveaxis(np.concatenate((a, by_actions), axis=-1), 1, 0))
        turned = np.swapaxes(ahead, -1, -2)
        expansion = self.cost.expand(found.states, found.actions)
        slopes, curves = _joined(expansion, size)
        value_slope, value_curve = expansion.state_slopes[:, -1], expansion.state_curves[:, -1]
        low, high = (np.moveaxis(bound - found.actions, 1, 0) for bound in (-1.0, 1.0))
        moves = np.empty((steps, len(damping), width))
        gains = np.empty((steps, len(damping), width, size))
        damped, expected = damping[:, None, None] * np.eye(width), np.zeros(len(damping))
        for step in range(steps - 1, -1, -1):
            slope = slopes[step] + (turned[step] @ value_slope[..., None])[..., 0]
            curve = curves[step] + turned[step] @ value_curve @ ahead[step]
            cross, by_action, own = curve[:, size:, :size], slope[:, size:], curve[:, size:, size:]
            move, gain = bounded_step(own + damped, by_action, cross, low[step], high[step])
            moves[step], gains[step] = move, gain
            back, across = np.swapaxes(gain, -1, -2), np.swapaxes(cross, -1, -2)
            turn = (own @ move[..., None])[..., 0]
            expected -= ((by_action + 0.5 * turn) * move).sum(-1)
            answers = back @ (by_action + turn)[..., None] + across @ move[..., None]
            value_slope = slope[:, :size] + answers[..., 0]
            value_curve = curve[:, :size, :size] + back @ (cross + own @ gain) + across @ gain
        return Policy(moves, gains, expected)


def _joined(expansion: Expansion, size: int) -> tuple[Array, Array]:
    """Slopes (steps, n, 2*dof + actions) and curves of each step but the last, with the steps first."""
    count, steps, width = expansion.action_slopes.shape
    slopes = np.concatenate((expansion.state_slopes[:, :-1], expansion.action_slopes), axis=-1)
    curves = np.zeros((steps, count, size + width, size + width))
    curves[..., :size, :size] = np.moveaxis(expansion.state_curves[:, :-1], 1, 0)
    curves[..., size:, size:] = np.moveaxis(expansion.action_curves, 1, 0)
    return np.moveaxis(slopes, 1, 0), curves


def bounded_step(curve: Array, slope: Array, cross: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The minimum of curve z z / 2 + slope z within bounds, and how the entries of z that are free answer the state.

    One entry is solved for at once, several by a projected method of Newton.

    Args:
        curve: positive definite, shape (n, m, m).
        slope: shape (n, m).
        cross: by z and by the state, shape (n, m, 2*dof).
        low: smallest z, shape (n, m), not positive.
        high: largest z, not negative.

    Returns:
        z (n, m) and gains (n, m, 2*dof).
    """
    if slope.shape[-1] == 1:
        wanted = -slope / curve[:, 0]
        z = np.minimum(np.maximum(wanted, low), high)
        return z, np.where(z == wanted, -1.0, 0.0)[..., None] * cross / curve
    z, identity = np.zeros_like(slope), np.eye(slope.shape[-1])
    for _ in range(NEWTON_STEPS):
        there = slope + (curve @ z[..., None])[..., 0]
        held = ((z <= low) & (there > 0)) | ((z >= high) & (there < 0))
        free = ~(held[..., None] | held[:, None, :])
        system, wanted = np.where(free, curve, identity), np.where(held, 0.0, there)
        z = np.clip(z - np.linalg.solve(system, wanted[..., None])[..., 0], low, high)
    return z, -np.linalg.solve(system, np.where(held[..., None], 0.0, cross))


def _checked(dynamics: DiscreteDynamics, actuation: Actuation, state: Array, actions: Array) -> tuple[Array, Array]:
    """States (..., 2*dof) and actions (..., steps, actions) of the same leading axes."""
    x, u = np.asarray(state, dtype=np.float64), np.asarray(actions, dtype=np.float64)
    size, width = 2 * dynamics.spec.dof, actuation.actions
    if x.ndim < 1 or x.shape[-1] != size or not np.isfinite(x).all():
        raise InvalidStateError(f"{dynamics.spec.name} has finite states of {size} numbers, not an array {x.shape}")
    if u.ndim < 2 or u.shape[-1] != width or u.shape[-2] < 1 or not np.isfinite(u).all():
        raise InvalidActionError(f"actions are finite, of shape (..., steps, {width}), not an array {u.shape}")
    try:
        leading = np.broadcast_shapes(x.shape[:-1], u.shape[:-2])
    except ValueError as error:
        raise InvalidActionError(f"actions {u.shape} do not go with states {x.shape}") from error
    return np.broadcast_to(x, (*leading, size)), np.clip(np.broadcast_to(u, (*leading, *u.shape[-2:])), -1.0, 1.0)
