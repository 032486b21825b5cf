"""What a task may state beside what it must: how to plan for it, a start that shows it, controllers to compare with.

A task states these as attributes of the same names, and a task that does not has the defaults that are said here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.parsing import check_counts
from hnn_envs.registry import import_object
from hnn_envs.tasks.task import Task


@dataclass(frozen=True)
class Search:
    """How a planner searches; a plan must be long enough to see the reward that it works for.

    Attributes:
        horizon: actions per plan.
        hold: steps for which each action is held.
        candidates: plans per iteration.
        elites: how many of them the distribution is refitted to.
        iterations: refits per step of the environment.
        spread: standard deviation of an action that nothing is known about; actions are in [-1, 1].
        smallest_spread: what it may shrink to, so that the next step can still change its mind.
        integrator: the one-step method of plans, which need not be as exact as what is planned for; None for the
            physics' own.
        substeps: integrator steps per step of the environment; friction that is stiff near rest needs many.
    """

    horizon: int = 20
    hold: int = 2
    candidates: int = 200
    elites: int = 20
    iterations: int = 3
    spread: float = 0.7
    smallest_spread: float = 0.1
    integrator: str | None = None
    substeps: int = 1

    def __post_init__(self) -> None:
        check_counts(self, "horizon", "hold", "candidates", "elites", "iterations", "substeps")
        if self.elites >= self.candidates:
            raise InvalidOptionError(f"{self.elites} elites need more than {self.candidates} candidates")
        if not 0 <= self.smallest_spread <= self.spread:
            raise InvalidOptionError(f"smallest_spread must be between 0 and spread, not {self.smallest_spread!r}")


@dataclass(frozen=True)
class Reference:
    """A controller that needs no training, which agents are held against.

    Attributes:
        name: in results, such as "mpc/hnn".
        maker: where the function (task, dynamics) -> controller is, "module:function"; it is imported when it is used.
        dynamics: the physics that the controller is designed in; None leaves that to the function.
        slow: whether it takes so long that it plays from the starts of one training seed only.
    """

    name: str
    maker: str
    dynamics: str | None = None
    slow: bool = False

    def make(self, task: Task) -> Callable[[Array, Array], Array]:
        """The controller, (observations, states) -> actions in [-1, 1]."""
        maker = import_object(self.maker, "controller")
        made: Callable[[Array, Array], Array] = maker(task) if self.dynamics is None else maker(task, self.dynamics)
        return made


def search_of(task: Task) -> Search:
    """``task.search``, how a planner should search for it; by default ``Search()``."""
    found: Search = getattr(task, "search", Search())
    return found


def shown_start_of(task: Task) -> Array | None:
    """``task.shown_start``, a start from which a drift is seen, such as a wide swing; by default there is none."""
    found = getattr(task, "shown_start", None)
    return None if found is None else np.array(found, dtype=np.float64)


def references_of(task: Task) -> tuple[Reference, ...]:
    """``task.references``, the controllers that agents are held against; by default none but a random policy."""
    found: tuple[Reference, ...] = getattr(task, "references", ())
    return found


@runtime_checkable
class UprightTask(Task, Protocol):
    """A task whose goal is a machine that stands upright, and which measures how far it is from that."""

    def angle_from_upright(self, x: Array) -> Array:
        """The largest angle of any part from upright, rad in [0, pi], shape (...,), for states (..., 2*dof)."""
        ...


def upright(task: Task) -> UprightTask:
    """The same task, of which it is known that it measures angles from upright.

    Raises:
        InvalidOptionError: it does not.
    """
    if not isinstance(task, UprightTask):
        raise InvalidOptionError(
            f"task {task.name!r} has no angle_from_upright, so there is no saying when it is solved; "
            "allowed: tasks that have it, such as pendulum"
        )
    return task


def second_of(task: Task) -> float:
    """``task.second``, how much of the task's time is called a second; by default 1, for tasks whose time is in s."""
    found: float = getattr(task, "second", 1.0)
    return found


def planning_reward_of(task: Task) -> Callable[[Array, Array, Array], Array]:
    """``task.reward_of_state``, (x, u, x_next) -> reward without drawing what an agent sees; by default the reward."""
    found: Callable[[Array, Array, Array], Array] = getattr(task, "reward_of_state", task.reward)
    return found
