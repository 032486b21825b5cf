"""A learned model: what ``learn`` gives back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.arrays import Array, join, split
from hnn_envs.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidActionError, InvalidStateError
from hnn_envs.learning.measuring import checked
from hnn_envs.learning.report import Report, report_of
from hnn_envs.parsing import user_path
from hnn_envs.recordings.recording import Recording
from hnn_envs.systems import SystemSpec


@dataclass(frozen=True)
class LearnedModel:
    """Physics that was learned from a recording.

    Attributes:
        checkpoint: the card, the parameters and those of the ensemble.
    """

    checkpoint: Checkpoint

    def __repr__(self) -> str:
        card = self.checkpoint.card
        return f"LearnedModel({card.system!r}, {card.family!r}, dt={self.dt:g})"

    @property
    def spec(self) -> SystemSpec:
        """What the system is."""
        return self.checkpoint.card.spec

    @property
    def dt(self) -> float:
        """The time step of the recording, or of the grid that it was put on."""
        return self.checkpoint.card.dt or self.spec.time_scale / 50

    def dynamics(self, dt: float | None = None, **options: Any) -> Dynamics:
        """What steps it, with the options of ``hnn_envs.make_dynamics``."""
        made = make_dynamics(self.checkpoint, dt=self.dt if dt is None else dt, **options)
        return replace(made, name=self.checkpoint.card.name)

    def predict(self, q0: Array, v0: Array, inputs: Array, *, dt: float | None = None) -> tuple[Array, Array]:
        """Predicts open loop.

        Args:
            q0: positions at the start, shape (dof,).
            v0: velocities at the start, shape (dof,).
            inputs: u in physical units, each held over a step, shape (steps, inputs).
            dt: time per step, by default the recording's.

        Returns:
            Positions and velocities at the start and after every step, shape (steps + 1, dof) each; NaN from where the
            model diverged.

        Raises:
            InvalidStateError: a start of the wrong shape, or not finite.
            InvalidActionError: inputs of the wrong shape, or not finite.
        """
        spec = self.spec
        q, v = (np.asarray(value, dtype=np.float64) for value in (q0, v0))
        if q.shape != (spec.dof,) or v.shape != (spec.dof,) or not (np.isfinite(q).all() and np.isfinite(v).all()):
            raise InvalidStateError(f"q0 and v0 of {spec.name} are finite, of shape ({spec.dof},), not {q0} and {v0}")
        u = np.asarray(inputs, dtype=np.float64)
        if u.ndim != 2 or u.shape[1] != len(spec.inputs) or not np.isfinite(u).all():
            raise InvalidActionError(
                f"inputs of {spec.name} are finite, of shape (steps, {len(spec.inputs)}), not {np.shape(inputs)}"
            )
        made = self.dynamics(dt)
        path = np.empty((len(u) + 1, 2 * spec.dof))
        path[0] = join(q, v)
        for index, held in enumerate(u):
            path[index + 1] = made.step(path[index], held)
        path[~np.isfinite(path).all(axis=1)] = np.nan
        return split(path)

    def report(self) -> Report:
        """How far it can be trusted, and where, as measured on held-out stretches when it was learned."""
        return report_of(self.checkpoint.card, len(self.checkpoint.members))

    def check(self, recording: Recording) -> Report:
        """The same measured on another recording of the same system.

        Raises:
            DataError: the recording has other coordinates or inputs.
        """
        return checked(self.checkpoint, recording)

    def save(self, path: str | Path) -> None:
        """Writes a .safetensors file that stands alone.

        Raises:
            WriteError: it cannot be written.
        """
        save_checkpoint(user_path(path), self.checkpoint.card, self.checkpoint.parameters, self.checkpoint.members)

    @classmethod
    def load(cls, path: str | Path) -> LearnedModel:
        """Reads what ``save`` wrote, or any other checkpoint.

        Raises:
            CheckpointError: the file cannot be used.
        """
        return cls(load_checkpoint(user_path(path)))
