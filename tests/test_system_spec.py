"""What a system is, as data: it survives the way through a table, and a damaged table is refused in one sentence."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from physics import NAMES, PROPERTY

from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.systems import SYSTEMS, get_spec
from hnn_envs.systems.spec import PICTURES, Coordinate, Input, Stepping, SystemSpec

POSITIVE = st.floats(1e-300, 1e300)
COORDINATES = st.builds(Coordinate, st.text(), st.text(), st.booleans(), st.text(), st.text())
INPUTS = st.builds(Input, st.text(), st.text())
STEPPINGS = st.builds(Stepping, st.sampled_from(sorted(INTEGRATORS)), POSITIVE)


SYSTEM_NAMES = st.text(min_size=1, max_size=100).filter(
    lambda name: name.isprintable() and not {"/", "\\"} & set(name) and name[0] != "."
)
"""What a system may be called."""


@st.composite
def specs(draw: st.DrawFn) -> SystemSpec:
    """Any description of a system."""
    bodies = draw(st.integers(0, 3))
    dof = 2 * bodies or draw(st.integers(1, 4))
    inputs = draw(st.lists(INPUTS, max_size=3))
    row = st.tuples(*[st.floats(-1e300, 1e300)] * len(inputs))
    return SystemSpec(
        name=draw(SYSTEM_NAMES),
        coordinates=draw(st.tuples(*[COORDINATES] * dof)),
        inputs=tuple(inputs),
        input_matrix=draw(st.tuples(*[row] * dof)),
        time_scale=draw(POSITIVE),
        longest_step=draw(POSITIVE),
        chaotic=draw(st.booleans()),
        dissipative=draw(st.booleans()),
        bodies=bodies,
        stepping=draw(st.none() | STEPPINGS),
        picture=draw(st.sampled_from(PICTURES)),
        time_unit=draw(st.text()),
        energy_unit=draw(st.text()),
    )


SPEC = get_spec("pixel-pendulum")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def places(table: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every entry of a table."""
    items = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    for key, value in items:
        yield (*here, key)
        yield from places(value, (*here, key))


def table_of(spec: SystemSpec) -> Any:
    """The table of a description as a file gives it."""
    return json.loads(json.dumps(spec.as_table()))


def changed(spec: SystemSpec, place: tuple[Any, ...], value: Any) -> Any:
    """The table with one entry replaced."""
    table = table_of(spec)
    inner = table
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return table


