"""Machines: mass matrices, friction, and the methods that step what no splitting can; physics against physics."""

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
    NAMES,
    PROPERTY,
    autograd,
    central_differences,
    exact,
    inputs,
    march,
    phase_states,
    states,
    symplectic_form,
    undamped,
)
from scipy.integrate import DOP853

from hnn_envs.arrays import Array, namespace, split
from hnn_envs.dynamics import default_substeps, make_dynamics
from hnn_envs.errors import IntegrationError, InvalidOptionError
from hnn_envs.hamiltonian import LagrangianFlow, Mechanical, PortHamiltonian, check_mass_matrix
from hnn_envs.hamiltonian.derivatives import along
from hnn_envs.hamiltonian.dissipation import Dissipation, Friction, check_dissipation
from hnn_envs.integrators import INTEGRATORS, dop853, dormand_prince, get_integrator
from hnn_envs.integrators.implicit import Gauss
from hnn_envs.systems import SYSTEMS, System
from hnn_envs.systems.cart_pole import CartPole

MACHINES = tuple(name for name in NAMES if isinstance(SYSTEMS[name].field, LagrangianFlow))
BOTH = Friction.of((0.0, 0.2), (1.0, 2.0), 3.0)
FRICTION = (Friction.of((0.3, 0.1)), Friction.of((0.0, 0.0), (0.16, 0.12)), BOTH)
Entries = tuple[tuple[float, float], tuple[float, float]]


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


def gauss_march(field: PortHamiltonian, x: Array, h: float, steps: int) -> Array:
    """The state after many steps of the default method."""
    step = INTEGRATORS["gauss8"].step
    for _ in range(steps):
        x = step(field, x, None, h)
    return x


def flow_of(system: System) -> LagrangianFlow:
    """The flow of a machine in [q, q']."""
    assert isinstance(system.field, LagrangianFlow)
    return system.field


def longest(system: System) -> float:
    """The longest step of the default method without friction."""
    return system.spec.longest_step * INTEGRATORS["gauss8"].stride


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


