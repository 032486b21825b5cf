"""The model-free references of the seconds benchmark: trials from rest hanging with noise, SAC and PPO, policies."""

import math

import numpy as np
import pytest

from hnn_envs.agents.hyperparameters import load_hyperparameters
from hnn_envs.benchmarks.seconds import model_free
from hnn_envs.benchmarks.seconds.environments import TrialVecEnv
from hnn_envs.benchmarks.seconds.model_free import seconds_until_solved
from hnn_envs.benchmarks.seconds.policies import solved_trials, train_policy
from hnn_envs.benchmarks.seconds.trials import Trials, _momenta, play_trials, steps_of
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.sb3 import make_vec_env
from hnn_envs.systems import get_system
from hnn_envs.tasks import TASKS

UPRIGHT = ("pendulum", "cart-pole", "acrobot", "pendubot")
every_task = pytest.mark.parametrize("task", [TASKS[name] for name in UPRIGHT], ids=UPRIGHT)
TINY = {"n_timesteps": 200, "n_envs": 4, "policy": "MlpPolicy", "normalize": True, "n_steps": 25, "batch_size": 50}


def make_trials(task, count=1, noise=0.0, seed=0):
    return Trials(task, make_dynamics(task.system, dt=task.dt), count, noise=noise, seed=seed)


class Held:
    """Physics of a task in which states are what a function of the step says."""

    def __init__(self, task, states):
        self.spec, self.states, self.done = task.system.spec, states, 0

    def step(self, x, u):
        self.done += 1
        return np.broadcast_to(self.states(self.done), x.shape)


def play_held(task, states):
    """Whether a trial is solved whose states after each step are given."""
    return play_trials(Trials(task, Held(task, states), noise=0.0, seed=0), task, lambda seen: np.zeros((1, 1))).all()


@every_task
def test_trials_begin_at_rest_hanging_and_last_four_seconds(task):
    trials = make_trials(task)
    np.testing.assert_array_equal(trials.reset(), task.observation(np.zeros((1, len(task.low)))))
    ended = [bool(trials.step(np.zeros((1, 1))).ended[0]) for _ in range(2 * trials.steps)]
    assert np.flatnonzero(ended).tolist() == [trials.steps - 1, 2 * trials.steps - 1]
    assert trials.steps == {"pendulum": 79}.get(task.name, 80)


@every_task
def test_trials_without_noise_are_what_the_environments_do(task):
    name = "".join(word.capitalize() for word in task.name.split("-"))
    theirs, ours, rng = make_vec_env(name, 3), TrialVecEnv(make_trials(task, 3)), np.random.default_rng(0)
    theirs.set_options({"state": np.zeros(len(task.low))})
    np.testing.assert_array_equal(theirs.reset(), ours.reset())
    for _ in range(40):
        actions = rng.uniform(-1, 1, (3, 1)).astype(np.float32)
        for given, wanted in zip(ours.step(actions)[:3], theirs.step(actions)[:3], strict=True):
            np.testing.assert_array_equal(given, wanted)


@every_task
def test_the_noise_is_on_positions_and_velocities_as_they_are_seen(task):
    trials = make_trials(task, 4000, noise=1e-2)
    seen = trials.reset().astype(np.float64)
    spread, dof = seen.std(0), task.system.spec.dof
    moving = spread[-dof:] * (2.0 if task.name == "pendulum" else 1.0)  # v = 2 p
    np.testing.assert_allclose(moving, 1e-2, rtol=0.05)
    np.testing.assert_allclose(spread[seen.mean(0) < 0.5][:dof], 1e-2, rtol=0.05)  # sines, and the cart's place


def test_the_noise_of_momenta_is_that_of_velocities_times_the_mass_matrix():
    pendulum, x = get_system("pendulum"), np.array([[0.3, 0.2], [2.0, -1.0]])
    np.testing.assert_allclose(_momenta(pendulum, x, np.array([[1.0], [3.0]])), [[0.5], [1.5]])


def test_an_episode_that_ends_is_seen_to_its_end_and_the_next_begins_at_rest():
    task = TASKS["cart-pole"]
    environments = TrialVecEnv(make_trials(task, 2))
    environments.reset()
    actions, done = np.array([[1.0], [0.0]]), [False]
    while not done[0]:
        seen, reward, done, infos = environments.step(actions)
    assert infos[0]["terminal_observation"][0] > task.track
    assert (infos[0]["TimeLimit.truncated"], reward[0]) == (False, 0.0)
    assert infos[1] == {}
    np.testing.assert_array_equal(seen[0], task.observation(np.zeros(4)))


def test_physics_that_diverges_ends_an_episode_by_truncation_and_is_never_seen():
    task = TASKS["acrobot"]
    environments = TrialVecEnv(Trials(task, Held(task, lambda step: np.full(4, np.nan)), noise=0.0, seed=0))
    environments.reset()
    seen, reward, done, infos = environments.step(np.zeros((1, 1)))
    assert bool(done[0])
    assert infos[0]["TimeLimit.truncated"]
    assert np.isfinite(seen).all()
    assert np.isfinite(reward).all()
    assert np.isfinite(infos[0]["terminal_observation"]).all()


