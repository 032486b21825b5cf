"""A cart on a track between two springs that somebody recorded: what it is, and the recording; no equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hnn_envs.recordings.dataset import Dataset
from hnn_envs.systems import Coordinate, Input, SystemSpec

CART = SystemSpec(
    "cart",
    (Coordinate("position q", "m", momentum="momentum p", momentum_unit="kg m/s"),),
    (Input("force", "N"),),
    ((1.0,),),
    time_scale=2.0,
    longest_step=0.004,
    time_unit="s",
    energy_unit="J",
)


@dataclass(frozen=True)
class RecordedCart:
    """The recording: 20 runs of two seconds, 21 samples each; the last quarter is for the test.

    Attributes:
        noise: standard deviation of what the sensors add, m and kg m/s.
    """

    noise: float = 0.0

    def make(self, system, rng):
        """Training and test share; what was measured is a sinusoid with the period of two seconds."""
        times = np.linspace(0.0, 2.0, 21)
        amplitude, phase = rng.uniform(0.2, 1.0, (20, 1)), rng.uniform(-np.pi, np.pi, (20, 1))
        turn = np.pi * times + phase
        states = np.stack((amplitude * np.cos(turn), -np.pi * amplitude * np.sin(turn)), axis=-1)
        rates = np.stack((states[..., 1], -(np.pi**2) * states[..., 0]), axis=-1)
        noisy = states + self.noise * rng.standard_normal(states.shape)
        data = Dataset(times, noisy, rates, np.zeros((*states.shape[:-1], 1)))
        return data.take(slice(15)), data.take(slice(15, None))
