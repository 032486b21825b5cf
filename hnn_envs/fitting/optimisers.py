"""Two ways to lower a loss: Adam on minibatches, as the seed paper does, and Levenberg-Marquardt for small models.

Both are resumable: ``state`` is a flat dict of tensors, and the rows of a minibatch depend on seed and step alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from hnn_envs.errors import UnknownNameError
from hnn_envs.fitting import OPTIMISERS
from hnn_envs.fitting.losses import mean_square
from hnn_envs.fitting.problem import Batch, Optimiser, Problem, Tensors
from hnn_envs.parsing import Amount, Count, CountOrNone, Positive
from hnn_envs.registry import construct


class Adam:
    """Adam with weight decay, as the seed paper's training (Kingma and Ba 2015; the decay is L2, as in torch's Adam).

    Args:
        problem: what is to be fitted.
        parameters: where to start.
        learning_rate: the first step size.
        batch: rows per step; 0 is all of them.
        weight_decay: L2 penalty.
        final_rate: the last step size, reached along a cosine; by default the first, a constant rate.
    """

    def __init__(
        self,
        problem: Problem,
        parameters: Tensors,
        *,
        learning_rate: Positive = 1e-3,
        batch: CountOrNone = 0,
        weight_decay: Amount = 0.0,
        final_rate: Amount | None = None,
    ) -> None:
        self.parameters = {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}
        self._problem, self._batch = problem, batch
        self._rates = (learning_rate, learning_rate if final_rate is None else final_rate)
        self._adam = torch.optim.Adam(self.parameters.values(), learning_rate, weight_decay=weight_decay)

    def step(self, step: int) -> float:
        """One gradient step."""
        self._adam.param_groups[0]["lr"] = self._rate(step)
        loss = mean_square(self._problem.residuals(self.parameters, self._rows(step)))
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        return float(loss.detach())

    def _rate(self, step: int) -> float:
        first, last = self._rates
        return last + 0.5 * (first - last) * (1 + math.cos(math.pi * step / self._problem.steps))

    def _rows(self, step: int) -> Batch:
        count = len(self._problem.rows[0])
        if self._batch in (0, count):
            return self._problem.rows
        rng = np.random.default_rng((self._problem.seed, step))
        chosen = torch.from_numpy(rng.integers(count, size=self._batch))
        return tuple(values[chosen] for values in self._problem.rows)

    def state(self) -> Tensors:
        """First and second moments and the step counts, by parameter."""
        saved: Tensors = {}
        for name, value in self.parameters.items():
            for key, moment in self._adam.state.get(value, {}).items():
                saved[f"{name}/{key}"] = moment.clone()
        return saved

    def restore(self, state: Tensors) -> None:
        """Takes up saved moments."""
        for entry, moment in state.items():
            name, key = entry.rsplit("/", 1)
            self._adam.state[self.parameters[name]][key] = moment.clone()


SCALINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "present": lambda norms, _: norms,
    "largest": lambda norms, before: torch.maximum(norms, before.to(norms)),
    "largest of all": lambda norms, _: norms.max().expand_as(norms).clone(),
}
"""(column norms, scale before) -> scale."""


class LevenbergMarquardt:
    """Levenberg-Marquardt with an exact Jacobian, all rows at once (Nielsen's damping, IMM-REP-1999-05).

    For models of up to a few hundred parameters it reaches in seconds what gradient descent does not in hours. Each
    step solves the damped least-squares problem by QR, which does not square the condition number.

    Args:
        problem: what is to be fitted.
        parameters: where to start.
        damping: first damping, relative to the Jacobian's column norms.
        ridge: weight of an L2 penalty on the networks' parameters, next to the mean square.
        chunk: columns of the Jacobian computed at a time; bounds the memory.
        scaling: what the damping is relative to: the "present" norms of the Jacobian's columns; the "largest" so far
            (More, LNM 630, 1978), so that a parameter that does nothing for a while is not free to run away; or
            the "largest of all" columns, which keeps those that the data says little about near their start.
        differences: takes the Jacobian by differences over this much, relative to parameters above 1, for residuals
            that have no gradient; 0 takes it exactly.
        keep_zeros: leaves parameters alone that are exactly zero when the stage begins.
        hold: names of parameters that are left alone altogether.
    """

    def __init__(
        self,
        problem: Problem,
        parameters: Tensors,
        *,
        damping: Positive = 1e-3,
        ridge: Amount = 0.0,
        chunk: Count = 32,
        scaling: str = "present",
        differences: Amount = 0.0,
        keep_zeros: bool = False,
        hold: Sequence[str] = (),
    ) -> None:
        if scaling not in SCALINGS:
            raise UnknownNameError.of("scaling", scaling, SCALINGS)
        self.parameters = {name: value.detach().clone() for name, value in parameters.items()}
        self._problem, self._chunk = problem, chunk
        self._damping, self._growth = damping, 2.0
        self._ridge = ridge
        networks = [torch.full((value.numel(),), name in problem.networks) for name, value in parameters.items()]
        self._networks = torch.cat(networks)
        self._scaling, self._scale = scaling, torch.zeros(len(self._networks), dtype=torch.float64)
        for name in hold:
            if name not in parameters:
                raise UnknownNameError.of("parameter", name, parameters)
        held = [torch.full((value.numel(),), name in hold) for name, value in parameters.items()]
        self._free = ~torch.cat(held) & ((flatten(self.parameters) != 0) | (not keep_zeros))
        self._differences = differences
        self._here: tuple[torch.Tensor, torch.Tensor] | None = None  # residuals and Jacobian, until a step is taken

    def step(self, step: int) -> float:
        """One trial step, taken where it lowers the loss."""
        flat = flatten(self.parameters)
        residuals = self._residuals(flat) if self._here is None else self._here[0]
        loss = float(residuals @ residuals)
        if not math.isfinite(loss):
            return loss
        jacobian = self._jacobian(flat) if self._here is None else self._here[1]
        self._here = residuals, jacobian
        change = self._solve(residuals, jacobian)
        trial = self._residuals(flat + change)
        gain = loss - float(trial @ trial)
        predicted = loss - float((residuals + jacobian @ change).square().sum())
        if math.isfinite(gain) and gain > 0:
            self.parameters = unflatten(flat + change, self.parameters)
            self._here = None
            self._damping *= max(1 / 3, 1 - (2 * gain / max(predicted, gain * 1e-3) - 1) ** 3)
            self._growth = 2.0
        else:
            self._damping *= self._growth
            self._growth *= 2
        self._damping = min(max(self._damping, 1e-16), 1e16)
        return loss

    def _solve(self, residuals: torch.Tensor, jacobian: torch.Tensor) -> torch.Tensor:
        """The damped least-squares step."""
        self._scale = SCALINGS[self._scaling](jacobian.norm(dim=0), self._scale)
        scale = self._scale.clamp_min(1e-12)
        damped = torch.cat((jacobian, torch.diag(scale * math.sqrt(self._damping))))
        target = torch.cat((-residuals, torch.zeros_like(scale)))
        change: torch.Tensor = torch.linalg.lstsq(damped, target[:, None], driver="gels").solution
        return change[:, 0] * self._free

    def _jacobian(self, flat: torch.Tensor) -> torch.Tensor:
        """Derivatives by all parameters, of shape (residuals, parameters); zero for those that are left alone."""
        if self._differences:
            return jacobian_by_differences(self._residuals, flat, self._free, self._differences)
        return exact_jacobian(self._residuals, flat, self._chunk) * self._free

    def _residuals(self, flat: torch.Tensor) -> torch.Tensor:
        residuals = self._problem.residuals(unflatten(flat, self.parameters), self._problem.rows).flatten()
        scaled = residuals / math.sqrt(len(residuals))
        return torch.cat((scaled, math.sqrt(self._ridge) * flat[self._networks])) if self._ridge else scaled

    def state(self) -> Tensors:
        """The damping, how it grows, and the scale of the parameters."""
        damping = torch.tensor([self._damping, self._growth], dtype=torch.float64)
        return {"damping": damping, "scale": self._scale.clone()}

    def restore(self, state: Tensors) -> None:
        """Takes up a saved damping and scale."""
        self._damping, self._growth = (float(value) for value in state["damping"])
        self._scale = state["scale"].clone()


def exact_jacobian(
    residuals: Callable[[torch.Tensor], torch.Tensor], flat: torch.Tensor, chunk: int = 32
) -> torch.Tensor:
    """Forward-mode derivatives, a few columns at a time: there are far fewer parameters than residuals."""

    def column(direction: torch.Tensor) -> torch.Tensor:
        derivative: torch.Tensor = torch.func.jvp(residuals, (flat,), (direction,))[1]
        return derivative

    directions = torch.eye(len(flat), dtype=flat.dtype)
    columns: torch.Tensor = torch.func.vmap(column, chunk_size=chunk)(directions)
    return columns.T


def jacobian_by_differences(
    residuals: Callable[[torch.Tensor], torch.Tensor], flat: torch.Tensor, free: torch.Tensor, step: float
) -> torch.Tensor:
    """Forward differences by the parameters that are free, and zeros for the others."""
    here = residuals(flat)
    jacobian = torch.zeros((len(here), len(flat)), dtype=flat.dtype)
    for column in free.nonzero().flatten().tolist():
        shifted, width = flat.clone(), step * max(1.0, abs(float(flat[column])))
        shifted[column] += width
        jacobian[:, column] = (residuals(shifted) - here) / width
    return jacobian


def flatten(parameters: Tensors) -> torch.Tensor:
    """All parameters in one vector."""
    return torch.cat([value.reshape(-1) for value in parameters.values()])


def unflatten(flat: torch.Tensor, like: Tensors) -> Tensors:
    """The inverse of ``flatten``; ``like`` has the names and the shapes."""
    sizes = [value.numel() for value in like.values()]
    return {name: part.reshape(like[name].shape) for name, part in zip(like, torch.split(flat, sizes), strict=True)}


def make_optimiser(name: str, problem: Problem, parameters: Tensors, settings: dict[str, Any]) -> Optimiser:
    """Starts an optimiser by name.

    Raises:
        UnknownNameError: there is no such optimiser.
        InvalidOptionError: the settings do not fit it.
    """
    optimiser: Optimiser = construct(f"optimiser {name!r}", OPTIMISERS[name], settings, problem, parameters)
    return optimiser
