"""What can be learned from watching: models fitted to states alone foretell unseen runs of the same system.

A true system is watched at its task's time step, from several starts, under random inputs; noise may be added to the
states, which are positions and velocities. Every model is fitted to the same recording and foretells the same unseen
runs, which have no noise, from their first state under their inputs. ``run`` gives rows:

- ``valid_prediction_time``: the median over runs of the time until the relative error exceeds 0.3, in periods, or in
  Lyapunov times of a chaotic system; runs that stay valid to their end count with their length. ``_low`` and ``_high``
  are the quartiles;
- ``prediction_error``: the median over runs of the relative error after one period or Lyapunov time;
- ``fitting_time``: of the model, in seconds;
- ``unseen_time``: how long the unseen runs are, in the same units as valid prediction times;
- ``lyapunov_time``: of a chaotic system's unseen runs themselves, in its unit of time.

The field ``dynamics`` of a row holds model, seconds watched, noise and seed, as "mlp@30:0.01:0"; a model alone stands
for the condition of the target, a minute without noise and seed 0. ``read_label`` reads it.
"""

from __future__ import annotations

from hnn_envs.benchmarks.learning.cells import Condition, read_label
from hnn_envs.benchmarks.learning.suite import (
    FULL_NOISE,
    FULL_SECONDS,
    MINUTES,
    NOISE,
    SECONDS,
    STARTS,
    SYSTEMS,
    curves_of,
    run,
)

__all__ = [
    "FULL_NOISE",
    "FULL_SECONDS",
    "MINUTES",
    "NOISE",
    "SECONDS",
    "STARTS",
    "SYSTEMS",
    "Condition",
    "curves_of",
    "read_label",
    "run",
]
