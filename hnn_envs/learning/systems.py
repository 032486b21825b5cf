"""What system a recording is of: its description, and which coordinate each input pushes where the user did not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np

from hnn_envs.arrays import Array, join
from hnn_envs.checkpoints import Domain
from hnn_envs.errors import DataError, InvalidOptionError
from hnn_envs.recordings.windows import Watched
from hnn_envs.systems import SystemSpec

Matrix = tuple[tuple[float, ...], ...]

WHOLE_CIRCLE = 0.95
"""Share of a turn from which an angle is said to take all values."""
STEPS_PER_SCALE = 500
"""Of a fourth-order method, per time scale; what systems of this package need."""


def describe_system(watched: Watched, input_matrix: Matrix | None) -> SystemSpec:
    """The description of the system of a recording.

    Raises:
        InvalidOptionError: the names in the recording cannot be those of a system, or there is no input matrix.
    """
    recording = watched.recording
    if input_matrix is None:
        raise InvalidOptionError(f"recording {recording.name!r} must say by input_matrix what its inputs push")
    return SystemSpec(
        recording.name,
        recording.coordinates,
        recording.inputs,
        input_matrix,
        time_scale=watched.time_scale,
        longest_step=watched.time_scale / STEPS_PER_SCALE,
        dissipative=True,
        velocities=True,
        time_unit=recording.time_unit,
    )


def possible_matrices(dof: int, inputs: int) -> Iterator[Matrix]:
    """Input matrices in which every input pushes one coordinate, each another.

    Raises:
        DataError: there are more inputs than coordinates.
    """
    if inputs > dof:
        raise DataError(
            f"a recording with {inputs} inputs and {dof} coordinates must say by input_matrix what each input pushes"
        )
    if inputs == dof:
        yield _matrix(dof, tuple(range(dof)))
        return
    for pushed in permutations(range(dof), inputs):
        yield _matrix(dof, pushed)


def _matrix(dof: int, pushed: tuple[int, ...]) -> Matrix:
    return tuple(tuple(float(pushed[column] == row) for column in range(len(pushed))) for row in range(dof))


def domain_of(watched: Watched, energies: Array | None) -> Domain:
    """What a recording covers: states, inputs, and the learned energy of its states where there is one."""
    states = states_of(watched)
    low, high = states.min(axis=0), states.max(axis=0)
    for index, coordinate in enumerate(watched.recording.coordinates):
        if not coordinate.angle:
            continue
        if high[index] - low[index] >= WHOLE_CIRCLE * 2 * np.pi:
            low[index], high[index] = -np.pi, np.pi
        else:
            turns = 2 * np.pi * np.round((low[index] + high[index]) / (4 * np.pi))
            low[index], high[index] = low[index] - turns, high[index] - turns
    inputs = None
    if watched.recording.inputs:
        held = np.concatenate([run.inputs for run in watched.recording.runs])
        inputs = tuple((float(a), float(b)) for a, b in zip(held.min(axis=0), held.max(axis=0), strict=True))
    span = None if energies is None else (float(energies.min()), float(energies.max()))
    return replace(Domain(tuple(low.tolist()), tuple(high.tolist()), span), inputs=inputs)


def states_of(watched: Watched) -> Array:
    """All states of a recording, shape (n, 2*dof): as they were recorded, or with estimated velocities."""
    parts = [
        join(run.positions, path.velocities(run.times) if run.velocities is None else run.velocities)
        for run, path in zip(watched.recording.runs, watched.paths, strict=True)
    ]
    return np.concatenate(parts)


def machine_units(watched: Watched) -> tuple[float, float]:
    """About how large masses and energies are: from how inputs change velocities, and 1 where there are no inputs."""
    states = states_of(watched)
    speed = float(np.sqrt(np.square(states[:, watched.recording.dof :]).mean())) or 1.0
    rates = [
        np.gradient(path.velocities(run.times), run.times, axis=0)
        for run, path in zip(watched.recording.runs, watched.paths, strict=True)
    ]
    rate = float(np.sqrt(np.square(np.concatenate(rates)).mean())) or 1.0
    forces = [run.inputs for run in watched.recording.runs if run.inputs.size]
    force = float(np.sqrt(np.square(np.concatenate(forces)).mean())) if forces else 0.0
    inertia = force / rate if force > 0 else 1.0
    return inertia, inertia * speed**2
