"""Fitting by shooting over windows: every window has a free initial state, so that noise on the states biases nothing.

Multiple shooting (Bock 1983), without the demand that windows meet. Model and starts are fitted together by
Levenberg-Marquardt; the starts are eliminated window by window, so that a step costs what a fit without them would.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from hnn_envs.arrays import Array
from hnn_envs.hamiltonian import VectorField
from hnn_envs.recordings.windows import Windows

Build = Callable[[Array], VectorField]
"""All parameters of a model in one vector -> its vector field."""
Stepper = Callable[[VectorField, float], Callable[[Array, Array | None], Array]]
"""(field, dt) -> its step."""

DIFFERENCE = 1e-6
"""Relative to parameters and states above one."""
SETTLING = 8
"""Steps that windows' starts are fitted with before the model is."""
LOST = 1e3
"""What a sample counts that a model cannot be asked for, since it diverged before, in standard deviations."""
LEAST_NOISE = 1e-10
"""Of a component, as a share of its range: what is below is rounding."""


@dataclass(frozen=True)
class Shot:
    """A fit as it stands.

    Attributes:
        flat: all parameters of the model.
        starts: the windows' initial states, shape (n, 2*dof).
        loss: sum of squares, in units of the noise.
        damping: of Levenberg and Marquardt.
    """

    flat: Array
    starts: Array
    loss: float
    damping: float = 1e-3


@dataclass(frozen=True)
class Prior:
    """What is plausible of a model's parameters before it is fitted: independent normal distributions.

    Attributes:
        centre: their means, shape (parameters,).
        deviation: their standard deviations, shape (parameters,).
    """

    centre: Array
    deviation: Array

    def residuals(self, flat: Array) -> Array:
        """How far parameters are from the means, in standard deviations, shape (parameters,)."""
        return (flat - self.centre) / self.deviation

    @classmethod
    def none(cls, count: int) -> Prior:
        """Anything is plausible."""
        return cls(np.zeros(count), np.full(count, np.inf))


@dataclass(frozen=True)
class Shooting:
    """The problem: a model through windows.

    Attributes:
        build: the model.
        stepper: how it is stepped.
        windows: what it is to foretell.
        noise: standard deviation of each observed component, shape (observed,).
        free: which parameters are fitted, shape (parameters,).
        prior: what is plausible of all parameters; it decides where the windows do not.
    """

    build: Build
    stepper: Stepper
    windows: Windows
    noise: Array
    free: Array
    prior: Prior

    def begin(self, flat: Array) -> Shot:
        """Where a fit starts: at the windows' starts that suit the model as it is, from the estimated ones."""
        shot = self._shot(flat, self.windows.starts)
        return replace(self, free=np.zeros_like(self.free)).fit(shot, SETTLING)

    def _shot(self, flat: Array, starts: Array, damping: float = 1e-3) -> Shot:
        missed, unlikely = self.residuals(flat, starts), self.prior.residuals(flat)
        return Shot(flat, starts, float(np.square(missed).sum() + np.square(unlikely).sum()), damping)

    def missed(self, flat: Array, starts: Array) -> Array:
        """Model minus samples, shape (n, samples, observed); 0 where there is none, NaN where the model diverged."""
        windows = self.windows
        missed = windows.shown(run_through(self.build(flat), self.stepper, windows, starts)) - windows.values
        return np.where(windows.present[..., None], missed, 0.0)

    def residuals(self, flat: Array, starts: Array) -> Array:
        """The same in standard deviations, shape (n, samples * observed), and ``LOST`` where the model diverged."""
        scaled = self.missed(flat, starts) / self.noise
        with np.errstate(invalid="ignore"):
            good = np.abs(scaled) < LOST
        return np.where(good, scaled, LOST).reshape(len(starts), -1)

    def jacobians(self, flat: Array, starts: Array, free: Array | None = None) -> tuple[Array, Array]:
        """Derivatives of the residuals by the free parameters (n, m, parameters) and by the starts (n, m, 2*dof)."""
        here = self.residuals(flat, starts)
        columns = np.flatnonzero(self.free if free is None else free)
        by_model = np.empty((*here.shape, len(columns)))
        for place, column in enumerate(columns):
            shifted, width = flat.copy(), DIFFERENCE * max(1.0, abs(float(flat[column])))
            shifted[column] += width
            by_model[..., place] = _slope(self.residuals(shifted, starts), here, width)
        by_start = np.empty((*here.shape, starts.shape[1]))
        sizes = DIFFERENCE * np.maximum(1.0, np.abs(starts).max(axis=0))
        for component, size in enumerate(sizes.tolist()):
            moved = starts.copy()
            moved[:, component] += size
            by_start[..., component] = _slope(self.residuals(flat, moved), here, size)
        return by_model, by_start

    def fit(self, shot: Shot, steps: int, told: Callable[[int, int, float], object] = lambda *_: None) -> Shot:
        """Levenberg-Marquardt (Nielsen's damping, IMM-REP-1999-05), at most so many trial steps.

        Args:
            shot: where to start.
            steps: how many; it ends earlier where nothing is gained.
            told: called with the number of the step, how many there are, and the root mean square in units of noise.
        """
        growth, largest, here = 2.0, np.zeros(int(self.free.sum())), None
        samples = max(1, int(self.windows.present.sum()) * self.windows.observed)
        sharpness = 1 / self.prior.deviation[self.free]
        for step in range(steps):
            told(step, steps, math.sqrt(shot.loss / samples))
            if here is None:
                residuals = self.residuals(shot.flat, shot.starts)
                here = residuals, *self.jacobians(shot.flat, shot.starts)
                largest = np.maximum(largest, np.hypot(np.linalg.norm(here[1], axis=(0, 1)), sharpness))
            unlikely = self.prior.residuals(shot.flat)[self.free]
            change, moved, predicted = damped_step(*here, unlikely, sharpness, shot.damping, largest)
            flat = shot.flat.copy()
            flat[self.free] += change
            trial = self._shot(flat, shot.starts + moved)
            gain = shot.loss - trial.loss
            if math.isfinite(gain) and gain > 0:
                ratio = 2 * gain / max(predicted, 1e-3 * gain) - 1
                done = gain < 1e-7 * shot.loss and shot.damping < 1e-2
                shot = replace(trial, damping=max(1e-14, shot.damping * max(1 / 3, 1 - ratio**3)))
                growth, here = 2.0, None
                if done:
                    break
            else:
                shot, growth = replace(shot, damping=shot.damping * growth), 2 * growth
                if shot.damping > 1e8:
                    break
        return shot

    def measured_noise(self, shot: Shot) -> Array:
        """Standard deviation of what the model misses, by component, corrected for what was fitted."""
        missed = self.missed(shot.flat, shot.starts)
        count = int(self.windows.present.sum())
        spent = (int(self.free.sum()) + shot.starts.size) / (count * self.windows.observed)
        values = self.windows.values[self.windows.present]
        finite = np.isfinite(missed).all(axis=(1, 2), keepdims=True)
        size = np.sqrt(np.square(np.where(finite, missed, 0.0)).sum((0, 1)) / max(1, count))
        return np.maximum(size / math.sqrt(max(0.1, 1 - spent)), LEAST_NOISE * np.maximum(np.ptp(values, axis=0), 1e-9))

    def reduced(self, shot: Shot, free: Array) -> tuple[Array, Array]:
        """Jacobian by some parameters and residuals of the windows, with the starts eliminated, as tables of rows."""
        residuals = self.residuals(shot.flat, shot.starts)
        by_model, by_start = self.jacobians(shot.flat, shot.starts, free)
        basis, _ = np.linalg.qr(by_start)
        by_model = by_model - basis @ (np.swapaxes(basis, 1, 2) @ by_model)
        rest = residuals - (basis @ (np.swapaxes(basis, 1, 2) @ residuals[..., None]))[..., 0]
        return by_model.reshape(-1, by_model.shape[-1]), rest.reshape(-1)


