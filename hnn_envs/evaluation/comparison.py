"""The same start under several physics: how energy, state and speed compare."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from hnn_envs.arrays import Array
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.observation import ObservationModel
from hnn_envs.recordings.measured import Series, load_real_pendulum
from hnn_envs.rollouts import rollout
from hnn_envs.systems import System, known_truth, resolve_system
from hnn_envs.tasks import Task, find_task, get_task

# A wide swing, an orbit that is clearly an ellipse: what makes a drift visible.
SHOWN_STARTS = {
    "mass-spring": (1.0, 0.0),
    "pendulum": (2.0, 0.0),
    "real-pendulum": (1.2, 0.0),
    "pixel-pendulum": (2.0, 0.0),
    "two-body": (0.9, 0.0, -0.9, 0.0, 0.0, 0.45, 0.0, -0.45),
}
TIMED_STEPS = 50
ROUNDS = 7


@dataclass(frozen=True)
class Track:
    """One physics from the start.

    Attributes:
        dynamics: its name.
        observation_model: what this physics shows its states through; None for physics that is seen as states.
        states: shape (records, 2*dof); NaN from where it diverged.
        energies: true energy along them, shape (records,).
        believed_energies: the energy that this physics assigns to its states, shape (records,).
        energy_drift: largest |H - H(0)|, relative to |H(0)|; for a damped system relative to the reference's energy
            at the same time.
        state_error: root mean square over time of the distance to the reference's states.
        microseconds: per step, one state, median.
    """

    dynamics: str
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
        task: the task, which can draw the states.
        times: shape (records,).
        tracks: one per physics.
        reference: the states that all are held against, the ODE's or the measured ones, shape (records, 2*dof).
        measured: the measured series that was the reference, or None where the ODE was.
    """

    task: Task
    times: Array
    tracks: list[Track]
    reference: Array
    measured: Series | None = None


def compare(
    system: str,
    physics: Sequence[str] = ("ode", "hnn", "baseline"),
    *,
    periods: float = 20,
    seed: int | None = None,
    integrator: str | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Comparison:
    """Rolls out several physics from the same start, without actions, and holds each against the ODE.

    Args:
        system: name of the system.
        physics: names as for ``make_dynamics``.
        periods: length of the rollout, in the system's time scale.
        seed: draws the start from the task's own; by default a start that shows the system well.
        integrator: as for ``make_dynamics``.
        progress: called with the name of each physics before it is rolled out.

    Raises:
        UnknownNameError: there is no such system, or no task on it.
        InvalidOptionError: a length that is not positive, or no physics.
    """
    if not 0 < periods < math.inf:
        raise InvalidOptionError(f"periods must be a positive number, not {periods!r}")
    resolve_system(system)  # a name that no system has is another mistake than a system without a task
    task = find_task(system)
    steps = max(1, round(periods * known_truth(task.system).spec.time_scale / task.dt))
    every = _stride(steps)
    steps = every * (steps // every)
    movers = _movers(task, physics, integrator)
    true = make_dynamics(task.system, "ode", dt=task.dt)
    start = shown_start(task, seed)
    reference = rollout(task.system, start, steps, dynamics=true, every=every)
    costs = step_costs(movers, start)
    tracks = []
    for dynamics, cost in zip(movers, costs, strict=True):
        progress(dynamics.name)
        same = dynamics.name == "ode" and dynamics.integrator is true.integrator
        run = reference if same else rollout(task.system, start, steps, dynamics=dynamics, every=every)
        tracks.append(_track(task, dynamics, run.states[:, 0], reference.states[:, 0], cost))
    return Comparison(task, reference.times, tracks, reference.states[:, 0])


def compare_with_measurement(
    path: str | Path | None,
    physics: Sequence[str] = ("ode", "hnn", "baseline"),
    *,
    integrator: str | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Comparison:
    """Rolls out several physics through the measured series of the real pendulum, and holds each against it.

    All start where the ODE follows the series best.

    Args:
        path: where the measured series is; None for HNN_ENVS_DATA.
        physics: names as for ``make_dynamics``.
        integrator: as for ``make_dynamics``.
        progress: called with the name of each physics before it is rolled out.

    Raises:
        DataError: the series is not there.
    """
    series = load_real_pendulum(path)
    task = get_task("real-pendulum")
    # The samples lie on a grid of a sixth of a second, with gaps.
    records = np.rint((series.times - series.times[0]) / task.dt).astype(int)
    movers = _movers(task, physics, integrator)
    start = best_start(known_truth(task.system), series)
    costs = step_costs(movers, start)
    tracks = []
    for dynamics, cost in zip(movers, costs, strict=True):
        progress(dynamics.name)
        run = rollout(task.system, start, int(records[-1]), dynamics=dynamics)
        tracks.append(_track(task, dynamics, run.states[records, 0], series.states, cost))
    return Comparison(task, series.times, tracks, series.states, series)


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


def shown_start(task: Task, seed: int | None) -> Array:
    """A start that shows the system well, or with a seed one of the task's own."""
    if seed is None and task.name in SHOWN_STARTS:
        return np.array(SHOWN_STARTS[task.name])
    return task.initial_state(np.random.default_rng(0 if seed is None else seed))


@np.errstate(all="ignore")
def step_costs(movers: Sequence[Dynamics], start: Array) -> list[float]:
    """Microseconds per step of one state: medians of interleaved rounds, after a warm-up."""
    samples: list[list[float]] = [[] for _ in movers]
    for dynamics in movers:
        dynamics.step(dynamics.to_device(start))
    for _ in range(ROUNDS):
        for dynamics, sample in zip(movers, samples, strict=True):
            x = dynamics.to_device(start)
            began = time.perf_counter()
            for _ in range(TIMED_STEPS):
                dynamics.step(x)
            sample.append((time.perf_counter() - began) / TIMED_STEPS * 1e6)
    return [statistics.median(sample) for sample in samples]


def _movers(task: Task, physics: Sequence[str], integrator: str | None) -> list[Dynamics]:
    if not physics:
        raise InvalidOptionError("name at least one physics to compare, such as ode or hnn")
    return [make_dynamics(task.system, name, dt=task.dt, integrator=integrator) for name in physics]


@np.errstate(all="ignore")  # what diverges overflows first
def _track(task: Task, dynamics: Dynamics, states: Array, reference: Array, microseconds: float) -> Track:
    system = known_truth(task.system)
    energies, true_energies = system.value(states), system.value(reference)
    # A damped system's energy should follow the reference; a conservative one's should stay where it began.
    target = energies[:1] if system.field.damping is None else true_energies
    drift = np.abs(energies - target) / np.abs(true_energies[0])
    distance = np.square(states - reference).sum(-1)
    return Track(
        dynamics=dynamics.name,
        observation_model=dynamics.observation_model,
        states=states,
        energies=energies,
        believed_energies=dynamics.to_numpy(dynamics.energy(dynamics.to_device(states))),
        energy_drift=float(drift.max()) if np.isfinite(drift).all() else np.inf,
        state_error=float(np.sqrt(distance.mean())) if np.isfinite(distance).all() else np.inf,
        microseconds=microseconds,
    )


def _stride(steps: int, records: int = 4000) -> int:
    """Records so seldom that a plot can hold them."""
    return max(1, math.ceil(steps / records))
