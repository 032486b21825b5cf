"""What learns from a few seconds of experience: the physics that is planned in, and how far it is off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hnn_envs.agents.ilqr import DiscreteDynamics
from hnn_envs.arrays import Array
from hnn_envs.errors import TrainingError
from hnn_envs.recordings.recording import Recording


@dataclass(frozen=True)
class Learned:
    """What was learned from a recording.

    Attributes:
        dynamics: of states [positions, velocities], with the recording's inputs.
        noise: standard deviation of what was measured about the state, shape (2*dof,).
        disturbance: standard deviation of what a step of the dynamics is off by, shape (2*dof,).
        kept: what the learner goes on from when there is more experience.
    """

    dynamics: DiscreteDynamics
    noise: Array
    disturbance: Array
    kept: Any = None

    def check(self, recording: Recording) -> None:
        """Makes sure that plans can be made in it, as they cannot after a fit that diverged.

        Args:
            recording: what it was learned from.

        Raises:
            TrainingError: noise or disturbances that are no sizes, or watched states that it steps to no finite ones.
        """
        size = 2 * len(recording.coordinates)
        for name, values in (("noise", self.noise), ("disturbance", self.disturbance)):
            if np.shape(values) != (size,) or not (np.isfinite(values).all() and (np.asarray(values) >= 0).all()):
                raise TrainingError(f"the learned {name} must be {size} finite numbers, at least 0, not {values}")
        for run in recording.runs:
            with np.errstate(all="ignore"):
                stepped = self.dynamics.step(run.samples[:-1], run.inputs)
            lost = ~np.isfinite(stepped).all(-1)
            if lost.any():
                state = run.samples[:-1][lost][0].tolist()
                raise TrainingError(f"the learned physics steps the watched state {state} to none that is finite")


class Learner(Protocol):
    """Learns from all experience so far."""

    def __call__(self, recording: Recording, *, dt: float, seed: int, previous: Learned | None) -> Learned:
        """Learns the dynamics of a step of ``dt``.

        Args:
            recording: all that was watched so far, with velocities, and inputs that are held between states.
            dt: time of a step.
            seed: of all that is random.
            previous: what was learned from less of the same; None at first, and where that was of no use.

        Raises:
            TrainingError: nothing usable could be learned; numerical errors, such as ``np.linalg.LinAlgError`` and
                ``FloatingPointError``, are taken for the same.
        """
        ...
