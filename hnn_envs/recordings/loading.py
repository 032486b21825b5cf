"""Recordings from files and to files: what a user says about columns, and what a file says itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError, InvalidOptionError, suggestion
from hnn_envs.parsing import parse, parse_json, user_path
from hnn_envs.recordings.formats import PACKED, format_of, open_table, write_table
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.recordings.stretches import GAP, Columns, make_runs
from hnn_envs.recordings.tables import Reader, Table, check_columns
from hnn_envs.systems.spec import Coordinate, Input, is_system_name

TIMES = ("t", "time")
"""What the column of the time is called by default."""
RUN = "run"
FORMAT = 1


@dataclass(frozen=True)
class Request:
    """The columns that a user names; see ``Recording.load``."""

    positions: Sequence[str]
    velocities: Sequence[str] | None
    inputs: Sequence[str] = ()
    angles: Sequence[str] = ()
    time: str | None = None
    run: str | None = None

    def __post_init__(self) -> None:
        for option in ("positions", "velocities", "inputs", "angles"):
            names = getattr(self, option)
            if isinstance(names, str) or not all(isinstance(name, str) for name in names or ()):
                raise InvalidOptionError(f"{option} must be a list of names of columns, not {names!r}")
        if not self.positions:
            raise InvalidOptionError("positions must name at least one column")
        if self.velocities is not None and len(self.velocities) != len(self.positions):
            raise InvalidOptionError(
                f"velocities must name {len(self.positions)} columns, one for each position, not {len(self.velocities)}"
            )
        odd = [name for name in self.angles if name not in self.positions]
        if odd:
            raise InvalidOptionError(f"angles name positions; {odd[0]!r} is none{suggestion(odd[0], self.positions)}")
        named = [*self.positions, *(self.velocities or ()), *self.inputs]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise InvalidOptionError(f"column {twice!r} is named twice; each is one position, velocity or input")

    def columns(self, time: str) -> Columns:
        """The same, with the time's column."""
        velocities = None if self.velocities is None else tuple(self.velocities)
        angles = tuple(name in self.angles for name in self.positions)
        return Columns(time, tuple(self.positions), velocities, tuple(self.inputs), angles, self.run)


@dataclass(frozen=True)
class Description:
    """What a file that ``save`` wrote says about its columns; these are called as ``column_names`` says."""

    format: int
    name: str
    coordinates: tuple[Coordinate, ...]
    inputs: tuple[Input, ...]
    input_matrix: tuple[tuple[float, ...], ...] | None
    time_unit: str
    velocities: bool

    def columns(self) -> Columns:
        """Which column is what."""
        names = self.column_names()
        dof = len(self.coordinates)
        angles = tuple(coordinate.angle for coordinate in self.coordinates)
        velocities = tuple(names[2 + dof : 2 + 2 * dof]) if self.velocities else None
        return Columns("t", tuple(names[2 : 2 + dof]), velocities, tuple(names[2 + 2 * dof :]), angles, RUN)

    def column_names(self) -> list[str]:
        """Run, time, positions, velocities and inputs; what is called alike is numbered."""
        q = [coordinate.name for coordinate in self.coordinates]
        v = [coordinate.momentum for coordinate in self.coordinates]
        given = [RUN, "t", *q, *v, *(each.name for each in self.inputs)]
        names: list[str] = []
        for name in given:
            number = given[: len(names)].count(name)
            names.append(name if not number and name not in names else f"{name} {number + 1}")
        return names


