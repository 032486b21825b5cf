"""One environment: Gymnasium's Env around a task and a physics. There is no physics in here."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.envs.simulation import Doubt, NoStateError, Simulation, check_choice, check_options
from hnn_envs.envs.specification import Specified
from hnn_envs.envs.sub_environment import Trails
from hnn_envs.tasks import Task

FLAGS = (np.float64(0.0), np.float64(1.0))
"""False and True in an info. All of its values have a dtype: TorchRL takes no other."""


class PhysicsEnv(Specified, gymnasium.Env[Array, Array]):
    """A task under true or learned physics.

    ## Description

    One of the tasks of ``hnn_envs.tasks``, whose pages describe observation, reward, start and end. The task does not
    depend on the physics that steps it, so agents and trajectories can be compared between the two.

    ``gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0", dynamics="hnn")`` makes one, as does the id
    "hnn_envs:hnn_envs/PendulumHNN-v0" without a keyword. Its ``spec`` names a checkpoint's file by its absolute path.
    Before the first reset there is no ``state`` and no ``believed_energy``: ``hasattr`` is False for both.

    ## Action space

    ``Box(-1, 1, (actions,), float32)``, scaled to physical inputs by the task, which may drive some of them only.
    Finite actions beyond the box are clipped to it; an action of the wrong shape, or one that is not finite, raises
    InvalidActionError and changes nothing.

    ## Observation space

    The task's: numbers in float32, or frames in uint8. No observation is ever NaN.

    ## End

    Terminated where the task says so. Truncated where the state leaves the task's limits, with
    ``info["out_of_domain"] = 1.0``; where the physics diverged, the state stays the last finite one and
    ``info["diverged"] = 1.0`` too. With ``trust``, truncated where the spread of a step is larger, with
    ``info["untrusted"] = 1.0``. ``gymnasium.make`` adds the time limit.

    ## Info

    ``energy`` (the true energy H of the state), ``out_of_domain`` and ``diverged``, all np.float64, which are floats.
    Where the true energy is not known, there is ``learned_energy`` in its place, if the physics has learned one.
    Where a checkpoint has an ensemble, there is ``spread``: how far its members were from the model after the step, as
    a share of the domain's width (``Dynamics.spread``), and at a reset how far they would be after a free step. With
    ``trust``, there is ``untrusted``, which is 1.0 after a step whose spread was larger.

    ## Reset

    ``reset(options={"state": x0})`` starts at a given state, shape (2*dof,), which must be inside the task's limits.

    Args:
        task: a task, its name, such as "pendulum", or "module:object".
        dynamics: "ode" (the true equations), "hnn" or "baseline" (the shipped default checkpoints), the name of
            another shipped checkpoint such as "paper/hnn", or the path of a .safetensors file.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``; the default suits the physics.
        dt: time per step; the task's by default.
        substeps: integrator steps per step; by default enough for "ode" to keep to 1e-9 of the exact flow.
        render_mode: None, "human" (a window) or "rgb_array" (frames; opens no window).
        device: None or "cpu", or a CUDA device for the physics.
        dtype: precision of a learned network, "float64" (default) or "float32".
        image_size: for tasks that are seen through frames, their width and height: 28 (default) or 64 pixels.
        channels: for these tasks, "first" (default; shape (2, size, size), as torch wants images) or "last".
        render_truth: for these tasks, whether drawings show the true system beside what is stepped: it starts where
            the episode truly begins, and is moved by the same actions.
        trust: the largest spread of a step, for checkpoints with an ensemble; None for any.

    Raises:
        HnnEnvsError: an argument that cannot be used; the message says what is allowed.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 30}  # noqa: RUF012 - Gymnasium's

    def __init__(
        self,
        task: str | Task,
        dynamics: str = "ode",
        *,
        integrator: str | None = None,
        dt: float | None = None,
        substeps: int | None = None,
        render_mode: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        image_size: int | None = None,
        channels: str | None = None,
        render_truth: bool = False,
        trust: float | None = None,
    ) -> None:
        check_choice("render_mode", render_mode, (None, *PhysicsEnv.metadata["render_modes"]))
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
        self.action_space = self._simulation.action_space
        self.observation_space = self._simulation.observation_space
        self.render_mode = render_mode
        self.metadata = PhysicsEnv.metadata | {"render_fps": self._simulation.render_fps}
        self._action_shape = (self._simulation.actuation.actions,)
        self._energy_name = self._simulation.energy_name
        self._x: Array | None = None
        self._elapsed = 0
        self._trails = None if render_mode is None else Trails(1, self._simulation.actuation.inputs)
        self._truth_beside = None if render_mode is None else self._simulation.ground_truth(1)
        self._window: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(task={self.task.name!r}, dynamics={self.dynamics.name!r})"

    def __str__(self) -> str:
        """The same in brackets, as Gymnasium's wrappers put them around what they wrap."""
        return f"<{self!r}>"

    @property
    def state(self) -> Array:
        """The state, shape (2*dof,): reading gives a copy, setting checks it and starts a new trail.

        Raises:
            NoStateError: there was no reset yet.
        """
        return np.array(self.dynamics.to_numpy(self._current()))

    @state.setter
    def state(self, value: Any) -> None:
        self._start(self._simulation.checked_state(value))

    @property
    def believed_energy(self) -> float:
        """The energy that the stepping physics assigns to the state; the true one for "ode" and "baseline"."""
        return float(self.dynamics.energy(self._current()))

    def inputs_of(self, action: Array) -> Array:
        """The inputs u in physical units that an action stands for, shape (inputs,).

        Raises:
            InvalidActionError: an action of the wrong shape, or not finite.
        """
        return self.dynamics.to_numpy(self._simulation.control(action, self._action_shape))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Starts an episode, at ``options["state"]`` where that is given.

        Raises:
            InvalidStateError: a state that the task does not allow.
            InvalidOptionError: another option.
        """
        given = check_options(options, ("state",))
        state = self._simulation.checked_state(given["state"]) if "state" in given else None
        if self.render_mode == "human":
            self._open_window()
        super().reset(seed=seed)
        if state is None:
            states, truths = self._simulation.starts([self.np_random])
            self._start(states[0], truths[0])
        else:
            self._start(state)
        self._elapsed = 0
        if self.render_mode == "human":
            self.render()
        observation, energy = self._simulation.look(self._current())
        info = self._info(energy, False, False)
        doubt = self._simulation.doubt(self._current())
        if doubt is not None:
            _tell(info, doubt)
        return self.dynamics.to_numpy(observation), info

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Advances the physics by ``dt`` under an action.

        Raises:
            InvalidActionError: an action of the wrong shape, or not finite; nothing has changed then.
            ResetNeededError: there was no reset yet.
        """
        x = self._current()
        u = self._simulation.control(action, self._action_shape)
        outcome, doubt = self._simulation.advance(x, u)
        self._x, observation, reward, energy, terminated, outside, diverged = outcome
        self._elapsed += 1
        if self._trails is not None:
            self._record(self._trails, u)
        ended, left = bool(terminated), bool(outside)
        info = self._info(energy, left, bool(diverged))
        lost = doubt is not None and _tell(info, doubt)
        return self.dynamics.to_numpy(observation), float(reward), ended, (left or lost) and not ended, info

    def render(self) -> Array | None:
        """A frame, uint8, shape (height, width, 3), or None where a window shows it or nothing is drawn."""
        if self._trails is None:
            gymnasium.logger.warn("render() does nothing without a render_mode; give one to gymnasium.make")
            return None
        state = self.state
        if self.render_mode == "human":
            self._open_window()
            if self._window.closed:  # by the user, who is done looking
                return None
        from hnn_envs.drawing.canvas import draw_frame

        truth = None if self._truth_beside is None else self._truth_beside.states[0]
        frame = draw_frame(self.task, self._simulation.view(state, *self._trails.of(0), self._elapsed, truth))
        if self.render_mode == "rgb_array":
            return frame
        self._window.show(frame)
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the window, which cannot be copied or sent to another process."""
        return self.__dict__ | {"_window": None}

    def _info(self, energy: Any, outside: bool, diverged: bool) -> dict[str, Any]:
        info = {"out_of_domain": FLAGS[outside], "diverged": FLAGS[diverged]}
        if self._energy_name is not None:
            info[self._energy_name] = np.float64(float(energy))
        return info

    def _current(self) -> Array:
        if self._x is None:
            raise NoStateError("call reset() first: the environment has no state yet")
        return self._x

    def _start(self, state: Array, truth: Array | None = None) -> None:
        self._x = self.dynamics.to_device(state)
        row = np.zeros(1, dtype=np.int64)
        if self._trails is not None:
            self._trails.restart(state[None], row)
        if self._truth_beside is not None:
            self._truth_beside.restart(state if truth is None else truth, row)

    def _record(self, trails: Trails, u: Array) -> None:
        """Keeps what drawings show; only environments with a render mode do."""
        held = self.dynamics.to_numpy(u)[None]
        trails.record(self.state[None], self._simulation.actuation.to_shares(held))
        if self._truth_beside is not None:
            self._truth_beside.step(held)
        if self.render_mode == "human":
            self.render()

    def _open_window(self) -> None:
        if self._window is None:
            from hnn_envs.drawing.window import Window

            self._window = Window(self._simulation.render_fps, title=f"hnn_envs: {self.task.name}")


def _tell(info: dict[str, Any], doubt: Doubt) -> bool:
    """Adds to an info how far a step is to be trusted, and returns whether that is too little."""
    info["spread"] = np.float64(float(doubt.spread))
    if doubt.untrusted is None:
        return False
    info["untrusted"] = FLAGS[bool(doubt.untrusted)]
    return bool(doubt.untrusted)


def make_limited(task: str, **options: Any) -> gymnasium.Env[Array, Array]:
    """An environment of any task with the task's own time limit: what ``hnn_envs:hnn_envs/Task-v0`` makes.

    Args:
        task: name of the task, or "module:object".
        **options: as for ``PhysicsEnv``.
    """
    return limited(PhysicsEnv(task, **options))


def limited(env: PhysicsEnv) -> gymnasium.Env[Array, Array]:
    """An environment with its task's own time limit."""
    return gymnasium.wrappers.TimeLimit(env, env.task.max_episode_steps)
