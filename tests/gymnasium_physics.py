"""What moves Gymnasium's own environments, as a model that a twin takes; and an environment that nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest

from hnn_envs.recordings.adapters import Adapter, adapter_of
from hnn_envs.systems import Coordinate, Input, SystemSpec

KNOWN = ("Pendulum-v1", "CartPole-v1", "Acrobot-v1", "InvertedPendulum-v5", "InvertedDoublePendulum-v5")


def needs_mujoco(name: str) -> None:
    if name.startswith("Inverted"):
        pytest.importorskip("mujoco")


class OwnMotion:
    """Dynamics that ask the environment itself; see ``hnn_envs.dynamics.Dynamics``."""

    name = "own"

    def __init__(self, env_id: str) -> None:
        self._id = env_id
        self._env = gymnasium.make(env_id, disable_env_checker=True)
        self._env.reset(seed=0)
        self._adapter = adapter_of(self._env)
        dof, inputs = len(self._adapter.coordinates), self._adapter.inputs
        matrix = ((1.0,) * len(inputs),) * dof
        self.spec = SystemSpec(
            env_id, self._adapter.coordinates, inputs, matrix, time_scale=1.0, longest_step=0.01, velocities=True
        )

    def step(self, x: Any, u: Any) -> Any:
        base: Any = self._env.unwrapped
        assert self._adapter.put is not None
        self._adapter.put(base, *np.split(x, 2))
        base.step(self._action(base, u))
        return np.concatenate(self._adapter.state(base))

    def _action(self, base: Any, u: Any) -> Any:
        if isinstance(base.action_space, gymnasium.spaces.Discrete):
            return next(a for a in range(base.action_space.n) if self._adapter.input(base, a)[0] == u[0])
        most = base.action_space.high
        return (u * most / self._adapter.input(base, most)).astype(np.float32)

    def to_device(self, values: Any) -> Any:
        return values

    to_numpy = to_device

    def __reduce__(self) -> Any:
        return OwnMotion, (self._id,)


@dataclass(frozen=True)
class OwnPhysics:
    """A model of an environment that is never wrong."""

    env_id: str

    def dynamics(self, dt: float) -> OwnMotion:
        return OwnMotion(self.env_id)


class Sled(gymnasium.Env[Any, Any]):
    """A mass that is pushed: what a user's own environment may look like."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.speed = self.np_random.uniform(-1.0, 1.0), 0.0
        return self.look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.speed += 0.1 * float(action[0])
        self.place += 0.1 * self.speed
        return self.look(), -abs(self.place), abs(self.place) > 2.0, False, {}

    def look(self) -> Any:
        return np.array([self.place, self.speed])


def put_sled(env: Any, q: Any, v: Any) -> None:
    env.place, env.speed = float(q[0]), float(v[0])


SLED = Adapter(
    coordinates=(Coordinate("place", "m", False, "speed", "m/s"),),
    inputs=(Input("push", "N"),),
    dt=0.1,
    state=lambda env: (np.array([env.place]), np.array([env.speed])),
    input=lambda env, action: np.asarray(action, dtype=np.float64),
    put=put_sled,
    outcome=lambda env, before, action: (env.look(), -abs(env.place), bool(abs(env.place) > 2.0), False, {}),
    input_matrix=((1.0,),),
)
