"""A loss: the derivative's error in units of the derivative's size."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ScaledLoss:
    """(f(x, u) - x') / rms(x').

    Attributes:
        power: of the scale; 1 makes the loss free of units.
    """

    power: float = 1.0

    def prepare(self, data, dtype):
        """States, inputs and derivatives."""
        states, derivatives, inputs = data.flat()
        return tuple(torch.as_tensor(values, dtype=dtype) for values in (states, inputs, derivatives))

    def latents(self, rows):
        """No unknowns."""
        return {}

    def residuals(self, field, rows, latents=None):
        """Shape (rows, 2*dof)."""
        states, inputs, derivatives = rows
        return (field(states, inputs) - derivatives) / derivatives.square().mean().sqrt() ** self.power
