"""Training the agents of the transfer benchmark, from hyperparameters in the form that rl-baselines3-zoo uses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnn_envs.agents.hyperparameters import ALGORITHM, SCHEDULES, check_hyperparameters, schedule
from hnn_envs.agents.policies import Policy, PolicyCard, export_weights, load_policy, save_policy
from hnn_envs.errors import InvalidOptionError, TrainingError
from hnn_envs.ids import environment_of
from hnn_envs.progress import Progress, silent
from hnn_envs.tasks import get_task

if TYPE_CHECKING:
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecEnv


@dataclass(frozen=True)
class Run:
    """One training: a task, the physics to train in, and a seed.

    Attributes:
        task: its name, or "module:object".
        dynamics: as for ``make_dynamics``.
        seed: of the training.
    """

    task: str
    dynamics: str
    seed: int

    @property
    def name(self) -> str:
        """Such as "pendulum/hnn-0"."""
        return f"{get_task(self.task).name}/{self.dynamics}-{self.seed}"

    def path(self, folder: Path) -> Path:
        """The file of its policy."""
        return folder / f"{self.name}.safetensors"


def is_finished(run: Run, folder: Path, hyperparameters: Mapping[str, Any]) -> bool:
    """Whether a run has left its policy, and was trained as these hyperparameters say.

    Raises:
        CheckpointError: there is a file, and it cannot be used.
    """
    if not run.path(folder).is_file():
        return False
    return load_policy(run.path(folder), task=run.task).card.hyperparameters == dict(hyperparameters)


def train(
    run: Run,
    folder: Path,
    hyperparameters: Mapping[str, Any],
    *,
    logs: Path | None = None,
    progress: Progress = silent,
) -> Policy:
    """Trains an agent with Stable-Baselines3's PPO on the native batch and writes its policy.

    Args:
        run: what to train.
        folder: where the policy goes.
        hyperparameters: as ``load_hyperparameters`` gives them.
        logs: where TensorBoard's logs go, or CSV where TensorBoard is not installed; None for nowhere.
        progress: told how far it is.

    Raises:
        InvalidOptionError: hyperparameters that PPO cannot use.
        TrainingError: the training ended in a network that is not finite.
    """
    import numpy as np
    import torch

    from hnn_envs.fitting.pipeline import torch_threads

    check_hyperparameters(hyperparameters)
    total = int(hyperparameters["n_timesteps"])
    with torch_threads(1), torch.random.fork_rng():
        agent = _make_agent(run, hyperparameters)
        if logs is not None:
            _log(agent, logs / run.name)
        began = time.process_time()  # of one thread: what an idle core would take, whatever else runs
        try:
            agent.learn(total, callback=_reporter(total, run.name, progress))
        except ValueError as error:  # what torch says of a distribution whose mean is not a number
            raise TrainingError(f"training {run.name} diverged: {error}") from error
        seconds = time.process_time() - began
    weights = export_weights(agent, agent.get_vec_normalize_env())
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise TrainingError(f"training {run.name} ended in weights that are not finite")
    card = PolicyCard(
        task=get_task(run.task).name,
        dynamics=run.dynamics,
        algorithm=ALGORITHM,
        hyperparameters=dict(hyperparameters),
        seed=run.seed,
        steps=int(agent.num_timesteps),
        metrics={"steps_per_second": agent.num_timesteps / seconds, "training_seconds": seconds},
    )
    save_policy(run.path(folder), Policy(card, weights))
    return load_policy(run.path(folder), task=run.task)


def _make_agent(run: Run, hyperparameters: Mapping[str, Any]) -> PPO:
    """Builds the agent as rl-baselines3-zoo would, but on the native batch."""
    from hnn_envs.sb3 import make_vec_env

    name, keywords = environment_of(run.task)
    n_envs = hyperparameters.get("n_envs", 1)
    environments = make_vec_env(name, n_envs, dynamics=run.dynamics, seed=run.seed, **keywords)
    return make_ppo(environments, hyperparameters, run.seed, name=run.task)


def make_ppo(environments: VecEnv, hyperparameters: Mapping[str, Any], seed: int, *, name: str) -> PPO:
    """Makes Stable-Baselines3's PPO with hyperparameters in the form of rl-baselines3-zoo.

    Args:
        environments: what it is trained in; the entry ``n_envs`` says how many there should be.
        hyperparameters: as ``load_hyperparameters`` gives them.
        seed: of the training.
        name: what is trained, for errors.

    Raises:
        InvalidOptionError: hyperparameters that PPO cannot use.
    """
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecNormalize

    settings = {key: value for key, value in hyperparameters.items() if key not in ("n_timesteps", "n_envs")}
    policy, normalize = settings.pop("policy"), settings.pop("normalize", False)
    if normalize:
        options = normalize if isinstance(normalize, dict) else {}
        environments = VecNormalize(environments, gamma=settings.get("gamma", 0.99), **options)
    for entry in SCHEDULES:
        if entry in settings:
            settings[entry] = schedule(entry, settings[entry])
    try:
        return PPO(policy, environments, seed=seed, device="cpu", **settings)
    except (TypeError, ValueError, AssertionError) as error:
        raise InvalidOptionError(f"the hyperparameters of {name} do not suit PPO: {error}") from error


def _log(agent: PPO, folder: Path) -> None:
    from stable_baselines3.common.logger import configure

    agent.set_logger(configure(str(folder), ["tensorboard" if find_spec("tensorboard") else "csv"]))


def _reporter(total: int, name: str, progress: Progress) -> Any:
    """A callback of Stable-Baselines3 that reports once per rollout."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Reporter(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            progress(min(self.num_timesteps, total), total, name)

    return Reporter()
