"""A system whose truth is a discrete map is stepped by that map, and so is what was learned of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from physics import NAMES, exact, flow, inputs, model, models, states, write_checkpoint

from hnn_envs.dynamics import LEARNED_ADAPTIVE, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import is_separable
from hnn_envs.integrators import INTEGRATORS, get_integrator
from hnn_envs.systems import SYSTEMS

STEPPED = [name for name in NAMES if SYSTEMS[name].spec.stepping is not None]


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("count", [None, 1, 2, 5])
def test_a_step_is_as_many_of_the_map_as_dt_has(name: str, count: int | None) -> None:
    system = SYSTEMS[name]
    own = system.spec.stepping
    assert own is not None
    dynamics = make_dynamics(system, dt=None if count is None else count * own.dt)
    assert dynamics.substeps == (count or 1)
    x, u = states(system, 20), inputs(system, 20)
    expected = x
    for _ in range(count or 1):
        expected = INTEGRATORS[own.integrator].step(system.field, expected, u, own.dt)
    # The compiled step rounds differently: 1e-12 relative is its contract.
    np.testing.assert_allclose(dynamics.step(x, u), expected, rtol=1e-12, atol=1e-13)


def test_the_pixel_pendulums_is_symplectic_euler_of_a_twentieth_of_a_second() -> None:
    """p' = p + dt (u - 5 sin q), then q' = q + dt 3 p'."""
    system = SYSTEMS["pixel-pendulum"]
    x, u = states(system, 20), inputs(system, 20)
    p = x[:, 1] + 0.05 * (u[:, 0] - 5 * np.sin(x[:, 0]))
    expected = np.stack((x[:, 0] + 0.05 * 3 * p, p), axis=-1)
    np.testing.assert_allclose(make_dynamics("pixel-pendulum").step(x, u), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("share", [0.3, 0.5, 1.001, 2.5])
def test_no_other_dt_is_taken_unless_the_flow_is_asked_for(name: str, share: float) -> None:
    system = SYSTEMS[name]
    assert system.spec.stepping is not None
    dt = share * system.spec.stepping.dt
    with pytest.raises(InvalidOptionError, match=rf"moves in steps of .*dt must be a multiple of it, not {dt:g}"):
        make_dynamics(system, dt=dt)
    x = states(system, 5)
    np.testing.assert_allclose(flow(system, dt=dt).step(x), exact(system.field, x, dt), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in models(default=True) if name.split("/")[1] in STEPPED])
def test_what_was_learned_steps_by_it_where_it_can(tmp_path: Path, name: str) -> None:
    there = model(name)
    own = there.system.spec.stepping
    assert own is not None
    dynamics = make_dynamics(write_checkpoint(tmp_path / "m.safetensors", name))
    suited = get_integrator(None, there.field)
    expected = LEARNED_ADAPTIVE if suited.adaptive else suited.name
    assert dynamics.integrator.name == (own.integrator if is_separable(there.field) else expected)
    assert (dynamics.dt, dynamics.substeps) == (own.dt, 1)


@pytest.mark.parametrize("name", STEPPED)
def test_other_substeps_are_steps_of_its_method(name: str) -> None:
    system = SYSTEMS[name]
    assert system.spec.stepping is not None
    dynamics = make_dynamics(system, dt=0.07, substeps=3)
    assert (dynamics.integrator.name, dynamics.substeps) == (system.spec.stepping.integrator, 3)
