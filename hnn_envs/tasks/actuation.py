"""How the actions of an agent become the physical inputs of a system, of which a task may drive some only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, constant, like
from hnn_envs.checkpoints import Domain
from hnn_envs.errors import InvalidOptionError
from hnn_envs.systems import SystemSpec, spec_of
from hnn_envs.tasks.task import Task


@dataclass(frozen=True)
class Actuation:
    """Each action drives one input, u = size * action; inputs that none drives are 0.

    Attributes:
        size: of an input at action 1, or of each that is driven.
        inputs: number of the system's inputs.
        driven: which input each action drives, by index.

    Raises:
        InvalidOptionError: an input that the system does not have, or that two actions drive, or none at all of those
            that there are; or another number of sizes.
    """

    size: float | tuple[float, ...]
    inputs: int
    driven: tuple[int, ...]

    def __post_init__(self) -> None:
        none = not self.driven and self.inputs > 0
        if none or len(set(self.driven)) < len(self.driven) or not set(self.driven) <= {*range(self.inputs)}:
            raise InvalidOptionError(
                f"driven must be different indices of the {self.inputs} inputs, at least one, not {self.driven!r}"
            )
        if isinstance(self.size, tuple) and len(self.size) != len(self.driven):
            raise InvalidOptionError(
                f"{len(self.driven)} inputs are driven, which need as many sizes, not {self.size!r}"
            )

    @property
    def actions(self) -> int:
        """The number of actions."""
        return len(self.driven)

    def to_inputs(self, actions: Array) -> Array:
        """The physical inputs (..., inputs) of actions (..., actions)."""
        if self._is_whole:
            return (self.size if isinstance(self.size, float) else like(self.sizes, actions)) * actions
        return actions @ like(self.matrix, actions)

    def to_shares(self, inputs: Array) -> Array:
        """NumPy inputs (..., inputs) as shares of the largest; 0 for those that none drives."""
        return inputs / self._largest

    @cached_property
    def sizes(self) -> Array:
        """Of each input that is driven at action 1, shape (actions,)."""
        return constant(np.broadcast_to(self.size, len(self.driven)))

    @cached_property
    def _largest(self) -> Array:
        largest = np.ones(self.inputs)
        largest[list(self.driven)] = self.sizes
        return constant(largest)

    @cached_property
    def _is_whole(self) -> bool:
        return self.driven == (*range(self.inputs),)

    @cached_property
    def matrix(self) -> Array:
        """The inputs of each action alone at 1, shape (actions, inputs)."""
        return constant(self.sizes[:, None] * np.eye(self.inputs)[list(self.driven)])


def largest_inputs(spec: SystemSpec, domain: Domain | None) -> tuple[float, ...]:
    """How large each input is to be where no task says it.

    That is as large as a model saw it in what it learned from. Where that was not kept, or an input was never used, it
    is what crosses the domain's velocities or momenta within a time scale; and 1 without a domain.
    """
    width = 0.0 if domain is None else float(domain.width[spec.dof :].mean())
    usual = width / spec.time_scale if 0 < width < math.inf else 1.0
    if domain is None or domain.inputs is None:
        return (usual,) * len(spec.inputs)
    return tuple(max(abs(low), abs(high)) or usual for low, high in domain.inputs)


def actuation_of(task: Task) -> Actuation:
    """How a task is actuated.

    ``task.driven`` says which inputs its actions drive, by default all in their order, and ``task.max_inputs`` how
    large each of these is at action 1, where they are not alike.
    """
    inputs = len(spec_of(task.system).inputs)
    driven: tuple[int, ...] = tuple(getattr(task, "driven", range(inputs)))
    sizes: tuple[float, ...] | None = getattr(task, "max_inputs", None)
    return Actuation(float(task.max_input) if sizes is None else tuple(sizes), inputs, driven)
