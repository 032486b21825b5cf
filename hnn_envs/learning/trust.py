"""How far a learned model can be trusted, measured on stretches of a recording that it was not learned from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.fitting.windows import Stepper, run_through
from hnn_envs.hamiltonian import HamiltonianFlow, LagrangianFlow, VectorField
from hnn_envs.learning.shares import Span
from hnn_envs.recordings.windows import Watched, Windows, cut, mean_inputs

VALID = 0.3
"""Error from which a prediction is no longer valid, root mean square of the components in units of their deviation."""
STARTS = 4
"""Predictions that start in each stretch, one after another."""
RESAMPLES = 400
"""Of the bootstrap that gives intervals."""
NEAR = 0.25
"""Share of the time scale after which the spread of an ensemble is held against errors."""
NOISE_DRAWS = 8
"""Starts that are drawn to see what noise of the start makes of a prediction."""
ROUNDING = 1e-9
WIDE = 2.0
"""Standard deviations in which 95 of 100 errors should lie."""


@dataclass(frozen=True)
class Predictions:
    """Open-loop predictions through stretches of a recording.

    Attributes:
        windows: what was recorded.
        errors: predicted minus recorded in units of each component's deviation, shape (n, samples, observed); infinite
            where the model diverged.
    """

    windows: Windows
    errors: Array

    @property
    def size(self) -> Array:
        """Root mean square over the components, shape (n, samples)."""
        with np.errstate(over="ignore"):
            return np.sqrt(np.square(self.errors).mean(axis=-1))


def predict(watched: Watched, spans: Sequence[Span], field: VectorField, stepper: Stepper) -> Predictions:
    """Predicts stretches of a recording from its states at several starts in each, to the end of the stretch."""
    windows = windows_of(watched, spans)
    errors = (windows.shown(run_through(field, stepper, windows, windows.starts)) - windows.values) / deviation(watched)
    errors = np.where(np.isfinite(errors), errors, np.inf)
    return Predictions(windows, np.where(windows.present[..., None], errors, 0.0))


def windows_of(watched: Watched, spans: Sequence[Span]) -> Windows:
    """Windows from several starts in each stretch to its end."""
    parts = [
        (number, _at_sample(watched, number, first + place * (last - first) / STARTS), last)
        for number, first, last in spans
        for place in range(STARTS)
    ]
    parts = sorted({part for part in parts if part[2] - part[1] > 0.5 * watched.dt})
    longest = max(last - first for _, first, last in parts)
    return cut(watched, max(1, math.ceil(longest / watched.dt - 1e-6)), parts)


def _at_sample(watched: Watched, number: int, time: float) -> float:
    times = watched.recording.runs[number].times
    return float(times[max(0, int(np.searchsorted(times, time + 1e-9 * abs(time), "right")) - 1)])


def deviation(watched: Watched) -> Array:
    """Standard deviation of each observed component over a recording, shape (observed,)."""
    size = np.concatenate([run.samples for run in watched.recording.runs]).std(axis=0)
    angles = np.array([coordinate.angle for coordinate in watched.recording.coordinates])
    size[: len(angles)] = np.where(angles, np.minimum(size[: len(angles)], 1.0), size[: len(angles)])
    return np.where(size > 0, size, 1.0)


def score(predictions: Predictions, horizon: float) -> float:
    """Mean error over a horizon, where one deviation or more counts as one: 0 is perfect, 1 useless."""
    chosen = predictions.windows.present & (predictions.windows.times <= horizon * (1 + 1e-9))
    chosen &= predictions.windows.times > 0
    capped = np.minimum(predictions.size, 1.0)
    return float(capped[chosen].mean()) if chosen.any() else 1.0


@dataclass(frozen=True)
class ValidTime:
    """How long predictions stay valid.

    Attributes:
        median: over the predictions, in the recording's unit of time.
        low: of the interval that has the median in 95 of 100 cases.
        high: likewise.
        whole: share of predictions that stay valid to the end of their stretch, which bounds the median from below.
    """

    median: float
    low: float
    high: float
    whole: float


def valid_time(predictions: Predictions, seed: int = 0) -> ValidTime:
    """The valid prediction time; predictions that stay valid to their end count with their length."""
    windows, wrong = predictions.windows, (predictions.size > VALID) & predictions.windows.present
    ends = np.where(windows.present, windows.times, 0.0).max(axis=1)
    first = np.where(wrong.any(axis=1), windows.times[np.arange(len(windows)), wrong.argmax(axis=1)], ends)
    rng = np.random.default_rng(seed)
    medians = np.median(first[rng.integers(len(first), size=(RESAMPLES, len(first)))], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return ValidTime(float(np.median(first)), float(low), float(high), float((~wrong.any(axis=1)).mean()))


@dataclass(frozen=True)
class Spread:
    """An ensemble's spread held against errors up to a quarter of a time scale ahead, in units of deviations.

    Attributes:
        errors: of the model, shape (n, observed).
        spread: root mean square of the members' differences from the model, same shape.
        noise: standard deviation that noise of start and sample gives, same shape.
    """

    errors: Array
    spread: Array
    noise: Array


def spread_ahead(
    watched: Watched,
    spans: Sequence[Span],
    field: VectorField,
    members: Sequence[VectorField],
    stepper: Stepper,
    noise: Array,
) -> Spread:
    """What members of an ensemble say about the model's errors on stretches of a recording.

    Args:
        watched: the recording.
        spans: the stretches.
        field: the model.
        members: the ensemble, at least one.
        stepper: how they are stepped.
        noise: standard deviation of the recording's samples, shape (observed,).
    """
    steps = max(1, round(NEAR * watched.time_scale / watched.dt))
    shifts = sorted({round(steps * part / STARTS) * watched.dt for part in range(STARTS)})
    moved = [(number, _at_sample(watched, number, first + by), last) for number, first, last in spans for by in shifts]
    windows = cut(watched, steps, [span for span in moved if span[2] - span[1] > 0.5 * watched.dt])
    chosen, scale = windows.present & (windows.times > 0), deviation(watched)

    def shown(each: VectorField, starts: Array) -> Array:
        return windows.shown(run_through(each, stepper, windows, starts))[chosen] / scale

    own = shown(field, windows.starts)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = _size([shown(member, windows.starts) - own for member in members])
        errors = own - windows.values[chosen] / scale
        rng = np.random.default_rng(0)
        start_noise = noise if len(noise) == windows.starts.shape[1] else _with_velocities(noise, watched.time_scale)
        draws = [windows.starts + start_noise * rng.standard_normal(windows.starts.shape) for _ in range(NOISE_DRAWS)]
        from_start = _size([shown(field, starts) - own for starts in draws]) if noise.any() else 0 * own
    return Spread(np.where(np.isfinite(errors), errors, np.inf), spread, np.hypot(from_start, noise / scale))


def _size(differences: list[Array]) -> Array:
    """Root mean square over a list; infinite where one is not finite."""
    table = np.stack(differences)
    return np.sqrt(np.square(np.where(np.isfinite(table), table, np.inf)).mean(axis=0))


def _with_velocities(noise: Array, time_scale: float) -> Array:
    """The noise of states of which only positions were recorded: velocities come from these."""
    return np.concatenate((noise, noise * 2 * math.pi / time_scale))


def calibration(spread: Spread) -> float:
    """What to multiply a spread by so that it explains the errors that noise does not, at least 0.01."""
    usable = np.isfinite(spread.errors) & np.isfinite(spread.spread) & np.isfinite(spread.noise)
    if not usable.any():
        return 1.0
    errors, apart, noise = (values[usable] for values in (spread.errors, spread.spread, spread.noise))
    explained = float(np.square(apart).sum())
    left = max(0.0, float((np.square(errors) - np.square(noise)).sum()))
    return min(1e6, max(0.01, math.sqrt(left / explained))) if explained > 0 else 1.0


def coverage(spread: Spread, scale: float) -> float:
    """Share of errors within two standard deviations, of spread and noise together: 0.95 where all is calibrated.

    What a model cannot foretell, since it diverges, is not covered.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        width = WIDE * np.hypot(scale * spread.spread, spread.noise)
    return float(((np.abs(spread.errors) <= width + ROUNDING) & np.isfinite(spread.errors)).mean())


