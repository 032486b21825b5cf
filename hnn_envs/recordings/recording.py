"""Recordings of a system by its user: runs of times, positions, velocities where they were measured, and inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.systems.spec import Coordinate, Input


@dataclass(frozen=True, eq=False)
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

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {len(self.times)} states, {len(self.input_times)} inputs)"

    def __eq__(self, other: object) -> bool:
        """Whether the same was recorded, whatever the run is called."""
        if not isinstance(other, Run):
            return NotImplemented
        return all(np.array_equal(own, theirs) for own, theirs in zip(self._arrays(), other._arrays(), strict=True))

    __hash__ = None  # type: ignore[assignment]

    def _arrays(self) -> tuple[Array, ...]:
        velocities = np.zeros(0) if self.velocities is None else self.velocities
        return self.times, self.positions, velocities, self.input_times, self.inputs

    @property
    def samples(self) -> Array:
        """Positions, and velocities where they were recorded, shape (n, dof) or (n, 2*dof)."""
        return self.positions if self.velocities is None else np.concatenate((self.positions, self.velocities), axis=1)

    def between(self, low: int, high: int) -> Run:
        """The states ``low`` to ``high - 1``, with the inputs that were held over them."""
        times = self.times[low:high]
        first = int(np.searchsorted(self.input_times, times[0], side="right")) - 1
        last = int(np.searchsorted(self.input_times, times[-1], side="right"))
        v = None if self.velocities is None else self.velocities[low:high]
        held = slice(max(first, 0), last)
        return Run(self.name, times, self.positions[low:high], v, self.input_times[held], self.inputs[held])


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        names = ", ".join(coordinate.name for coordinate in self.coordinates)
        return f"Recording({self.name!r}, {names}: {len(self.runs)} runs, {self.seconds:g} {self.time_unit})"

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return len(self.coordinates)

    @property
    def seconds(self) -> float:
        """How long was watched in all, in ``time_unit``."""
        return float(sum(run.times[-1] - run.times[0] for run in self.runs))

    def split(self, share: float = 0.2) -> tuple[Recording, Recording]:
        """The beginnings of all runs, and of each the last ``share`` of its states.

        Raises:
            InvalidOptionError: a share that is not between 0 and 1, or leaves no run of three states on a side.
        """
        if not 0 < share < 1:
            raise InvalidOptionError(f"share must be between 0 and 1, not {share!r}")
        cuts = [(run, round(len(run.times) * (1 - share))) for run in self.runs]
        first = tuple(run.between(0, cut) for run, cut in cuts if cut >= 3)
        last = tuple(run.between(cut, len(run.times)) for run, cut in cuts if len(run.times) - cut >= 3)
        if not first or not last:
            raise InvalidOptionError(f"the runs of {self.name} are too short to keep a share of {share:g} apart")
        return replace(self, runs=first), replace(self, runs=last)

    @classmethod
    def load(
        cls,
        path: str | Path | Sequence[str | Path],
        positions: Sequence[str] | None = None,
        velocities: Sequence[str] | None = None,
        inputs: Sequence[str] = (),
        angles: Sequence[str] = (),
        *,
        time: str | None = None,
        run: str | None = None,
        gap: float | None = None,
        units: Mapping[str, str] | None = None,
        time_unit: str = "s",
        name: str | None = None,
        drives: Sequence[str] | None = None,
        input_matrix: Sequence[Sequence[float]] | None = None,
        inputs_from: str | Path | None = None,
    ) -> Recording:
        """Reads a recording from a CSV, Parquet or npz file, packed by gzip or not, by the names of its columns.

        A row holds the states and the inputs of one time, or the cells of one of the two are empty (in Parquet null,
        in npz NaN), where they were sampled at other times. An input is held from its time until the next one's;
        states before the first input are left out, and so are stretches of fewer than two states, of positions alone
        of fewer than three.

        Args:
            path: the file, or several of the same columns.
            positions: columns of q. A file that ``save`` wrote says what its columns are: then nothing but its path is
                needed.
            velocities: columns of q', in the order of the positions; None where they were not recorded.
            inputs: columns of u.
            angles: which of the positions are angles, in rad; wrapped ones are made to go on beyond pi.
            time: column of the time, by default "t" or "time".
            run: column that tells runs apart, by text or numbers; by default a file is one run.
            gap: a run is split where an interval is more than so many times its median; by default 5.
            units: of columns, such as {"q1": "rad", "tau": "N m"}; angles are in rad.
            time_unit: such as "s".
            name: of the system; by default the file's name without its end.
            drives: for each input, the position on which it acts as a force in known units: a torque on its joint.
            input_matrix: in place of ``drives``, G: the generalized force per unit of each input, a row per position.
            inputs_from: another file with the inputs and their times.

        Raises:
            DataError: something is wrong with the file, with column and row.
            InvalidOptionError: arguments that do not fit each other.
        """
        from hnn_envs.recordings.loading import Request, load

        return load(
            path,
            None if positions is None else Request(positions, velocities, inputs, angles, time, run),
            gap=gap,
            units=units,
            time_unit=time_unit,
            name=name,
            drives=drives,
            input_matrix=input_matrix,
            inputs_from=inputs_from,
        )

    @classmethod
    def from_minari(
        cls,
        dataset: Any,
        *,
        dt: float,
        observation: Callable[[Array], Any],
        positions: Sequence[str],
        velocities: Sequence[str] | None = None,
        action: Callable[[Array], Array] | None = None,
        inputs: Sequence[str] = (),
        angles: Sequence[str] = (),
        units: Mapping[str, str] | None = None,
        time_unit: str = "s",
        name: str | None = None,
        drives: Sequence[str] | None = None,
        input_matrix: Sequence[Sequence[float]] | None = None,
    ) -> Recording:
        """Takes the episodes of a Minari dataset, each as a run.

        Args:
            dataset: a ``minari.MinariDataset``, or the name of one that is on this machine (extra "recordings").
            dt: time between the observations, which Minari does not say.
            observation: (observations (n, ...)) -> positions (n, dof), or (positions, velocities).
            positions: names of the positions.
            velocities: names of the velocities; by default they follow from the positions' where there are any.
            action: (actions (n - 1, ...)) -> inputs (n - 1, inputs); by default the actions are the inputs.
            inputs: names of the inputs.
            angles: which of the positions are angles, in rad.
            units: see ``load``.
            time_unit: see ``load``.
            name: of the system; by default the dataset's.
            drives: see ``load``.
            input_matrix: see ``load``.

        Raises:
            DataError: something is wrong with an episode.
            InvalidOptionError: arguments that do not fit each other, or Minari is not installed.
        """
        from hnn_envs.recordings.episodes import Reading, from_minari
        from hnn_envs.recordings.loading import Request

        reading = Reading(dt, observation, action)
        request = Request(positions, velocities, inputs, angles)
        described: dict[str, Any] = {"units": units, "time_unit": time_unit}
        return from_minari(dataset, reading, request, name=name, drives=drives, input_matrix=input_matrix, **described)

    def save(self, path: str | Path) -> None:
        """Writes the recording to a CSV, Parquet or npz file, with .gz at its end a packed one.

        The columns are "run", "t", and what coordinates, velocities and inputs are called; the file also says what they
        are, so that ``Recording.load(path)`` gives back the same.

        Raises:
            InvalidOptionError: the file's name does not end in one of these.
            WriteError: it cannot be written.
        """
        from hnn_envs.recordings.loading import save

        save(self, path)
