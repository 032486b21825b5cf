"""Machines: mass matrices, and their flow in the variables that people measure; physics against physics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from physics import (
    NAMES,
    autograd,
    central_differences,
    inputs,
    states,
    undamped,
)

from hnn_envs.arrays import Array, split
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import LagrangianFlow, Mechanical, check_mass_matrix
from hnn_envs.hamiltonian.derivatives import along
from hnn_envs.integrators import INTEGRATORS, dop853
from hnn_envs.systems import SYSTEMS, System
from hnn_envs.systems.cart_pole import CartPole

MACHINES = tuple(name for name in NAMES if isinstance(SYSTEMS[name].field, LagrangianFlow))
Entries = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Matrix(Mechanical):
    """A machine whose mass matrix is given, the same at every q but for a factor of the first coordinate."""

    entries: Entries
    slope: float = 0.0

    def mass_matrix(self, q: Array) -> Array:
        return np.asarray(self.entries) * (1 + self.slope * q[..., :1, None])

    def potential(self, q: Array) -> Array:
        return 0.5 * (q * q).sum(-1)


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> System:
    return SYSTEMS[request.param]


def flow_of(system: System) -> LagrangianFlow:
    """The flow of a machine in [q, q']."""
    assert isinstance(system.field, LagrangianFlow)
    return system.field


class TestMechanical:
    def test_the_force_is_the_derivative_of_the_lagrangian(self, machine: System) -> None:
        assert isinstance(machine, Mechanical)
        q, v = split(states(machine, 20))

        def lagrangian(q: Array) -> Array:
            held = np.broadcast_to(v[:, None, :], q.shape)
            return 0.5 * (held * machine.momentum(q, held)).sum(-1) - machine.potential(q)

        np.testing.assert_allclose(machine.force(q, v), central_differences(lagrangian, q), rtol=1e-7, atol=1e-7)

    def test_momentum_and_velocity_are_inverse(self, machine: System) -> None:
        assert isinstance(machine, Mechanical)
        q, v = split(states(machine, 20))
        p = machine.momentum(q, v)
        np.testing.assert_allclose(machine.velocity(q, p), v, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(p, split(machine.gradient(states(machine, 20)))[1], rtol=1e-14)

    def test_both_energies_are_one(self, machine: System) -> None:
        """T + V of [q, q'] is H of [q, p], whose gradient is that of its value."""
        x = states(machine, 20)
        flow = undamped(machine)
        phase = flow_of(machine).to_canonical(x)
        np.testing.assert_allclose(flow.hamiltonian.value(phase), machine.value(x), rtol=1e-13)
        gradient = flow.hamiltonian.gradient(phase)
        np.testing.assert_allclose(gradient, autograd(flow.hamiltonian.value, phase), rtol=1e-11, atol=1e-11)

    @pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
    def test_formulas_make_matrices_of_any_leading_shape(self, machine: System, shape: tuple[int, ...]) -> None:
        assert isinstance(machine, Mechanical)
        dof = machine.spec.dof
        q = np.random.default_rng(1).uniform(-3, 3, (*shape, dof))
        matrices, there = machine.mass_matrix(q), machine.mass_matrix(torch.tensor(q)).numpy()
        assert matrices.shape == (*shape, dof, dof)
        assert machine.potential(q).shape == shape
        np.testing.assert_array_equal(matrices, np.swapaxes(matrices, -2, -1))
        np.testing.assert_allclose(there, matrices, rtol=1e-14)

    def test_second_derivatives_by_torch_pass_through_the_derived_gradient(self, machine: System) -> None:
        """The Hessian is symmetric, which the derivative of a true gradient is."""
        x = torch.tensor(states(machine, 1)[0])
        hessian = torch.autograd.functional.jacobian(machine.gradient, x).numpy()
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-11)
        np.testing.assert_allclose(hessian, central_differences_of_vectors(machine, x.numpy()), atol=1e-6)

    def test_the_registered_mass_matrices_pass_their_check(self, machine: System) -> None:
        assert isinstance(machine, Mechanical)
        check_mass_matrix(machine, states(machine, 2000))

    @pytest.mark.parametrize(
        ("entries", "problem"),
        [
            (((1.0, 0.5), (0.4, 1.0)), "is not symmetric at q = "),
            (((1.0, 2.0), (2.0, 1.0)), "must be positive definite, and at q = .* eigenvalue is"),
            (((1.0, 1.0), (1.0, 1.0)), "must be positive definite"),
            (((math.nan, 0.0), (0.0, 1.0)), "is not finite at q = "),
        ],
    )
    def test_another_matrix_is_refused(self, entries: Entries, problem: str) -> None:
        with pytest.raises(InvalidOptionError, match=problem):
            check_mass_matrix(Matrix(entries), np.zeros((3, 4)))

    def test_where_it_is_not_positive_definite_there_is_no_velocity_and_the_other_states_have_theirs(self) -> None:
        """For any machine, not for learned ones alone: a wrong step is never silent."""
        machine, q, p = (
            Matrix(((1.0, 0.0), (0.0, 1.0)), slope=1.0),
            np.array([[0.0, 0.0], [-2.0, 0.0]]),
            np.ones((2, 2)),
        )
        found = machine.velocity(q, p)
        np.testing.assert_array_equal(found[0], [1.0, 1.0])
        assert np.isnan(found[1]).all()

    def test_the_message_says_where(self) -> None:
        x = np.zeros((5, 4))
        x[3, 0] = -2.0
        with pytest.raises(InvalidOptionError, match=r"at q = \[-2\.0, 0\.0\]"):
            check_mass_matrix(Matrix(((1.0, 0.0), (0.0, 1.0)), slope=1.0), x)


def central_differences_of_vectors(system: System, x: Array) -> Array:
    """The Hessian by differences of the gradient."""
    shifts = 1e-5 * np.eye(len(x))
    return (system.gradient(x + shifts) - system.gradient(x - shifts)) / 2e-5


class TestLagrangianFlow:
    def test_it_is_the_canonical_flow_in_other_variables(self, machine: System) -> None:
        """D/dt of [q, M(q) q'] along the one is the other."""
        flow, x, u = flow_of(machine), states(machine, 20), inputs(machine, 20)
        moved = along(flow.to_canonical, x, flow(x, u))
        np.testing.assert_allclose(moved, flow.canonical(flow.to_canonical(x), u), rtol=1e-10, atol=1e-12)

    def test_it_is_the_equation_of_motion_of_the_textbooks(self) -> None:
        """Both equations of the cart-pole, as they are derived by hand from forces, with friction and input."""
        machine = SYSTEMS["cart-pole"]
        assert isinstance(machine, CartPole)
        x, u = states(machine, 20), inputs(machine, 20)
        (_, angle, speed, turn), (_, _, pull, spin) = x.T, machine.field(x, u).T
        lever, total = machine.pole_mass * machine.half_length, machine.cart_mass + machine.pole_mass
        along_track = total * pull + lever * (spin * np.cos(angle) - turn**2 * np.sin(angle))
        about_hinge = 4 / 3 * lever * machine.half_length * spin + lever * pull * np.cos(angle)
        about_hinge += lever * machine.gravity * np.sin(angle)
        np.testing.assert_allclose(along_track, u[:, 0] - machine.cart_friction * speed, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(about_hinge, -machine.hinge_friction * turn, rtol=1e-9, atol=1e-14)

    def test_there_and_back_is_the_same_state(self, machine: System) -> None:
        flow, x = flow_of(machine), states(machine, 50)
        np.testing.assert_allclose(flow.from_canonical(flow.to_canonical(x)), x, rtol=1e-12, atol=1e-13)

    def test_energy_changes_by_the_power_of_inputs_and_friction(self, machine: System) -> None:
        """D/dt of T + V is v . (G u) - v . dF/dv."""
        x, u = states(machine, 30), inputs(machine, 30)
        v, canonical = split(x)[1], flow_of(machine).canonical
        assert canonical.dissipation is not None
        power = (v * canonical.input_force(u)).sum(-1) + (v * canonical.dissipation.force(v)).sum(-1)
        change = (machine.gradient(x) * machine.field(x, u)).sum(-1)
        np.testing.assert_allclose(change, power, rtol=1e-10, atol=1e-11)

    def test_tensors_give_what_arrays_give(self, machine: System) -> None:
        flow, x, u = flow_of(machine), states(machine, 20), inputs(machine, 20)
        there, held = torch.tensor(x), torch.tensor(u)
        for function in (flow.to_canonical, flow.from_canonical, flow.hamiltonian.gradient):
            np.testing.assert_allclose(function(there).numpy(), function(x), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(flow(there, held).numpy(), flow(x, u), rtol=1e-12, atol=1e-12)

    def test_gradients_by_torch_pass_through_it(self, machine: System) -> None:
        flow = flow_of(machine)
        x = torch.tensor(states(machine, 1)[0], requires_grad=True)
        u = torch.tensor(inputs(machine, 1)[0], requires_grad=True)
        assert torch.autograd.gradcheck(flow, (x, u))

    @pytest.mark.parametrize("method", ["gauss8", "dormand_prince8"])
    def test_a_method_steps_the_canonical_flow_and_returns_velocities(self, machine: System, method: str) -> None:
        """Beside DOP853 of the right-hand side in [q, q'], which knows no momenta."""
        flow, x, u, h = flow_of(machine), states(machine, 6), inputs(machine, 6), 0.002
        y = INTEGRATORS[method].step(flow, x, u, h)
        there = INTEGRATORS[method].method(flow.canonical, flow.to_canonical(x), u, h)
        np.testing.assert_array_equal(y, flow.from_canonical(there))
        np.testing.assert_allclose(y, dop853(flow, x, u, h), atol=1e-9)
