"""The methods that step machines: those of Gauss without friction, the adaptive one with it, against physics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from physics import (
    NAMES,
    exact,
    inputs,
    march,
    phase_states,
    states,
    symplectic_form,
    undamped,
)
from scipy.integrate import DOP853

from hnn_envs.arrays import Array
from hnn_envs.dynamics import default_substeps, make_dynamics
from hnn_envs.errors import IntegrationError
from hnn_envs.hamiltonian import LagrangianFlow, Mechanical, PortHamiltonian
from hnn_envs.integrators import INTEGRATORS, dormand_prince, get_integrator
from hnn_envs.integrators.implicit import Gauss
from hnn_envs.systems import SYSTEMS, System

MACHINES = tuple(name for name in NAMES if isinstance(SYSTEMS[name].field, LagrangianFlow))


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> System:
    return SYSTEMS[request.param]


def gauss_march(field: PortHamiltonian, x: Array, h: float, steps: int) -> Array:
    """The state after many steps of the default method."""
    step = INTEGRATORS["gauss8"].step
    for _ in range(steps):
        x = step(field, x, None, h)
    return x


def longest(system: System) -> float:
    """The longest step of the default method without friction."""
    return system.spec.longest_step * INTEGRATORS["gauss8"].stride


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
        x = machine.field.to_canonical(machine.sample_states(rng, 200))
        field, apart, growth, h, each = undamped(machine), 1e-7, np.zeros(200), 0.025, 4
        offset = rng.standard_normal(x.shape)
        for block in range(60):
            neighbour = x + apart * offset / np.linalg.norm(offset, axis=-1, keepdims=True)
            x, neighbour = gauss_march(field, np.stack((x, neighbour)), h, each)
            offset = neighbour - x
            if block >= 20:
                growth += np.log(np.linalg.norm(offset, axis=-1) / apart) / (40 * h * each)
        assert 1 / growth.mean() == pytest.approx(machine.spec.time_scale, rel=0.15)
