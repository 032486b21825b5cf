"""Paths through the samples of a run: where fits begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy.interpolate import CubicHermiteSpline, make_interp_spline, make_smoothing_spline

from hnn_envs.arrays import Array, join
from hnn_envs.recordings.recording import Run

FEWEST = 20
"""Samples from which on cross-validation tells noise from motion; through fewer positions the path is interpolated."""
FULL_BIN = 4
"""Samples in an interval from which on their mean is worth more than each of them."""

Curve = Callable[[Array], Array]
Spline: TypeAlias = Any  # SciPy has no types


@dataclass(frozen=True)
class Path:
    """A smooth path through one run.

    Attributes:
        positions: time -> q, shape (..., dof).
        velocities: time -> q', shape (..., dof).
    """

    positions: Curve
    velocities: Curve

    def states(self, times: Array) -> Array:
        """[q, q'] at times, shape (..., 2*dof)."""
        return join(self.positions(times), self.velocities(times))


def path_of(run: Run, width: float) -> Path:
    """A path through a run.

    Where velocities were recorded, it is the cubics that meet all samples, or the means of those that are denser than
    the width; else smoothing splines, whose stiffness generalized cross-validation chooses (Craven, Wahba 1979).

    Args:
        run: the samples.
        width: time in which the motion is nearly straight.
    """
    if run.velocities is None:
        splines = [_spline(run.times, column) for column in run.positions.T]
        slopes = [spline.derivative() for spline in splines]
        return Path(lambda t: _stacked(splines, t), lambda t: _stacked(slopes, t))
    times, values = _means(run.times, join(run.positions, run.velocities), width)
    size = run.positions.shape[1]
    if len(times) < 2:
        times, values = run.times, join(run.positions, run.velocities)
    curve = CubicHermiteSpline(times, values[:, :size], values[:, size:], axis=0)
    rates = make_interp_spline(times, values[:, size:], k=1, axis=0)
    return Path(curve, rates)


def _means(times: Array, values: Array, width: float) -> tuple[Array, Array]:
    """The means of samples in intervals of a width, where there are several in each; else the samples."""
    count = int((times[-1] - times[0]) / width)
    if count < 2 or len(times) < FULL_BIN * count:
        return times, values
    number = np.minimum(((times - times[0]) / width).astype(np.int64), count - 1)
    sizes = np.bincount(number, minlength=count)
    table = np.column_stack((times, values))
    sums = np.stack([np.bincount(number, column, count) for column in table.T], axis=1)
    means = sums[sizes > 0] / sizes[sizes > 0, None]
    return means[:, 0], means[:, 1:]


def _spline(times: Array, values: Array) -> Spline:
    if len(times) < FEWEST or not np.ptp(values):
        return make_interp_spline(times, values, k=min(3, len(times) - 1))
    return make_smoothing_spline(times, values)


def _stacked(curves: list[Curve], times: Array) -> Array:
    return np.stack([curve(times) for curve in curves], axis=-1)