def describe(
    request: Request,
    name: str,
    *,
    units: Mapping[str, str] | None,
    time_unit: str,
    drives: Sequence[str] | None,
    input_matrix: Sequence[Sequence[float]] | None,
) -> Recording:
    """A recording without runs, of what a user says about it.

    Raises:
        InvalidOptionError: what is said does not fit.
    """
    if not is_system_name(name):
        raise InvalidOptionError(f"a system's name is printable, has no slash, and starts with no dot, not {name!r}")
    units = dict(units or {})
    known = (*request.positions, *(request.velocities or ()), *request.inputs)
    odd = next((column for column in units if column not in known), None)
    if odd is not None:
        raise InvalidOptionError(f"units are given for column {odd!r}, which is not read{suggestion(odd, known)}")
    speeds = request.velocities or tuple(f"{position}'" for position in request.positions)
    coordinates = []
    for position, speed in zip(request.positions, speeds, strict=True):
        angle = position in request.angles
        unit = units.get(position, "rad" if angle else "")
        if angle and unit != "rad":
            raise InvalidOptionError(f"angles are in rad, and {position!r} is said to be in {unit!r}")
        per_time = f"{unit}/{time_unit}" if unit and time_unit else ""
        coordinates.append(Coordinate(position, unit, angle, speed, units.get(speed, per_time)))
    forces = tuple(Input(each, units.get(each, "")) for each in request.inputs)
    return Recording(name, tuple(coordinates), forces, (), _matrix(request, drives, input_matrix), time_unit)


def _matrix(
    request: Request, drives: Sequence[str] | None, matrix: Sequence[Sequence[float]] | None
) -> tuple[tuple[float, ...], ...] | None:
    rows, count = len(request.positions), len(request.inputs)
    if drives is not None and matrix is not None:
        raise InvalidOptionError("give drives or input_matrix, not both")
    if drives is not None:
        odd = [name for name in drives if name not in request.positions]
        if odd or len(drives) != count:
            raise InvalidOptionError(f"drives must name a position for each of the {count} inputs, not {list(drives)}")
        return tuple(tuple(float(driven == position) for driven in drives) for position in request.positions)
    if matrix is None:
        return None
    try:
        values = np.array(matrix, dtype=np.float64).reshape(rows, count)
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"input_matrix needs {rows} rows of {count} numbers, not {matrix!r}") from error
    if not np.isfinite(values).all():
        raise InvalidOptionError(f"input_matrix must be finite, not {matrix!r}")
    return tuple(map(tuple, values.tolist()))


def load(
    path: str | Path | Sequence[str | Path],
    request: Request | None,
    *,
    gap: float | None,
    units: Mapping[str, str] | None,
    time_unit: str,
    name: str | None,
    drives: Sequence[str] | None,
    input_matrix: Sequence[Sequence[float]] | None,
    inputs_from: str | Path | None,
) -> Recording:
    """Reads a recording; see ``Recording.load``."""
    if gap is not None and not gap > 1:
        raise InvalidOptionError(f"gap must be more than 1, not {gap!r}")
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths or (inputs_from is not None and (len(paths) > 1 or request is None)):
        raise InvalidOptionError("a path is needed, and with inputs_from just one, and the names of its columns")
    of_all: Recording | None = None
    for each in paths:
        reader = open_table(each)
        if request is None:
            own, columns = _own_description(reader, name)
        else:
            described: dict[str, Any] = {"drives": drives, "input_matrix": input_matrix}
            own = describe(request, name or _stem(paths[0]), units=units, time_unit=time_unit, **described)
            columns = request.columns(_time_column(reader, request.time))
        largest = gap or (math.inf if request is None else GAP)
        own = replace(own, runs=_read_runs(reader, columns, request, inputs_from, largest))
        of_all = own if of_all is None else joined(of_all, own)
    assert of_all is not None  # noqa: S101 - for the type checker
    return of_all


def joined(first: Recording, second: Recording) -> Recording:
    """The runs of two recordings of the same system.

    Raises:
        InvalidOptionError: they are not of the same columns.
    """
    if replace(first, runs=()) != replace(second, runs=()):
        raise InvalidOptionError(
            f"recordings of {first.name} and {second.name} cannot be joined: they differ in columns"
        )
    return replace(first, runs=first.runs + second.runs)


def _stem(path: str | Path) -> str:
    name = user_path(path)
    return Path(name.stem).stem if name.suffix.lower() == PACKED else name.stem


