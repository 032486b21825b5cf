"""A system as it is watched: states at an environment's time step, under random inputs that are held over each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian.pairs import closest_distance
from hnn_envs.parsing import Amount, Bounded
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.exact import exact_trajectories
from hnn_envs.recordings.sources import MOST_STATES, Duration, States, bring_to_rest
from hnn_envs.systems import Known, System, known_truth

MOST_ROUNDS = 1000
"""How often runs are begun anew before the source gives up."""


@dataclass(frozen=True)
class WatchedSource:
    """Runs of a true system under random inputs. The derivatives that come with them are for the test loss only.

    Attributes:
        seconds: how long the training runs are in all, in the system's unit of time.
        test_seconds: the same for the test runs, which come after.
        dt: time between states; the input changes with every one of them.
        intervals: how many of these a run has.
        max_input: inputs are drawn from [-max_input, max_input].
        low: smallest value of each component where runs start; by default they start where the system's states are
            drawn from. Runs that leave the limits, angles aside, are left out.
        high: largest value of each component.
        closest: for bodies, smallest separation; runs in which two come closer are left out.
        at_rest: for bodies, whether their centre of mass starts at rest at the origin, where thrusts that sum to zero
            leave it.
    """

    seconds: Duration
    test_seconds: Duration
    dt: Duration
    intervals: States
    max_input: Amount
    low: tuple[Bounded, ...] = ()
    high: tuple[Bounded, ...] = ()
    closest: Amount = 0.0
    at_rest: bool = False

    def __post_init__(self) -> None:
        if (self.seconds + self.test_seconds) / self.dt > MOST_STATES:
            raise InvalidOptionError(
                f"{self.seconds:g} seconds and {self.test_seconds:g} test_seconds in steps of dt {self.dt:g} are more "
                f"than {MOST_STATES} states"
            )

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share.

        Raises:
            InvalidOptionError: limits of the wrong number, or hardly any run stays within them.
        """
        system = known_truth(system)
        if (self.closest or self.at_rest) and not system.spec.bodies:
            raise InvalidOptionError(f"closest and at_rest are for bodies, and {system.spec.name} has none")
        size = 2 * system.spec.dof
        if len(self.low) != len(self.high) or len(self.low) not in (0, size):
            raise InvalidOptionError(
                f"runs of {system.spec.name} need {size} limits low and high or none, "
                f"not {len(self.low)} and {len(self.high)}"
            )
        counts = [round(each / (self.dt * self.intervals)) for each in (self.seconds, self.test_seconds)]
        states, inputs = self._runs(system, sum(counts), rng)
        times = self.dt * np.arange(self.intervals + 1)
        data = Dataset(times, states, system.field(states, inputs), inputs)
        return data.take(slice(counts[0])), data.take(slice(counts[0], None))

    def _runs(self, system: System, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """States (count, intervals + 1, 2*dof) of runs within the limits, and inputs of the same leading shape."""
        states, inputs, found = [], [], 0
        for _ in range(MOST_ROUNDS):
            x, u = self._watch(system, count, rng)
            inside = self._inside(system, x)
            states.append(x[inside])
            inputs.append(u[inside])
            found += int(inside.sum())
            if found >= count:
                return np.concatenate(states)[:count], np.concatenate(inputs)[:count]
        raise InvalidOptionError(f"hardly any run of {system.spec.name} stays within the limits of the data source")

    def _watch(self, system: System, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        box = (count, len(self.low))
        x = rng.uniform(self.low, self.high, box) if self.low else system.sample_states(rng, count)
        x = bring_to_rest(system, x) if self.at_rest else x
        u = rng.uniform(-self.max_input, self.max_input, (count, self.intervals + 1, len(system.spec.inputs)))
        path, span = [x], np.array([0.0, self.dt])
        for step in range(self.intervals):
            path.append(exact_trajectories(system, path[-1], span, u[:, step])[:, -1])
        return np.stack(path, axis=1), u

    def _inside(self, system: System, states: Array) -> Array:
        """Which runs stay within the limits, of which angles have none, and keep their bodies apart."""
        apart = np.ones(len(states), dtype=bool)
        if self.closest:
            apart = (closest_distance(split(states)[0], system.spec.bodies) >= self.closest).all(1)
        if not self.low:
            return apart
        linear = ~np.array([*system.spec.angles, *(False,) * system.spec.dof])
        within = (states >= self.low) & (states <= self.high)
        return apart & within[..., linear].all((1, 2))
