"""A recording as pairs of states a step apart, and what models that know no physics see of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnn_envs.arrays import Array, join, split
from hnn_envs.recordings.recording import Recording


@dataclass(frozen=True)
class Intervals:
    """All steps of a recording, of even times, whose inputs change with the states.

    Attributes:
        before: shape (n, 2*dof).
        after: same shape.
        inputs: held in between, shape (n, inputs).
        dt: time of a step.
        angles: which coordinates are angles.
        runs: number of the run that each is of, shape (n,).
    """

    before: Array
    after: Array
    inputs: Array
    dt: float
    angles: tuple[bool, ...]
    runs: Array

    @classmethod
    def of(cls, recording: Recording) -> Intervals:
        """The intervals of all runs, one after another."""
        states = [join(run.positions, run.velocities) for run in recording.runs]
        return cls(
            np.concatenate([along[:-1] for along in states]),
            np.concatenate([along[1:] for along in states]),
            np.concatenate([run.inputs for run in recording.runs]),
            float(np.diff(recording.runs[0].times[:2])[0]),
            tuple(coordinate.angle for coordinate in recording.coordinates),
            np.repeat(np.arange(len(states)), [len(along) - 1 for along in states]),
        )

    @property
    def features(self) -> int:
        """The number of what models see."""
        return len(self.angles) * 2 + sum(self.angles) + int(self.inputs.shape[1])

    @property
    def beyond(self) -> Array:
        """Changes over a step, of coordinates beyond what the velocity at its start says, shape (n, 2*dof)."""
        change = self.after - self.before
        dof = change.shape[1] // 2
        return join(change[:, :dof] - self.dt * self.before[:, dof:], change[:, dof:])

    def moved(self, states: Array, beyond: Array) -> Array:
        """The states after a step, from such changes: the inverse of ``beyond``."""
        dof = states.shape[1] // 2
        return states + beyond + join(self.dt * states[:, dof:], np.zeros_like(states[:, dof:]))

    def moved_slopes(self, beyond: Array) -> tuple[Array, Array]:
        """The derivatives of a step by states and by inputs.

        Args:
            beyond: those of the changes by states and inputs together, shape (n, 2*dof, 2*dof + inputs).
        """
        size = beyond.shape[1]
        moving = np.eye(size) + self.dt * np.eye(size, k=size // 2)
        return beyond[..., :size] + moving, beyond[..., size:]

    def lifted(self, states: Array, inputs: Array) -> Array:
        """What models see of states: angles by cosine and sine, all else as it is, shape (n, features)."""
        q, v = split(states)
        turning = self._turning
        return np.concatenate((q[:, ~turning], np.cos(q[:, turning]), np.sin(q[:, turning]), v, inputs), axis=1)

    def unlifted(self, slopes: Array, states: Array) -> Array:
        """Derivatives by states and inputs (n, m, 2*dof + inputs) from those by what models see (n, m, features)."""
        q, dof = split(states)[0], len(self.angles)
        straight, turning = np.flatnonzero(~self._turning), np.flatnonzero(self._turning)
        until = [len(straight), dof, dof + len(turning)]
        plain, cosines, sines, others = np.split(slopes, until, axis=-1)
        along = np.empty((*slopes.shape[:-1], dof))
        angle = q[:, None, turning]
        along[..., straight] = plain
        along[..., turning] = sines * np.cos(angle) - cosines * np.sin(angle)
        return np.concatenate((along, others), axis=-1)

    @cached_property
    def _turning(self) -> Array:
        return np.array(self.angles, dtype=bool)
