"""Learners that know no physics: an ensemble of networks, a Gaussian process, and sparse regression.

Each is planned in by the same loop as what is learned here. All are told which coordinates are angles, and that the
second half of a state is the velocity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from scipy.optimize import nnls

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.learning.gaussian_process import fit_gaussian_process
from hnn_envs.benchmarks.learning.intervals import Intervals
from hnn_envs.benchmarks.learning.rivals import NEEDS, is_installed
from hnn_envs.benchmarks.learning.sparse_equations import fit_sindy
from hnn_envs.benchmarks.seconds.networks import fit_networks
from hnn_envs.errors import InvalidOptionError, TrainingError, UnknownNameError
from hnn_envs.exploration.learners import Learned, Learner
from hnn_envs.exploration.steps import StepModel
from hnn_envs.learning.systems import describe_system
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.recordings.windows import watch

FEWEST = 10
"""Steps below which nothing is learned."""
SUBSTEPS = 4
"""Of Runge and Kutta's method in a step of sparse regression's equations, which planning takes thousands of."""
MOST_USED = 0.5
"""Share of the intervals that terms of sparse regression count for at most, when its residuals are enlarged."""
LEAST = 1e-6
"""Share of a residual's variance that is at least noise, which a Kalman filter divides by."""
EVEN = 1e-6
"""Share of themselves by which steps of time may differ."""


class StepWithSlopes(Protocol):
    """A step of lists of states and inputs."""

    def __call__(self, states: Array, inputs: Array, /) -> Array:
        """The states a step later."""
        ...

    def jacobian(self, states: Array, inputs: Array, /) -> tuple[Array, Array]:
        """The derivatives by states and inputs."""
        ...


class Fit(NamedTuple):
    """What a rival made of a recording.

    Attributes:
        step: the mean of what follows.
        missed: measured less foretold changes of the intervals, shape (n, 2*dof), each as far as that can be told
            foretold without having been seen; NaN for those of which nothing is known.
        unsure: variance of the step itself, as the rival tells it, shape (2*dof,).
    """

    step: StepWithSlopes
    missed: Array
    unsure: Array


def _networks(recording: Recording, data: Intervals, seed: int) -> Fit:
    networks = fit_networks(data, seed)
    changes = networks.changes(data.before, data.inputs)
    unseen = np.stack([~np.isin(np.arange(len(data.before)), drawn) for drawn in networks.drawn])[..., None]
    count = unseen.sum(axis=0)
    mean = (changes * unseen).sum(axis=0) / np.where(count > 0, count, np.nan)
    return Fit(networks, data.beyond - mean, changes.var(axis=0, ddof=1).mean(axis=0))


def _gaussian_process(recording: Recording, data: Intervals, seed: int) -> Fit:
    process = fit_gaussian_process(recording, seed)
    missed = np.full_like(data.before, np.nan)
    missed[process.rows], unsure = process.left_out()
    return Fit(process, missed, unsure.mean(axis=0))


def _sindy(recording: Recording, data: Intervals, seed: int) -> Fit:
    """With residuals that are as large as generalized cross-validation tells (Craven, Wahba 1979)."""
    equations = fit_sindy(recording, seed).lighter(SUBSTEPS)
    used = (equations.coefficients != 0).sum(axis=0).max() / len(data.before)
    missed = (data.after - equations(data.before, data.inputs)) / (1 - min(used, MOST_USED))
    return Fit(equations, missed, np.zeros(missed.shape[1]))


FITS: dict[str, Callable[[Recording, Intervals, int], Fit]] = {
    "pets": _networks,
    "gaussian-process": _gaussian_process,
    "sindy": _sindy,
}


def rival(name: str) -> Learner:
    """The learner of this name, a key of ``FITS``.

    Raises:
        UnknownNameError: there is no such rival.
        InvalidOptionError: its library is not installed.
    """
    if name not in FITS:
        raise UnknownNameError.of("rival", name, FITS)
    if not is_installed(name):
        raise InvalidOptionError(f'{name} needs {NEEDS[name]}; install hnn_envs with the extra "rivals"')

    def learn(recording: Recording, *, dt: float, seed: int, previous: Learned | None) -> Learned:
        return _learn(name, recording, dt, seed)

    return learn