def energy_balance(watched: Watched, spans: Sequence[Span], field: HamiltonianFlow) -> float:
    """Learned energy against work: what inputs and friction do along the recorded path, and how H changes there.

    Returns:
        Root mean square of the difference over that of the changes of H, between times a quarter of a scale apart.
    """
    changes, works = [], []
    for number, first, last in spans:
        run, path = watched.recording.runs[number], watched.paths[number]
        step = NEAR * watched.time_scale
        count = max(1, math.floor((last - first) / step))
        parts = max(2, math.ceil((last - first) / count / watched.dt)) * 4
        times = np.linspace(first, last, count * parts + 1)
        states = path.states(times)
        held = mean_inputs(run, times)
        middle = 0.5 * (states[1:] + states[:-1])
        power = input_power(field, middle, held) * np.diff(times)
        works.append(power.reshape(count, parts).sum(axis=1))
        changes.append(np.diff(field.hamiltonian.value(states)[::parts]))
    change, work = np.concatenate(changes), np.concatenate(works)
    size = float(np.sqrt(np.square(change).mean()))
    return float(np.sqrt(np.square(change - work).mean())) / size if size > 0 else 0.0


def input_power(field: HamiltonianFlow, x: Array, u: Array) -> Array:
    """What inputs, friction and damping do per unit of time to the energy of states, shape (...,)."""
    if isinstance(field, LagrangianFlow):
        flow, rate, momentum = field.canonical, split(x)[1], split(field.to_canonical(x))[1]
    else:
        flow, rate, momentum = field, split(field.hamiltonian.gradient(x))[1], split(x)[1]
    force = flow.input_force(u)
    if flow.dissipation is not None:
        force = force + flow.dissipation.force(rate)
    if flow.damping is not None:
        force = force - flow.damping * momentum
    power: Array = (force * rate).sum(axis=-1)
    return power
