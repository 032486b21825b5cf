"""The integrators: order, reversibility, symplecticity, energy in the long run, on true and learned Hamiltonians."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

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
    exact,
    field_of,
    fields,
    inputs,
    march,
    model,
    models,
    parameters,
    phase_states,
    small,
    states,
    step_jacobian,
    symplectic_form,
    system_of,
    to_torch,
)

from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.hamiltonian import MachineHamiltonian, Mechanical, PortHamiltonian
from hnn_envs.integrators import (
    BLANES_MOAN4,
    INTEGRATORS,
    LEAPFROG,
    PEFRL,
    YOSHIDA4,
    Splitting,
    fits,
    get_fixed_step,
    get_integrator,
)
from hnn_envs.integrators.implicit import Gauss
from hnn_envs.models import make_family
from hnn_envs.systems import SYSTEMS

FIXED_STEP = [name for name, method in INTEGRATORS.items() if not method.adaptive and not method.bodies_only]
# The errors of higher orders are soon below the reference's; test_machine_methods proves those by their coefficients.
MEASURABLE = [name for name in FIXED_STEP if INTEGRATORS[name].order <= 4]
SPLITTINGS = [name for name, method in INTEGRATORS.items() if method.separable_only and not method.bodies_only]
SYMPLECTIC = [name for name, method in INTEGRATORS.items() if method.symplectic]
MIDPOINT = Gauss(1)
REVERSIBLE = [name for name in SYMPLECTIC if name != "symplectic_euler"]  # a kick and a drift, not the same backwards

LONG = ("mass-spring", "pendulum", "separable/pendulum/0", "separable/real-pendulum/0", "two-body")


def pairs(methods: list[str], *, hamiltonian: bool = False) -> list[Any]:
    """Every method with every field that it can step, or with every Hamiltonian one."""
    return [
        pytest.param(method, field, id=f"{method}-{field}")
        for method in methods
        for field in fields()
        if fits(INTEGRATORS[method], field_of(field))
        and (not hamiltonian or isinstance(field_of(field), PortHamiltonian))
    ]


class TestOrder:
    @pytest.mark.parametrize("pushed", [False, True], ids=["free", "pushed"])
    @pytest.mark.parametrize(("method", "name"), pairs(MEASURABLE))
    def test_halving_the_step_divides_the_error_by_two_to_the_order(self, method: str, name: str, pushed: bool) -> None:
        """The next term of the error is smaller by h / time scale < 1/32, so the slope is within 0.2 of the order."""
        system, field = system_of(name), field_of(name)
        x, u = phase_states(system, 4), inputs(system, 4) if pushed else None
        time = system.spec.time_scale / (16 if system.spec.name == "two-body" else 4)
        if isinstance(system, Mechanical) and name not in SYSTEMS:
            # What is drawn at random knows nothing of a machine's seconds; polynomials are faster than networks.
            time = 2.0 / max(1.0, float(np.linalg.norm(field(x)) / np.linalg.norm(x)))
        truth = exact(field, x, time, u)
        errors = [np.linalg.norm(march(method, field, x, time / n, n, u)[-1] - truth) for n in (8, 16, 32)]
        # The finer halving, where the truth, good to 1e-12, still tells the errors apart.
        coarse, fine = errors[1:] if errors[2] > 1e-11 else errors[:2]
        assert math.log2(coarse / fine) == pytest.approx(INTEGRATORS[method].order, abs=0.2)

    @pytest.mark.parametrize("method", MEASURABLE)
    def test_damping_keeps_the_order(self, method: str) -> None:
        system = SYSTEMS["pendulum"]
        field = replace(system.field, damping=0.5)
        x, u = phase_states(system, 4), inputs(system, 4)
        truth = exact(field, x, 0.6, u)
        errors = [np.linalg.norm(march(method, field, x, 0.6 / n, n, u)[-1] - truth) for n in (8, 16)]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(INTEGRATORS[method].order, abs=0.2)

    @pytest.mark.parametrize("splitting", [LEAPFROG, YOSHIDA4, PEFRL, BLANES_MOAN4])
    def test_drifts_and_kicks_each_cover_the_whole_step(self, splitting: Splitting) -> None:
        assert sum(splitting.drifts) == pytest.approx(1.0, abs=1e-15)
        assert sum(splitting.kicks) == pytest.approx(1.0, abs=1e-15)
        assert splitting.drifts == pytest.approx(splitting.drifts[::-1], abs=1e-15)
        assert splitting.kicks == pytest.approx(splitting.kicks[::-1], abs=1e-15)

    @pytest.mark.parametrize("splitting", [YOSHIDA4, PEFRL, BLANES_MOAN4])
    def test_the_fourth_order_conditions_hold(self, splitting: Splitting) -> None:
        """A symmetric splitting has order four where both nested commutators of T and V vanish at order three.

        In drifts a_i, kicks b_j and what the other kind has covered before: sum b c^2 = sum a d^2 = 1/3
        (Hairer, Lubich, Wanner, Geometric Numerical Integration, section III.3, for separable systems).
        """
        drifts, kicks = np.array(splitting.drifts), np.array(splitting.kicks)
        drifted, kicked = np.cumsum(drifts)[:-1], np.concatenate(([0.0], np.cumsum(kicks)))
        assert (kicks * drifted**2).sum() == pytest.approx(1 / 3, abs=1e-14)
        assert (drifts * kicked**2).sum() == pytest.approx(1 / 3, abs=1e-14)

    def test_at_equal_force_evaluations_the_optimised_schemes_are_more_accurate(self) -> None:
        """The point of both papers: four evaluations, and six, against Yoshida's three and leapfrog's one."""
        system = SYSTEMS["pendulum"]
        x = phase_states(system, 4)
        truth = exact(system.field, x, 4.0)
        error = {}
        for method, cost in (("leapfrog", 1), ("yoshida4", 3), ("pefrl", 4), ("blanes_moan4", 6)):
            count = 480 // cost
            error[method] = np.linalg.norm(march(method, system.field, x, 4.0 / count, count)[-1] - truth)
        assert error["blanes_moan4"] < error["pefrl"] < error["yoshida4"] < error["leapfrog"]

    @pytest.mark.parametrize("learned", [False, True], ids=["number", "tensor"])
    def test_the_exact_damped_kick_has_no_error_of_its_own(self, learned: bool) -> None:
        """With no force but a constant input, p(t) = e^(-gamma t) p + u (1 - e^(-gamma t)) / gamma at any step."""
        system = replace(SYSTEMS["pendulum"], gravity=0.0)
        damping = torch.tensor(0.7, dtype=torch.float64) if learned else 0.7
        field = PortHamiltonian(system, SYSTEMS["pendulum"].spec.force_matrix, damping)
        x, u = torch.tensor([0.3, -0.4], dtype=torch.float64), torch.tensor([0.25], dtype=torch.float64)
        if not learned:
            x, u = x.numpy(), u.numpy()
        expected = math.exp(-0.7 * 3) * -0.4 + 0.25 * (1 - math.exp(-0.7 * 3)) / 0.7
        for method in SPLITTINGS:
            assert float(INTEGRATORS[method].step(field, x, u, 3.0)[1]) == pytest.approx(expected, rel=1e-13)

    @pytest.mark.parametrize("damping", [0.0, 0, 1e-300])
    @pytest.mark.parametrize("method", SPLITTINGS)
    def test_vanishing_damping_is_the_undamped_step(self, method: str, damping: float) -> None:
        system = SYSTEMS["pendulum"]
        x = phase_states(system, 5)
        step = INTEGRATORS[method].step
        damped = step(replace(system.field, damping=damping), x, None, 0.1)
        np.testing.assert_allclose(damped, step(system.field, x, None, 0.1), rtol=1e-15)


class TestReversibility:
    @pytest.mark.parametrize(("method", "name"), pairs(REVERSIBLE))
    def test_a_step_back_undoes_a_step(self, method: str, name: str) -> None:
        system, field = system_of(name), field_of(name)
        x, u, h = phase_states(system, 5), inputs(system, 5), system.spec.time_scale / 60
        step = INTEGRATORS[method].step
        # implicit midpoint solves each of the two steps to 1e-14; rounding grows with the Lipschitz constant times h
        np.testing.assert_allclose(step(field, step(field, x, u, h), u, -h), x, atol=1e-12)

    @pytest.mark.parametrize(
        ("method", "name"), [p for p in pairs(REVERSIBLE) if p.values[1] in fields(separable=True)]
    )
    def test_reversed_momenta_run_the_trajectory_backwards(self, method: str, name: str) -> None:
        """Where H is even in p: a step, p -> -p, a step, p -> -p is the identity."""
        system, field = system_of(name), field_of(name)
        x, u, h = phase_states(system, 5), inputs(system, 5), system.spec.time_scale / 60
        mirror = np.repeat([1.0, -1.0], system.spec.dof)
        there = mirror * INTEGRATORS[method].step(field, x, u, h)
        np.testing.assert_allclose(mirror * INTEGRATORS[method].step(field, there, u, h), x, atol=1e-12)

    @pytest.mark.parametrize("method", ["symplectic_euler", "rk4"])
    def test_schemes_that_are_not_symmetric_are_not_reversible(self, method: str) -> None:
        system = SYSTEMS["pendulum"]
        x, step = phase_states(system, 5), INTEGRATORS[method].step
        there_and_back = step(system.field, step(system.field, x, None, 0.1), None, -0.1)
        assert np.abs(there_and_back - x).max() > 1e-7


class TestSymplecticity:
    @pytest.mark.parametrize("pushed", [False, True], ids=["free", "pushed"])
    @pytest.mark.parametrize(("method", "name"), pairs(SYMPLECTIC, hamiltonian=True))
    def test_the_step_preserves_the_symplectic_form(self, method: str, name: str, pushed: bool) -> None:
        """M^T J M = J, with and without an input held constant."""
        system = system_of(name)
        form = symplectic_form(system.spec.dof)
        x, u = phase_states(system, 1)[0], inputs(system, 1)[0] if pushed else None
        jacobian = step_jacobian(method, field_of(name, torch=True), x, u, system.spec.time_scale / 60)
        np.testing.assert_allclose(jacobian.T @ form @ jacobian, form, atol=1e-11)

    @pytest.mark.parametrize("name", fields(separable=True))
    @pytest.mark.parametrize("method", SPLITTINGS)
    @pytest.mark.parametrize("learned", [False, True], ids=["number", "tensor"])
    def test_damping_contracts_the_form_by_exactly_its_exponential(self, method: str, name: str, learned: bool) -> None:
        """M^T J M = e^(-gamma h) J, for a damping that is a number and for a learned one."""
        system, h = system_of(name), system_of(name).spec.time_scale / 60
        form = symplectic_form(system.spec.dof)
        damping = torch.tensor(0.8, dtype=torch.float64) if learned else 0.8
        field = replace(field_of(name, torch=True), damping=damping)
        jacobian = step_jacobian(method, field, phase_states(system, 1)[0], inputs(system, 1)[0], h)
        np.testing.assert_allclose(jacobian.T @ form @ jacobian, math.exp(-0.8 * h) * form, atol=1e-11)

    def test_rk4_does_not_preserve_it(self) -> None:
        form = symplectic_form(1)
        jacobian = step_jacobian("rk4", SYSTEMS["pendulum"].field, np.array([1.0, 0.5]), None, 0.1)
        assert np.abs(jacobian.T @ form @ jacobian - form).max() > 1e-8


class TestEnergy:
    STEPS = 1500  # 50 time scales of 30 steps

    @pytest.mark.parametrize(("method", "name"), [p for p in pairs(SYMPLECTIC) if p.values[1] in LONG])
    def test_it_stays_bounded_under_a_symplectic_method(self, method: str, name: str) -> None:
        """The largest error of the second half is that of the first half, but for 1e-14 per step of rounding."""
        first, second = np.split(self._errors(method, name), 2)
        assert second.max() < 1.1 * first.max() + 1e-14 * self.STEPS

    @pytest.mark.parametrize("name", LONG)
    def test_it_drifts_under_rk4(self, name: str) -> None:
        """The error grows in proportion to time: at the end it is twice that of half-way."""
        first, second = np.split(self._errors("rk4", name), 2)
        assert second[-1] == pytest.approx(2 * first[-1], rel=0.3)

    def _errors(self, method: str, name: str) -> np.ndarray:
        """Energy errors after each step of one trajectory: released at rest, or an ellipse with e = 0.19."""
        system, field = system_of(name), field_of(name)
        ellipse = np.array([1.0, 0.0, -1.0, 0.0, 0.0, 0.45, 0.0, -0.45])
        start = ellipse if system.spec.name == "two-body" else np.array([1.2, 0.0])
        energy = field.hamiltonian.value(march(method, field, start, system.spec.time_scale / 30, self.STEPS))
        return np.abs(energy[1:] - energy[0])


class TestImplicitMidpoint:
    @pytest.mark.parametrize("name", fields())
    def test_it_solves_its_equation(self, name: str) -> None:
        system, field = system_of(name), field_of(name)
        x, u, h = phase_states(system, 5), inputs(system, 5), system.spec.time_scale / 40
        y = MIDPOINT(field, x, u, h)
        assert np.isfinite(y).all()
        np.testing.assert_allclose(y, x + h * field((x + y) / 2, u), atol=1e-13)

    def test_a_state_at_rest_stays_there_at_any_step(self) -> None:
        x = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
        np.testing.assert_array_equal(MIDPOINT(SYSTEMS["pendulum"].field, x, None, 5.0)[[0, 2]], 0.0)

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    @pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
    def test_a_state_that_is_not_finite_comes_back_as_nan_without_touching_the_others(self, bad: float) -> None:
        system = SYSTEMS["pendulum"]
        x = np.array([[bad, 0.1], [1.0, 1.0]])
        y = MIDPOINT(system.field, x, None, 0.1)
        assert np.isnan(y[0]).all()
        np.testing.assert_array_equal(y[1], MIDPOINT(system.field, x[1], None, 0.1))

    @pytest.mark.parametrize("family", ["generic", "separable"])
    def test_a_network_in_single_precision_converges_to_single_precision(self, family: str) -> None:
        """Its rounding keeps the iteration in a cycle of some 1e-7 h, which is a solution all the same."""
        system, options = SYSTEMS["pendulum"], {"hidden": [64, 64]}
        drawn = {name: value.astype(np.float32) for name, value in parameters(family, options, system).items()}
        field = make_family(family, options).build(system.spec, drawn)
        x, h = phase_states(system, 2000), 0.1
        y = MIDPOINT(field, x, None, h)
        assert np.isfinite(y).all()
        np.testing.assert_allclose(y, x + h * field((x + y) / 2), atol=1e-5)


class TestDop853:
    def test_it_is_exact_to_its_tolerance(self) -> None:
        x = phase_states(SYSTEMS["mass-spring"], 6)
        c, s = math.cos(2.0), math.sin(2.0)
        np.testing.assert_allclose(
            exact(SYSTEMS["mass-spring"].field, x, 1.0), x @ np.array([[c, -s], [s, c]]), atol=1e-11
        )

    @pytest.mark.parametrize(("method", "name"), pairs(["pefrl", "rk4"]))
    def test_the_fourth_order_methods_agree_with_it(self, method: str, name: str) -> None:
        """Errors of order h^4 with h a 200th of the time scale: (2 pi / 200)^4 = 1e-6 at the most."""
        system, field = system_of(name), field_of(name)
        x, u, h = phase_states(system, 3), inputs(system, 3), system.spec.time_scale / 200
        np.testing.assert_allclose(march(method, field, x, h, 20, u)[-1], exact(field, x, 20 * h, u), atol=1e-6)

    def test_a_state_that_is_not_finite_comes_back_as_nan(self) -> None:
        x = np.array([[math.nan, 0.0], [math.inf, 0.0], [0.5, 0.0]])
        y = exact(SYSTEMS["mass-spring"].field, x, 0.1)
        assert np.isnan(y[:2]).all()
        assert np.isfinite(y[2]).all()

    def test_an_integration_that_fails_comes_back_as_nan(self) -> None:
        """x' = x^2 from x = 1 reaches infinity at t = 1."""
        assert np.isnan(exact(lambda x, u=None: x * x, np.array([1.0, 1.0]), 2.0)).all()


