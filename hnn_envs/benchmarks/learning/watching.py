"""What is watched of a true system, and the unseen runs that models are asked to foretell.

States are positions and velocities, as a user would record them, whatever the system's own momenta are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from hnn_envs.arrays import Array, join, split
from hnn_envs.dynamics import make_dynamics
from hnn_envs.evaluation.subjects import Subject
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.recordings.watched import WatchedSource
from hnn_envs.systems import System, SystemSpec, get_system

RUN_STEPS = 100
"""Longest runs of a recording."""
FEWEST_RUNS = 3
"""Starts that even the shortest recording has."""
UNSEEN_STEPS = 400
"""Of the runs that are foretold, at least, and they last ``UNSEEN_SCALES`` time scales at least."""
UNSEEN_SCALES = 10
STEPS = 50
"""In a time scale of a system without a task."""
SEPARATION = 1e-7
"""Distance of the neighbours whose parting is measured."""


@dataclass(frozen=True)
class Unseen:
    """Runs that nobody learned from, without noise.

    Attributes:
        times: shape (points,), from 0.
        states: [q, q'], shape (points, runs, 2*dof).
        inputs: held from each time until the next, shape (points - 1, runs, inputs).
        time_scale: a period, or the measured Lyapunov time of a chaotic system.
    """

    times: Array
    states: Array
    inputs: Array
    time_scale: float


def record_system(system: System, seconds: float, noise: float, seed: int) -> Recording:
    """A recording of a system at its task's time step, under random inputs that change with every step.

    Args:
        system: the system.
        seconds: how long it is watched in all.
        noise: standard deviation of what is added to every component of every state, in the component's own unit.
        seed: of starts, inputs and noise.
    """
    dt, max_input = step_and_input(system.spec)
    steps = max(1, round(seconds / dt))
    each = max(2, min(RUN_STEPS, steps // FEWEST_RUNS))
    count = max(1, round(steps / each))
    rng = np.random.default_rng((seed, 1))
    data, _ = WatchedSource(count * each * dt, each * dt, dt, each, max_input).make(system, rng)
    states = observed(system, data.states)
    states = states + noise * np.random.default_rng((seed, 2)).standard_normal(states.shape)
    return _recording(system.spec, data, states)


def step_and_input(spec: SystemSpec) -> tuple[float, float]:
    """Time between states and size of the inputs: those of the system's task, where there is one."""
    task = Subject.of(spec.name).task
    return (spec.time_scale / STEPS, 1.0) if task is None else (task.dt, float(task.max_input))


def _recording(spec: SystemSpec, data: Dataset, states: Array) -> Recording:
    runs = []
    for number, (along, inputs) in enumerate(zip(states, data.inputs, strict=True), start=1):
        q, v = split(along)
        runs.append(Run(f"{spec.name}, run {number}", data.times, q, v, data.times[:-1], inputs[:-1]))
    return Recording(spec.name, spec.coordinates, spec.inputs, tuple(runs), spec.input_matrix, time_unit=spec.time_unit)


def observed(system: System, states: Array) -> Array:
    """States [q, q'] of a system's own states, shape (..., 2*dof)."""
    return states if system.spec.velocities else join(split(states)[0], split(system.field(states))[0])


@cache
def unseen_runs(name: str, starts: int) -> Unseen:
    """The runs that models of a system are asked to foretell, the same for all."""
    system = get_system(name)
    dt, max_input = step_and_input(system.spec)
    steps = max(UNSEEN_STEPS, round(UNSEEN_SCALES * system.spec.time_scale / dt))
    length = dt * steps
    source = WatchedSource(length, starts * length, dt, steps, max_input)
    _, data = source.make(system, np.random.default_rng((0, 3)))
    scale = 1 / lyapunov_exponent(system, data, dt) if system.spec.chaotic else system.spec.time_scale
    states = np.swapaxes(observed(system, data.states), 0, 1)
    return Unseen(data.times, states, np.swapaxes(data.inputs, 0, 1)[:-1], scale)


def lyapunov_exponent(system: System, runs: Dataset, dt: float) -> float:
    """The rate at which neighbours part, the mean over runs under the inputs of these; Benettin's method.

    A neighbour is brought back to its distance after every step (Benettin, Galgani, Giorgilli, Strelcyn, Meccanica 15
    (1980) 9).
    """
    dynamics = make_dynamics(system, dt=dt)
    x = runs.states[:, 0]
    away = np.random.default_rng(0).standard_normal(x.shape)
    parted = np.zeros(len(x))
    for step in range(len(runs.times) - 1):
        away *= SEPARATION / np.linalg.norm(away, axis=-1, keepdims=True)
        after, neighbour = (dynamics.step(each, runs.inputs[:, step]) for each in (x, x + away))
        x, away = after, neighbour - after
        parted += np.log(np.linalg.norm(away, axis=-1) / SEPARATION)
    return float(parted.mean() / runs.times[-1])
