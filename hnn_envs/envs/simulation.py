"""What the single and the batched environment share: one task, one physics, the rules between them, and all checks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from hnn_envs.arrays import Array, namespace
from hnn_envs.checkpoints import Domain
from hnn_envs.drawing.colors import colour_of
from hnn_envs.drawing.view import View
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.envs.rules import LARGEST, Outcome, make_rules
from hnn_envs.errors import HnnEnvsError, InvalidActionError, InvalidOptionError, InvalidStateError
from hnn_envs.systems import spec_of
from hnn_envs.tasks import ObservedTask, Task, resolve_task
from hnn_envs.tasks.actuation import actuation_of

TRAIL = 120
"""How many past states a drawing shows."""
CHANNELS = ("first", "last")
"""Where the axis of the channels of frames may be."""


class ResetNeededError(HnnEnvsError, gymnasium.error.ResetNeeded):
    """The environment was used before its first reset, or after the end of an episode that nothing resets."""


class NoStateError(ResetNeededError, AttributeError):
    """The state was asked for before the first reset: ``hasattr`` and ``inspect`` see that it is not there yet."""


class Doubt(NamedTuple):
    """How far a step is to be trusted.

    Attributes:
        spread: of the step, shape (...,).
        untrusted: whether it is larger than is trusted, bool, shape (...,); None where there is no limit.
    """

    spread: Array
    untrusted: Array | None


class Simulation:
    """A task under a physics, as functions of states (2*dof,) or (n, 2*dof).

    Arrays are where the physics computes: NumPy, or torch tensors on its device. Only ``control`` and the initial
    states bring values in, and only the shells take values out.
    """

    def __init__(
        self,
        task: str | Task,
        dynamics: str = "ode",
        *,
        integrator: str | None = None,
        dt: float | None = None,
        substeps: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        image_size: int | None = None,
        channels: str | None = None,
        render_truth: bool = False,
        trust: float | None = None,
    ) -> None:
        asked = _asked(resolve_task(task), image_size, render_truth, channels)
        chosen = asked.checkpoint_for(dynamics) if isinstance(asked, ObservedTask) else dynamics
        self.task, self.spec = asked, spec_of(asked.system)
        steps: dict[str, Any] = {"integrator": integrator, "dt": asked.dt if dt is None else dt, "substeps": substeps}
        self.dynamics = replace(make_dynamics(asked.system, chosen, device=device, dtype=dtype, **steps), name=dynamics)
        own = self.dynamics.observation_model if isinstance(asked, ObservedTask) else None
        if own is not None and isinstance(asked, ObservedTask):
            asked.check_observation_model(own, dynamics)
        self._has_spread, self._trust = self.dynamics.has_spread, checked_trust(trust, self.dynamics)
        self._truth = make_dynamics(asked.system, "ode", **steps) if render_truth else None
        self.actuation = actuation_of(asked)
        if not self.actuation.actions:
            raise InvalidOptionError(f"{self.spec.name!r} has no inputs, so there is nothing that an agent could do")
        self.action_space = spaces.Box(-1.0, 1.0, (self.actuation.actions,), np.float32)
        self._channels_last = channels == "last"
        low, high = (self._arranged(bound) for bound in (self.task.observation_low, self.task.observation_high))
        self.observation_space = spaces.Box(low, high, dtype=low.dtype.type)
        energy = None if self.dynamics.hamiltonian is None else self.dynamics.energy
        self._rules = make_rules(self.task, self.dynamics.device, energy=energy, observation_model=own)
        if self.dynamics.card is not None:
            self._warn_where_untrained(self.dynamics.card.domain)

    @property
    def energy_name(self) -> str | None:
        """What the energy in an info is called: the true one where it is known, else the learned one, else None."""
        if self.dynamics.truth is not None:
            return "energy"
        return "learned_energy" if self.dynamics.hamiltonian is not None else None

    @property
    def render_fps(self) -> int:
        """Frames per second at which a drawing runs in real time."""
        return max(1, round(1 / self.dynamics.dt))

    def control(self, action: Any, shape: tuple[int, ...], ignored: Array | None = None) -> Array:
        """Turns actions into physical inputs; finite actions beyond [-1, 1] are clipped, as their box says.

        Args:
            action: the actions.
            shape: the shape that they must have.
            ignored: rows of a batch whose action does not matter, since they are reset.

        Raises:
            InvalidActionError: actions of another shape, or not finite.
        """
        if hasattr(action, "detach"):
            if self.dynamics.device is not None:
                return self._control_there(action.detach(), shape, ignored)
            action = action.detach().cpu()
        try:
            values = np.asarray(action, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidActionError(f"an action is an array of {shape} numbers, not {action!r}") from error
        if values.shape != shape:
            raise InvalidActionError(f"an action has shape {shape}, not {values.shape}")
        if not _in_box(values):
            values = _clipped(values, ignored)
        return self.dynamics.to_device(self.actuation.to_inputs(values))

    def _control_there(self, action: Any, shape: tuple[int, ...], ignored: Array | None) -> Array:
        """The same for tensors, without leaving the device."""
        import torch

        values = action.to(self.dynamics.device, torch.float64)
        if values.shape != shape:
            raise InvalidActionError(f"an action has shape {shape}, not {tuple(values.shape)}")
        finite = torch.isfinite(values)
        if ignored is not None:
            there = torch.as_tensor(ignored, device=values.device)[:, None]
            finite, values = finite | there, torch.where(there, 0.0, values)
        if not finite.all():
            raise InvalidActionError(f"an action must be finite, within [-1, 1]; {_excerpt(values.cpu())} was given")
        return self.actuation.to_inputs(values.clamp(-1.0, 1.0))

    def advance(self, x: Array, u: Array) -> tuple[Outcome, Doubt | None]:
        """One step. A state that diverged is replaced by the last one, so that nothing downstream ever sees a NaN."""
        x_next = self.dynamics.step(x, u)
        # Before the rules, which may take over the memory of the next state.
        doubt = self.doubt(x, u, x_next) if self._has_spread else None
        outcome = self._rules.outcome(x, u, x_next)
        if self._channels_last:
            outcome = outcome._replace(observation=self._arranged(outcome.observation))
        return outcome, doubt

    def doubt(self, x: Array, u: Array | None = None, x_next: Array | None = None) -> Doubt | None:
        """How far a step is to be trusted; None where nothing tells that.

        Without inputs it is a free step that none has taken yet: its spread is told, and nothing is ended for it.
        """
        if not self._has_spread:
            return None
        spread = self.dynamics.spread(x, u, x_next)
        if self._trust is None:
            return Doubt(spread, None)
        return Doubt(spread, (namespace(x).zeros_like(spread) if u is None else spread) > self._trust)

    def look(self, x: Array) -> tuple[Array, Array]:
        """Observation and energy of states."""
        observation, energy = self._rules.start(x)
        return self._arranged(observation), energy

    def _arranged(self, observation: Array) -> Array:
        """Frames as the user asked for them: the axis of the channels first or last."""
        return namespace(observation).moveaxis(observation, -3, -1) if self._channels_last else observation

    def starts(self, generators: Sequence[np.random.Generator]) -> tuple[Array, Array]:
        """Where the physics starts, one state per generator, and where episodes truly begin.

        Both are NumPy, shape (len(generators), 2*dof). They are the same, but for physics with an observation model of
        its own, which estimates its start from what the true one looks like.
        """
        true = np.stack([self.task.initial_state(generator) for generator in generators])
        model = self.dynamics.observation_model
        if model is None or not isinstance(self.task, ObservedTask):
            return true, true
        estimated = model.estimate(self.task.observation_model.observe(true))
        return np.clip(estimated, self.task.low, self.task.high), true

    def ground_truth(self, num_envs: int) -> GroundTruth | None:
        """The true systems that are drawn beside the physics, if that is asked for."""
        return None if self._truth is None else GroundTruth(self._truth, num_envs)

    def checked_state(self, state: Any, rows: int | None = None) -> Array:
        """A copy of a user's state, or of ``rows`` of them, which one state stands for too.

        Raises:
            InvalidStateError: a state of another shape, not finite, outside the task's limits, or an episode's end.
        """
        size = 2 * self.spec.dof
        allowed: tuple[tuple[int, ...], ...] = ((size,),) if rows is None else ((size,), (rows, size))
        try:
            x = np.array(state, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidStateError(f"a state is an array of {size} numbers, not {state!r}") from error
        if x.shape not in allowed:
            raise InvalidStateError(
                f"a state of {self.task.name!r} has shape {' or '.join(map(str, allowed))}, not {x.shape}"
            )
        if not (np.abs(x) < LARGEST).all():
            raise InvalidStateError(f"a state must be finite (and below {LARGEST:g}); {_excerpt(x)} was given")
        if not np.all(self.task.inside(x)):
            raise InvalidStateError(
                f"state {_excerpt(x)} is outside the limits of {self.task.name!r}: "
                f"low {_excerpt(self.task.low)}, high {_excerpt(self.task.high)}, and what its task page adds"
            )
        if np.any(self.task.terminated(x)):
            raise InvalidStateError(f"state {_excerpt(x)} ends an episode of {self.task.name!r}: none can start there")
        return x if rows is None else np.array(np.broadcast_to(x, (rows, size)))

    def view(self, state: Array, trail: Array, action: Array, elapsed: int, truth: Array | None = None) -> View:
        """What a drawing shows of one environment; all arrays NumPy."""
        made = self.dynamics
        energy = made.reported_energy(state)
        believed = math.nan if made.hamiltonian is None else float(made.energy(made.to_device(state)))
        return View(
            state=state,
            trail=trail,
            action=action,
            energy=math.nan if energy is None else float(energy),
            believed_energy=believed,
            dynamics=made.name,
            time=elapsed * made.dt,
            colour=colour_of(made.role),
            truth=truth,
            observation_model=self.dynamics.observation_model,
        )

    def _warn_where_untrained(self, domain: Domain) -> None:
        """Warns where the task's limits go beyond the states that a checkpoint was trained on."""
        task, slack = self.task, 1e-6
        angles = np.array((*self.spec.angles, *(False,) * self.spec.dof))
        full_circle = angles & (domain.width >= 2 * np.pi - slack)
        covered = (np.subtract(domain.low, slack) <= task.low) & (np.add(domain.high, slack) >= task.high)
        if not (covered | full_circle).all():
            gymnasium.logger.warn(
                "%s",
                f"dynamics {self.dynamics.name!r} was trained on states from {_excerpt(domain.low)} to "
                f"{_excerpt(domain.high)}, and task {task.name!r} goes from {_excerpt(task.low)} to "
                f"{_excerpt(task.high)}: it extrapolates beyond",
            )


