"""What is fitted, and what fits it: the words that losses, optimisers and the trainer share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from hnn_envs.arrays import Array

Batch = tuple[Array, ...]
"""Tensors with the same number of rows, as a loss prepares them; an optimiser draws rows from them."""
Tensors = dict[str, torch.Tensor]
LATENT = "latent/"
"""Marks the unknowns of a loss among the parameters; they go from stage to stage, and not into the model."""
Residuals = Callable[[Tensors, Batch], Array]


class Optimiser(Protocol):
    """One stage of training."""

    @property
    def parameters(self) -> Tensors:
        """What is fitted, as it stands."""
        ...

    def step(self, step: int) -> float:
        """Does one step and returns the loss before it."""
        ...

    def state(self) -> Tensors:
        """What a resumed stage needs beside the parameters."""
        ...

    def restore(self, state: Tensors) -> None:
        """Takes up a saved state."""
        ...


@dataclass(frozen=True)
class Problem:
    """What is to be fitted.

    Attributes:
        residuals: (parameters, rows) -> residuals.
        rows: the training data as the loss prepared it.
        steps: how many steps the stage has.
        seed: decides the rows of every minibatch.
        fixed: names of parameters that no residual depends on, which a least-squares optimiser may leave out.
        networks: names of parameters that are weights and biases of networks.
        sparse: names of parameters whose entries may be absent, which is to be zero.
    """

    residuals: Residuals
    rows: Batch
    steps: int
    seed: int
    fixed: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    sparse: frozenset[str] = frozenset()
