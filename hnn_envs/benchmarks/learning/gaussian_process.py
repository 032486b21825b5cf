"""Gaussian processes of a step, as in PILCO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.learning.intervals import Intervals
from hnn_envs.recordings.recording import Recording

POINTS = 1000
"""Intervals that a Gaussian process is conditioned on, drawn at random where there are more."""
TUNING_POINTS = 300
"""Of these, the ones that its kernel is fitted to."""
JITTER = 1e-10
"""Added to the variances of the points, against rounding."""


@dataclass(frozen=True)
class GaussianProcess:
    """The mean of a change of state over a step, one process for each component; called, it takes the step.

    Scikit-learn's own prediction computes the same, in some times the time where there are few states.

    Attributes:
        data: what was seen.
        middle: of the features, shape (features,).
        width: what they are divided by, same shape.
        size: what the changes are multiplied by, shape (2*dof,).
        points: the scaled features that the processes are conditioned on, shape (n, features).
        heights: of the kernels, shape (2*dof,).
        lengths: of the kernels, shape (2*dof, features).
        weights: of the points, shape (2*dof, n).
        white: variance of the white noise, in units of ``size``, shape (2*dof,).
        rows: which intervals the points are, shape (n,).
    """

    data: Intervals
    middle: Array
    width: Array
    size: Array
    points: Array
    heights: Array
    lengths: Array
    weights: Array
    white: Array
    rows: Array

    def __call__(self, states: Array, inputs: Array) -> Array:
        """The states a step later."""
        asked = self._asked(states, inputs)
        means = [self.kernel(asked, number) @ weights for number, weights in enumerate(self.weights)]
        return self.data.moved(states, np.stack(means, axis=1) * self.size)

    def jacobian(self, states: Array, inputs: Array) -> tuple[Array, Array]:
        """The derivatives of the step by states (n, 2*dof, 2*dof) and inputs (n, 2*dof, inputs)."""
        asked = self._asked(states, inputs)
        slopes = np.empty((len(asked), len(self.weights), asked.shape[1]))
        for number, weights in enumerate(self.weights):
            near = self.kernel(asked, number) * weights
            toward = near @ self.points - near.sum(axis=1, keepdims=True) * asked
            slopes[:, number] = toward * (self.size[number] / self.lengths[number] ** 2)
        return self.data.moved_slopes(self.data.unlifted(slopes / self.width, states))

    def kernel(self, asked: Array, number: int) -> Array:
        """Covariances of a component between scaled features and the points, shape (n, points)."""
        apart = cdist(asked / self.lengths[number], self.points / self.lengths[number], metric="sqeuclidean")
        covariances: Array = self.heights[number] * np.exp(-0.5 * apart)
        return covariances

    def left_out(self) -> tuple[Array, Array]:
        """How much more each point's change is than the others foretell, and the variance of what they foretell.

        The closed form is that of Rasmussen and Williams 2006, section 5.4.2.

        Returns:
            Both of shape (n, 2*dof).
        """
        missed, unsure = np.empty((2, len(self.points), len(self.weights)))
        for number, (weights, white) in enumerate(zip(self.weights, self.white, strict=True)):
            covariances = self.kernel(self.points, number) + (white + JITTER) * np.eye(len(self.points))
            variance = 1 / np.diag(np.linalg.inv(covariances))
            missed[:, number] = weights * variance
            unsure[:, number] = np.maximum(variance - white, 0.0)
        return missed * self.size, unsure * self.size**2

    def _asked(self, states: Array, inputs: Array) -> Array:
        scaled: Array = (self.data.lifted(states, inputs) - self.middle) / self.width
        return scaled


def fit_gaussian_process(recording: Recording, seed: int) -> GaussianProcess:
    """Gaussian processes from state and input to the change of state over a step, one for each component.

    Kernel: squared exponential with a length for each feature, and white noise; as in PILCO (Deisenroth, Rasmussen
    2011), with the mean of each change at the state's own velocity times the step where it is a coordinate's.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    data = Intervals.of(recording)
    features, targets = data.lifted(data.before, data.inputs), data.beyond
    middle, width = features.mean(axis=0), features.std(axis=0)
    width = np.where(width > 0, width, 1.0)
    size = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
    rows = np.random.default_rng((seed, 4)).permutation(len(features))[:POINTS]
    seen, known = ((features - middle) / width)[rows], (targets / size)[rows]
    few = slice(min(len(rows), TUNING_POINTS))
    models: list[Any] = []
    for column in known.T:
        kernel = ConstantKernel(1.0, (1e-3, 1e4)) * RBF(np.full(seen.shape[1], 2.0), (1e-1, 1e3))
        kernel += WhiteKernel(1e-3, (1e-10, 1.0))
        tuned = GaussianProcessRegressor(kernel, alpha=JITTER, random_state=seed).fit(seen[few], column[few])
        models.append(GaussianProcessRegressor(tuned.kernel_, alpha=JITTER, optimizer=None).fit(seen, column))
    heights = np.array([model.kernel_.k1.k1.constant_value for model in models])
    lengths = np.stack([model.kernel_.k1.k2.length_scale for model in models])
    white = np.array([model.kernel_.k2.noise_level for model in models])
    weights = np.stack([model.alpha_ for model in models])
    return GaussianProcess(data, middle, width, size, seen, heights, lengths, weights, white, rows)
