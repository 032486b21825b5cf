"""What learns from a few seconds of experience: the physics that is planned in, and how far it is off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from hnn_envs.agents.ilqr import DiscreteDynamics
from hnn_envs.arrays import Array
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
            TrainingError: nothing usable could be learned.
        """
        ...
