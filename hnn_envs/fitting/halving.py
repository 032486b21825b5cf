"""Several random starts of one optimiser, of which the better half goes on: least squares finds local minima."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from hnn_envs.fitting.problem import Optimiser, Tensors


class SuccessiveHalving:
    """Steps every member; after each round the half with the higher loss is left out, until one is left.

    Args:
        begin: makes a member from its parameters.
        starts: the parameters that the members start from.
        rounds: steps between two eliminations.
    """

    def __init__(self, begin: Callable[[Tensors], Optimiser], starts: list[Tensors], rounds: int) -> None:
        self._begin, self._rounds = begin, rounds
        self._members = {number: begin(start) for number, start in enumerate(starts)}
        self._losses = dict.fromkeys(self._members, math.inf)

    @property
    def parameters(self) -> Tensors:
        """Those of the member with the lowest loss."""
        return self._members[self._ranked()[0]].parameters

    def step(self, step: int) -> float:
        """One step of every member that is left; the lowest loss before it."""
        for number, member in self._members.items():
            loss = member.step(step)
            self._losses[number] = loss if math.isfinite(loss) else math.inf
        if (step + 1) % self._rounds == 0:
            kept = self._ranked()[: (len(self._members) + 1) // 2]
            self._members = {number: self._members[number] for number in sorted(kept)}
            self._losses = {number: self._losses[number] for number in self._members}
        return min(self._losses.values())

    def _ranked(self) -> list[int]:
        return sorted(self._members, key=lambda number: (self._losses[number], number))

    def state(self) -> Tensors:
        """Everything of every member that is left, by its number."""
        saved: Tensors = {}
        for number, member in self._members.items():
            saved[f"{number}/loss"] = torch.tensor(self._losses[number], dtype=torch.float64)
            saved |= {
                f"{number}/parameters/{name}": value.detach().clone() for name, value in member.parameters.items()
            }
            saved |= {f"{number}/state/{name}": value for name, value in member.state().items()}
        return saved

    def restore(self, state: Tensors) -> None:
        """Takes up a saved state: the members that are not in it had been left out."""
        left = sorted({int(entry.split("/", 1)[0]) for entry in state})
        self._members = {number: self._begin(_below(state, f"{number}/parameters/")) for number in left}
        self._losses = {number: float(state[f"{number}/loss"]) for number in left}
        for number, member in self._members.items():
            member.restore(_below(state, f"{number}/state/"))


def _below(state: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