class TestGauss:
    @pytest.mark.parametrize("stages", [1, 2, 3, 4, 6])
    def test_its_coefficients_are_symplectic_symmetric_and_of_order_two_s(self, stages: int) -> None:
        """b_i a_ij + b_j a_ji = b_i b_j; a_ij + a_(s-i)(s-j) = b_j; Butcher's conditions B(2 s) and C(s).

        With the first, B and C are sufficient for the order 2 s (Hairer, Lubich, Wanner, sections II.1.2 and VI.7.2).
        """
        method = Gauss(stages)
        a, b, c = method.matrix, method.weights, method.nodes
        np.testing.assert_allclose(b[:, None] * a + (b[:, None] * a).T, np.outer(b, b), rtol=0, atol=6e-17)
        np.testing.assert_allclose(a + a[::-1, ::-1], np.broadcast_to(b, a.shape), rtol=0, atol=4e-16)
        for degree in range(2 * stages):
            assert (b * c**degree).sum() == pytest.approx(1 / (degree + 1), abs=4e-16)
        for power in range(1, stages + 1):
            np.testing.assert_allclose(a @ c ** (power - 1), c**power / power, rtol=0, atol=4e-16)

    def test_rounding_moves_the_energy_without_a_sign(self) -> None:
        """A mean over starts that would show 1e-17 a step; quadratic energies are kept but for rounding (IV.2.1)."""
        system = SYSTEMS["mass-spring"]
        x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        later = gauss_march(system.field, x, 0.1, 1000)
        change = system.value(later) / system.value(x) - 1
        assert abs(change.mean()) < 4e-15
        assert change.std() < 1e-14

    @pytest.mark.parametrize(("method", "steps"), [("gauss4", 8), ("gauss6", 2), ("gauss8", 1)])
    def test_halving_the_step_divides_the_error_by_two_to_the_order(self, method: str, steps: int) -> None:
        """On the mass on a spring, over a quarter of a period."""
        system = SYSTEMS["mass-spring"]
        x, time = states(system, 4), math.pi / 4
        truth = exact(system.field, x, time)
        coarse, fine = (
            np.linalg.norm(march(method, system.field, x, time / n, n)[-1] - truth) for n in (steps, 2 * steps)
        )
        assert math.log2(coarse / fine) == pytest.approx(INTEGRATORS[method].order, abs=0.2)

    @pytest.mark.parametrize("stages", [1, 2, 3, 4])
    def test_the_stages_solve_their_equation_with_friction_and_inputs(self, machine: System, stages: int) -> None:
        method, x, u, h = Gauss(stages), states(machine, 10), inputs(machine, 10), 0.004
        moves, settled = method.solve(machine.field, x, u, h)
        assert settled.all()
        points = x[:, None, :] + np.einsum("ij,njk->nik", method.matrix, moves)
        np.testing.assert_allclose(moves, h * machine.field(points, u[:, None, :]), rtol=0, atol=2e-15)

    def test_newton_solves_what_the_fixed_point_does_not(self) -> None:
        """The mass on a spring in steps so long that the iteration diverges is still turned by the Pade approximant."""
        field, x = SYSTEMS["mass-spring"].field, np.array([1.0, 0.3])
        turn = np.array([[0.0, 2.0], [-2.0, 0.0]])
        for h in (1.5, 3.0):
            expected = np.linalg.solve(np.eye(2) - h / 2 * turn, (np.eye(2) + h / 2 * turn) @ x)
            np.testing.assert_allclose(Gauss(1)(field, x, None, h), expected, atol=1e-12)

    def test_an_equation_without_a_solution_gives_nan_and_leaves_the_others_alone(self) -> None:
        """x' = x^2: z = h (x + z / 2)^2 has real solutions where 2 h x <= 1 only."""
        x = np.array([[0.3, 0.1], [2.0, 0.1], [0.2, 0.4]])
        with np.errstate(all="ignore"):
            y = Gauss(1)(lambda x, u=None: x * x, x, None, 1.0)
        assert np.isnan(y[1]).all()
        np.testing.assert_array_equal(y[[0, 2]], Gauss(1)(lambda x, u=None: x * x, x[[0, 2]], None, 1.0))
        assert np.isfinite(y[[0, 2]]).all()

    @pytest.mark.parametrize("x", [3.0, 0.2, -2.0])
    def test_what_newton_throws_far_out_is_no_solution(self, x: float) -> None:
        """Z = 2 (x + z / 2) + 1 has none, and by rounding Newton's matrix of it is nearly singular only."""
        with np.errstate(all="ignore"):
            y = Gauss(1)(lambda x, u=None: 2 * x + 1, np.array([x, x]), None, 1.0)
        assert np.isnan(y).all()

    def test_a_singular_equation_gives_nan_and_leaves_the_others_alone(self) -> None:
        """From x = 1 the fixed point goes in a circle, and Newton starts at 0 with 1 - h / 2 f' = 0 to the last bit."""

        def field(x: Array, u: Array | None = None) -> Array:
            return np.where(abs(x) < 0.5, 2 * x, np.where(x < 2.0, -2 * x, 0.1))

        x = np.array([[1.0, 1.0], [3.0, 4.0]])
        with np.errstate(all="ignore"):
            y = Gauss(1)(field, x, None, 1.0)
        np.testing.assert_array_equal(y[1], Gauss(1)(field, x[1], None, 1.0))
        assert np.isnan(y[0]).all()

    def test_asked_for_it_it_says_which_state_which_step_and_how_far(self) -> None:
        x = np.array([[0.3, 0.1], [2.0, 0.1]])
        message = r"h = 1 does not converge from the state \[2\.0, 0\.1\].*off by \d"
        with np.errstate(all="ignore"), pytest.raises(IntegrationError, match=message):
            Gauss(1).checked(lambda x, u=None: x * x, x, None, 1.0)
        y = Gauss(2).checked(SYSTEMS["pendulum"].field, x, None, 0.1)
        np.testing.assert_array_equal(y, Gauss(2)(SYSTEMS["pendulum"].field, x, None, 0.1))


def test_the_coefficients_of_dormand_and_prince_are_those_of_scipy() -> None:
    size = DOP853.n_stages
    for own, there in (
        (dormand_prince.MATRIX, DOP853.A[:size, :size]),
        (dormand_prince.WEIGHTS, DOP853.B),
        (dormand_prince.FIFTH, DOP853.E5),
        (dormand_prince.THIRD, DOP853.E3),
    ):
        np.testing.assert_array_equal(own, there)


