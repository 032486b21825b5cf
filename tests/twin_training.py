"""How well a policy plays in the original that was trained in the twin of 60 s of watching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

MakeEnv = Callable[[], gymnasium.Env[Any, Any]]
Weights = Any
LARGEST = 100.0
"""Of an observation, where its space tells."""


@dataclass(frozen=True)
class Policy:
    """Linear in what is seen, or in that and its products: small enough to be found by search.

    Attributes:
        sizes: of what is seen, by which it is divided; 1 where the space does not tell.
        products: whether products of two are seen as well.
        actions: outputs: of a discrete space, the action is that of the largest.
        scale: of a box of actions, the largest; 0 for a discrete space.
    """

    sizes: Any
    products: bool
    actions: int
    scale: float

    @classmethod
    def of(cls, env: gymnasium.Env[Any, Any], products: bool) -> Policy:
        space, seen = env.action_space, env.observation_space
        assert isinstance(seen, gymnasium.spaces.Box)
        sizes = np.where(seen.high < LARGEST, seen.high, 1.0)
        if isinstance(space, gymnasium.spaces.Discrete):
            return cls(sizes, products, int(space.n), 0.0)
        assert isinstance(space, gymnasium.spaces.Box)
        return cls(sizes, products, space.shape[0], float(space.high[0]))

    @property
    def size(self) -> int:
        return self.actions * len(self._features(np.zeros_like(self.sizes)))

    def act(self, weights: Weights, observation: Any) -> Any:
        outputs = weights.reshape(self.actions, -1) @ self._features(observation)
        return int(outputs.argmax()) if not self.scale else (self.scale * np.tanh(outputs)).astype(np.float32)

    def _features(self, observation: Any) -> Any:
        seen = np.append(np.clip(observation / self.sizes, -10.0, 10.0), 1.0)
        return np.outer(seen, seen)[np.triu_indices(len(seen))] if self.products else seen


@dataclass(frozen=True)
class Search:
    """The cross-entropy method (Mannor, Rubinstein, Gat, ICML 2003) with noise that falls (Szita, Lorincz 2006).

    Attributes:
        products: see ``Policy``.
        rounds: how often a population is drawn.
        population: policies that are drawn.
        episodes: that each plays.
        elite: that the next population is drawn from.
        spread: standard deviation of the first population.
        enough: what the elite earns that need not be better.
        restarts: searches, of which the policy is kept that earns most where it was trained: one alone may get stuck.
    """

    rounds: int
    products: bool = False
    population: int = 32
    episodes: int = 2
    elite: int = 6
    spread: float = 1.0
    enough: float = np.inf
    restarts: int = 1


SEARCHES = {
    "Pendulum-v1": Search(rounds=25, products=True, population=80, episodes=3, elite=16, spread=3.0, restarts=3),
    "CartPole-v1": Search(rounds=12, enough=500.0),
    "Acrobot-v1": Search(rounds=12, episodes=3, restarts=3),
    "InvertedPendulum-v5": Search(rounds=15, enough=1000.0),
    "InvertedDoublePendulum-v5": Search(rounds=60, population=80, elite=12, spread=4.0, enough=9300.0),
}


def play(env: gymnasium.Env[Any, Any], act: Callable[[Any], Any], seed: int) -> float:
    """What is earned in an episode."""
    observation, _ = env.reset(seed=seed)
    total, ended = 0.0, False
    while not ended:
        observation, reward, terminated, truncated, _ = env.step(act(observation))
        total, ended = total + float(reward), terminated or truncated
    return total


def searched(name: str, env: gymnasium.Env[Any, Any], seed: int, tell: Callable[[str], object] = str) -> Weights:
    """The weights of a policy that was trained in an environment."""
    restarts = SEARCHES[name].restarts
    found = [_searched_once(name, env, (seed, number), tell) for number in range(restarts)]
    return found[0] if restarts == 1 else max(found, key=lambda weights: mean_return(name, env, weights))


def _searched_once(
    name: str, env: gymnasium.Env[Any, Any], seed: tuple[int, int], tell: Callable[[str], object]
) -> Weights:
    search = SEARCHES[name]
    policy, rng = Policy.of(env, search.products), np.random.default_rng(seed)
    mean, spread = np.zeros(policy.size), np.full(policy.size, search.spread)
    for number in range(search.rounds):
        drawn = mean + spread * rng.standard_normal((search.population, policy.size))
        starts = rng.integers(2**31, size=search.episodes).tolist()
        earned = [
            np.mean([play(env, lambda seen, w=weights: policy.act(w, seen), start) for start in starts])
            for weights in drawn
        ]
        best = drawn[np.argsort(earned)[-search.elite :]]
        mean = best.mean(axis=0)
        spread = np.sqrt(best.var(axis=0) + search.spread * 0.1 * max(1 - 2 * number / search.rounds, 0.0))
        if np.sort(earned)[-search.elite] >= search.enough:
            break
        tell(f"{name}: round {number + 1} of {search.rounds}, best {max(earned):.1f}, mean {np.mean(earned):.1f}")
    return mean


def mean_return(name: str, env: gymnasium.Env[Any, Any], weights: Weights | None, episodes: int = 20) -> float:
    """What a policy earns, or random actions where there is none."""
    policy = Policy.of(env, SEARCHES[name].products)
    env.action_space.seed(0)

    def act(observation: Any) -> Any:
        return env.action_space.sample() if weights is None else policy.act(weights, observation)

    return float(np.mean([play(env, act, 10_000 + episode) for episode in range(episodes)]))


def improvement(name: str, twin: gymnasium.Env[Any, Any], seeds: range) -> tuple[float, dict[str, float]]:
    """The share of the improvement over random actions that training in the twin brings, and the returns it is of."""
    original = gymnasium.make(name)
    mean = {"random": mean_return(name, original, None)}
    for trained_in, env in (("twin", twin), ("original", original)):
        mean[trained_in] = float(np.mean([mean_return(name, original, searched(name, env, seed)) for seed in seeds]))
    return (mean["twin"] - mean["random"]) / (mean["original"] - mean["random"]), mean
