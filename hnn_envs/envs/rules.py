"""What a step amounts to under a task's rules: compiled where these are stated as formulas, else by array code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from hnn_envs.arrays import Array, namespace
from hnn_envs.components import compiles, constants_of
from hnn_envs.hamiltonian import EnergyFormulas, energy_formulas
from hnn_envs.observation import ObservationModel
from hnn_envs.systems import spec_of, truth_of
from hnn_envs.tasks import ObservedTask, Task
from hnn_envs.tasks.formulas import TaskFormulas, task_formulas

LARGEST = 1e9
"""A state component of this size counts as diverged: squares and quartics of smaller ones cannot overflow."""


class Outcome(NamedTuple):
    """What one step leads to; every entry has the leading axes of the states."""

    state: Array
    observation: Array
    reward: Array
    energy: Array
    terminated: Array
    outside: Array
    diverged: Array


class Rules(Protocol):
    """The rules of a task, as functions of states (2*dof,) or (n, 2*dof)."""

    def outcome(self, x: Array, u: Array, x_next: Array) -> Outcome:
        """What the step from x to x_next under u amounts to; a state that diverged is replaced by the last one.

        The outcome may take over the memory of x_next.
        """
        ...

    def start(self, x: Array) -> tuple[Array, Array]:
        """Observation and energy of states that no step led to."""
        ...


Energy = Callable[[Array], Array]
"""States (..., 2*dof) -> their energy (...,)."""


def make_rules(
    task: Task,
    device: str | None = None,
    *,
    energy: Energy | None = None,
    observation_model: ObservationModel | None = None,
) -> Rules:
    """The fastest rules of a task.

    Args:
        task: the task.
        device: where arrays are; None is NumPy on the CPU.
        energy: what outcomes give as energy where the true one is not known; by default 0.
        observation_model: what shows the states of a task that is seen through frames; None for the task's own.
    """
    truth = truth_of(task.system)
    of_states = energy or _no_energy if truth is None else truth.value
    formulas = _compiled_formulas(task) if device is None and observation_model is None else None
    return ArrayRules(task, of_states, observation_model) if formulas is None else CompiledRules(task, formulas)


@dataclass(frozen=True)
class ArrayRules:
    """The functions of the task, for NumPy and torch.

    Attributes:
        task: whose rules these are.
        energy: of states.
        observation_model: what shows the states of a task that is seen through frames; None for the task's own.
    """

    task: Task
    energy: Energy
    observation_model: ObservationModel | None = None

    def outcome(self, x: Array, u: Array, x_next: Array) -> Outcome:
        """See ``Rules``."""
        task = self.task
        with np.errstate(all="ignore"):
            kept, outside, diverged = _replaced(task, x, x_next)
            observation, energy = self.start(kept)
            if self._observed is None:
                # A diverged state goes into the reward as it is: it is outside, and that has its price.
                reward = task.reward(x, u, x_next)
            else:  # computed from the observation, whose frames are drawn once for both
                reward = self._observed.reward_of_observation(observation, u, namespace(x).logical_not(outside))
        return Outcome(kept, observation, reward, energy, task.terminated(kept), outside, diverged)

    def start(self, x: Array) -> tuple[Array, Array]:
        """See ``Rules``."""
        model = self.observation_model
        return self.task.observation(x) if model is None else model.observe(x), self.energy(x)

    @cached_property
    def _observed(self) -> ObservedTask | None:
        return self.task if isinstance(self.task, ObservedTask) else None


def _no_energy(x: Array) -> Array:
    return namespace(x).zeros_like(x[..., 0])


def _replaced(task: Task, x: Array, x_next: Array) -> tuple[Array, Array, Array]:
    """The next states, the last ones where they diverged; whether they are outside the limits, and whether diverged."""
    xp = namespace(x_next)
    outside = xp.logical_not(task.inside(x_next))
    if not outside.any():
        return x_next, outside, outside
    diverged = outside & ~xp.all(xp.abs(x_next) < LARGEST, axis=-1)
    return xp.where(diverged[..., None], x, x_next), outside, diverged


def _compiled_formulas(task: Task) -> tuple[TaskFormulas, EnergyFormulas] | None:
    """The formulas of a task and of its system's energy; None where one of them is not stated in formulas."""
    rules, energy = task_formulas(task), energy_formulas(task.system)
    return None if rules is None or energy is None or not compiles() else (rules, energy)


class CompiledRules:
    """The same, compiled, for NumPy: one call a step. Machine code is made at the first call, or read from disk."""

    def __init__(self, task: Task, formulas: tuple[TaskFormulas, EnergyFormulas]) -> None:
        layout, constants = constants_of(task)
        constants = [float(getattr(task.system, "inverse_mass", 0.0)), *constants]
        bounds = (task.low, task.high, task.observation_low, task.observation_high)
        self._constants = np.concatenate((constants, *bounds), dtype=np.float64)
        self._features = len(task.observation_low)
        dof, inputs = spec_of(task.system).force_matrix.shape
        self._no_inputs = np.zeros(inputs)
        self._kernel = (formulas, layout, (dof, inputs, self._features, len(constants)))

    @cached_property
    def _compiled(self) -> Callable[..., None]:
        """The compiled function; the compiler is loaded when it is needed."""
        from hnn_envs.kernels.rules import RuleFormulas, Sizes, make_rules

        (rules, energy), layout, sizes = self._kernel
        made: Callable[..., None] = make_rules(RuleFormulas(*rules, *energy), layout, Sizes(*sizes), LARGEST)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the machine code, which each process makes or loads for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_compiled"}

    def outcome(self, x: Array, u: Array, x_next: Array) -> Outcome:
        """See ``Rules``."""
        if x.ndim == 1:
            observation, report = np.empty(self._features, np.float32), np.empty(5)
            self._compiled(1, x, u, x_next, self._constants, observation, report)
            return Outcome(x_next, observation, *report.tolist())
        rows = len(x)
        observations, report = np.empty((rows, self._features), np.float32), np.empty((5, rows))
        states = (x.reshape(-1), u.reshape(-1), x_next.reshape(-1))
        self._compiled(rows, *states, self._constants, observations.reshape(-1), report.reshape(-1))
        return Outcome(x_next, observations, report[0], report[1], *(report[2:] != 0))

    def start(self, x: Array) -> tuple[Array, Array]:
        """See ``Rules``."""
        inputs = np.broadcast_to(self._no_inputs, (*x.shape[:-1], self._no_inputs.size)).copy()
        outcome: Any = self.outcome(x, inputs, x.copy())
        return outcome.observation, outcome.energy
