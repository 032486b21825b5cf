"""One step of a vector field: symplectic splittings, Runge-Kutta 4, the implicit midpoint rule, and SciPy's DOP853.

Every integrator has the signature ``step(field, x, u, h) -> x`` for states x (..., 2*dof), an input u (..., inputs)
held constant over the step (or None), and a step h. All are written for NumPy arrays and torch tensors alike, except
DOP853, the reference, which is NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from hnn_envs.arrays import Array, join, namespace, split
from hnn_envs.encounters import Encounters
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import PortHamiltonian, Separable, VectorField, bodies_of, is_separable
from hnn_envs.registry import Registry

StepFunction: TypeAlias = Callable[[VectorField, Array, "Array | None", float], Array]


@dataclass(frozen=True)
class Integrator:
    """A named one-step method.

    Attributes:
        name: the name that users give.
        order: global order of convergence.
        symplectic: whether the step of a conservative system preserves the symplectic form.
        separable_only: whether it needs H = T(p) + V(q).
        step: the step function.
        bodies_only: whether it needs bodies that act on each other in pairs.
        stride: how much longer than PEFRL's its steps may be for the same error, where that was measured.
    """

    name: str
    order: int
    symplectic: bool
    separable_only: bool
    step: StepFunction
    stride: float = 1.0
    bodies_only: bool = False

    def advance(self, field: VectorField, x: Array, u: Array | None, h: float, steps: int) -> Array:
        """Advances states (..., 2*dof) of ``field`` by so many steps ``h`` in a row."""
        if isinstance(self.step, Encounters):
            return self.step(field, x, u, h, steps)
        for _ in range(steps):
            x = self.step(field, x, u, h)
        return x


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
        if not (isinstance(field, PortHamiltonian) and isinstance(field.hamiltonian, Separable)):
            raise InvalidOptionError(
                f"a splitting integrator needs a separable Hamiltonian, and {type(field).__name__} has none; "
                "use 'rk4' or 'implicit_midpoint'"
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


def rk4(field: VectorField, x: Array, u: Array | None, h: float) -> Array:
    """The classical fourth-order Runge-Kutta method (Hairer, Norsett, Wanner, Solving ODEs I, table II.1.2)."""
    k1 = field(x, u)
    k2 = field(x + (h / 2) * k1, u)
    k3 = field(x + (h / 2) * k2, u)
    k4 = field(x + h * k3, u)
    return x + (h / 6) * (k1 + 2 * k2 + 2 * k3 + k4)


MIDPOINT_ITERATIONS = 200
MIDPOINT_TOLERANCE = 1e-14
# Rounding, above all that of a network evaluated in float32, can keep the last digits in a cycle for ever: a change
# this small that has not shrunk for a few iterations is as settled as it will be.
MIDPOINT_ROUNDING = 1e-5
MIDPOINT_PATIENCE = 8


def implicit_midpoint(field: VectorField, x: Array, u: Array | None, h: float) -> Array:
    """Solves y = x + h f((x + y) / 2, u) by fixed-point iteration (Hairer, Lubich, Wanner, GNI, section II.1.1).

    Symplectic for every Hamiltonian, separable or not, and time-reversible. States for which the iteration does not
    converge (h is too long for them) come back as NaN, so that no caller mistakes them for a solution.
    """
    xp = namespace(x)
    y = x + h * field(x, u)
    smallest = xp.full_like(y[..., 0], math.inf)
    stale = xp.zeros_like(smallest)
    settled = smallest == 0
    for _ in range(MIDPOINT_ITERATIONS):
        y_next = x + h * field((x + y) / 2, u)
        change = xp.max(xp.abs(y_next - y) / (1 + xp.abs(y_next)), axis=-1)
        y = y_next
        stale = xp.where(change < smallest, 0.0, stale + 1)
        smallest = xp.minimum(smallest, change)
        cycling = (change <= MIDPOINT_ROUNDING) & (stale >= MIDPOINT_PATIENCE)
        settled = (change <= MIDPOINT_TOLERANCE) | cycling
        if bool(xp.all(settled | xp.isnan(change))):
            break
    return xp.where(settled[..., None], y, math.nan)


def dop853(field: VectorField, x: Array, u: Array | None, h: float) -> Array:
    """SciPy's DOP853 with rtol = atol = 1e-12, each state on its own: the reference, slow on purpose."""
    from scipy.integrate import solve_ivp

    states = np.asarray(x, dtype=np.float64)
    flat = states.reshape(-1, states.shape[-1])
    inputs: list[Array | None] = [None] * len(flat)
    if u is not None:
        inputs = list(np.broadcast_to(u, (*states.shape[:-1], np.shape(u)[-1])).reshape(len(flat), -1))
    out = np.full_like(flat, np.nan)
    for row, (state, constant) in enumerate(zip(flat, inputs, strict=True)):
        if not np.isfinite(state).all():  # diverged before; SciPy would raise
            continue
        solution = solve_ivp(lambda _, y, u=constant: field(y, u), (0.0, h), state, "DOP853", rtol=1e-12, atol=1e-12)
        if solution.success:
            out[row] = solution.y[:, -1]
    return out.reshape(states.shape)


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

