"""What several tasks do in the same way: limits, observations, and the cost of effort."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnn_envs.arrays import Array, cast, constant, like, namespace
from hnn_envs.components import Components


def limits(*values: float) -> Array:
    """A read-only float64 vector of limits, so that nobody changes a task by accident."""
    return constant(values)


def bounds(*values: float) -> Array:
    """A read-only float32 vector of observation bounds."""
    return constant(values, np.float32)


def within(x: Array, low: Array, high: Array) -> Array:
    """Whether states are finite and inside a box, bool, shape (...,)."""
    # An infinite limit lets an infinite angle through, and NaN compares false with everything.
    xp = namespace(x)
    return xp.all((x >= like(low, x)) & (x <= like(high, x)) & xp.isfinite(x), axis=-1)


def observe(features: tuple[Array, ...], low: Array, high: Array) -> Array:
    """Stacks features, each of shape (...,), into an observation: float32, finite, inside its bounds.

    Only states outside the limits, which end an episode, are changed by the clipping; a diverged one reads as zero.
    """
    xp = namespace(features[0])
    stacked = xp.stack(features, axis=-1)
    stacked = cast(xp.where(xp.isnan(stacked), xp.zeros_like(stacked), stacked), xp.float32)
    return xp.clip(stacked, like(low, stacked), like(high, stacked))


def effort(task: Any, u: Components) -> Array:
    """The cost of the mean square of the inputs, the largest being 1; a formula for tasks with an ``effort_cost``."""
    total = 0.0
    for entry in u:
        share = entry / task.max_input
        total = total + share * share
    return task.effort_cost * (total / len(u))
