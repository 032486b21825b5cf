"""Environments of Gymnasium as mechanical systems: states, actions, and what their step hides.

To add one, write its functions in a file, and a line in ``ADAPTERS``; from outside, call ``register_adapter``, or hand
an ``Adapter`` to ``hnn_envs.record`` and ``hnn_envs.twin``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.registry import Registry
from hnn_envs.systems.spec import Coordinate, Input

Env: TypeAlias = Any
"""An environment without wrappers, whose own attributes are read."""
State: TypeAlias = tuple[Array, Array]
"""Positions and velocities, each of shape (dof,)."""
Step: TypeAlias = tuple[Any, Any, bool, bool, dict[str, Any]]
"""What an environment's step gives: observation, reward, terminated, truncated, info."""


def _never(env: Env) -> bool:
    return False


@dataclass(frozen=True)
class Stop:
    """Where a coordinate that an input pushes cannot go on, such as at the end of a rail.

    Attributes:
        coordinate: its number.
        input: the number of the input that pushes it.
        low: its smallest value.
        high: its largest.
    """

    coordinate: int
    input: int
    low: float
    high: float


def _nowhere(env: Env) -> tuple[Stop, ...]:
    return ()


@dataclass(frozen=True)
class Adapter:
    """How an environment is seen as a mechanical system.

    Three functions are enough to record it (``state`` and ``input``) and to start it anywhere (``put``); a twin needs
    ``outcome``, too.

    Attributes:
        coordinates: of the positions.
        inputs: the forces.
        dt: time that a step covers; or the function (env) -> time.
        state: (env) -> (positions, velocities).
        input: (env, action) -> inputs that the action stands for, shape (inputs,).
        put: (env, positions, velocities), which sets the state; None where that is not possible.
        outcome: (env, (positions, velocities) before the step, action) -> what ``step`` gives, where the environment is
            in the state after the step already; None where nobody has written it.
        observe: (env) -> observation of its state; None where that is not known, and only resets give the first.
        stopped: (env) -> whether the last step met a stop, such as a joint's end or a largest speed, which is no part
            of the motion that is learned: there runs are cut.
        stops: (env) -> where coordinates stop: what is known of a machine's build, which a twin adds to its motion.
        input_matrix: G, the generalized force per unit of each input, one row per coordinate; None where not known.
        wide: (env, generator) -> (positions, velocities) to start from, anywhere; None where nobody has said.
    """

    coordinates: tuple[Coordinate, ...]
    inputs: tuple[Input, ...]
    dt: float | Callable[[Env], float]
    state: Callable[[Env], State]
    input: Callable[[Env, Any], Array]
    put: Callable[[Env, Array, Array], None] | None = None
    outcome: Callable[[Env, State, Any], Step] | None = None
    observe: Callable[[Env], Any] | None = None
    stopped: Callable[[Env], bool] = _never
    stops: Callable[[Env], tuple[Stop, ...]] = _nowhere
    input_matrix: tuple[tuple[float, ...], ...] | None = None
    wide: Callable[[Env, np.random.Generator], State] | None = None

    def inputs_of(self, env: gymnasium.Env[Any, Any], action: Any) -> Array:
        """The inputs, shape (inputs,), that an action stands for, which the wrappers of an environment may change."""
        own = own_action(env, action)
        return np.array(self.input(env.unwrapped, own), dtype=np.float64).reshape(-1)

    def step_of(self, env: Env) -> float:
        """Time that a step covers."""
        return float(self.dt(env) if callable(self.dt) else self.dt)


def own_action(env: gymnasium.Env[Any, Any], action: Any) -> Any:
    """What wrappers that change actions, such as RescaleAction, make of an action: what the environment itself gets."""
    layer = env
    while isinstance(layer, gymnasium.Wrapper):
        if isinstance(layer, gymnasium.ActionWrapper):
            action = layer.action(action)
        layer = layer.env
    return action


ADAPTERS: Registry[Adapter | Callable[[Env], Adapter]] = Registry(
    "adapter of an environment",
    {
        "Pendulum-v1": "hnn_envs.recordings.gymnasium_adapters:PENDULUM",
        "CartPole-v1": "hnn_envs.recordings.gymnasium_adapters:CART_POLE",
        "Acrobot-v1": "hnn_envs.recordings.gymnasium_adapters:ACROBOT",
        "InvertedPendulum-v5": "hnn_envs.recordings.gymnasium_adapters:INVERTED_PENDULUM",
        "InvertedDoublePendulum-v5": "hnn_envs.recordings.gymnasium_adapters:INVERTED_DOUBLE_PENDULUM",
        "hnn_envs": "hnn_envs.recordings.own_adapter:own_adapter",
    },
)
"""By the environment's id, or by its namespace: an adapter, or the function that makes it for an environment."""


def register_adapter(name: str, adapter: Adapter | Callable[[Env], Adapter] | str) -> None:
    """Makes the adapter of an environment known.

    Args:
        name: the environment's id, or the namespace of several.
        adapter: the adapter, the function that makes it for an environment, or where either is, "module:object".

    Raises:
        InvalidOptionError: the environment has another adapter.
    """
    ADAPTERS.register(name, adapter)


def make_env(name: str) -> gymnasium.Env[Any, Any]:
    """An environment of Gymnasium by its id.

    Raises:
        InvalidOptionError: there is none, or it lacks what it needs.
    """
    try:
        return gymnasium.make(name)
    except (gymnasium.error.Error, ImportError) as error:
        raise InvalidOptionError(f"environment {name!r} cannot be made: {error}") from error


def adapter_of(env: gymnasium.Env[Any, Any]) -> Adapter:
    """The adapter of an environment, by its id.

    Raises:
        UnknownNameError: there is none.
    """
    spec = env.spec
    names = () if spec is None else (spec.id, spec.namespace or "")
    found = next((ADAPTERS[name] for name in names if name in ADAPTERS), None)
    if found is None:
        raise UnknownNameError(
            f"nothing is known of the state of {names[0] if names else env}; allowed: {', '.join(sorted(ADAPTERS))}, "
            "or any environment with an adapter=hnn_envs.Adapter(...) of three functions: its state, the input of an "
            "action, and how a state is set"
        )
    return found if isinstance(found, Adapter) else found(env.unwrapped)
