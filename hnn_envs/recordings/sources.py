"""Data sets: states with their derivatives, simulated from the true systems or measured.

Every source is a dataclass of settings, as a recipe holds them, with one method that makes the data for a system.
To add a source, write its class and add a line to ``SOURCES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.fitting.frames import INTERVAL, FilmSettings, load_films
from hnn_envs.progress import Progress, silent
from hnn_envs.recordings.exact import exact_trajectories
from hnn_envs.recordings.measured import load_real_pendulum
from hnn_envs.registry import construct
from hnn_envs.systems import Known, System, known_truth
from hnn_envs.systems.pairs import closest_distance
from hnn_envs.systems.pixel_pendulum import PixelPendulum

MOST_DRAWS = 1000
"""How often a source draws before it gives up."""


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


class Source(Protocol):
    """Where data comes from."""

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        ...


@dataclass(frozen=True)
class PaperSource:
    """The seed paper's simulated data: free trajectories, noise on x and exact x' (DESIGN: its protocol).

    Attributes:
        trajectories: how many.
        duration: length of a trajectory.
        points: states per trajectory, both ends included.
        noise: standard deviation of the Gaussian noise on x.
        test_share: share of the trajectories that is kept for the test.
        test_first: whether the test share is the first or the last of the trajectories.
    """

    trajectories: int
    duration: float
    points: int
    noise: float
    test_share: float
    test_first: bool

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        system = known_truth(system)
        times = np.linspace(0, self.duration, self.points)
        starts = system.sample_states(rng, self.trajectories)
        states = exact_trajectories(system, starts, times)
        noisy = states + self.noise * rng.standard_normal(states.shape)
        data = Dataset(times, noisy, system.field(states), _no_inputs(system, states))
        return _split(data, self.test_share, self.test_first)


@dataclass(frozen=True)
class MeasuredSource:
    """The measured pendulum, x' by forward differences, as the seed paper has it; one series, split in time.

    Attributes:
        test_share: share of the states, from the end, that is kept for the test.
        path: the file; by default the environment variable HNN_ENVS_DATA says where it is.
    """

    test_share: float = 0.2
    path: str | None = None

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share; ``rng`` is not used, there is only one series."""
        system = known_truth(system)
        if [(each.unit, each.momentum_unit) for each in system.spec.coordinates] != [("rad", "rad/s")]:
            raise InvalidOptionError(
                "the measured series is of an angle in rad and its velocity in rad/s, not of states of "
                f"{system.spec.name}"
            )
        series = load_real_pendulum(self.path)
        steps = np.diff(series.times)[:, None]
        derivatives = (np.diff(series.states, axis=0) / steps)[:, None]
        states = series.states[:-1, None]
        data = Dataset(np.zeros(1), states, derivatives, _no_inputs(system, states), steps)
        return _split(data, self.test_share, test_first=False)


@dataclass(frozen=True)
class BoxSource:
    """Exact derivatives at states and inputs drawn uniformly: the whole controlled domain of a task.

    Attributes:
        count: how many states.
        low: smallest value of each state component.
        high: largest value of each state component.
        max_input: inputs are drawn from [-max_input, max_input].
        closest: for bodies, smallest separation; closer ones are left out.
        test_share: share kept for the test.
    """

    count: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    max_input: float
    closest: float = 0.0
    test_share: float = 0.2

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        system = known_truth(system)
        size = 2 * system.spec.dof
        if not len(self.low) == len(self.high) == size:
            raise InvalidOptionError(
                f"the box of {system.spec.name} needs {size} limits low and high, "
                f"not {len(self.low)} and {len(self.high)}"
            )
        states = _collect(
            system, self.count, self.closest, lambda: rng.uniform(self.low, self.high, (self.count, size))
        )
        return _exact(system, states, self.max_input, rng, self.test_share)


@dataclass(frozen=True)
class ScatteredSource:
    """Bodies thrown about the plane: separations log-uniform, centre of mass at rest at the origin.

    What a task may bring about is sampled evenly in scale, close encounters as well as wide pairs.

    Attributes:
        count: how many states.
        closest: smallest separation.
        widest: largest separation of a body from the one before it.
        max_momentum: size of the momenta, per component, before the centre of mass is brought to rest.
        max_input: inputs are drawn from [-max_input, max_input].
        test_share: share kept for the test.
    """

    count: int
    closest: float
    widest: float
    max_momentum: float
    max_input: float
    test_share: float = 0.2

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        system = known_truth(system)
        if not system.spec.bodies:
            raise InvalidOptionError(f"scattered bodies need an n-body system, and {system.spec.name!r} is none")
        states = _collect(system, self.count, self.closest, lambda: self._draw(system, rng))
        return _exact(system, states, self.max_input, rng, self.test_share)

    def _draw(self, system: System, rng: np.random.Generator) -> Array:
        shape = (self.count, system.spec.bodies, 1)
        lengths = np.exp(rng.uniform(np.log(self.closest), np.log(self.widest), shape))
        angles = rng.uniform(-np.pi, np.pi, shape)
        steps = lengths * np.concatenate((np.cos(angles), np.sin(angles)), axis=-1)
        q = np.cumsum(steps, axis=1)
        p = rng.uniform(-self.max_momentum, self.max_momentum, q.shape)
        centred = [(values - values.mean(axis=1, keepdims=True)).reshape(self.count, -1) for values in (q, p)]
        return np.concatenate(centred, axis=-1)


