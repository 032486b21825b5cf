"""A machine from outside is refused where its mass matrix or its friction is none, before it is stepped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from physics import NAMES, PROPERTY

from hnn_envs.arithmetic import absolute, cos
from hnn_envs.arrays import Array
from hnn_envs.components import Components
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import (
    LagrangianFlow,
    MachineFormulas,
    MachineHamiltonian,
    Mechanical,
    PortHamiltonian,
)
from hnn_envs.hamiltonian.dissipation import Dissipation, Friction
from hnn_envs.systems import SYSTEMS, Coordinate, SystemSpec, check_system, register_system, resolve_system
from hnn_envs.systems.pendulum import Pendulum
from hnn_envs.tasks import TASKS, check_task, register_task, resolve_task
from hnn_envs.tasks.pendulum import PendulumTask


def mass_matrix(system: Slider, q: Components) -> Components:
    """Two places that are coupled more and more with the angle and with the place."""
    place, angle = q
    return (1.0 + 0 * place, system.coupling * (1 - cos(angle)) + system.slope * place, 1.0 + 0 * place)


def potential(system: Slider, q: Components) -> Array:
    """A spring."""
    return 0.5 * q[0] * q[0] - cos(q[1])


def kinked(system: Slider, q: Components) -> Array:
    """A potential with an edge, which is a function of the absolute value that formulas know."""
    return absolute(q[0]) - cos(q[1])


@dataclass(frozen=True)
class Anti(Dissipation):
    """A force along the velocity, but for slow ones."""

    def value(self, v: Array) -> Array:
        return (0.5 * v * v - 0.05 * v * v * v * v).sum(-1)


@dataclass(frozen=True)
class Slider(Mechanical):
    """A machine of a user's, whose numbers may be impossible."""

    coupling: float = 0.3
    slope: float = 0.0
    dissipation: Dissipation | None = None

    formulas = MachineFormulas(mass_matrix, potential)

    @cached_property
    def spec(self) -> SystemSpec:
        coordinates = (Coordinate("place"), Coordinate("angle", angle=True))
        return SystemSpec("slider", coordinates, (), ((), ()), time_scale=6.0, longest_step=0.01, velocities=True)

    @cached_property
    def field(self) -> LagrangianFlow:
        flow = PortHamiltonian(MachineHamiltonian(self), self.spec.force_matrix, dissipation=self.dissipation)
        return LagrangianFlow(flow)

    def invariants(self, x: Array) -> dict[str, Array]:
        return {"energy": self.value(x)}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        return rng.uniform(-1, 1, (count, 4)) * (1.0, 0.1, 4.0, 4.0)


class Kinked(Slider):
    """One with an edge in its potential, by NumPy's absolute value."""

    def mass_matrix(self, q: Array) -> Array:
        return np.eye(2) + 0 * q[..., :1, None]

    def potential(self, q: Array) -> Array:
        return np.abs(q[..., 0])


class Edged(Slider):
    """The same by the absolute value that formulas know, whose derivative is right."""

    formulas = MachineFormulas(mass_matrix, kinked)


class Narrow(Slider):
    """One that states the diagonal alone."""

    formulas = MachineFormulas(lambda system, q: (1.0, 1.0), potential)


class Square(Slider):
    """One whose matrix has another size."""

    def mass_matrix(self, q: Array) -> Array:
        return np.eye(3)


@dataclass(frozen=True)
class SliderTask(PendulumTask):
    """A task whose limits are wider than what the system samples; only what is checked of it matters here."""

    system: Any = Slider()
    edge: float = 1.0

    name = "slide"

    @property
    def low(self) -> Array:
        return np.array([-self.edge, -math.inf, -4.0, -4.0])

    @property
    def high(self) -> Array:
        return -self.low


WRONG_TURNED = Slider(coupling=0.7)
WRONG_FAR_OUT = Slider(coupling=0.0, slope=0.3)
FEEDING = Slider(dissipation=Anti())