INTEGRATORS: Registry[Integrator] = Registry(
    "integrator",
    {
        method.name: method
        for method in (
            Integrator("symplectic_euler", 1, symplectic=True, separable_only=True, step=SYMPLECTIC_EULER),
            Integrator("leapfrog", 2, symplectic=True, separable_only=True, step=LEAPFROG),
            Integrator("yoshida4", 4, symplectic=True, separable_only=True, step=YOSHIDA4),
            Integrator("pefrl", 4, symplectic=True, separable_only=True, step=PEFRL),
            Integrator("blanes_moan4", 4, symplectic=True, separable_only=True, step=BLANES_MOAN4, stride=3.0),
            Integrator(
                "encounters",
                4,
                symplectic=True,
                separable_only=True,
                step=Encounters(BLANES_MOAN4),
                stride=3.0,
                bodies_only=True,
            ),
            Integrator("implicit_midpoint", 2, symplectic=True, separable_only=False, step=implicit_midpoint),
            Integrator("rk4", 4, symplectic=False, separable_only=False, step=rk4),
            Integrator("dop853", 8, symplectic=False, separable_only=False, step=dop853),
        )
    },
)


def register_integrator(name: str, integrator: Integrator | str) -> None:
    """Makes a one-step method known by its name.

    Args:
        name: its name; "module:object" names one that is not registered, too.
        integrator: the method, or where it is, "module:object".

    Raises:
        InvalidOptionError: another integrator has this name.
    """
    INTEGRATORS.register(name, integrator)


def get_integrator(name: str | None, field: VectorField) -> Integrator:
    """Returns the integrator called ``name`` for ``field``; None chooses what suits it.

    That is PEFRL for separable fields, or where these are of bodies that act in pairs the scheme that goes through
    encounters, and RK4 for all else.

    Raises:
        UnknownNameError: there is no such integrator.
        InvalidOptionError: it needs a separable Hamiltonian, or bodies, and ``field`` has none.
    """
    if name is None:
        name = ("encounters" if bodies_of(field) else "pefrl") if is_separable(field) else "rk4"
    integrator = INTEGRATORS[name]
    if not fits(integrator, field):
        needed = "bodies that act in pairs" if integrator.bodies_only else "a separable Hamiltonian"
        allowed = ", ".join(sorted(n for n, method in INTEGRATORS.items() if fits(method, field)))
        raise InvalidOptionError(f"integrator {name!r} needs {needed}, and this physics has none; allowed: {allowed}")
    return integrator


def get_fixed_step(name: str | None, field: VectorField) -> Integrator:
    """As ``get_integrator``, but None chooses a method whose steps are all alike: what a force is fitted through."""
    return get_integrator("pefrl" if name is None and bodies_of(field) else name, field)


def fits(integrator: Integrator, field: VectorField) -> bool:
    """Whether an integrator can step a field."""
    if integrator.bodies_only:
        return bodies_of(field) > 0
    return is_separable(field) or not integrator.separable_only
