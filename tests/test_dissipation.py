"""Friction: Rayleigh functions, their forces, and what they do to the methods that step a field."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from physics import (
    PROPERTY,
    autograd,
    exact,
    states,
)

from hnn_envs.arrays import Array, namespace
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian.dissipation import Dissipation, Friction, check_dissipation
from hnn_envs.integrators import INTEGRATORS, get_integrator
from hnn_envs.systems import SYSTEMS

BOTH = Friction.of((0.0, 0.2), (1.0, 2.0), 3.0)
FRICTION = (Friction.of((0.3, 0.1)), Friction.of((0.0, 0.0), (0.16, 0.12)), BOTH)


@dataclass(frozen=True)
class Stated(Dissipation):
    """Friction of which only F is stated; the force follows."""

    original: Dissipation

    def value(self, v: Array) -> Array:
        return self.original.value(v)


@dataclass(frozen=True)
class Motor(Dissipation):
    """A force along the velocity."""

    def value(self, v: Array) -> Array:
        return -0.5 * (v * v).sum(-1)


@dataclass(frozen=True)
class Ramp(Dissipation):
    """A convex function that is not even."""

    def value(self, v: Array) -> Array:
        return namespace(v).exp(v).sum(-1) - v.sum(-1)


class TestDissipation:
    @pytest.mark.parametrize("friction", FRICTION)
    def test_the_force_is_the_slope_of_the_rayleigh_function(self, friction: Dissipation) -> None:
        v = np.random.default_rng(0).uniform(-2, 2, (50, 2))
        np.testing.assert_allclose(friction.force(v), -autograd(friction.value, v), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(Stated(friction).force(v), friction.force(v), rtol=1e-12, atol=1e-14)
        there = torch.tensor(v)
        np.testing.assert_allclose(Stated(friction).force(there).numpy(), friction.force(v), rtol=1e-12, atol=1e-14)

    @PROPERTY
    @given(friction=st.sampled_from(FRICTION), v=arrays(np.float64, (2,), elements=st.floats(-1e3, 1e3)))
    def test_it_never_feeds_energy_in(self, friction: Dissipation, v: Array) -> None:
        assert (v * friction.force(v)).sum() <= 0
        assert friction.value(v) >= -1e-12
        np.testing.assert_array_equal(friction.force(-v), -friction.force(v))
        check_dissipation(friction, v[None])

    def test_one_that_feeds_energy_in_is_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match=r"feed energy in, and at velocity \[1\.0, 2\.0\] its power is 5"):
            check_dissipation(Motor(), np.array([[1.0, 2.0], [0.0, 0.0]]))

    def test_one_that_is_not_even_is_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match="must be even, and at velocity"):
            check_dissipation(Ramp(), np.array([[0.5, -1.0]]))

    @pytest.mark.parametrize("bad", [(), (-0.1,), (math.nan,), (math.inf,)])
    def test_bad_coefficients_are_refused(self, bad: tuple[float, ...]) -> None:
        with pytest.raises(InvalidOptionError, match="must be finite and not negative"):
            Friction.of(bad)
        with pytest.raises(InvalidOptionError, match="must be finite and not negative"):
            Friction.of((0.0,) * len(bad), bad)

    @pytest.mark.parametrize("sharpness", [0.0, -1.0, math.nan])
    def test_a_sharpness_that_is_not_positive_is_refused(self, sharpness: float) -> None:
        with pytest.raises(InvalidOptionError, match="sharpness of friction must be a positive number"):
            Friction.of((0.0,), (1.0,), sharpness)

    def test_viscous_friction_on_one_mass_is_linear_damping(self) -> None:
        """-b v = -gamma p with gamma = b / m."""
        system = SYSTEMS["pendulum"]
        x = states(system, 10)
        gamma = 0.4
        friction = Friction.of((gamma / system.inverse_mass,))
        linear = replace(system.field, damping=gamma)
        np.testing.assert_allclose(replace(system.field, dissipation=friction)(x), linear(x), rtol=1e-14, atol=1e-15)

    def test_a_splitting_is_refused_where_there_is_friction_of_any_form(self) -> None:
        field = replace(SYSTEMS["pendulum"].field, dissipation=Friction.of((0.1,)))
        with pytest.raises(InvalidOptionError, match=r"'pefrl'.*separable"):
            get_integrator("pefrl", field)
        with pytest.raises(InvalidOptionError, match="separable"):
            INTEGRATORS["pefrl"].step(field, np.zeros(2), None, 0.1)
        assert get_integrator(None, field).name == "dormand_prince8"

    def test_friction_is_not_forgotten_by_compiled_steps(self) -> None:
        system = SYSTEMS["pendulum"]
        field = replace(system.field, dissipation=Friction.of((0.3,)))
        dynamics = replace(make_dynamics(system, integrator="rk4", dt=0.05, substeps=2), field=field)
        x = states(system, 4)
        np.testing.assert_allclose(dynamics.step(x), exact(field, x, 0.05), atol=1e-7)
        assert (system.value(dynamics.step(x)) < system.value(x)).all()
