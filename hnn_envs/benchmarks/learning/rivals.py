"""Other ways to foretell a recorded system: a Gaussian process and sparse regression, by kept libraries.

Both are told what the Hamiltonian families are told of states: which coordinates are angles, and that the second half
of a state is the velocity. The extra "rivals" brings the libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from hnn_envs.arrays import Array, join, split
from hnn_envs.benchmarks.learning.intervals import Intervals
from hnn_envs.recordings.recording import Recording

Step = Callable[[Array, Array], Array]
"""(states (n, 2*dof), inputs (n, inputs)) -> the states a step later."""

NEEDS = {"gaussian-process": "sklearn", "sindy": "pysindy"}
"""What each rival is of, by the name that it is imported by."""
POINTS = 1000
"""Intervals that a Gaussian process is conditioned on, drawn at random where there are more."""
TUNING_POINTS = 300
"""Of these, the ones that its kernel is fitted to."""
DEGREE = 3
"""Of the polynomials of sparse regression."""
THRESHOLDS = (0.0, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""Coefficients of standardised terms that are smaller become zero."""
HELD_OUT = 5
"""Every so many intervals one is kept, to choose degree, threshold and ridge by."""
RIDGES = (1e-6, 1e-2, 1.0)
SUBSTEPS = 10
"""Of Runge and Kutta's method in a step of what sparse regression found."""


def is_installed(name: str) -> bool:
    """Whether a rival's library is there; True of what is no rival."""
    return name not in NEEDS or find_spec(NEEDS[name]) is not None


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
        tuned = GaussianProcessRegressor(kernel, alpha=1e-10, random_state=seed).fit(seen[few], column[few])
        models.append(GaussianProcessRegressor(tuned.kernel_, alpha=1e-10, optimizer=None).fit(seen, column))
    heights = np.array([model.kernel_.k1.k1.constant_value for model in models])
    lengths = np.stack([model.kernel_.k1.k2.length_scale for model in models])
    white = np.array([model.kernel_.k2.noise_level for model in models])
    weights = np.stack([model.alpha_ for model in models])
    return GaussianProcess(data, middle, width, size, seen, heights, lengths, weights, white)


@dataclass(frozen=True)
class SparseEquations:
    """Accelerations as a sum of terms of a library; called, they are integrated over a step.

    Attributes:
        data: what was seen.
        factors: which variables each of the polynomial terms is the product of, see ``_factors``.
        coefficients: of the terms, shape (terms, dof).
        substeps: of Runge and Kutta's method in a step.
    """

    data: Intervals
    factors: Array
    coefficients: Array
    substeps: int = SUBSTEPS

    def __call__(self, states: Array, inputs: Array) -> Array:
        """The states a step later."""
        h = self.data.dt / self.substeps
        for _ in range(self.substeps):
            k1 = self._rates(states, inputs)
            k2 = self._rates(states + h / 2 * k1, inputs)
            k3 = self._rates(states + h / 2 * k2, inputs)
            k4 = self._rates(states + h * k3, inputs)
            states = states + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return states

    def _rates(self, states: Array, inputs: Array) -> Array:
        return join(split(states)[1], _terms(self.data, self.factors, states, inputs) @ self.coefficients)


def fit_sindy(recording: Recording, seed: int) -> SparseEquations:
    """Sparse regression of accelerations on a library (Brunton, Proctor, Kutz 2016), by PySINDy.

    The library: polynomials of up to degree three in coordinates (angles by cosine and sine), velocities and inputs;
    and signs of velocities, alone and times cosines and sines, for dry friction. Its terms are averaged over each
    interval by Simpson's rule along the cubic through both states and are held against the change of velocity over it
    (the integral form of Schaeffer and McCalla 2017): inputs jump between intervals, so that differences for
    derivatives would not do.
    """
    from pysindy import STLSQ, PolynomialLibrary

    data = Intervals.of(recording)
    library = PolynomialLibrary(degree=DEGREE).fit(data.lifted(data.before[:2], data.inputs[:2]))
    powers = np.asarray(library.powers_)
    factors = _factors(powers)
    parts = [_terms(data, factors, each, data.inputs) for each in (data.before, _between(data), data.after)]
    table = (parts[0] + 4 * parts[1] + parts[2]) / 6
    rates = split(data.after - data.before)[1] / data.dt
    degrees = np.concatenate((powers.sum(axis=1), np.zeros(table.shape[1] - len(powers))))
    return SparseEquations(data, factors, _sparse(STLSQ, table, rates, degrees))


def _terms(data: Intervals, factors: Array, states: Array, inputs: Array) -> Array:
    """Values of the library, shape (n, terms)."""
    lifted = data.lifted(states, inputs)
    signs = np.sign(split(states)[1])
    turning = lifted[:, len(data.angles) - sum(data.angles) :][:, : 2 * sum(data.angles)]
    with_signs = [signs] + [signs * column[:, None] for column in turning.T]
    return np.concatenate((_products(lifted, factors), *with_signs), axis=1)


def _factors(powers: Array) -> Array:
    """Which variables a term is the product of, shape (terms, DEGREE): 0 for none, else the variable's number plus 1.

    PySINDy's own transform computes the same, in some hundred times the time where there are few states.
    """
    rows = [np.repeat(np.arange(1, len(row) + 1), row.astype(np.int64)) for row in powers]
    return np.stack([np.pad(row, (0, DEGREE - len(row))) for row in rows])


def _products(variables: Array, factors: Array) -> Array:
    """Values of the terms, shape (n, terms)."""
    table: Array = np.concatenate((np.ones((len(variables), 1)), variables), axis=1)
    product: Array = table[:, factors[:, 0]]
    for column in factors.T[1:]:
        product = product * table[:, column]
    return product


def _between(data: Intervals) -> Array:
    """States in the middle of intervals, on the cubic through both ends."""
    (q0, v0), (q1, v1) = split(data.before), split(data.after)
    return join((q0 + q1) / 2 + data.dt * (v0 - v1) / 8, 1.5 * (q1 - q0) / data.dt - (v0 + v1) / 4)


def _sparse(method: Any, table: Array, rates: Array, degrees: Array) -> Array:
    """Coefficients, shape (terms, dof), by the degree, threshold and ridge that predict best what was kept."""
    width = np.sqrt(np.square(table).mean(axis=0))
    width = np.where(width > 0, width, 1.0)
    size = np.where(rates.std(axis=0) > 0, rates.std(axis=0), 1.0)
    scaled, asked = table / width, rates / size
    kept = np.arange(len(table)) % HELD_OUT == HELD_OUT - 1

    def fitted(rows: Array, degree: int, threshold: float, ridge: float) -> Array:
        terms = degrees <= degree
        optimiser = method(threshold=threshold, alpha=ridge)
        optimiser.fit(scaled[rows][:, terms], asked[rows])
        found = np.zeros((len(terms), rates.shape[1]))
        found[terms] = np.asarray(optimiser.coef_).T
        return found

    def error(choice: tuple[int, float, float]) -> float:
        return float(np.square(scaled[kept] @ fitted(~kept, *choice) - asked[kept]).mean())

    choices = list(product(range(1, DEGREE + 1), THRESHOLDS, RIDGES))
    best = min(choices, key=error) if kept.any() else choices[0]
    coefficients: Array = fitted(np.ones(len(table), dtype=bool), *best) / width[:, None] * size
    return coefficients


FITS: dict[str, Callable[[Recording, int], Step]] = {
    "gaussian-process": fit_gaussian_process,
    "sindy": fit_sindy,
}
