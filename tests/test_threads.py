"""Environments in threads of one process: each gives what it gives alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
import pytest

from hnn_envs.ids import environment_of
from hnn_envs.tasks import TASKS

THREADS, STEPS = 6, 25


def played(task: str, dynamics: str, seed: int) -> list[Any]:
    """All that an episode gives, pictures too."""
    name, options = environment_of(task)
    env = gymnasium.make(
        f"hnn_envs:{name.removeprefix('hnn_envs:')}", dynamics=dynamics, render_mode="rgb_array", **options
    )
    env.action_space.seed(seed)
    seen: list[Any] = [env.reset(seed=seed)[0]]
    for _ in range(STEPS):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        seen += [observation, reward, terminated, truncated, *info.values(), env.render()]
        if terminated:
            seen.append(env.reset()[0])
    env.close()
    return seen


@pytest.mark.parametrize("dynamics", ["ode", "hnn"])
@pytest.mark.parametrize("task", list(TASKS))
def test_every_environment_gives_what_it_gives_alone(task: str, dynamics: str) -> None:
    alone = [played(task, dynamics, seed) for seed in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        beside = list(pool.map(lambda seed: played(task, dynamics, seed), range(THREADS)))
    for one, other in zip(alone, beside, strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)
