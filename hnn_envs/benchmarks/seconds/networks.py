"""A probabilistic ensemble of plain networks of a step, as in PETS (Chua et al. 2018, arXiv 1805.12114)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch.nn.functional import silu, softplus

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.learning.intervals import Intervals
from hnn_envs.fitting.pipeline import torch_threads

MEMBERS = 5
HIDDEN = (100, 100, 100)
"""Units of the layers. Of 60 to 240 intervals, 200 as in the paper foretell no better and take six times as long."""
STEPS = 2000
"""Of Adam, each on a batch of every member's own draw of the intervals."""
BATCH = 32
RATE = 3e-3
DECAY = (1e-3, 2.5e-3, 2.5e-3, 5e-3)
"""Factors of the squared weights of each layer in the loss: ten times those of the paper's code for its cart-pole."""
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
        drawn: which intervals each member was trained on, shape (members, n).
    """

    data: Intervals
    middle: Array
    width: Array
    size: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
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
        training = _trained((features - middle) / width, targets / size, drawn, rng)
    return Networks(data, middle, width, size, *training.means(), drawn)


@dataclass(frozen=True)
class _Training:
    """What is trained, as torch tensors.

    Attributes:
        weights: of each layer, shape (members, inputs, outputs); the last one's are means and spreads.
        biases: of each layer, shape (members, 1, outputs).
        highest: logarithm of the largest variance of each change, shape (2*dof,).
        lowest: of the smallest.
    """

    weights: list[torch.Tensor]
    biases: list[torch.Tensor]
    highest: torch.Tensor
    lowest: torch.Tensor

    @classmethod
    def begun(cls, inputs: int, outputs: int, rng: np.random.Generator) -> _Training:
        """Before the first step."""
        sizes = (inputs, *HIDDEN, 2 * outputs)
        draws = [rng.standard_normal((MEMBERS, *shape)) / (2 * np.sqrt(shape[0])) for shape in pairwise(sizes)]
        made = cls(
            [torch.tensor(draw, dtype=torch.float32) for draw in draws],
            [torch.zeros((MEMBERS, 1, size)) for size in sizes[1:]],
            torch.full((outputs,), HIGHEST),
            torch.full((outputs,), LOWEST),
        )
        for parameter in made.parameters:
            parameter.requires_grad_()
        return made

    @property
    def parameters(self) -> list[torch.Tensor]:
        """All that is trained."""
        return [*self.weights, *self.biases, self.highest, self.lowest]

    def foretold(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means of scaled changes and logarithms of their variances, each (members, n, 2*dof)."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = silu(x @ weight + bias)
        both = x @ self.weights[-1] + self.biases[-1]
        count = len(self.highest)
        spread = self.highest - softplus(self.highest - both[..., count:])
        return both[..., :count], self.lowest + softplus(spread - self.lowest)

    def loss(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Negative logarithm of the likelihood, with what keeps weights small and the bounds of variances close."""
        mean, spread = self.foretold(x)
        likelihood = ((mean - known).square() * (-spread).exp() + spread).mean(dim=(1, 2)).sum()
        small = torch.stack([f * weight.square().sum() for f, weight in zip(DECAY, self.weights, strict=True)]).sum()
        return likelihood + small + BOUNDS * (self.highest - self.lowest).sum()

    def means(self) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Weights and biases of the means alone."""
        count = len(self.highest)
        weights, biases = ([each.detach().numpy() for each in layers] for layers in (self.weights, self.biases))
        weights[-1], biases[-1] = (np.ascontiguousarray(each[-1][..., :count]) for each in (weights, biases))
        return tuple(weights), tuple(biases)


def _trained(features: Array, targets: Array, drawn: Array, rng: np.random.Generator) -> _Training:
    """Adam on batches of scaled features and changes."""
    training = _Training.begun(features.shape[1], targets.shape[1], rng)
    seen, known = (torch.tensor(table[drawn], dtype=torch.float32) for table in (features, targets))
    optimiser = torch.optim.Adam(training.parameters, lr=RATE)
    members = np.arange(MEMBERS)[:, None]
    for _ in range(STEPS):
        rows = rng.integers(len(features), size=(MEMBERS, min(BATCH, len(features))))
        optimiser.zero_grad()
        torch.autograd.backward(training.loss(seen[members, rows], known[members, rows]))
        optimiser.step()
    return training
