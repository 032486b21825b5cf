"""Splittings of H = T(p) + V(q): compositions of exact drifts and exact kicks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hnn_envs.arrays import Array, join, namespace, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import PortHamiltonian, Separable, VectorField


@dataclass(frozen=True)
class Splitting:
    """A composition of exact drifts (q moves) and exact kicks (p moves), drift first; most are symmetric.

    Both sub-flows are solved exactly, the kick together with linear damping and the input:
    p' = F - gamma p gives p(t) = e^(-gamma t) p + F (1 - e^(-gamma t)) / gamma. A step of a damped system therefore
    contracts the symplectic form by exactly e^(-gamma h), and with gamma = 0 it is symplectic.

    Attributes:
        drifts: fractions of h, one more than kicks; they sum to one.
        kicks: fractions of h; they sum to one. Each costs one evaluation of the force.
    """

    drifts: tuple[float, ...]
    kicks: tuple[float, ...]

    def evaluations(self, steps: int) -> int:
        """Forces that so many steps in a row need: two kicks that no drift parts are one."""
        shared = self.drifts[0] == self.drifts[-1] == 0.0
        return steps * len(self.kicks) - (steps - 1) * shared

    def __call__(self, field: VectorField, x: Array, u: Array | None, h: float) -> Array:
        """Advances ``x`` by ``h``.

        Raises:
            InvalidOptionError: the field is not a separable port-Hamiltonian flow.
        """
        if not (
            isinstance(field, PortHamiltonian)
            and isinstance(field.hamiltonian, Separable)
            and field.dissipation is None
        ):
            raise InvalidOptionError(
                f"a splitting integrator needs a separable Hamiltonian without friction but linear damping, and "
                f"{type(field).__name__} has none; "
                "use 'gauss8' or 'rk4'"
            )
        hamiltonian = field.hamiltonian
        input_force = None if u is None else field.input_force(u)
        q, p = split(x)
        q = q + (self.drifts[0] * h) * hamiltonian.kinetic_gradient(p)
        for kick, drift in zip(self.kicks, self.drifts[1:], strict=True):
            force = -hamiltonian.potential_gradient(q)
            if input_force is not None:
                force = force + input_force
            if field.damping is None:
                p = p + (kick * h) * force
            else:
                decay, impulse = _damped_kick(field.damping, kick * h)
                p = decay * p + impulse * force
            q = q + (drift * h) * hamiltonian.kinetic_gradient(p)
        return join(q, p)


def _damped_kick(damping: Array, duration: float) -> tuple[Array, Array]:
    """e^(-gamma t) and (1 - e^(-gamma t)) / gamma, the latter with its limit t at gamma = 0."""
    if isinstance(damping, float | int):
        growth = -math.expm1(-damping * duration)
        return 1.0 - growth, growth / damping if damping else duration
    growth = -namespace(damping).expm1(-damping * duration)
    return 1.0 - growth, growth / damping


# First p, then q with the new p: what Gymnasium's Pendulum-v1 does.
SYMPLECTIC_EULER = Splitting((0.0, 1.0), (1.0,))

LEAPFROG = Splitting((1 / 2, 1 / 2), (1.0,))

# Yoshida, Phys. Lett. A 150 (1990) 262, eq. 2.11: three leapfrog steps of lengths w1, w0, w1.
_W1 = 1 / (2 - 2 ** (1 / 3))
_W0 = 1 - 2 * _W1
YOSHIDA4 = Splitting((_W1 / 2, (_W0 + _W1) / 2, (_W0 + _W1) / 2, _W1 / 2), (_W1, _W0, _W1))

# Omelyan, Mryglod, Folk, Comput. Phys. Commun. 146 (2002) 188: the position-extended Forest-Ruth-like algorithm.
_XI, _LAMBDA, _CHI = 0.1786178958448091, -0.2123418310626054, -0.06626458266981849
PEFRL = Splitting(
    (_XI, _CHI, 1 - 2 * (_CHI + _XI), _CHI, _XI),
    ((1 - 2 * _LAMBDA) / 2, _LAMBDA, _LAMBDA, (1 - 2 * _LAMBDA) / 2),
)

# Blanes, Moan, J. Comput. Appl. Math. 142 (2002) 313, table 3: SRKN_6^b, for T quadratic in p. It begins and ends with
# a kick, and the last of one step and the first of the next are one.
_A1, _A2 = 0.245298957184271, 0.604872665711080
_A3 = 1 / 2 - (_A1 + _A2)
_B1, _B2, _B3 = 0.0829844064174052, 0.396309801498368, -0.0390563049223486
_B4 = 1 - 2 * (_B1 + _B2 + _B3)
BLANES_MOAN4 = Splitting((0.0, _A1, _A2, _A3, _A3, _A2, _A1, 0.0), (_B1, _B2, _B3, _B4, _B3, _B2, _B1))
