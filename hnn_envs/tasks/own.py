"""Tasks on the system of a checkpoint: ``Regulate``, or one that a user wrote."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from hnn_envs.checkpoints import Card
from hnn_envs.errors import InvalidOptionError
from hnn_envs.registry import construct, import_object
from hnn_envs.systems import SystemSpec, spec_of
from hnn_envs.tasks.regulate import Regulate, default_dt
from hnn_envs.tasks.task import Task


def task_on(card: Card, task: str | None = None, options: Mapping[str, Any] | None = None) -> Task:
    """Makes a task on the system of a checkpoint.

    Args:
        card: what the system is, and where its model may be trusted.
        task: where the user's own is, "module:object"; None for ``Regulate``, in whole steps of the recording. A class,
            or a function that makes a task, is called with the description of the system, a ``SystemSpec``, as its
            first argument; with ``domain=``, the ``hnn_envs.checkpoints.Domain`` of the card, where it has a parameter
            of this name; and with the options by name. Any other object is the task itself.
        options: arguments of the class, checked against the types that it declares.

    Raises:
        UnknownNameError: there is no such object.
        InvalidOptionError: an option that does not fit, or what is there is no task on this system.
    """
    given = dict(options or {})
    if task is None:
        return construct("task Regulate", Regulate, {"domain": card.domain, "dt": _step(card), **given}, card.spec)
    if not isinstance(task, str) or ":" not in task:
        raise InvalidOptionError(f"task must be where a task is, such as 'my_tasks:HoldUpright', not {task!r}")
    found = import_object(task, "task")
    if callable(found):
        if "domain" in inspect.signature(found).parameters:
            given = {"domain": card.domain, **given}
        found = construct(f"task {task}", found, given, card.spec)
    elif given:
        raise InvalidOptionError(f"task {task} is an object and takes no options, not {', '.join(given)}")
    _check(found, task, card.spec)
    made: Task = found
    return made


def _step(card: Card) -> float | None:
    """The multiple of the recording's step that is nearest to the usual one; None where the step was not kept."""
    if card.dt is None or card.spec.stepping is not None:
        return None
    return card.dt * max(1, round(default_dt(card.spec) / card.dt))


NEEDED = (
    *("name", "system", "dt", "max_episode_steps", "max_input", "low", "high", "observation_low", "observation_high"),
    *("initial_state", "observation", "reward", "inside", "terminated", "draw"),
)
"""What a task has, as ``hnn_envs.tasks.Task`` says."""


def _check(task: Any, place: str, spec: SystemSpec) -> None:
    lacking = [name for name in NEEDED if not hasattr(task, name)]
    if lacking:
        raise InvalidOptionError(f"task {place} has no {', '.join(lacking)}; hnn_envs.tasks.Task says what a task has")
    own = spec_of(task.system)
    if (own.name, own.dof, len(own.inputs)) != (spec.name, spec.dof, len(spec.inputs)):
        raise InvalidOptionError(
            f"task {place} is on {own.name!r} of {own.dof} coordinates and {len(own.inputs)} inputs, and the "
            f"checkpoint on {spec.name!r} of {spec.dof} and {len(spec.inputs)}"
        )
