"""How the actions of an agent become the physical inputs of a system, of which a task may drive some only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, constant, like
from hnn_envs.errors import InvalidOptionError
from hnn_envs.systems import spec_of
from hnn_envs.tasks.task import Task


@dataclass(frozen=True)
class Actuation:
    """Each action drives one input, u = size * action; inputs that none drives are 0.

    Attributes:
        size: of an input at action 1.
        inputs: number of the system's inputs.
        driven: which input each action drives, by index.

    Raises:
        InvalidOptionError: an input that the system does not have, or that two actions drive, or none at all.
    """

    size: float
    inputs: int
    driven: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.driven or len(set(self.driven)) < len(self.driven) or not set(self.driven) <= {*range(self.inputs)}:
            raise InvalidOptionError(
                f"driven must be different indices of the {self.inputs} inputs, at least one, not {self.driven!r}"
            )

    @property
    def actions(self) -> int:
        """The number of actions."""
        return len(self.driven)

    def to_inputs(self, actions: Array) -> Array:
        """The physical inputs (..., inputs) of actions (..., actions)."""
        if self._is_whole:
            return self.size * actions
        return actions @ like(self._matrix, actions)

    @cached_property
    def _is_whole(self) -> bool:
        return self.driven == (*range(self.inputs),)

    @cached_property
    def _matrix(self) -> Array:
        return constant(self.size * np.eye(self.inputs)[list(self.driven)])


def actuation_of(task: Task) -> Actuation:
    """How a task is actuated: ``task.driven`` says which inputs its actions drive, by default all in their order."""
    inputs = len(spec_of(task.system).inputs)
    driven: tuple[int, ...] = tuple(getattr(task, "driven", range(inputs)))
    return Actuation(task.max_input, inputs, driven)
