"""Which states a model of few parameters is fitted to: few, but from the whole range of encounters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian.pairs import separations
from hnn_envs.parsing import Count, CountOrNone
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.systems.spec import SystemSpec


@dataclass(frozen=True)
class Selection:
    """States of bodies, chosen evenly over the closest separation, with the extremes.

    Close encounters are rare and carry almost all of the force; a uniform sample would miss them.

    Attributes:
        closest: how many of the states with the smallest separation.
        widest: how many of those with the largest.
        spread: how many drawn from equal bins of the logarithm of the smallest separation.
        bins: how many bins.
    """

    closest: CountOrNone = 200
    widest: CountOrNone = 100
    spread: CountOrNone = 1000
    bins: Count = 40

    def choose(self, spec: SystemSpec, data: Dataset, rng: np.random.Generator) -> Dataset:
        """The chosen states as trajectories of one point.

        Raises:
            InvalidOptionError: the system is not made of bodies.
        """
        if not spec.bodies:
            raise InvalidOptionError(f"states are selected by separation, and {spec.name!r} has no bodies")
        states, derivatives, inputs = data.flat()
        _, distances = separations(split(states)[0], spec.bodies)
        smallest = np.log(distances.min(axis=-1))
        ranked = np.argsort(smallest, kind="stable"), np.argsort(-distances.max(axis=-1), kind="stable")
        rows = [ranked[0][: self.closest], ranked[1][: self.widest], *self._stratified(smallest, rng)]
        chosen = np.unique(np.concatenate(rows))
        return Dataset(np.zeros(1), states[chosen, None], derivatives[chosen, None], inputs[chosen, None])

    def _stratified(self, smallest: Array, rng: np.random.Generator) -> list[Array]:
        edges = np.linspace(smallest.min(), smallest.max(), self.bins + 1)[1:-1]
        labels = np.digitize(smallest, edges)
        share = self.spread // self.bins
        members = [np.flatnonzero(labels == label) for label in range(self.bins)]
        return [rng.choice(rows, min(share, len(rows)), replace=False) for rows in members if len(rows)]
