"""A system as comparisons, windows and benchmarks take it: whatever is known of it, and what stands in for the rest.

A system may have its equations or be known by recordings only, and it may have tasks or none. Its step, its starts and
its drawing are the task's where there is one; else they follow from its description and from where its models learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.checkpoints import ALIASES, Checkpoint, Domain, is_path, load_checkpoint, shipped_checkpoints
from hnn_envs.drawing.canvas import Drawable
from hnn_envs.drawing.pictures import StatePicture
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError, NoTruthError
from hnn_envs.hamiltonian.pairs import closest_distance
from hnn_envs.systems import SYSTEMS, Known, System, SystemSpec, find_truth, resolve_system, spec_of, truth_of
from hnn_envs.tasks import TASKS, Task, tasks_of
from hnn_envs.tasks.actuation import Actuation, actuation_of, largest_inputs
from hnn_envs.tasks.optional import shown_start_of

SystemLike: TypeAlias = "str | Path | Known | Checkpoint"
"""A system, its name or "module:object"; or the name of a task, which stands for its system under that task; or a
checkpoint, or the path of one, whose card says what system it is of."""

Energy: TypeAlias = Callable[[Array], Any]
"""NumPy states (..., 2*dof) -> their energies (...,)."""

MIDDLE = 0.5
"""Share of the width of a domain, about its centre, in which starts lie that nothing else is known of."""
DRAWS = 32
"""Of so many draws the one is taken whose bodies are the furthest apart."""


@dataclass(frozen=True)
class Subject:
    """A system and what is known of it.

    Attributes:
        spec: what it is.
        truth: its equations; None where they are not known.
        task: the task whose name was given, else the first registered one on the system; None where there is none.
        checkpoint: what was given in the system's place; None where the system was.
        driven: which inputs are pushed: those that the task drives where its name was given, else all.
    """

    spec: SystemSpec
    truth: System | None
    task: Task | None
    checkpoint: Checkpoint | None = None
    driven: tuple[int, ...] = ()

    @classmethod
    def of(cls, system: SystemLike) -> Subject:
        """What is known of a system.

        Raises:
            UnknownNameError: there is no such system, nor a task of this name.
            CheckpointError: the checkpoint cannot be used.
        """
        if isinstance(system, str) and system in TASKS and system not in SYSTEMS:
            task = TASKS[system]
            return cls(spec_of(task.system), truth_of(task.system), task, driven=actuation_of(task).driven)
        if isinstance(system, Path) or (isinstance(system, str) and is_path(system)):
            system = load_checkpoint(Path(system).expanduser())
        checkpoint = system if isinstance(system, Checkpoint) else None
        if isinstance(system, Checkpoint):
            system = find_truth(system.card.spec) or system.card.spec
        known = resolve_system(system)
        spec = spec_of(known)
        return cls(spec, truth_of(known), _task_on(spec), checkpoint, (*range(len(spec.inputs)),))

    @property
    def name(self) -> str:
        """The system's name."""
        return self.spec.name

    @property
    def known(self) -> Known:
        """What ``make_dynamics`` takes for the system."""
        return self.spec if self.truth is None else self.truth

    @property
    def dt(self) -> float | None:
        """Time per step: the task's; None for the default of ``make_dynamics``."""
        return None if self.task is None else self.task.dt

    def make(self, dynamics: str | Checkpoint, **options: Any) -> Dynamics:
        """Makes dynamics of the system with its step, as ``make_dynamics`` does."""
        return make_dynamics(self.known, dynamics, **{"dt": self.dt, **options})

    def available(self) -> list[str | Checkpoint]:
        """What moves the system: the ODE, and the default checkpoints or the one that was given."""
        found: list[str | Checkpoint] = ["ode"] if self.truth is not None else []
        if self.checkpoint is not None:
            return [*found, self.checkpoint]
        shipped = shipped_checkpoints(self.name)
        return [*found, *([alias for alias, name in ALIASES.items() if name in shipped] or shipped)]

    def chosen(self, dynamics: Sequence[str | Checkpoint] | None) -> list[str | Checkpoint]:
        """The dynamics that were asked for; None asks for all that are available.

        Raises:
            InvalidOptionError: none was asked for.
            NoTruthError: there are none.
        """
        if dynamics is not None and not dynamics:
            raise InvalidOptionError("name at least one physics, such as ode or hnn")
        found = self.available() if dynamics is None else list(dynamics)
        if not found:
            raise NoTruthError.of(self.name)
        return found

    def draw_start(self, rng: np.random.Generator, domain: Domain | None) -> Array:
        """A random start, shape (2*dof,): the task's, else of the system's own distribution, else amid a domain.

        Args:
            rng: draws it.
            domain: where a model learned; not needed where there is a task, or the equations are known.
        """
        return self.task.initial_state(rng) if self.task is not None else self.draw_states(rng, 1, domain)[0]

    def draw_states(self, rng: np.random.Generator, count: int, domain: Domain | None) -> Array:
        """Random states, shape (count, 2*dof), of the system's own distribution, else amid a domain.

        Raises:
            NoTruthError: neither is known.
        """
        if self.truth is not None:
            return self.truth.sample_states(rng, count)
        if domain is None:
            raise NoTruthError.of(self.name)
        centre, draws = np.add(domain.low, domain.high) / 2, DRAWS if self.spec.bodies else 1
        states = centre + MIDDLE * domain.width * rng.uniform(-0.5, 0.5, (count, draws, 2 * self.spec.dof))
        if not self.spec.bodies:
            return states[:, 0]
        # Bodies that happen to start close together would show nothing but their encounter.
        return states[np.arange(count), closest_distance(split(states)[0], self.spec.bodies).argmax(axis=1)]

    def shown_start(self, seed: int | None = None, domain: Domain | None = None) -> Array:
        """A start that shows the system well, or with a seed a random one; see ``draw_start``."""
        shown = None if self.task is None or seed is not None else shown_start_of(self.task)
        return self.draw_start(np.random.default_rng(0 if seed is None else seed), domain) if shown is None else shown

    def energy(self, made: Sequence[Dynamics]) -> tuple[str, Energy | None]:
        """What energies are called, and the energy of NumPy states; None where there is none.

        It is the true one, or where that is not known the one that the first of these with a Hamiltonian has learned.
        """
        if self.truth is not None:
            return "true energy H", self.truth.value
        learned = next((each for each in made if each.hamiltonian is not None), None)
        if learned is None:
            return "energy H, which is not known", None
        return f"learned energy H of {learned.name}", learned.reported_energy

    def actuation(self, domain: Domain | None) -> Actuation:
        """What pushes the system: as the task says, else as hard as was recorded, as far as that is known."""
        inputs = len(self.spec.inputs)
        if self.task is None:
            sizes = largest_inputs(self.spec, domain)
            return Actuation(tuple(sizes[each] for each in self.driven), inputs, self.driven)
        asked = actuation_of(self.task)
        return asked if asked.driven == self.driven else Actuation(self.task.max_input, inputs, self.driven)

    def drawing(self, domain: Domain | None) -> Drawable:
        """What draws states: the task, else a picture that the description names, with energies as in a domain."""
        return StatePicture(self.spec, None if domain is None else domain.energy) if self.task is None else self.task


def _task_on(spec: SystemSpec) -> Task | None:
    """The first registered task on the very system that a spec describes; the one of its name first."""
    if spec.name in TASKS and spec_of(TASKS[spec.name].system) == spec:
        return TASKS[spec.name]  # without importing the others
    return next((task for task in tasks_of(spec.name) if spec_of(task.system) == spec), None)


def domain_of(dynamics: Sequence[Dynamics]) -> Domain | None:
    """The domain of the first that was learned; None where none was."""
    return next((each.card.domain for each in dynamics if each.card is not None), None)
