"""Model-predictive control by iterative linear-quadratic control, in any physics, true or learned.

    planner = ILQRPlanner("cart-pole", "hnn")
    action = planner.plan(env.unwrapped.state)  # once per step of the environment

The first plan is the best of several guesses, smooth random sequences of actions that are all improved as one batch, of
which the worse half is replaced every few iterations. Every later one is what is left of the plan before, improved by a
few iterations; a plan that has become short is carried on, and made anew where it has not led to where it should.

On one core, for 100 steps in default/hnn, the first plan of the cart-pole takes 1.1 s, that of the acrobot 6 s, and an
iteration of a later one 7 and 28 ms.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hnn_envs.agents.costs import Cost, cost_of
from hnn_envs.agents.ilqr import DiscreteDynamics, Trajectory, optimise, stacked
from hnn_envs.agents.planning import planned_states
from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.parsing import check_counts
from hnn_envs.tasks import Task, resolve_task
from hnn_envs.tasks.actuation import Actuation, actuation_of
from hnn_envs.tasks.optional import search_of

KNOT = 5
"""Steps between the random numbers of a guess, which is straight in between."""
SPREAD = 0.7
"""Their standard deviation."""
REACHED = 0.1
"""Share of the first plan's cost per step, below which the short plans at its end have brought the state there."""
ROUND = 10
"""Iterations after which the worse half of the guesses is replaced."""


