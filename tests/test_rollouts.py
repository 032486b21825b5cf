"""Rollouts: many states, many steps, any dynamics; what they return, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from physics import NAMES, PROPERTY, exact, inputs, march, model, models, states, write_checkpoint

from hnn_envs.checkpoints import load_checkpoint
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import CheckpointError, InvalidActionError, InvalidOptionError, InvalidStateError, UnknownNameError
from hnn_envs.hamiltonian import PortHamiltonian
from hnn_envs.integrators import INTEGRATORS, get_integrator
from hnn_envs.rollouts import rollout
from hnn_envs.systems import SYSTEMS, System

PENDULUM = SYSTEMS["pendulum"]


@pytest.fixture(params=NAMES)
def system(request: pytest.FixtureRequest) -> System:
    return SYSTEMS[request.param]


class Explosion:
    """x' = x^2 in every component: from x = a it is infinite at t = 1 / a, and zero stays zero."""

    def __call__(self, x: Any, u: Any = None) -> Any:
        return x * x


def exploding(method: str = "rk4") -> Dynamics:
    return replace(make_dynamics(PENDULUM), field=Explosion(), integrator=INTEGRATORS[method], dt=0.5, substeps=1)


def flow(system: System) -> dict[str, Any]:
    """Options that step the continuous flow of a system fifty times per time scale, also where its truth is a map."""
    return {} if system.spec.stepping is None else {"integrator": "pefrl", "dt": system.spec.time_scale / 50}


