"""How well an agent plays in the original that was trained in the twin of 60 s of watching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv

MakeEnv = Callable[[], gymnasium.Env[Any, Any]]
SMALL: dict[str, Any] = {"net_arch": [64, 64]}


@dataclass(frozen=True)
class Training:
    """How agents are trained; the same in the twin and in the original.

    Attributes:
        algorithm: of Stable-Baselines3.
        steps: of all environments together.
        envs: how many there are.
        settings: of the algorithm.
    """

    algorithm: Any
    steps: int
    envs: int
    settings: dict[str, Any]


TRAININGS = {
    "Pendulum-v1": Training(SAC, 8_000, 1, {"learning_rate": 1e-3, "learning_starts": 500, "policy_kwargs": SMALL}),
    "CartPole-v1": Training(
        PPO,
        100_000,
        8,
        {
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "learning_rate": lambda left: 1e-3 * left,
            "clip_range": lambda left: 0.2 * left,
        },
    ),
    "Acrobot-v1": Training(
        PPO, 200_000, 16, {"n_steps": 256, "gae_lambda": 0.94, "n_epochs": 4, "batch_size": 256, "learning_rate": 1e-3}
    ),
    "InvertedPendulum-v5": Training(
        SAC, 10_000, 1, {"learning_rate": 1e-3, "learning_starts": 500, "policy_kwargs": SMALL}
    ),
    "InvertedDoublePendulum-v5": Training(
        SAC, 30_000, 1, {"learning_rate": 1e-3, "learning_starts": 500, "policy_kwargs": SMALL}
    ),
}


def trained(name: str, make: MakeEnv, seed: int) -> Any:
    """An agent that was trained in an environment."""
    training = TRAININGS[name]
    batch = DummyVecEnv([make] * training.envs)
    agent = training.algorithm("MlpPolicy", batch, seed=seed, device="cpu", **training.settings)
    agent.learn(training.steps)
    batch.close()
    return agent


def returns(make: MakeEnv, agent: Any, episodes: int = 20, seed: int = 10_000) -> list[float]:
    """What an agent earns, or random actions where there is none."""
    env, earned = make(), []
    env.action_space.seed(seed)
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        total, ended = 0.0, False
        while not ended:
            action = env.action_space.sample() if agent is None else agent.predict(observation, deterministic=True)[0]
            observation, reward, terminated, truncated, _ = env.step(action)
            total, ended = total + float(reward), terminated or truncated
        earned.append(total)
    env.close()
    return earned


def improvement(name: str, twin: MakeEnv, seeds: range) -> tuple[float, dict[str, float]]:
    """The share of the improvement over random actions that training in the twin brings, and the returns it is of."""

    def original() -> gymnasium.Env[Any, Any]:
        return gymnasium.make(name)

    mean = {
        "random": float(np.mean(returns(original, None))),
        "twin": float(np.mean([returns(original, trained(name, twin, seed)) for seed in seeds])),
        "original": float(np.mean([returns(original, trained(name, original, seed)) for seed in seeds])),
    }
    return (mean["twin"] - mean["random"]) / (mean["original"] - mean["random"]), mean
