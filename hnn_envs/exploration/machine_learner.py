"""The learner of mechanical systems: the trigonometric family, fitted to all experience, from the fit before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.dynamics import Dynamics
from hnn_envs.errors import InvalidOptionError, TrainingError
from hnn_envs.exploration.learners import Learned
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.learning.alone import setting_of_all
from hnn_envs.learning.few import FewSeconds, fit_few
from hnn_envs.learning.fixed_steps import METHOD
from hnn_envs.learning.model import LearnedModel
from hnn_envs.learning.pipeline import Candidate, card_of, series_settings
from hnn_envs.learning.setting import Setting, Told
from hnn_envs.learning.trust import deviation
from hnn_envs.models import Parameters
from hnn_envs.models.trigonometric import Config
from hnn_envs.parsing import Positive
from hnn_envs.recordings.recording import Recording

FAMILY = "trigonometric"
WORSE = 1.2
"""A fit that goes on from another and misses this much more than that one did is held against one that begins anew."""
ACCURACY = 0.05
"""What the steps' length may cost, a share of the noise."""


@dataclass(frozen=True)
class Machine:
    """What was fitted, from which the next fit goes on.

    Attributes:
        settings: of the family.
        fit: its parameters, with noise and errors.
        seed: of all that was random.
    """

    settings: dict[str, Any]
    fit: FewSeconds
    seed: int


class MachineLearner:
    """Fits the trigonometric family to all experience; from the second time on it takes up what it learned before.

    Args:
        accuracy: what the length of the dynamics' substeps may cost, a share of the noise.
        told: called with what is done, the step, their number and the error.
    """

    def __init__(self, *, accuracy: Positive = ACCURACY, told: Told = lambda *_: None) -> None:
        self._accuracy, self._told = accuracy, told

    def __call__(self, recording: Recording, *, dt: float, seed: int, previous: Learned | None) -> Learned:
        """See ``Learner``.

        Raises:
            InvalidOptionError: the recording has no velocities, or does not say what its inputs push.
            TrainingError: there is no motion beyond noise, or no machine explains it.
        """
        with torch_threads(1):
            setting = _setting(recording, seed)
            settings = series_settings(setting.spec)
            before = None if previous is None else previous.kept
            usable = before.fit if isinstance(before, Machine) and before.settings == settings else None
            fit = self._fit(setting, settings, dt, usable)
        field = Config(**settings).build(setting.spec, fit.parameters)
        made = Dynamics(FAMILY, setting.spec, None, field, METHOD, dt, fit.substeps, None)
        return Learned(made, fit.noise, fit.error, Machine(settings, fit, seed))

    def _fit(self, setting: Setting, settings: dict[str, Any], dt: float, before: FewSeconds | None) -> FewSeconds:
        """The fit that goes on from the one before, or the better of it and one begun anew where it fails."""

        def fitted(start: Parameters | None) -> FewSeconds:
            try:
                return fit_few(setting, Config(**settings), self._told, dt=dt, accuracy=self._accuracy, start=start)
            except np.linalg.LinAlgError as error:
                raise TrainingError(f"no machine could be fitted to {setting.spec.name!r}: {error}") from error

        if before is None:
            return fitted(None)
        warm = _or_none(lambda: fitted(before.parameters))
        if warm is not None and _size(warm) <= WORSE * _size(before):
            return warm
        if warm is None:
            return fitted(None)
        cold = _or_none(lambda: fitted(None))
        return warm if cold is None or _size(warm) <= _size(cold) else cold


def model_of(learned: Learned, recording: Recording, system: str | None = None) -> LearnedModel:
    """What ``MachineLearner`` learned as a model that can be saved, and made an environment of.

    Nothing was held out, so there is no report of how far it can be trusted beyond the recording: its metrics are the
    noise, how long was watched, and what a step is off by, as the fit tells.

    Args:
        learned: what was learned.
        recording: what it was learned from.
        system: what the system is called; by default as in the recording.

    Raises:
        InvalidOptionError: another learner learned it, or the recording is of another system.
    """
    machine, spec = learned.kept, learned.dynamics.spec
    if not isinstance(machine, Machine):
        raise InvalidOptionError("only what a MachineLearner learned can be made a model of")
    named = recording if system is None else replace(recording, name=system)
    setting = _setting(named, machine.seed)
    if (setting.spec.dof, len(setting.spec.inputs)) != (spec.dof, len(spec.inputs)):
        raise InvalidOptionError(
            f"recording {recording.name!r} has {setting.spec.dof} coordinates and {len(setting.spec.inputs)} inputs, "
            f"and what was learned has {spec.dof} and {len(spec.inputs)}"
        )
    fit = machine.fit
    chosen = Candidate(FAMILY, machine.settings, fit.parameters, (), fit.noise)
    size = deviation(setting.watched)
    metrics = {
        "noise_share": float((fit.noise / size).mean()),
        "seconds": recording.seconds,
        "estimated_step_error": float((fit.error / size).mean()),
    }
    return LearnedModel(Checkpoint(card_of(setting, chosen, metrics), fit.parameters))


def _setting(recording: Recording, seed: int) -> Setting:
    """All of a recording, which has velocities."""
    if any(run.velocities is None for run in recording.runs):
        raise InvalidOptionError(f"recording {recording.name!r} must have velocities beside its positions")
    return setting_of_all(recording, 1.0, seed)


def _size(fit: FewSeconds) -> float:
    """The geometric mean of the noise."""
    size: Array = np.exp(np.log(fit.noise).mean())
    return float(size)


def _or_none(fitted: Callable[[], FewSeconds]) -> FewSeconds | None:
    try:
        return fitted()
    except TrainingError:
        return None
