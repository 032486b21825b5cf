"""Model-predictive control by the cross-entropy method, over a batch of candidates in any physics, true or learned.

    planner = Planner("pendulum", "hnn")
    action = planner.plan(env.unwrapped.state)  # once per step of the environment

At every step the planner draws a few hundred sequences of actions around the best known one, rolls them all out as one
batch, refits the distribution to the elite, and returns the first action of the best sequence. Candidates are constant
over ``hold`` steps: weak actuators need long pushes, and white noise would cancel itself (Pinneri et al. 2020, iCEM,
arXiv 2008.06389, colour the noise for this reason). Those steps are one step of the planner's physics, and the reward
counts once for them. The last plan, shifted, starts the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidStateError
from hnn_envs.systems import spec_of
from hnn_envs.tasks import Task, resolve_task
from hnn_envs.tasks.actuation import actuation_of
from hnn_envs.tasks.optional import Search, planning_reward_of, search_of


def planned_states(task: Task, state: Array) -> Array:
    """The states that are planned for, one or several, shape (n, 2*dof).

    Raises:
        InvalidStateError: a state of another shape, or not finite.
    """
    x, size = np.atleast_2d(np.asarray(state, dtype=np.float64)), 2 * spec_of(task.system).dof
    if x.ndim != 2 or x.shape[-1] != size or not np.isfinite(x).all():
        raise InvalidStateError(f"{task.name} has finite states of {size} numbers")
    return x


@dataclass
class Planner:
    """Plans for one state or for several at once, each with candidates of its own.

    Args:
        task: a task or its name.
        dynamics: the physics to plan in, as for ``make_dynamics``.
        search: how to search; by default what the task states.
        seed: of the candidates.
    """

    task: str | Task
    dynamics: str | Checkpoint = "hnn"
    search: Search | None = None
    seed: int = 0
    _mean: Array = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._task = resolve_task(self.task)
        self._search = search_of(self._task) if self.search is None else self.search
        hold, steps = self._search.hold, self._search.hold * self._search.substeps
        self._dynamics = make_dynamics(
            self._task.system,
            self.dynamics,
            dt=hold * self._task.dt,
            integrator=self._search.integrator,
            substeps=steps,
        )
        # A plan sees states; their frames would only cost time.
        self._reward = planning_reward_of(self._task)
        self._actuation = actuation_of(self._task)
        self._rng = np.random.default_rng(self.seed)

    def reset(self) -> None:
        """Forgets the plan; call it at the start of an episode."""
        self._mean = None

    def plan(self, state: Array) -> Array:
        """The action for a state, in [-1, 1], float32, shape (..., actions) for states (..., 2*dof).

        Raises:
            InvalidStateError: a state of another shape, or not finite.
        """
        best = self._optimise(planned_states(self._task, state))
        return best.reshape((*np.shape(state)[:-1], self._actuation.actions)).astype(np.float32)

    def _optimise(self, x: Array) -> Array:
        """The first actions of the best plans, shape (n, actions)."""
        search, rows = self._search, np.arange(len(x))[:, None]
        shape = (len(x), search.horizon, self._actuation.actions)
        mean = self._mean if self._mean is not None and self._mean.shape == shape else np.zeros(shape)
        spread = np.full(shape, search.spread)
        best, best_value = mean[:, 0], np.full(len(x), -np.inf)
        for _ in range(search.iterations):
            noise = self._rng.standard_normal((len(x), search.candidates, *shape[1:]))
            plans = np.clip(mean[:, None] + spread[:, None] * noise, -1.0, 1.0)
            plans[:, 0] = mean
            values = self._values(x, plans)
            elite = np.argpartition(-values, search.elites, axis=1)[:, : search.elites]
            chosen = plans[rows, elite]
            mean, spread = chosen.mean(1), np.maximum(chosen.std(1), search.smallest_spread)
            top = values.argmax(1)
            better = values[rows[:, 0], top] > best_value
            best = np.where(better[:, None], plans[rows[:, 0], top, 0], best)
            best_value = np.maximum(best_value, values[rows[:, 0], top])
        later = np.concatenate((mean[:, 1:], mean[:, -1:]), axis=1)
        self._mean = mean + (later - mean) / search.hold
        return best

    def _values(self, x: Array, plans: Array) -> Array:
        """Sums of rewards of plans (n, candidates, horizon, inputs) from states (n, 2*dof), shape (n, candidates)."""
        count, candidates = plans.shape[:2]
        states = np.repeat(x, candidates, axis=0)
        inputs = self._actuation.to_inputs(plans.reshape(count * candidates, *plans.shape[2:]))
        total, going = np.zeros(len(states)), np.ones(len(states), dtype=np.bool_)
        with np.errstate(all="ignore"):
            for step in range(self._search.horizon):
                u = np.ascontiguousarray(inputs[:, step])
                following = self._dynamics.step(states, u)
                total += np.where(going, self._reward(states, u, following), 0.0)
                going &= self._task.inside(following) & ~self._task.terminated(following)
                states = np.where(going[:, None], following, states)
        return np.where(np.isfinite(total), total, -np.inf).reshape(count, candidates)