class GroundTruth:
    """The true systems of a batch: started where episodes truly begin, and moved by the same inputs.

    Args:
        dynamics: the ODE, on the CPU.
        num_envs: how many there are.
    """

    def __init__(self, dynamics: Dynamics, num_envs: int) -> None:
        self._dynamics = dynamics
        self.states = np.zeros((num_envs, 2 * dynamics.spec.dof))

    def restart(self, states: Array, rows: Array) -> None:
        """Starts some of them anew, at states (rows, 2*dof)."""
        self.states[rows] = states

    def step(self, u: Array) -> None:
        """Moves all of them by one step under inputs (num_envs, inputs)."""
        self.states = self._dynamics.step(self.states, u)


def _asked(task: Task, image_size: Any, render_truth: Any, channels: Any) -> Task:
    """The task with frames of the size that was asked for.

    Raises:
        InvalidOptionError: an option of tasks that are seen through frames is out of range, or the task is not one.
    """
    if render_truth not in (False, True):
        raise InvalidOptionError(f"render_truth must be True or False, not {render_truth!r}")
    if isinstance(task, ObservedTask):
        check_choice("channels", channels, (None, *CHANNELS))
        return task if image_size is None else task.with_image_size(image_size)
    for name, value in (("image_size", image_size), ("channels", channels), ("render_truth", render_truth or None)):
        if value is not None:
            raise InvalidOptionError(f"{name} is for tasks that are seen through frames; {task.name!r} is not")
    return task