def _read_runs(
    reader: Reader, columns: Columns, request: Request | None, inputs_from: str | Path | None, gap: float
) -> tuple[Run, ...]:
    name = Path(reader.file).name
    if inputs_from is None or request is None:
        table = _read(reader, (columns.time, *columns.states, *columns.inputs), columns.labels)
        return make_runs(name, table, table, columns, gap)
    states = _read(reader, (columns.time, *columns.states), columns.labels)
    other = open_table(inputs_from)
    time = _time_column(other, request.time)
    table = _read(other, (time, *columns.inputs), columns.labels)
    inputs = replace(table, numbers={**table.numbers, columns.time: table.numbers[time]})
    return make_runs(name, states, inputs, columns, gap)


def _read(reader: Reader, numbers: Sequence[str], labels: Sequence[str]) -> Table:
    check_columns(reader, (*numbers, *labels))
    return reader.read(numbers, labels)


def _time_column(reader: Reader, given: str | None) -> str:
    if given is not None:
        return given
    found = [name for name in TIMES if name in reader.names]
    if not found:
        there = ", ".join(map(repr, reader.names[:20]))
        raise DataError(f"{reader.file}: there is no column 't' or 'time'; name the time's with time=; it has {there}")
    return found[0]


def _own_description(reader: Reader, name: str | None) -> tuple[Recording, Columns]:
    """What a file that ``save`` wrote says."""
    if not reader.note:
        there = ", ".join(map(repr, reader.names[:20]))
        raise InvalidOptionError(f"name the columns of {reader.file} with positions= and so on; it has {there}")
    try:
        own = parse(Description, parse_json(reader.note), "the description of its columns")
        if own.format != FORMAT or not own.coordinates or not is_system_name(own.name):
            raise InvalidOptionError("it is of another version, or names no system or coordinate")
        columns = own.columns()
        matrix = own.input_matrix
        request = Request(columns.positions, columns.velocities, columns.inputs)
        checked = None if matrix is None else _matrix(request, None, matrix)
    except InvalidOptionError as error:
        raise DataError(f"{reader.file}: {error}") from error
    return Recording(name or own.name, own.coordinates, own.inputs, (), checked, own.time_unit), columns


def save(recording: Recording, path: str | Path) -> None:
    """Writes a recording; see ``Recording.save``."""
    place = user_path(path)
    format_of(place)
    if not recording.runs:
        raise InvalidOptionError(f"the recording of {recording.name} has no runs to write")
    measured = recording.runs[0].velocities is not None
    if any((run.velocities is not None) != measured for run in recording.runs):
        raise InvalidOptionError("runs with velocities and runs without are not written to one file")
    own = Description(
        FORMAT,
        recording.name,
        recording.coordinates,
        recording.inputs,
        recording.input_matrix,
        recording.time_unit,
        measured,
    )
    rows = np.concatenate([_rows(number, run) for number, run in enumerate(recording.runs, start=1)])
    names = own.column_names()
    dof = recording.dof
    kept = [index for index in range(len(names)) if measured or not 2 + dof <= index < 2 + 2 * dof]
    columns = own.columns()
    names = [RUN, columns.time, *columns.states, *columns.inputs]
    numbers = rows[:, kept].T
    write_table(place, names, [numbers[0].astype(np.int64), *numbers[1:]], json.dumps(asdict(own), sort_keys=True))


def _rows(number: int, run: Run) -> Array:
    """Run, time, positions, velocities and inputs, in the order of time; NaN where nothing was sampled."""
    times = np.union1d(run.times, run.input_times if run.inputs.shape[1] else run.times)
    dof, inputs = run.positions.shape[1], run.inputs.shape[1]
    rows = np.full((len(times), 2 + 2 * dof + inputs), np.nan)
    rows[:, 0], rows[:, 1] = number, times
    here = np.searchsorted(times, run.times)
    rows[here, 2 : 2 + dof] = run.positions
    if run.velocities is not None:
        rows[here, 2 + dof : 2 + 2 * dof] = run.velocities
    if inputs:
        rows[np.searchsorted(times, run.input_times), 2 + 2 * dof :] = run.inputs
    return rows
