"""Stable-Baselines3's VecEnv over the native batch of environments, and the make_vec_env that makes it.

from hnn_envs.sb3 import make_vec_env

model = PPO("MlpPolicy", make_vec_env("Pendulum", n_envs=64, dynamics="hnn"))
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from hnn_envs.arrays import Array
from hnn_envs.envs import PhysicsVectorEnv
from hnn_envs.envs.simulation import check_options
from hnn_envs.envs.sub_environment import SubEnvironment
from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.ids import ENVIRONMENTS, LEARNED_VECTOR_ENTRY_POINT, VECTOR_ENTRY_POINT

Indices = int | Iterable[int] | None


MONITOR_OPTIONS = ("info_keywords",)
"""What may be in ``monitor_kwargs``: what a VecMonitor takes beside its file."""


def make_vec_env(
    name: str,
    n_envs: int = 1,
    *,
    seed: int | None = None,
    monitor_dir: str | os.PathLike[str] | None = None,
    monitor_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> VecMonitor:
    """Makes a batch of environments for Stable-Baselines3, monitored as by its own function of this name.

    The monitor adds ``info["episode"]``, from which Stable-Baselines3 shows the mean return and length of episodes.

    Args:
        name: the name of an environment, such as "Pendulum" or "PendulumHNN", or its id, with or without its module:
            "hnn_envs:hnn_envs/Pendulum-v0".
        n_envs: number of environments.
        seed: environment i is seeded with seed + i at the first reset.
        monitor_dir: a folder for "monitor.csv", with a line for every episode of the whole batch; None writes no file.
        monitor_kwargs: options of the monitor, "info_keywords": names in the info of an episode's last step that are
            recorded with it, such as "energy".
        **options: as for ``PhysicsVectorEnv``: dynamics, integrator, dt, substeps, max_episode_steps, render_mode,
            image_size, ...

    Returns:
        A VecMonitor around a PhysicsVecEnv.

    Raises:
        UnknownNameError: there is no such environment, or it is not stepped by a ``PhysicsVectorEnv``.
        InvalidOptionError: an option of the monitor that it does not have.
    """
    spec = _found(name)
    for option in monitor_kwargs or ():
        if option not in MONITOR_OPTIONS:
            raise InvalidOptionError(f"unknown monitor option {option!r}; allowed: {', '.join(MONITOR_OPTIONS)}")
    batch = gymnasium.make_vec(spec.id, num_envs=n_envs, autoreset_mode=AutoresetMode.SAME_STEP.value, **options)
    environments = PhysicsVecEnv(cast("PhysicsVectorEnv", batch))
    if seed is not None:
        environments.seed(seed)
    if monitor_dir is not None:
        Path(monitor_dir).mkdir(parents=True, exist_ok=True)
    monitored = VecMonitor(
        environments, None if monitor_dir is None else os.fspath(monitor_dir), **(monitor_kwargs or {})
    )
    # A wrapper of Stable-Baselines3 has attributes of its own for these, which nothing ever fills.
    monitored.metadata, monitored.reset_infos = environments.metadata, environments.reset_infos
    return monitored


def _found(name: str) -> EnvSpec:
    """The registered environment of a name or an id, whose module is imported where it is named.

    Raises:
        UnknownNameError: there is none, or it has another vector environment.
    """
    module, _, plain = name.rpartition(":")
    if module:
        try:
            import_module(module)
        except ImportError as error:
            raise UnknownNameError(f"unknown environment {name!r}: {error}") from error
    spec = gymnasium.registry.get(plain) or gymnasium.registry.get(f"hnn_envs/{plain}-v0")
    if spec is None or spec.vector_entry_point not in (VECTOR_ENTRY_POINT, LEARNED_VECTOR_ENTRY_POINT):
        raise UnknownNameError.of("environment", name, ENVIRONMENTS)
    return spec


INFOS = ("out_of_domain", "diverged", "energy", "learned_energy", "spread", "untrusted")
"""What an environment's info may have."""


class PhysicsVecEnv(VecEnv):
    """A PhysicsVectorEnv with SAME_STEP autoreset, as Stable-Baselines3 wants it.

    Differs from DummyVecEnv over PhysicsEnv in one thing: the infos of environments whose episode goes on are empty,
    since thousands of dictionaries that nobody reads would cost more than the physics. At the end of an episode the
    info has everything, next to ``terminal_observation`` and ``TimeLimit.truncated``.
    """

    def __init__(self, batch: PhysicsVectorEnv) -> None:
        if batch.autoreset_mode != AutoresetMode.SAME_STEP or batch.output != "numpy":
            raise InvalidOptionError('Stable-Baselines3 needs autoreset_mode="SameStep" and output="numpy"')
        self.batch = batch
        super().__init__(batch.num_envs, batch.single_observation_space, batch.single_action_space)
        self.metadata = batch.metadata
        self.spec = batch.spec
        self._actions: Array | None = None

    def reset(self) -> Array:
        """Resets all environments, with the seeds and options that were set for this once."""
        observations, infos = self.batch.reset(seed=self._seeds, options=self._batch_options())
        self.reset_infos[:] = [_row_info(infos, row) for row in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: Array) -> None:
        """Takes the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        """Steps all environments with the actions taken, and resets those that ended."""
        observations, rewards, terminated, truncated, infos = self.batch.step(self._actions, quiet=True)
        dones = terminated | truncated
        reports: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(dones).tolist():
            reports[row] = {
                **_row_info(infos["final_info"], row),
                "TimeLimit.truncated": bool(truncated[row] and not terminated[row]),
                "terminal_observation": infos["final_obs"][row],
            }
            self.reset_infos[row] = _row_info(infos, row)
        return observations, rewards.astype(np.float32), dones, reports

    def close(self) -> None:
        """Closes the batch."""
        self.batch.close()

    def get_images(self) -> Sequence[Array | None]:
        """One frame per environment."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"frames need render_mode='rgb_array', not {self.render_mode!r}", stacklevel=2)
            return [None] * self.num_envs
        return list(self.batch.render() or ())

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Reads an attribute of some environments."""
        return [getattr(row, attr_name) for row in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Sets an attribute of some environments."""
        for row in self._chosen(indices):
            setattr(row, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of some environments."""
        return [getattr(row, method_name)(*method_args, **method_kwargs) for row in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper[Any]], indices: Indices = None) -> list[bool]:
        """Whether environments are wrapped: none is, a batch has no wrappers around its parts."""
        return [False for _ in self._chosen(indices)]

    def _chosen(self, indices: Indices) -> list[SubEnvironment]:
        rows = self.batch.rows
        return [rows[index] for index in self._get_indices(indices)]

    def _batch_options(self) -> dict[str, Any] | None:
        """The options of all environments as those of the batch."""
        given = [check_options(options, ("state",)) for options in self._options]
        states = [options["state"] for options in given if "state" in options]
        if not states:
            return None
        if len(states) != self.num_envs:
            raise InvalidOptionError(
                f"give a state to all {self.num_envs} environments or to none, not to {len(states)}"
            )
        return {"state": np.stack(states)}


def _row_info(infos: dict[str, Any], row: int) -> dict[str, np.float64]:
    """One environment's info from the batch's; all values are numbers."""
    return {name: infos[name][row] for name in INFOS if name in infos}
