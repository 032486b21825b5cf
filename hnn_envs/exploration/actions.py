"""Actions in [-1, 1] of any environment with continuous ones: what they drive, and random ones to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.recordings.adapters import Adapter
from hnn_envs.tasks.actuation import Actuation

REMEMBERED = 0.7
"""Share of a random action that is left in the next one."""
PUSH = 0.65
"""Size of what is added to it, uniform in both directions."""


@dataclass(frozen=True)
class ActionSpace:
    """The box of an environment's actions.

    Attributes:
        low: shape (actions,).
        high: same shape.
        shape: of an action.
        dtype: likewise.
    """

    low: Array
    high: Array
    shape: tuple[int, ...]
    dtype: Any

    @classmethod
    def of(cls, space: gymnasium.Space[Any]) -> ActionSpace:
        """The box of a space.

        Raises:
            InvalidOptionError: it is no bounded box.
        """
        if not isinstance(space, gymnasium.spaces.Box) or not space.is_bounded():
            raise InvalidOptionError(f"exploring plans continuous actions within bounds, not {space}")
        low, high = (np.asarray(side, dtype=np.float64).reshape(-1) for side in (space.low, space.high))
        return cls(low, high, space.shape, space.dtype)

    def of_shares(self, shares: Array) -> Array:
        """The environment's action for shares (actions,) of the way to its bounds, in [-1, 1]."""
        values = self.low + 0.5 * (np.clip(shares, -1.0, 1.0) + 1.0) * (self.high - self.low)
        return values.astype(self.dtype).reshape(self.shape)

    def to_shares(self, action: Array) -> Array:
        """The inverse of ``of_shares``, shape (actions,)."""
        values = np.asarray(action, dtype=np.float64).reshape(-1)
        return np.clip(2.0 * (values - self.low) / (self.high - self.low) - 1.0, -1.0, 1.0)


def actuation_of_env(env: gymnasium.Env[Any, Any], adapter: Adapter, space: ActionSpace) -> Actuation:
    """Which input each action drives, and how strongly, found by asking the adapter.

    Args:
        env: with its wrappers.
        adapter: how it is seen.
        space: of its actions.

    Raises:
        InvalidOptionError: an action that drives none or several inputs, or not in proportion.
    """
    width = len(space.low)

    def inputs(shares: Array) -> Array:
        return adapter.inputs_of(env, space.of_shares(shares))

    unit = np.eye(width)
    forward, back = (np.stack([inputs(sign * each) for each in unit]) for sign in (1.0, -1.0))
    half = np.stack([inputs(0.5 * each) for each in unit])
    small = 1e-6 * float(np.abs(forward).max(initial=1e-300))
    driven = np.abs(forward) > small
    if not (np.allclose(forward, -back, atol=small) and np.allclose(half, 0.5 * forward, atol=small)):
        raise InvalidOptionError("exploring needs inputs in proportion to actions, within equal bounds to both sides")
    if not (driven.sum(axis=1) == 1).all():
        raise InvalidOptionError("exploring needs actions that drive one input each")
    places = driven.argmax(axis=1)
    sizes = tuple(forward[range(width), places].tolist())
    return Actuation(sizes, forward.shape[1], tuple(places.tolist()))


@dataclass
class RandomActions:
    """Smooth random actions, which move what white noise would only shake."""

    rng: np.random.Generator
    actions: int
    last: Array = None

    def __call__(self, step: int, measured: Array) -> Array:
        """The next action, shape (actions,), in [-1, 1]."""
        if self.last is None or step == 0:
            self.last = np.zeros(self.actions)
        self.last = REMEMBERED * self.last + PUSH * self.rng.uniform(-1.0, 1.0, self.actions)
        return np.clip(self.last, -1.0, 1.0)
