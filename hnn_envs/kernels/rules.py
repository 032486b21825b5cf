"""What a step amounts to, compiled: a task's own formulas over one state or a batch.

The array code of the tasks follows from the same formulas and is these functions' test; torch runs on that. A batch is
a loop over rows, so a state in a batch has the same outcome bit for bit as it has alone.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from hnn_envs.components import Components, Formula, Layout, Step
from hnn_envs.kernels import arithmetic as _arithmetic  # noqa: F401 - tells the compiler what formulas say
from hnn_envs.kernels.jit import borrowed, compiled
from hnn_envs.kernels.lanes import as_text, gather, record
from hnn_envs.kernels.matrices import multiply


class RuleFormulas(NamedTuple):
    """The formulas of a task, as ``hnn_envs.tasks.formulas.TaskFormulas`` has them, and of its system's energy.

    That is p^2 / 2m + V(q) where there is no mass matrix, else q' M(q) q' / 2 + V(q).
    """

    observation: Formula
    reward: Formula
    inside: Formula | None
    terminated: Formula | None
    potential: Formula
    mass_matrix: Formula | None = None


def no_matrix(system: Any, q: Components) -> bool:
    """Tells that a system has no mass matrix but a mass."""
    return False


def everywhere(task: Any, x: Components) -> bool:
    """Whether a state is within limits that no formula adds to."""
    return True


def nowhere(task: Any, x: Components) -> bool:
    """Whether a state ends an episode that no formula ends."""
    return False


class Sizes(NamedTuple):
    """How many coordinates, inputs and entries of an observation there are, and how many constants."""

    dof: int
    inputs: int
    features: int
    constants: int


@cache
def make_rules(formulas: RuleFormulas, layout: Layout, sizes: Sizes, largest: float) -> Any:
    """The compiled rules of a task.

    Args:
        formulas: what they say.
        layout: the names of the task's constants, with those of its system under "system".
        sizes: of its arrays.
        largest: a state component of this size counts as diverged.
    """
    observation, reward, potential = formulas.observation, formulas.reward, formulas.potential
    inside, terminated = formulas.inside or everywhere, formulas.terminated or nowhere
    mass_matrix = formulas.mass_matrix or no_matrix
    dof, inputs, features, own = sizes
    size, names = 2 * dof, as_text(("inverse_mass", ("task", layout)))

    def outcome(rows: int, x: Any, u: Any, x_next: Any, constants: Any, observations: Any, report: Any) -> None:
        """Fills in what the steps of ``rows`` states from x to x_next under inputs u amount to.

        All arrays are flat, since slices of a batch would cost more than the rules.

        Args:
            rows: number of states.
            x: states before the step, rows * 2*dof.
            u: the inputs over the step, rows * inputs.
            x_next: states after it; where one diverged, it is replaced by the last one.
            constants: 1/m (unused where there is a mass matrix), those of the task, limits of states, low and high,
                and of observations, low and high.
            observations: what agents observe, rows * features, float32; filled in.
            report: filled in with all rewards, all energies, and whether states are terminated, outside, diverged.
        """
        constants = borrowed(constants)  # counting the references to its slices takes twice as long as the rules
        named, bounds = record(names, constants), constants[own:]
        task = named.task
        low, high = bounds[:size], bounds[size:][:size]
        observation_low, observation_high = bounds[2 * size :][:features], bounds[2 * size + features :]
        for n in range(rows):
            at, to = n * size, n * features
            before, after = gather(x, at, 1, size), gather(x_next, at, 1, size)
            is_inside = inside(task, after)
            for i in range(size):
                # An infinite limit lets an infinite angle through, and NaN compares false with everything.
                is_inside &= low[i] <= after[i] <= high[i] and math.isfinite(after[i])
            has_diverged = False
            if not is_inside:
                for i in range(size):
                    has_diverged |= not abs(after[i]) < largest
                if has_diverged:
                    after = before
                    for i in range(size):
                        x_next[at + i] = before[i]
            q = gather(x_next, at, 1, dof)
            kinetic = kinetic_energy(named.inverse_mass, mass_matrix(task.system, q), gather(x_next, at + dof, 1, dof))
            energy = kinetic + potential(task.system, q)
            features_seen = observation(task, after)
            for i in range(features):
                # Rounded first, so that bounds hold in float32; NaN reads as zero.
                value = np.float32(features_seen[i])
                value = value if value == value else np.float32(0.0)
                lowest, highest = np.float32(observation_low[i]), np.float32(observation_high[i])
                value = value if value > lowest else lowest
                observations[to + i] = value if value < highest else highest
            step = Step(before, gather(u, n * inputs, 1, inputs), after, is_inside, energy)
            report[n], report[rows + n], report[2 * rows + n] = reward(task, step), energy, terminated(task, after)
            report[3 * rows + n], report[4 * rows + n] = not is_inside, has_diverged

    return compiled(outcome, observation, reward, inside, terminated, potential, mass_matrix)


def kinetic_energy(inverse_mass: Any, matrix: Any, second: Any) -> Any:
    """The kinetic energy of momenta, or of velocities where there is a mass matrix."""


@overload(kinetic_energy, jit_options={"error_model": "numpy", "forceinline": True})
def _kinetic_energy(inverse_mass: Any, matrix: Any, second: Any) -> Any:
    return _of_momenta if isinstance(matrix, types.Boolean) else _of_velocities


def _of_momenta(inverse_mass: Any, matrix: Any, second: Any) -> Any:
    squares = 0.0
    for momentum in second:
        squares += momentum * momentum
    return 0.5 * inverse_mass * squares


def _of_velocities(inverse_mass: Any, matrix: Any, second: Any) -> Any:
    moved, total = multiply(matrix, second), 0.0
    for i in range(len(second)):
        total += second[i] * moved[i]
    return 0.5 * total
