"""What a step amounts to, compiled: the rules of ``hnn_envs.tasks`` over one state or a batch.

The array code of the tasks is the definition and these functions' test; torch runs on that. Everything here is in one
file, because Numba's cache on disk notices changes in one file only. A batch is a loop over rows, so a state in a batch
is judged bit for bit as it is alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from hnn_envs.kernels.jit import borrowed, compiled

SPRING, PENDULUM, REAL_PENDULUM, TWO_BODY, THREE_BODY = range(5)
"""The tasks."""

inlined = njit(error_model="numpy", forceinline=True)


@compiled
def judge(kind: int, rows: int, x: Any, u: Any, x_next: Any, constants: Any, seen: Any, report: Any) -> None:
    """Judges the steps of ``rows`` states from x to x_next under inputs u.

    All arrays are flat, since slices of a batch would cost more than the rules.

    Args:
        kind: the task.
        rows: number of states.
        x: states before the step, rows * 2*dof.
        u: the inputs over the step, rows * inputs.
        x_next: states after it; where one diverged, it is replaced by the last one.
        constants: what counts as diverged, limits of states and observations, and the numbers of the task.
        seen: what agents see, rows * observations, float32; filled in.
        report: filled in with all rewards, all energies, and whether states are terminated, outside, diverged.
    """
    constants = borrowed(constants)  # counting the references to its slice takes twice as long as the rules
    size, pushes, features = x.size // rows, u.size // rows, seen.size // rows
    numbers = constants[1 + 2 * size + 2 * features :]
    for row in range(rows):
        at, to = row * size, row * features
        outside, diverged = settle(kind, x, x_next, at, size, constants, numbers)
        given = row * pushes
        terminated = False
        if kind == SPRING:
            reward, energy = spring(x, u, x_next, at, given, outside, numbers, seen, to)
        elif kind == PENDULUM:
            reward, energy = pendulum(x, u, x_next, at, given, outside, numbers, seen, to)
        elif kind == REAL_PENDULUM:
            reward, energy = real_pendulum(u, x_next, at, given, outside, numbers, seen, to)
        elif kind == TWO_BODY:
            reward, energy = two_body(u, x_next, at, given, outside, numbers, seen, to)
        else:
            reward, energy, terminated = three_body(u, x_next, at, given, outside, numbers, seen, to)
        clip(seen, to, features, constants, 1 + 2 * size)
        report[row], report[rows + row], report[2 * rows + row] = reward, energy, terminated
        report[3 * rows + row], report[4 * rows + row] = outside, diverged


@inlined
def settle(kind: int, x: Any, x_next: Any, at: int, size: int, constants: Any, numbers: Any) -> Any:
    """Whether a state is outside the limits, and whether it diverged; then it is replaced by the last one."""
    outside = False
    for i in range(size):
        # An infinite limit lets an infinite angle through, and NaN compares false with everything.
        value = x_next[at + i]
        outside |= not (constants[1 + i] <= value <= constants[1 + size + i] and math.isfinite(value))
    if kind == TWO_BODY:
        outside |= not numbers[2] <= distance(x_next, at, 0, 1) <= numbers[3]
    diverged = False
    if outside:
        for i in range(size):
            diverged |= not abs(x_next[at + i]) < constants[0]
        if diverged:
            for i in range(size):
                x_next[at + i] = x[at + i]
    return outside, diverged


@inlined
def clip(seen: Any, to: int, features: int, constants: Any, bounds: int) -> None:
    """Puts what an agent sees into its bounds; NaN reads as zero."""
    for i in range(features):
        low, high = np.float32(constants[bounds + i]), np.float32(constants[bounds + features + i])
        value = seen[to + i]
        value = value if value == value else np.float32(0.0)
        value = value if value > low else low
        seen[to + i] = value if value < high else high


# One function per task: reward and energy of one state, and what the agent sees. ``at``, ``given`` and ``to`` are where
# its state, input and observation begin; ``numbers`` begin with the strength of the true potential and 1/m.


@inlined
def spring(x: Any, u: Any, x_next: Any, at: int, given: int, outside: bool, numbers: Any, seen: Any, to: int) -> Any:
    """Drive a mass on a spring to rest."""
    strength, inverse_mass, input_cost, exit_cost = numbers[0], numbers[1], numbers[2], numbers[3]
    q, p = x_next[at], x_next[at + 1]
    seen[to], seen[to + 1] = q, p
    cost = x[at] * x[at] + x[at + 1] * x[at + 1] + input_cost * (u[given] * u[given])
    return -cost - (exit_cost if outside else 0.0), 0.5 * inverse_mass * (p * p) + 0.5 * strength * (q * q)


@inlined
def pendulum(x: Any, u: Any, x_next: Any, at: int, given: int, outside: bool, numbers: Any, seen: Any, to: int) -> Any:
    """Swing a pendulum up and hold it."""
    strength, inverse_mass, velocity_unit, torque_unit = numbers[0], numbers[1], numbers[2], numbers[3]
    velocity_cost, torque_cost, exit_cost = numbers[4], numbers[5], numbers[6]
    cosine, p = math.cos(x_next[at]), x_next[at + 1]
    seen[to], seen[to + 1], seen[to + 2] = cosine, math.sin(x_next[at]), p
    angle = x[at] - 2 * math.pi * math.floor(x[at] / (2 * math.pi)) - math.pi  # from upright
    velocity, torque = velocity_unit * x[at + 1], torque_unit * u[given]
    cost = angle * angle + velocity_cost * (velocity * velocity) + torque_cost * (torque * torque)
    return -cost - (exit_cost if outside else 0.0), 0.5 * inverse_mass * (p * p) + strength * (1 - cosine)


@inlined
def real_pendulum(u: Any, x_next: Any, at: int, given: int, outside: bool, numbers: Any, seen: Any, to: int) -> Any:
    """Keep the measured pendulum swinging."""
    strength, inverse_mass, target_energy = numbers[0], numbers[1], numbers[2]
    q, p = x_next[at], x_next[at + 1]
    seen[to], seen[to + 1] = q, p
    energy = 0.5 * inverse_mass * (p * p) + strength * (1 - math.cos(q))
    closeness = 1 - abs(energy - target_energy) / target_energy
    price = effort(u, given, 1, numbers[3], numbers[4])
    return 0.0 if outside or not closeness > 0 else closeness * (1 - price), energy


@inlined
def two_body(u: Any, x_next: Any, at: int, given: int, outside: bool, numbers: Any, seen: Any, to: int) -> Any:
    """Bring two bodies onto a wider orbit."""
    target_separation, target_velocity, separation_scale, velocity_scale = (
        numbers[4],
        numbers[5],
        numbers[6],
        numbers[7],
    )
    inverse_mass, separation = numbers[1], distance(x_next, at, 0, 1)
    along_x, along_y = (x_next[at] - x_next[at + 2]) / separation, (x_next[at + 1] - x_next[at + 3]) / separation
    velocity_x = inverse_mass * (x_next[at + 4] - x_next[at + 6])
    velocity_y = inverse_mass * (x_next[at + 5] - x_next[at + 7])
    radial, tangential = along_x * velocity_x + along_y * velocity_y, along_x * velocity_y - along_y * velocity_x
    seen[to], seen[to + 1], seen[to + 2], seen[to + 3], seen[to + 4] = along_x, along_y, separation, radial, tangential
    length = (separation - target_separation) / separation_scale
    inward, across = radial / velocity_scale, (tangential - target_velocity) / velocity_scale
    error = length * length + inward * inward + across * across
    reward = 0.0 if outside else (1 - effort(u, given, 2, numbers[8], numbers[9])) / (1 + error)
    return reward, bodies_energy(x_next, at, 2, numbers)


@inlined
def three_body(u: Any, x_next: Any, at: int, given: int, outside: bool, numbers: Any, seen: Any, to: int) -> Any:
    """Keep three bodies together, and apart; tells whether that has ended, too."""
    smallest, largest = numbers[2], numbers[3]
    for i in range(12):
        seen[to + i] = x_next[at + i]
    centre_x = (x_next[at] + x_next[at + 2] + x_next[at + 4]) / 3
    centre_y = (x_next[at + 1] + x_next[at + 3] + x_next[at + 5]) / 3
    terminated = False
    for i in range(3):
        dx, dy = x_next[at + 2 * i] - centre_x, x_next[at + 2 * i + 1] - centre_y
        terminated |= dx * dx + dy * dy > largest * largest
        for j in range(i):
            terminated |= distance(x_next, at, j, i) < smallest
    reward = 0.0 if outside or terminated else 1 - effort(u, given, 4, numbers[4], numbers[5])
    return reward, bodies_energy(x_next, at, 3, numbers), terminated


@inlined
def distance(x: Any, at: int, i: int, j: int) -> Any:
    """Between two bodies."""
    dx, dy = x[at + 2 * i] - x[at + 2 * j], x[at + 2 * i + 1] - x[at + 2 * j + 1]
    return math.sqrt(dx * dx + dy * dy)


@inlined
def effort(u: Any, given: int, count: int, cost: float, largest: float) -> Any:
    """The cost of the mean square of the inputs, the largest being 1."""
    total = 0.0
    for i in range(count):
        push = u[given + i] / largest
        total += push * push
    return cost * (total / count)


@inlined
def bodies_energy(x: Any, at: int, bodies: int, numbers: Any) -> Any:
    """The true energy of bodies that attract each other."""
    square, inverse = 0.0, 0.0
    for i in range(2 * bodies, 4 * bodies):
        square += x[at + i] * x[at + i]
    for i in range(bodies):
        for j in range(i + 1, bodies):
            inverse += 1 / distance(x, at, i, j)
    return 0.5 * numbers[1] * square - numbers[0] * inverse
