"""The seed paper's loss for films, of models that see pairs of frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from hnn_envs.arrays import Array, cast, namespace
from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.problem import Batch, Tensors
from hnn_envs.hamiltonian import VectorField
from hnn_envs.parsing import Amount
from hnn_envs.pixels.autoencoder import BRIGHTEST
from hnn_envs.pixels.pair_models import Paired
from hnn_envs.recordings.dataset import Dataset

SHORTEST = 4
"""Frames of a film: the first is left out, and two pairs that overlap take three."""


@dataclass(frozen=True)
class PairLoss:
    """Autoencoder + canonical + field loss of Greydanus et al. 2019, section 5, each a mean square over its numbers.

    With z the code of a pair of frames and z+ that of the pair one frame later: how well the pair is decoded; how well
    the second number of z is the change of the first, z2 ~ z1+ - z1; and how well the field moves the code over one
    frame, z + f(z) ~ z+.

    Attributes:
        canonical: weight of the second term.
        field: weight of the third.
    """

    canonical: Amount = 1.0
    field: Amount = 0.1

    def prepare(self, data: Dataset, dtype: torch.dtype) -> Batch:
        """Three consecutive frames a row, in bytes; as in the seed, the first frame of a film is left out.

        Raises:
            InvalidOptionError: there are no films, or too short ones.
        """
        if data.frames is None or data.frames.shape[1] < SHORTEST:
            raise InvalidOptionError(f"the loss of pairs of frames needs films of at least {SHORTEST} frames")
        ends = data.frames.shape[1] - 2
        triples = np.stack([data.frames[:, 1 + lag : ends + lag] for lag in range(3)], axis=2)
        return (torch.from_numpy(triples.reshape(-1, *triples.shape[2:])),)

    def latents(self, rows: Batch) -> Tensors:
        """No unknowns."""
        return {}

    def residuals(self, field: VectorField, rows: Batch, latents: Tensors | None = None) -> Array:
        """Residuals whose mean square is the sum of the three terms, shape (rows, 2 size^2 + 3).

        Raises:
            InvalidOptionError: the model does not see pairs of frames.
        """
        if not isinstance(field, Paired):
            raise InvalidOptionError("the loss of pairs of frames needs a model that sees pairs of frames")
        (triples,) = rows
        xp, count = namespace(triples), len(triples)
        now, later = triples[:, :2], triples[:, 1:]
        codes = field.autoencoder.encode(xp.concat((now, later)))
        code, code_later = codes[:count], codes[count:]
        decoded = field.autoencoder.brightness(code)
        terms = (
            (1.0, (decoded - cast(now, decoded.dtype) / BRIGHTEST).reshape(count, -1)),
            (self.canonical, code[:, 1:] - (code_later[:, :1] - code[:, :1])),
            (self.field, code + field.rate(code) - code_later),
        )
        columns = sum(values.shape[1] for _, values in terms)
        return xp.concat([math.sqrt(weight * columns / values.shape[1]) * values for weight, values in terms], axis=1)
