"""The model-free references: how much experience SAC and PPO of Stable-Baselines3 need until a task is solved.

They are trained in the true physics under the conditions of all other agents: trials of 4 s from rest hanging, seen
with noise. From time to time a trial of the deterministic policy is played, which does not count as experience and from
which nothing is learned; the first that is solved ends the search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hnn_envs.agents.hyperparameters import load_hyperparameters
from hnn_envs.agents.training import make_ppo
from hnn_envs.benchmarks.seconds.trials import NOISE, TRIAL_SECONDS, Act, Trials, play_trials, steps_of
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError, TrainingError, UnknownNameError
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.progress import Progress, silent
from hnn_envs.tasks import Task, resolve_task
from hnn_envs.tasks.optional import UprightTask, second_of, upright

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

BUDGETS: dict[str, float] = {"sac": 1000.0, "ppo": 30_000.0}
"""Most experience by algorithm, in seconds.

These are 20 000 steps of 0.05 s for SAC, as rl-baselines3-zoo has for Pendulum-v1, and 600 000 for PPO, as the shipped
hyperparameters have for the cart-pole. On seeds 100 and 101, SAC solved the pendulum after 184 s and 80 s and the
cart-pole after 780 s and 756 s, the latter in some five minutes of one core. PPO solved the cart-pole of seeds 0 to 2
after 12 160 s to 16 640 s and the pendubot of seed 100 after 10 240 s, but not the acrobot of seed 100, nor its
pendulum in 40 000 s. SAC was not tried on the double pendulum. What is not solved within a budget counts as never
solved; both are some hundred times what agents with a model are asked to do with, or more.
"""
SAC_SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "learning_starts": 400,
    "batch_size": 256,
    "gamma": 0.98,
    "tau": 0.02,
    "train_freq": 1,
    "gradient_steps": 1,
}
"""Of SAC for all tasks: rl-baselines3-zoo's for Pendulum-v1, with the discount and tau of its InvertedPendulumSwingup.

The first updates wait for five trials of random actions.
"""


def seconds_until_solved(
    task: str | Task,
    algorithm: str,
    seed: int,
    *,
    budget: float | None = None,
    every: float = TRIAL_SECONDS,
    noise: float = NOISE,
    progress: Progress = silent,
) -> float:
    """Trains an agent until it solves a trial.

    Args:
        task: an upright task, or its name.
        algorithm: a key of ``BUDGETS``.
        seed: of all that is random.
        budget: most experience, in seconds, but that PPO completes its last rollout; by default that of ``BUDGETS``.
            The learning rate of PPO falls to zero over it.
        every: experience between two trials, in seconds, at least. PPO's policy changes with its updates only, each of
            which takes ``n_steps`` steps of ``n_envs`` environments.
        noise: standard deviation of what is added to every position and velocity that is seen.
        progress: told how much experience there was, in seconds.

    Returns:
        The experience of all environments together before the first solved trial, in seconds; infinite where the budget
        did not suffice.

    Raises:
        UnknownNameError: there is no such task or algorithm.
        InvalidOptionError: a task without an angle from upright, or an option that is out of range.
        TrainingError: the training diverged.
    """
    import torch

    asked = upright(resolve_task(task))
    if algorithm not in BUDGETS:
        raise UnknownNameError.of("algorithm", algorithm, BUDGETS)
    total = _checked(asked, "budget", BUDGETS[algorithm] if budget is None else budget)
    rest = _checked(asked, "every", every)
    with torch_threads(1), torch.random.fork_rng():
        agent = _make_agent(asked, algorithm, seed, noise)
        trials = Trials(asked, make_dynamics(asked.system, "ode", dt=asked.dt), noise=noise, seed=(seed, 1))
        search = make_search(agent, trials, asked, every=rest, total=total, progress=progress)
        learn(agent, total, search, f"{algorithm} {asked.name}")
    return math.inf if search.steps is None else search.steps * asked.dt / second_of(asked)


def _checked(task: Task, name: str, seconds: float) -> int:
    """The steps of an option in seconds.

    Raises:
        InvalidOptionError: it is no finite number, or less than a step.
    """
    if not (math.isfinite(seconds) and steps_of(task, seconds) > 0):
        raise InvalidOptionError(f"{name} must be a finite number of seconds, a step at least, not {seconds!r}")
    return steps_of(task, seconds)


def _make_agent(task: Task, algorithm: str, seed: int, noise: float) -> BaseAlgorithm:
    from stable_baselines3 import SAC

    from hnn_envs.benchmarks.seconds.environments import TrialVecEnv

    dynamics = make_dynamics(task.system, "ode", dt=task.dt)
    if algorithm == "sac":
        environment = TrialVecEnv(Trials(task, dynamics, noise=noise, seed=(seed, 0)))
        return SAC("MlpPolicy", environment, seed=seed, device="cpu", **SAC_SETTINGS)
    settings = load_hyperparameters(task.name)
    return ppo_in_trials(task, dynamics, settings, seed, noise)


def ppo_in_trials(task: Task, dynamics: Any, settings: Mapping[str, Any], seed: int, noise: float) -> BaseAlgorithm:
    """PPO in trials of a task, in any physics."""
    from hnn_envs.benchmarks.seconds.environments import TrialVecEnv

    trials = Trials(task, dynamics, settings.get("n_envs", 1), noise=noise, seed=(seed, 0))
    return make_ppo(TrialVecEnv(trials), settings, seed, name=task.name)


def acting(agent: BaseAlgorithm) -> Act:
    """The deterministic policy of an agent, on observations as they are seen."""
    normalizer = agent.get_vec_normalize_env()

    def act(seen: Any) -> Any:
        return agent.predict(seen if normalizer is None else normalizer.normalize_obs(seen), deterministic=True)[0]

    return act


def learn(agent: BaseAlgorithm, steps: int, callback: Any, name: str) -> None:
    """Trains an agent.

    Raises:
        TrainingError: the training diverged.
    """
    try:
        agent.learn(steps, callback=callback)
    except ValueError as error:  # what torch says of a distribution whose mean is not a number
        raise TrainingError(f"training {name} diverged: {error}") from error


def make_search(
    agent: BaseAlgorithm, trials: Trials, task: UprightTask, *, every: int, total: int, progress: Progress
) -> Any:
    """A callback of Stable-Baselines3 that ends a training as soon as all trials of a batch are solved.

    Its ``steps`` are those of the training before that, None where it never came to it.

    Args:
        agent: the agent.
        trials: the batch in which its deterministic policy is tried.
        task: their task.
        every: least steps of training between two tries.
        total: most steps.
        progress: told of the steps so far, in seconds.
    """
    from stable_baselines3.common.callbacks import BaseCallback

    act, second = acting(agent), task.dt / second_of(task)

    class Search(BaseCallback):
        steps: int | None = None
        due = every

        def _on_rollout_start(self) -> None:  # after an update of the policy
            self._try()

        def _on_step(self) -> bool:
            return self.steps is None

        def _on_training_end(self) -> None:
            self._try()

        def _try(self) -> None:
            if self.steps is not None or self.num_timesteps < min(self.due, total):
                return
            self.due = self.num_timesteps + every
            progress(min(self.num_timesteps, total) * second, total * second, f"training on {task.name}")
            if play_trials(trials, task, act).all():
                self.steps = self.num_timesteps

    return Search()
