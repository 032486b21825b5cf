"""What tests of exploration share: a learner that knows the truth, and environments that go wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

import hnn_envs
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import TrainingError
from hnn_envs.exploration.explorer import Explorer
from hnn_envs.exploration.learners import Learned
from hnn_envs.recordings.adapters import Adapter
from hnn_envs.recordings.recording import Recording
from hnn_envs.systems import Coordinate, Input
from hnn_envs.tasks import get_task

CART_POLE = "hnn_envs:hnn_envs/CartPole-v0"
REST = (np.zeros(2), np.zeros(2))
NOISE = 1e-2


class TrueLearner:
    """Gives the true cart-pole, whatever was watched, and fails when it is told to.

    Args:
        failures: numbers of the calls that fail, from 0.
    """

    def __init__(self, *failures: int) -> None:
        self.failures, self.recordings, self.before = failures, [], []  # type: ignore[var-annotated]

    def __call__(self, recording: Recording, *, dt: float, seed: int, previous: Learned | None) -> Learned:
        self.recordings.append(recording)
        self.before.append(previous)
        if len(self.recordings) - 1 in self.failures:
            raise TrainingError("the fit diverged")
        dynamics = make_dynamics(get_task("cart-pole").system, "ode", dt=dt, integrator="rk4", substeps=2)
        return Learned(dynamics, np.full(4, NOISE), np.full(4, 1e-4))


class Diverges(TrueLearner):
    """Does something to what it learned, or raises, from its second call on.

    Args:
        change: what is done to it.
    """

    def __init__(self, change: Callable[[Learned], Learned]) -> None:
        super().__init__()
        self._change = change

    def __call__(self, recording: Recording, *, dt: float, seed: int, previous: Learned | None) -> Learned:
        learned = super().__call__(recording, dt=dt, seed=seed, previous=previous)
        return learned if len(self.recordings) == 1 else self._change(learned)


class Raises(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose step raises after so many of them."""

    def __init__(self, env: gymnasium.Env[Any, Any], steps: int) -> None:
        super().__init__(env)
        self.left = steps

    def step(self, action: Any) -> Any:
        if self.left == 0:
            raise RuntimeError("the motor is too hot")
        self.left -= 1
        return self.env.step(action)


class EndsAfter(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that says after so many steps that the episode is over for good."""

    def __init__(self, env: gymnasium.Env[Any, Any], steps: int) -> None:
        super().__init__(env)
        self.left = steps

    def step(self, action: Any) -> Any:
        self.left -= 1
        seen, reward, terminated, truncated, info = self.env.step(action)
        return seen, reward, terminated or self.left == 0, truncated, info


class CountsResets(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that counts how often it is reset."""

    resets = 0

    def reset(self, **options: Any) -> Any:
        self.resets += 1
        return self.env.reset(**options)


class EndsAtOnce(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose episodes end after one step."""

    def step(self, action: Any) -> Any:
        seen, reward, _, truncated, info = self.env.step(action)
        return seen, reward, True, truncated, info


class Slider(gymnasium.Env[Any, Any]):
    """A user's own environment: a mass of 1 that a force of at most 1 pushes along a line."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
    observation_space = gymnasium.spaces.Box(-10.0, 10.0, (2,), np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.state = np.zeros(2)
        return self.state, {}

    def step(self, action: Any) -> Any:
        velocity = self.state[1] + 0.05 * float(action[0])
        self.state = np.array([self.state[0] + 0.05 * velocity, velocity])
        return self.state, 0.0, False, False, {}


SLIDER = Adapter(
    coordinates=(Coordinate("x", "m", False, "v", "m/s"),),
    inputs=(Input("force", "N"),),
    dt=0.05,
    state=lambda env: (env.state[:1], env.state[1:]),
    input=lambda env, action: np.asarray(action),
    input_matrix=((1.0,),),
)


def explorer(env: Any = CART_POLE, **options: Any) -> Explorer:
    chosen = {"learner": TrueLearner(), "noise": NOISE, "start": REST, "first_seconds": 0.5, **options}
    return Explorer(env, **chosen)


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("states", "measured", "inputs"))


def get_upright(states: np.ndarray) -> np.ndarray:
    return hnn_envs.get_task("cart-pole").angle_from_upright(states)  # type: ignore[attr-defined]
