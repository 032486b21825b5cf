"""The right-hand side of a field over lanes of environments, in coordinates and momenta, as the methods call it.

What a field consists of is a module of functions over lanes that the field names (``hnn_envs.components.Form``):

    copies(dof) -> how many copies of a network are run side by side; so many rows of scratch space there are, too
    add_force(formula, count, constants, network, q, force, scratch, chunk): adds -dV/dq, for H = p^2 / 2m + V(q)
    write_rate(mass_matrix, potential, count, constants, damping, network, x, inputs, input_force, out, chunk): writes
        x', for every other field
    to_momenta(mass_matrix, potential, count, constants, network, x, chunk) and to_velocities, its inverse: turn [q, q']
        into [q, p] in place, for a machine whose states are [q, q']

``constants`` is a named tuple of the floats of the object that the formulas or the network belong to; ``formula``,
``mass_matrix`` and ``potential`` are formulas of ``count`` coordinates; ``network`` is what is learned, as
``hnn_envs.kernels.network.with_buffers`` gives it. What does not apply is None. Buffers are flat: n quantities times
lanes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hnn_envs.components import Formula, Layout
from hnn_envs.kernels.functions import atan, fma
from hnn_envs.kernels.jit import inlined
from hnn_envs.kernels.lanes import lanes_of, row

STEP_CONSTANTS: Layout = ("inverse_mass", "damping")
"""What steps themselves read; the constants of the field follow, as ``field``."""


class Parts(NamedTuple):
    """The functions of a field that is not stepped by a splitting: what a kernel is made for.

    Attributes:
        rate: one of the two functions below.
        function: what it calls, ``add_force`` or ``write_rate``.
        copies: as above.
        enter: turns a chunk of states into coordinates and momenta.
        leave: the inverse.
        formula: as above, and so are the next two.
        mass_matrix: M.
        potential: V.
        dof: number of coordinates of the formulas; 0 without any.
        layout: names of the constants of the field.
    """

    rate: Any
    function: Any
    copies: Any
    enter: Any
    leave: Any
    formula: Formula | None
    mass_matrix: Formula | None
    potential: Formula | None
    dof: int
    layout: Layout

    def functions(self) -> tuple[Any, ...]:
        """Those that are compiled as parts of a kernel."""
        return tuple(part for part in self[:8] if part is not None)


def separable_rate(
    named: Any,
    add_force: Any,
    formula: Any,
    mass_matrix: Any,
    potential: Any,
    count: int,
    network: Any,
    x: Any,
    inputs: Any,
    input_force: Any,
    out: Any,
    scratch: Any,
    friction: Any,
    chunk: Any,
) -> None:
    """Writes x' = [p / m, -dV/dq - damping p + friction + G u]."""
    half = x.size // 2
    p, dq, dp = x[half:], out[:half], out[half:]
    for n in range(half):
        dq[n], dp[n] = named.inverse_mass * p[n], fma(-named.damping, p[n], input_force[n])
    add_force(formula, count, named.field, network, x[:half], dp, scratch, chunk)
    add_friction(friction, dq, dp, chunk)


def other_rate(
    named: Any,
    write_rate: Any,
    formula: Any,
    mass_matrix: Any,
    potential: Any,
    count: int,
    network: Any,
    x: Any,
    inputs: Any,
    input_force: Any,
    out: Any,
    scratch: Any,
    friction: Any,
    chunk: Any,
) -> None:
    """Writes x' of a field that is not separable."""
    half = x.size // 2
    write_rate(mass_matrix, potential, count, named.field, named.damping, network, x, inputs, input_force, out, chunk)
    add_friction(friction, out[:half], out[half:], chunk)


@inlined
def add_friction(friction: Any, v: Any, force: Any, chunk: Any) -> None:
    """Adds -b v - c arctan(s v) to the forces; ``friction`` holds all b, then c, then s, or nothing."""
    lanes, dof = lanes_of(chunk), friction.size // 3
    for i in range(dof):
        viscous, dry, sharpness = friction[i], friction[dof + i], friction[2 * dof + i]
        speed, target = row(v, i, lanes), row(force, i, lanes)
        for k in range(lanes):
            target[k] = fma(-viscous, speed[k], target[k])
        if dry != 0.0:
            for k in range(lanes):
                target[k] = fma(-dry, atan(sharpness * speed[k]), target[k])


def unchanged(mass_matrix: Any, potential: Any, count: int, constants: Any, network: Any, x: Any, chunk: Any) -> None:
    """Leaves states as they are: they are [q, p] already, or the field is no machine."""
