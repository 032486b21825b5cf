"""A long rollout as a stream: run in chunks, reduced on the way, saved as it goes, resumed where it was killed.

Nothing grows with the number of steps but time: of the states themselves only some records are kept, spaced evenly in
the logarithm of time, and all statistics are gathered from every step.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.dynamics import Dynamics
from hnn_envs.errors import HnnEnvsError, ResultsError
from hnn_envs.evaluation.metrics import ENCOUNTER_DISTANCE, escaped, invariant_change, relative_energy_error
from hnn_envs.hamiltonian.pairs import closest_distance
from hnn_envs.memory import check_memory
from hnn_envs.storage import open_tensors, write_tensors

FORMAT = 2
HEADER = "hnn_envs_trace"
BATCHES = 250  # of which the trend of the energy error is taken
RECORDS = 1500  # logarithmically spaced, so each is at most 1 % later than the one before at 10^6 steps
FRAMES = 400  # successive states that are kept of the first start, at the beginning and at the end
CHUNK_BYTES = 16e6  # of states at once: larger ones leave the cache
SAVE_SECONDS = 2.0
ESCAPE_STRIDE = 5  # an escape takes hundreds of steps, and testing for it a good part of one


@dataclass(frozen=True)
class Plan:
    """What is run; two runs with equal plans give equal numbers.

    Attributes:
        system, dynamics, integrator, dt, substeps: the physics.
        digest: of the checkpoint; empty for the ODE.
        steps, starts, seed: how long, and from which states.
    """

    system: str
    dynamics: str
    integrator: str
    dt: float
    substeps: int
    digest: str
    steps: int
    starts: int
    seed: int

    @classmethod
    def of(cls, dynamics: Dynamics, steps: int, starts: int, seed: int) -> Plan:
        """The plan of running a physics."""
        digest = "" if dynamics.card is None else dynamics.card.digest
        method, dt, substeps = dynamics.integrator.name, dynamics.dt, dynamics.substeps
        return cls(dynamics.spec.name, dynamics.name, method, dt, substeps, digest, steps, starts, seed)

    def path(self, folder: Path) -> Path:
        """Where its trace is kept: a name that no other plan has."""
        words = json.dumps([FORMAT, asdict(self)], sort_keys=True)
        name = Path(self.dynamics).stem if self.dynamics.endswith(".safetensors") else self.dynamics.replace("/", "-")
        code = hashlib.sha256(words.encode()).hexdigest()[:10]
        return folder / f"{self.system}_{name}_{self.integrator}_{self.steps}x{self.starts}_{code}.safetensors"

    @property
    def batch(self) -> int:
        """Steps per batch; the last batch may be shorter, and is then not used for the trend."""
        return max(1, self.steps // BATCHES)

    @property
    def records(self) -> Array:
        """The steps whose states are kept: 0, and some spaced evenly in their logarithm up to the last."""
        spaced = np.geomspace(1, self.steps, min(RECORDS, self.steps))
        return np.unique(np.concatenate(([0], np.rint(spaced).astype(np.int64))))

    def memory(self, components: int) -> float:
        """Bytes that running it takes, next to nothing per step."""
        kept = len(self.records) + BATCHES + 2 * FRAMES / self.starts
        return 8.0 * self.starts * (kept * components + 4 * components) + 3 * CHUNK_BYTES


@dataclass
class Trace:
    """What is kept of a stream.

    Attributes:
        done: steps done.
        seconds: time that stepping took, without the statistics.
        x: the states now, shape (starts, 2*dof).
        target: for damped systems the reference's states now, else those at the start.
        records: states at ``Plan.records``, shape (records, starts, 2*dof); NaN where not yet reached.
        targets: the energies that they should have, shape (records, starts).
        means: mean relative energy error in every batch, shape (batches, starts).
        largest: largest absolute relative energy error so far, shape (starts,).
        largest_apart: the same, up to the first close encounter of two bodies.
        squares: sum over steps of the squared energy error, shape (starts,).
        changes: largest change of momentum and angular momentum so far, shape (2, starts).
        encounter, escape: step of the first close encounter, and of the first escape; -1 where there was none.
        first, last: the first start's states at the first and at the last steps, shape (frames, 2*dof).
    """

    done: int
    seconds: float
    x: Array
    target: Array
    records: Array
    targets: Array
    means: Array
    largest: Array
    largest_apart: Array
    squares: Array
    changes: Array
    encounter: Array
    escape: Array
    first: Array
    last: Array

    @classmethod
    def begin(cls, plan: Plan, states: Array) -> Trace:
        """Nothing done yet."""
        starts, size = states.shape
        frames = min(FRAMES, plan.steps) + 1
        records = np.full((len(plan.records), starts, size), np.nan)
        records[0] = states
        first, last = np.full((frames, size), np.nan), np.full((frames, size), np.nan)
        first[0] = states[0]
        return cls(
            done=0,
            seconds=0.0,
            x=states.copy(),
            target=states.copy(),
            records=records,
            targets=np.full(records.shape[:2], np.nan),
            means=np.zeros((-(-plan.steps // plan.batch), starts)),
            largest=np.zeros(starts),
            largest_apart=np.zeros(starts),
            squares=np.zeros(starts),
            changes=np.zeros((2, starts)),
            encounter=np.full(starts, -1),
            escape=np.full(starts, -1),
            first=first,
            last=last,
        )

    def save(self, path: Path, plan: Plan) -> None:
        """Writes it so that a kill leaves the old one or the new one."""
        values: dict[str, Any] = {entry.name: np.asarray(getattr(self, entry.name)) for entry in fields(self)}
        write_tensors(path, HEADER, {"format": FORMAT, "plan": asdict(plan)}, values)


def load_trace(path: Path, plan: Plan, states: Array) -> Trace:
    """Reads what was kept of a plan, or begins where there is nothing.

    Raises:
        ResultsError: the file is damaged, or of something else.
    """
    empty = Trace.begin(plan, states)
    if not path.is_file():
        return empty
    expected = {entry.name: np.shape(getattr(empty, entry.name)) for entry in fields(Trace)}
    try:
        with open_tensors(path, HEADER, "a kept run", (FORMAT,), largest=None) as file:
            if file.values.get("plan") != json.loads(json.dumps(asdict(plan))) or file.shapes != expected:
                raise ResultsError("it belongs to another run or another version of hnn_envs")
            values: dict[str, Any] = file.read()
    except HnnEnvsError as error:
        raise ResultsError(f"{path} cannot be resumed ({error}); delete it to run that part again") from error
    return Trace(done=int(values.pop("done")), seconds=float(values.pop("seconds")), **values)


def check_plan(plan: Plan, components: int) -> None:
    """Refuses what cannot be held, before anything is run.

    Raises:
        InvalidOptionError: with how much it would take, and how much there is.
    """
    check_memory(
        plan.memory(components),
        f"{plan.steps} steps from {plan.starts} starts of {plan.system}",
        "take fewer starts (the number of steps hardly matters: they are streamed)",
    )


def simulate(
    dynamics: Dynamics,
    plan: Plan,
    states: Array,
    path: Path,
    *,
    guide: Dynamics | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Trace:
    """Runs a plan to its end, from where an earlier run of it was killed.

    Args:
        dynamics: the physics.
        plan: how long.
        states: the initial states, shape (starts, 2*dof).
        path: the file that keeps what has been done; a kill loses what came after the last save, some seconds.
        guide: what is taken for the truth, run beside, where the energy is not conserved and so has to be looked up.
        progress: called with the number of steps done.
    """
    check_plan(plan, states.shape[-1])
    trace = load_trace(path, plan, states)
    progress(trace.done)
    saved, begun = time.monotonic(), trace.done
    with np.errstate(all="ignore"):
        while trace.done < plan.steps:
            _advance(trace, plan, dynamics, states, guide)
            if time.monotonic() - saved > SAVE_SECONDS:
                trace.save(path, plan)
                progress(trace.done)
                saved = time.monotonic()
    if trace.done > begun or not path.is_file():
        trace.save(path, plan)
    progress(trace.done)
    return trace


def _advance(trace: Trace, plan: Plan, dynamics: Dynamics, states: Array, guide: Dynamics | None) -> None:
    """One chunk: up to the end of the batch, or as much of it as the cache holds."""
    room = max(1, int(CHUNK_BYTES / states.nbytes))
    count = min(plan.batch - trace.done % plan.batch, room, plan.steps - trace.done)
    began = time.perf_counter()
    path = trajectory(dynamics, trace.x, count)
    trace.seconds += time.perf_counter() - began
    trace.x = path[-1].copy()
    aim = None
    if guide is not None:
        aim = trajectory(guide, trace.target, count)
        trace.target = aim[-1].copy()
    _gather(trace, plan, dynamics, path, states, aim)
    trace.done += count


def trajectory(dynamics: Dynamics, x: Array, steps: int) -> Array:
    """The states after each of ``steps`` steps, shape (steps, starts, 2*dof)."""
    out = np.empty((steps, *x.shape))
    for step in range(steps):
        x = dynamics.step(x)
        out[step] = x
    return out


def _gather(trace: Trace, plan: Plan, dynamics: Dynamics, path: Array, states: Array, aim: Array | None) -> None:
    """Adds a chunk to what is known."""
    count, start = len(path), energies_of(dynamics, states)
    target = np.broadcast_to(start, path.shape[:2]) if aim is None else energies_of(dynamics, aim)
    energies = energies_of(dynamics, path)
    error = relative_energy_error(energies, target, start)
    size = np.where(np.isfinite(error), np.abs(error), np.inf)
    trace.largest = np.maximum(trace.largest, size.max(axis=0))
    trace.squares = trace.squares + np.square(energies - target).sum(axis=0)
    batch = trace.done // plan.batch
    length = min(plan.batch, plan.steps - batch * plan.batch)
    trace.means[batch] += error.sum(axis=0) / length
    if dynamics.spec.bodies:
        _gather_bodies(trace, dynamics, path, states, size)
    _keep_records(trace, plan, path, target, start)
    first = path[: max(0, len(trace.first) - 1 - trace.done), 0]
    trace.first[trace.done + 1 : trace.done + 1 + len(first)] = first
    tail = np.concatenate((trace.last, path[:, 0]))
    trace.last = tail[-len(trace.last) :] if count < len(tail) else path[-len(trace.last) :, 0]


def energies_of(dynamics: Dynamics, states: Array) -> Array:
    """The true energy, where that is not known the learned one; NaN where there is none."""
    found = dynamics.reported_energy(states)
    return np.full(states.shape[:-1], np.nan) if found is None else found


def _keep_records(trace: Trace, plan: Plan, path: Array, target: Array, start: Array) -> None:
    at = plan.records
    if trace.done == 0:
        trace.targets[0] = start
    here = np.flatnonzero((at > trace.done) & (at <= trace.done + len(path)))
    trace.records[here] = path[at[here] - trace.done - 1]
    trace.targets[here] = target[at[here] - trace.done - 1]


def _gather_bodies(trace: Trace, dynamics: Dynamics, path: Array, states: Array, size: Array) -> None:
    """Encounters, escapes and what n bodies conserve beside the energy."""
    bodies = dynamics.spec.bodies
    close = closest_distance(split(path)[0], bodies) < ENCOUNTER_DISTANCE
    met = np.cumsum(close, axis=0) > 0
    before = (trace.encounter < 0) & ~met
    trace.largest_apart = np.maximum(trace.largest_apart, np.where(before, size, 0.0).max(axis=0))
    trace.encounter = _first(trace.encounter, close, trace.done + 1, 1)
    if bodies > 2:
        stride = min(ESCAPE_STRIDE, len(path))
        gone = escaped(path[stride - 1 :: stride], bodies)
        trace.escape = _first(trace.escape, gone, trace.done + stride, stride)
    if dynamics.truth is None:
        return
    changes = invariant_change(dynamics.truth, path[-1], states)
    kept = np.stack([np.where(np.isnan(value), np.inf, value) for value in changes.values()])
    trace.changes = np.maximum(trace.changes, kept)


def _first(known: Array, happens: Array, offset: int, stride: int) -> Array:
    """The step at which something first happened, now that ``happens`` (records, starts) is known too."""
    now = happens.any(axis=0)
    return np.where((known < 0) & now, offset + stride * happens.argmax(axis=0), known)