def checked_trust(trust: Any, dynamics: Dynamics) -> float | None:
    """The largest spread that is trusted.

    Raises:
        InvalidOptionError: no positive number, or the physics has no spread.
    """
    if trust is None:
        return None
    if not (isinstance(trust, int | float | np.number) and not isinstance(trust, bool) and 0 < trust < math.inf):
        raise InvalidOptionError(f"trust must be a positive number, the largest spread, not {trust!r}")
    if not dynamics.has_spread:
        raise InvalidOptionError(
            f"trust is for checkpoints with an ensemble, and dynamics {dynamics.name!r} has none; leave it out"
        )
    return float(trust)


def check_choice(name: str, given: object, allowed: Sequence[str | None]) -> None:
    """Checks an argument that is one of a few words.

    Raises:
        InvalidOptionError: it is another.
    """
    if given not in allowed:
        raise InvalidOptionError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {given!r}")


def check_options(options: Any, allowed: Sequence[str]) -> Mapping[str, Any]:
    """The options of a reset, {} for None.

    Raises:
        InvalidOptionError: something else than a mapping, or a key that no reset knows.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise InvalidOptionError(f"options must be a dictionary, not {options!r}")
    unknown = [key for key in options if key not in allowed]
    if unknown:
        raise InvalidOptionError(f"unknown reset option {unknown[0]!r}; allowed: {', '.join(allowed)}")
    return options


def _in_box(values: Array) -> bool:
    """Whether all actions are in [-1, 1]; False for NaN."""
    if values.ndim == 1:  # One action, as Python floats: a fifth of the time of array functions
        return all(-1.0 <= value <= 1.0 for value in values.tolist())
    return bool((np.abs(values) <= 1.0).all())


def _clipped(values: Array, ignored: Array | None) -> Array:
    finite = np.isfinite(values)
    if not finite.all():
        if ignored is None or not finite[~ignored].all():
            raise InvalidActionError(f"an action must be finite, within [-1, 1]; {_excerpt(values)} was given")
        values = np.where(ignored[:, None], 0.0, values)
    return np.clip(values, -1.0, 1.0)


def _excerpt(values: Any) -> str:
    """Numbers for an error message, cut where there are many."""
    return np.array2string(np.asarray(values), precision=4, threshold=24, edgeitems=2).replace("\n", "")