@every_task
def test_a_trial_is_solved_if_all_is_upright_for_the_last_second(task):
    steps, held = make_trials(task).steps, steps_of(task, 1.0)
    assert play_held(task, lambda step: task.goal * (step > steps - held))


@every_task
def test_a_trial_is_not_solved_if_upright_is_reached_a_step_late(task):
    steps, held = make_trials(task).steps, steps_of(task, 1.0)
    assert not play_held(task, lambda step: task.goal * (step > steps - held + 1))


@every_task
def test_a_trial_is_not_solved_if_it_leans_a_little_too_far(task):
    hinge = int(np.flatnonzero(task.goal)[0])
    lean = np.eye(len(task.goal))[hinge]
    assert play_held(task, lambda step: task.goal + 0.249 * lean)
    assert not play_held(task, lambda step: task.goal + 0.251 * lean)


def test_a_trial_that_runs_off_the_track_is_not_solved():
    task = TASKS["cart-pole"]
    assert not play_held(task, lambda step: task.goal + np.array([2.5 * (step == 20), 0, 0, 0]))


def test_physics_with_other_states_than_the_tasks_are_refused():
    task = TASKS["pendulum"]
    with pytest.raises(InvalidOptionError, match="allowed: 1 coordinates and their momenta"):
        Trials(task, make_dynamics("cart-pole"), seed=0)


@pytest.mark.parametrize("algorithm", ["sac", "ppo"])
def test_the_experience_is_that_before_the_first_solved_trial(monkeypatch, algorithm):
    monkeypatch.setattr(model_free, "load_hyperparameters", lambda task: TINY)
    tried = []

    def solved(trials, task, act):
        tried.append(act(trials.reset()))
        return np.array([len(tried) == 3])

    monkeypatch.setattr(model_free, "play_trials", solved)
    assert seconds_until_solved("cart-pole", algorithm, 0, budget=60.0, every=5.0) == pytest.approx(15.0)
    assert [action.shape for action in tried] == [(1, 1)] * 3


@pytest.mark.parametrize("algorithm", ["sac", "ppo"])
def test_a_budget_that_does_not_suffice_gives_infinity(monkeypatch, algorithm):
    monkeypatch.setattr(model_free, "load_hyperparameters", lambda task: TINY)
    told = []
    found = seconds_until_solved("acrobot", algorithm, 0, budget=10.0, every=5.0, progress=lambda *a: told.append(a))
    assert found == math.inf
    assert [round(done, 9) for done, _, _ in told] == [5.0, 10.0]


def test_trials_change_nothing_of_the_training(monkeypatch):
    monkeypatch.setitem(model_free.SAC_SETTINGS, "learning_starts", 20)
    seen = []

    def recorded(trials, task, act):
        seen.append(act(np.ones((1, 3), np.float32)))
        return np.array([False])

    monkeypatch.setattr(model_free, "play_trials", recorded)
    for every in (1.0, 3.0, 3.0):
        seconds_until_solved("pendulum", "sac", 5, budget=3.0, every=every)
    often, rarely, again = seen[2], seen[3], seen[4]
    np.testing.assert_array_equal(often, rarely)
    np.testing.assert_array_equal(again, rarely)


@pytest.mark.parametrize("option", ["budget", "every"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan, 0.01])
def test_times_that_are_no_step_or_endless_are_refused(option, value):
    with pytest.raises(InvalidOptionError, match=f"{option} must be a finite number of seconds"):
        seconds_until_solved("pendulum", "sac", 0, **{option: value})


def test_an_unknown_algorithm_is_refused_with_what_is_allowed():
    with pytest.raises(UnknownNameError, match="allowed: ppo, sac"):
        seconds_until_solved("pendulum", "dqn", 0)


def test_a_task_without_an_upright_is_refused():
    with pytest.raises(InvalidOptionError, match="'two-body' has no angle_from_upright"):
        seconds_until_solved("two-body", "sac", 0)


def test_a_policy_is_trained_in_learned_physics_and_played_in_the_true_one():
    trained = train_policy("cart-pole", "hnn", 3, hyperparameters=TINY)
    card = trained.policy.card
    assert (card.task, card.dynamics, card.seed, card.steps) == ("cart-pole", "hnn", 3, 200)
    assert trained.believed == 0.0
    assert solved_trials("cart-pole", trained.policy, trials=3).tolist() == [False] * 3


def test_training_a_policy_stops_as_soon_as_all_trials_are_solved_in_its_own_physics(monkeypatch):
    monkeypatch.setattr(model_free, "play_trials", lambda trials, task, act: np.ones(trials.count, bool))
    task = TASKS["cart-pole"]
    physics = make_dynamics(task.system, "hnn", dt=task.dt)
    trained = train_policy("cart-pole", physics, 0, hyperparameters=TINY)
    assert trained.policy.card.steps <= 104  # the first rollout, and the step in which the training hears of it
    assert trained.policy.card.dynamics == "cart-pole"


def test_training_a_policy_is_deterministic():
    first, second = (train_policy("cart-pole", "ode", 1, hyperparameters=TINY).policy for _ in range(2))
    for name, value in first.weights.items():
        np.testing.assert_array_equal(value, second.weights[name])


def test_all_upright_tasks_have_hyperparameters_of_ppo():
    assert all(load_hyperparameters(name)["n_timesteps"] > 0 for name in UPRIGHT)