@dataclass(frozen=True)
class DrivenSource:
    """Trajectories from the system's own initial states under random inputs, with exact derivatives.

    Attributes:
        trajectories: how many.
        duration: length of a trajectory.
        points: states per trajectory; the input changes after each.
        max_input: inputs are drawn from [-max_input, max_input].
        closest: for bodies, states with a smaller separation are left out, and what follows them.
        widest: largest size of a coordinate; states beyond it are left out, and what follows them.
        test_share: share kept for the test.
    """

    trajectories: int
    duration: float
    points: int
    max_input: float
    closest: float = 0.0
    widest: float = np.inf
    test_share: float = 0.2

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        system = known_truth(system)
        x = _at_rest(system, system.sample_states(rng, self.trajectories))
        dt = self.duration / (self.points - 1)
        kept = []
        for _ in range(self.points):
            x = _apart(system, x[np.abs(split(x)[0]).max(-1) <= self.widest], self.closest)
            kept.append(x)
            u = _random_inputs(system, len(x), self.max_input, rng)
            x = exact_trajectories(system, x, np.array([0.0, dt]), u)[:, -1]
        states = np.concatenate(kept)
        return _exact(system, rng.permutation(states), self.max_input, rng, self.test_share)


@dataclass(frozen=True)
class FilmSource:
    """Films of Gymnasium's Pendulum-v1, from the cache or made, with what was true behind the camera.

    Attributes:
        test_share: share of the films that is kept for the test.
        test_first: whether the test share is the first or the last of the films.
        settings: of ``hnn_envs.fitting.frames.FilmSettings``; all but the seed, which is drawn.
    """

    test_share: float = 0.2
    test_first: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "seed" in self.settings:
            raise InvalidOptionError("films have no seed of their own; it is drawn from the recipe's")
        _ = self.film

    @cached_property
    def film(self) -> FilmSettings:
        """What is filmed, and how, but for the seed."""
        return construct("films", FilmSettings, self.settings)

    def make(
        self,
        system: Known,
        rng: np.random.Generator,
        *,
        progress: Progress = silent,
        message: Callable[[str], Any] = lambda _: None,
    ) -> tuple[Dataset, Dataset]:
        """Training and test share; progress and message are those of ``load_films``."""
        system = known_truth(system)
        if not isinstance(system, PixelPendulum):
            raise InvalidOptionError(f"the films are of pixel-pendulum, not of {system.spec.name}")
        settings = replace(self.film, seed=int(rng.integers(2**31)))
        films = load_films(settings, progress=progress, message=message)
        states = np.stack((films.angles, films.velocities / system.inverse_mass), axis=-1)
        inputs = films.torques[..., None]
        times = INTERVAL * np.arange(settings.length)
        data = Dataset(times, states, system.field(states, inputs), inputs, frames=films.frames)
        return _split(data, self.test_share, self.test_first)


def _collect(system: System, count: int, closest: float, draw: Callable[[], Array]) -> Array:
    """Draws until there are enough states whose bodies are apart."""
    states = np.empty((0, 2 * system.spec.dof))
    for _ in range(MOST_DRAWS):
        states = np.concatenate((states, _apart(system, draw(), closest)))
        if len(states) >= count:
            return states[:count]
    raise InvalidOptionError(f"hardly any state has its bodies {closest:g} apart, as the data source asks")


def _exact(
    system: System, states: Array, max_input: float, rng: np.random.Generator, test_share: float
) -> tuple[Dataset, Dataset]:
    u = _random_inputs(system, len(states), max_input, rng)
    derivatives = system.field(states, u)
    return _split(Dataset(np.zeros(1), states[:, None], derivatives[:, None], u[:, None]), test_share, test_first=False)


def _random_inputs(system: System, count: int, size: float, rng: np.random.Generator) -> Array:
    return rng.uniform(-size, size, (count, system.spec.force_matrix.shape[-1]))


def _no_inputs(system: System, states: Array) -> Array:
    return np.zeros((*states.shape[:-1], system.spec.force_matrix.shape[-1]))


def _apart(system: System, states: Array, closest: float) -> Array:
    """Leaves out the states in which two bodies are closer than ``closest``."""
    bodies = system.spec.bodies
    return states[closest_distance(split(states)[0], bodies) >= closest] if bodies else states


def _at_rest(system: System, states: Array) -> Array:
    """Brings the centre of mass of bodies to rest at the origin."""
    if not system.spec.bodies:
        return states
    bodies = states.reshape(len(states), 2, system.spec.bodies, 2)
    return (bodies - bodies.mean(axis=2, keepdims=True)).reshape(states.shape)


def _split(data: Dataset, test_share: float, test_first: bool) -> tuple[Dataset, Dataset]:
    if test_first:
        border = int(len(data) * test_share)
        return data.take(slice(border, None)), data.take(slice(border))
    border = len(data) - int(len(data) * test_share)
    return data.take(slice(border)), data.take(slice(border, None))


SOURCES: dict[str, type[Any]] = {
    "paper": PaperSource,
    "measured": MeasuredSource,
    "box": BoxSource,
    "scattered": ScatteredSource,
    "driven": DrivenSource,
    "films": FilmSource,
}


def make_source(settings: dict[str, Any]) -> Source:
    """Builds a source from a recipe's table, whose key "source" names it.

    Raises:
        UnknownNameError: there is no such source.
        InvalidOptionError: the settings do not fit it.
    """
    arguments = dict(settings)
    name = arguments.pop("source", None)
    if name not in SOURCES:
        raise UnknownNameError.of("data source", name, SOURCES)
    source: Source = construct(f"data source {name!r}", SOURCES[name], arguments)
    return source


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