class TestDefaultMethod:
    def test_machines_have_gauss_and_with_friction_dormand_and_prince(self, machine: System) -> None:
        assert get_integrator(None, undamped(machine)).name == "gauss8"
        assert make_dynamics(machine).integrator.name == "dormand_prince8"

    @pytest.mark.parametrize("dt", [0.02, 0.05])
    def test_a_step_agrees_with_dop853_to_1e_9_anywhere(self, machine: System, dt: float) -> None:
        """Fast and slow, at rest, under full torque and under less than friction holds."""
        assert isinstance(machine, Mechanical)
        rng = np.random.default_rng(5)
        shape = (48, machine.spec.dof)
        q, v = rng.uniform(-np.pi, np.pi, shape), rng.uniform(-10, 10, shape)
        v[::3] *= 0.01
        v[1::8] = 0.0
        x = np.concatenate((q, v), axis=-1)
        u = rng.uniform(-6, 6, (48, machine.spec.force_matrix.shape[-1]))
        u[::4] *= 0.02
        y = make_dynamics(machine, dt=dt).step(x, u)
        np.testing.assert_allclose(y, exact(machine.field, x, dt, u), rtol=0, atol=1e-9)

    def test_so_does_gauss_without_friction(self, machine: System) -> None:
        x, u, dt = phase_states(machine, 40), inputs(machine, 40), 0.05
        count = default_substeps(machine.spec, dt, INTEGRATORS["gauss8"], learned=False)
        y = x
        for _ in range(count):
            y = INTEGRATORS["gauss8"].step(undamped(machine), y, u, dt / count)
        np.testing.assert_allclose(y, exact(undamped(machine), x, dt, u), rtol=0, atol=1e-9)

    def test_dormand_and_prince_agree_with_gauss_where_friction_turns_around(self) -> None:
        """Two methods that share nothing: Gauss in steps of 20 microseconds through both sign changes."""
        machine = SYSTEMS["double-pendulum"]
        assert isinstance(machine, Mechanical)
        q = np.array([[1.0, 0.5], [-0.4, 2.0]])
        x = np.concatenate((q, [[0.2, -0.1], [-0.1, 0.3]]), axis=-1)
        y = x
        for _ in range(1000):
            y = INTEGRATORS["gauss8"].step(machine.field, y, None, 2e-5)
        assert (np.sign(x[:, 2:]) != np.sign(y[:, 2:])).any(0).all()
        np.testing.assert_allclose(INTEGRATORS["dormand_prince8"].step(machine.field, x, None, 0.02), y, atol=1e-10)

    def test_a_state_that_cannot_be_stepped_comes_back_as_nan_without_touching_the_others(self) -> None:
        step = INTEGRATORS["dormand_prince8"].step
        x = np.array([[0.5, 0.1], [1.0, 1.0], [math.nan, 0.0]])
        with np.errstate(all="ignore"):
            y = step(lambda x, u=None: x * x, x, None, 1.5)
        assert np.isnan(y[1:]).all()
        np.testing.assert_allclose(y[0], x[0] / (1 - 1.5 * x[0]), rtol=1e-10)

    def test_energy_falls_without_input(self, machine: System) -> None:
        dynamics = make_dynamics(machine, dt=0.05)
        x = states(machine, 16)
        for _ in range(20):
            x, before = dynamics.step(x), machine.value(x)
            assert (machine.value(x) <= before + 1e-10).all()


def regular(system: System) -> Array:
    """Coordinates and momenta of regular motion: anywhere where there is no chaos, else slow and near rest at 0."""
    return (0.05 if system.spec.chaotic else 1.0) * phase_states(system, 1)[0]


class TestWithoutFriction:
    def test_the_step_is_symplectic_to_1e_9(self, machine: System) -> None:
        form = symplectic_form(machine.spec.dof)
        x, u = torch.tensor(phase_states(machine, 1)[0]), torch.tensor(inputs(machine, 1)[0])
        jacobian = torch.autograd.functional.jacobian(
            lambda y: INTEGRATORS["gauss8"].step(undamped(machine), y, u, longest(machine)), x
        ).numpy()
        np.testing.assert_allclose(jacobian.T @ form @ jacobian, form, atol=1e-11)

    def test_reversed_it_comes_back(self, machine: System) -> None:
        x, h, field = regular(machine), longest(machine), undamped(machine)
        mirror = np.repeat([1.0, -1.0], machine.spec.dof)
        back = mirror * gauss_march(field, mirror * gauss_march(field, x, h, 300), h, 300)
        np.testing.assert_allclose(back, x, atol=1e-9)

    def test_energy_has_no_trend(self, machine: System) -> None:
        """The errors of 400 steps stay at the size that rounding alone gives."""
        x, h, field = phase_states(machine, 4), longest(machine), undamped(machine)
        start = field.hamiltonian.value(x)
        for _ in range(4):
            x = gauss_march(field, x, h, 100)
            np.testing.assert_allclose(field.hamiltonian.value(x), start, rtol=1e-9)

    def test_a_level_track_keeps_the_momentum(self) -> None:
        machine = SYSTEMS["cart-pole"]
        x = phase_states(machine, 5)
        later = gauss_march(undamped(machine), x, 0.02, 50)
        np.testing.assert_allclose(later[:, 2], x[:, 2], atol=1e-13)

    def test_two_double_pendulums_separate_in_the_lyapunov_time(self) -> None:
        """Benettin's method, as in the note beside the number, with fewer states for a shorter time."""
        machine = SYSTEMS["double-pendulum"]
        rng = np.random.default_rng(9)
        x = flow_of(machine).to_canonical(machine.sample_states(rng, 200))
        field, apart, growth, h, each = undamped(machine), 1e-7, np.zeros(200), 0.025, 4
        offset = rng.standard_normal(x.shape)
        for block in range(60):
            neighbour = x + apart * offset / np.linalg.norm(offset, axis=-1, keepdims=True)
            x, neighbour = gauss_march(field, np.stack((x, neighbour)), h, each)
            offset = neighbour - x
            if block >= 20:
                growth += np.log(np.linalg.norm(offset, axis=-1) / apart) / (40 * h * each)
        assert 1 / growth.mean() == pytest.approx(machine.spec.time_scale, rel=0.15)
