"""Compiled steps: the same physics as the array code, as machine code over one state or a batch.

``compile_step`` is the only entry, and the only place that decides whether there is a kernel. What has none (DOP853,
torch tensors, a field that does not say how it is compiled) is stepped by the array code, against which the kernels are
tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.components import Form, compiles, constants_of, stated
from hnn_envs.hamiltonian import VectorField, bodies_of
from hnn_envs.integrators import Integrator
from hnn_envs.integrators.adaptive import DormandPrince
from hnn_envs.integrators.dormand_prince import FIFTH, MATRIX, THIRD, WEIGHTS
from hnn_envs.integrators.encounters import Encounters, fastest_pace
from hnn_envs.integrators.implicit import Gauss
from hnn_envs.integrators.runge_kutta import rk4
from hnn_envs.integrators.splittings import Splitting
from hnn_envs.kernels import arithmetic as _arithmetic  # noqa: F401 - tells the compiler what formulas say
from hnn_envs.kernels.adaptive import make_adaptive
from hnn_envs.kernels.encounters import make_encounters
from hnn_envs.kernels.gauss import make_gauss
from hnn_envs.kernels.operations import can_run, plan
from hnn_envs.kernels.rates import Parts, other_rate, separable_rate, unchanged
from hnn_envs.kernels.steps import make_runge_kutta, make_splitting

_TABLEAU = np.vstack((np.pad(np.vstack((MATRIX, WEIGHTS)), ((0, 0), (0, 1))), FIFTH, THIRD))
"""A and b of the adaptive method, and the weights of its error estimates, shape (15, 13)."""

FEW = 8
"""Fewer rows than this are faster one by one than as a chunk that is mostly empty."""


@dataclass(frozen=True)
class CompiledStep:
    """A step by machine code: states (..., 2*dof) and inputs (..., inputs) or None -> the next states.

    Attributes:
        kernel: the compiled function; its first arguments are flat states, changed in place, flat inputs, and None for
            one state or True for many.
        arguments: its other arguments: the method's table, the constants of the field, G, and the network.
        inputs: number of inputs.
    """

    kernel: Callable[..., int]
    arguments: tuple[Any, ...]
    inputs: int

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """The next states, a new array."""
        if u is None:
            u = np.zeros((*x.shape[:-1], self.inputs))
        elif u.ndim != x.ndim or (x.ndim > 1 and u.shape[:-1] != x.shape[:-1]):
            leading = np.broadcast_shapes(x.shape[:-1], u.shape[:-1])
            x, u = np.broadcast_to(x, (*leading, x.shape[-1])), np.broadcast_to(u, (*leading, u.shape[-1]))
        x, u = x.copy(), np.array(u, np.float64)  # Numba compiles anew for arrays that are read-only or not contiguous
        if x.ndim == 1:
            self.kernel(x, u, None, *self.arguments)
        elif (count := x.size // x.shape[-1]) < FEW:
            for row, inputs in zip(x.reshape(count, x.shape[-1]), u.reshape(count, self.inputs), strict=True):
                self.kernel(row, inputs, None, *self.arguments)
        else:
            self.kernel(x.reshape(-1), u.reshape(-1), True, *self.arguments)
        return x


@dataclass(frozen=True)
class ImplicitStep:
    """A compiled implicit step; where its iteration does not contract, the array code's method of Newton may.

    Attributes:
        compiled: the step, which gives NaN for such states.
        field: what is stepped.
        integrator: the method.
        h: the length of its steps.
        substeps: how many they are.
    """

    compiled: CompiledStep
    field: VectorField
    integrator: Integrator
    h: float
    substeps: int

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """The next states, a new array."""
        y = self.compiled(x, u)
        lost = np.isnan(y).any(axis=-1) & np.isfinite(x).all(axis=-1)
        if not lost.any():
            return y
        again = np.broadcast_to(x, y.shape)[lost]
        held = None if u is None else np.broadcast_to(u, (*y.shape[:-1], u.shape[-1]))[lost]
        with np.errstate(all="ignore"):
            y[lost] = self.integrator.advance(self.field, again, held, self.h, self.substeps)
        return y


def compile_step(
    field: VectorField, integrator: Integrator, dt: float, substeps: int
) -> CompiledStep | ImplicitStep | None:
    """The compiled step of a field, or None where there is no kernel for it.

    Machine code is made at the first call, or read from Numba's cache on disk.
    """
    stated_form = stated(field, "compiled_form", ("__call__",))
    form: Form | None = None if stated_form is None else stated_form()
    if form is None or not compiles() or (form.network is not None and not can_run(form.network)):
        return None
    h, kernel, method = dt / substeps, _Kernel(form), integrator.method
    if method is rk4:
        return CompiledStep(make_runge_kutta(kernel.parts), (np.full(substeps, h), *kernel.arguments), kernel.inputs)
    if isinstance(method, Gauss):
        tableau = h * np.vstack((method.matrix, method.weights))
        step = CompiledStep(make_gauss(kernel.parts), (tableau, substeps, *kernel.arguments), kernel.inputs)
        return ImplicitStep(step, field, integrator, h, substeps)
    if isinstance(method, DormandPrince) and substeps == 1:
        span = np.array((dt, method.tolerance))
        return CompiledStep(make_adaptive(kernel.parts), (span, _TABLEAU, *kernel.arguments), kernel.inputs)
    if isinstance(method, Splitting) and kernel.is_separable and not kernel.has_friction:
        stages = _stages(method, kernel.inverse_mass, kernel.damping, h, substeps)
        return CompiledStep(kernel.splitting(), (stages, *kernel.splitting_arguments), kernel.inputs)
    if isinstance(method, Encounters) and isinstance(method.calm, Splitting) and bodies_of(field):
        stages = _stages(method.calm, kernel.inverse_mass, kernel.damping, h, substeps)
        limits = np.array((fastest_pace(h, substeps), dt))
        table = np.concatenate((MATRIX.ravel(), WEIGHTS))
        constants, matrix, *learned = kernel.splitting_arguments
        return CompiledStep(kernel.encounters(), (stages, constants, matrix, table, limits, *learned), kernel.inputs)
    return None


def make_step(
    field: VectorField, integrator: Integrator, dt: float, substeps: int
) -> Callable[[Array, Array | None], Array]:
    """The step of NumPy states: compiled where there is a kernel, else by array code."""
    compiled = compile_step(field, integrator, dt, substeps)
    if compiled is not None:
        return compiled

    def step(x: Array, u: Array | None) -> Array:
        with np.errstate(all="ignore"):
            return integrator.advance(field, x, u, dt / substeps, substeps)

    return step


class _Kernel:
    """The functions of a form, and what they are called with."""

    def __init__(self, form: Form) -> None:
        self._form, self._module = form, import_module(form.kernel)
        self.is_separable = form.inverse_mass is not None
        self.has_friction = form.friction is not None
        self.inverse_mass = float(form.inverse_mass) if self.is_separable else 1.0
        self.damping = float(form.damping or 0.0)
        self._layout, self._constants = constants_of(form.owner)
        self._matrix = np.array(form.input_matrix, dtype=np.float64)
        self._dof, self.inputs = self._matrix.shape
        written = (form.formula, form.mass_matrix, form.potential, form.series)
        self._count = 0 if all(each is None for each in written) else self._dof

    def splitting(self) -> Any:
        """The step of the splittings."""
        module = self._module
        return make_splitting(module.copies, module.add_force, self._form.formula, self._count, self._layout)

    def encounters(self) -> Any:
        """The step of bodies that meet."""
        module = self._module
        return make_encounters(module.copies, module.add_force, self._form.formula, self._count, self._layout)

    @property
    def parts(self) -> Parts:
        """The functions for every other method."""
        form, module = self._form, self._module
        rate, function = (separable_rate, module.add_force) if self.is_separable else (other_rate, module.write_rate)
        enter, leave = (module.to_momenta, module.to_velocities) if form.velocities else (unchanged, unchanged)
        formulas = (form.formula, form.mass_matrix, form.potential)
        return Parts(rate, function, module.copies, enter, leave, *formulas, self._count, self._layout)

    @property
    def splitting_arguments(self) -> tuple[Any, ...]:
        """The arguments of a splitting, after the states, the inputs and what belongs to the method."""
        constants = np.array((self.inverse_mass, self.damping, *self._constants))
        return (constants, self._matrix, *self._learned())

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Those of every other method: friction is among them."""
        constants, matrix, *learned = self.splitting_arguments
        friction = np.zeros(0) if self._form.friction is None else np.array(self._form.friction, np.float64).ravel()
        return (constants, matrix, friction, *learned)

    def _learned(self) -> tuple[Array, ...]:
        """The arrays of a network or of series, as ``hnn_envs.kernels.learned`` has them."""
        if self._form.network is None:
            return self._form.series or ()
        features = self._form.features
        angles = np.zeros(0 if features is None else len(features.linear) + len(features.angular), dtype=np.int64)
        if features is not None:
            angles[list(features.angular)] = 1
        return (angles, *plan(self._form.network, derivative=self._form.derivative))


def _stages(splitting: Splitting, inverse_mass: float, damping: float, h: float, substeps: int) -> Array:
    """All drifts and kicks of a step, shape (kicks + 1, 3): drift / mass, then decay and impulse of the next kick.

    The last drift of a substep and the first of the next are one, and so are kicks that no drift parts.
    """
    each = len(splitting.kicks)
    drifts = np.zeros(each * substeps + 1)
    for first in range(0, each * substeps, each):
        drifts[first : first + each + 1] += np.multiply(splitting.drifts, h * inverse_mass)
    apart = np.flatnonzero(np.append(True, drifts[1:-1] != 0.0))
    kicks = np.add.reduceat(h * np.tile(splitting.kicks, substeps), apart)
    with np.errstate(all="ignore"):  # in steps of a million time units, all is damped or nothing is finite
        growth = -np.expm1(-damping * kicks)
    table = np.zeros((len(kicks) + 1, 3))
    table[:, 0] = np.append(drifts[apart], drifts[-1])
    table[:-1, 1], table[:-1, 2] = 1 - growth, growth / damping if damping else kicks
    return table
