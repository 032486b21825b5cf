"""The transfer benchmark: the same starts and budget for all, reference controllers, and no finished run lost."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hnn_envs.agents import controllers
from hnn_envs.agents.episodes import bootstrap, by_policy, play
from hnn_envs.agents.hyperparameters import hyperparameters_folder, load_hyperparameters, trained_tasks
from hnn_envs.agents.policies import load_policy
from hnn_envs.agents.training import Run, train
from hnn_envs.benchmarks import transfer
from hnn_envs.cli import app
from hnn_envs.errors import CheckpointError, InvalidOptionError, ResultsError, TrainingError, UnknownNameError
from hnn_envs.evaluation.records import read_rows
from hnn_envs.tasks import TASKS
from hnn_envs.tasks.actuation import actuation_of
from hnn_envs.tasks.mass_spring import MassSpringTask
from hnn_envs.tasks.optional import Reference, Search, references_of

PENDULUM = str(hyperparameters_folder() / "ppo" / "pendulum.yml")
QUICK = """
hnn_envs/MassSpring-v0:
  n_timesteps: 256
  n_envs: 16
  policy: MlpPolicy
  normalize: true
  n_steps: 8
  batch_size: 64
  learning_rate: lin_0.001
"""


OUTSIDE = """
outside:
  n_timesteps: 128
  n_envs: 8
  policy: MlpPolicy
  n_steps: 8
  batch_size: 64
