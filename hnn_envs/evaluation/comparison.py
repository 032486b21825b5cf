"""The same start under several physics: how energy, state and speed compare."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.drawing.canvas import Drawable
from hnn_envs.dynamics import Dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.evaluation.subjects import Energy, Subject, SystemLike, domain_of
from hnn_envs.observation import ObservationModel
from hnn_envs.progress import Progress, silent
from hnn_envs.recordings.measured import Series, load_real_pendulum
from hnn_envs.rollouts import rollout
from hnn_envs.systems import System, SystemSpec, known_truth

TIMED_STEPS = 50
ROUNDS = 7


@dataclass(frozen=True)
class Track:
    """One physics from the start.

    Attributes:
        dynamics: its name.
        role: what it is, as ``Dynamics.role`` says.
        observation_model: what this physics shows its states through; None for physics that is seen as states.
        states: shape (records, 2*dof); NaN from where it diverged.
        energies: ``Comparison.energy_name`` along them, shape (records,); NaN where there is none.
        believed_energies: the energy that this physics assigns to its states, shape (records,); NaN where it has none.
        energy_drift: largest |H - H(0)|, relative to |H(0)|; for a damped system relative to the reference's energy
            at the same time; NaN where there is no energy.
        state_error: root mean square over time of the distance to the reference's states.
        microseconds: per step, one state, median.
    """

    dynamics: str
    role: str
    observation_model: ObservationModel | None
    states: Array
    energies: Array
    believed_energies: Array
    energy_drift: float
    state_error: float
    microseconds: float


@dataclass(frozen=True)
class Comparison:
    """Several physics from one start.

    Attributes:
        spec: what the system is.
        drawing: draws its states.
        times: shape (records,).
        tracks: one per physics.
        reference: the states that all are held against, shape (records, 2*dof): the ODE's, the measured ones, or where
            neither is known those of the first physics.
        reference_energies: the energy of these, shape (records,); NaN where there is none.
        energy_name: what energies are called, "true energy H" or "energy H of hnn".
        held_against: what the reference is, "ODE", "measurement", or the name of a physics.
        measured: the measured series that was the reference; None where there was none.
    """

    spec: SystemSpec
    drawing: Drawable
    times: Array
    tracks: list[Track]
    reference: Array
    reference_energies: Array
    energy_name: str
    held_against: str
    measured: Series | None = None


def compare(
    system: SystemLike,
    dynamics: Sequence[str | Checkpoint] | None = None,
    *,
    periods: float = 20,
    seed: int | None = None,
    integrator: str | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Rolls out several physics from the same start, without actions, and holds each against the ODE.

    Where the equations are not known, each is held against the first physics, and one that is alone against itself in
    half its step, which tells how well it is integrated; energies are those that the first with a Hamiltonian has
    learned.

    Args:
        system: a system, its name or "module:object", or the name of a task, whose step, start and drawing are then
            taken; or a checkpoint or the path of one.
        dynamics: names or checkpoints, as for ``make_dynamics``; None for the ODE and the default checkpoints, or the
            one that was given in the system's place, as far as they are there.
        periods: length of the rollout, in the system's time scale.
        seed: draws the start from the task's own; by default a start that shows the system well.
        integrator: as for ``make_dynamics``.
        progress: called with the name of each physics before it is rolled out.

    Raises:
        InvalidOptionError: a length that is not positive, or no physics.
        NoTruthError: "ode" of a system whose equations are not known.
    """
    if not 0 < periods < math.inf:
        raise InvalidOptionError(f"periods must be a positive number, not {periods!r}")
    subject = Subject.of(system)
    chosen = subject.chosen(dynamics)
    made = [subject.make(each, integrator=integrator) for each in chosen]
    held, name = _reference(subject, chosen, made, integrator)
    steps = max(1, round(periods * subject.spec.time_scale / held.dt))
    every = _stride(steps)
    steps = every * (steps // every)
    start = subject.shown_start(seed, domain_of(made))
    reference = rollout(subject.known, start, steps, dynamics=held, every=every)
    costs, tracks = step_costs(made, start), []
    motion = ReferenceMotion.of(subject, made, reference.states[:, 0])
    for number, (each, cost) in enumerate(zip(made, costs, strict=True)):
        progress(number, len(made), each.name)
        same = each is held or (each.card is None and each.integrator is held.integrator)
        run = reference if same else rollout(subject.known, start, steps, dynamics=each, every=every)
        tracks.append(motion.track(each, run.states[:, 0], cost))
    return motion.comparison(reference.times, tracks, name)


def _reference(
    subject: Subject, chosen: Sequence[str | Checkpoint], made: Sequence[Dynamics], integrator: str | None
) -> tuple[Dynamics, str]:
    """What all are held against, and what it is called."""
    if subject.truth is not None:
        return subject.make("ode"), "ODE"
    first = made[0]
    if len(made) > 1:
        return first, first.name
    halved = subject.make(chosen[0], integrator=integrator, substeps=2 * first.substeps)
    return halved, f"{first.name} in half its step"


def compare_with_measurement(
    path: str | Path | None,
    dynamics: Sequence[str | Checkpoint] | None = None,
    *,
    integrator: str | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Rolls out several physics through the measured series of a system, and holds each against it.

    All start where the ODE follows the series best.

    Args:
        path: where the measured series is; None for HNN_ENVS_DATA.
        dynamics: as for ``compare``.
        integrator: as for ``make_dynamics``.
        progress: called with the name of each physics before it is rolled out.

    Raises:
        DataError: the series is not there.
    """
    series = load_real_pendulum(path)
    subject = Subject.of(series.system)
    made = [subject.make(each, integrator=integrator) for each in subject.chosen(dynamics)]
    # The samples lie on a grid of steps, with gaps.
    records = np.rint((series.times - series.times[0]) / made[0].dt).astype(int)
    start = best_start(known_truth(subject.known), series)
    costs, tracks = step_costs(made, start), []
    motion = ReferenceMotion.of(subject, made, series.states)
    for number, (each, cost) in enumerate(zip(made, costs, strict=True)):
        progress(number, len(made), each.name)
        run = rollout(subject.known, start, int(records[-1]), dynamics=each)
        tracks.append(motion.track(each, run.states[records, 0], cost))
    return motion.comparison(series.times, tracks, "measurement", series)


@dataclass(frozen=True)
class ReferenceMotion:
    """What tracks are held against: the states of a reference, and an energy.

    Attributes:
        subject: the system.
        drawing: draws its states.
        reference: states, shape (records, 2*dof).
        name: of the energy.
        energy: the energy of NumPy states; None where there is none.
    """

    subject: Subject
    drawing: Drawable
    reference: Array
    name: str
    energy: Energy | None

    @classmethod
    def of(cls, subject: Subject, made: Sequence[Dynamics], reference: Array) -> ReferenceMotion:
        """The subject's energy, and the states."""
        return cls(subject, subject.drawing(domain_of(made)), reference, *subject.energy(made))

    def energies(self, states: Array) -> Array:
        """The energy along states, shape (records,); NaN where there is none."""
        return np.full(len(states), np.nan) if self.energy is None else np.asarray(self.energy(states))

    @np.errstate(all="ignore")  # what diverges overflows first
    def track(self, dynamics: Dynamics, states: Array, microseconds: float) -> Track:
        """What one physics did."""
        energies, expected = self.energies(states), self.energies(self.reference)
        # A damped system's energy should follow the reference; a conservative one's should stay where it began.
        target = expected if self.subject.spec.dissipative else energies[:1]
        drift = np.abs(energies - target) / np.abs(expected[0])
        distance = np.square(states - self.reference).sum(-1)
        believed = None if dynamics.hamiltonian is None else dynamics.energy(dynamics.to_device(states))
        return Track(
            dynamics=dynamics.name,
            role=dynamics.role,
            observation_model=dynamics.observation_model,
            states=states,
            energies=energies,
            believed_energies=np.full(len(states), np.nan) if believed is None else dynamics.to_numpy(believed),
            energy_drift=self._largest(drift),
            state_error=float(np.sqrt(distance.mean())) if np.isfinite(distance).all() else np.inf,
            microseconds=microseconds,
        )

    def _largest(self, drift: Array) -> float:
        if self.energy is None:
            return np.nan
        return float(drift.max()) if np.isfinite(drift).all() else np.inf

    def comparison(
        self, times: Array, tracks: list[Track], held_against: str, measured: Series | None = None
    ) -> Comparison:
        """All tracks with what they are held against."""
        return Comparison(
            spec=self.subject.spec,
            drawing=self.drawing,
            times=times,
            tracks=tracks,
            reference=self.reference,
            reference_energies=self.energies(self.reference),
            energy_name=self.name,
            held_against=held_against,
            measured=measured,
        )


def best_start(system: System, series: Series) -> Array:
    """The start from which the ODE follows a series best, by least squares.

    The first sample is as noisy as any other, and its error would grow in every physics until it hid their differences.
    """

    def residuals(start: Array) -> Array:
        span = (series.times[0], series.times[-1])
        solution = solve_ivp(
            lambda _, x: system.field(x), span, start, "DOP853", t_eval=series.times, rtol=1e-8, atol=1e-8
        )
        return (solution.y.T - series.states).ravel()

    return least_squares(residuals, series.states[0]).x


@np.errstate(all="ignore")
def step_costs(dynamics: Sequence[Dynamics], start: Array) -> list[float]:
    """Microseconds per step of one state: medians of interleaved rounds, after a warm-up."""
    samples: list[list[float]] = [[] for _ in dynamics]
    for each in dynamics:
        each.step(each.to_device(start))
    for _ in range(ROUNDS):
        for each, sample in zip(dynamics, samples, strict=True):
            x = each.to_device(start)
            began = time.perf_counter()
            for _ in range(TIMED_STEPS):
                each.step(x)
            sample.append((time.perf_counter() - began) / TIMED_STEPS * 1e6)
    return [statistics.median(sample) for sample in samples]


def _stride(steps: int, records: int = 4000) -> int:
    """Records so seldom that a plot can hold them."""
    return max(1, math.ceil(steps / records))
