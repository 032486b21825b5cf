"""Bodies that meet: steps through encounters by arrays and by machine code, of true and of learned pairs."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import gymnasium as gym
import numpy as np
import physics
import pytest
import torch
from scipy.integrate import solve_ivp

from hnn_envs.arrays import Array
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import PortHamiltonian
from hnn_envs.integrators import BLANES_MOAN4, INTEGRATORS, get_integrator
from hnn_envs.integrators.encounters import Encounters, fastest_pace, pace
from hnn_envs.systems import SYSTEMS
from hnn_envs.tasks import TASKS

THREE, TWO = SYSTEMS["three-body"], SYSTEMS["two-body"]
TASK = TASKS["three-body"]
STARTS, STEPS = 64, 4000
PHYSICS = ("ode", "hnn")


@cache
def dynamics(name: str, system: str = "three-body") -> Dynamics:
    """The default physics with the step of the task."""
    return make_dynamics(system, name, dt=TASKS[system].dt)


def by_arrays(made: Dynamics, x: Array, u: Array | None = None) -> Array:
    """The step of the array code."""
    with np.errstate(all="ignore"):
        return made.integrator.advance(made.field, x, u, made.dt / made.substeps, made.substeps)


def exact(field: PortHamiltonian, x: Array, time: float, u: Array | None = None) -> Array:
    """DOP853 a little tighter than the reference integrator, whose own error would show."""
    held = np.zeros((len(x), 0)) if u is None else u
    runs = [
        solve_ivp(
            lambda _, y, v=v: field(y, v if u is not None else None), (0, time), row, "DOP853", rtol=1e-13, atol=1e-14
        )
        for row, v in zip(x, held, strict=True)
    ]
    return np.array([run.y[:, -1] for run in runs])


@cache
def accepted(count: int) -> Array:
    """States that a reset accepts, from all over the task's domain, half of them with bodies close to each other."""
    rng = np.random.default_rng(0)
    q, p = rng.uniform(-3.5, 3.5, (200 * count, 3, 2)), rng.uniform(-3, 3, (200 * count, 3, 2))
    q[::2] *= rng.uniform(0.15, 1, (100 * count, 1, 1))
    x = np.concatenate([(v - v.mean(1, keepdims=True)).reshape(-1, 6) for v in (q, p)], axis=-1)
    inside = (np.abs(x) <= TASK.high).all(-1) & ~np.array(TASK.terminated(x), dtype=bool)
    return x[inside][:count]


def aimed(count: int, seed: int = 1) -> Array:
    """Two of three bodies, 0.5 apart, about to pass each other closely."""
    rng = np.random.default_rng(seed)
    angle, speed = rng.uniform(0, 2 * math.pi, count), rng.uniform(0.5, 3.0, count)
    ahead = np.stack((np.cos(angle), np.sin(angle)), axis=-1)
    aside = np.stack((-ahead[:, 1], ahead[:, 0]), axis=-1) * rng.uniform(0.001, 0.1, (count, 1))
    pair = 0.25 * ahead
    q = np.concatenate((pair, -pair, 2.5 * rng.choice((-1, 1), (count, 2))), axis=-1)
    p = np.concatenate((aside - speed[:, None] * ahead, speed[:, None] * ahead - aside, 0 * ahead), axis=-1)
    return np.concatenate((q, p), axis=-1)


def pericentre(distance: float) -> tuple[Array, float]:
    """Two bodies at rest's edge, one apart, on an ellipse whose closest distance is given; and its period."""
    size = (1 + distance) / 2
    speed = math.sqrt(2 * (2 - 1 / size)) / 2  # of each body; v^2 = 2 (2 / r - 1 / a) for two unit masses
    x = np.array([0.5, 0.0, -0.5, 0.0, 0.0, speed, 0.0, -speed])
    return x, 2 * math.pi * math.sqrt(size**3 / 2)