"""


class Outside(MassSpringTask):
    """A second task on a system, which nothing registers; it has a reference of its own."""

    name = "outside"
    search = Search(horizon=3, candidates=8, elites=2, iterations=1)
    references = (
        Reference("idle", "test_transfer:idle"),
        Reference("mpc/hnn", "hnn_envs.agents.controllers:mpc", "hnn"),
    )


def idle(task):
    return lambda observations, states: np.zeros((len(states), 1))


@pytest.fixture
def quick(tmp_path):
    path = tmp_path / "quick.yml"
    path.write_text(QUICK)
    return path


def values_of(rows):
    return {(row.system, row.dynamics, row.metric): row.value for row in rows}


def test_the_regulator_is_within_one_percent_of_the_finite_horizons_optimum_and_shares_its_starts_with_others():
    lqr = play("mass-spring", "ode", controllers.lqr(TASKS["mass-spring"]), 20, transfer.FIRST_START)
    again = play("mass-spring", "ode", controllers.lqr(TASKS["mass-spring"], "hnn"), 20, transfer.FIRST_START)
    np.testing.assert_allclose(again, lqr, rtol=1e-2)
    idle = play("mass-spring", "ode", lambda seen, states: np.zeros((len(states), 1)), 20, transfer.FIRST_START)
    assert (lqr > idle).all()


def test_energy_shaping_on_the_learned_hamiltonian_swings_the_true_pendulum_up():
    learned, true = (
        play("pendulum", "ode", controllers.swing_up(TASKS["pendulum"], name), 20, 0) for name in ("hnn", "ode")
    )
    assert learned.mean() > -250
    assert abs(learned.mean() - true.mean()) < 5


def test_energy_shaping_needs_an_energy():
    with pytest.raises(InvalidOptionError, match="baseline"):
        controllers.swing_up(TASKS["pendulum"], "baseline")


def test_agents_are_trained_for_every_task_that_is_not_seen_as_pictures():
    assert set(TASKS) - set(trained_tasks()) == {"pixel-pendulum"}


@pytest.mark.parametrize("name", trained_tasks())
def test_every_task_has_hyperparameters_in_the_zoos_form(name):
    table = load_hyperparameters(name)
    assert table["policy"] == "MlpPolicy"
    assert table["n_timesteps"] > 1e4


@pytest.mark.parametrize("name", trained_tasks())
def test_no_agent_is_trained_from_starts_that_are_evaluated(name):
    assert transfer.SEEDS + load_hyperparameters(name)["n_envs"] < transfer.FIRST_START


@pytest.mark.parametrize("text", ["", "[", "3", "other: {}", "hnn_envs/MassSpring-v0: 3", "hnn_envs/MassSpring-v0: {}"])
def test_files_without_hyperparameters_are_refused(tmp_path, text):
    path = tmp_path / "bad.yml"
    path.write_text(text)
    with pytest.raises(InvalidOptionError, match=r"bad\.yml"):
        load_hyperparameters("mass-spring", path)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("n_timesteps: -1", "n_timesteps is -1; allowed: at least 1"),
        ("n_timesteps: 1000000000000", "n_timesteps is 1000000000000"),
        ("n_envs: 0", "n_envs is 0"),
        ("n_envs: 100000\n  n_steps: 100000", "n_steps times n_envs is 10000000000"),
        ("learning_rate: .nan", "learning_rate is nan"),
        ("learning_rate: lin_-1", 'learning_rate is a number or "lin_NUMBER"'),
        ("gamma: 2", r"gamma is 2\.0; allowed: at least 0, at most 1"),
        ("batch_size: true", "batch_size is True, which is no integer"),
        ("gama: 0.9", "no setting 'gama'; allowed: n_timesteps"),
        ("policy_kwargs: {net_arch: {pi: [1000000000000]}}", r"policy_kwargs\.net_arch\.pi\[0\] is 1000000000000"),
        ("policy_kwargs: {net_arch: &a [*a]}", r"policy_kwargs\.net_arch"),
        ("policy_kwargs: {wings: 2}", r"no setting policy_kwargs\.'wings'"),
        ("policy_kwargs: " + 1000 * "[" + 1000 * "]", "no YAML that hnn_envs reads"),
        ("gamma: " + 5000 * "1", "no YAML that hnn_envs reads"),
        ("normalize: {epsilon: 0}", r"normalize\.epsilon is 0"),
    ],
)
def test_an_entry_that_is_out_of_range_is_named_with_its_file(tmp_path, line, cause):
    path = tmp_path / "bad.yml"
    path.write_text(f"hnn_envs/MassSpring-v0:\n  n_timesteps: 100\n  policy: MlpPolicy\n  {line}\n")
    with pytest.raises(InvalidOptionError, match=cause) as caught:
        load_hyperparameters("mass-spring", path)
    assert str(path) in str(caught.value)


def test_merge_keys_do_not_take_all_memory(tmp_path):
    path = tmp_path / "bomb.yml"
    levels = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)]
    path.write_text("a0: &a0 {x: 1, y: 2}\n" + "\n".join(levels))
    with pytest.raises(InvalidOptionError, match=r"bomb\.yml .* more than 10000 entries"):
        load_hyperparameters("mass-spring", path)


@pytest.mark.parametrize(
    "change", [{"learning_rate": "cos_3"}, {"wings": 2}, {"policy": "BirdPolicy"}, {"learning_rate": "lin_x"}]
)
def test_hyperparameters_that_ppo_cannot_use_are_refused(quick, tmp_path, change):
    table = {**load_hyperparameters("mass-spring", quick), **change}
    with pytest.raises(InvalidOptionError):
        train(Run("mass-spring", "ode", 0), tmp_path, table)


def test_a_training_that_diverges_leaves_no_policy(quick, tmp_path):
    table = {**load_hyperparameters("mass-spring", quick), "learning_rate": 1e9}
    with pytest.raises(TrainingError, match="mass-spring/ode-0"):
        train(Run("mass-spring", "ode", 0), tmp_path, table)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_bootstrap_interval_covers_seeds_and_episodes():
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 1, (5, 1)) + rng.normal(0, 0.1, (5, 20))
    estimate = bootstrap(lambda mean: mean, returns)
    assert estimate.value == pytest.approx(returns.mean())
    assert estimate.low < estimate.value < estimate.high
    assert estimate.stderr == pytest.approx(returns.mean(1).std() / np.sqrt(5), rel=0.2)
    same = bootstrap(lambda a, b: a / b, returns, returns)
    assert (same.low, same.high) == (pytest.approx(1.0), pytest.approx(1.0))


def test_retraining_keeps_what_is_finished_and_goes_on_with_the_rest(quick, tmp_path):
    options = {"seeds": 1, "episodes": 2, "policies": tmp_path / "p", "hyperparameters": quick, "retrain": True}
    done = []
    transfer.run(["mass-spring"], ["ode"], **options, logs=tmp_path / "logs")
    first = (tmp_path / "p/mass-spring/ode-0.safetensors").read_bytes()
    rows = transfer.run(
        ["mass-spring"], ["hnn"], **options, progress=lambda now, total, what: done.append((what, now, total))
    )
    assert (tmp_path / "p/mass-spring/ode-0.safetensors").read_bytes() == first
    assert ("training", 1, 2) in done
    assert list((tmp_path / "logs/mass-spring/ode-0").iterdir())
    values = values_of(rows)
    assert values["mass-spring", "ode", "relative_improvement"] == 1.0
    assert values["mass-spring", "hnn", "training_seeds"] == 1
    assert np.isfinite(values["mass-spring", "hnn", "believed_gap"])
    # Other hyperparameters: what was trained by the old ones is trained again.
    quick.write_text(QUICK.replace("0.001", "0.002"))
    transfer.run(["mass-spring"], ["ode"], **options)
    assert (tmp_path / "p/mass-spring/ode-0.safetensors").read_bytes() != first


def test_processes_train_the_same_policies(quick, tmp_path):
    options = {"seeds": 1, "episodes": 2, "hyperparameters": quick, "retrain": True}
    transfer.run(["mass-spring"], ["hnn"], **options, policies=tmp_path, jobs=2)
    for run in (Run("mass-spring", "ode", 0), Run("mass-spring", "hnn", 0)):
        alone = train(run, tmp_path / "alone", load_hyperparameters("mass-spring", quick))
        np.testing.assert_array_equal(load_policy(run.path(tmp_path)).weights["0.weight"], alone.weights["0.weight"])


def test_where_no_task_is_named_those_that_have_policies_are_played(quick, tmp_path):
    train(Run("mass-spring", "ode", 0), tmp_path, load_hyperparameters("mass-spring", quick))
    rows = transfer.run([], ["ode"], policies=tmp_path, episodes=2, jobs=1)
    assert {row.system for row in rows} == {"mass-spring"}
    with pytest.raises(ResultsError, match="has no policy"):
        transfer.run([], ["ode"], policies=tmp_path / "empty")


def test_seeds_that_an_agent_lacks_are_left_out_for_all(quick, tmp_path):
    table = load_hyperparameters("mass-spring", quick)
    for run in (Run("mass-spring", "ode", 0), Run("mass-spring", "ode", 1), Run("mass-spring", "hnn", 1)):
        train(run, tmp_path, table)
    rows = transfer.run(["mass-spring"], ["hnn"], policies=tmp_path, episodes=2)
    assert values_of(rows)["mass-spring", "ode", "training_seeds"] == 1
    with pytest.raises(ResultsError, match=r"mass-spring/baseline-0.*--retrain"):
        transfer.run(["mass-spring"], [], policies=tmp_path)


def test_policies_under_wrong_names_are_refused(quick, tmp_path):
    table = load_hyperparameters("mass-spring", quick)
    train(Run("mass-spring", "ode", 0), tmp_path, table)
    good = tmp_path / "mass-spring/ode-0.safetensors"
    (tmp_path / "mass-spring/hnn-0.safetensors").write_bytes(good.read_bytes())
    with pytest.raises(ResultsError, match="is policy mass-spring/ode-0"):
        transfer.run(["mass-spring"], ["hnn"], seeds=1, policies=tmp_path, episodes=2)
    for physics in ("ode", "hnn", "baseline"):
        (tmp_path / "pendulum").mkdir(exist_ok=True)
        (tmp_path / f"pendulum/{physics}-0.safetensors").write_bytes(good.read_bytes())
    with pytest.raises(CheckpointError, match="not for 'pendulum'"):
        transfer.run(["pendulum"], ["ode"], seeds=1, policies=tmp_path, episodes=2)


def test_the_command_plays_shipped_policies_and_writes_rows(tmp_path):
    path = tmp_path / "rows.json"
    arguments = ["--tasks", "mass-spring", "--seeds", "1", "--episodes", "4", "--jobs", "1", "--json", str(path)]
    result = CliRunner().invoke(app, ["benchmark", "transfer", *arguments, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "lqr" in result.output
    assert "of the ode-trained agent's improvement" in result.output
    values = values_of(read_rows(path))
    assert json.loads(path.read_text())["rows"][0]["suite"] == "transfer"
    assert values["mass-spring", "hnn", "relative_improvement"] > 0.95
    assert values["mass-spring", "hnn", "return"] > 1.05 * values["mass-spring", "lqr", "return"]  # costs


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tasks", "juggling"], "unknown task 'juggling'"),
        (["--dynamics", "magic"], "unknown dynamics 'magic'; allowed: baseline, hnn, ode"),
        (["--policies", "nowhere"], "--retrain"),
        (["--retrain", "--hyperparameters", "nowhere.yml"], "hyperparameters nowhere.yml does not exist"),
        (["--hyperparameters", "nowhere.yml"], "hyperparameters nowhere.yml does not exist"),
        (
            ["--hyperparameters", str(hyperparameters_folder() / "ppo/pendulum.yml")],
            "pendulum.yml, are for training agents; that needs --retrain",
        ),
        (["--seeds", "6"], "only training seeds 0, 1, 2, 3, 4 of mass-spring, not all 6"),
        (["--tasks", "pixel-pendulum"], "no agents are trained for pixel-pendulum; allowed: mass-spring, pendulum,"),
        (["--tasks", "pixel-pendulum", "--retrain"], "no agents are trained for pixel-pendulum; allowed: mass-spring"),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["benchmark", "transfer", "--jobs", "1", *arguments])
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert words in result.output


def test_no_training_is_advised_where_there_is_none_to_do():
    with pytest.raises(UnknownNameError, match=r"^no agents are trained for pixel-pendulum; allowed: [a-z, -]+$"):
        transfer.run(["pixel-pendulum"])


def test_as_many_training_seeds_as_were_asked_for_or_none(quick, tmp_path):
    table = load_hyperparameters("mass-spring", quick)
    for seed in (0, 2):
        train(Run("mass-spring", "ode", seed), tmp_path, table)
    options = {"policies": tmp_path, "episodes": 2}
    assert values_of(transfer.run(["mass-spring"], ["ode"], **options))["mass-spring", "ode", "training_seeds"] == 2
    with pytest.raises(ResultsError, match=r"only training seeds 0, 2 of mass-spring, not all 3 that were asked for"):
        transfer.run(["mass-spring"], ["ode"], seeds=3, **options)
    with pytest.raises(ResultsError, match=r"no training seed of pendulum, not all 3 .* --retrain"):
        transfer.run(["pendulum"], ["ode"], seeds=3, **options)


def test_a_task_from_outside_is_trained_and_played_with_its_own_references(tmp_path):
    path, place = tmp_path / "outside.yml", "test_transfer:Outside"
    path.write_text(OUTSIDE)
    options = {"seeds": 1, "episodes": 2, "policies": tmp_path, "hyperparameters": path, "retrain": True, "jobs": 1}
    rows = transfer.run([place], ["hnn"], **options)
    assert {row.system for row in rows} == {"outside"}
    assert {row.dynamics for row in rows} == {"ode", "hnn", "random", "idle", "mpc/hnn"}
    assert load_policy(tmp_path / "outside/hnn-0.safetensors", task=place).card.task == "outside"
    with pytest.raises(CheckpointError, match="'outside', which is not registered"):
        load_policy(tmp_path / "outside/hnn-0.safetensors")


@pytest.mark.parametrize("name", TASKS)
def test_every_reference_controller_of_every_task_acts(name):
    task = TASKS[name]
    states = np.stack([task.initial_state(np.random.default_rng(seed)) for seed in range(3)])
    for reference in (transfer.RANDOM, *references_of(task)):
        actions = reference.make(task)(task.observation(states), states)
        assert actions.shape == (3, len(actuation_of(task).driven))
        assert (np.abs(actions) <= 1).all()


def test_options_out_of_range_are_refused():
    for options in ({"seeds": 0}, {"episodes": 0}, {"jobs": 0}, {"retrain": True}):
        with pytest.raises((InvalidOptionError, UnknownNameError)):
            transfer.run(["mass-spring"], **options)


def test_a_policy_and_a_planner_play_in_any_physics():
    policy = load_policy("pendulum/hnn-0")
    for dynamics in ("ode", "hnn", "baseline"):
        assert play("pendulum", dynamics, by_policy(policy), 2, 0).shape == (2,)