class TestTables:
    @PROPERTY
    @given(spec=specs())
    def test_a_description_survives_the_way_through_its_table_and_json(self, spec: SystemSpec) -> None:
        assert SystemSpec.from_table(spec.as_table()) == spec
        again = SystemSpec.from_table(table_of(spec))
        assert again == spec
        assert hash(again) == hash(spec)
        assert again.as_table() == spec.as_table()

    @pytest.mark.parametrize("name", NAMES)
    def test_so_do_those_of_the_package(self, name: str) -> None:
        assert SystemSpec.from_table(table_of(get_spec(name))) == SYSTEMS[name].spec

    @PROPERTY
    @given(spec=specs())
    def test_it_pickles_and_copies(self, spec: SystemSpec) -> None:
        _ = spec.force_matrix
        assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301 - our own bytes
        assert copy.deepcopy(spec) == spec

    @PROPERTY
    @given(spec=specs(), data=st.data())
    def test_whatever_stands_in_one_place_is_refused_or_a_description(self, spec: SystemSpec, data: Any) -> None:
        place = data.draw(st.sampled_from(list(places(table_of(spec)))))
        try:
            found = SystemSpec.from_table(changed(spec, place, data.draw(JSON)))
        except InvalidOptionError as error:
            assert "the description of a system: " in str(error)  # noqa: PT017 - either is looked at
        else:
            assert SystemSpec.from_table(table_of(found)) == found

    @pytest.mark.parametrize("place", ["name", "coordinates", "inputs", "input_matrix", "time_scale", "longest_step"])
    def test_a_missing_entry_is_named(self, place: str) -> None:
        table = table_of(SPEC)
        del table[place]
        with pytest.raises(InvalidOptionError, match=f"description of a system: .*{place}"):
            SystemSpec.from_table(table)

    @pytest.mark.parametrize(
        "place", [("mass",), ("coordinates", 0, "mass"), ("inputs", 0, "mass"), ("stepping", "mass")]
    )
    def test_an_unknown_entry_is_named(self, place: tuple[Any, ...]) -> None:
        with pytest.raises(InvalidOptionError, match=r"description of a system: .*mass"):
            SystemSpec.from_table(changed(SPEC, place, 1.0))

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (("name",), ""),
            (("name",), 3),
            (("name",), None),
            (("coordinates",), []),
            (("coordinates",), None),
            (("coordinates",), "q"),
            (("coordinates", 0), "q"),
            (("coordinates", 0, "name"), 3),
            (("coordinates", 0, "angle"), 1),
            (("coordinates", 0, "unit"), None),
            (("inputs",), []),
            (("inputs", 0), 3),
            (("inputs", 0, "unit"), False),
            (("input_matrix",), []),
            (("input_matrix",), [[1.0], [1.0]]),
            (("input_matrix", 0), [1.0, 1.0]),
            (("input_matrix", 0), "1"),
            (("input_matrix", 0, 0), "1"),
            (("input_matrix", 0, 0), True),
            (("input_matrix", 0, 0), math.nan),
            (("input_matrix", 0, 0), math.inf),
            (("time_scale",), 0.0),
            (("time_scale",), -1.0),
            (("time_scale",), math.nan),
            (("time_scale",), math.inf),
            (("time_scale",), 10**400),
            (("time_scale",), "1"),
            (("time_scale",), True),
            (("longest_step",), 0),
            (("longest_step",), None),
            (("chaotic",), 1),
            (("dissipative",), "no"),
            (("bodies",), 1),
            (("bodies",), -1),
            (("bodies",), 0.0),
            (("bodies",), False),
            (("stepping",), 0.05),
            (("stepping",), {}),
            (("stepping", "integrator"), "euler"),
            (("stepping", "integrator"), ["rk4"]),
            (("stepping", "dt"), 0.0),
            (("stepping", "dt"), -0.05),
            (("stepping", "dt"), math.nan),
            (("stepping", "dt"), "0.05"),
            (("stepping", "dt"), True),
            (("picture",), "photograph"),
            (("picture",), ["plane"]),
            (("time_unit",), None),
            (("energy_unit",), 1),
        ],
    )
    def test_a_damaged_entry_is_refused_in_one_sentence(self, place: tuple[Any, ...], value: Any) -> None:
        assert SystemSpec.from_table(table_of(SPEC)) == SPEC
        with pytest.raises(InvalidOptionError, match="the description of a system: ") as caught:
            SystemSpec.from_table(changed(SPEC, place, value))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("table", [None, 3, "pendulum", [], ["name"], {}, {1: 2}])
    def test_what_is_no_table_is_refused(self, table: Any) -> None:
        with pytest.raises(InvalidOptionError, match="the description of a system: "):
            SystemSpec.from_table(table)


class TestEntries:
    def test_what_is_derived_from_them(self) -> None:
        spec = SystemSpec(
            "cart", (Coordinate("x"), Coordinate("q", angle=True)), (Input("push"),), ((1.0,), (0.0,)), 2.0, 0.01
        )
        assert (spec.dof, spec.angles, spec.time_scales) == (2, (False, True), "periods")
        assert replace(spec, chaotic=True).time_scales == "Lyapunov times"
        np.testing.assert_array_equal(spec.force_matrix, [[1.0], [0.0]])
        with pytest.raises(ValueError, match="read-only"):
            spec.force_matrix[:] = 0

    def test_a_system_may_have_no_input(self) -> None:
        assert SystemSpec("top", (Coordinate(),) * 2, (), ((), ()), 2.0, 0.01).force_matrix.shape == (2, 0)

    def test_a_map_has_a_known_method_and_a_positive_step(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown integrator 'euler'; allowed: .*symplectic_euler"):
            Stepping("euler", 0.05)
        for dt in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(InvalidOptionError, match=f"a discrete map must be a positive number, not {dt}"):
                Stepping("leapfrog", dt)
