"""SAC in environments of Gymnasium as they ship, until it solves a trial of the seconds benchmark."""

from __future__ import annotations

import math
from typing import Any

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.seconds.challenges import Challenge
from hnn_envs.benchmarks.seconds.model_free import SAC_SETTINGS, learn
from hnn_envs.exploration.actions import ActionSpace
from hnn_envs.exploration.trials import Rules, TrialEnv
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.recordings.adapters import adapter_of

BUDGET = 30_000
"""Most transitions that SAC is trained on; it takes some ten milliseconds for each."""
EVERY = 500
"""Transitions between two trials, which do not count."""


def seconds_until_sac_solves(challenge: Challenge, seed: int, *, budget: int = BUDGET, every: int = EVERY) -> float:
    """Trains SAC on the environment's own reward until its deterministic policy solves a trial.

    Args:
        challenge: an environment of Gymnasium, with its goal.
        seed: of all that is random.
        budget: most transitions.
        every: transitions between two trials.

    Returns:
        The experience before the trial that was solved, in seconds; infinite where the budget did not suffice.

    Raises:
        TrainingError: the training diverged.
    """
    import torch
    from stable_baselines3 import SAC
    from stable_baselines3.common.callbacks import BaseCallback

    env, tried = challenge.make(), challenge.make()
    trial_env = TrialEnv(tried, adapter_of(tried), ActionSpace.of(tried.action_space), challenge.noise)
    dt = trial_env.dt
    assert challenge.goal is not None  # noqa: S101 - environments of Gymnasium say no goal themselves
    rules = Rules(round(challenge.trial / dt), round(challenge.held / dt), challenge.goal.reached)

    class Search(BaseCallback):
        solved_after: int | None = None

        def _on_step(self) -> bool:
            if self.num_timesteps % every == 0 and solves(self.model, trial_env, rules, seed + self.num_timesteps):
                self.solved_after = self.num_timesteps
            return self.solved_after is None

    search = Search()
    try:
        with torch_threads(1), torch.random.fork_rng():
            agent = SAC("MlpPolicy", env, seed=seed, device="cpu", **SAC_SETTINGS)
            learn(agent, budget, search, f"sac {challenge.name}")
    finally:
        env.close()
        tried.close()
    return math.inf if search.solved_after is None else search.solved_after * dt


def solves(agent: Any, trial_env: TrialEnv, rules: Rules, seed: int) -> bool:
    """Whether an agent's deterministic policy solves a trial from where the environment resets to."""
    observe, space = trial_env.adapter.observe, trial_env.space
    assert observe is not None  # noqa: S101 - the adapters of Gymnasium's environments say what is seen

    def acting(step: int, measured: Array) -> Array:
        return space.to_shares(agent.predict(observe(trial_env.env.unwrapped), deterministic=True)[0])

    return trial_env.play(trial_env.reset(seed), acting, rules.steps, rules).solved
