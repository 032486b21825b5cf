"""What a drawing shows of one environment at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from hnn_envs.arrays import Array
from hnn_envs.drawing.colors import OTHER
from hnn_envs.observation import ObservationModel


@dataclass(frozen=True)
class View:
    """What a drawing shows of one environment at one moment.

    Attributes:
        state: shape (2*dof,).
        trail: recent states, oldest first, shape (k, 2*dof).
        action: the last inputs as shares of the largest, in [-1, 1], shape (inputs,), those that no action drives too;
            zeros after a reset.
        energy: the true energy of the state; where that is not known the learned one, NaN where there is none either.
        believed_energy: the energy that the stepping physics assigns to the state; NaN where it has none.
        dynamics: name of the physics, "ode", "hnn", "baseline" or a checkpoint's.
        time: time since the reset.
        colour: of the physics, "#RRGGBB".
        truth: the state of the true system after the same actions, shape (2*dof,); None where it is not to be shown.
        observation_model: what this physics shows its states through; None for the task's own, and for states.
    """

    state: Array
    trail: Array
    action: Array
    energy: float
    believed_energy: float
    dynamics: str
    time: float
    colour: str = OTHER
    truth: Array | None = None
    observation_model: ObservationModel | None = None
