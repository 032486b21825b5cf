"""Recordings of a system by its user: runs of times, positions, velocities where they were measured, and inputs."""

from __future__ import annotations

from dataclasses import dataclass

from hnn_envs.arrays import Array
from hnn_envs.systems.spec import Coordinate, Input


@dataclass(frozen=True)
class Run:
    """One uninterrupted stretch.

    Attributes:
        name: where it is from, for messages, such as "arm.csv, run 2".
        times: shape (n,), increasing, of any spacing.
        positions: q, shape (n, dof); angles go on beyond pi, without jumps.
        velocities: q', shape (n, dof); None where they were not recorded.
        input_times: shape (m,), increasing; the first is no later than the first of ``times``.
        inputs: u, shape (m, inputs), each held from its time until the next one's.
    """

    name: str
    times: Array
    positions: Array
    velocities: Array | None
    input_times: Array
    inputs: Array


@dataclass(frozen=True)
class Recording:
    """What was watched of one system.

    Attributes:
        name: of the system.
        coordinates: names, units, and which are angles.
        inputs: names and units.
        runs: the stretches.
        input_matrix: G, the generalized force per unit of each input, one row per coordinate; None where it is not
            known.
        time_unit: such as "s".
    """

    name: str
    coordinates: tuple[Coordinate, ...]
    inputs: tuple[Input, ...]
    runs: tuple[Run, ...]
    input_matrix: tuple[tuple[float, ...], ...] | None = None
    time_unit: str = "s"

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return len(self.coordinates)

    @property
    def seconds(self) -> float:
        """How long was watched in all, in ``time_unit``."""
        return float(sum(run.times[-1] - run.times[0] for run in self.runs))
