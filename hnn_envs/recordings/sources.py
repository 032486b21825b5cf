"""The sources of this package: states with their derivatives, simulated from the true systems or measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian.pairs import closest_distance
from hnn_envs.parsing import Amount, Bounded, Count, Positive, Share, Within
from hnn_envs.recordings.dataset import Dataset, split_shares
from hnn_envs.recordings.exact import exact_trajectories
from hnn_envs.recordings.measured import load_real_pendulum
from hnn_envs.systems import Known, System, known_truth

MOST_DRAWS = 1000
"""How often a source draws before it gives up."""
MOST_STATES = 10**7
"""That a source makes; a hundred times what any shipped recipe asks for."""
LONGEST = 10**6
"""Units of time; a trajectory so long takes minutes."""
States = Annotated[int, Within(1, MOST_STATES)]
Points = Annotated[int, Within(2, MOST_STATES)]
Duration = Annotated[float, Within(0, LONGEST, above=True)]


def _check_states(trajectories: int, points: int) -> None:
    if trajectories * points > MOST_STATES:
        raise InvalidOptionError(f"{trajectories} trajectories of {points} points are more than {MOST_STATES} states")


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

    trajectories: Count
    duration: Duration
    points: Points
    noise: Amount
    test_share: Share
    test_first: bool

    def __post_init__(self) -> None:
        _check_states(self.trajectories, self.points)

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        system = known_truth(system)
        times = np.linspace(0, self.duration, self.points)
        starts = system.sample_states(rng, self.trajectories)
        states = exact_trajectories(system, starts, times)
        noisy = states + self.noise * rng.standard_normal(states.shape)
        data = Dataset(times, noisy, system.field(states), _no_inputs(system, states))
        return split_shares(data, self.test_share, self.test_first)


@dataclass(frozen=True)
class MeasuredSource:
    """The measured pendulum, x' by forward differences, as the seed paper has it; one series, split in time.

    Attributes:
        test_share: share of the states, from the end, that is kept for the test.
        path: the file; by default the environment variable HNN_ENVS_DATA says where it is.
    """

    test_share: Share = 0.2
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
        return split_shares(data, self.test_share, test_first=False)


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

    count: States
    low: tuple[Bounded, ...]
    high: tuple[Bounded, ...]
    max_input: Amount
    closest: Amount = 0.0
    test_share: Share = 0.2

    def __post_init__(self) -> None:
        if any(low > high for low, high in zip(self.low, self.high, strict=False)):
            raise InvalidOptionError(f"low must not be above high, not {self.low} and {self.high}")

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

    count: States
    closest: Positive
    widest: Positive
    max_momentum: Amount
    max_input: Amount
    test_share: Share = 0.2

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

    trajectories: Count
    duration: Duration
    points: Points
    max_input: Amount
    closest: Amount = 0.0
    widest: Amount = np.inf
    test_share: Share = 0.2

    def __post_init__(self) -> None:
        _check_states(self.trajectories, self.points)

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        system = known_truth(system)
        x = bring_to_rest(system, system.sample_states(rng, self.trajectories))
        dt = self.duration / (self.points - 1)
        kept = []
        for _ in range(self.points):
            x = _apart(system, x[np.abs(split(x)[0]).max(-1) <= self.widest], self.closest)
            kept.append(x)
            u = _random_inputs(system, len(x), self.max_input, rng)
            x = exact_trajectories(system, x, np.array([0.0, dt]), u)[:, -1]
        states = np.concatenate(kept)
        return _exact(system, rng.permutation(states), self.max_input, rng, self.test_share)


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
    return split_shares(
        Dataset(np.zeros(1), states[:, None], derivatives[:, None], u[:, None]), test_share, test_first=False
    )


def _random_inputs(system: System, count: int, size: float, rng: np.random.Generator) -> Array:
    return rng.uniform(-size, size, (count, system.spec.force_matrix.shape[-1]))


def _no_inputs(system: System, states: Array) -> Array:
    return np.zeros((*states.shape[:-1], system.spec.force_matrix.shape[-1]))


def _apart(system: System, states: Array, closest: float) -> Array:
    """Leaves out the states in which two bodies are closer than ``closest``."""
    bodies = system.spec.bodies
    return states[closest_distance(split(states)[0], bodies) >= closest] if bodies else states


def bring_to_rest(system: System, states: Array) -> Array:
    """Brings the centre of mass of bodies to rest at the origin."""
    if not system.spec.bodies:
        return states
    bodies = states.reshape(len(states), 2, system.spec.bodies, 2)
    return (bodies - bodies.mean(axis=2, keepdims=True)).reshape(states.shape)
