"""Any function of a step with its derivatives, as dynamics that are planned in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.systems import SystemSpec


@dataclass(frozen=True)
class StepModel:
    """Dynamics of states of any leading axes, by functions of lists of states; see ``agents.ilqr.DiscreteDynamics``.

    Attributes:
        spec: what the system is.
        function: states (n, 2*dof), inputs (n, inputs) -> the states a step later.
        derivatives: of the same -> the derivatives by states (n, 2*dof, 2*dof) and by inputs (n, 2*dof, inputs), such
            as a ``hnn_envs.linearisation.Linearisation`` takes as differences.
    """

    spec: SystemSpec
    function: Callable[[Array, Array], Array]
    derivatives: Callable[[Array, Array], tuple[Array, Array]]

    def step(self, x: Array, u: Array) -> Array:
        """The states after a step, from states (..., 2*dof) under inputs (..., inputs)."""
        leading, states, inputs = self._listed(x, u)
        return self.function(states, inputs).reshape(*leading, states.shape[-1])

    def jacobian(self, x: Array, u: Array) -> tuple[Array, Array]:
        """The derivatives of ``step`` by states (..., 2*dof, 2*dof) and by inputs (..., 2*dof, inputs)."""
        leading, states, inputs = self._listed(x, u)
        by_states, by_inputs = self.derivatives(states, inputs)
        return by_states.reshape(*leading, *by_states.shape[1:]), by_inputs.reshape(*leading, *by_inputs.shape[1:])

    def _listed(self, x: Array, u: Array) -> tuple[tuple[int, ...], Array, Array]:
        """The leading axes, which broadcast, and the states and inputs as lists."""
        leading = np.broadcast_shapes(x.shape[:-1], u.shape[:-1])
        states, inputs = (np.broadcast_to(each, (*leading, each.shape[-1])) for each in (x, u))
        count = int(np.prod(leading))
        return leading, states.reshape(count, x.shape[-1]), inputs.reshape(count, u.shape[-1])
