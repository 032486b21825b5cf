"""Recordings on a grid of time, and fits of models with free initial states through their windows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from watched_systems import watch_swing, watch_system

from hnn_envs.dynamics import make_dynamics
from hnn_envs.fitting.losses import TrajectoryLoss
from hnn_envs.fitting.pruning import eliminate_by_evidence
from hnn_envs.fitting.windows import Prior, Shooting, damped_step, run_through
from hnn_envs.kernels import make_step
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.recording import Run
from hnn_envs.recordings.smoothing import path_of
from hnn_envs.recordings.windows import Windows, cut, mean_inputs, watch
from hnn_envs.systems import get_system

NUMBERS = st.floats(-10, 10)


def stepper(field, dt):
    made = make_dynamics("cart-pole", dt=dt)
    return make_step(field, made.integrator, dt, made.substeps)


@settings(max_examples=50, deadline=None)
@given(
    gaps=arrays(np.float64, 7, elements=st.floats(0.01, 2)),
    values=arrays(np.float64, (8, 2), elements=NUMBERS),
    share=st.floats(0, 1),
)
def test_the_mean_of_inputs_times_the_span_is_their_integral(gaps, values, share):
    times = np.concatenate(([0.0], np.cumsum(gaps)))
    run = Run("r", times, np.zeros((8, 1)), None, times, values)
    edges = np.array([0.0, share * times[-1], times[-1]])
    if np.diff(edges).min() < 1e-6:
        return
    whole = (mean_inputs(run, edges) * np.diff(edges)[:, None]).sum(axis=0)
    np.testing.assert_allclose(whole, (values[:-1] * np.diff(times)[:, None]).sum(axis=0), atol=1e-6)


def test_inputs_that_change_at_the_edges_only_are_kept_to_the_bit():
    run = watch_system("cart-pole", 5).runs[0]
    np.testing.assert_array_equal(mean_inputs(run, run.times), run.inputs)


def test_even_samples_are_the_grid():
    watched = watch(watch_system("cart-pole", 10))
    assert watched.even
    assert watched.dt == pytest.approx(0.05)


def test_dense_samples_are_put_on_a_coarser_grid():
    watched = watch(watch_swing(10, dt=0.002))
    assert watched.dt > 0.004
    assert watched.dt == pytest.approx(0.002 * round(watched.dt / 0.002))


@pytest.mark.parametrize("frequency", [0.5, 2.0, 5.0])
def test_the_time_scale_of_a_harmonic_motion_is_its_period(frequency):
    times = np.arange(0, 20, 0.01)
    q, v = np.sin(frequency * times), frequency * np.cos(frequency * times)
    run = Run("r", times, q[:, None], v[:, None], times[:1], np.zeros((1, 0)))
    recording = replace(watch_swing(1, largest_input=0.0), runs=(run,))
    assert watch(recording).time_scale == pytest.approx(2 * np.pi / frequency, rel=0.15)


def test_a_path_meets_samples_that_are_not_dense():
    run = watch_system("cart-pole", 5).runs[0]
    path = path_of(run, 1e-3)
    np.testing.assert_allclose(path.states(run.times), np.concatenate((run.positions, run.velocities), axis=1))


def test_a_path_through_positions_has_their_slopes():
    times = np.linspace(0, 10, 300)
    run = Run("r", times, np.sin(times)[:, None], None, times[:1], np.zeros((1, 0)))
    np.testing.assert_allclose(path_of(run, 0.1).velocities(times[5:-5])[:, 0], np.cos(times[5:-5]), atol=1e-3)


def test_means_of_dense_samples_lower_the_noise():
    recording = watch_swing(10, dt=0.002, noise=0.05)
    clean = watch_swing(10, dt=0.002).runs[0]
    path = path_of(recording.runs[0], 0.06)
    inner = clean.times[100:-100]
    missed = path.positions(inner) - clean.positions[100:-100]
    assert missed.std() < 0.02


def test_windows_follow_each_other_and_hold_all_samples():
    watched = watch(watch_system("cart-pole", 10))
    windows = cut(watched, 7, [(0, 0.0, 10.0)])
    assert len(windows) == int(np.ceil(200 / 7))
    assert windows.present.sum() == 201 + len(windows) - 1  # neighbours share the sample between them


def test_samples_between_grid_points_are_on_the_cubic_of_both_ends():
    times = np.array([[0.0, 0.03, 0.1, 0.17, 0.2]])
    coefficients = np.array([0.3, -1.0, 2.0, 4.0])
    q = np.polynomial.polynomial.polyval(times, coefficients)
    v = np.polynomial.polynomial.polyval(times, np.polynomial.polynomial.polyder(coefficients))
    grid = np.array([0.0, 0.1, 0.2])
    path = np.stack(
        (
            np.polynomial.polynomial.polyval(grid, coefficients),
            np.polynomial.polynomial.polyval(grid, np.polynomial.polynomial.polyder(coefficients)),
        ),
        axis=-1,
    )[None]
    values = np.stack((q, v), axis=-1)
    windows = Windows(0.1, path[:, 0], np.zeros((1, 2, 0)), times, values, np.ones((1, 5), dtype=bool))
    np.testing.assert_allclose(windows.shown(path), values, atol=1e-12)


def test_the_true_machine_misses_nothing_of_its_recording():
    truth = get_system("cart-pole")
    windows = cut(watch(watch_system("cart-pole", 10)), 10, [(0, 0.0, 10.0)])
    shooting = Shooting(lambda _: truth.field, stepper, windows, np.ones(4), np.zeros(1, dtype=bool), Prior.none(1))
    assert np.abs(shooting.missed(np.zeros(1), windows.starts)).max() < 1e-8


def test_starts_are_fitted_from_noisy_ones():
    truth = get_system("cart-pole")
    clean = cut(watch(watch_system("cart-pole", 10)), 10, [(0, 0.0, 10.0)])
    noisy = cut(watch(watch_system("cart-pole", 10, noise=1e-2)), 10, [(0, 0.0, 10.0)])
    shooting = Shooting(lambda _: truth.field, stepper, noisy, np.full(4, 1e-2), np.zeros(1, dtype=bool), Prior.none(1))
    shot = shooting.begin(np.zeros(1))
    before, after = (np.abs(starts - clean.starts).mean() for starts in (noisy.starts, shot.starts))
    assert after < 0.6 * before
    np.testing.assert_allclose(shooting.measured_noise(shot), 1e-2, rtol=0.15)


def test_eliminating_starts_gives_the_step_of_the_whole_problem():
    rng = np.random.default_rng(0)
    residuals, by_model = rng.standard_normal((3, 8)), rng.standard_normal((3, 8, 4))
    by_start = rng.standard_normal((3, 8, 2))
    scale, damping = np.ones(4), 0.1
    unlikely, sharpness = rng.standard_normal(4), np.array([0.0, 0.5, 2.0, 10.0])
    change, moved, _ = damped_step(residuals, by_model, by_start, unlikely, sharpness, damping, scale)
    table = np.zeros((24 + 10 + 4, 10))
    for window in range(3):
        rows = slice(8 * window, 8 * window + 8)
        table[rows, :4] = by_model[window]
        table[rows, 4 + 2 * window : 6 + 2 * window] = by_start[window]
    sizes = np.concatenate((scale, np.linalg.norm(by_start, axis=1).ravel()))
    table[24:34] = np.sqrt(damping) * np.diag(sizes)
    table[34:, :4] = np.diag(sharpness)
    target = np.concatenate((residuals.ravel(), np.zeros(10), unlikely))
    dense = np.linalg.lstsq(table, -target, rcond=None)[0]
    np.testing.assert_allclose(change, dense[:4], atol=1e-10)
    np.testing.assert_allclose(moved.ravel(), dense[4:], atol=1e-10)


def test_where_windows_say_nothing_the_prior_decides():
    windows = cut(watch(watch_system("cart-pole", 5)), 10, [(0, 0.0, 5.0)])
    truth = get_system("cart-pole")
    prior = Prior(np.array([0.3]), np.array([0.1]))
    shooting = Shooting(lambda _: truth.field, stepper, windows, np.full(4, 1e-2), np.ones(1, dtype=bool), prior)
    shot = shooting.fit(shooting.begin(np.ones(1)), 40)
    np.testing.assert_allclose(shot.flat, 0.3, atol=1e-3)


def test_a_model_that_diverges_is_no_reason_to_fail():
    windows = cut(watch(watch_system("cart-pole", 5)), 10, [(0, 0.0, 5.0)])

    def lost(field, dt):
        return lambda x, u: np.full_like(x, np.nan)

    shooting = Shooting(lambda _: None, lost, windows, np.ones(4), np.ones(1, dtype=bool), Prior.none(1))
    shot = shooting.fit(shooting.begin(np.zeros(1)), 3)
    assert np.isfinite(shot.loss)
    assert run_through(None, lost, windows, windows.starts).shape == (len(windows), 11, 4)


def test_evidence_keeps_what_is_needed_and_drops_what_is_not():
    rng = np.random.default_rng(0)
    jacobian = rng.standard_normal((500, 6))
    truth = np.array([1.0, 0.0, -0.5, 0.0, 0.0, 0.3])
    data = jacobian @ truth + rng.standard_normal(500)
    fitted = np.linalg.lstsq(jacobian, data, rcond=None)[0]
    kept = eliminate_by_evidence(fitted, jacobian, jacobian @ fitted - data, np.ones(6, dtype=bool))
    assert ((kept != 0) == (truth != 0)).all()


def test_what_may_not_be_dropped_stays():
    jacobian = np.eye(3)
    kept = eliminate_by_evidence(np.full(3, 1e-3), jacobian, np.zeros(3), np.array([True, False, True]))
    assert (kept != 0).tolist() == [False, True, False]


def test_a_trajectory_is_predicted_under_the_inputs_of_each_interval():
    system = get_system("pendulum")
    made, rng = make_dynamics("pendulum", dt=0.1), np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (5, 4, 1))
    states = [system.sample_states(rng, 5)]
    for step in range(3):
        states.append(made.step(states[-1], inputs[:, step]))
    path = np.stack(states, axis=1)
    data = Dataset(0.1 * np.arange(4), path, np.zeros_like(path), inputs)
    for scaled in (False, True):
        loss = TrajectoryLoss(horizon=3, integrator="rk4", substeps=10, scaled=scaled)
        missed = loss.residuals(system.field, loss.prepare(data, torch.float64))
        assert float(missed.abs().max()) < 1e-6
