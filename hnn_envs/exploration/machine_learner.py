"""The learner of mechanical systems: the trigonometric family, fitted to all experience."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hnn_envs.exploration.learners import Learned
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.learning.alone import fit_family
from hnn_envs.recordings.recording import Recording


class MachineLearner:
    """Fits the trigonometric family anew to all experience."""

    def __call__(self, recording: Recording, *, dt: float, seed: int, previous: Learned | None) -> Learned:
        """See ``Learner``."""
        fitted = fit_family(recording, "trigonometric", dt=dt, minutes=1.0, seed=seed)
        made = replace(fitted, integrator=INTEGRATORS["rk4"], substeps=25)
        dof = made.spec.dof
        return Learned(made, np.full(2 * dof, 1e-2), np.array([2e-4] * dof + [1e-2] * dof))
