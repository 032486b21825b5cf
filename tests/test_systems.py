"""The systems: their gradients and fields, what they conserve, known solutions, samplers and time scales."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from physics import (
    N_BODY,
    NAMES,
    PROPERTY,
    SEPARABLE,
    autograd,
    central_differences,
    exact,
    from_phase_space,
    in_phase_space,
    inputs,
    march,
    states,
    symplectic_form,
    undamped,
)
from scipy.special import ellipk
from scipy.stats import kstest

from hnn_envs.errors import UnknownNameError
from hnn_envs.hamiltonian import Hamiltonian, PortHamiltonian, Separable
from hnn_envs.systems import SYSTEMS, System, get_system
from hnn_envs.systems.n_body import NBody
from hnn_envs.systems.sampling import on_circles
from hnn_envs.systems.three_body import near_circular_triangles
from hnn_envs.systems.two_body import near_circular_pairs

PENDULUMS = ("pendulum", "real-pendulum")


@pytest.fixture(params=NAMES)
def system(request: pytest.FixtureRequest) -> System:
    return SYSTEMS[request.param]


@pytest.fixture(params=N_BODY)
def bodies(request: pytest.FixtureRequest) -> NBody:
    system = SYSTEMS[request.param]
    assert isinstance(system, NBody)
    return system


class TestRegistry:
    def test_a_system_is_found_by_its_name(self, system: System) -> None:
        assert get_system(system.spec.name) is system

    def test_an_unknown_name_is_named_beside_the_known_ones(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown system 'spring'.*mass-spring.*two-body"):
            get_system("spring")

    def test_a_system_pickles_and_copies(self, system: System) -> None:
        assert pickle.loads(pickle.dumps(system)) == system  # noqa: S301 - our own bytes
        assert copy.deepcopy(system) == system

    def test_a_system_is_a_hamiltonian_with_as_many_angle_marks_as_coordinates(self, system: System) -> None:
        assert isinstance(system, Hamiltonian)
        assert len(system.spec.angles) == system.spec.dof
        assert system.spec.longest_step > 0


class TestHamiltonian:
    def test_the_gradient_is_that_of_the_value(self, system: System) -> None:
        x = states(system, 50)
        np.testing.assert_allclose(system.gradient(x), autograd(system.value, x), rtol=1e-12, atol=1e-12)

    def test_the_gradient_agrees_with_central_differences(self, system: System) -> None:
        x = states(system, 50)
        # error h^2 |H'''| / 6 + eps |H| / h with h = 1e-5: 1e-9 at the distances that the samplers draw
        np.testing.assert_allclose(system.gradient(x), central_differences(system.value, x), rtol=1e-8, atol=1e-8)

    @pytest.mark.parametrize("system", SEPARABLE, indirect=True)
    def test_kinetic_and_potential_energy_make_up_the_value(self, system: System) -> None:
        assert isinstance(system, Separable)
        x = states(system, 10)
        q, p = x[:, : system.spec.dof], x[:, system.spec.dof :]
        np.testing.assert_allclose(system.kinetic(p) + system.potential(q), system.value(x), rtol=1e-15)

    @PROPERTY
    @given(name=st.sampled_from(NAMES), shape=array_shapes(min_dims=0, max_dims=3, max_side=4))
    def test_any_leading_axes_broadcast(self, name: str, shape: tuple[int, ...]) -> None:
        system = SYSTEMS[name]
        count = math.prod(shape)
        flat, u = states(system, count), inputs(system, count)
        x, held = flat.reshape(*shape, -1), u.reshape(*shape, -1)
        assert system.value(x).shape == shape
        assert system.gradient(x).shape == x.shape
        np.testing.assert_allclose(system.gradient(x).reshape(flat.shape), system.gradient(flat), rtol=1e-14)
        np.testing.assert_allclose(system.field(x, held).reshape(flat.shape), system.field(flat, u), rtol=1e-13)
        one_by_one = [float(system.value(state)) for state in flat]
        np.testing.assert_allclose(system.value(x).ravel(), one_by_one, rtol=1e-14)
        for invariant in system.invariants(x).values():
            assert invariant.shape[: len(shape)] == shape

    def test_numpy_and_torch_agree(self, system: System) -> None:
        x, u = states(system, 20), inputs(system, 20)
        there, held = torch.tensor(x), torch.tensor(u)
        np.testing.assert_allclose(system.value(there).numpy(), system.value(x), rtol=1e-13)
        np.testing.assert_allclose(system.field(there, held).numpy(), system.field(x, u), rtol=1e-13)
        for name, value in system.invariants(x).items():
            np.testing.assert_allclose(system.invariants(there)[name].numpy(), value, rtol=1e-13, atol=1e-14)

    @pytest.mark.parametrize("turns", [-3, 1, 100])
    def test_a_full_turn_of_an_angle_changes_nothing(self, system: System, turns: int) -> None:
        x = states(system, 20)
        turned = x + 2 * math.pi * turns * np.array([*system.spec.angles, *[False] * system.spec.dof])
        # q + 2 pi k is rounded to eps |q|, here 100 * 2 pi * 2e-16 = 1e-13
        np.testing.assert_allclose(system.value(turned), system.value(x), atol=1e-12)
        np.testing.assert_allclose(system.field(turned), system.field(x), atol=1e-12)

    def test_the_hamiltonians_are_the_seed_papers(self) -> None:
        q, p = np.linspace(-2, 2, 9), np.linspace(-1, 3, 9)
        x = np.stack((q, p), axis=-1)
        np.testing.assert_allclose(SYSTEMS["mass-spring"].value(x), q**2 + p**2, rtol=1e-15)
        np.testing.assert_allclose(SYSTEMS["pendulum"].value(x), 3 * (1 - np.cos(q)) + p**2, rtol=1e-14)
        far_apart = np.array([3.0, 4.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0])
        assert SYSTEMS["two-body"].value(far_apart) == pytest.approx((1 + 4 + 9 + 16) / 2 - 1 / 5)
        triangle = np.array([0.0, 0.0, 3.0, 0.0, 0.0, 4.0, *np.zeros(6)])
        assert SYSTEMS["three-body"].value(triangle) == pytest.approx(-1 / 3 - 1 / 4 - 1 / 5)


class TestField:
    @pytest.mark.parametrize("system", SEPARABLE, indirect=True)
    def test_it_is_the_port_hamiltonian_formula(self, system: System) -> None:
        """x' = (J - R) grad H + G u, with R = gamma m on the momenta, written with matrices."""
        x, u, dof = states(system, 30), inputs(system, 30), system.spec.dof
        assert isinstance(system, Separable)
        dissipation = np.zeros((2 * dof, 2 * dof))
        dissipation[dof:, dof:] = np.eye(dof) * (system.field.damping or 0.0) / system.inverse_mass
        ports = np.concatenate((np.zeros_like(system.field.input_matrix), system.field.input_matrix))
        expected = system.gradient(x) @ (symplectic_form(dof) - dissipation).T + u @ ports.T
        np.testing.assert_allclose(system.field(x, u), expected, rtol=1e-13, atol=1e-14)

    def test_zero_input_is_the_free_system(self, system: System) -> None:
        x, u = states(system, 10), inputs(system, 10)
        np.testing.assert_array_equal(system.field(x, 0 * u), system.field(x))

    def test_one_input_serves_a_whole_batch(self, system: System) -> None:
        x, u = states(system, 10), inputs(system, 1)
        np.testing.assert_array_equal(system.field(x, u[0]), system.field(x, np.repeat(u, 10, axis=0)))

    @pytest.mark.parametrize("system", SEPARABLE, indirect=True)
    def test_energy_changes_by_the_inputs_power_less_the_damping(self, system: System) -> None:
        """dH/dt = (G u) . q' - gamma p^2 / m."""
        x, u, dof = states(system, 30), inputs(system, 30), system.spec.dof
        rate = system.field(x, u)
        velocity, momentum = rate[:, :dof], x[:, dof:]
        power = (system.field.input_force(u) * velocity).sum(-1)
        loss = (system.field.damping or 0.0) * (momentum * velocity).sum(-1)
        np.testing.assert_allclose((system.gradient(x) * rate).sum(-1), power - loss, rtol=1e-12, atol=1e-13)

    def test_inputs_act_in_independent_directions_of_unit_size(self, system: System) -> None:
        columns = system.field.input_matrix
        np.testing.assert_allclose(columns.T @ columns, np.eye(columns.shape[-1]), atol=1e-15)


