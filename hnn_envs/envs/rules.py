"""What a step amounts to under a task's rules: for torch and for tasks of users' own by array code, else compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from hnn_envs.arrays import Array, namespace
from hnn_envs.observation import ObservationModel
from hnn_envs.systems import known_truth, spec_of
from hnn_envs.tasks import ObservedTask, Task
from hnn_envs.tasks.mass_spring import MassSpringTask
from hnn_envs.tasks.pendulum import PendulumTask
from hnn_envs.tasks.real_pendulum import RealPendulumTask
from hnn_envs.tasks.three_body import ThreeBodyTask
from hnn_envs.tasks.two_body import TwoBodyTask

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


class Referee(Protocol):
    """Judges steps by a task's rules."""

    def judge(self, x: Array, u: Array, x_next: Array) -> Outcome:
        """What the step from x to x_next under u amounts to; a state that diverged is replaced by the last one.

        The outcome may take over the memory of x_next.
        """
        ...

    def look(self, x: Array) -> tuple[Array, Array]:
        """Observation and true energy of states."""
        ...


def make_referee(task: Task, device: str | None, observation_model: ObservationModel | None = None) -> Referee:
    """The fastest referee of a task for arrays on a device; None is NumPy on the CPU."""
    if device is None and type(task) in _NUMBERS:
        return CompiledReferee(task)
    return ArrayReferee(task, observation_model)


@dataclass(frozen=True)
class ArrayReferee:
    """The definition: the functions of the task, for NumPy and torch.

    Attributes:
        task: whose rules these are.
        observation_model: what shows the states of a task that is seen through frames; None for the task's own.
    """

    task: Task
    observation_model: ObservationModel | None = None

    def judge(self, x: Array, u: Array, x_next: Array) -> Outcome:
        """See ``Referee``."""
        task = self.task
        with np.errstate(all="ignore"):
            settled, outside, diverged = _settled(task, x, x_next)
            observation, energy = self.look(settled)
            if self._observed is None:
                # A diverged state goes into the reward as it is: it is outside, and that has its price.
                reward = task.reward(x, u, x_next)
            else:  # paid by what is seen, which is drawn once for both
                reward = self._observed.reward_of_observation(observation, u, namespace(x).logical_not(outside))
        return Outcome(settled, observation, reward, energy, task.terminated(settled), outside, diverged)

    def look(self, x: Array) -> tuple[Array, Array]:
        """See ``Referee``."""
        model = self.observation_model
        seen = self.task.observation(x) if model is None else model.observe(x)
        return seen, known_truth(self.task.system).value(x)

    @cached_property
    def _observed(self) -> ObservedTask | None:
        return self.task if isinstance(self.task, ObservedTask) else None


def _settled(task: Task, x: Array, x_next: Array) -> tuple[Array, Array, Array]:
    """The next states, the last ones where they diverged; whether they are outside the limits, and whether diverged."""
    xp = namespace(x_next)
    outside = xp.logical_not(task.inside(x_next))
    if not outside.any():
        return x_next, outside, outside
    diverged = outside & ~xp.all(xp.abs(x_next) < LARGEST, axis=-1)
    return xp.where(diverged[..., None], x, x_next), outside, diverged


_BODIES = ("system.coupling", "system.inverse_mass", "smallest_separation")
_NUMBERS: dict[type, tuple[str, ...]] = {
    MassSpringTask: ("system.stiffness", "system.inverse_mass", "input_cost", "exit_cost"),
    PendulumTask: (
        *("system.gravity", "system.inverse_mass", "velocity_unit", "torque_unit"),
        *("velocity_cost", "torque_cost", "exit_cost"),
    ),
    RealPendulumTask: ("system.gravity", "system.inverse_mass", "target_energy", "effort_cost", "max_input"),
    TwoBodyTask: (
        *_BODIES,
        *("largest_separation", "target_separation", "target_velocity", "separation_scale", "velocity_scale"),
        *("effort_cost", "max_input"),
    ),
    ThreeBodyTask: (*_BODIES, "largest_distance", "effort_cost", "max_input"),
}
"""The tasks that ``hnn_envs.kernels.tasks`` knows, in its order, and the numbers that it wants."""


@cache
def _rules() -> Callable[..., None]:
    """The compiled function; an import statement costs as much as the rules of one state, even the second time."""
    from hnn_envs.kernels.tasks import judge

    return judge  # type: ignore[no-any-return]


class CompiledReferee:
    """The same, compiled, for NumPy: one call a step. Machine code is made at the first call, or read from disk."""

    def __init__(self, task: Task) -> None:
        self._kind = list(_NUMBERS).index(type(task))
        numbers = attrgetter(*_NUMBERS[type(task)])(task)
        bounds = (task.low, task.high, task.observation_low, task.observation_high)
        self._constants = np.concatenate(([LARGEST], *bounds, numbers), dtype=np.float64)
        self._features = len(task.observation_low)
        self._rest = np.zeros(spec_of(task.system).force_matrix.shape[-1])

    def judge(self, x: Array, u: Array, x_next: Array) -> Outcome:
        """See ``Referee``."""
        if x.ndim == 1:
            seen, report = np.empty(self._features, np.float32), np.empty(5)
            _rules()(self._kind, 1, x, u, x_next, self._constants, seen, report)
            return Outcome(x_next, seen, *report.tolist())
        rows = len(x)
        seen, report = np.empty((rows, self._features), np.float32), np.empty((5, rows))
        _rules()(
            self._kind,
            rows,
            *(a.reshape(-1) for a in (x, u, x_next)),
            self._constants,
            seen.reshape(-1),
            report.reshape(-1),
        )
        return Outcome(x_next, seen, report[0], report[1], *(report[2:] != 0))

    def look(self, x: Array) -> tuple[Array, Array]:
        """See ``Referee``."""
        outcome: Any = self.judge(x, np.broadcast_to(self._rest, (*x.shape[:-1], self._rest.size)).copy(), x.copy())
        return outcome.observation, outcome.energy
