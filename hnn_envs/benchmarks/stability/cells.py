"""One cell of the stability benchmark: a system under one physics with one integrator, from many starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.stability.streaming import Plan, Trace, check_plan, load_trace, simulate
from hnn_envs.checkpoints import ALIASES, shipped_checkpoints
from hnn_envs.dynamics import Dynamics
from hnn_envs.errors import InvalidOptionError, NoTruthError, ResultsError, UnknownNameError
from hnn_envs.evaluation.comparison import step_costs
from hnn_envs.evaluation.metrics import never_missing, reversal_error, symplecticity_defect
from hnn_envs.evaluation.records import read_kept_as, write_kept
from hnn_envs.evaluation.subjects import Subject, domain_of
from hnn_envs.integrators import INTEGRATORS, fits
from hnn_envs.parsing import Extended
from hnn_envs.systems import SYSTEMS

REVERSAL_STEPS = 10_000
REVERSAL_STARTS = 8  # of all; retracing takes twice its steps, and is either exact to rounding or far from it
CHAOTIC_TIMES = 10  # Lyapunov times: in these, chaos makes a rounding error 2e4 times larger
REFERENCE = "reference"
DEFAULT = "default"


@dataclass(frozen=True)
class Cell:
    """What is run together.

    Attributes:
        system: its name, "module:object", or the path of a checkpoint whose card says what it is.
        dynamics: a physics as for ``make_dynamics``, or "reference": that of ``truth`` in steps half as long as usual.
        integrator: a name, with ":200" behind it for so many substeps; None for the physics' own choice.
        steps, starts, seed: how long, from how many states, drawn by which seed.
        truth: what all are held against: the ODE, or where the equations are not known a learned physics.
    """

    system: str
    dynamics: str
    integrator: str | None
    steps: int
    starts: int
    seed: int
    truth: str = "ode"

    @property
    def subject(self) -> Subject:
        """What is known of the system."""
        return _subject(self.system)

    @property
    def label(self) -> str:
        """The name in results: "hnn", or "hnn@rk4" where the integrator is not the physics' own choice."""
        return self.dynamics if self.integrator is None else f"{self.dynamics}@{self.integrator}"

    def make(self) -> Dynamics:
        """The physics, with the step of the system's task."""
        if self.dynamics != REFERENCE:
            method, substeps = _method(self.integrator)
            return self.subject.make(self.dynamics, integrator=method, substeps=substeps)
        usual = self.guide()
        # Where the truth is a discrete map, that map is the reference, and no finer one.
        return usual if usual.spec.stepping else self.subject.make(self.truth, substeps=2 * usual.substeps)

    def guide(self) -> Dynamics:
        """What all are held against, in steps of the usual length."""
        return self.subject.make(self.truth)

    def states(self) -> Array:
        """The initial states, the same for every physics, unseen in training: of the seed paper's distribution.

        Where the equations are not known, they lie amid the domain of ``truth``.
        """
        # The seed sequence has two numbers, so that no training seed, a single one, gives the same stream.
        rng = np.random.default_rng([self.seed, 7])
        domain = None if self.subject.truth is not None else domain_of([self.guide()])
        return self.subject.draw_states(rng, self.starts, domain)

    def plan(self, dynamics: Dynamics) -> Plan:
        """What the stream runs."""
        return Plan.of(dynamics, self.steps, self.starts, self.seed)

    def path(self, folder: Path) -> Path:
        """The file of its trace."""
        return self.plan(self.make()).path(folder)


@cache
def _subject(system: str) -> Subject:
    return Subject.of(system)


@dataclass(frozen=True)
class Checks:
    """What is measured beside the stream.

    Attributes:
        reversal: reversal error of some starts; empty for damped systems, which are not reversible.
        reversal_steps: steps forth, and as many back.
        defect: symplecticity defect at every start.
        microseconds: per step of a single state.
    """

    reversal: list[Extended]
    reversal_steps: int
    defect: list[Extended]
    microseconds: float


def run_cell(cell: Cell, folder: Path) -> Path:
    """Runs a cell to its end; its trace and checks stay in ``folder``, and what is there already is not run again."""
    dynamics = cell.make()
    plan, states = cell.plan(dynamics), cell.states()
    path = plan.path(folder)
    counter = path.with_suffix(".steps")

    def count(done: int) -> None:
        counter.write_text(str(done))

    guide = cell.guide() if dynamics.spec.dissipative else None
    simulate(dynamics, plan, states, path, guide=guide, progress=count)
    if cell.dynamics != REFERENCE and not path.with_suffix(".json").is_file():
        checks = _check(dynamics, states, cell.steps)
        write_kept(path.with_suffix(".json"), checks.__dict__)
    return path


def _check(dynamics: Dynamics, states: Array, steps: int) -> Checks:
    spec, some = dynamics.spec, states[:REVERSAL_STARTS]
    turn = min(steps, REVERSAL_STEPS)
    if spec.chaotic:
        turn = min(turn, round(CHAOTIC_TIMES * spec.time_scale / dynamics.dt))
    reversal = np.array([]) if spec.dissipative else never_missing(reversal_error(dynamics, some, turn))
    return Checks(
        reversal=reversal.tolist(),
        reversal_steps=turn,
        defect=symplecticity_defect(dynamics, states).tolist(),
        microseconds=step_costs([dynamics], states[0])[0],
    )


