"""One family fitted to a whole recording: what ``learn`` does with each, without a choice and without a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hnn_envs.dynamics import Dynamics, default_substeps, suited_integrator
from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.hamiltonian.pairs import separations
from hnn_envs.learning.kept import Kept
from hnn_envs.learning.machines import LEAST, WINDOW_SHARES, SeriesFit
from hnn_envs.learning.pipeline import FITS, MINUTES, Candidate
from hnn_envs.learning.setting import Setting, Told
from hnn_envs.learning.shares import Shares
from hnn_envs.learning.systems import describe_system
from hnn_envs.models import make_family
from hnn_envs.recordings.recording import Recording
from hnn_envs.recordings.windows import watch
from hnn_envs.systems import SystemSpec

PAIRWISE = "pairwise"
"""Like bodies that act on each other along the line between them; no user's recording says that it is of such."""
COORDINATES_PER_BODY = 2
STARTS = 4
"""Random potentials that the fit of bodies begins with; the one that predicts best goes on."""


def fit_family(
    recording: Recording,
    family: str,
    *,
    dt: float,
    minutes: float = MINUTES,
    seed: int = 0,
    told: Told = lambda *_: None,
) -> Dynamics:
    """Fits a family as ``learn`` does, to all of a recording.

    Args:
        recording: what was watched; it says by ``input_matrix`` what inputs push.
        family: of ``learn``'s, or "pairwise" of bodies in the plane, whose coordinates come body by body.
        dt: time per step of what is given back.
        minutes: how much work is done, as for ``learn``.
        seed: of all that is random.
        told: called with what is done, the step, their number and the error.

    Raises:
        UnknownNameError: there is no such family.
        InvalidOptionError: the recording does not say what its inputs push, or is not of bodies in the plane.
        TrainingError: the family could not be fitted.
    """
    if family not in (*FITS, PAIRWISE):
        raise UnknownNameError.of("family", family, (*FITS, PAIRWISE))
    with torch_threads(1):
        setting = setting_of_all(recording, minutes / MINUTES, seed)
        if family == PAIRWISE:
            setting = replace(setting, spec=_of_bodies(setting))
        fitted = _fit_pairwise(setting, told) if family == PAIRWISE else FITS[family](setting, told)
    field = make_family(fitted.family, fitted.settings).build(setting.spec, fitted.parameters)
    method = suited_integrator(field, learned=True)
    substeps = default_substeps(setting.spec, dt, method, learned=True)
    return Dynamics(family, setting.spec, None, field, method, dt, substeps, None)


def setting_of_all(recording: Recording, effort: float, seed: int) -> Setting:
    """All of a recording, to be learned from: nothing is held out, and nothing kept on disk.

    Raises:
        InvalidOptionError: the recording does not say what its inputs push.
    """
    watched = watch(recording)
    spans = tuple((number, float(run.times[0]), float(run.times[-1])) for number, run in enumerate(recording.runs))
    spec = describe_system(watched, recording.input_matrix)
    return Setting(watched, spec, Shares(spans, (), ()), effort, seed, Kept(None, ""))


def _of_bodies(setting: Setting) -> SystemSpec:
    """The description with bodies, whose velocities are taken for momenta: masses are alike, and 1 by that choice."""
    spec = setting.spec
    bodies, rest = divmod(spec.dof, COORDINATES_PER_BODY)
    if rest or bodies < 2:
        raise InvalidOptionError(
            f"pairs of bodies in the plane have four coordinates at least; {spec.name} has {spec.dof}"
        )
    return replace(spec, velocities=False, dissipative=False, bodies=bodies)


def _fit_pairwise(setting: Setting, told: Told) -> Candidate:
    """Shooting over ever longer windows, as the trigonometric machine is fitted, from several random potentials."""
    runs = setting.watched.recording.runs
    logs = np.log(np.concatenate([separations(run.positions, setting.spec.bodies)[1].ravel() for run in runs]))
    settings = {"hidden": [8], "centre": float(logs.mean()), "spread": float(logs.std()) or 1.0}
    family = make_family(PAIRWISE, settings)
    fit = SeriesFit(setting, family, told)
    tried = []
    for number in range(STARTS):
        flat = fit.flat(family.init(setting.spec, np.random.default_rng((setting.seed, 1, number))))
        free, noise = np.ones(len(flat), dtype=bool), fit.rough_noise
        for share in WINDOW_SHARES[:2]:
            flat, noise = fit.shoot(flat, share, np.maximum(noise, LEAST * fit.rough_noise), free)
        tried.append((flat, noise))
    flat, noise = min(tried, key=lambda each: float((each[1] / fit.rough_noise).sum()))
    flat, noise = fit.shoot(flat, WINDOW_SHARES[-1], np.maximum(noise, LEAST * fit.rough_noise), free, last=True)
    return Candidate(PAIRWISE, settings, fit.parameters(flat), (), noise)
