"""Recordings as models are fitted to them: states with their derivatives, and the frames that show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError


@dataclass(frozen=True)
class Dataset:
    """Trajectories with derivatives; single states are trajectories of one point.

    Attributes:
        times: shape (points,).
        states: what a model sees, possibly noisy, shape (trajectories, points, 2*dof).
        derivatives: x' as the source gives it, same shape.
        inputs: u at every point, shape (trajectories, points, inputs); zero where the system is free.
        spans: where a derivative is the difference to the next state of a series, the time that it was taken over,
            shape (trajectories, points); None where derivatives are derivatives.
        frames: where models see films and not states, uint8, shape (trajectories, points, size, size); states and
            derivatives are then the true ones, for measuring. None for other data.
    """

    times: Array
    states: Array
    derivatives: Array
    inputs: Array
    spans: Array | None = None
    frames: Array | None = None

    def __len__(self) -> int:
        """Number of trajectories."""
        return len(self.states)

    def take(self, rows: slice) -> Dataset:
        """Some of the trajectories."""
        spans, frames = (None if values is None else values[rows] for values in (self.spans, self.frames))
        return Dataset(self.times, self.states[rows], self.derivatives[rows], self.inputs[rows], spans, frames)

    def flat(self) -> tuple[Array, Array, Array]:
        """States, derivatives and inputs as tables, one row per point."""
        states, derivatives, inputs = (
            values.reshape(-1, values.shape[-1]) for values in (self.states, self.derivatives, self.inputs)
        )
        return states, derivatives, inputs


def split_shares(data: Dataset, test_share: float, test_first: bool) -> tuple[Dataset, Dataset]:
    """Training and test share, whose trajectories come one after the other; a share of the whole number below.

    Args:
        data: the whole.
        test_share: share of the trajectories that is kept for the test.
        test_first: whether the test share is the first or the last of them.
    """
    if test_first:
        border = int(len(data) * test_share)
        return data.take(slice(border, None)), data.take(slice(border))
    border = len(data) - int(len(data) * test_share)
    return data.take(slice(border)), data.take(slice(border, None))


def merge(parts: list[Dataset]) -> Dataset:
    """Joins data sets.

    Raises:
        InvalidOptionError: their trajectories are not sampled alike.
    """
    if not all(np.array_equal(part.times, parts[0].times) for part in parts):
        counts = ", ".join(str(len(part.times)) for part in parts)
        raise InvalidOptionError(f"data sources cannot be joined whose trajectories differ in times ({counts} points)")
    if len(parts) == 1:
        return parts[0]
    states, derivatives, inputs = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("states", "derivatives", "inputs")
    )
    films = [part.frames for part in parts if part.frames is not None]
    if films and (len(films) < len(parts) or len({frames.shape[2:] for frames in films}) > 1):
        raise InvalidOptionError("data sources cannot be joined of which some have films, or films of another size")
    # Intervals belong to one series; joined with anything else, it is one no longer.
    return Dataset(parts[0].times, states, derivatives, inputs, frames=np.concatenate(films) if films else None)
