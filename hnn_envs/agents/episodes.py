"""Playing episodes with any controller, in the native batch of environments, and what their returns say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from hnn_envs.agents.policies import Policy
from hnn_envs.arrays import Array
from hnn_envs.ids import environment_of

Controller = Callable[[Array, Array], Array]
"""What plays episodes: (observations (n, observations), states (n, 2*dof)) -> actions in [-1, 1], (n, actions).

What drives a rollout, (time, states) -> inputs in physical units, is a ``hnn_envs.rollouts.ControlLaw``.
"""

RESAMPLES = 2000
CONFIDENCE = 0.95


def by_policy(policy: Policy) -> Controller:
    """The controller that a policy is: it sees observations only."""
    return lambda observations, states: policy.predict(observations)


def play(task: str, dynamics: str, controller: Controller, episodes: int, seed: int) -> Array:
    """Returns of one episode from each of ``episodes`` starts, shape (episodes,); start i is drawn by seed + i."""
    name, options = environment_of(task)
    batch: Any = gymnasium.make_vec(
        name, num_envs=episodes, dynamics=dynamics, autoreset_mode=AutoresetMode.NEXT_STEP.value, **options
    )
    try:
        observations, _ = batch.reset(seed=seed)
        total, going = np.zeros(episodes), np.ones(episodes, dtype=np.bool_)
        while going.any():
            states = batch.unwrapped.state
            observations, rewards, terminated, truncated, _ = batch.step(controller(observations, states))
            total += np.where(going, rewards, 0.0)
            going &= ~(terminated | truncated)
    finally:
        batch.close()
    return total


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap standard error and 95 % interval."""

    value: float
    stderr: float
    low: float
    high: float


def bootstrap(statistic: Callable[..., Array], *returns: Array, seed: int = 0) -> Estimate:
    """A statistic of returns with its bootstrap interval.

    Training seeds are drawn with replacement, and then episodes of each: both vary. Agents with as many of each share
    the draw, since they share training seeds and starts.

    Args:
        statistic: from the mean returns of each agent, shape (resamples,), to the number, shape (resamples,).
        *returns: of each agent, shape (training seeds, episodes); what needs no training has it, too.
        seed: of the resampling.
    """
    draws = statistic(*(_resampled_means(each, seed) for each in returns))
    value = float(statistic(*(np.array([each.mean()]) for each in returns))[0])
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(draws.std()), float(low), float(high))


def _resampled_means(returns: Array, seed: int) -> Array:
    """Means over draws of training seeds and of episodes, shape (resamples,)."""
    rng, (seeds, episodes) = np.random.default_rng(seed), returns.shape
    trainings = rng.integers(seeds, size=(RESAMPLES, seeds, 1))
    chosen = rng.integers(episodes, size=(RESAMPLES, seeds, episodes))
    means: Array = returns[trainings, chosen].mean((1, 2))
    return means
