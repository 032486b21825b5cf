"""Shooting whose derivatives are chained from those of single steps: all steps of all windows are one batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.fitting.windows import DIFFERENCE, LOST, Shooting, Shot, run_through


@dataclass(frozen=True)
class ChainedShooting(Shooting):
    """The same problem for steps that are smooth, of a fixed method.

    A parameter costs one call of the step on all grid steps at once, where paths from shifted parameters would cost as
    many as a window has steps, on few rows each. The derivatives are the same up to the differences' errors.

    Attributes:
        least: what parameters count where they are smaller, shape (parameters,). One that is there or below, and that
            would become smaller still, is left alone.
    """

    least: Array

    def jacobians(self, flat: Array, starts: Array, free: Array | None = None) -> tuple[Array, Array]:
        """Derivatives of the residuals by the free parameters (n, m, parameters) and by the starts (n, m, 2*dof)."""
        columns = np.flatnonzero(self.free if free is None else free)
        path = run_through(self.build(flat), self.stepper, self.windows, starts)
        count, points, size = path.shape
        x, inputs = path[:, :-1].reshape(-1, size), self.windows.inputs
        u = inputs.reshape(len(x), inputs.shape[2])
        by_state, by_model = (
            table.reshape(count, points - 1, size, table.shape[2])
            for table in self.of_steps(flat, x, u, columns, self.windows.dt)
        )
        along = np.zeros((points, count, size, len(columns) + size))
        along[0, :, :, len(columns) :] = np.eye(size)
        for index in range(points - 1):
            along[index + 1] = by_state[:, index] @ along[index]
            along[index + 1, :, :, : len(columns)] += by_model[:, index]
        shown = self.windows.shown(np.moveaxis(along, (3, 1, 0, 2), (0, 1, 2, 3)))
        missed = self.windows.shown(path) - self.windows.values
        with np.errstate(invalid="ignore"):
            good = self.windows.present[..., None] & (np.abs(missed) < LOST * self.noise)
            scaled = np.where(good & np.isfinite(shown), shown / self.noise, 0.0)
        table = np.moveaxis(scaled, 0, -1).reshape(count, -1, len(columns) + size)
        by_model = table[..., : len(columns)]
        falling = np.tensordot(self.residuals(flat, starts), by_model, axes=2) > 0
        by_model[..., falling & (flat <= self.least)[columns]] = 0.0
        return by_model, table[..., len(columns) :]

    def measured_noise(self, shot: Shot) -> Array:
        """As for any shooting, but infinite where the model diverged."""
        if not np.isfinite(self.missed(shot.flat, shot.starts)).all():
            return np.full(self.windows.observed, np.inf)
        return super().measured_noise(shot)

    def of_steps(self, flat: Array, x: Array, u: Array, columns: Array, dt: float) -> tuple[Array, Array]:
        """Derivatives of steps of ``dt`` by their states (n, 2*dof, 2*dof) and by parameters (n, 2*dof, columns).

        Args:
            flat: the parameters.
            x: states, shape (n, 2*dof).
            u: inputs, shape (n, inputs).
            columns: numbers of the parameters.
            dt: time of a step.
        """
        step = self.stepper(self.build(flat), dt)
        with np.errstate(invalid="ignore", over="ignore"):
            widths = DIFFERENCE * np.maximum(1.0, np.abs(np.where(np.isfinite(x), x, 0.0)).max(axis=0))
            shifted = x[:, None] + np.diag(widths)
            held = np.broadcast_to(u[:, None], (*shifted.shape[:2], u.shape[1]))
            ahead = step(x, u)
            by_state = (step(shifted, held) - ahead[:, None]) / widths[:, None]
            by_model = np.empty((*x.shape, len(columns)))
            for place, column in enumerate(columns):
                other, width = flat.copy(), DIFFERENCE * max(1.0, abs(float(flat[column])))
                other[column] = max(other[column], self.least[column]) + width
                by_model[..., place] = (self.stepper(self.build(other), dt)(x, u) - ahead) / width
        return np.swapaxes(by_state, 1, 2), by_model
