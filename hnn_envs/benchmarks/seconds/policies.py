"""Policies, not only planners: PPO trained in learned physics, played in the true one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.agents.hyperparameters import ALGORITHM, check_hyperparameters, load_hyperparameters
from hnn_envs.agents.policies import Policy, PolicyCard, export_weights
from hnn_envs.arrays import Array
from hnn_envs.benchmarks.seconds.model_free import learn, make_search, ppo_in_trials
from hnn_envs.benchmarks.seconds.trials import NOISE, StepDynamics, Trials, play_trials
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import TrainingError
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.progress import Progress, silent
from hnn_envs.tasks import Task, resolve_task
from hnn_envs.tasks.optional import upright

TRIALS = 20
"""Trials in which a policy is tried, each with other noise."""


@dataclass(frozen=True)
class TrainedPolicy:
    """A policy and how its training went.

    Attributes:
        policy: what was learned; ``policy.card`` says in which physics, and by how many steps.
        believed: the share of trials that it solves in the physics that it was trained in.
        seconds: time that the training took on one core.
    """

    policy: Policy
    believed: float
    seconds: float


def train_policy(
    task: str | Task,
    dynamics: str | Path | StepDynamics,
    seed: int,
    *,
    hyperparameters: Mapping[str, Any] | None = None,
    noise: float = NOISE,
    progress: Progress = silent,
) -> TrainedPolicy:
    """Trains a policy by PPO in trials from rest hanging, until it solves ``TRIALS`` of them at once.

    Nothing but the given physics is asked when to stop: the trials are played in it, too, after every update.

    Args:
        task: an upright task, or its name.
        dynamics: the physics to train in, as for ``make_dynamics``: a name, or the path of a .safetensors file; or what
            steps states of the task, such as what an agent has learned.
        seed: of all that is random.
        hyperparameters: as ``load_hyperparameters`` gives them, by default those of the task; ``n_timesteps`` is the
            most that is trained.
        noise: standard deviation of what is added to every position and velocity that is seen.
        progress: told how much was trained, in seconds of trials.

    Raises:
        InvalidOptionError: a task without an angle from upright, physics with other states, or hyperparameters that PPO
            cannot use.
        TrainingError: the training diverged.
    """
    import torch

    asked, (physics, name) = upright(resolve_task(task)), _physics(resolve_task(task), dynamics)
    settings = dict(load_hyperparameters(asked.name) if hyperparameters is None else hyperparameters)
    check_hyperparameters(settings)
    trials = Trials(asked, physics, TRIALS, noise=noise, seed=(seed, 1))
    began = time.process_time()  # of one thread: what an idle core would take, whatever else runs
    with torch_threads(1), torch.random.fork_rng():
        agent = ppo_in_trials(asked, physics, settings, seed, noise)
        total = int(settings["n_timesteps"])
        learn(agent, total, make_search(agent, trials, asked, every=1, total=total, progress=progress), asked.name)
    weights = export_weights(agent, agent.get_vec_normalize_env())
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise TrainingError(f"training on {asked.name} in {name} ended in weights that are not finite")
    seconds = time.process_time() - began
    card = PolicyCard(asked.name, name, ALGORITHM, settings, seed, int(agent.num_timesteps))
    policy = Policy(card, weights)
    return TrainedPolicy(policy, float(play_trials(trials, asked, policy.predict).mean()), seconds)


def _physics(task: Task, dynamics: str | Path | StepDynamics) -> tuple[StepDynamics, str]:
    """The physics and its name."""
    if isinstance(dynamics, str | Path):
        made = make_dynamics(task.system, str(dynamics), dt=task.dt)
        return made, made.name
    return dynamics, dynamics.spec.name


def solved_trials(
    task: str | Task,
    policy: Policy,
    *,
    dynamics: str | Path | StepDynamics = "ode",
    trials: int = TRIALS,
    noise: float = NOISE,
    seed: int = 0,
) -> Array:
    """Plays trials from rest hanging, by default in the true physics.

    Args:
        task: an upright task, or its name.
        policy: what acts.
        dynamics: the physics to play in, as for ``train_policy``.
        trials: how many are played, each with other noise.
        noise: standard deviation of what is added to every position and velocity that is seen.
        seed: of the noise.

    Returns:
        Whether each trial was solved, bool, shape (trials,).

    Raises:
        InvalidOptionError: a task without an angle from upright, or physics with other states.
    """
    asked = upright(resolve_task(task))
    physics, _ = _physics(asked, dynamics)
    return play_trials(Trials(asked, physics, trials, noise=noise, seed=(seed, 2)), asked, policy.predict)
