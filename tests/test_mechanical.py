"""The mechanical network: positive definite masses, derivatives, friction that only takes energy out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from physics import autograd, central_differences, inputs, states, to_torch

from hnn_envs.arrays import Array, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import LagrangianFlow, PortHamiltonian, check_mass_matrix
from hnn_envs.hamiltonian.dissipation import Friction, check_dissipation
from hnn_envs.models import make_family
from hnn_envs.models.friction import RANGE, RayleighNetwork, learned_friction
from hnn_envs.systems import SYSTEMS, System

MACHINES = ("cart-pole", "double-pendulum")
SETTINGS: tuple[dict[str, Any], ...] = ({"hidden": [7]}, {"hidden": [5, 4], "rayleigh": True, "inertia": 0.1})


def learned(name: str, options: dict[str, Any], spread: float = 0.3) -> tuple[System, Any, Any]:
    """A system, and a random model of it as a field of NumPy's arrays and of torch's."""
    system, family, rng = SYSTEMS[name], make_family("mechanical", options), np.random.default_rng(0)
    drawn = {
        key: value + spread * rng.standard_normal(value.shape) for key, value in family.init(system.spec, rng).items()
    }
    return system, family.build(system.spec, drawn), family.build(system.spec, to_torch(drawn))


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@pytest.mark.parametrize("name", [*MACHINES, "pendulum"])
class TestMachine:
    def test_the_force_is_the_derivative_of_the_lagrangian(self, name: str, options: dict[str, Any]) -> None:
        system, field, _ = learned(name, options)
        machine, (q, v) = machine_of(field), split(states(system, 10))

        def lagrangian(place: Array) -> Array:
            moved = (machine.mass_matrix(place) @ v[:, None, :, None])[..., 0]
            return 0.5 * (v[:, None] * moved).sum(-1) - machine.potential(place)

        np.testing.assert_allclose(machine.force(q, v), central_differences(lagrangian, q), rtol=1e-6, atol=1e-7)

    def test_the_energys_gradient_is_that_of_its_value(self, name: str, options: dict[str, Any]) -> None:
        system, field, torch_field = learned(name, options)
        x = states(system, 10)
        by_torch = autograd(torch_field.hamiltonian.value, x)
        np.testing.assert_allclose(field.hamiltonian.gradient(x), by_torch, rtol=1e-10, atol=1e-11)

    def test_torch_moves_it_as_numpy_does(self, name: str, options: dict[str, Any]) -> None:
        system, field, torch_field = learned(name, options)
        x, u = states(system, 10), inputs(system, 10)
        by_torch = torch_field(torch.tensor(x), torch.tensor(u)).detach().numpy()
        np.testing.assert_allclose(field(x, u), by_torch, rtol=1e-10, atol=1e-11)

    def test_its_mass_matrix_is_positive_definite_however_wild_its_weights(
        self, name: str, options: dict[str, Any]
    ) -> None:
        system, field, _ = learned(name, options, spread=10.0)
        check_mass_matrix(machine_of(field), states(system, 200))
        q, _ = split(states(system, 200))
        least = np.linalg.eigvalsh(machine_of(field).mass_matrix(q))[..., 0]
        assert least.min() > 0.999e-3 * options.get("inertia", 1.0)

    def test_without_input_its_energy_falls(self, name: str, options: dict[str, Any]) -> None:
        system, field, _ = learned(name, options)
        x = states(system, 50)
        power = (field.hamiltonian.gradient(x) * field(x)).sum(-1)
        assert (power < 0).all()


def machine_of(field: Any) -> Any:
    """The machine of a field in either kind of variables."""
    flow = field.canonical if isinstance(field, LagrangianFlow) else field
    assert isinstance(flow, PortHamiltonian)
    return flow.hamiltonian.machine  # type: ignore[attr-defined] # a machine's


class TestFriction:
    @pytest.mark.parametrize("friction", [None, Friction.of((0.1, 0.0), (0.2, 0.3), 20.0)])
    def test_a_rayleigh_network_takes_energy_out_whatever_its_weights(self, friction: Friction | None) -> None:
        rng = np.random.default_rng(0)
        network = RayleighNetwork(friction, 3 * rng.standard_normal((2, 6)), rng.standard_normal(6))
        check_dissipation(network, 5 * rng.standard_normal((200, 2)))

    def test_its_force_is_the_slope_of_its_value(self) -> None:
        rng = np.random.default_rng(0)
        network = RayleighNetwork(Friction.of((0.1, 0.2)), rng.standard_normal((2, 6)), rng.standard_normal(6))
        v = rng.standard_normal((20, 2))
        np.testing.assert_allclose(network.force(v), -central_differences(network.value, v), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(network.force(v), -autograd(network.value, v), rtol=1e-12)
        assert network.value(np.zeros(2)) == 0

    def test_it_is_not_compiled_without_its_network(self) -> None:
        assert RayleighNetwork(None, np.ones((2, 3)), np.ones(3)).compiled_table() is None

    @pytest.mark.parametrize("wild", [-1e3, 0.0, 1e3])
    def test_sharpness_stays_within_ten_times_of_where_it_starts(self, wild: float) -> None:
        parameters = {"root_viscous": np.ones(2), "root_dry": np.ones(2), "sharpness": np.full(2, wild)}
        friction = learned_friction(parameters, 50.0)
        assert friction is not None
        np.testing.assert_allclose(friction.sharpness, 50 * np.exp(np.clip(wild, -RANGE, RANGE)))


class TestSettings:
    def test_bodies_are_no_machine(self) -> None:
        with pytest.raises(InvalidOptionError, match="'two-body' is made of bodies; use 'pairwise'"):
            make_family("mechanical", {}).init(SYSTEMS["two-body"].spec, np.random.default_rng(0))

    def test_where_states_are_momenta_the_field_is_canonical(self) -> None:
        system, flow, _ = learned("cart-pole", {"hidden": [7]})
        family, rng = make_family("mechanical", {"hidden": [7]}), np.random.default_rng(0)
        drawn = {
            key: value + 0.3 * rng.standard_normal(value.shape) for key, value in family.init(system.spec, rng).items()
        }
        field = family.build(replace(system.spec, velocities=False), drawn)
        x = flow.to_canonical(states(system, 10))
        assert isinstance(field, PortHamiltonian)
        np.testing.assert_allclose(field(x), flow.canonical(x), rtol=1e-14)

    @pytest.mark.parametrize("setting", ["length", "inertia", "energy", "floor", "sharpness"])
    def test_units_are_positive(self, setting: str) -> None:
        with pytest.raises(
            InvalidOptionError, match=f"setting '{setting}' .* must be a positive number, at most .*, not 0"
        ):
            make_family("mechanical", {setting: 0.0})
