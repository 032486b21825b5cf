"""Helpers of the environment tests: making them, trajectories, comparing what they return."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from hypothesis import HealthCheck, settings

from hnn_envs import ENVIRONMENTS
from hnn_envs.tasks import TASKS

PHYSICS = ("ode", "hnn", "baseline")
NAMES = tuple(ENVIRONMENTS)
MODES = tuple(AutoresetMode)
Choose = Callable[[str, str], str]

# Deterministic, so that a failure is a change in the code and never in the draw.
PROPERTY = settings(derandomize=True, deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))


def make(name: str, **options: Any) -> gym.Env[Any, Any]:
    """One environment."""
    return gym.make(f"hnn_envs/{name}-v0", **options)


def make_batch(name: str = "Pendulum", num_envs: int = 3, **options: Any) -> Any:
    """A native batch."""
    return gym.make_vec(f"hnn_envs/{name}-v0", num_envs=num_envs, **options)


def task_of(name: str) -> Any:
    return TASKS[ENVIRONMENTS[name][0]]


def trajectory(env: gym.Env[Any, Any], steps: int, seed: int, action_seed: int = 0) -> list[Any]:
    """Everything that an environment returns from a reset on, over episodes, under random actions."""
    rng = np.random.default_rng(action_seed)
    out: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        out.append(env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)))
        if out[-1][2] or out[-1][3]:
            out.append(env.reset())
    return out


def digest(records: list[Any]) -> str:
    return hashlib.sha256(
        pickle.dumps([[np.asarray(part).tolist() for part in each[:-1]] for each in records])
    ).hexdigest()


def run_python(code: str) -> str:
    """Runs code in a fresh interpreter and returns what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def actions_of(envs: Any, rng: np.random.Generator) -> np.ndarray:
    """Random actions, some beyond the box."""
    return rng.uniform(-1.3, 1.3, envs.action_space.shape).astype(np.float32)


def assert_same(native: Any, sync: Any, where: str, tolerance: float = 0.0) -> None:
    """Equal types, keys, shapes and values: bit for bit without a tolerance."""
    if isinstance(sync, dict):
        assert set(native) == set(sync), where
        for name in sync:
            assert_same(native[name], sync[name], f"{where} {name}", tolerance)
    elif isinstance(sync, tuple):
        assert len(native) == len(sync), where
        for index, (one, other) in enumerate(zip(native, sync, strict=True)):
            assert_same(one, other, f"{where}[{index}]", tolerance)
    elif isinstance(sync, np.ndarray) and sync.dtype == object:
        for one, other in zip(native, sync, strict=True):
            assert (one is None) == (other is None), where
            assert_same(one, other, where, tolerance)
    elif isinstance(sync, np.ndarray):
        assert (native.dtype, native.shape) == (sync.dtype, sync.shape), where
        np.testing.assert_allclose(native, sync, rtol=tolerance, atol=tolerance, err_msg=where)
    else:
        assert native == sync, where
