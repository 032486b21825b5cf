"""Lanes of environments: how many quantities of many states lie in memory, and how formulas read and write them.

A batch is cut into chunks of ``LANES`` rows, and a chunk is transposed: a buffer holds n quantities of all its
environments, one quantity after another, so that every inner loop runs over neighbours in memory and compiles to vector
instructions. One environment alone is a chunk with one lane, compiled apart.
"""

from __future__ import annotations

import json
from collections import namedtuple
from functools import cache
from typing import Any

from numba import types
from numba.extending import intrinsic, overload

from hnn_envs.components import Layout
from hnn_envs.kernels.functions import fma
from hnn_envs.kernels.jit import inlined

LANES = 64
"""Rows per chunk: enough to fill registers, few enough for a wide network's activations to stay in the cache."""


def lanes_of(chunk: Any) -> Any:
    """The number of lanes, 1 where ``chunk`` is None and LANES where it is True: a constant, told by the type."""


@overload(lanes_of)
def _lanes_of(chunk: Any) -> Any:
    return _one_lane if chunk == types.none else _all_lanes


def _one_lane(chunk: Any) -> Any:
    return 1


def _all_lanes(chunk: Any) -> Any:
    return LANES


@inlined
def row(values: Any, index: int, lanes: int) -> Any:
    """One quantity of all lanes."""
    return values[index * lanes : (index + 1) * lanes]


@inlined
def load(x: Any, u: Any, matrix: Any, first: int, state: Any, inputs: Any, input_force: Any, chunk: Any) -> None:
    """Transposes a chunk of states and inputs, and computes G u; lanes beyond the last row repeat it."""
    lanes, (dof, count) = lanes_of(chunk), matrix.shape
    for k in range(lanes):
        at = min(first + k, x.size // (2 * dof) - 1)
        for i in range(2 * dof):
            state[i * lanes + k] = x[at * 2 * dof + i]
        for i in range(count):
            inputs[i * lanes + k] = u[at * count + i]
    for i in range(dof):
        force = row(input_force, i, lanes)
        for k in range(lanes):
            force[k] = 0.0
        for j in range(count):
            source = row(inputs, j, lanes)
            for k in range(lanes):
                force[k] = fma(matrix[i, j], source[k], force[k])


@inlined
def store(state: Any, first: int, x: Any, size: int, chunk: Any) -> None:
    """Writes a chunk of states back."""
    lanes = lanes_of(chunk)
    for k in range(min(lanes, x.size // size - first)):
        for i in range(size):
            x[(first + k) * size + i] = state[i * lanes + k]


@intrinsic(prefer_literal=True)
def gather(_: Any, values: Any, first: Any, stride: Any, count: Any) -> Any:
    """A tuple of ``count`` entries of a flat array, from ``first`` on, ``stride`` apart; the count is a constant."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    size = count.literal_value

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = _places(context, builder, signature, arguments)
        loaded = [builder.load(next(places)) for _ in range(size)]
        return context.make_tuple(builder, signature.return_type, loaded)

    return types.UniTuple(values.dtype, size)(values, types.intp, types.intp, count), build


@intrinsic(prefer_literal=True)
def gather_entries(_: Any, values: Any, first: Any, stride: Any, size: Any) -> Any:
    """A tuple of the entries of a symmetric matrix of ``size`` rows, which lie as ``gather`` has it."""
    if not isinstance(size, types.IntegerLiteral):
        return None
    count = size.literal_value * (size.literal_value + 1) // 2

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = _places(context, builder, signature, arguments)
        loaded = [builder.load(next(places)) for _ in range(count)]
        return context.make_tuple(builder, signature.return_type, loaded)

    return types.UniTuple(values.dtype, count)(values, types.intp, types.intp, size), build


@intrinsic
def subtract(_: Any, values: Any, first: Any, stride: Any, amounts: Any) -> Any:
    """Subtracts the entries of a tuple from those of a flat array, from ``first`` on, ``stride`` apart."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = _places(context, builder, signature, arguments)
        for index, kind in enumerate(signature.args[3]):
            amount = context.cast(builder, builder.extract_value(arguments[3], index), kind, types.float64)
            place = next(places)
            builder.store(builder.fsub(builder.load(place), amount), place)
        return context.get_dummy_value()

    return types.none(values, types.intp, types.intp, amounts), build


@intrinsic
def put(_: Any, values: Any, first: Any, stride: Any, entries: Any) -> Any:
    """Writes the entries of a tuple into a flat array, from ``first`` on, ``stride`` apart."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = _places(context, builder, signature, arguments)
        for index, kind in enumerate(signature.args[3]):
            entry = context.cast(builder, builder.extract_value(arguments[3], index), kind, types.float64)
            builder.store(entry, next(places))
        return context.get_dummy_value()

    return types.none(values, types.intp, types.intp, entries), build


def _places(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Where the entries are, from the arguments (values, first, stride, ...)."""
    data = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
    at = arguments[1]
    while True:
        yield builder.gep(data, [at])
        at = builder.add(at, arguments[2])


def as_text(layout: Layout) -> str:
    """A layout in the form in which ``record`` takes it."""
    return json.dumps(layout)


@intrinsic(prefer_literal=True)
def record(_: Any, layout: Any, values: Any) -> Any:
    """The first entries of a flat array by their names, as a named tuple; the layout is a constant, see ``as_text``."""
    if not isinstance(layout, types.StringLiteral):
        return None
    kind = _record_type(layout.literal_value)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[1])(context, builder, value=arguments[1]).data
        return _load_record(context, builder, kind, data, iter(range(values_in(kind))))

    return kind(layout, values), build


@cache
def _record_type(layout: str) -> types.NamedTuple:
    """The type of a record; the same for the same layout, as the compiler asks."""
    names, kinds = [], []
    for entry in json.loads(layout):
        names.append(entry if isinstance(entry, str) else entry[0])
        kinds.append(types.float64 if isinstance(entry, str) else _record_type(json.dumps(entry[1])))
    return types.NamedTuple(kinds, namedtuple("Constants", names))


def values_in(kind: Any) -> int:
    """How many floats a record holds."""
    return sum(values_in(inner) if isinstance(inner, types.NamedTuple) else 1 for inner in kind.types)


def _load_record(context: Any, builder: Any, kind: Any, data: Any, places: Any) -> Any:
    entries = []
    for inner in kind.types:
        if isinstance(inner, types.NamedTuple):
            entries.append(_load_record(context, builder, inner, data, places))
        else:
            entries.append(builder.load(builder.gep(data, [context.get_constant(types.intp, next(places))])))
    return context.make_tuple(builder, kind, entries)
