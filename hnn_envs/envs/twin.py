"""Twins: environments of Gymnasium whose motion is learned, and everything else their own."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.envs.rules import LARGEST
from hnn_envs.envs.simulation import ResetNeededError, checked_trust
from hnn_envs.envs.single import FLAGS
from hnn_envs.errors import InvalidOptionError
from hnn_envs.parsing import user_path
from hnn_envs.recordings.adapters import Adapter, Step, Stop, adapter_of, make_env

SECANTS = 3
"""Steps in which the force of a stop is found; with masses that hardly change over a step, one is enough."""
ENTRY_POINT = "hnn_envs.envs.twin:TwinEnv"


class TwinEnv(gymnasium.Env[Any, Any]):
    """An environment of Gymnasium on learned physics.

    ``hnn_envs.twin`` makes one. Spaces, starts, reward, end and rendering are the original's: its own code computes
    them from the state that the learned physics arrives at. What is known of the machine's build, such as the ends of a
    rail, is added to the motion: there a coordinate comes to rest by a force on it.

    Where the physics diverges, the state stays the last finite one, the episode is truncated, and ``info["diverged"]``
    is 1. With ``trust``, ``info["spread"]`` tells how far the members of the model's ensemble disagree about a step,
    and where they do by more, the episode is truncated, and ``info["untrusted"]`` is 1.

    Args:
        original: the specification of the environment; or the environment, which the twin keeps for itself.
        model: what ``twin`` takes.
        adapter: where the environment's state is; by default the registered one.
        trust: largest spread of a step after which the episode goes on; by default there is none.
        render_mode: one of the original's.
        **options: for the original.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium's
        "render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"],
        "render_fps": 30,
    }

    def __init__(
        self,
        original: EnvSpec | gymnasium.Env[Any, Any],
        model: Any,
        adapter: Adapter | None = None,
        trust: float | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self._arguments = {
            "trust": trust,
            "original": original,
            "model": model,
            "adapter": adapter,
            "render_mode": render_mode,
            **options,
        }
        made = _bare(original, render_mode, options) if isinstance(original, EnvSpec) else original
        self.adapter = adapter or adapter_of(made)
        self.original: Any = made.unwrapped
        if self.adapter.put is None or self.adapter.outcome is None:
            raise InvalidOptionError(
                f"a twin of {self.original} needs an adapter that sets its state (put) and says what a step gives "
                "(outcome); environments of hnn_envs take learned physics themselves, as dynamics="
            )
        self.dynamics = dynamics_of(model, self.adapter.step_of(self.original))
        self._check_fit()
        self._trust = checked_trust(trust, self.dynamics)
        self.action_space = self.original.action_space
        self.observation_space = self.original.observation_space
        self.metadata = self.original.metadata
        self.render_mode = self.original.render_mode
        self._started = False

    def __str__(self) -> str:
        return f"<TwinEnv of {self.original} on {self.dynamics.name}>"

    @property
    def state(self) -> Array:
        """Positions and velocities, shape (2*dof,)."""
        return np.concatenate(self.adapter.state(self.original)).astype(np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode where the original does."""
        if seed is None and self._np_random is not None:
            self.original.np_random = self._np_random
        observation, info = self.original.reset(seed=seed, options=options)
        self._np_random, self._np_random_seed = self.original.np_random, self.original.np_random_seed
        self._started = True
        return observation, info

    def step(self, action: Any) -> Step:
        """Moves by the learned physics; the rest is what the original makes of it.

        Raises:
            InvalidActionError: an action that the original does not have.
            ResetNeededError: there was no reset yet.
        """
        if not self._started:
            raise ResetNeededError("call reset() first: the environment has no state yet")
        assert self.adapter.put is not None  # noqa: S101 - for the type checker
        assert self.adapter.outcome is not None  # noqa: S101
        u = np.asarray(self.adapter.input(self.original, action), dtype=np.float64)
        before = self.adapter.state(self.original)
        x = np.concatenate(before).astype(np.float64)
        moved, u = self._moved(x, u)
        doubts = self._doubts(x, u, moved)
        diverged = not bool((np.abs(moved) < LARGEST).all())
        q, v = np.split(x if diverged else moved, 2)
        self.adapter.put(self.original, q, v)
        with _unseen(self.original):
            observation, reward, terminated, truncated, info = self.adapter.outcome(self.original, before, action)
        if self.render_mode == "human":
            self.render()
        cut = truncated or diverged or bool(doubts.get("untrusted", False))
        return observation, reward, terminated, cut, {**info, **doubts, "diverged": FLAGS[diverged]}

    def _moved(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Where the learned physics leads, and the inputs with what stops added to them."""
        moved = self._stepped(x, u)
        for stop in self.adapter.stops(self.original):
            q, v = moved[stop.coordinate], moved[len(moved) // 2 + stop.coordinate]
            if (q >= stop.high and v > 0) or (q <= stop.low and v < 0):
                u = self._stopping(stop, x, u, v)
                moved = self._stepped(x, u)
        return moved, u

    def _stopping(self, stop: Stop, x: Array, u: Array, v: float) -> Array:
        """Inputs under which a coordinate has come to rest after a step, as one that meets a stop has."""
        push = np.zeros_like(u)
        push[stop.input] = -math.copysign(max(1.0, float(np.abs(u).max())), v)
        for _ in range(SECANTS):
            slowed = self._stepped(x, u + push)[len(x) // 2 + stop.coordinate]
            if not math.isfinite(slowed) or slowed == v:
                break
            push = push * v / (v - slowed)
        return u + push

    def _stepped(self, x: Array, u: Array) -> Array:
        dynamics = self.dynamics
        return np.asarray(dynamics.to_numpy(dynamics.step(dynamics.to_device(x), dynamics.to_device(u))))

    def _doubts(self, x: Array, u: Array, moved: Array) -> dict[str, Any]:
        """What an info tells of how far a step is trusted; nothing where that is not asked for, since it takes time."""
        if self._trust is None:
            return {}
        dynamics = self.dynamics
        spread = dynamics.to_numpy(dynamics.spread(*map(dynamics.to_device, (x, u, moved))))
        return {"spread": np.float64(float(spread)), "untrusted": FLAGS[bool(spread > self._trust)]}

    def render(self) -> Any:
        """The original's picture of the state."""
        return self.original.render()

    def close(self) -> None:
        """Closes the original's window."""
        self.original.close()

    def __getstate__(self) -> dict[str, Any]:
        """What it was made from and where it is: windows cannot be copied or sent to another process."""
        state = self.adapter.state(self.original) if self._started else None
        return {"arguments": self._arguments, "state": state, "random": (self._np_random, self._np_random_seed)}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__init__(**kept["arguments"])  # type: ignore[misc]
        self._np_random, self._np_random_seed = kept["random"]
        if kept["state"] is not None and self.adapter.put is not None:
            self.original.reset(seed=0)
            self.adapter.put(self.original, *kept["state"])
            self.original.np_random = self._np_random
            self._started = True

    def _check_fit(self) -> None:
        spec, adapter = self.dynamics.spec, self.adapter
        if not spec.velocities:
            raise InvalidOptionError(
                f"the states of {spec.name} have momenta, and a twin needs a model of positions and velocities, as "
                "learned from a recording"
            )
        if (spec.dof, len(spec.inputs)) != (len(adapter.coordinates), len(adapter.inputs)):
            raise InvalidOptionError(
                f"a model of {spec.dof} positions and {len(spec.inputs)} inputs cannot move {self.original}, which has "
                f"{len(adapter.coordinates)} and {len(adapter.inputs)}"
            )


def twin(
    env: str | gymnasium.Env[Any, Any],
    model: Any,
    *,
    adapter: Adapter | None = None,
    trust: float | None = None,
    **options: Any,
) -> gymnasium.Env[Any, Any]:
    """An environment with the original's spaces, starts, reward, end and rendering, on learned physics.

    Args:
        env: the id of the original, or the original: a twin is made anew from its specification, with its wrappers.
        model: what moves it: what ``hnn_envs.learn`` gave, a checkpoint or its path; or anything that has a method
            ``dynamics(dt)``.
        adapter: where the environment's state is; by default the registered one.
        trust: largest spread of the model's ensemble over a step, as a share of what was covered; where it is larger,
            the episode is truncated. By default nothing is, and the spread is not told, which would take time.
        **options: for the original, such as ``render_mode``.

    Raises:
        UnknownNameError: nothing is known of the environment's state.
        InvalidOptionError: a model that does not fit the environment.
    """
    if isinstance(model, str | Path):
        model = str(user_path(model).absolute())
    spec = env.spec if isinstance(env, gymnasium.Env) else make_env(env).spec
    if spec is None:
        if not isinstance(env, gymnasium.Env) or isinstance(env, gymnasium.Wrapper) or options:
            raise InvalidOptionError(f"{env} was not made by its id: a twin is made of it without wrappers or options")
        return TwinEnv(copy.deepcopy(env), model, adapter, trust)
    own = f"hnn_envs/{spec.name}Twin" + ("" if spec.version is None else f"-v{spec.version}")
    kwargs = {"original": spec, "model": model, "adapter": adapter, "trust": trust, **spec.kwargs, **options}
    # Not the original's native batch, which would move as the original does.
    return gymnasium.make(replace(spec, id=own, entry_point=ENTRY_POINT, vector_entry_point=None, kwargs=kwargs))


def dynamics_of(model: Any, dt: float) -> Dynamics:
    """The physics of a model, with steps of dt."""
    if callable(getattr(model, "dynamics", None)):
        made: Dynamics = model.dynamics(dt)
        return made
    if not isinstance(model, str | Path | Checkpoint):
        raise InvalidOptionError(f"a model is a checkpoint, its path, or has a method dynamics(dt); not {model!r}")
    return make_dynamics(model, dt=dt)


def _bare(spec: EnvSpec, render_mode: str | None, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """The original without wrappers."""
    plain = replace(spec, additional_wrappers=(), max_episode_steps=None, order_enforce=False, disable_env_checker=True)
    plain.kwargs = {name: value for name, value in spec.kwargs.items() if name != "render_mode"} | options
    return gymnasium.make(plain) if render_mode is None else gymnasium.make(plain, render_mode=render_mode)


@contextmanager
def _unseen(env: Any) -> Iterator[None]:
    """Keeps an environment's own step from drawing: the twin draws when it has arrived."""
    mode, env.render_mode = env.render_mode, None
    try:
        yield
    finally:
        env.render_mode = mode
