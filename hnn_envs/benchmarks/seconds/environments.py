"""Trials as Stable-Baselines3 trains agents in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.seconds.trials import Trials

Indices = int | Iterable[int] | None


class TrialVecEnv(VecEnv):
    """A batch of trials; as with ``hnn_envs.sb3``, the infos of those that go on are empty."""

    def __init__(self, trials: Trials) -> None:
        self.trials, self.render_mode = trials, None
        seen = spaces.Box(trials.task.observation_low, trials.task.observation_high, dtype=np.float32)
        super().__init__(trials.count, seen, spaces.Box(-1.0, 1.0, (trials.actuation.actions,), np.float32))
        self._actions: Any = None

    def reset(self) -> Array:
        """Starts all trials."""
        return self.trials.reset()

    def step_async(self, actions: Array) -> None:
        """Takes the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        """Steps all trials with the actions taken."""
        stepped = self.trials.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(stepped.ended).tolist():
            infos[row] = {
                "TimeLimit.truncated": not bool(stepped.terminated[row]),
                "terminal_observation": stepped.last[row],
            }
        return stepped.observations, stepped.rewards.astype(np.float32), stepped.ended, infos

    def close(self) -> None:
        """Does nothing: there is nothing to close."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """An attribute, which all trials share."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Sets an attribute, which all trials share."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method, which all trials share."""
        return [getattr(self, method_name)(*method_args, **method_kwargs) for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper[Any]], indices: Indices = None) -> list[bool]:
        """Whether trials are wrapped: none is."""
        return [False for _ in self._get_indices(indices)]
