"""Fitting networks to a recording: by gradient descent on what they predict a few intervals ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hnn_envs.errors import TrainingError
from hnn_envs.fitting.trainer import Stage, fit
from hnn_envs.learning.setting import Setting, Told
from hnn_envs.learning.stretches import impulse_step, trajectories
from hnn_envs.models import Parameters, make_family
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.windows import STRAIGHT

AHEAD = 3
"""Intervals that are predicted."""
COARSEST = 20
"""Intervals per time scale at least, over which states are predicted."""


@dataclass(frozen=True)
class NetworkPlan:
    """How a family of networks is fitted.

    Attributes:
        family: its name.
        settings: its settings.
        steps: of gradient descent, at effort 1.
        impulse: steps on the momentum balance before.
        dtype: of the arithmetic.
    """

    family: str
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int = 3000
    impulse: int = 0
    dtype: str = "float64"

    def stages(self, setting: Setting, substeps: int, ahead: int) -> list[Stage]:
        """What the trainer does."""
        found = []
        if self.impulse and setting.watched.recording.inputs:
            rates = {"learning_rate": 1e-2, "final_rate": 1e-3, "batch": 512}
            found.append(Stage(max(1, round(self.impulse * setting.effort)), "adam", rates, "impulse"))
        rates = {"learning_rate": 3e-3, "final_rate": 1e-5, "batch": 256}
        loss = {"horizon": ahead, "integrator": "rk4", "substeps": substeps, "scaled": True}
        steps = max(1, round(self.steps * setting.effort))
        found.append(Stage(steps, "adam", rates, "trajectory", loss, self.dtype))
        return found


def fit_network(setting: Setting, plan: NetworkPlan, number: int, told: Told) -> Parameters:
    """Fits networks from one random start; None of their parameters depends on what is chosen by or reported on.

    Args:
        setting: what is learned from.
        plan: how.
        number: of the start, which also chooses a bootstrap sample of the stretches, but for the first.
        told: called with the progress.

    Raises:
        TrainingError: the loss is not finite.
    """
    family = make_family(plan.family, plan.settings)
    data = trajectories(setting, _step(setting), AHEAD)
    if number:
        rng = np.random.default_rng((setting.seed, 4, number))
        rows = rng.integers(len(data), size=len(data))
        data = Dataset(data.times, data.states[rows], data.derivatives[rows], data.inputs[rows])
    interval = float(data.times[1] - data.times[0])
    substeps = max(1, math.ceil(interval * 2 * STRAIGHT / setting.watched.time_scale))
    stages = plan.stages(setting, substeps, len(data.times) - 1)

    def report(stage: int, step: int, steps: int, loss: float) -> None:
        told(f"{plan.family} network, start {number + 1}, stage {stage + 1} of {len(stages)}", step, steps, loss**0.5)

    def work() -> Parameters:
        return fit(setting.spec, family, data, stages, setting.seed + number, report=report)

    found = setting.kept.once(f"{plan.family}/{number}", work)
    if not all(np.isfinite(value).all() for value in found.values()):
        raise TrainingError(f"the {plan.family} network diverged")
    return found


def _step(setting: Setting) -> float:
    """Time over which one state is predicted from the one before."""
    watched = setting.watched
    if watched.pace < watched.time_scale:
        return impulse_step(setting)
    return watched.dt * max(1, round(watched.time_scale / COARSEST / 2 / watched.dt))
