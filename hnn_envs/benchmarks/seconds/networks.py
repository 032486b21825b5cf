"""A probabilistic ensemble of plain networks of a step, as in PETS (Chua et al. 2018, arXiv 1805.12114)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.learning.intervals import Intervals
from hnn_envs.fitting.pipeline import torch_threads

MEMBERS = 5
HIDDEN = (100, 100, 100)
STEPS = 2000
"""Of Adam, each on a batch of every member's own draw of the intervals."""
BATCH = 32
RATE = 1e-3
DECAY = (1e-4, 2.5e-4, 2.5e-4, 5e-4)
"""Factors of the squared weights of each layer in the loss, of the paper's code for its cart-pole."""
HIGHEST, LOWEST = 0.5, -10.0
"""Bounds of the logarithms of the variances of scaled changes, with which training begins."""
BOUNDS = 0.01
"""Factor of the width between these in the loss."""


@dataclass(frozen=True)
class Networks:
    """The mean of networks that foretell the change of state over a step; called, it takes the step.

    Attributes:
        data: what was seen.
        middle: of the features, shape (features,).
        width: what they are divided by, same shape.
        size: what the changes are multiplied by, shape (2*dof,).
        weights: of each layer, shape (members, inputs, outputs); the last one's outputs are means.
        biases: of each layer, shape (members, 1, outputs).
        variance: of a change as the networks foretell it, mean of what they were trained on, shape (2*dof,).
        drawn: which intervals each member was trained on, shape (members, n).
    """

    data: Intervals
    middle: Array
    width: Array
    size: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    variance: Array
    drawn: Array

    def __call__(self, states: Array, inputs: Array) -> Array:
        """The states a step later."""
        return self.data.moved(states, self.changes(states, inputs).mean(axis=0))

    def changes(self, states: Array, inputs: Array) -> Array:
        """The changes beyond what velocities say, of each member, shape (members, n, 2*dof)."""
        hidden = self._asked(states, inputs)[None]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = hidden @ weight + bias
            hidden = z * _sigmoid(z)
        return (hidden @ self.weights[-1] + self.biases[-1]).astype(np.float64) * self.size

    def jacobian(self, states: Array, inputs: Array) -> tuple[Array, Array]:
        """The derivatives of the step by states (n, 2*dof, 2*dof) and inputs (n, 2*dof, inputs)."""
        hidden = self._asked(states, inputs)[None]
        slopes = []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = hidden @ weight + bias
            share = _sigmoid(z)
            hidden = z * share
            slopes.append(share + hidden * (1 - share))
        by_features = [self._back(slopes, output) for output in range(len(self.size))]
        scaled = np.stack(by_features, axis=1).astype(np.float64) * (self.size[:, None] / self.width)
        return self.data.moved_slopes(self.data.unlifted(scaled, states))

    def _back(self, slopes: list[Array], output: int) -> Array:
        """The derivatives of an output by the scaled features, mean of the members, shape (n, features)."""
        along = self.weights[-1][:, None, :, output]
        for weight, slope in zip(reversed(self._turned), reversed(slopes), strict=True):
            along = (slope * along) @ weight
        return along.mean(axis=0)

    @cached_property
    def _turned(self) -> tuple[Array, ...]:
        return tuple(np.ascontiguousarray(np.swapaxes(weight, 1, 2)) for weight in self.weights[:-1])

    def _asked(self, states: Array, inputs: Array) -> Array:
        scaled: Array = (self.data.lifted(states, inputs) - self.middle) / self.width
        return scaled.astype(self.weights[0].dtype)


def _sigmoid(z: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * z))


def fit_networks(data: Intervals, seed: int) -> Networks:
    """Trains the ensemble by the Gaussian likelihood of what followed, each member on a bootstrap sample.

    Angles are seen by cosine and sine, and all that is seen and foretold is scaled. As for the Gaussian process, the
    mean of a coordinate's change begins at its velocity times the step.
    """
    features, targets = data.lifted(data.before, data.inputs), data.beyond
    middle, width, size = features.mean(axis=0), features.std(axis=0), targets.std(axis=0)
    width, size = (np.where(each > 0, each, 1.0) for each in (width, size))
    rng = np.random.default_rng((seed, 5))
    drawn = rng.integers(len(features), size=(MEMBERS, len(features)))
    with torch_threads(1):
        weights, biases, variance = _trained((features - middle) / width, targets / size, drawn, rng)
    return Networks(data, middle, width, size, weights, biases, variance * size**2, drawn)


def _trained(
    features: Array, targets: Array, drawn: Array, rng: np.random.Generator
) -> tuple[tuple[Array, ...], tuple[Array, ...], Array]:
    """Weights and biases of the means, and the mean variance of scaled changes."""
    import torch
    from torch.nn.functional import silu, softplus

    count = targets.shape[1]
    sizes = (features.shape[1], *HIDDEN, 2 * count)
    weights = [
        torch.tensor(rng.standard_normal((MEMBERS, *shape)) / (2 * np.sqrt(shape[0])), dtype=torch.float32)
        for shape in pairwise(sizes)
    ]
    biases = [torch.zeros((MEMBERS, 1, size)) for size in sizes[1:]]
    highest, lowest = torch.full((count,), HIGHEST), torch.full((count,), LOWEST)
    parameters = [*weights, *biases, highest, lowest]
    for parameter in parameters:
        parameter.requires_grad_()
    seen, known = (torch.tensor(table[drawn], dtype=torch.float32) for table in (features, targets))

    def foretold(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = silu(x @ weight + bias)
        mean, spread = (x @ weights[-1] + biases[-1]).split(count, dim=-1)  # type: ignore[no-untyped-call]
        spread = highest - softplus(highest - spread)
        return mean, lowest + softplus(spread - lowest)

    optimiser = torch.optim.Adam(parameters, lr=RATE)
    members = np.arange(MEMBERS)[:, None]
    batch = min(BATCH, len(features))
    for _ in range(STEPS):
        rows = rng.integers(len(features), size=(MEMBERS, batch))
        mean, spread = foretold(seen[members, rows])
        loss = ((mean - known[members, rows]).square() * (-spread).exp() + spread).mean(dim=(1, 2)).sum()
        loss = loss + BOUNDS * (highest.sum() - lowest.sum())
        loss = loss + sum(factor * weight.square().sum() for factor, weight in zip(DECAY, weights, strict=True))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        variance = foretold(seen)[1].exp().mean(dim=(0, 1))
    means = [each.detach().numpy() for each in (*weights, *biases)]
    last = len(weights)
    means[last - 1], means[-1] = means[last - 1][..., :count], means[-1][..., :count]
    kept = [np.ascontiguousarray(each) for each in means]
    return tuple(kept[:last]), tuple(kept[last:]), variance.numpy().astype(np.float64)
