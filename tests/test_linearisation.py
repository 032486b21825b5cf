"""Derivatives of a step: against differences of another kind and torch's, whatever is stepped, and alike in batches."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from physics import NAMES, flow, inputs, model, models, phase_states, states, symplectic_form, undamped

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import shipped_checkpoints
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.hamiltonian import LagrangianFlow
from hnn_envs.integrators import INTEGRATORS, get_integrator
from hnn_envs.systems import SYSTEMS

CHECKPOINTS = [(name, checkpoint) for name in NAMES for checkpoint in shipped_checkpoints(name)]
TURNING = {"double-pendulum": 1e-5}
"""Systems whose dry friction turns around within a step, and how far the derivative is then off."""


def richardson(dynamics: Dynamics, x: Array, u: Array, width: float) -> Array:
    """[A, B] at one state by central differences, extrapolated twice, of steps of the finest tolerance."""
    if dynamics.integrator.adaptive:
        dynamics = replace(dynamics, integrator=INTEGRATORS["dormand_prince8"])
    size = x.shape[-1]

    def difference(width: float) -> Array:
        moves = width * np.eye(size + u.shape[-1])
        ahead, behind = (dynamics.step(x + sign * moves[:, :size], u + sign * moves[:, size:]) for sign in (1.0, -1.0))
        return (ahead - behind).T / (2 * width)

    whole, half, quarter = (difference(width / share) for share in (1, 2, 4))
    first, second = (4 * half - whole) / 3, (4 * quarter - half) / 3
    return (16 * second - first) / 15


def check(dynamics: Dynamics, x: Array, u: Array, *, width: float = 2e-3, tolerance: float = 1e-8) -> None:
    a, b = dynamics.jacobian(x, u)
    for number in range(len(x)):
        wanted = richardson(dynamics, x[number], u[number], width)
        found = np.concatenate((a[number], b[number]), axis=-1)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("name", NAMES)
def test_the_truth(name: str) -> None:
    system = SYSTEMS[name]
    check(make_dynamics(system, "ode"), states(system, 5), inputs(system, 5), tolerance=TURNING.get(name, 1e-8))


@pytest.mark.parametrize(("name", "checkpoint"), CHECKPOINTS, ids=["/".join(each) for each in CHECKPOINTS])
def test_every_shipped_checkpoint(name: str, checkpoint: str) -> None:
    dynamics, system = make_dynamics(name, checkpoint), SYSTEMS[name]
    check(dynamics, states(system, 3), inputs(system, 3), tolerance=TURNING.get(name, 1e-8))


@pytest.mark.parametrize("identity", models(default=True))
def test_every_family_against_torch(identity: str) -> None:
    there = model(identity)
    system, method = there.system, get_integrator(None, there.field)
    if method.adaptive:  # whose steps torch would differentiate, too
        method = INTEGRATORS["rk4"]
    dt, substeps = system.spec.time_scale / 50, 4
    dynamics = Dynamics("mine", system.spec, None, there.field, method, dt, substeps, None)
    x, u = states(system, 1)[0], inputs(system, 1)[0]
    exact = torch.autograd.functional.jacobian(
        lambda x, u: method.advance(there.torch_field, x, u, dt / substeps, substeps),
        (torch.tensor(x), torch.tensor(u)),
    )
    for found, wanted in zip(dynamics.jacobian(x, u), exact, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-8 * (1 + float(exact[0].abs().max())))


@pytest.mark.parametrize("name", NAMES)
def test_a_conservative_step_is_symplectic(name: str) -> None:
    system = SYSTEMS[name]
    field = undamped(system)
    dynamics = replace(flow(system), field=field, integrator=get_integrator(None, field), substeps=8)
    form = symplectic_form(system.spec.dof)
    a, _ = dynamics.jacobian(phase_states(system, 5))
    np.testing.assert_allclose(np.swapaxes(a, 1, 2) @ form @ a, np.broadcast_to(form, a.shape), rtol=0, atol=2e-8)


def test_states_of_velocities_are_symplectic_in_their_momenta() -> None:
    """A of [q, q'] is A of [q, p] between the derivatives of p = M q'."""
    system = SYSTEMS["cart-pole"]
    field = LagrangianFlow(undamped(system))
    dynamics = replace(flow(system), field=field, integrator=INTEGRATORS["gauss8"], substeps=4)
    x, form = states(system, 4), symplectic_form(system.spec.dof)
    a, _ = dynamics.jacobian(x)
    bumps = 1e-5 * np.eye(x.shape[-1])

    def slope(x: Array) -> Array:
        ahead, behind = (field.to_canonical(x[:, None] + sign * bumps) for sign in (1, -1))
        return np.swapaxes(ahead - behind, 1, 2) / 2e-5

    inside = slope(dynamics.step(x)) @ a @ np.linalg.inv(slope(x))
    np.testing.assert_allclose(np.swapaxes(inside, 1, 2) @ form @ inside, np.broadcast_to(form, a.shape), atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_what_its_states_are_alone_bit_for_bit(name: str) -> None:
    system = SYSTEMS[name]
    dynamics, x, u = make_dynamics(system, "ode"), states(system, 12), inputs(system, 12)
    a, b = dynamics.jacobian(x.reshape(3, 4, -1), u.reshape(3, 4, -1))
    size, count = 2 * system.spec.dof, len(system.spec.inputs)
    assert (a.shape, b.shape) == ((3, 4, size, size), (3, 4, size, count))
    for number in range(12):
        alone = dynamics.jacobian(x[number], u[number])
        np.testing.assert_array_equal(alone[0], a.reshape(12, size, size)[number])
        np.testing.assert_array_equal(alone[1], b.reshape(12, size, count)[number])


def test_no_inputs_are_zero_inputs_and_leading_axes_broadcast() -> None:
    system = SYSTEMS["cart-pole"]
    dynamics, x, u = make_dynamics(system, "hnn"), states(system, 6), inputs(system, 2)
    for free, zero in zip(dynamics.jacobian(x), dynamics.jacobian(x, np.zeros((6, 1))), strict=True):
        np.testing.assert_array_equal(free, zero)
    a, b = dynamics.jacobian(x[:, None], u)
    assert (a.shape, b.shape) == ((6, 2, 4, 4), (6, 2, 4, 1))
    np.testing.assert_array_equal(a[4, 1], dynamics.jacobian(x[4], u[1])[0])


def test_a_network_in_float32_has_wider_differences() -> None:
    for name in ("pendulum", "cart-pole"):
        for kind in ("hnn", "baseline"):
            double, single = (make_dynamics(name, kind, dtype=dtype) for dtype in ("float64", "float32"))
            x = states(SYSTEMS[name], 5)
            for exact, found in zip(double.jacobian(x), single.jacobian(x), strict=True):
                np.testing.assert_allclose(found, exact, rtol=0, atol=1e-4 * (1 + np.abs(exact).max()))


def test_tensors_are_answered_with_tensors() -> None:
    system = SYSTEMS["cart-pole"]
    dynamics, x, u = make_dynamics(system, "ode"), states(system, 2), inputs(system, 2)
    found = dynamics.jacobian(torch.tensor(x), torch.tensor(u))
    for tensor, array in zip(found, dynamics.jacobian(x, u), strict=True):
        np.testing.assert_allclose(tensor.numpy(), array, rtol=0, atol=1e-8)


def test_a_diverging_state_is_not_finite_and_leaves_the_others_alone() -> None:
    system = SYSTEMS["pendulum"]
    dynamics, x = make_dynamics(system, "ode"), states(system, 3)
    broken = x.copy()
    broken[1] = np.nan
    a, _ = dynamics.jacobian(broken)
    assert np.isnan(a[1]).all()
    np.testing.assert_array_equal(a[[0, 2]], dynamics.jacobian(x)[0][[0, 2]])


def test_dynamics_are_sent_to_other_processes_after_they_were_differentiated() -> None:
    dynamics, x = make_dynamics("cart-pole", "hnn"), states(SYSTEMS["cart-pole"], 2)
    before = dynamics.jacobian(x)[0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dynamics)).jacobian(x)[0], before)  # noqa: S301


def test_a_small_domain_has_small_differences() -> None:
    """A model of micrometres must not be asked a hundred widths outside of what it saw."""
    dynamics = make_dynamics("mass-spring", "hnn")
    assert dynamics.card is not None
    narrow = replace(dynamics.card.domain, low=(-1e-6,) * 2, high=(1e-6,) * 2)
    small = replace(dynamics, card=replace(dynamics.card, domain=narrow))
    assert (small._linearised.state_widths < 1e-10).all()
    assert (dynamics._linearised.state_widths == 2.0**-17).all()