class TestBroadcasting:
    @PROPERTY
    @given(
        stepped=st.sampled_from([p.values for p in pairs(list(INTEGRATORS)) if p.values[1] in fields(separable=True)]),
        shape=array_shapes(min_dims=0, max_dims=3, max_side=3),
    )
    def test_a_batch_of_any_shape_is_stepped_like_its_states_one_by_one(
        self, stepped: tuple[str, str], shape: tuple[int, ...]
    ) -> None:
        method, name = stepped
        system, field, step = system_of(name), field_of(name), INTEGRATORS[method].step
        count = math.prod(shape)
        x, u = phase_states(system, count), inputs(system, count)
        together = step(field, x.reshape(*shape, -1), u.reshape(*shape, -1), 0.05)
        assert together.shape == (*shape, 2 * system.spec.dof)
        alone = np.stack([step(field, *each, 0.05) for each in zip(x, u, strict=True)])
        np.testing.assert_allclose(together.reshape(x.shape), alone, rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize(("method", "name"), pairs(list(INTEGRATORS)))
    def test_one_input_serves_a_whole_batch(self, method: str, name: str) -> None:
        system, field, step = system_of(name), field_of(name), INTEGRATORS[method].step
        x, u = phase_states(system, 3), inputs(system, 1)
        np.testing.assert_allclose(step(field, x, u[0], 0.05), step(field, x, np.repeat(u, 3, 0), 0.05), atol=1e-13)


class TestTorch:
    @pytest.mark.parametrize(("method", "name"), pairs(FIXED_STEP))
    def test_tensors_give_what_arrays_give(self, method: str, name: str) -> None:
        system, step = system_of(name), INTEGRATORS[method].step
        x, u = phase_states(system, 5), inputs(system, 5)
        there = step(field_of(name, torch=True), torch.tensor(x), torch.tensor(u), 0.05)
        assert there.dtype == torch.float64
        np.testing.assert_allclose(there.numpy(), step(field_of(name), x, u, 0.05), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(
        ("method", "family"),
        [*product(FIXED_STEP, ("separable", "pairwise")), ("rk4", "generic"), ("implicit_midpoint", "generic")],
    )
    def test_gradients_flow_through_a_step_to_state_input_and_parameters(self, method: str, family: str) -> None:
        """torch.autograd.gradcheck compares them with finite differences."""
        system = SYSTEMS["two-body"]
        options = small({"hidden": [3], "ports": {"damping": True, "inputs": True}})
        built = make_family(family, options)
        drawn = to_torch(parameters(family, options, system), grad=True)
        x = torch.tensor(phase_states(system, 1)[0], requires_grad=True)
        u = torch.tensor(inputs(system, 1)[0], requires_grad=True)

        def step(x: torch.Tensor, u: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
            field = built.build(system.spec, dict(zip(drawn, values, strict=True)))
            stepped: torch.Tensor = INTEGRATORS[method].step(field, x, u, 0.1)
            return stepped

        assert torch.autograd.gradcheck(step, (x, u, *drawn.values()))


class TestChoice:
    @pytest.mark.parametrize("name", list(INTEGRATORS))
    def test_a_name_gives_its_method(self, name: str) -> None:
        assert get_integrator(name, SYSTEMS["two-body"].field) is INTEGRATORS[name]

    @pytest.mark.parametrize("name", fields())
    def test_none_chooses_what_suits_the_field(self, name: str) -> None:
        machine = isinstance(getattr(field_of(name), "hamiltonian", None), MachineHamiltonian)
        pairwise = name in N_BODY or name.startswith("pairwise")
        expected = "encounters" if pairwise else "pefrl" if name in fields(separable=True) else "rk4"
        expected = "gauss8" if machine else expected
        assert get_integrator(None, field_of(name)).name == expected

    @pytest.mark.parametrize("name", fields())
    def test_steps_to_fit_through_are_all_alike(self, name: str) -> None:
        machine = isinstance(getattr(field_of(name), "hamiltonian", None), MachineHamiltonian)
        expected = "pefrl" if name in fields(separable=True) else "gauss8" if machine else "rk4"
        assert get_fixed_step(None, field_of(name)).name == expected
        assert get_fixed_step("rk4", field_of(name)).name == "rk4"

    def test_steps_to_fit_friction_through_are_all_alike(self) -> None:
        field = SYSTEMS["double-pendulum"].field
        assert get_integrator(None, field).adaptive
        assert get_fixed_step(None, field).name == "rk4"
        assert get_fixed_step("dormand_prince8", field).name == "dormand_prince8"

    def test_an_unknown_name_is_named_beside_the_known_ones(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown integrator 'euler'.*leapfrog.*rk4"):
            get_integrator("euler", SYSTEMS["pendulum"].field)

    @pytest.mark.parametrize("field", models(separable=False))
    @pytest.mark.parametrize("name", SPLITTINGS)
    def test_a_splitting_is_refused_for_a_field_without_a_separable_hamiltonian(self, name: str, field: str) -> None:
        with pytest.raises(InvalidOptionError, match=rf"'{name}'.*separable.*allowed: dop853, .*gauss8"):
            get_integrator(name, model(field).field)
        with pytest.raises(InvalidOptionError, match="separable"):
            INTEGRATORS[name].step(model(field).field, phase_states(model(field).system, 1), None, 0.1)

    @pytest.mark.parametrize("name", NAMES)
    def test_every_method_steps_every_true_system(self, name: str) -> None:
        system = SYSTEMS[name]
        for method in (each for each, found in INTEGRATORS.items() if fits(found, system.field)):
            assert np.isfinite(
                get_integrator(method, system.field).step(system.field, states(system, 2), None, 0.01)
            ).all()