REFUSED = {
    "not definite at angles that it does not sample": (WRONG_TURNED, "must be positive definite, and at q = "),
    "not definite at places that it samples": (Slider(slope=1.5), "must be positive definite"),
    "not finite": (Slider(coupling=math.nan), "mass matrix of Slider is not finite at q = "),
    "of another size": (Square(), r"mass matrix of Square must be 2 by 2 at every q, not \(3, 3\)"),
    "of too few entries": (Narrow(), "of 2 rows has 3 entries from the diagonal on, not 2"),
    "not analytic": (Kinked(), "mass matrix and potential must be analytic"),
    "feeding energy in": (FEEDING, "friction must not feed energy in, and at velocity"),
}


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is gone after it."""
    for registry in (SYSTEMS, TASKS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_found", dict(registry._found))
    return


class TestOwn:
    @pytest.mark.parametrize("name", NAMES)
    def test_every_registered_system_passes(self, name: str) -> None:
        check_system(SYSTEMS[name])

    @pytest.mark.parametrize("name", list(TASKS))
    def test_every_registered_system_passes_within_the_limits_of_its_tasks(self, name: str) -> None:
        check_task(TASKS[name])

    def test_nothing_of_the_package_is_checked_when_it_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(thing: Any) -> None:
            raise AssertionError(thing)

        for registry in (SYSTEMS, TASKS):
            monkeypatch.setattr(registry, "_found", {})
            monkeypatch.setattr(registry, "_check", fail)
        assert make_dynamics(SYSTEMS["cart-pole"]).spec.name == "cart-pole"
        assert TASKS["pendulum"].system is SYSTEMS["pendulum"]


class TestSystems:
    @pytest.mark.parametrize("reason", REFUSED)
    def test_an_impossible_one_is_refused_when_it_is_registered(self, reason: str) -> None:
        system, message = REFUSED[reason]
        with pytest.raises(InvalidOptionError, match=f"the system 'slider' cannot be stepped: .*{message}"):
            register_system(system)
        assert "slider" not in SYSTEMS

    def test_so_is_one_that_is_named_by_its_module_when_it_is_first_used(self) -> None:
        place = f"{__name__}:WRONG_TURNED"
        register_system(place, "slider")  # nothing is imported yet
        for name in ("slider", place, place):
            with pytest.raises(InvalidOptionError, match=r"the system 'slider' cannot be stepped: .*definite"):
                make_dynamics(name)

    def test_so_is_one_that_is_given_itself(self) -> None:
        with pytest.raises(InvalidOptionError, match="cannot be stepped"):
            make_dynamics(WRONG_TURNED)
        with pytest.raises(InvalidOptionError, match="cannot be stepped"):
            resolve_system(FEEDING)

    @pytest.mark.parametrize("damping", [-0.1, math.nan, math.inf])
    def test_damping_that_feeds_energy_in_is_refused(self, damping: float) -> None:
        class Fed(Pendulum):
            """A pendulum that speeds up."""

            @property
            def field(self) -> PortHamiltonian:
                return replace(super().field, damping=damping)

        with pytest.raises(InvalidOptionError, match="'pendulum' cannot be stepped: damping must be finite"):
            check_system(Fed())

    def test_friction_on_a_separable_energy_is_looked_at(self) -> None:
        class Fed(Pendulum):
            """A pendulum with a motor in its hinge."""

            @property
            def field(self) -> PortHamiltonian:
                return replace(super().field, dissipation=Anti())

        with pytest.raises(InvalidOptionError, match="friction must not feed energy in"):
            check_system(Fed())

    @PROPERTY
    @given(coupling=st.floats(-0.49, 0.49), viscous=st.floats(0, 1e6), dry=st.floats(0, 1e6))
    def test_a_possible_one_is_taken(self, coupling: float, viscous: float, dry: float) -> None:
        friction = Friction.of((viscous, 0.0), (0.0, dry))
        check_system(Slider(coupling=coupling, dissipation=friction))
        check_system(Edged(coupling=coupling, dissipation=friction))


class TestTasks:
    def test_a_matrix_that_is_wrong_within_a_tasks_limits_alone_is_refused(self) -> None:
        check_system(WRONG_FAR_OUT)
        check_task(SliderTask(WRONG_FAR_OUT))
        task = SliderTask(WRONG_FAR_OUT, edge=5.0)
        for use in (register_task, resolve_task):
            with pytest.raises(InvalidOptionError, match=r"'slider' cannot be stepped: .*definite.* at q = \["):
                use(task)
        assert "slide" not in TASKS

    def test_so_is_one_that_is_named_by_its_module(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(globals(), "FAR", SliderTask(WRONG_FAR_OUT, edge=5.0))
        register_task(f"{__name__}:FAR", "slide")
        with pytest.raises(InvalidOptionError, match="cannot be stepped"):
            TASKS["slide"]
