"""A task's rules as formulas of components, and the functions of arrays that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from hnn_envs.arithmetic import never
from hnn_envs.arrays import Array
from hnn_envs.components import Components, Formula, components, stated
from hnn_envs.systems import Known, known_truth
from hnn_envs.tasks.shared import observe, within


class TaskFormulas(NamedTuple):
    """The rules of a task as formulas of components; see ``hnn_envs.arithmetic`` for what they may say.

    In machine code the task is a named tuple of its constants, with those of its system under ``system``: the floats
    among its fields, and its cached properties that return a float.

    Attributes:
        observation: (task, x) -> what the agent observes, a tuple; it is clipped to its bounds.
        reward: (task, step) -> the reward of a ``Step``.
        inside: (task, x) -> whether a state that is within ``low`` and ``high`` is within the limits; None for always.
        terminated: (task, x) -> whether a state ends the episode for good; None for never.
    """

    observation: Formula
    reward: Formula
    inside: Formula | None = None
    terminated: Formula | None = None


@dataclass(frozen=True)
class ArrayStep:
    """What ``hnn_envs.components.Step`` is, for arrays; the energy is computed where a reward asks for it."""

    system: Known
    state: Array
    x: Components
    u: Components
    x_next: Components
    inside: Array

    @cached_property
    def energy(self) -> Array:
        """The true energy after the step."""
        return known_truth(self.system).value(self.state)


RULES = ("observation", "reward", "inside", "terminated")
"""The methods of a task that its formulas stand for."""


class FormulaTask:
    """A task whose rules are stated as ``formulas``: for arrays here, for machine code in ``hnn_envs.kernels.rules``.

    A subclass is a ``hnn_envs.tasks.Task`` and has its attributes. Where it overrides a rule by a function of arrays,
    that one runs, and nothing is compiled.
    """

    formulas: ClassVar[TaskFormulas]

    system: Any
    low: Any
    high: Any
    observation_low: Any
    observation_high: Any

    def observation(self, x: Array) -> Array:
        """What the agent observes, float32, shape (..., observations)."""
        return observe(self.formulas.observation(self, components(x)), self.observation_low, self.observation_high)

    def reward(self, x: Array, u: Array, x_next: Array) -> Array:
        """Reward of moving from x to x_next under the physical input u, shape (...,)."""
        inside = self.inside(x_next)
        step = ArrayStep(self.system, x_next, components(x), components(u), components(x_next), inside)
        return self.formulas.reward(self, step)

    def inside(self, x: Array) -> Array:
        """Whether states are within the limits, shape (...,)."""
        in_box, formula = within(x, self.low, self.high), self.formulas.inside
        return in_box if formula is None else in_box & formula(self, components(x))

    def terminated(self, x: Array) -> Array:
        """Whether states end the episode for good, shape (...,)."""
        formula = self.formulas.terminated
        return never(x[..., 0]) if formula is None else formula(self, components(x))


def task_formulas(task: Any) -> TaskFormulas | None:
    """The formulas of a task's rules, if it is stated in formulas."""
    formulas: TaskFormulas | None = stated(task, "formulas", RULES)
    return formulas
