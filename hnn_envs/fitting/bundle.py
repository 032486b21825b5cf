"""An optimiser for data whose rows have unknowns of their own, such as the states that paths start from."""

from __future__ import annotations

import math

import torch

from hnn_envs.fitting.problem import LATENT, Problem, Tensors
from hnn_envs.parsing import Positive


class BundleAdjustment:
    """Levenberg-Marquardt where every row of data has unknowns of its own, next to those that all share.

    A row's residuals depend on its own unknowns and the shared ones only, so the normal equations of the former are
    small blocks, which are eliminated (Schur complement; Triggs et al. 2000, "Bundle adjustment", section 6). Rows are
    weighed down where they are outliers (pseudo-Huber, as iteratively reweighted least squares).

    Args:
        problem: what is to be fitted; its residuals have shape (rows, n).
        parameters: where to start; the own unknowns, shape (rows, k), are marked by LATENT, and those that are
            ``problem.fixed`` stay as they are.
        outliers: residuals much larger than this count linearly and not as squares.
        damping: first damping, relative to the diagonal of the normal equations.
    """

    def __init__(
        self,
        problem: Problem,
        parameters: Tensors,
        *,
        outliers: Positive = 0.02,
        damping: Positive = 1e-3,
    ) -> None:
        self.parameters = {name: value.detach().clone() for name, value in parameters.items()}
        self._problem, self._outliers, self._damping = problem, outliers, damping
        self._own = [name for name in parameters if name.startswith(LATENT)]
        self._shared = [name for name in parameters if name not in self._own and name not in problem.fixed]

    def step(self, step: int) -> float:
        """One trial step, taken where it lowers the loss."""
        shared, own = self._flat()
        residuals = self._residuals(shared, own)
        before = self._cost(residuals)
        weights = (1 + (residuals / self._outliers).square()).rsqrt()
        change = self._solve(residuals, weights, self._jacobian(shared, own), self._own_jacobian(shared, own))
        trial = shared + change[0], own + change[1]
        after = self._cost(self._residuals(*trial))
        if math.isfinite(after) and after < before:
            self._take(*trial)
            self._damping = max(self._damping / 5, 1e-12)
        else:
            self._damping = min(self._damping * 4, 1e12)
        return before

    def _solve(
        self, residuals: torch.Tensor, weights: torch.Tensor, shared: torch.Tensor, own: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The damped step of the shared unknowns and of the rows' own."""
        weighed = own * weights[..., None]
        blocks = weighed.mT @ own
        cross = torch.einsum("rnk,prn->rkp", weighed, shared)
        slopes = (weighed.mT @ residuals[..., None])[..., 0]
        flat = (shared * weights).flatten(1)
        normal, slope = flat @ shared.flatten(1).T, flat @ residuals.flatten()
        damped = blocks + self._damping * torch.diag_embed(blocks.diagonal(dim1=-2, dim2=-1))
        eliminated = torch.linalg.solve(damped, torch.cat((cross, slopes[..., None]), dim=-1))
        # The last term keeps parameters in place about which the data says nothing.
        largest = normal.diagonal().max()
        reduced = normal + torch.diag(self._damping * normal.diagonal() + 1e-9 * largest)
        reduced = reduced - torch.einsum("rkp,rko->po", cross, eliminated[..., :-1])
        target = slope - torch.einsum("rkp,rk->p", cross, eliminated[..., -1])
        change = -torch.linalg.solve(reduced, target)
        return change, -(eliminated[..., -1] + eliminated[..., :-1] @ change)

    def _jacobian(self, shared: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Derivatives by the shared unknowns, shape (unknowns, rows, n)."""

        def column(direction: torch.Tensor) -> torch.Tensor:
            pair = torch.func.jvp(lambda values: self._residuals(values, own), (shared,), (direction,))
            derivative: torch.Tensor = pair[1]
            return derivative

        columns: torch.Tensor = torch.func.vmap(column, chunk_size=16)(torch.eye(len(shared), dtype=shared.dtype))
        return columns

    def _own_jacobian(self, shared: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Derivatives by the rows' own unknowns, all rows at once since each sees its own only, shape (rows, n, k)."""
        columns = []
        for number in range(own.shape[1]):
            direction = torch.zeros_like(own)
            direction[:, number] = 1
            columns.append(torch.func.jvp(lambda values: self._residuals(shared, values), (own,), (direction,))[1])
        return torch.stack(columns, dim=-1)

    def _residuals(self, shared: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._problem.residuals(self._named(shared, own), self._problem.rows)
        return found

    def _cost(self, residuals: torch.Tensor) -> float:
        """Mean pseudo-Huber loss; the mean square where there are no outliers."""
        # 2 d^2 (sqrt(1 + (r / d)^2) - 1), written so that small residuals are not rounded away.
        return float((2 * residuals.square() / (1 + (1 + (residuals / self._outliers).square()).sqrt())).mean())

    def _flat(self) -> tuple[torch.Tensor, torch.Tensor]:
        shared = torch.cat([self.parameters[name].reshape(-1) for name in self._shared])
        return shared, torch.cat([self.parameters[name] for name in self._own], dim=1)

    def _named(self, shared: torch.Tensor, own: torch.Tensor) -> Tensors:
        sizes = [self.parameters[name].numel() for name in self._shared]
        widths = [self.parameters[name].shape[1] for name in self._own]
        parts = dict(zip(self._shared, torch.split(shared, sizes), strict=True))
        found = {name: part.reshape(self.parameters[name].shape) for name, part in parts.items()}
        return self.parameters | found | dict(zip(self._own, torch.split(own, widths, dim=1), strict=True))

    def _take(self, shared: torch.Tensor, own: torch.Tensor) -> None:
        self.parameters = {name: value.detach().clone() for name, value in self._named(shared, own).items()}

    def state(self) -> Tensors:
        """The damping."""
        return {"damping": torch.tensor(self._damping, dtype=torch.float64)}

    def restore(self, state: Tensors) -> None:
        """Takes up a saved damping."""
        self._damping = float(state["damping"])