class TestTargets:
    @pytest.mark.parametrize("name", PHYSICS)
    def test_the_energy_stays_through_every_encounter_from_unseen_starts(self, name: str) -> None:
        made = make_dynamics("three-body", name)
        x = THREE.sample_states(np.random.default_rng([5, 7]), STARTS)
        start = THREE.value(x)
        worst, closest = np.zeros(STARTS), np.full(STARTS, np.inf)
        for _ in range(STEPS):
            x = made.step(x)
            worst = np.maximum(worst, np.abs(THREE.value(x) / start - 1))
            closest = np.minimum(closest, THREE.closest_distance(x))
        assert np.median(closest) < 0.2  # of those that a step ends in; what lies between is far closer
        assert np.median(worst) <= 1e-4
        assert np.quantile(worst, 0.95) <= 1e-2
        assert name != "ode" or worst.max() <= 1e-8

    def test_a_step_from_wherever_a_reset_may_begin_is_that_of_dop853(self) -> None:
        made, x = dynamics("ode"), np.concatenate((accepted(60), aimed(60)))
        np.testing.assert_allclose(made.step(x), exact(made.field, x, made.dt), atol=1e-10)
        np.testing.assert_allclose(made.step(x), physics.exact(made.field, x, made.dt), atol=1e-9)

    def test_a_closed_orbit_closes(self) -> None:
        """After a period, through a pericentre that is ten thousand times closer than the apocentre."""
        x, period = pericentre(1e-4)
        made = make_dynamics("two-body", "ode", dt=period / 50)
        y = x
        for _ in range(50):
            y = made.step(y)
        np.testing.assert_allclose(y, x, atol=1e-9)

    def test_far_from_the_origin_an_encounter_is_the_same_encounter(self) -> None:
        """A thousand units away the positions of bodies 1e-6 apart have four digits left; the step needs sixteen."""
        x, period = pericentre(1e-6)
        away = x.copy()
        away[:4] += 1000.0
        made = make_dynamics("two-body", "ode", dt=period)
        y = made.step(away)
        assert TWO.value(y) == pytest.approx(TWO.value(away), rel=1e-8)
        np.testing.assert_allclose(y[:4] - 1000.0, made.step(x)[:4], atol=1e-6)


class TestCalm:
    @pytest.mark.parametrize("name", PHYSICS)
    def test_without_an_encounter_the_steps_are_those_of_the_splitting_and_retrace(self, name: str) -> None:
        made = dynamics(name)
        plain = make_dynamics("three-body", name, dt=made.dt, integrator="blanes_moan4", substeps=made.substeps)
        x = THREE.sample_states(np.random.default_rng(2), 70)
        y = made.step(x)
        np.testing.assert_array_equal(y, plain.step(x))
        mirror = np.repeat([1.0, -1.0], 6)
        np.testing.assert_allclose(mirror * made.step(mirror * y), x, atol=1e-14)

    def test_the_pace_is_that_of_the_fastest_pair(self) -> None:
        """On a circle of separation r, |v| / r = sqrt(|a| / r) = sqrt(2 / r^3)."""
        radius = 0.7
        speed = math.sqrt(2 / (2 * radius)) / 2
        x = np.array([radius, 0.0, -radius, 0.0, 0.0, speed, 0.0, -speed])
        assert pace(TWO.field, x, None) == pytest.approx(math.sqrt(2 / (2 * radius) ** 3))
        resting = np.concatenate((x[:4], np.zeros(4)))
        assert pace(TWO.field, resting, None) == pytest.approx(math.sqrt(2 / (2 * radius) ** 3))

    def test_a_body_that_passes_between_two_looks_is_not_missed(self) -> None:
        """It comes from four units away, and is as far on the other side when the step ends."""
        x = np.array([-4.0, 0.01, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0])
        made = make_dynamics("two-body", "ode", dt=2.0, substeps=40)
        assert pace(made.field, x, None) < 2 * fastest_pace(2.0 / 40, 1)
        np.testing.assert_allclose(made.step(x), exact(made.field, x[None], 2.0)[0], atol=1e-9)


