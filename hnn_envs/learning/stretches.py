"""The stretches that are learned from, as trajectories along a recording's paths."""

from __future__ import annotations

import math

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.learning.setting import Setting
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.windows import STRAIGHT, mean_inputs


def impulse_step(setting: Setting) -> float:
    """A multiple of the grid's step over which motion and inputs are nearly straight."""
    watched = setting.watched
    return watched.dt * max(1, round(watched.pace / STRAIGHT / watched.dt))


def trajectories(setting: Setting, step: float, ahead: int) -> Dataset:
    """All trajectories of ``ahead`` intervals in what is learned from, or of fewer where no stretch is as long.

    Args:
        setting: what is learned from.
        step: length of an interval.
        ahead: how many; neighbouring trajectories overlap by all but one.
    """
    watched, spans = setting.watched, setting.shares.train
    counts = [math.floor((last - first) / step + 1e-6) for _, first, last in spans]
    ahead = max(1, min(ahead, max(counts)))
    states, inputs = [], []
    for (number, first, _), count in zip(spans, counts, strict=True):
        if count < ahead:
            continue
        edges = first + step * np.arange(count + 1)
        held = mean_inputs(watched.recording.runs[number], edges)
        states.append(_overlapping(watched.paths[number].states(edges), ahead + 1))
        inputs.append(_overlapping(np.concatenate((held, held[-1:])), ahead + 1))
    along = np.concatenate(states)
    return Dataset(step * np.arange(ahead + 1), along, np.zeros_like(along), np.concatenate(inputs))


def _overlapping(values: Array, length: int) -> Array:
    """All stretches of a length, shape (n, length, size)."""
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(values, length, axis=0), -1, 1)
