"""A batch of environments stepped as one: Gymnasium's VectorEnv around a task and a physics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from hnn_envs.arrays import Array, namespace
from hnn_envs.envs.infos import laid_out, named
from hnn_envs.envs.simulation import Doubt, NoStateError, ResetNeededError, Simulation, check_choice, check_options
from hnn_envs.envs.specification import Specified
from hnn_envs.envs.sub_environment import SubEnvironment, Trails
from hnn_envs.errors import InvalidOptionError
from hnn_envs.tasks import Task

OUTPUTS = ("numpy", "torch")


class PhysicsVectorEnv(Specified, VectorEnv[Array, Array, Array]):
    """``num_envs`` independent environments of one task under one physics, stepped as one batch.

    What it returns equals what ``gymnasium.vector.SyncVectorEnv`` returns over as many ``PhysicsEnv``, in all three
    autoreset modes: sub-environment i has its own random generator, seeded with seed + i, and its own time limit. For
    "ode" the two agree bit for bit; learned physics agree to rounding, since a matrix product over many rows may add
    in another order.

    ``reset(options=...)`` takes ``state``, one state for all or one each, shape (2*dof,) or (num_envs, 2*dof), and
    ``reset_mask``, bool, shape (num_envs,), which resets some only. Spaces, actions and info are those of
    ``PhysicsEnv``, batched.

    Args:
        task: a task, or its name, such as "pendulum".
        num_envs: number of environments.
        dynamics: as for ``PhysicsEnv``, and so are integrator, dt, substeps, device and dtype.
        integrator: the one-step method.
        dt: time per step.
        substeps: integrator steps per step.
        max_episode_steps: the time limit; None for the task's, -1 for none.
        render_mode: None or "rgb_array"; ``render()`` then gives a tuple of ``num_envs`` frames.
        autoreset_mode: "NextStep", "SameStep" or "Disabled", or Gymnasium's AutoresetMode.
        output: "numpy", or "torch" for tensors, which stay on the device and share memory with what was computed.
        device: where the physics computes.
        dtype: precision of a learned network.
        image_size: width and height of frames, for tasks that are seen through them; see ``PhysicsEnv``.
        channels: "first" or "last", for these tasks.
        render_truth: whether drawings show the true system, too, for these tasks.
        trust: the largest spread of a step, for checkpoints with an ensemble.

    Raises:
        HnnEnvsError: an argument that cannot be used; the message says what is allowed.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 - Gymnasium's

    def __init__(
        self,
        task: str | Task,
        num_envs: int = 1,
        dynamics: str = "ode",
        *,
        integrator: str | None = None,
        dt: float | None = None,
        substeps: int | None = None,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        output: str = "numpy",
        device: str | None = None,
        dtype: str | None = None,
        image_size: int | None = None,
        channels: str | None = None,
        render_truth: bool = False,
        trust: float | None = None,
    ) -> None:
        check_choice("render_mode", render_mode, (None, "rgb_array"))
        check_choice("output", output, OUTPUTS)
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.num_envs = _positive("num_envs", num_envs)
        self._simulation = Simulation(
            task,
            dynamics,
            integrator=integrator,
            dt=dt,
            substeps=substeps,
            device=device,
            dtype=dtype,
            image_size=image_size,
            channels=channels,
            render_truth=render_truth,
            trust=trust,
        )
        self.task, self.dynamics = self._simulation.task, self._simulation.dynamics
        self.max_episode_steps = self._time_limit(max_episode_steps)
        self.single_action_space = self._simulation.action_space
        self.single_observation_space = self._simulation.observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.render_mode, self.output = render_mode, output
        self.metadata = PhysicsVectorEnv.metadata | {
            "render_fps": self._simulation.render_fps,
            "autoreset_mode": self.autoreset_mode,
        }
        self._random: list[tuple[np.random.Generator, int] | None] = [None] * num_envs
        self._action_shape = (num_envs, self._simulation.actuation.actions)
        self._x: Array | None = None
        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        self._ended = np.zeros(num_envs, dtype=np.bool_)
        self._trails = None if render_mode is None else Trails(num_envs, self._simulation.actuation.inputs)
        self._truth_beside = None if render_mode is None else self._simulation.ground_truth(num_envs)
        self._rows: list[SubEnvironment] = []

    def __repr__(self) -> str:
        named = f"task={self.task.name!r}, dynamics={self.dynamics.name!r}, num_envs={self.num_envs}"
        return f"{type(self).__name__}({named})"

    @property
    def state(self) -> Array:
        """All states, shape (num_envs, 2*dof): reading gives a copy, setting checks them.

        Raises:
            NoStateError: there was no reset yet.
        """
        return np.array(self._numpy(self._current()))

    @state.setter
    def state(self, value: Any) -> None:
        self._place(self._simulation.checked_state(value, self.num_envs), np.arange(self.num_envs))

    def set_state(self, value: Any, row: int) -> None:
        """Sets the state of one sub-environment.

        Raises:
            InvalidStateError: a state that the task does not allow.
        """
        self._current()
        self._place(self._simulation.checked_state(value)[None], np.array([row]))

    @property  # type: ignore[misc] # one for each, and not to be set, as in SyncVectorEnv
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generators of the sub-environments."""
        return tuple(self.seeded(row)[0] for row in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of those generators."""
        return tuple(self.seeded(row)[1] for row in range(self.num_envs))

    def seeded(self, row: int) -> tuple[np.random.Generator, int]:
        """The generator of one sub-environment and its seed, the system's entropy where none was given."""
        random = self._random[row]
        if random is None:
            random = self._random[row] = seeding.np_random()
        return random

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Starts episodes in all sub-environments, or in those of ``options["reset_mask"]``.

        Args:
            seed: None keeps the generators, an integer seeds sub-environment i with seed + i, a list each on its own.
            options: "state", "reset_mask".

        Raises:
            InvalidStateError: a state that the task does not allow.
            InvalidOptionError: another option, or a mask or seeds that do not fit.
        """
        given = check_options(options, ("state", "reset_mask"))
        chosen = self._checked_mask(given.get("reset_mask"))
        states = self._simulation.checked_state(given["state"], self.num_envs) if "state" in given else None
        rows = np.flatnonzero(chosen)
        random = [(row, seeding.np_random(each)) for row, each in self._row_seeds(seed, rows) if each is not None]
        for row, generator in random:
            self._random[row] = generator
        self._restart(rows, None if states is None else states[rows])
        observations, told = self._look(np.arange(self.num_envs))
        return self._out(observations), self._infos(told, chosen)

    def step(self, actions: Array, *, quiet: bool = False) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Advances all sub-environments by ``dt``, and resets those that ended as the autoreset mode says.

        Args:
            actions: shape (num_envs, actions), in [-1, 1].
            quiet: gives infos only where an episode ended.

        Raises:
            InvalidActionError: actions of the wrong shape, or not finite; nothing has changed then.
            ResetNeededError: there was no reset yet, or an episode ended and autoreset is disabled.
        """
        x, due = self._current(), self._due()
        u = self._simulation.control(actions, self._action_shape, due)
        outcome, doubt = self._simulation.advance(x, u)
        self._x, observations, reward, energy, *flags = outcome
        if doubt is not None and doubt.untrusted is not None:
            flags.append(doubt.untrusted)
        # From a device all flags come in one transfer, for each waits until the device is done.
        terminated, outside, diverged, *untrusted = (
            flags if self.dynamics.device is None else self._numpy(namespace(x).stack(flags))
        )
        self._elapsed += 1
        truncated = (outside | untrusted[0] if untrusted else outside) & ~terminated
        told = self._named(energy, outside, diverged, doubt, *untrusted)
        if self.max_episode_steps is not None:
            truncated |= self._elapsed >= self.max_episode_steps
        if self._trails is not None:
            shares = self._simulation.actuation.to_shares(self._numpy(u))
            self._trails.record(self._numpy(self._x), shares)
        if self._truth_beside is not None:
            self._truth_beside.step(self._numpy(u))
        if due is not None:
            rows = np.flatnonzero(due)
            for values in (reward, terminated, truncated):
                values[rows] = 0
            self._begin(rows, observations, told)
        self._ended = terminated | truncated
        infos = {} if quiet and not self._ended.any() else self._report(observations, told)
        return self._out(observations), self._out(reward), self._out(terminated), self._out(truncated), infos

    def render(self) -> tuple[Array, ...] | None:
        """One frame per sub-environment, uint8, shape (height, width, 3) each."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() does nothing without a render_mode; give one to gymnasium.make_vec")
            return None
        return tuple(self.frame(row) for row in range(self.num_envs))

    def frame(self, row: int) -> Array | None:
        """The frame of one sub-environment, None without a render mode."""
        if self._trails is None:
            return None
        from hnn_envs.drawing.canvas import draw_frame

        state, truth = self.state[row], None if self._truth_beside is None else self._truth_beside.states[row]
        return draw_frame(
            self.task, self._simulation.view(state, *self._trails.of(row), int(self._elapsed[row]), truth)
        )

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Calls a method of every sub-environment, or reads an attribute."""
        found = [getattr(row, name) for row in self.rows]
        return tuple(value(*args, **kwargs) if callable(value) else value for value in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Reads an attribute of every sub-environment."""
        return tuple(getattr(row, name) for row in self.rows)

    def set_attr(self, name: str, values: list[Any] | tuple[Any, ...] | Any) -> None:
        """Sets an attribute of every sub-environment: a list or tuple has one value for each, anything else is for all.

        Raises:
            ValueError: as many values as there are sub-environments are needed.
        """
        each = list(values) if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise InvalidOptionError(f"{self.num_envs} values are needed, one per environment, not {len(each)}")
        for row, value in zip(self.rows, each, strict=True):
            setattr(row, name, value)

    @property
    def rows(self) -> list[SubEnvironment]:
        """The sub-environments, one by one."""
        if not self._rows:
            self._rows = [SubEnvironment(self, index) for index in range(self.num_envs)]
        return self._rows

    def _current(self) -> Array:
        if self._x is None:
            raise NoStateError("call reset() first: the environments have no states yet")
        return self._x

    def _due(self) -> Array | None:
        """The rows that this step resets, or None where it resets none."""
        if self.autoreset_mode == AutoresetMode.SAME_STEP or not self._ended.any():
            return None
        if self.autoreset_mode == AutoresetMode.DISABLED:
            raise ResetNeededError(
                f"episodes of rows {np.flatnonzero(self._ended).tolist()} have ended and autoreset is disabled; "
                'reset them with options={"reset_mask": terminated | truncated}'
            )
        return self._ended

    def _restart(self, rows: Array, states: Array | None = None) -> None:
        """Starts episodes in ``rows``, at ``states`` or where the task's generators say."""
        truths = states
        if states is None:
            states, truths = self._simulation.starts([self.seeded(row)[0] for row in rows])
        if self._x is None:
            self._x = self.dynamics.to_device(np.zeros((self.num_envs, states.shape[-1])))
        self._place(states, rows, truths)
        self._elapsed[rows] = 0
        self._ended[rows] = False

    def _place(self, states: Array, rows: Array, truths: Array | None = None) -> None:
        # A copy, since a tensor made in torch.inference_mode() cannot be changed in place outside of it.
        x = namespace(self._x).asarray(self._x, copy=True)
        x[rows] = self.dynamics.to_device(states)
        self._x = x
        if self._trails is not None:
            self._trails.restart(self._numpy(x), rows)
        if self._truth_beside is not None:
            self._truth_beside.restart(states if truths is None else truths, rows)

    def _begin(self, rows: Array, observations: Array, told: dict[str, Array]) -> None:
        """Starts episodes in ``rows``, and says so in observations and in what is told of a step."""
        self._restart(rows)
        observations[rows], begun = self._look(rows)
        for name, values in begun.items():
            told[name][rows] = values

    def _look(self, rows: Array) -> tuple[Array, dict[str, Array]]:
        """Observations of the present states of some rows, and what is told of states that no step led to."""
        x, nowhere = self._current()[rows], np.zeros(len(rows), dtype=np.bool_)
        observations, energy = self._simulation.look(x)
        doubt = self._simulation.doubt(x)
        flags = () if doubt is None or doubt.untrusted is None else (self._numpy(doubt.untrusted),)
        return observations, self._named(energy, nowhere, nowhere, doubt, *flags)

    def _named(
        self, energy: Array, outside: Array, diverged: Array, doubt: Doubt | None, untrusted: Array | None = None
    ) -> dict[str, Array]:
        """What there is to tell, by name."""
        spread = None if doubt is None else doubt.spread
        return named(self._simulation.energy_name, energy, outside, diverged, spread, untrusted)

    def _report(self, observations: Array, told: dict[str, Array]) -> dict[str, Any]:
        """The infos after a step; SAME_STEP resets what ended, in the observations too, and reports its end apart."""
        if self.autoreset_mode != AutoresetMode.SAME_STEP or not self._ended.any():
            return self._infos(told)
        ended, rows = self._ended.copy(), np.flatnonzero(self._ended)
        final_obs = np.full(self.num_envs, None, dtype=object)
        for row, seen in zip(rows, self._out(observations[rows]), strict=True):
            final_obs[row] = seen
        final_info = self._infos(told, ended)
        self._begin(rows, observations, told)
        final = {"final_obs": final_obs, "_final_obs": ended, "final_info": final_info, "_final_info": ended.copy()}
        return final | self._infos(told)

    def _infos(self, told: dict[str, Array], present: Array | None = None) -> dict[str, Any]:
        """Infos in SyncVectorEnv's layout, of all rows or of those that are present."""
        return {name: self._out(value) for name, value in laid_out(told, self.num_envs, present).items()}

    def _out(self, values: Array) -> Array:
        """Values in the form that the user asked for."""
        if self.output == "numpy":
            return self._numpy(values)
        import torch

        return torch.as_tensor(values, device=self.dynamics.device or "cpu")

    @staticmethod
    def _numpy(values: Array) -> Array:
        return values if isinstance(values, np.ndarray) else values.cpu().numpy()

    def _row_seeds(self, seed: Any, rows: Array) -> list[tuple[int, Any]]:
        """The seed of each row that is reset; Gymnasium checks what it is."""
        if seed is None:
            return []
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + row for row in range(self.num_envs)]
        if not isinstance(seed, list | tuple | np.ndarray) or len(seed) != self.num_envs:
            raise InvalidOptionError(f"seed must be an integer or {self.num_envs} of them, not {seed!r}")
        return [(row, int(seed[row]) if isinstance(seed[row], np.integer) else seed[row]) for row in rows.tolist()]

    def _checked_mask(self, mask: Any) -> Array:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        if not (isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == (self.num_envs,)):
            raise InvalidOptionError(f"reset_mask must be a NumPy array of {self.num_envs} booleans, not {mask!r}")
        if not mask.any():
            raise InvalidOptionError("reset_mask must choose at least one environment")
        if self._x is None and not mask.all():
            raise ResetNeededError("the first reset must be of all environments; reset_mask leaves some out")
        return mask

    def _time_limit(self, steps: int | None) -> int | None:
        if steps is None:
            return self.task.max_episode_steps
        return None if steps == -1 else _positive("max_episode_steps", steps)


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise InvalidOptionError(f"{name} must be a positive integer, not {value!r}")
    return int(value)


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        allowed = ", ".join(repr(each.value) for each in AutoresetMode)
        raise InvalidOptionError(f"autoreset_mode must be one of {allowed}, not {mode!r}") from error
