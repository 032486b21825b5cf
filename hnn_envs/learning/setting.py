"""What a model is learned from, as all families see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hnn_envs.arrays import Array
from hnn_envs.dynamics import default_substeps, suited_integrator
from hnn_envs.hamiltonian import VectorField
from hnn_envs.kernels import make_step
from hnn_envs.learning.kept import Kept
from hnn_envs.learning.shares import Shares
from hnn_envs.recordings.windows import Watched
from hnn_envs.systems import SystemSpec

Told = Callable[[str, int, int, float], object]
"""(what is done, step, number of steps, error)."""


@dataclass(frozen=True)
class Setting:
    """A recording, what it is of, and how much may be done with it.

    Attributes:
        watched: the recording on its grid.
        spec: what the system is.
        shares: which stretches are for what.
        effort: how much work is done, 1 for what takes some five minutes.
        seed: of all that is random.
        kept: what was done before.
    """

    watched: Watched
    spec: SystemSpec
    shares: Shares
    effort: float
    seed: int
    kept: Kept

    def stepper(self, field: VectorField, dt: float) -> Callable[[Array, Array | None], Array]:
        """The step that environments take of a learned field."""
        method = suited_integrator(field, learned=True)
        return make_step(field, method, dt, default_substeps(self.spec, dt, method, learned=True))