class TestThrough:
    @pytest.mark.parametrize("name", PHYSICS)
    def test_a_batch_moves_bit_for_bit_as_its_states_alone_and_as_by_arrays(self, name: str) -> None:
        made = dynamics(name)
        rng = np.random.default_rng(3)
        x = np.concatenate((aimed(40), THREE.sample_states(rng, 40)))[rng.permutation(80)]
        u = rng.uniform(-0.1, 0.1, (80, 4))
        together = made.step(x, u)
        np.testing.assert_array_equal(together, np.stack([made.step(*row) for row in zip(x, u, strict=True)]))
        arrays = by_arrays(made, x, u)
        np.testing.assert_allclose(arrays, together, atol=1e-11)
        np.testing.assert_array_equal(
            arrays[:9].reshape(3, 3, 12), by_arrays(made, x[:9].reshape(3, 3, 12), u[:9].reshape(3, 3, 4))
        )

    def test_the_array_code_moves_a_batch_bit_for_bit_as_its_states_alone(self) -> None:
        made, x = dynamics("ode"), aimed(9)
        np.testing.assert_array_equal(by_arrays(made, x), np.stack([by_arrays(made, row) for row in x]))

    @pytest.mark.parametrize("damping", [None, 0.4])
    def test_inputs_and_damping_go_through_too(self, damping: float | None) -> None:
        field = replace(THREE.field, damping=damping)
        x, u = aimed(12), np.random.default_rng(4).uniform(-1, 1, (12, 4))
        step = Encounters(BLANES_MOAN4)
        expected = exact(field, x, 0.1, u)
        np.testing.assert_allclose(step(field, x, u, 0.01, 10), expected, atol=1e-10)
        for torch_x, torch_u in [(torch.tensor(x), torch.tensor(u))]:
            np.testing.assert_allclose(step(field, torch_x, torch_u, 0.01, 10).numpy(), expected, atol=1e-10)

    def test_back_through_an_encounter_leads_to_where_it_began(self) -> None:
        x, step = aimed(12), Encounters(BLANES_MOAN4)
        there = step(THREE.field, x, None, 0.02, 10)
        np.testing.assert_allclose(step(THREE.field, there, None, -0.02, 10), x, atol=1e-9)

    @pytest.mark.parametrize("identity", [each for each in physics.models(separable=True) if "pairwise" in each])
    def test_learned_pairs_of_any_sign_go_through_as_they_should(self, identity: str) -> None:
        """Drawn at random, they repel as often as they attract."""
        field, system = physics.model(identity).field, physics.system_of(identity)
        x = system.sample_states(np.random.default_rng(6), 8)
        x[:, : system.spec.dof] *= 0.1
        expected = exact(field, x, 0.1)
        np.testing.assert_allclose(get_integrator(None, field).advance(field, x, None, 0.02, 5), expected, atol=1e-9)


class TestMeeting:
    @pytest.mark.parametrize("name", PHYSICS)
    def test_bodies_that_meet_are_nan_in_their_row_alone(self, name: str) -> None:
        made = dynamics(name)
        x = THREE.sample_states(np.random.default_rng(8), 70)
        expected = made.step(x)
        straight = np.zeros(12)
        straight[:6] = 0.01, 0.0, -0.01, 0.0, 3.0, 0.0  # at rest on a line
        same = x[5].copy()
        same[2:4] = same[:2]
        x[[5, 66]] = same, straight
        for found in (made.step(x), by_arrays(made, x)):
            assert np.isnan(found[[5, 66]]).all()
            np.testing.assert_allclose(np.delete(found, (5, 66), 0), np.delete(expected, (5, 66), 0), atol=1e-12)
        assert np.isnan(made.step(same)).all()
        assert np.isnan(made.step(straight)).all()

    def test_an_environment_flags_them_and_keeps_the_last_finite_state(self) -> None:
        env = gym.make("hnn_envs:hnn_envs/ThreeBody-v0", dynamics="ode", dt=0.1).unwrapped
        head_on = np.repeat([0.18, -0.18, 2.4, -2.9, 2.9, 0.0], 2)  # all on one line
        env.reset(options={"state": head_on})
        observation, reward, _, truncated, info = env.step(np.zeros(4, np.float32))
        assert (truncated, info["out_of_domain"], info["diverged"]) == (True, 1, 1)
        assert np.isfinite(observation).all()
        assert math.isfinite(reward)
        np.testing.assert_array_equal(env.state, head_on)


def test_a_field_without_pairs_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match=r"'encounters' needs bodies that act in pairs.*allowed: blanes_moan4"):
        get_integrator("encounters", SYSTEMS["pendulum"].field)
    with pytest.raises(InvalidOptionError, match="act on each other in pairs"):
        INTEGRATORS["encounters"].step(SYSTEMS["pendulum"].field, np.zeros(2), None, 0.1)
