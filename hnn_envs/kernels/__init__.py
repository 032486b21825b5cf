"""Compiled steps: the same physics as the array code, as machine code over one state or a batch.

``compile_step`` is the only entry, and the only place that decides whether there is a kernel. What has none (DOP853,
the implicit midpoint rule, torch tensors, a field that does not say how it is compiled) is stepped by the array code,
against which the kernels are tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.components import Form, compiles, constants_of, stated
from hnn_envs.encounters import Encounters, fastest_pace, tableau
from hnn_envs.hamiltonian import VectorField, bodies_of
from hnn_envs.integrators import Integrator, Splitting, rk4
from hnn_envs.kernels import arithmetic as _arithmetic  # noqa: F401 - tells the compiler what formulas say
from hnn_envs.kernels.encounters import make_encounters
from hnn_envs.kernels.operations import can_run, plan
from hnn_envs.kernels.steps import make_runge_kutta, make_splitting, other_rate, separable_rate

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
    arguments: tuple[Array, ...]
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
        elif x.size < FEW * x.shape[-1]:
            for row, inputs in zip(x.reshape(-1, x.shape[-1]), u.reshape(-1, self.inputs), strict=True):
                self.kernel(row, inputs, None, *self.arguments)
        else:
            self.kernel(x.reshape(-1), u.reshape(-1), True, *self.arguments)
        return x


def compile_step(field: VectorField, integrator: Integrator, dt: float, substeps: int) -> CompiledStep | None:
    """The compiled step of a field, or None where there is no kernel for it.

    Machine code is made at the first call, or read from Numba's cache on disk.
    """
    stated_form = stated(field, "compiled_form", ("__call__",))
    form: Form | None = None if stated_form is None else stated_form()
    if form is None or not compiles() or (form.network is not None and not can_run(form.network)):
        return None
    h, kernel, method = dt / substeps, _Kernel(form), integrator.step
    if method is rk4:
        return CompiledStep(kernel.runge_kutta(), kernel.arguments(np.full(substeps, h)), kernel.inputs)
    if isinstance(method, Splitting) and kernel.is_separable:
        stages = _stages(method, kernel.inverse_mass, kernel.damping, h, substeps)
        return CompiledStep(kernel.splitting(), kernel.arguments(stages), kernel.inputs)
    if isinstance(method, Encounters) and isinstance(method.calm, Splitting) and bodies_of(field):
        stages = _stages(method.calm, kernel.inverse_mass, kernel.damping, h, substeps)
        limits, table = np.array((fastest_pace(h, substeps), dt)), np.concatenate([part.ravel() for part in tableau()])
        return CompiledStep(
            kernel.encounters(),
            kernel.arguments(stages, table, limits),
            kernel.inputs,
        )
    return None


class _Kernel:
    """The functions of a form, and what they are called with."""

    def __init__(self, form: Form) -> None:
        self._form, self._module = form, import_module(form.kernel)
        self.is_separable = form.inverse_mass is not None
        self.inverse_mass = float(form.inverse_mass) if self.is_separable else 1.0
        self.damping = float(form.damping or 0.0)
        self._layout, self._constants = constants_of(form.owner)
        self._matrix = np.array(form.input_matrix, dtype=np.float64)
        self._dof, self.inputs = self._matrix.shape

    def splitting(self) -> Any:
        """The step of the splittings."""
        return make_splitting(self._module.copies, self._module.add_force, *self._formula())

    def encounters(self) -> Any:
        """The step of bodies that meet."""
        return make_encounters(self._module.copies, self._module.add_force, *self._formula())

    def runge_kutta(self) -> Any:
        """The step of the classical method."""
        if self.is_separable:
            return make_runge_kutta(separable_rate, self._module.copies, self._module.add_force, *self._formula())
        return make_runge_kutta(other_rate, self._module.copies, self._module.write_rate, *self._formula())

    def _formula(self) -> tuple[Any, ...]:
        """The formula, its number of coordinates and the names of its constants: what a kernel is made for."""
        form = self._form
        return form.formula, 0 if form.formula is None else self._dof, self._layout

    def arguments(self, table: Array, *others: Array) -> tuple[Array, ...]:
        """The arguments of the step, after the states and inputs."""
        constants = np.array((self.inverse_mass, self.damping, *self._constants))
        return (table, constants, self._matrix, *others, *self._network())

    def _network(self) -> tuple[Array, ...]:
        """Which coordinates are angles, the operations of the network, and their weights; () without a network."""
        if self._form.network is None:
            return ()
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