def load_cell(cell: Cell, folder: Path) -> tuple[Trace, Checks | None]:
    """What a finished cell left; the reference has no checks.

    Raises:
        ResultsError: it is not there, not finished, or damaged.
    """
    dynamics = cell.make()
    plan = cell.plan(dynamics)
    path = plan.path(folder)
    trace = load_trace(path, plan, cell.states())
    if trace.done < plan.steps:
        raise ResultsError(f"{path} has {trace.done} of {plan.steps} steps; run the benchmark again to go on")
    if cell.dynamics == REFERENCE:
        return trace, None
    return trace, load_checks(path.with_suffix(".json"))


def load_checks(path: Path) -> Checks:
    """What was measured beside a stream.

    Raises:
        ResultsError: it is not there, or damaged.
    """
    return read_kept_as(Checks, path, "part")


def make_cells(
    systems: Sequence[str],
    dynamics: Sequence[str],
    integrators: Sequence[str],
    steps: int,
    starts: int,
    seed: int,
    message: Callable[[str], object] = lambda words: None,
) -> list[Cell]:
    """All combinations that there are, each system's reference first.

    Args:
        systems: names or paths, as for ``Cell``; none for all that can be run.
        dynamics: names or paths; none for the ODE and all shipped checkpoints.
        integrators: names, as for ``Cell``; "default" for each physics' own choice, "all" for all but DOP853. One that
            needs a separable Hamiltonian is left out where there is none.
        steps: environment steps.
        starts: initial states per system.
        seed: of the initial states.
        message: called with a line about every system that is left out, and why, and about every one that is held
            against learned physics.

    Raises:
        NoTruthError: a system was asked for whose equations are not known, and there is no checkpoint of it.
        InvalidOptionError: numbers out of range, or nothing to run, or too large for this machine.
        UnknownNameError: a name that does not exist.
    """
    for name, value in (("steps", steps), ("starts", starts)):
        if value < 1:
            raise InvalidOptionError(f"{name} must be a positive integer, not {value}")
    cells = []
    for system in systems or SYSTEMS:
        names = _physics(system, dynamics)
        if not names and systems:
            raise NoTruthError.of(_subject(system).name)
        if not names:
            message(f"{system} is left out: its equations are not known, and there is no checkpoint of it")
        truth = "ode" if _subject(system).truth is not None else next(iter(names), "")
        if truth not in ("ode", ""):
            message(
                f"the equations of {_subject(system).name} are not known: all are held against {truth} in half its "
                "step, and energies are what each has learned"
            )
        found = [cell for name in names for cell in _variants(system, name, integrators)]
        chosen = [Cell(system, name, method, steps, starts, seed, truth) for name, method in found]
        cells += [Cell(system, REFERENCE, None, steps, starts, seed, truth), *chosen] if chosen else []
    if not cells:
        raise InvalidOptionError(f"none of the dynamics {', '.join(dynamics)} can be run with {', '.join(integrators)}")
    for cell in cells:
        check_plan(cell.plan(cell.make()), 2 * cell.subject.spec.dof)
    return cells


def _physics(system: str, dynamics: Sequence[str]) -> list[str]:
    """The physics to run; of a pattern such as "paper/*" those that are shipped, of other names exactly these."""
    # "default/hnn" is called "hnn", but "default/hnn-64" has no shorter name.
    subject, aliases = _subject(system), {name: alias for alias, name in ALIASES.items()}
    shipped = {name: aliases.get(name, name) for name in shipped_checkpoints(subject.name)}
    usual = ["ode"] if subject.truth is not None else []
    wanted: list[str] = []
    for name in dynamics or (*usual, *((system,) if subject.checkpoint else ("hnn", "baseline", "*"))):
        if name.endswith("*"):
            start = name[:-1]
            wanted += [short for full, short in shipped.items() if full.startswith(start) or short.startswith(start)]
        elif dynamics or name in ("ode", system) or name in shipped.values():
            wanted.append(name)
    return list(dict.fromkeys(wanted))


def _variants(system: str, dynamics: str, integrators: Sequence[str]) -> list[tuple[str, str | None]]:
    """A physics with each integrator that can step it."""
    made = _subject(system).make(dynamics)
    methods: list[str | None] = []
    for name in integrators or (DEFAULT,):
        if name == DEFAULT:
            methods.append(None)
        elif name == "all":
            methods += [method for method in INTEGRATORS if method != "dop853"]
        elif _method(name)[0] in INTEGRATORS:
            methods.append(name)
        else:
            raise UnknownNameError.of("integrator", name, (DEFAULT, "all", *INTEGRATORS))
    own = dict.fromkeys(None if method == made.integrator.name else method for method in methods)
    return [(dynamics, method) for method in own if _fits(made, _method(method)[0])]


def _method(integrator: str | None) -> tuple[str | None, int | None]:
    """An integrator's name and its substeps, from "name", "name:substeps" or None."""
    if integrator is None:
        return None, None
    name, colon, substeps = integrator.partition(":")
    if not colon:
        return name, None
    if not substeps.isdecimal():
        raise InvalidOptionError(f"substeps are a positive integer, as in {name}:50, not {integrator!r}")
    return name, int(substeps)


def _fits(made: Dynamics, method: str | None) -> bool:
    """Whether an integrator can step a physics whose own choice is known."""
    return method is None or fits(INTEGRATORS[method], made.field)
