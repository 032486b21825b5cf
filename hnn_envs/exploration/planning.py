"""Planning a trial in learned physics: swing there by a plan that was rehearsed, and hold what it reaches.

A plan is long enough to reach the goal and no longer, since what is planned beyond is lost to noise. Several lengths
are tried, the shortest first. Each plan is rehearsed in the learned physics with noise and disturbances as large as
they were found to be, and the first that holds the goal in nearly all rehearsals is played.

While it is played, an extended Kalman filter says where the system is, and what is left of the plan is improved from
there by iterative linear-quadratic control; it is carried on, so that it never gets too short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.agents.costs import GoalCost
from hnn_envs.agents.ilqr import Trajectory, optimise, stacked
from hnn_envs.agents.ilqr_planning import plan_from, smooth_guesses
from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.exploration.goal import Goal
from hnn_envs.exploration.kalman import Estimate, KalmanFilter
from hnn_envs.exploration.learners import Learned
from hnn_envs.exploration.trials import Rules
from hnn_envs.parsing import check_counts
from hnn_envs.tasks.actuation import Actuation

GENTLE = (0.0, 0.1, 0.3)
"""What the first guesses are scaled by: what stands already, and would fall, must not be pushed."""


@dataclass(frozen=True)
class Planning:
    """How trials are planned.

    Attributes:
        lengths: of plans, as shares of a trial, in the order in which they are tried.
        longest: steps of a plan at the most; twice as many are rehearsed at the most.
        guesses: how many sequences of actions a plan is the best of.
        rounds: of ten iterations that are spent on a plan.
        iterations: by which the rest of a plan is improved at every step.
        least: steps that a plan has at least while it is played.
        rehearsals: of a plan.
        enough: share of them that has to hold the goal.

    Raises:
        InvalidOptionError: a number out of range.
    """

    lengths: tuple[float, ...] = (0.375, 0.5, 0.625, 0.75)
    longest: int = 80
    guesses: int = 24
    rounds: int = 10
    iterations: int = 3
    least: int = 20
    rehearsals: int = 10
    enough: float = 0.9

    def __post_init__(self) -> None:
        check_counts(self, "longest", "guesses", "rounds", "iterations", "least", "rehearsals")
        if not self.lengths or not all(0 < each <= 1 for each in self.lengths):
            raise InvalidOptionError(f"lengths must be shares of a trial, above 0 and up to 1, not {self.lengths!r}")
        if not 0 <= self.enough <= 1:
            raise InvalidOptionError(f"enough must be a share, from 0 to 1, not {self.enough!r}")


@dataclass(frozen=True)
class Plan:
    """A plan for a trial.

    Attributes:
        trajectory: states and actions.
        rehearsed: share of the rehearsals that held the goal.
    """

    trajectory: Trajectory
    rehearsed: float


class Tracker:
    """Follows a plan in one trial or in several at once, from measured states.

    Args:
        learned: what is known of the physics.
        cost: what is to be small.
        actuation: how actions drive the inputs.
        planning: how.
        plan: what is followed.
    """

    def __init__(
        self, learned: Learned, cost: GoalCost, actuation: Actuation, planning: Planning, plan: Trajectory
    ) -> None:
        self._problem = learned.dynamics, cost, actuation
        self._filter = KalmanFilter(learned.dynamics, learned.noise, learned.disturbance)
        self._planning, self._plan = planning, plan
        self._rest: Trajectory | None = None
        self._estimate: Estimate | None = None
        self._u: Array = None

    def __call__(self, step: int, measured: Array) -> Array:
        """The actions (..., actions) for what was measured, (..., 2*dof), after so many steps."""
        if self._estimate is None or self._rest is None:
            self._estimate = self._filter.begin(measured)
            self._rest = _repeated(self._plan, measured.shape[:-1])
        else:
            self._estimate = self._filter.correct(self._filter.predict(self._estimate, self._u), measured)
            self._rest = self._rest.rest()
        short = self._planning.least - self._rest.actions.shape[-2]
        guess = self._rest.longer(short) if short > 0 else self._rest
        iterations = self._planning.iterations
        # Where the physics does not know what comes next, what was measured is all there is.
        lost = ~np.isfinite(self._estimate.mean).all(-1)
        again = self._filter.begin(measured)
        self._estimate = Estimate(
            np.where(lost[..., None], again.mean, self._estimate.mean),
            np.where(lost[..., None, None], again.covariance, self._estimate.covariance),
        )
        self._rest = optimise(*self._problem, self._estimate.mean, guess, iterations=iterations, gains=False)
        first: Array = self._rest.actions[..., 0, :]
        self._u = self._problem[2].to_inputs(first)
        return first


def plan_trial(
    learned: Learned,
    goal: Goal,
    actuation: Actuation,
    start: Array,
    rules: Rules,
    rng: np.random.Generator,
    planning: Planning | None = None,
) -> tuple[Plan, Tracker]:
    """The plan that holds the goal in the most rehearsals, and what follows it.

    Args:
        learned: what is known of the physics.
        goal: what is to be reached.
        actuation: how actions drive the inputs.
        start: the state, shape (2*dof,).
        rules: of the trial.
        rng: of guesses and rehearsals.
        planning: how; by default ``Planning()``.
    """
    chosen = Planning() if planning is None else planning
    cost = goal.cost_of(learned.dynamics.spec.angles, actuation.actions)
    best: Plan | None = None
    for steps in dict.fromkeys(min(chosen.longest, max(1, round(each * rules.steps))) for each in chosen.lengths):
        guesses = smooth_guesses(rng, chosen.guesses, steps, actuation.actions)
        guesses[: len(GENTLE)] *= np.array(GENTLE)[: len(guesses), None, None]
        found = plan_from(learned.dynamics, cost, actuation, start, guesses, rng, rounds=chosen.rounds)
        tracker = Tracker(learned, cost, actuation, chosen, found)
        held = rehearse(learned, tracker, goal, actuation, start, rules, rng, chosen)
        if best is None or held > best.rehearsed:
            best = Plan(found, held)
        if held >= chosen.enough:
            break
    assert best is not None  # noqa: S101 - there is one length at least
    return best, Tracker(learned, cost, actuation, chosen, best.trajectory)


def rehearse(
    learned: Learned,
    tracker: Tracker,
    goal: Goal,
    actuation: Actuation,
    start: Array,
    rules: Rules,
    rng: np.random.Generator,
    planning: Planning,
) -> float:
    """The share of trials in the learned physics, with its noise and disturbances, that hold the goal."""
    x = np.repeat(np.asarray(start, dtype=np.float64)[None], planning.rehearsals, axis=0)
    held, steps = np.ones(len(x), dtype=np.bool_), min(rules.steps, 2 * planning.longest)
    with np.errstate(all="ignore"):
        for step in range(steps):
            actions = tracker(step, x + learned.noise * rng.standard_normal(x.shape))
            moved = learned.dynamics.step(x, actuation.to_inputs(actions))
            moved = moved + learned.disturbance * rng.standard_normal(x.shape)
            held &= goal.inside(moved)
            x = np.where(held[:, None], moved, x)
            if step >= steps - rules.held:
                held &= goal.reached(x)
            if not held.any():
                return 0.0
    return float(held.mean())


def _repeated(plan: Trajectory, leading: tuple[int, ...]) -> Trajectory:
    """The same plan for each of several trials."""
    if not leading:
        return plan
    copies = stacked([plan] * int(np.prod(leading)))
    arrays = (copies.states, copies.actions, copies.gains, copies.cost)
    return Trajectory(*(each.reshape(*leading, *each.shape[1:]) for each in arrays))