def _learn(name: str, recording: Recording, dt: float, seed: int) -> Learned:
    _check(recording, dt)
    spec = describe_system(watch(recording), recording.input_matrix)
    data = Intervals.of(recording)
    with np.errstate(all="ignore"):
        try:
            step, missed, unsure = FITS[name](recording, data, seed)
        except np.linalg.LinAlgError as singular:
            raise TrainingError(f"{name} could not be fitted to {recording.name}: {singular}") from singular
        slopes = step.jacobian(data.before, data.inputs)[0]
    known = np.isfinite(missed).all(axis=1)
    if not (known.sum() >= FEWEST // 2 and np.isfinite(slopes[known]).all() and np.isfinite(unsure).all()):
        raise TrainingError(f"{name} foretells states of {recording.name} that are not finite")
    noise, error = noise_and_error(missed, slopes, data)
    return Learned(StepModel(spec, step, step.jacobian), np.sqrt(noise), np.sqrt(np.maximum(error, unsure)))


def _check(recording: Recording, dt: float) -> None:
    """Refuses what no step of ``dt`` can be learned from."""
    runs = recording.runs
    if any(run.velocities is None for run in runs):
        raise InvalidOptionError(f"recording {recording.name!r} has no velocities, which rivals learn from")
    if not all(np.allclose(np.diff(run.times), dt, rtol=EVEN, atol=0) for run in runs):
        raise InvalidOptionError(f"the states of recording {recording.name!r} must be {dt:g} apart")
    if not all(_is_held_over_steps(run, dt) for run in runs):
        raise InvalidOptionError(f"recording {recording.name!r} must have an input for every step")
    steps = sum(len(run.inputs) for run in runs)
    if steps < FEWEST:
        raise TrainingError(f"nothing can be learned from {steps} steps of {recording.name}; {FEWEST} are the fewest")
    if not all(np.isfinite(run.samples).all() and np.isfinite(run.inputs).all() for run in runs):
        raise TrainingError(f"nothing can be learned from {recording.name}, whose states or inputs are not finite")


def _is_held_over_steps(run: Run, dt: float) -> bool:
    starts = run.times[:-1]
    return len(run.input_times) == len(starts) and np.allclose(run.input_times, starts, rtol=0, atol=EVEN * dt)


def noise_and_error(missed: Array, slopes: Array, data: Intervals) -> tuple[Array, Array]:
    """Variances of the noise of states, and of the error of steps, that explain residuals of steps best.

    What a state was measured wrong by is in two residuals: as it is in that of the step to it, and carried on by the
    step in that of the step from it. The error of a step is in one. So the covariances of residuals, and of each with
    the next, tell one from the other; both variances are their least-squares solution. The noise is that of the half
    of the steps that are foretold to change the state least, where errors are small and do not hide it (what was
    measured to change least would be what noise moved back); the error, what of all residuals it leaves.

    Args:
        missed: residuals of the intervals, shape (n, 2*dof); rows with NaN are left out.
        slopes: derivatives of the steps by the states, shape (n, 2*dof, 2*dof).
        data: the intervals.

    Returns:
        The variances of noise and of error, each of shape (2*dof,).
    """
    known = np.isfinite(missed).all(axis=1)
    size = np.sqrt(np.square(missed[known]).mean(axis=0))
    size = np.where(size > 0, size, 1.0)
    r, a = missed / size, slopes * size / size[:, None]
    change = data.after - missed - data.before
    change = np.square(change / np.where(change[known].any(axis=0), change[known].std(axis=0), 1.0)).sum(axis=1)
    noise = np.maximum(_noise(r, a, data.runs, known & (change <= np.median(change[known]))), LEAST)
    error = np.square(r[known]).mean(axis=0) - noise - (np.square(a[known]) @ noise).mean(axis=0)
    return noise * size**2, np.maximum(error, 0.0) * size**2


def _noise(r: Array, a: Array, runs: Array, chosen: Array) -> Array:
    """The variances of noise by the residuals r of chosen steps, whose derivatives are a."""
    count = r.shape[1]
    one = np.eye(count)[:, :, None] * np.eye(count)[:, None, :]
    same = np.einsum("ni,nj->ij", r[chosen], r[chosen]) / chosen.sum()
    by_noise = one + np.einsum("nil,njl->ijl", a[chosen], a[chosen]) / chosen.sum()
    rows, asked = [np.concatenate((by_noise, one), axis=-1)], [same]
    next_too = chosen[:-1] & chosen[1:] & (runs[:-1] == runs[1:])
    if next_too.any():
        later, before = r[1:][next_too], r[:-1][next_too]
        carried = -a[1:][next_too].mean(axis=0)[..., None] * np.eye(count)
        rows.append(np.concatenate((carried, np.zeros_like(one)), axis=-1))
        asked.append(np.einsum("ni,nj->ij", later, before) / len(later))
    found, _ = nnls(np.concatenate(rows).reshape(-1, 2 * count), np.concatenate(asked).ravel())
    noise: Array = found[:count]
    return noise