class TestResult:
    @PROPERTY
    @given(
        name=st.sampled_from(NAMES),
        count=st.integers(1, 4),
        every=st.integers(1, 4),
        blocks=st.integers(1, 4),
        pushed=st.booleans(),
    )
    def test_its_arrays_have_the_documented_shapes(
        self, name: str, count: int, every: int, blocks: int, pushed: bool
    ) -> None:
        system = SYSTEMS[name]
        u = inputs(system, count)
        result = rollout(system, states(system, count), blocks * every, every=every, inputs=u if pushed else None)
        assert result.times.shape == (blocks + 1,)
        assert result.states.shape == (blocks + 1, count, 2 * system.spec.dof)
        assert result.inputs.shape == (blocks, count, u.shape[-1])
        assert result.energies.shape == (blocks + 1, count)
        for array in (result.times, result.states, result.inputs, result.energies):
            assert array.dtype == np.float64

    def test_it_starts_at_the_initial_states_and_steps_like_the_dynamics(self, system: System) -> None:
        x, u = states(system, 3), inputs(system, 3)
        result = rollout(system, x, 3, inputs=u)
        dynamics = make_dynamics(system)
        np.testing.assert_array_equal(result.states[0], x)
        for before, after in zip(result.states[:-1], result.states[1:], strict=True):
            np.testing.assert_array_equal(after, dynamics.step(before, u))

    def test_a_discrete_map_is_stepped_by_itself(self) -> None:
        for name in NAMES:
            own = SYSTEMS[name].spec.stepping
            if own is not None:
                x = states(SYSTEMS[name], 3)
                result = rollout(name, x, 100)
                path = march(own.integrator, SYSTEMS[name].field, x, own.dt, 100)
                np.testing.assert_allclose(result.states, path, rtol=0, atol=1e-11)
                np.testing.assert_allclose(result.times, own.dt * np.arange(101), rtol=1e-15)

    def test_times_are_multiples_of_dt(self) -> None:
        result = rollout("pendulum", [0.1, 0.0], 6, dt=0.25, every=2)
        np.testing.assert_array_equal(result.times, [0.0, 0.5, 1.0, 1.5])

    def test_energies_are_the_true_ones_whatever_steps(self, tmp_path: Path) -> None:
        path = str(write_checkpoint(tmp_path / "m.safetensors", "separable/pendulum/0"))
        result = rollout(PENDULUM, states(PENDULUM, 3), 5, dynamics=path)
        np.testing.assert_array_equal(result.energies, PENDULUM.value(result.states))

    def test_the_ode_keeps_the_energy_where_nothing_takes_it(self, system: System) -> None:
        result = rollout(system, states(system, 5), 100, **flow(system))
        change = result.energies - result.energies[0]
        if not system.spec.dissipative:
            # 1e-9 in the state for each of the hundred steps, times a gradient of at most ten
            np.testing.assert_allclose(change, 0.0, atol=1e-6)
        else:
            assert (np.diff(result.energies, axis=0) < 0).all()

    def test_the_ode_agrees_with_dop853_over_a_time_scale(self, system: System) -> None:
        x = states(system, 3)
        result = rollout(system, x, 50, **flow(system))
        # 1e-9 for each of fifty steps, stretched by chaos, and by shear: an energy error shifts the phase 3 pi a period
        np.testing.assert_allclose(result.states[-1], exact(system.field, x, system.spec.time_scale), rtol=0, atol=5e-7)

    def test_a_system_may_be_given_by_name(self) -> None:
        x = states(PENDULUM, 2)
        np.testing.assert_array_equal(rollout("pendulum", x, 3).states, rollout(PENDULUM, x, 3).states)

    def test_a_single_state_is_a_batch_of_one(self, system: System) -> None:
        x = states(system, 1)
        np.testing.assert_array_equal(rollout(system, x[0], 3).states, rollout(system, x, 3).states)

    def test_every_leaves_out_records_and_changes_nothing_else(self, system: System) -> None:
        x, u = states(system, 2), np.stack([inputs(system, 2, seed) for seed in range(6)])
        all_of_them, some = rollout(system, x, 6, inputs=u), rollout(system, x, 6, inputs=u, every=3)
        np.testing.assert_array_equal(some.states, all_of_them.states[::3])
        np.testing.assert_array_equal(some.energies, all_of_them.energies[::3])
        np.testing.assert_allclose(some.times, all_of_them.times[::3], rtol=1e-15)
        np.testing.assert_array_equal(some.inputs, all_of_them.inputs[2::3])

    def test_the_initial_states_are_left_alone(self) -> None:
        x = states(PENDULUM, 2)
        before = x.copy()
        result = rollout(PENDULUM, x, 2)
        result.states[:] = 0
        np.testing.assert_array_equal(x, before)

    def test_progress_hears_of_every_record(self) -> None:
        heard: list[int] = []
        rollout(PENDULUM, [0.1, 0.0], 6, every=2, progress=heard.append)
        assert heard == [2, 4, 6]

    def test_it_is_the_same_where_physics_computes_on_tensors(self, system: System) -> None:
        x, u = states(system, 3), inputs(system, 3)
        here, there = (rollout(system, x, 5, dynamics=dynamics, inputs=u) for dynamics in _numpy_and_torch(system))
        np.testing.assert_allclose(there.states, here.states, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(there.inputs, here.inputs)

    @pytest.mark.parametrize("name", models(default=True))
    def test_any_learned_dynamics_rolls_out(self, tmp_path: Path, name: str) -> None:
        there = model(name)
        path = str(write_checkpoint(tmp_path / "m.safetensors", name))
        x = states(there.system, 3)
        method = None if there.system.spec.stepping is None else get_integrator(None, there.field).name  # of its flow
        options: dict[str, Any] = {"dt": 0.05, "integrator": method}
        by_name = rollout(there.system, x, 4, dynamics=path, **options)
        made, loaded = make_dynamics(there.system, path, **options), load_checkpoint(Path(path))
        np.testing.assert_array_equal(by_name.states, rollout(there.system, x, 4, dynamics=made).states)
        np.testing.assert_array_equal(by_name.states, rollout(there.system, x, 4, dynamics=loaded, **options).states)
        np.testing.assert_allclose(by_name.states[-1], exact(there.field, x, 0.2), atol=1e-5)


class TestActions:
    def test_none_is_the_free_system_and_is_reported_as_zero(self, system: System) -> None:
        x = states(system, 2)
        free = rollout(system, x, 3)
        zero = rollout(system, x, 3, inputs=np.zeros(system.field.input_matrix.shape[-1]))
        np.testing.assert_array_equal(free.states, zero.states)
        assert not free.inputs.any()

    def test_they_may_have_any_shape_that_broadcasts(self) -> None:
        x = states(PENDULUM, 3)
        full = np.full((4, 3, 1), 0.2)
        expected = rollout(PENDULUM, x, 4, inputs=full)
        for given_shape in (0.2, [0.2], full[0], full[:, :1], full[:1]):
            result = rollout(PENDULUM, x, 4, inputs=given_shape)
            np.testing.assert_array_equal(result.states, expected.states)
            np.testing.assert_array_equal(result.inputs, full)

    def test_each_step_has_its_own(self) -> None:
        x, u = states(PENDULUM, 2), np.random.default_rng(0).standard_normal((5, 2, 1))
        result = rollout(PENDULUM, x, 5, inputs=u)
        np.testing.assert_array_equal(result.inputs, u)
        last = make_dynamics(PENDULUM).step(result.states[-2], u[-1])
        np.testing.assert_array_equal(result.states[-1], last)

    def test_a_controller_sees_time_and_states(self) -> None:
        seen = []

        def brake(time: float, x: Any) -> Any:
            seen.append((time, x))
            return -0.5 * x[:, 1:]

        result = rollout(PENDULUM, states(PENDULUM, 2), 4, inputs=brake, dt=0.1)
        np.testing.assert_allclose([time for time, _ in seen], result.times[:-1], atol=1e-15)
        np.testing.assert_array_equal([x for _, x in seen], result.states[:-1])
        np.testing.assert_array_equal(result.inputs, -0.5 * result.states[:-1, :, 1:])
        assert (result.energies[-1] < result.energies[0]).all()

    def test_a_controller_that_writes_into_its_states_changes_nothing(self) -> None:
        def careless(_: float, x: Any) -> Any:
            x[:] = 0
            return np.zeros((len(x), 1))

        x = states(PENDULUM, 2)
        np.testing.assert_array_equal(
            rollout(PENDULUM, x, 3, inputs=careless).states, rollout(PENDULUM, x, 3, inputs=0.0).states
        )


class TestDivergence:
    @pytest.mark.parametrize("method", ["rk4", "implicit_midpoint", "dop853"])
    @pytest.mark.filterwarnings("error::RuntimeWarning")
    def test_it_is_nan_from_there_on_without_touching_the_others(self, method: str) -> None:
        result = rollout(PENDULUM, [[0.0, 0.0], [2.0, 0.0], [0.0, 0.0]], 60, dynamics=exploding(method))
        assert np.isfinite(result.states[:, [0, 2]]).all()
        gone = np.isnan(result.states[:, 1]).all(-1)
        assert not gone[0]
        assert gone[-1]
        assert (np.diff(gone.astype(int)) >= 0).all()
        np.testing.assert_array_equal(np.isnan(result.states[:, 1]).any(-1), gone)
        np.testing.assert_array_equal(np.isnan(result.energies[:, 1]), gone)

    def test_a_controller_goes_on_steering_the_others(self) -> None:
        """What it makes of a diverged state is not held against it, and is reported as zero."""
        seen = []

        def feedback(_: float, x: Any) -> Any:
            seen.append(bool(np.isfinite(x).all()))
            return 1.0 + x[:, :1]

        result = rollout(PENDULUM, [[0.0, 0.0], [2.0, 0.0]], 60, dynamics=exploding(), inputs=feedback)
        assert not seen[-1]
        assert result.inputs[-1, 1] == 0.0
        np.testing.assert_array_equal(result.inputs[:, 0], 1.0)

    def test_a_collision_of_bodies_is_nan_and_no_exception(self) -> None:
        """Two bodies in the same place."""
        result = rollout("two-body", np.zeros(8), 2)
        assert np.isnan(result.states[1:]).all()
        assert np.isfinite(result.states[0]).all()


class TestRefusals:
    @pytest.mark.parametrize(
        "bad", [np.zeros(3), np.zeros((2, 4)), np.zeros((2, 2, 2)), 0.0, [], [[0.0, 0.0], [0.0]], "here", None, {}]
    )
    def test_states_of_the_wrong_shape_or_kind(self, bad: Any) -> None:
        with pytest.raises(
            InvalidStateError, match=r"states (of pendulum have shape|must be an array of numbers|must be)"
        ):
            rollout(PENDULUM, bad, 2)

    def test_the_message_names_the_shape_given_and_the_shapes_allowed(self) -> None:
        with pytest.raises(InvalidStateError, match=r"two-body have shape \(n, 8\) or \(8,\), not \(3, 2\)"):
            rollout("two-body", np.zeros((3, 2)), 2)

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_states_that_are_not_finite(self, bad: float) -> None:
        with pytest.raises(InvalidStateError, match="states must be finite"):
            rollout(PENDULUM, [[0.0, 0.0], [0.0, bad]], 2)

    @pytest.mark.parametrize("bad", [np.zeros(2), np.zeros((3, 1)), np.zeros((4, 2, 1)), np.zeros((5, 3, 1))])
    def test_actions_of_the_wrong_shape(self, bad: Any) -> None:
        with pytest.raises(InvalidActionError, match=r"shape \(5, 2, 1\) or broadcast to it, not \("):
            rollout(PENDULUM, np.zeros((2, 2)), 5, inputs=bad)

    @pytest.mark.parametrize("bad", [[[0.0], [0.0, 0.0]], "left", {}])
    def test_actions_that_are_no_numbers(self, bad: Any) -> None:
        with pytest.raises(InvalidActionError, match="inputs must be an array of numbers"):
            rollout(PENDULUM, np.zeros((2, 2)), 5, inputs=bad)
        with pytest.raises(InvalidActionError, match="inputs must be an array of numbers"):
            rollout(PENDULUM, np.zeros((2, 2)), 5, inputs=lambda *_: bad)

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_actions_that_are_not_finite(self, bad: float) -> None:
        with pytest.raises(InvalidActionError, match="inputs must be finite"):
            rollout(PENDULUM, [0.0, 0.0], 5, inputs=bad)
        with pytest.raises(InvalidActionError, match="inputs must be finite"):
            rollout(PENDULUM, [0.0, 0.0], 5, inputs=lambda *_: bad)

    def test_a_controller_that_returns_the_wrong_shape(self) -> None:
        with pytest.raises(InvalidActionError, match=r"shape \(2, 1\) or broadcast to it, not \(3, 1\)"):
            rollout(PENDULUM, np.zeros((2, 2)), 5, inputs=lambda *_: np.zeros((3, 1)))

    @pytest.mark.parametrize(
        ("steps", "every"), [(0, 1), (-1, 1), (5, 2), (4, 0), (4, -2), (2.0, 1), (2.5, 1), (4, 2.0), ("4", 1), (4, 8)]
    )
    def test_steps_and_every_that_do_not_fit(self, steps: Any, every: Any) -> None:
        with pytest.raises(
            InvalidOptionError, match=f"steps and every must be positive integers.*{steps!r} and {every!r}"
        ):
            rollout(PENDULUM, [0.0, 0.0], steps, every=every)

    def test_more_records_than_fit_into_memory(self) -> None:
        refused = r"10+ records of 2 trajectories would take .* GiB, and this machine has .*every so many steps only"
        with pytest.raises(InvalidOptionError, match=refused):
            rollout(PENDULUM, np.zeros((2, 2)), 10**12)

    def test_an_unknown_system(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown system 'spring'"):
            rollout("spring", [0.0, 0.0], 2)

    def test_unknown_dynamics_and_integrators(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown dynamics 'lstm'"):
            rollout(PENDULUM, [0.0, 0.0], 2, dynamics="lstm")
        with pytest.raises(UnknownNameError, match="unknown integrator 'euler'"):
            rollout(PENDULUM, [0.0, 0.0], 2, integrator="euler")

    def test_a_missing_checkpoint(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="does not exist"):
            rollout(PENDULUM, [0.0, 0.0], 2, dynamics=str(tmp_path / "none.safetensors"))

    def test_options_next_to_dynamics_already_made(self) -> None:
        with pytest.raises(InvalidOptionError, match="dt, substeps cannot be changed on dynamics already made"):
            rollout(PENDULUM, [0.0, 0.0], 2, dynamics=make_dynamics(PENDULUM), dt=0.1, substeps=2)

    def test_dynamics_made_for_another_system(self) -> None:
        with pytest.raises(InvalidOptionError, match="made for 'mass-spring' cannot step 'pendulum'"):
            rollout(PENDULUM, [0.0, 0.0], 2, dynamics=make_dynamics(SYSTEMS["mass-spring"]))

    def test_a_dynamics_that_is_neither_a_name_nor_made(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown dynamics 3"):
            rollout(PENDULUM, [0.0, 0.0], 2, dynamics=3)  # type: ignore[arg-type]


def test_a_damped_learned_model_loses_what_it_believes_to_be_energy(tmp_path: Path) -> None:
    identity = next(name for name in models(separable=True) if _damped(name) and "/pendulum/" in name)
    there = model(identity)
    path = str(write_checkpoint(tmp_path / "m.safetensors", identity))
    made = make_dynamics(there.system, path)
    result = rollout(there.system, states(there.system, 4), 50, dynamics=made)
    assert (np.diff(made.energy(result.states), axis=0) < 0).all()


def _numpy_and_torch(system: System) -> tuple[Dynamics, Dynamics]:
    dynamics = make_dynamics(system)
    return dynamics, replace(dynamics, device="cpu")


def _damped(identity: str) -> bool:
    field = model(identity).field
    return isinstance(field, PortHamiltonian) and field.damping is not None
