"""What the benchmarks measure, as functions of plain arrays: each says what it is, and where its definition is from.

Trajectories have time first, then starts, then state components: states (records, starts, 2*dof). A trajectory that
diverged holds inf or NaN from there on; its errors are infinite, never missing.

HLW below is Hairer, Lubich and Wanner, Geometric Numerical Integration, second edition, Springer 2006.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hnn_envs.arrays import Array, join, split, wrapped
from hnn_envs.dynamics import Dynamics
from hnn_envs.systems import System

VALID_MSE = 0.025
"""A prediction counts as valid while its mean square error, relative to the mean square of the truth, is below this."""

CONFIDENCE = 0.95
OWN_LEVEL = 0.01  # that any start is found to drift by chance; stricter, as errors along one start are estimates
ESCAPE_DISTANCE = 3.5  # from the others' centre: the largest distance of the three-body task
ENCOUNTER_DISTANCE = 0.5  # closer than that, the three-body task is over


def never_missing(values: Array) -> Array:
    """NaN, which a diverged trajectory leaves behind, as infinity."""
    return np.where(np.isnan(values), np.inf, values)


def upper_median(values: Sequence[float] | Array) -> float:
    """The median of numbers that may be infinite; of an even number of them the larger of the two in the middle."""
    return float(np.sort(np.asarray(values, dtype=np.float64))[len(values) // 2])


def relative_energy_error(energies: Array, target: Array, scale: Array) -> Array:
    """(H(x(t)) - target) / |scale|, shape of ``energies`` (..., starts), with the true H.

    The error that HLW bound in section IX.8, Long-Time Energy Conservation, relative to the energy at the start.

    Args:
        energies: true energy along the trajectories.
        target: what they should be: the energy at the start, or for a damped system the reference's at that time.
        scale: the energies at the start, shape (starts,).
    """
    return (energies - target) / np.abs(scale)


def energy_mse(energies: Array, target: Array) -> Array:
    """Mean over time of (H(x(t)) - H(x_true(t)))^2 per start, shape (starts,): the metric of Greydanus et al. 2019."""
    return never_missing(np.square(energies - target).mean(axis=0))


@dataclass(frozen=True)
class Trend:
    """The linear trend of the relative energy error over time, and whether it can be told from none.

    Attributes:
        slope: mean over starts, relative energy error per unit of time.
        stderr: its standard error.
        low, high: ends of its confidence interval.
        drifting: how many starts have a trend of their own that is significant after Holm's correction.
        significant: whether there is a drift: the interval leaves out zero, or some start drifts.
    """

    slope: float
    stderr: float
    low: float
    high: float
    drifting: int
    significant: bool


def energy_trend(times: Array, means: Array, *, floor: float = 0.0) -> Trend:
    """Trend of the relative energy error, from its means over successive batches of steps.

    Energy errors of neighbouring steps are anything but independent: they follow the motion. Two things allow for that.
    Over starts, which are drawn independently, the least-squares slopes are independent whatever happens along each, so
    that their mean has the interval of Student's t. Within a start, batch means take out what is faster than a batch,
    and the slope's error allows for what autocorrelation is left (Newey and West, Econometrica 55 (1987) 703). The
    first finds a drift that starts share, the second one that has different signs in different starts. With a single
    start only the second is left.

    Args:
        times: middle of each batch, shape (batches,).
        means: mean relative energy error in each batch, shape (batches, starts).
        floor: what the error may change by over the whole run without counting as a drift, see ``rounding_walk``.
    """
    if not np.isfinite(means).all():
        return Trend(math.inf, math.inf, -math.inf, math.inf, int((~np.isfinite(means).all(axis=0)).sum()), True)
    slopes, errors = slopes_with_errors(times, means)
    count, batches = len(slopes), len(times)
    mean = float(slopes.mean())
    stderr = float(slopes.std(ddof=1) / math.sqrt(count)) if count > 1 else float(errors[0])
    half = stderr * float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1 if count > 1 else batches - 2))
    length = float(times[-1] - times[0])
    own = _holm(_p_values(slopes, errors, batches - 2)) & (np.abs(slopes) * length > floor)
    drifting, shared = int(own.sum()), abs(mean) > half and abs(mean) * length > floor
    return Trend(mean, stderr, mean - half, mean + half, drifting, shared or drifting > 0)


def rounding_walk(steps: int) -> float:
    """How far rounding moves the relative energy error in so many integrator steps.

    Rounding errors make a random walk, which grows as the square root of time and looks like a trend to every test for
    one, though it is none of the method's (HLW, section VIII.5, Reducing Rounding Errors). Each step rounds its handful
    of sums of q and p; four standard deviations of that, taken as independent, are allowed.
    """
    return 4 * float(np.finfo(np.float64).eps) * math.sqrt(10 * steps)


def slopes_with_errors(times: Array, series: Array) -> tuple[Array, Array]:
    """Least-squares slopes of series (records, n) over time and their standard errors by Newey and West, each (n,).

    Bartlett weights over 4 (T/100)^(2/9) lags, the usual rule.
    """
    centred = times - times.mean()
    slopes = centred @ series / (centred @ centred)
    scores = centred[:, None] * (series - series.mean(axis=0) - centred[:, None] * slopes)
    variance = np.array([_long_run_variance(column) for column in scores.T])
    return slopes, np.sqrt(variance) / (centred @ centred)


def _long_run_variance(scores: Array) -> float:
    """The sum of a series' autocovariances times its length, by Newey and West on the prewhitened series.

    Prewhitening takes out what an AR(1) process explains and puts it back in the end (Andrews and Monahan, Econometrica
    60 (1992) 953); without it, strongly correlated noise is taken for a trend in every fourth case.
    """
    power = float(scores @ scores)
    if power == 0.0:
        return 0.0
    correlation = min(0.97, max(-0.9, float(scores[1:] @ scores[:-1]) / power))
    correlation = min(0.97, correlation + (1 + 3 * correlation) / len(scores))  # its estimate is too small by that
    white = scores[1:] - correlation * scores[:-1]
    count = len(white)
    lags = min(count // 2, int(4 * (count / 100) ** (2 / 9)))
    covariances = np.array([float(white[lag:] @ white[: count - lag]) for lag in range(lags + 1)])
    weights = 2 - 2 * np.arange(lags + 1) / (lags + 1)
    weights[0] = 1
    return max(0.0, float(weights @ covariances)) / (1 - correlation) ** 2


def _p_values(slopes: Array, errors: Array, freedom: int) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(errors > 0, np.abs(slopes) / errors, np.where(slopes == 0, 0.0, np.inf))
    return 2 * stats.t.sf(ratios, max(1, freedom))


def _holm(p_values: Array) -> Array:
    """Which of several tests are significant together: Holm, Scandinavian Journal of Statistics 6 (1979) 65."""
    order = np.argsort(p_values)
    passed = p_values[order] <= OWN_LEVEL / np.arange(len(p_values), 0, -1)
    kept = np.zeros(len(p_values), dtype=bool)
    kept[order[: int(np.argmin(passed)) if not passed.all() else len(passed)]] = True
    return kept


def state_difference(states: Array, reference: Array, angles: tuple[bool, ...]) -> Array:
    """The difference to a reference, with differences of angles taken the short way round."""
    difference = states - reference
    turns = np.flatnonzero(angles)
    difference[..., turns] = wrapped(difference[..., turns])
    return difference


def state_rmse(states: Array, reference: Array, angles: tuple[bool, ...]) -> Array:
    """Root mean square over starts and components of the distance to the reference at each time, shape (records,)."""
    return never_missing(np.sqrt(np.square(state_difference(states, reference, angles)).mean(axis=(1, 2))))


def valid_prediction_time(
    times: Array, states: Array, reference: Array, angles: tuple[bool, ...], threshold: float = VALID_MSE
) -> Array:
    """How long each trajectory stays a valid prediction, shape (starts,); infinite where it does to the end.

    Botev et al. 2021 (arXiv 2111.05458): the first time at which the mean square error exceeds a threshold, 0.025 in
    their published configuration. Theirs is of pixels in [0, 1]; of states it is relative to the mean square of the
    reference trajectory here, so that 0.025 is an error of 16 %.

    Args:
        times: shape (records,), starting at 0.
        states: shape (records, starts, 2*dof).
        reference: the true states, same shape.
        angles: which coordinates are angles, one flag per degree of freedom.
        threshold: of the relative mean square error.
    """
    size = np.square(_wrapped(reference, angles)).mean(axis=(0, 2))
    error = never_missing(np.square(state_difference(states, reference, angles)).mean(axis=2)) / size
    failed = error > threshold
    first = failed.argmax(axis=0)
    return np.where(failed.any(axis=0), times[first], np.inf)


def _wrapped(states: Array, angles: tuple[bool, ...]) -> Array:
    return state_difference(states, np.zeros(states.shape[-1]), angles)


def reversal_error(dynamics: Dynamics, x: Array, steps: int) -> Array:
    """Distance from where n steps forth, a flip of the momenta, n steps back and a flip lead, relative to |x|.

    A reversible method retraces its path exactly (HLW, section V.1, Reversible Differential Equations and Maps), so
    that what is left is rounding, and whatever the motion makes of it. Shape (starts,). No damped system is reversible.
    """
    y = x
    with np.errstate(all="ignore"):
        for _ in range(2):
            for _ in range(steps):
                y = dynamics.step(y)
            y = flipped(y)
        return never_missing(np.linalg.norm(y - x, axis=-1) / np.linalg.norm(x, axis=-1))


def flipped(x: Array) -> Array:
    """The state with its momenta reversed."""
    q, p = split(x)
    return join(q, -p)


def symplecticity_defect(dynamics: Dynamics, x: Array, *, spacing: float = 1e-3) -> Array:
    """Largest entry of |M^T J M - c J|, M the Jacobian of one step, shape (starts,).

    Zero for a symplectic map (HLW, section VI.2, Symplectic Transformations). c is 1, or for a damped system
    e^(-gamma dt), by which its flow contracts the form. M comes from the very
    step that is used, by central differences of sixth order: at this spacing both their error and the rounding are some
    1e-12 for a step that is as near to the identity as an environment's.
    """
    jacobian = step_jacobian(dynamics, x, spacing)
    dof = x.shape[-1] // 2
    zero, one = np.zeros((dof, dof)), np.eye(dof)
    form = np.block([[zero, one], [-one, zero]])
    damping = getattr(dynamics.field, "damping", None)
    contraction = math.exp(-float(damping) * dynamics.dt) if damping is not None else 1.0
    defect = np.swapaxes(jacobian, -1, -2) @ form @ jacobian - contraction * form
    return never_missing(np.abs(defect).max(axis=(-1, -2)))


def step_jacobian(dynamics: Dynamics, x: Array, spacing: float) -> Array:
    """The derivative of one step, shape (starts, 2*dof, 2*dof), by central differences of sixth order."""
    starts, size = x.shape
    weights = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
    offsets = np.array([sign * multiple for multiple, _ in weights for sign in (1, -1)], dtype=np.float64)
    factors = np.array([sign * weight for _, weight in weights for sign in (1, -1)])
    shifts = spacing * offsets[:, None, None] * np.eye(size)
    moved = (x[:, None, None, :] + shifts).reshape(-1, size)
    with np.errstate(all="ignore"):
        images = dynamics.step(moved).reshape(starts, len(offsets), size, size)
    return np.swapaxes(np.einsum("k,skij->sij", factors, images) / spacing, -1, -2)


def invariant_change(system: System, x: Array, start: Array) -> dict[str, Array]:
    """Largest |I(x) - I(start)| of each invariant but the energy, over components: name -> shape of x less the last."""
    before, now = system.invariants(start), system.invariants(x)
    changes = {name: np.abs(value - before[name]) for name, value in now.items() if name != "energy"}
    return {name: value if value.ndim < x.ndim else value.max(axis=-1) for name, value in changes.items()}


def escaped(x: Array, bodies: int) -> Array:
    """Whether a body is leaving the others for good, shape (...,).

    It is further than 3.5 from the others' centre of mass, receding, and unbound to it: its relative speed is above the
    escape speed from the others taken as one mass, v^2 / 2 > bodies / distance for unit masses and G = 1.
    """
    q, p = (half.reshape((*half.shape[:-1], bodies, 2)) for half in split(x))
    share = bodies / (bodies - 1)  # body minus the mean of the others = share * (body - mean of all)
    offset, velocity = share * (q - q.mean(-2, keepdims=True)), share * (p - p.mean(-2, keepdims=True))
    distance = np.sqrt((offset * offset).sum(-1))
    receding = (offset * velocity).sum(-1) > 0
    unbound = 0.5 * (velocity * velocity).sum(-1) * distance > bodies
    return ((distance > ESCAPE_DISTANCE) & receding & unbound).any(-1)


def same_survival(times: Array, others: Array, horizon: float) -> float:
    """p-value that two sets of event times are of one distribution: the log-rank test (Mantel 1966).

    Args:
        times: event times of one sample; infinite where there was none before the horizon (right-censored).
        others: of the other, drawn independently.
        horizon: when observation ended.
    """
    samples = [np.minimum(values, horizon) for values in (times, others)]
    seen = [np.isfinite(values) for values in (times, others)]
    if not any(flags.any() for flags in seen):
        return 1.0
    data = [
        stats.CensoredData(uncensored=values[flags], right=values[~flags])
        for values, flags in zip(samples, seen, strict=True)
    ]
    return float(stats.logrank(*data).pvalue)