def run_through(field: VectorField, stepper: Stepper, windows: Windows, starts: Array) -> Array:
    """The path of a model on the grid, from a start in each window, shape (n, steps + 1, 2*dof)."""
    step = stepper(field, windows.dt)
    path = np.empty((len(starts), windows.steps + 1, starts.shape[1]))
    path[:, 0] = starts
    for index in range(windows.steps):
        path[:, index + 1] = step(path[:, index], windows.inputs[:, index])
    return path


def damped_step(
    residuals: Array,
    by_model: Array,
    by_start: Array,
    unlikely: Array,
    sharpness: Array,
    damping: float,
    scale: Array,
) -> tuple[Array, Array, float]:
    """The damped least-squares step of parameters and starts, and by how much the sum of squares should fall.

    Starts are eliminated by a QR decomposition per window, which does not square the condition number.

    Args:
        residuals: shape (n, m).
        by_model: their derivatives by the parameters, shape (n, m, parameters).
        by_start: their derivatives by the starts, shape (n, m, 2*dof).
        unlikely: residuals of the prior, shape (parameters,).
        sharpness: their derivatives, each by its own parameter, shape (parameters,).
        damping: of Levenberg and Marquardt.
        scale: of each parameter's column, shape (parameters,).
    """
    count, _, size = by_start.shape
    own = np.sqrt(damping) * np.maximum(np.linalg.norm(by_start, axis=1), 1e-12)
    start_rows = np.concatenate((by_start, own[:, :, None] * np.eye(size)), axis=1)
    model_rows = np.concatenate((by_model, np.zeros((count, size, by_model.shape[2]))), axis=1)
    target = np.concatenate((residuals, np.zeros((count, size))), axis=1)
    basis, triangle = (part.numpy() for part in torch.linalg.qr(torch.from_numpy(start_rows)))
    turned = np.swapaxes(basis, 1, 2)
    model_part, target_part = turned @ model_rows, turned @ target[..., None]
    table = (model_rows - basis @ model_part).reshape(target.size, by_model.shape[2])
    rest = (target[..., None] - basis @ target_part).reshape(-1)
    damped = np.concatenate((table, np.diag(sharpness), np.diag(math.sqrt(damping) * np.maximum(scale, 1e-12))))
    change = least_squares(damped, -np.concatenate((rest, unlikely, np.zeros(len(scale)))))
    moved = -np.linalg.solve(triangle, target_part + model_part @ change[:, None])[..., 0]
    left = residuals + by_model @ change + (by_start @ moved[..., None])[..., 0]
    fallen = np.square(residuals).sum() - np.square(left).sum()
    fallen += np.square(unlikely).sum() - np.square(unlikely + sharpness * change).sum()
    return change, moved, float(fallen)


def least_squares(table: Array, target: Array) -> Array:
    """The solution of a problem whose columns are independent, by a QR decomposition.

    It is torch's, which keeps to one thread where that is asked for: NumPy's takes far longer on cores that are busy.
    """
    tensors = torch.from_numpy(table), torch.from_numpy(target[:, None])
    found: Array = torch.linalg.lstsq(*tensors, driver="gels").solution[:, 0].numpy()
    return found


def _slope(there: Array, here: Array, width: float) -> Array:
    """Difference quotients; none where a model diverged."""
    lost = (np.abs(there) >= LOST) | (np.abs(here) >= LOST)
    return np.where(lost, 0.0, (there - here) / width)