def smooth_guesses(rng: np.random.Generator, count: int, steps: int, actions: int) -> Array:
    """Random sequences of actions in [-1, 1] that are straight from knot to knot, shape (count, steps, actions)."""
    knots = SPREAD * rng.standard_normal((count, steps // KNOT + 2, actions))
    place, share = np.divmod(np.arange(steps), KNOT)
    part = (share / KNOT)[:, None]
    return np.clip((1 - part) * knots[:, place] + part * knots[:, place + 1], -1.0, 1.0)


def with_other_ends(rng: np.random.Generator, actions: Array) -> Array:
    """Sequences (..., steps, actions) that go on by other random ones, strong or weak, from a random step on.

    A plan may bring the state to its goal and lose it again, and no small change then holds it there.
    """
    *leading, steps, width = actions.shape
    count = int(np.prod(leading))
    ends = rng.uniform(0.0, 1.0, (count, 1, 1)) ** 2 * smooth_guesses(rng, count, steps, width)
    kept = np.arange(steps)[:, None] < rng.integers(steps, size=(count, 1, 1))
    return np.where(kept, actions.reshape(ends.shape), ends).reshape(actions.shape)


def plan_from(
    dynamics: DiscreteDynamics,
    cost: Cost,
    actuation: Actuation,
    state: Array,
    guesses: Array,
    rng: np.random.Generator,
    *,
    rounds: int = 8,
    tolerance: float = 1e-4,
    gains: bool = True,
) -> Trajectory:
    """The best plan that several guesses lead to.

    After every ten iterations the worse half of them gives way to the better half with other ends.

    Args:
        dynamics: the physics.
        cost: what is to be small.
        actuation: how actions drive the inputs.
        state: where plans start, shape (..., 2*dof).
        guesses: actions, shape (..., guesses, steps, actions).
        rng: draws how plans may go on otherwise.
        rounds: of ten iterations each.
        tolerance: as for ``optimise``.
        gains: likewise.
    """
    start = np.asarray(state, dtype=np.float64)[..., None, :]
    found = optimise(dynamics, cost, actuation, start, guesses, iterations=ROUND, tolerance=tolerance, gains=False)
    for _ in range(rounds - 1):
        order = np.argsort(found.cost, axis=-1)[..., None, None]
        better = np.take_along_axis(found.actions, order, axis=-3)[..., : max(1, guesses.shape[-3] // 2), :, :]
        tried = np.concatenate((better, with_other_ends(rng, better)), axis=-3)
        found = optimise(dynamics, cost, actuation, start, tried, iterations=ROUND, tolerance=tolerance, gains=False)
    best = found.best()
    if not gains:
        return best
    return optimise(dynamics, cost, actuation, best.states[..., 0, :], best.actions, iterations=0)


@dataclass
class ILQRPlanner:
    """Plans for one state or for several at once, each with a plan of its own.

    Args:
        task: a task or its name.
        dynamics: the physics to plan in, as for ``make_dynamics``.
        steps: how far a plan looks ahead.
        guesses: how many the first plan is the best of.
        rounds: of ten iterations each, of the first plan.
        iterations: of every later plan.
        least: how short a plan becomes: it ends when the first one did, as long as that is so many steps away.
        cost: what is to be small; by default what ``cost_of`` makes of the task.
        seed: of the guesses.

    Raises:
        InvalidOptionError: a number that is not a positive integer.
    """

    task: str | Task
    dynamics: str | Checkpoint = "hnn"
    steps: int = 80
    guesses: int = 16
    rounds: int = 8
    iterations: int = 3
    least: int = 20
    cost: Cost | None = None
    seed: int = 0
    trajectories: list[Trajectory | None] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        check_counts(self, "steps", "guesses", "rounds", "iterations", "least")
        self._task = resolve_task(self.task)
        search = search_of(self._task)
        # Plans need not be as exact as what is planned for, and a method whose steps are all alike is smooth.
        self._dynamics = make_dynamics(
            self._task.system,
            self.dynamics,
            dt=self._task.dt,
            integrator=search.integrator,
            substeps=None if search.integrator is None else search.substeps,
        )
        self._cost = cost_of(self._task) if self.cost is None else self.cost
        self._actuation = actuation_of(self._task)
        self._first: dict[int, float] = {}
        self._rng = np.random.default_rng(self.seed)

    def reset(self) -> None:
        """Forgets the plan; call it at the start of an episode."""
        self.trajectories = []

    def plan(self, state: Array) -> Array:
        """The action for a state, in [-1, 1], float32, shape (..., actions) for states (..., 2*dof).

        Raises:
            InvalidStateError: a state of another shape, or not finite.
        """
        x = planned_states(self._task, state)
        if len(self.trajectories) != len(x):
            self.trajectories = [None] * len(x)
        lengths = np.array([0 if plan is None else plan.actions.shape[-2] for plan in self.trajectories])
        for length in np.unique(lengths):  # plans of one length are one batch
            rows = np.flatnonzero(lengths == length)
            lost = rows if length == 0 else self._continue(x, rows)
            if len(lost):
                self._begin(x, lost)
        first = np.stack([plan.actions[0] for plan in self.trajectories if plan is not None])
        return first.reshape((*np.shape(state)[:-1], self._actuation.actions)).astype(np.float32)

    def _begin(self, x: Array, rows: Array) -> None:
        """The best of several guesses, for some of the states (n, 2*dof)."""
        shape = (len(rows), self.guesses, self.steps, self._actuation.actions)
        guesses = smooth_guesses(self._rng, len(rows) * self.guesses, *shape[2:]).reshape(shape)
        problem = self._dynamics, self._cost, self._actuation
        found = plan_from(*problem, x[rows], guesses, self._rng, rounds=self.rounds)
        for place, row in enumerate(rows.tolist()):
            self.trajectories[row], self._first[row] = found[place], float(found.cost[place]) / self.steps

    def _continue(self, x: Array, rows: Array) -> Array:
        """What is left of the plans of some states, and which of these have not been brought to where they should."""
        old = stacked([plan for plan in (self.trajectories[row] for row in rows) if plan is not None])
        left = old.actions.shape[-2] - 1
        ended = left < self.least
        guess = old.longer(self.least - left).rest() if ended else old.rest()
        problem = self._dynamics, self._cost, self._actuation
        found = optimise(*problem, x[rows], guess, iterations=self.iterations, gains=False)
        for place, row in enumerate(rows.tolist()):
            self.trajectories[row] = found[place]
        first = np.array([self._first[row] for row in rows.tolist()])
        lost = ~(found.cost / max(left, self.least) <= REACHED * first)
        return rows[lost & (ended | ~np.isfinite(found.cost))]