class TestInvariants:
    def test_they_are_constant_along_the_free_undamped_flow(self, system: System) -> None:
        x = states(system, 3)
        periods = 1 if system.spec.name == "two-body" else 2
        later = exact(undamped(system), in_phase_space(system, x), periods * system.spec.time_scale)
        later = from_phase_space(system, later)
        for name, value in system.invariants(x).items():
            # DOP853 makes 1e-12 per step in the state; the energy's slope near the other bodies is of order ten
            np.testing.assert_allclose(system.invariants(later)[name], value, rtol=1e-9, atol=1e-9, err_msg=name)

    def test_every_system_states_its_energy(self, system: System) -> None:
        x = states(system, 5)
        np.testing.assert_array_equal(system.invariants(x)["energy"], system.value(x))

    def test_n_bodies_state_both_momenta(self, bodies: NBody) -> None:
        x = states(bodies, 5)
        q, p = (half.reshape(5, bodies.bodies, 2) for half in np.split(x, 2, axis=-1))
        invariants = bodies.invariants(x)
        np.testing.assert_allclose(invariants["momentum"], p.sum(1), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(invariants["angular_momentum"], np.linalg.det(np.stack((q, p), -2)).sum(-1), 1e-13)

    def test_the_real_pendulum_loses_energy_at_the_rate_of_its_damping(self) -> None:
        """H(0) - H(T) = integral of gamma p^2 / m, by Simpson's rule on a fine grid."""
        from scipy.integrate import simpson

        system = SYSTEMS["real-pendulum"]
        h, steps = 0.01, 1000
        path = march("pefrl", system.field, states(system, 4), h, steps)
        velocity = system.field(path)[..., 0]
        lost = simpson(system.field.damping * path[..., 1] * velocity, dx=h, axis=0)
        np.testing.assert_allclose(system.value(path[0]) - system.value(path[-1]), lost, rtol=1e-7)
        assert (np.diff(system.value(path), axis=0) <= 0).all()


class TestBodies:
    def test_internal_thrusts_leave_the_total_momentum_alone(self, bodies: NBody) -> None:
        x, u = states(bodies, 4), inputs(bodies, 4)
        pushed = exact(bodies.field, x, 1.0, u)
        np.testing.assert_allclose(bodies.momentum(pushed), bodies.momentum(x), atol=1e-11)

    def test_internal_thrusts_leave_the_centre_of_mass_on_its_line(self, bodies: NBody) -> None:
        x, u = states(bodies, 4), inputs(bodies, 4)
        drifted = bodies.centre_of_mass(x) + 1.5 * bodies.momentum(x) / bodies.bodies
        np.testing.assert_allclose(bodies.centre_of_mass(exact(bodies.field, x, 1.5, u)), drifted, atol=1e-11)

    def test_internal_thrusts_reach_every_relative_motion(self, bodies: NBody) -> None:
        assert np.linalg.matrix_rank(bodies.field.input_matrix) == 2 * (bodies.bodies - 1)

    def test_the_closest_distance_is_that_of_the_closest_pair(self, bodies: NBody) -> None:
        x = states(bodies, 10)
        q = x[:, : bodies.spec.dof].reshape(10, bodies.bodies, 2)
        apart = np.linalg.norm(q[:, :, None] - q[:, None], axis=-1) + 1e9 * np.eye(bodies.bodies)
        np.testing.assert_allclose(bodies.closest_distance(x), apart.min((1, 2)), rtol=1e-14)


class TestKnownSolutions:
    def test_a_mass_on_a_spring_runs_on_a_circle(self) -> None:
        system = SYSTEMS["mass-spring"]
        x = states(system, 10)
        for time in (0.3, 2.0, math.pi):
            c, s = math.cos(2 * time), math.sin(2 * time)
            np.testing.assert_allclose(exact(system.field, x, time), x @ np.array([[c, -s], [s, c]]), atol=1e-10)

    def test_a_constant_force_moves_the_centre_of_the_circle(self) -> None:
        """q' = 2 p, p' = -2 q + u is a circle about (u/2, 0); half a period later the mass is opposite."""
        system = SYSTEMS["mass-spring"]
        x = exact(system.field, np.array([0.1, 0.2]), math.pi / 2, np.array([0.6]))
        np.testing.assert_allclose(x, [2 * 0.3 - 0.1, -0.2], atol=1e-10)

    @pytest.mark.parametrize("name", PENDULUMS)
    @pytest.mark.parametrize("amplitude", [0.01, 0.5, 1.5, 3.0])
    def test_a_pendulum_has_the_period_of_the_elliptic_integral(self, name: str, amplitude: float) -> None:
        """T = (2 / pi) K(sin^2(A / 2)) T_0; a quarter of it after rest at the amplitude A the angle is zero."""
        system = SYSTEMS[name]
        quarter = system.spec.time_scale * ellipk(math.sin(amplitude / 2) ** 2) / (2 * math.pi)
        hanging = exact(undamped(system), np.array([amplitude, 0.0]), quarter)
        assert hanging[0] == pytest.approx(0.0, abs=1e-10)
        assert hanging[1] < 0

    @pytest.mark.parametrize("name", PENDULUMS)
    def test_a_pendulums_time_scale_is_its_period_at_small_amplitude(self, name: str) -> None:
        """T = T_0 (1 + A^2 / 16 + ...), so at A = 1e-3 the phase is off by 4e-7."""
        start = np.array([1e-3, 0.0])
        back = exact(undamped(SYSTEMS[name]), start, SYSTEMS[name].spec.time_scale)
        np.testing.assert_allclose(back, start, atol=1e-3 * 1e-6)

    def test_the_real_pendulum_loses_amplitude_as_its_fit_says(self) -> None:
        """The energy decays as exp(-gamma t) while the swing is small, where <p^2 / m> is half the energy times two."""
        system = SYSTEMS["real-pendulum"]
        start = np.array([0.01, 0.0])
        periods = 10
        later = exact(system.field, start, periods * system.spec.time_scale)
        lost = -math.log(system.value(later) / system.value(start))
        # the virial average is exact over whole periods but for gamma / omega = 0.01 and the amplitude squared
        assert lost == pytest.approx(0.012128 * periods * system.spec.time_scale, rel=0.02)

    @pytest.mark.parametrize("speed", [1.0, 0.8, 1.2])
    def test_two_bodies_return_after_keplers_period(self, speed: float) -> None:
        """From an apsis at separation 2 with relative speed v: 1/a = 2/r - v^2/2 and T = 2 pi sqrt(a^3 / 2)."""
        system = SYSTEMS["two-body"]
        start = np.array([1.0, 0.0, -1.0, 0.0, 0.0, speed / 2, 0.0, -speed / 2])
        axis = 1 / (2 / 2 - speed**2 / 2)
        period = 2 * math.pi * math.sqrt(axis**3 / 2)
        np.testing.assert_allclose(exact(system.field, start, period), start, atol=1e-8)
        if speed == 1.0:
            assert period == pytest.approx(system.spec.time_scale, rel=1e-15)

    @pytest.mark.parametrize("name", N_BODY)
    def test_unperturbed_samples_are_in_circular_motion(self, name: str) -> None:
        """Distances from the centre and between bodies, and all speeds, stay what they were."""
        sampler = {"two-body": near_circular_pairs, "three-body": near_circular_triangles}[name]
        system = SYSTEMS[name]
        start = sampler(np.random.default_rng(0), 4, 0.0)
        later = exact(system.field, start, 3.0)
        radii = [np.linalg.norm(x.reshape(4, -1, 2), axis=-1) for x in (start, later)]
        # the triangle is unstable: 1e-12 grows by at most exp(0.74 * 3) = 9 for the smallest radius
        np.testing.assert_allclose(radii[1], radii[0], rtol=1e-9)

    def test_lagranges_triangle_comes_back_after_its_period(self) -> None:
        """All three at distance r from the centre circle with omega^2 = 1 / (sqrt(3) r^3)."""
        start = near_circular_triangles(np.random.default_rng(1), 1, 0.0)[0]
        period = 2 * math.pi * math.sqrt(math.sqrt(3) * np.hypot(*start[:2]) ** 3)
        np.testing.assert_allclose(exact(SYSTEMS["three-body"].field, start, period), start, atol=1e-8)

    def test_a_nearly_circular_pair_stays_between_its_apses(self) -> None:
        """Speed v_c (1 + d) at an apsis makes e = |(1 + d)^2 - 1|, and r_max / r_min = (1 + e) / (1 - e)."""
        system = SYSTEMS["two-body"]
        start = system.sample_states(np.random.default_rng(2), 50)
        radius, speed = np.hypot(*start[:, :2].T), np.hypot(*start[:, 4:6].T)
        eccentricity = np.abs((speed * 2 * np.sqrt(radius)) ** 2 - 1)
        path = march("pefrl", system.field, start, 0.02, 1000)
        separations = np.hypot(path[..., 0], path[..., 1])
        ratio = separations.max(0) / separations.min(0)
        assert (ratio <= (1 + eccentricity) / (1 - eccentricity) * (1 + 1e-6)).all()
        assert np.median(ratio) < 1.2  # e = 0.1 at one standard deviation: 1.1 / 0.9


class TestSamplers:
    def test_they_give_the_asked_number_of_states(self, system: System) -> None:
        for count in (0, 1, 7):
            x = system.sample_states(np.random.default_rng(0), count)
            assert x.shape == (count, 2 * system.spec.dof)
            assert x.dtype == np.float64

    @PROPERTY
    @given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
    def test_a_seed_gives_the_same_states_again_and_another_seed_others(self, name: str, seed: int) -> None:
        first, again, other = (SYSTEMS[name].sample_states(np.random.default_rng(s), 3) for s in (seed, seed, seed + 1))
        np.testing.assert_array_equal(first, again)
        assert not np.isclose(first, other).all(-1).any()

    @pytest.mark.parametrize(
        ("name", "low", "high"), [("mass-spring", 0.1, 1.0), ("pendulum", 1.3, 2.3), ("real-pendulum", 0.87, 1.47)]
    )
    def test_one_degree_of_freedom_starts_at_uniform_radii(self, name: str, low: float, high: float) -> None:
        radii = np.linalg.norm(SYSTEMS[name].sample_states(np.random.default_rng(3), 4000), axis=-1)
        assert kstest(radii, "uniform", (low, high - low)).pvalue > 1e-3

    def test_directions_are_those_of_uniform_points_of_the_square(self) -> None:
        """max(|q|, |p|) / r is the cosine of the angle from the nearer axis, which is atan(U(0, 1))."""
        x = on_circles(np.random.default_rng(4), 4000, 1.0, 2.0)
        smaller, larger = np.sort(np.abs(x), axis=-1).T
        assert kstest(smaller / larger, "uniform").pvalue > 1e-3
        assert (np.bincount(2 * (x[:, 0] > 0) + (x[:, 1] > 0)) > 900).all()  # 1000 in each quadrant, sd 27

    def test_pairs_are_mirrored_with_five_percent_noise_on_the_speed(self) -> None:
        x = SYSTEMS["two-body"].sample_states(np.random.default_rng(5), 4000)
        np.testing.assert_array_equal(x[:, 2:4], -x[:, 0:2])
        np.testing.assert_array_equal(x[:, 6:8], -x[:, 4:6])
        assert kstest(x[:, 0], "uniform", (0.5, 1.0)).pvalue > 1e-3
        assert kstest(x[:, 1], "uniform", (0.5, 1.0)).pvalue > 1e-3
        noise = 2 * np.sqrt(np.hypot(*x[:, :2].T)) * np.hypot(*x[:, 4:6].T) - 1
        assert kstest(noise, "norm", (0.0, 0.05)).pvalue > 1e-3
        np.testing.assert_allclose((x[:, :2] * x[:, 4:6]).sum(-1), 0.0, atol=1e-15)

    def test_triangles_are_equilateral_with_twenty_percent_noise_on_the_velocities(self) -> None:
        x = SYSTEMS["three-body"].sample_states(np.random.default_rng(6), 4000)
        positions, momenta = x[:, :6].reshape(-1, 3, 2), x[:, 6:].reshape(-1, 3, 2)
        radii = np.linalg.norm(positions, axis=-1)
        np.testing.assert_allclose(positions.sum(1), 0.0, atol=1e-14)
        np.testing.assert_allclose(radii, radii[:, :1] * np.ones(3), rtol=1e-14)
        assert kstest(radii[:, 0], "uniform", (0.9, 0.3)).pvalue > 1e-3
        turned = np.stack((-positions[..., 1], positions[..., 0]), axis=-1) / radii[..., None]
        noise = momenta / turned * 3**0.25 * np.sqrt(radii)[..., None] - 1
        assert kstest(noise.ravel()[::6], "uniform", (-0.2, 0.4)).pvalue > 1e-3
        assert np.abs(noise).max() <= 0.2 + 1e-12


class TestTimeScales:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("mass-spring", math.pi),
            ("pendulum", 2 * math.pi / math.sqrt(6)),
            ("real-pendulum", 5.4),  # as measured: 0.04 % in g/m is 0.001 in the period
            ("two-body", 4 * math.pi),
            ("three-body", 1.9),
        ],
    )
    def test_they_are_the_documented_numbers(self, name: str, value: float) -> None:
        assert SYSTEMS[name].spec.time_scale == pytest.approx(value, abs=0.005)

    def test_lagranges_triangle_is_unstable_at_the_rate_of_theory(self) -> None:
        """Routh's equation for equal masses gives Re lambda = omega / sqrt(2); measured as growth in the flow."""
        system = SYSTEMS["three-body"]
        start = near_circular_triangles(np.random.default_rng(7), 1, 0.0)[0]
        omega = 1 / math.sqrt(math.sqrt(3) * np.hypot(*start[:2]) ** 3)
        rotation = _rotation(omega * 0.5)
        jacobian = _flow_jacobian(system.field, start, 0.5)
        multipliers = np.linalg.eigvals(np.kron(np.eye(6), rotation).T @ jacobian)
        assert np.log(np.abs(multipliers)).max() / 0.5 == pytest.approx(omega / math.sqrt(2), rel=1e-5)

    def test_three_bodies_separate_in_the_lyapunov_time(self) -> None:
        """Benettin's method, as in the note beside the number, with fewer states: 3 % standard error."""
        system = SYSTEMS["three-body"]
        assert isinstance(system, NBody)
        rng = np.random.default_rng(8)
        x = system.sample_states(rng, 200)
        h, each, apart = 0.01, 10, 1e-7
        offset = rng.standard_normal(x.shape)
        alive = np.ones(len(x), dtype=bool)
        growth, time = np.zeros(len(x)), np.zeros(len(x))
        for block in range(100):
            neighbour = x + apart * offset / np.linalg.norm(offset, axis=-1, keepdims=True)
            x = march("pefrl", system.field, x, h, each)[-1]
            offset = march("pefrl", system.field, neighbour, h, each)[-1] - x
            alive &= system.closest_distance(x) > 0.2
            if block >= 10:
                growth += alive * np.log(np.linalg.norm(offset, axis=-1) / apart)
                time += alive * h * each
        assert time.sum() / growth.sum() == pytest.approx(system.spec.time_scale, rel=0.1)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _flow_jacobian(field: PortHamiltonian, x: np.ndarray, time: float, step: float = 1e-5) -> np.ndarray:
    shifts = step * np.eye(len(x))
    return ((exact(field, x + shifts, time) - exact(field, x - shifts, time)) / (2 * step)).T
