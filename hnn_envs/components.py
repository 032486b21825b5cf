"""Formulas of components: how array code is derived from them, and what the compiler is told."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from hnn_envs.arrays import Array, namespace
from hnn_envs.errors import InvalidOptionError

Components: TypeAlias = "tuple[Array, ...]"
"""The entries of vectors (..., n), one by one: n arrays of shape (...,)."""

Layout: TypeAlias = "tuple[str | tuple[str, Layout], ...]"
"""The names of an object's constants; an object within has its name and its own layout."""

Formula: TypeAlias = Callable[..., Any]
"""A plain function of a module; its first argument is the object whose formula it is, of which it reads constants."""

SWITCH = "NUMBA_DISABLE_JIT"


@cache
def compiles() -> bool:
    """Whether formulas are compiled; a user may have told Numba not to, and then all is array code, which is said once.

    Numba is not loaded for that: it takes a second.
    """
    if os.environ.get(SWITCH, "0") in ("", "0"):
        return True
    logging.getLogger(__name__).warning("%s is set: hnn_envs compiles nothing, and steps much slower", SWITCH)
    return False


class Step(NamedTuple):
    """What a reward may depend on.

    Attributes:
        x: the state before the step.
        u: the physical inputs, held constant over it.
        x_next: the state after it.
        inside: whether that is within the limits.
        energy: its true energy.
    """

    x: Components
    u: Components
    x_next: Components
    inside: Array
    energy: Array


@dataclasses.dataclass(frozen=True)
class Form:
    """How a vector field is compiled, as data: whoever states it knows nothing of the compiler.

    Attributes:
        kernel: a module of functions over lanes of environments, as ``hnn_envs.kernels.steps`` asks for; its name.
        owner: the dataclass whose constants these functions read.
        formula: what a known potential's gradient is, of the owner and the coordinates; None for a learned one.
        mass_matrix: what M of a known machine is, likewise.
        potential: what its V is.
        network: the network that is run; None for a known system.
        series: the arrays of a machine's learned series, as ``hnn_envs.kernels.series`` has them; None without.
        features: what the network sees of the coordinates or of the state.
        derivative: whether the network's gradient is wanted, not its outputs.
        inverse_mass: 1/m of an energy p^2 / 2m + V(q); None for every other field.
        input_matrix: G, shape (dof, inputs).
        damping: gamma in p' = ... - gamma p; None for 0.
        friction: viscous and dry coefficients and sharpness of each coordinate, shape (3, dof), as
            ``hnn_envs.hamiltonian.dissipation.Friction`` has them; None without friction.
        velocities: whether states are [q, q'] in place of [q, p].
    """

    kernel: str
    owner: Any
    formula: Formula | None = None
    mass_matrix: Formula | None = None
    potential: Formula | None = None
    network: Any = None
    series: tuple[Array, ...] | None = None
    features: Any = None
    derivative: bool = True
    inverse_mass: Array = None
    input_matrix: Array = None
    damping: Array = None
    friction: Array = None
    velocities: bool = False


def components(x: Array) -> Components:
    """The components of vectors (..., n)."""
    if isinstance(x, np.ndarray):
        return tuple(x) if x.ndim == 1 else tuple(x[..., index] for index in range(x.shape[-1]))
    return tuple(x.unbind(-1))


def vector(parts: Components, like: Array) -> Array:
    """The vectors (..., n) with these components, of the type of ``like`` (..., n); a component may be a float."""
    if isinstance(like, np.ndarray):
        if like.ndim == 1:
            return np.array(parts, dtype=like.dtype)
        out = np.empty((*like.shape[:-1], len(parts)), dtype=like.dtype)
        for index, part in enumerate(parts):
            out[..., index] = part
        return out
    xp = namespace(like)
    return xp.stack([xp.full_like(like[..., 0], part) if isinstance(part, float) else part for part in parts], axis=-1)


def symmetric(parts: Components, like: Array) -> Array:
    """The symmetric matrices (..., n, n) of whose rows these are the entries from the diagonal on.

    Args:
        parts: the n (n + 1) / 2 entries, of shape (...,) or floats.
        like: vectors (..., n).

    Raises:
        InvalidOptionError: another number of entries.
    """
    size, zero = like.shape[-1], 0 * like[..., 0]
    if len(parts) != size * (size + 1) // 2:
        raise InvalidOptionError(
            f"a symmetric matrix of {size} rows has {size * (size + 1) // 2} entries from the diagonal on, "
            f"not {len(parts)}"
        )
    places = {pair: place for place, pair in enumerate((i, j) for i in range(size) for j in range(i, size))}
    entries = [parts[places[min(i, j), max(i, j)]] + zero for i in range(size) for j in range(size)]
    return namespace(zero).stack(entries, axis=-1).reshape((*zero.shape, size, size))


def constants_of(owner: Any) -> tuple[Layout, list[float]]:
    """The constants that a formula may read from an object: their names, and their values in the same order.

    These are the floats and integers among its fields and its class's attributes, its properties that are declared to
    be floats, and the constants of the dataclasses that its fields hold; names that begin with "_" are left out.
    """
    layout: list[Any] = []
    values: list[float] = []
    for name in _names(owner):
        value = getattr(owner, name)
        if _is_constant(value):
            layout.append(name)
            values.append(float(value))
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            inner, more = constants_of(value)
            if inner:
                layout.append((name, inner))
                values += more
    return tuple(layout), values


def _names(owner: Any) -> list[str]:
    kind = type(owner)
    fields = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else list(vars(owner))
    members = {name: entry for base in reversed(kind.__mro__) for name, entry in vars(base).items()}
    more = [name for name, entry in members.items() if _is_constant(entry) or _is_float_property(entry)]
    # Python 3.13 and later keep the line of a class in it, as ``__firstlineno__``.
    return [name for name in dict.fromkeys((*fields, *more)) if not name.startswith("_")]


def _is_constant(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and np.issubdtype(value.dtype, np.floating)
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _is_float_property(entry: Any) -> bool:
    function = getattr(entry, "func", None) or getattr(entry, "fget", None)
    return isinstance(entry, property | cached_property) and function.__annotations__.get("return") in ("float", float)


def stated(owner: Any, name: str, methods: tuple[str, ...]) -> Any:
    """What an object says about itself by the attribute ``name``; None where it no longer holds.

    A subclass that overrides one of the methods which the attribute stands for means something else, unless it states
    the attribute anew.

    Args:
        owner: the object.
        name: the attribute.
        methods: the methods that the attribute stands for.
    """
    for kind in type(owner).__mro__:
        if name in vars(kind):
            return getattr(owner, name)
        if any(method in vars(kind) for method in methods):
            return None
    return None
