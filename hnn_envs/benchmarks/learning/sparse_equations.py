"""Equations of motion by sparse regression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from hnn_envs.arrays import Array, join, split
from hnn_envs.benchmarks.learning.intervals import Intervals
from hnn_envs.recordings.recording import Recording

DEGREE = 3
"""Of the polynomials of sparse regression."""
THRESHOLDS = (0.0, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""Coefficients of standardised terms that are smaller become zero."""
HELD_OUT = 5
"""Every so many intervals one is kept, to choose degree, threshold and ridge by."""
RIDGES = (1e-6, 1e-2, 1.0)
SUBSTEPS = 10
"""Of Runge and Kutta's method in a step of what sparse regression found."""


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

    def lighter(self, substeps: int) -> SparseEquations:
        """The same without the terms that are nothing, and with so many substeps."""
        count = len(self.factors)
        used = self.coefficients[:count].any(axis=1)
        kept = np.concatenate((self.coefficients[:count][used], self.coefficients[count:]))
        return SparseEquations(self.data, self.factors[used], kept, substeps)

    def jacobian(self, states: Array, inputs: Array) -> tuple[Array, Array]:
        """The derivatives of the step by states (n, 2*dof, 2*dof) and inputs (n, 2*dof, inputs)."""
        h, size = self.data.dt / self.substeps, states.shape[1]
        moves = np.broadcast_to(np.eye(size, size + inputs.shape[1]), (len(states), size, size + inputs.shape[1]))
        for _ in range(self.substeps):
            at, along, change, turn = states, moves, np.zeros_like(states), np.zeros_like(moves)
            for weight, ahead in ((1, 0.5), (2, 0.5), (2, 1.0), (1, 0.0)):
                rate, slope = self._rates(at, inputs), self._slopes(at, inputs, along)
                change, turn = change + weight * rate, turn + weight * slope
                at, along = states + h * ahead * rate, moves + h * ahead * slope
            states, moves = states + h / 6 * change, moves + h / 6 * turn
        return moves[..., :size], moves[..., size:]

    def _rates(self, states: Array, inputs: Array) -> Array:
        return join(split(states)[1], _terms(self.data, self.factors, states, inputs) @ self.coefficients)

    def _slopes(self, states: Array, inputs: Array, along: Array) -> Array:
        """How the rates change with states that change like ``along`` (n, 2*dof, directions), same shape."""
        dof, size = states.shape[1] // 2, states.shape[1]
        table = _with_one(self.data.lifted(states, inputs))
        slopes = np.sign(split(states)[1]) @ self._sign_shares
        for column, shares in enumerate(self._shares):
            others = np.delete(self.factors, column, axis=1)
            slopes = slopes + np.prod([table[:, each] for each in others.T], axis=0) @ shares
        by_variables = slopes.reshape(len(states), dof, -1)
        by_all = self.data.unlifted(by_variables, states)
        rates = by_all[..., :size] @ along
        rates[..., size:] += by_all[..., size:]
        return np.concatenate((along[:, dof:], rates), axis=1)

    @cached_property
    def _shares(self) -> list[Array]:
        """What each factor of a term adds to the slopes, shapes (terms, dof * variables)."""
        count = len(self.factors)
        variables = np.arange(1, self.data.features + 1)
        polynomial = self.coefficients[:count, :, None]
        return [(polynomial * (column[:, None, None] == variables)).reshape(count, -1) for column in self.factors.T]

    @cached_property
    def _sign_shares(self) -> Array:
        """What the sign of each velocity adds to the slopes by cosines and sines, shape (dof, dof * variables)."""
        dof, angles = len(self.data.angles), sum(self.data.angles)
        shares = np.zeros((dof, dof, self.data.features))
        after = self.coefficients[len(self.factors) + dof :].reshape(2 * angles, dof, dof)
        shares[:, :, dof - angles : dof + angles] = np.moveaxis(after, 0, -1)
        return shares.reshape(dof, -1)


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
    table = _with_one(variables)
    product: Array = table[:, factors[:, 0]]
    for column in factors.T[1:]:
        product = product * table[:, column]
    return product


def _with_one(variables: Array) -> Array:
    table: Array = np.concatenate((np.ones((len(variables), 1)), variables), axis=1)
    return table


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
