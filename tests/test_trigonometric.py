"""The trigonometric family: its series, its derivatives, and the true machines written in its terms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from physics import autograd, central_differences, inputs, states, to_torch
from true_machines import TRUE, true_cart_pole

from hnn_envs.arrays import Array, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import LagrangianFlow, Mechanical, PortHamiltonian
from hnn_envs.hamiltonian.machines import solve_positive
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.kernels import compile_step
from hnn_envs.models import make_family
from hnn_envs.models.trigonometric import (
    Config,
    TrigonometricMachine,
    half_frequencies,
    monomial_exponents,
)
from hnn_envs.systems import SYSTEMS, System
from hnn_envs.systems.cart_pole import CART_POLE

MACHINES = ("cart-pole", "double-pendulum")
SETTINGS: tuple[dict[str, Any], ...] = ({}, {"degree": 3, "power": 1}, {"remainder": True, "hidden": [5]})


def learned(name: str, options: dict[str, Any], seed: int = 0) -> tuple[System, Any, Any]:
    """A system, and a random model of it as a field of NumPy's arrays and of torch's."""
    system, family, rng = SYSTEMS[name], make_family("trigonometric", options), np.random.default_rng(seed)
    drawn = family.init(system.spec, rng)
    for key in ("mass", "potential"):
        drawn[key] += 0.3 / drawn["potential"].size * rng.standard_normal(drawn[key].shape)
    return system, family.build(system.spec, drawn), family.build(system.spec, to_torch(drawn))


@pytest.mark.parametrize("name", MACHINES)
class TestTrueMachines:
    def test_their_fields_are_of_the_family(self, name: str) -> None:
        system = SYSTEMS[name]
        field = Config().build(system.spec, TRUE[name](Config()))
        x, u = states(system, 50), inputs(system, 50)
        np.testing.assert_allclose(field(x, u), system.field(x, u), rtol=1e-9, atol=1e-11)

    def test_so_are_their_energies(self, name: str) -> None:
        system = SYSTEMS[name]
        field, x = Config().build(system.spec, TRUE[name](Config())), states(system, 50)
        np.testing.assert_allclose(field.hamiltonian.value(x), system.value(x), rtol=1e-12, atol=1e-12)

    def test_zero_friction_is_none(self, name: str) -> None:
        system = SYSTEMS[name]
        parameters = TRUE[name](Config())
        parameters |= {key: 0 * parameters[key] for key in ("root_viscous", "root_dry")}
        field = Config().build(system.spec, parameters)
        assert isinstance(field, LagrangianFlow)
        assert field.canonical.dissipation is None


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@pytest.mark.parametrize("name", [*MACHINES, "pendulum", "mass-spring"])
class TestMachine:
    def test_the_force_is_the_derivative_of_the_lagrangian(self, name: str, options: dict[str, Any]) -> None:
        system, field, _ = learned(name, options)
        machine, (q, v) = machine_of(field), split(states(system, 10))

        def lagrangian(place: Array) -> Array:
            moved = (machine.mass_matrix(place) @ v[:, None, :, None])[..., 0]
            return 0.5 * (v[:, None] * moved).sum(-1) - machine.potential(place)

        np.testing.assert_allclose(machine.force(q, v), central_differences(lagrangian, q), rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(machine.force(q, v), Mechanical.force(machine, q, v), rtol=1e-11, atol=1e-12)

    def test_the_energys_gradient_is_that_of_its_value(self, name: str, options: dict[str, Any]) -> None:
        system, field, torch_field = learned(name, options)
        x = states(system, 10)
        by_torch = autograd(torch_field.hamiltonian.value, x)
        np.testing.assert_allclose(field.hamiltonian.gradient(x), by_torch, rtol=1e-10, atol=1e-11)

    def test_torch_moves_it_as_numpy_does(self, name: str, options: dict[str, Any]) -> None:
        system, field, torch_field = learned(name, options)
        x, u = states(system, 10), inputs(system, 10)
        by_torch = torch_field(torch.tensor(x), torch.tensor(u)).detach().numpy()
        np.testing.assert_allclose(field(x, u), by_torch, rtol=1e-11, atol=1e-12)

    def test_a_turn_of_an_angle_changes_nothing(self, name: str, options: dict[str, Any]) -> None:
        system, field, _ = learned(name, options)
        turn = 2 * math.pi * np.array([*system.spec.angles, *(False,) * system.spec.dof])
        x = states(system, 10)
        np.testing.assert_allclose(field(x + turn), field(x), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", MACHINES)
def test_a_state_in_a_batch_moves_as_it_does_alone(name: str) -> None:
    system, field, _ = learned(name, {})
    x, u = states(system, 10), inputs(system, 10)
    alone = np.stack([field(row, push) for row, push in zip(x, u, strict=True)])
    np.testing.assert_array_equal(field(x, u), alone)


def machine_of(field: Any) -> TrigonometricMachine:
    """The machine of a field in either kind of variables."""
    flow = field.canonical if isinstance(field, LagrangianFlow) else field
    assert isinstance(flow, PortHamiltonian)
    machine: TrigonometricMachine = flow.hamiltonian.machine  # type: ignore[attr-defined] # a machine's
    return machine


@pytest.mark.parametrize("name", [*MACHINES, "pendulum", "mass-spring"])
@pytest.mark.parametrize("method", ["dormand_prince8", "rk4", "gauss8"])
def test_it_is_compiled_as_the_array_code_has_it(name: str, method: str) -> None:
    system, field, _ = learned(name, {})
    x, u, integrator = states(system, 20), inputs(system, 20), INTEGRATORS[method]
    compiled = compile_step(field, integrator, 0.01, 1)
    assert compiled is not None
    np.testing.assert_allclose(compiled(x, u), integrator.step(field, x, u, 0.01), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", MACHINES)
def test_so_are_series_of_which_most_is_zero(name: str) -> None:
    system = SYSTEMS[name]
    field = Config().build(system.spec, TRUE[name](Config()))
    form = field.compiled_form()
    assert form is not None
    assert form.series is not None
    assert len(form.series[2]) == {"cart-pole": 1, "double-pendulum": 3}[name]
    x, u, integrator = states(system, 20), inputs(system, 20), INTEGRATORS["dormand_prince8"]
    compiled = compile_step(field, integrator, 0.05, 1)
    assert compiled is not None
    np.testing.assert_allclose(compiled(x, u), integrator.step(system.field, x, u, 0.05), rtol=1e-9, atol=1e-10)


def test_compiled_it_comes_to_no_end_where_its_mass_is_negative() -> None:
    parameters = true_cart_pole(Config())
    parameters["mass"][0, monomial_exponents(1, 2).tolist().index([2])] = -1.0  # of the cart, 1.1 - x^2
    field = Config().build(CART_POLE.spec, parameters)
    x = np.array([[0.5, 0.1, 0.0, 0.0], [2.0, 0.1, 0.0, 0.0]])
    for method in ("dormand_prince8", "rk4", "gauss8"):
        compiled = compile_step(field, INTEGRATORS[method], 0.01, 1)
        assert compiled is not None
        x_next = compiled(x)
        assert np.isfinite(x_next[0]).all()
        assert np.isnan(x_next[1]).any()


class TestSeries:
    def test_the_terms_come_in_the_order_that_the_class_states(self) -> None:
        machine = TrigonometricMachine(
            (1, 2), (0,), half_frequencies(2, 1), monomial_exponents(1, 1), np.zeros((6, 18)), np.zeros(18)
        )
        q = np.array([0.7, 0.3, -0.4])
        expected = [1.0]
        for first, second in half_frequencies(2, 1):
            phase = first * q[1] + second * q[2]
            expected += [math.cos(phase), math.sin(phase)]
        np.testing.assert_allclose(machine.terms(q), np.outer(expected, [1.0, q[0]]).ravel(), rtol=1e-14)

    @pytest.mark.parametrize(("count", "degree"), [(0, 2), (1, 3), (2, 2), (3, 1)])
    def test_of_each_frequency_and_its_opposite_there_is_one(self, count: int, degree: int) -> None:
        found = [tuple(row) for row in half_frequencies(count, degree).tolist()]
        both = {*found, *(tuple(-n for n in row) for row in found), (0,) * count}
        assert len(both) == 2 * len(found) + 1 == (2 * degree + 1) ** count

    def test_the_constant_is_the_first_monomial(self) -> None:
        assert monomial_exponents(2, 2).tolist() == [[0, 0], [0, 1], [1, 0], [0, 2], [1, 1], [2, 0]]


class TestPositiveDefiniteness:
    def test_what_it_solves_is_solved(self) -> None:
        rng = np.random.default_rng(0)
        root, vector = rng.standard_normal((20, 3, 3)), rng.standard_normal((20, 3))
        matrix = root @ np.swapaxes(root, -1, -2) + np.eye(3)
        np.testing.assert_allclose((matrix @ solve_positive(matrix, vector)[..., None])[..., 0], vector, rtol=1e-10)

    @pytest.mark.parametrize("eigenvalues", [(1.0, -1.0), (-1.0, -2.0), (1.0, 0.0)])
    def test_a_matrix_that_is_not_gives_no_solution(self, eigenvalues: tuple[float, float]) -> None:
        turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
        matrix = turn @ np.diag(eigenvalues) @ turn.T
        if min(eigenvalues) == 0:
            matrix = np.ones((2, 2))
        assert np.isnan(solve_positive(matrix, np.ones(2))).all()

    def test_a_machine_comes_to_no_end_where_its_mass_is_negative(self) -> None:
        parameters = true_cart_pole(Config())
        parameters["mass"][0, monomial_exponents(1, 2).tolist().index([2])] = -1.0  # of the cart, 1.1 - x^2
        field = Config().build(CART_POLE.spec, parameters)
        x = np.array([[0.5, 0.1, 0.0, 0.0], [2.0, 0.1, 0.0, 0.0]])
        rate = field(x)
        assert np.isfinite(rate[0]).all()
        assert np.isnan(rate[1, 2:]).all()


class TestSettings:
    def test_a_series_that_is_too_long_is_refused_before_it_is_listed(self) -> None:
        with pytest.raises(InvalidOptionError, match=r"of degree 1000000000 .* terms, and at most 1000 are allowed"):
            make_family("trigonometric", {"degree": 10**9}).init(CART_POLE.spec, np.random.default_rng(0))

    def test_bodies_are_no_machine(self) -> None:
        with pytest.raises(InvalidOptionError, match="'two-body' is made of bodies; use 'pairwise'"):
            make_family("trigonometric", {}).init(SYSTEMS["two-body"].spec, np.random.default_rng(0))

    def test_inputs_may_be_learned(self) -> None:
        family = make_family("trigonometric", {"ports": {"inputs": True}})
        parameters = true_cart_pole(Config()) | {"input_matrix": np.array([[2.0], [0.5]])}
        field = family.build(CART_POLE.spec, parameters)
        assert isinstance(field, LagrangianFlow)
        np.testing.assert_array_equal(field.canonical.input_force(np.array([3.0])), [6.0, 1.5])

    def test_where_states_are_momenta_the_field_is_canonical(self) -> None:
        spec = replace(CART_POLE.spec, velocities=False)
        x = states(CART_POLE, 10)
        flow = Config().build(CART_POLE.spec, true_cart_pole(Config()))
        field = Config().build(spec, true_cart_pole(Config()))
        assert isinstance(field, PortHamiltonian)
        assert isinstance(flow, LagrangianFlow)
        np.testing.assert_allclose(field(flow.to_canonical(x)), flow.canonical(flow.to_canonical(x)), rtol=1e-14)
