"""One step of a vector field: symplectic splittings and Gauss methods, Runge-Kutta methods, and SciPy's DOP853.

Every integrator has the signature ``step(field, x, u, h) -> x`` for states x (..., 2*dof), an input u (..., inputs)
held constant over the step (or None), and a step h. All are written for NumPy arrays and torch tensors alike, except
DOP853, the reference, which is NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import (
    LagrangianFlow,
    MachineHamiltonian,
    PortHamiltonian,
    Separable,
    VectorField,
    bodies_of,
    canonical,
    is_separable,
)
from hnn_envs.integrators.adaptive import DormandPrince
from hnn_envs.integrators.encounters import Encounters
from hnn_envs.integrators.implicit import Gauss
from hnn_envs.integrators.runge_kutta import dop853, rk4
from hnn_envs.integrators.splittings import (
    BLANES_MOAN4,
    LEAPFROG,
    PEFRL,
    SYMPLECTIC_EULER,
    YOSHIDA4,
    Splitting,
)
from hnn_envs.registry import Registry

__all__ = [
    "BLANES_MOAN4",
    "INTEGRATORS",
    "LEAPFROG",
    "PEFRL",
    "SYMPLECTIC_EULER",
    "YOSHIDA4",
    "Integrator",
    "Splitting",
    "StepFunction",
    "dop853",
    "fits",
    "get_fixed_step",
    "get_integrator",
    "register_integrator",
    "rk4",
]

StepFunction: TypeAlias = Callable[[VectorField, Array, "Array | None", float], Array]


@dataclass(frozen=True)
class Integrator:
    """A named one-step method.

    Attributes:
        name: the name that users give.
        order: global order of convergence.
        symplectic: whether the step of a conservative system preserves the symplectic form.
        separable_only: whether it needs H = T(p) + V(q).
        method: the step function, of a field in coordinates and momenta.
        stride: how much longer than PEFRL's, or RK4's, its steps may be for the same error, where that was measured.
        adaptive: whether it chooses its own steps.
        bodies_only: whether it needs bodies that act on each other in pairs.
    """

    name: str
    order: int
    symplectic: bool
    separable_only: bool
    method: StepFunction
    stride: float = 1.0
    adaptive: bool = False
    bodies_only: bool = False

    def step(self, field: VectorField, x: Array, u: Array | None, h: float) -> Array:
        """Advances states (..., 2*dof) of ``field`` by ``h``, in whatever variables these are."""
        return self.advance(field, x, u, h, 1)

    def advance(self, field: VectorField, x: Array, u: Array | None, h: float, steps: int) -> Array:
        """Advances states (..., 2*dof) of ``field`` by so many steps ``h`` in a row."""
        # The reference keeps to its tolerance in the variables that it is asked about.
        if isinstance(field, LagrangianFlow) and self.method is not dop853:
            return field.from_canonical(self.advance(field.canonical, field.to_canonical(x), u, h, steps))
        if isinstance(self.method, Encounters):
            return self.method(field, x, u, h, steps)
        for _ in range(steps):
            x = self.method(field, x, u, h)
        return x


def _dormand_prince(name: str, tolerance: float) -> Integrator:
    method = DormandPrince(tolerance)
    return Integrator(name, 8, symplectic=False, separable_only=False, method=method, adaptive=True)


INTEGRATORS: Registry[Integrator] = Registry(
    "integrator",
    {
        method.name: method
        for method in (
            Integrator("symplectic_euler", 1, symplectic=True, separable_only=True, method=SYMPLECTIC_EULER),
            Integrator("leapfrog", 2, symplectic=True, separable_only=True, method=LEAPFROG),
            Integrator("yoshida4", 4, symplectic=True, separable_only=True, method=YOSHIDA4),
            Integrator("pefrl", 4, symplectic=True, separable_only=True, method=PEFRL),
            Integrator("blanes_moan4", 4, symplectic=True, separable_only=True, method=BLANES_MOAN4, stride=3.0),
            Integrator(
                "encounters",
                4,
                symplectic=True,
                separable_only=True,
                method=Encounters(BLANES_MOAN4),
                stride=3.0,
                bodies_only=True,
            ),
            Integrator("implicit_midpoint", 2, symplectic=True, separable_only=False, method=Gauss(1)),
            Integrator("gauss4", 4, symplectic=True, separable_only=False, method=Gauss(2), stride=1.3),
            Integrator("gauss6", 6, symplectic=True, separable_only=False, method=Gauss(3), stride=8.0),
            Integrator("gauss8", 8, symplectic=True, separable_only=False, method=Gauss(4), stride=15.0),
            Integrator("rk4", 4, symplectic=False, separable_only=False, method=rk4),
            Integrator("dop853", 8, symplectic=False, separable_only=False, method=dop853, adaptive=True),
            _dormand_prince("dormand_prince8", 1e-14),
            _dormand_prince("dormand_prince8_coarse", 1e-9),
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
    encounters; Gauss's method of order 8 for other machines without friction, the adaptive method of Dormand and Prince
    for those with friction, and RK4 for all else.

    Raises:
        UnknownNameError: there is no such integrator.
        InvalidOptionError: it needs a separable Hamiltonian, or bodies, and ``field`` has none.
    """
    if name is None:
        name = _default(field)
    integrator = INTEGRATORS[name]
    if not fits(integrator, field):
        needed = "bodies that act in pairs" if integrator.bodies_only else "a separable Hamiltonian"
        allowed = ", ".join(sorted(n for n, method in INTEGRATORS.items() if fits(method, field)))
        raise InvalidOptionError(f"integrator {name!r} needs {needed}, and this physics has none; allowed: {allowed}")
    return integrator


def get_fixed_step(name: str | None, field: VectorField) -> Integrator:
    """As ``get_integrator``, but None chooses a method whose steps are all alike: what a force is fitted through."""
    method = get_integrator("pefrl" if name is None and bodies_of(field) else name, field)
    return INTEGRATORS["rk4"] if name is None and method.adaptive else method


def fits(integrator: Integrator, field: VectorField) -> bool:
    """Whether an integrator can step a field."""
    if integrator.bodies_only:
        return bodies_of(field) > 0
    return is_separable(field) or not integrator.separable_only


def _default(field: VectorField) -> str:
    if is_separable(field):
        return "encounters" if bodies_of(field) else "pefrl"
    flow = canonical(field)
    if not (isinstance(flow, PortHamiltonian) and isinstance(flow.hamiltonian, Separable | MachineHamiltonian)):
        return "rk4"
    return "gauss8" if flow.dissipation is None else "dormand_prince8"
