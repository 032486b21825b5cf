"""Setting to zero what the data does not ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from hnn_envs.arrays import Array
from hnn_envs.errors import UnknownNameError
from hnn_envs.fitting.optimisers import exact_jacobian, flatten, jacobian_by_differences, unflatten
from hnn_envs.fitting.problem import Problem, Tensors
from hnn_envs.parsing import Amount

NOTHING = 1e-10
"""A derivative this much smaller than the largest is rounding."""


class Pruning:
    """Backward elimination: sets parameters to zero, one after the other, each time the one that is missed the least.

    Where a fit has converged, what a parameter's absence costs when all others adapt follows from the Jacobian (the
    saliency of Hassibi and Stork, "Optimal brain surgeon", NIPS 1992, eq. 5). Elimination ends where all that was taken
    out would cost more than ``allowance``. One step is enough; ``keep_zeros`` of Levenberg-Marquardt keeps the zeros in
    the stages that follow.

    Args:
        problem: what was fitted; only its ``sparse`` parameters may become zero.
        parameters: the fit.
        allowance: how much the mean square may rise, as a share of it.
        tolerance: a root mean square that is as good as none, so that rounding is not taken for a need.
        differences: as of Levenberg-Marquardt.
        only: names of the parameters that may become zero; by default all that the family says may.

    Raises:
        UnknownNameError: ``only`` names one that the family has not, or that may not become zero.
    """

    def __init__(
        self,
        problem: Problem,
        parameters: Tensors,
        *,
        allowance: Amount = 0.1,
        tolerance: Amount = 1e-6,
        differences: Amount = 0.0,
        only: Sequence[str] = (),
    ) -> None:
        for name in only:
            if name not in problem.sparse:
                raise UnknownNameError.of("sparse parameter", name, problem.sparse)
        self.parameters = {name: value.detach().clone() for name, value in parameters.items()}
        self._problem, self._differences = problem, differences
        self._allowance, self._tolerance = allowance, tolerance
        self._sparse = tuple(only) or problem.sparse

    def step(self, step: int) -> float:
        """Prunes, and returns the mean square before."""
        flat = flatten(self.parameters)
        loss = float(self._residuals(flat).square().sum())
        named = [torch.full((value.numel(),), name in self._sparse) for name, value in self.parameters.items()]
        candidates = torch.cat(named) & (flat != 0)
        jacobian = self._jacobian(flat, flat != 0)
        flat = eliminate(flat, jacobian, candidates, self._allowance * loss + self._tolerance**2)
        self.parameters = unflatten(flat, self.parameters)
        return loss

    def _residuals(self, flat: torch.Tensor) -> torch.Tensor:
        residuals: torch.Tensor = self._problem.residuals(unflatten(flat, self.parameters), self._problem.rows)
        scaled: torch.Tensor = residuals.flatten() / math.sqrt(residuals.numel())
        return scaled

    def _jacobian(self, flat: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
        if self._differences:
            return jacobian_by_differences(self._residuals, flat, free, self._differences)
        return exact_jacobian(self._residuals, flat)

    def state(self) -> Tensors:
        """Nothing but the parameters."""
        return {}

    def restore(self, state: Tensors) -> None:
        """Nothing to take up."""


def eliminate_by_evidence(flat: Array, jacobian: Array, residuals: Array, candidates: Array) -> Array:
    """The parameters with those candidates at zero for which residuals give no evidence (Schwarz 1978).

    One that is absent saves log(n) / 2 of the logarithm of the evidence, n being the number of residuals.

    Args:
        flat: where the sum of squares is least, shape (n,).
        jacobian: of the residuals in standard deviations, shape (residuals, n).
        residuals: shape (residuals,).
        candidates: which may become zero, shape (n,).
    """
    count = len(residuals)
    each = math.log(count) * max(1.0, float(np.square(residuals).mean()))
    start, slopes, may_go = (torch.from_numpy(np.ascontiguousarray(table)) for table in (flat, jacobian, candidates))
    kept: Array = eliminate(start, slopes, may_go, math.inf, each).numpy()
    return kept


def eliminate(
    flat: torch.Tensor, jacobian: torch.Tensor, candidates: torch.Tensor, budget: float, each: float = math.inf
) -> torch.Tensor:
    """The parameters with those candidates at zero whose absence costs no more than a budget in all, others adapted.

    Args:
        flat: where the sum of squares is least, shape (n,).
        jacobian: of the residuals, shape (residuals, n).
        candidates: which may become zero, shape (n,).
        budget: what the sum of squares may rise by.
        each: what it may rise by for any one of them.
    """
    fitted, norms = flat.clone(), jacobian.norm(dim=0)
    seen = norms > NOTHING * norms.max()
    fitted[candidates & ~seen] = 0
    columns = seen.nonzero().flatten()
    values, may_go = (fitted * norms)[columns], candidates[columns]
    ridge = NOTHING * torch.eye(len(columns), dtype=flat.dtype)  # of columns that are alike one is enough
    triangle = torch.linalg.qr(torch.cat((jacobian[:, columns] / norms[columns], ridge)), mode="r").R
    spent = 0.0
    while bool(may_go.any()):
        # What absence costs: value^2 / (inverse normal matrix)_ii, the inverse by a triangle's, whose rows are summed.
        inverse = torch.linalg.solve_triangular(triangle, torch.eye(len(values), dtype=flat.dtype), upper=True)
        spread = inverse.square().sum(1)
        cost = torch.where(may_go, values.square() / spread, torch.inf)
        least = int(cost.argmin())
        spent += float(cost[least])
        if not (spent <= budget and float(cost[least]) <= each):
            break
        # The others move to where the sum of squares is least without it.
        values = values - inverse @ inverse[least] * (values[least] / spread[least])
        rest = torch.arange(len(values)) != least
        fitted[columns[least]] = 0
        columns, values, may_go = columns[rest], values[rest], may_go[rest]
        triangle = torch.linalg.qr(triangle[:, rest], mode="r").R
        fitted[columns] = values / norms[columns]
    return fitted
