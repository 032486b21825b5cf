"""What knows no physics learns a step from a few seconds, tells its noise and its error, and can be planned in."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hnn_envs.agents.costs import cost_of
from hnn_envs.agents.ilqr import optimise
from hnn_envs.benchmarks.learning import rivals as libraries
from hnn_envs.benchmarks.learning.gaussian_process import fit_gaussian_process
from hnn_envs.benchmarks.learning.intervals import Intervals
from hnn_envs.benchmarks.learning.sparse_equations import fit_sindy
from hnn_envs.benchmarks.seconds import networks
from hnn_envs.benchmarks.seconds.rivals import FEWEST, FITS, noise_and_error, rival
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError, TrainingError, UnknownNameError
from hnn_envs.exploration.steps import StepModel
from hnn_envs.linearisation import Linearisation
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.systems import get_system
from hnn_envs.tasks import get_task
from hnn_envs.tasks.actuation import actuation_of

DT = 0.05
NOISE = 1e-2

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of libraries, about bounds that a kernel reached


@cache
def watched(steps: int = 60, noise: float = NOISE, seed: int = 0) -> Recording:
    """Two runs of the cart-pole from rest, under smooth random forces."""
    system = get_system("cart-pole")
    dynamics, rng = make_dynamics(system, "ode", dt=DT), np.random.default_rng(seed)
    runs = []
    for number in range(2):
        states, inputs, force = [np.zeros(4)], [], 0.0
        for _ in range(steps // 2):
            force = 0.7 * force + 6.5 * rng.uniform(-1, 1)
            inputs.append([force])
            states.append(dynamics.step(states[-1], np.array(inputs[-1])))
        seen = np.array(states) + noise * rng.standard_normal((len(states), 4))
        times = DT * np.arange(len(states))
        runs.append(Run(f"run {number}", times, seen[:, :2], seen[:, 2:], times[:-1], np.array(inputs)))
    spec = dynamics.spec
    return Recording("cart-pole", spec.coordinates, spec.inputs, tuple(runs), spec.input_matrix)


def states_and_inputs(count: int = 50):
    rng = np.random.default_rng(9)
    return rng.normal(size=(count, 4)), rng.normal(size=(count, 1))


def by_differences(step, states, inputs, width=2.0**-17):
    model = StepModel(None, step, None)
    return Linearisation(model.step, np.full(4, width), np.full(1, width))(states, inputs)


def needs(name: str) -> None:
    pytest.importorskip(libraries.NEEDS.get(name, "numpy"))


@cache
def learned(name: str):
    return rival(name)(watched(), dt=DT, seed=0, previous=None)


@pytest.mark.parametrize("name", FITS)
class TestEveryRival:
    def test_foretells_more_than_that_the_motion_goes_on(self, name):
        needs(name)
        data = Intervals.of(watched(noise=0.0, seed=1))
        change = np.linalg.norm(data.after - data.before, axis=1)
        missed = np.linalg.norm(learned(name).dynamics.step(data.before, data.inputs) - data.after, axis=1)
        assert np.median(missed / change) < 0.35

    def test_tells_the_noise_within_a_factor_of_two_from_twelve_seconds(self, name):
        needs(name)
        noise = rival(name)(watched(240), dt=DT, seed=0, previous=None).noise
        assert np.sqrt(np.square(noise).mean()) == pytest.approx(NOISE, rel=0.5)

    def test_is_the_same_for_the_same_seed(self, name):
        needs(name)
        again = rival(name)(watched(), dt=DT, seed=0, previous=None)
        here = states_and_inputs()
        np.testing.assert_array_equal(again.dynamics.step(*here), learned(name).dynamics.step(*here))
        np.testing.assert_array_equal(again.disturbance, learned(name).disturbance)

    def test_plans_in_it_are_of_use_in_the_true_physics(self, name):
        needs(name)
        task = get_task("cart-pole")
        truth, cost, actuation = make_dynamics(task.system, "ode", dt=DT), cost_of(task), actuation_of(task)
        start, nothing = np.array([0.3, 0.5, 0.0, 0.0]), np.zeros((10, 1))
        found, best = (optimise(each, cost, actuation, start, nothing) for each in (learned(name).dynamics, truth))
        played, still = (
            optimise(truth, cost, actuation, start, each, iterations=0, gains=False).cost
            for each in (found.actions, nothing)
        )
        assert still - played > 0.8 * (still - best.cost) > 0

    def test_two_steps_alone_are_refused(self, name):
        needs(name)
        with pytest.raises(TrainingError, match=f"from 2 steps of cart-pole; {FEWEST} are the fewest"):
            rival(name)(watched(2), dt=DT, seed=0, previous=None)


def test_the_fewest_steps_are_enough_for_the_networks(monkeypatch):
    monkeypatch.setattr(networks, "STEPS", 50)
    assert np.isfinite(rival("pets")(watched(FEWEST), dt=DT, seed=0, previous=None).disturbance).all()


class TestDerivatives:
    def test_of_the_gaussian_process(self):
        needs("gaussian-process")
        process, here = fit_gaussian_process(watched(), 0), states_and_inputs()
        for closed, differences in zip(process.jacobian(*here), by_differences(process, *here), strict=True):
            np.testing.assert_allclose(closed, differences, atol=1e-6)

    def test_of_sparse_equations_with_dry_friction(self):
        needs("sindy")
        fitted, here = fit_sindy(watched(), 0), states_and_inputs()
        rng = np.random.default_rng(3)
        equations = replace(fitted, coefficients=0.1 * rng.standard_normal(fitted.coefficients.shape), substeps=1)
        near = replace(equations, data=replace(fitted.data, dt=1e-3))  # no velocity changes its sign
        for closed, differences in zip(near.jacobian(*here), by_differences(near, *here), strict=True):
            np.testing.assert_allclose(closed, differences, atol=1e-9)

    def test_of_the_networks(self, monkeypatch):
        monkeypatch.setattr(networks, "STEPS", 50)
        trained, here = networks.fit_networks(Intervals.of(watched()), 0), states_and_inputs()
        weights, biases = ([each.astype(float) for each in layers] for layers in (trained.weights, trained.biases))
        double = replace(trained, weights=tuple(weights), biases=tuple(biases))
        for closed, differences in zip(double.jacobian(*here), by_differences(double, *here), strict=True):
            np.testing.assert_allclose(closed, differences, atol=1e-8)


class TestGaussianProcess:
    def test_a_point_is_left_out_as_if_it_had_not_been_seen(self):
        needs("gaussian-process")
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        process, number = fit_gaussian_process(watched(), 0), 2
        kernel = ConstantKernel(process.heights[number]) * RBF(process.lengths[number])
        kernel += WhiteKernel(process.white[number])
        known = process.data.beyond[process.rows, number] / process.size[number]
        others = GaussianProcessRegressor(kernel, alpha=1e-10, optimizer=None).fit(process.points[1:], known[1:])
        mean, deviation = others.predict(process.points[:1], return_std=True)
        missed, unsure = process.left_out()
        assert missed[0, number] / process.size[number] == pytest.approx(known[0] - mean[0], rel=1e-6)
        spread = deviation[0] ** 2 - process.white[number]
        assert unsure[0, number] / process.size[number] ** 2 == pytest.approx(spread, rel=1e-6)


class TestSparseEquations:
    def test_without_the_terms_that_are_nothing_they_are_the_same(self):
        needs("sindy")
        fitted, here = fit_sindy(watched(), 0), states_and_inputs()
        lighter = fitted.lighter(fitted.substeps)
        assert len(lighter.factors) < len(fitted.factors)
        np.testing.assert_allclose(lighter(*here), fitted(*here), rtol=1e-12)


class TestNetworks:
    def test_another_seed_trains_others(self, monkeypatch):
        monkeypatch.setattr(networks, "STEPS", 20)
        data, here = Intervals.of(watched()), states_and_inputs()
        one, other = (networks.fit_networks(data, seed) for seed in (0, 1))
        assert not np.array_equal(one(*here), other(*here))

    def test_members_disagree_where_nothing_was_seen(self):
        trained = learned("pets").dynamics.function
        data = trained.data
        here, far = (trained.changes(scale * data.before, data.inputs).std(axis=0).mean() for scale in (1.0, 5.0))
        assert far > 3 * here


class TestNoiseAndError:
    def of_the_truth(self, push):
        """Of the true physics, in which every velocity is pushed in every step by so much, unforeseen."""
        system, rng = get_system("cart-pole"), np.random.default_rng(4)
        truth = make_dynamics(system, "ode", dt=DT)
        x, states, inputs = np.zeros(4), [], rng.normal(size=(4000, 1))
        for u in inputs:
            states.append(x)
            x = truth.step(x, u) + push * np.array([0, 0, 1, 1]) * rng.standard_normal(4)
        seen = np.array([*states, x]) + NOISE * rng.standard_normal((4001, 4))
        data = Intervals(seen[:-1], seen[1:], inputs, DT, system.spec.angles, np.zeros(4000, dtype=int))
        missed = data.after - truth.step(data.before, inputs)
        return [np.sqrt(each) for each in noise_and_error(missed, truth.jacobian(data.before, inputs)[0], data)]

    def test_both_are_found(self):
        noise, error = self.of_the_truth(0.03)
        np.testing.assert_allclose(noise, NOISE, rtol=0.25)
        np.testing.assert_allclose(error[2:], 0.03, rtol=0.1)

    def test_where_there_is_no_error_little_is_found(self):
        noise, error = self.of_the_truth(0.0)
        np.testing.assert_allclose(noise, NOISE, rtol=0.1)
        assert (error < 0.7 * NOISE).all()


class TestAnyStep:
    def test_leading_axes_are_kept_and_broadcast(self):
        truth = make_dynamics("cart-pole", "ode", dt=DT)
        model = StepModel(truth.spec, truth.step, truth.jacobian)
        x, u = np.random.default_rng(0).normal(size=(3, 1, 4)), np.random.default_rng(1).normal(size=(5, 1))
        whole = [np.broadcast_to(x, (3, 5, 4)), np.broadcast_to(u, (3, 5, 1))]
        np.testing.assert_array_equal(model.step(x, u), truth.step(*whole))
        for found, true in zip(model.jacobian(x, u), truth.jacobian(*whole), strict=True):
            np.testing.assert_array_equal(found, true)

    def test_a_single_state_is_one(self):
        truth = make_dynamics("cart-pole", "ode", dt=DT)
        model = StepModel(truth.spec, truth.step, truth.jacobian)
        assert model.step(np.zeros(4), np.ones(1)).shape == (4,)
        assert [each.shape for each in model.jacobian(np.zeros(4), np.ones(1))] == [(4, 4), (4, 1)]


class TestRefused:
    def changed(self, **fields):
        recording = watched()
        return replace(recording, runs=(replace(recording.runs[0], **fields), *recording.runs[1:]))

    def test_an_unknown_rival(self):
        with pytest.raises(UnknownNameError, match="unknown rival 'pilco'; allowed: gaussian-process, pets, sindy"):
            rival("pilco")

    def test_one_whose_library_is_not_there(self, monkeypatch):
        monkeypatch.setattr(libraries, "find_spec", lambda name: None)
        with pytest.raises(InvalidOptionError, match='sindy needs pysindy; install hnn_envs with the extra "rivals"'):
            rival("sindy")

    @pytest.mark.parametrize("name", ["positions", "velocities", "inputs"])
    def test_what_is_not_finite(self, name):
        values = getattr(watched().runs[0], name).copy()
        values[3, 0] = np.nan
        with pytest.raises(TrainingError, match="states or inputs are not finite"):
            rival("pets")(self.changed(**{name: values}), dt=DT, seed=0, previous=None)

    def test_another_step(self):
        with pytest.raises(InvalidOptionError, match=r"states of recording 'cart-pole' must be 0\.1 apart"):
            rival("pets")(watched(), dt=0.1, seed=0, previous=None)

    def test_no_velocities(self):
        with pytest.raises(InvalidOptionError, match="has no velocities"):
            rival("pets")(self.changed(velocities=None), dt=DT, seed=0, previous=None)

    def test_inputs_that_change_between_states(self):
        late = watched().runs[0].input_times + 0.01
        with pytest.raises(InvalidOptionError, match="an input for every step"):
            rival("pets")(self.changed(input_times=late), dt=DT, seed=0, previous=None)

    def test_inputs_of_which_nobody_says_what_they_push(self):
        with pytest.raises(InvalidOptionError, match="must say by input_matrix"):
            rival("pets")(replace(watched(), input_matrix=None), dt=DT, seed=0, previous=None)
