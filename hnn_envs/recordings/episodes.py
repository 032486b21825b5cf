"""Recordings from Minari datasets, which keep observations and actions, and no times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError, InvalidOptionError
from hnn_envs.recordings.loading import Request, describe
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.recordings.stretches import Columns, make_runs
from hnn_envs.recordings.tables import LARGEST, Table

NEEDS = 'Minari datasets need Minari; install hnn_envs with the extra "recordings"'


@dataclass(frozen=True)
class Reading:
    """How states and inputs are read from observations and actions; see ``Recording.from_minari``."""

    dt: float
    observation: Callable[[Array], Any]
    action: Callable[[Array], Array] | None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.dt) and self.dt > 0):
            raise InvalidOptionError(f"dt must be a positive number, not {self.dt!r}")


def from_minari(dataset: Any, reading: Reading, request: Request, *, name: str | None, **described: Any) -> Recording:
    """Takes the episodes of a dataset; see ``Recording.from_minari``."""
    found = _found(dataset) if isinstance(dataset, str) else dataset
    own = str(getattr(getattr(found, "spec", None), "dataset_id", "minari"))
    runs: list[Run] = []
    columns: Columns | None = None
    for index, episode in enumerate(found.iterate_episodes()):
        title = f"{own}, episode {getattr(episode, 'id', index)}"
        q, v, u = _read(title, episode, reading, request)
        columns = _columns(request, v is not None)
        runs.extend(_runs(title, reading.dt, (q, v, u), columns))
    if columns is None or not runs:
        raise DataError(f"{own} has no episodes")
    if columns.velocities is not None:
        request = replace(request, velocities=columns.velocities)
    whole = describe(request, name or own.replace("/", "-"), **described)
    return replace(whole, runs=tuple(runs))


def _found(name: str) -> Any:
    try:
        import minari
    except ImportError as error:
        raise InvalidOptionError(NEEDS) from error
    try:
        return minari.load_dataset(name)
    except (ValueError, OSError, KeyError, ImportError) as error:
        raise DataError(f"there is no Minari dataset {name!r} that can be read on this machine: {error}") from error


def _columns(request: Request, measured: bool) -> Columns:
    if request.velocities is None and measured:
        return replace(request, velocities=[f"{position}'" for position in request.positions]).columns("t")
    if request.velocities is not None and not measured:
        raise InvalidOptionError("velocities are named, and observation= gives positions only")
    return request.columns("t")


def _read(title: str, episode: Any, reading: Reading, request: Request) -> tuple[Array, Array | None, Array]:
    """Positions (n, dof), velocities or None, and inputs (n - 1, inputs)."""
    state = reading.observation(episode.observations)
    q, v = state if isinstance(state, tuple) else (state, None)
    q = _checked(title, "positions", q, (None, len(request.positions)))
    if v is not None:
        v = _checked(title, "velocities", v, q.shape)
    if not request.inputs:
        return q, v, np.zeros((len(q) - 1, 0))
    actions = np.asarray(episode.actions, dtype=np.float64) if reading.action is None else episode.actions
    u = actions.reshape(len(actions), -1) if reading.action is None else reading.action(actions)
    return q, v, _checked(title, "inputs", u, (len(q) - 1, len(request.inputs)))


def _checked(title: str, kind: str, values: Any, shape: tuple[int | None, ...]) -> Array:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{title}: {kind} are no array of numbers: {error}") from error
    expected = tuple(len(array) if array.ndim and size is None else size for size in shape)
    if array.shape != expected:
        told = ", ".join("n" if size is None else str(size) for size in shape)
        raise DataError(f"{title}: {kind} have shape {array.shape}, and ({told}) is expected")
    bad = np.argwhere(~(np.abs(array) < LARGEST))
    if bad.size:
        row, column = bad[0]
        raise DataError(f"{title}: {kind}, column {column}, row {row + 1}: {array[row, column]} is no measurement")
    return array


def _runs(title: str, dt: float, read: tuple[Array, Array | None, Array], columns: Columns) -> tuple[Run, ...]:
    """The run of an episode; none where it is too short to tell anything."""
    q, v, u = read
    if len(q) < columns.fewest:
        return ()
    held = np.concatenate([u, np.full((1, u.shape[1]), np.nan)])
    values = np.concatenate([q, held] if v is None else [q, v, held], axis=-1)
    numbers = dict(zip((*columns.states, *columns.inputs), values.T, strict=True))
    table = Table(title, {columns.time: dt * np.arange(len(q)), **numbers}, {}, np.arange(1, len(q) + 1))
    return make_runs(title, table, table, columns)
