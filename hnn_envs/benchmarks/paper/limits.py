"""What no model can do better on the noisy data of the mass-spring and the pendulum, whatever it is."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.benchmarks.paper.protocol import PROTOCOLS, Estimate, Estimates, rolled_out, unseen_starts
from hnn_envs.errors import UnknownNameError
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.sources import PaperSource
from hnn_envs.systems import System

RADII, PHASES = 61, 96


def limits(system: System, source: PaperSource, test: Dataset) -> Estimates:
    """The limits that are known for a system, by metric."""
    found: Estimates = {}
    for name in PROTOCOLS[system.spec.name].limits:
        if name == "origin":
            found["energy_mse_without_mirror"] = origin_limit(system, source)
        elif name == "circles":
            found["test_loss"] = pointwise_limit(system, source, test)
        else:
            raise UnknownNameError.of("limit", name, ("origin", "circles"))
    return found


def origin_limit(system: System, source: PaperSource) -> Estimate:
    """Cramer-Rao bound on the mean energy MSE of any model whose V is not even by construction.

    x' is exact, so x is known up to the starts; a shift c of all q together changes V(q) to V(q - c) and nothing in
    the data but the noisy q themselves, each of which tells c with the noise's variance. To first order the energy
    error is then c (V'(q) - V'(q0)).
    """
    points = source.points * (source.trajectories - int(source.trajectories * source.test_share))
    protocol, starts = PROTOCOLS[system.spec.name], unseen_starts(system)
    path = rolled_out(system.field, starts, np.linspace(0, protocol.duration, protocol.points))
    slopes = split(system.gradient(path))[0] - split(system.gradient(starts))[0]
    return Estimate(float(source.noise**2 / points * np.square(slopes).mean()))


def pointwise_limit(system: System, source: PaperSource, test: Dataset) -> Estimate:
    """Test loss of the best function of one noisy state, the mean of x' given x, for the data's true distribution.

    States lie on circles of radius U(0.1, 1) at all phases alike; it knows that, and no model does.
    """
    radii = np.linspace(0.1, 1.0, RADII)[:, None]
    phases = np.linspace(0, 2 * np.pi, PHASES, endpoint=False)
    clean = np.stack((radii * np.cos(phases), radii * np.sin(phases)), axis=-1).reshape(-1, 2)
    states, derivatives, _ = test.flat()
    squares = np.square(states[:, None] - clean).sum(axis=-1) / (2 * source.noise**2)
    weights = np.exp(squares.min(axis=1, keepdims=True) - squares)
    best: Array = system.field(weights @ clean / weights.sum(axis=1, keepdims=True))
    errors = np.square(best - derivatives).reshape(len(test), -1).mean(axis=1)
    return Estimate.of(errors)
