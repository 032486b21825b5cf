"""Policies: they say what Stable-Baselines3 says, survive a round trip, and are refused where they do not fit."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecNormalize

from hnn_envs.agents.hyperparameters import trained_tasks
from hnn_envs.agents.policies import (
    HEADER,
    Policy,
    PolicyCard,
    export_weights,
    load_policy,
    policies_folder,
    save_policy,
    shipped_policies,
)
from hnn_envs.errors import CheckpointError, InvalidOptionError, UnknownNameError
from hnn_envs.sb3 import make_vec_env


def card(**changes):
    values = {"task": "pendulum", "dynamics": "hnn", "algorithm": "ppo", "hyperparameters": {}, "seed": 0, "steps": 1}
    return PolicyCard(**{**values, **changes})


def small_policy(**changes):
    rng = np.random.default_rng(0)
    weights = {
        "0.weight": rng.standard_normal((4, 3)).astype(np.float32),
        "0.bias": np.zeros(4, np.float32),
        "1.weight": rng.standard_normal((1, 4)).astype(np.float32),
        "1.bias": np.zeros(1, np.float32),
        "mean": np.zeros(3),
        "scale": np.ones(3),
    }
    return Policy(card(**changes), weights)


@pytest.fixture
def path(tmp_path):
    save_policy(tmp_path / "p.safetensors", small_policy())
    return tmp_path / "p.safetensors"


def rewrite(path, card_changes=None, weights=None):
    """Writes a file with another card or weights and a digest that fits."""
    policy = load_policy(path)
    changed = dataclasses.replace(policy.card, **(card_changes or {}))
    save_policy(path, Policy(changed, {**policy.weights, **(weights or {})}))


@pytest.mark.parametrize("sde", [False, True])
@pytest.mark.parametrize("hidden", [[], [8], [8, 6]])
def test_a_policy_acts_as_the_agent_that_it_was_exported_from(hidden, sde):
    environments = VecNormalize(make_vec_env("TwoBody", n_envs=4, seed=0))
    agent = PPO("MlpPolicy", environments, n_steps=8, batch_size=32, use_sde=sde, policy_kwargs={"net_arch": hidden})
    agent.learn(64)
    policy = Policy(card(task="two-body"), export_weights(agent, environments))
    observations = np.stack([make_vec_env("TwoBody", n_envs=1, seed=seed).reset()[0] for seed in range(20)])
    expected, _ = agent.predict(environments.normalize_obs(observations), deterministic=True)
    np.testing.assert_allclose(policy.predict(observations), expected, atol=1e-5)
    np.testing.assert_allclose(policy.predict(observations[3]), expected[3], atol=1e-5)


def test_only_gaussian_actor_critics_are_exported():
    agent = SAC("MlpPolicy", make_vec_env("MassSpring", n_envs=1), buffer_size=10)
    with pytest.raises(InvalidOptionError, match="actor-critic"):
        export_weights(agent, None)


def test_a_policy_survives_a_round_trip(path):
    policy, loaded = small_policy(), load_policy(path, task="pendulum")
    assert loaded.card == dataclasses.replace(policy.card, digest=loaded.card.digest)
    observations = np.random.default_rng(1).standard_normal((5, 3))
    np.testing.assert_array_equal(loaded.predict(observations), policy.predict(observations))


def test_actions_are_within_the_box_for_any_finite_observation(path):
    action = load_policy(path).predict(np.full((2, 3), 1e30))
    assert action.dtype == np.float32
    assert (np.abs(action) <= 1).all()


def test_unknown_names_say_what_there_is():
    with pytest.raises(UnknownNameError, match=r"pendulum/nobody.*shipped one, such as .*; did you mean pendulum/"):
        load_policy("pendulum/nobody")
    with pytest.raises(CheckpointError, match="does not exist"):
        load_policy("nowhere.safetensors")
    with pytest.raises(UnknownNameError, match="task"):
        load_policy(next(iter(shipped_policies())), task="juggling")


def test_a_policy_for_a_task_that_is_not_registered_is_refused(path):
    rewrite(path, {"task": "juggling"})
    with pytest.raises(CheckpointError, match="'juggling', which is not registered"):
        load_policy(path)


def test_a_policy_for_another_task_is_refused(path):
    with pytest.raises(CheckpointError, match="trained for task 'pendulum', not for 'two-body'"):
        load_policy(path, task="two-body")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "readable"), (b"PK\x03\x04 a zip", "zip"), (b"\x80\x04a pickle", "pickle"), (None, "readable")],
)
def test_files_that_are_no_safetensors_are_refused(path, content, words):
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(CheckpointError, match=words):
        load_policy(path)


def test_weights_that_were_changed_are_refused(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="digest"):
        load_policy(path)


@pytest.mark.parametrize("header", [{}, {HEADER: "{"}, {HEADER: "[]"}, {HEADER: '{"format": 7}'}, {HEADER: "{}"}])
def test_damaged_cards_are_refused(path, header):
    save_file(load_file(path), path, header)
    with pytest.raises(CheckpointError, match=str(path.name)):
        load_policy(path)


def test_a_changed_card_is_refused(path):
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        values = json.loads(file.metadata()[HEADER])
    save_file(load_file(path), path, {HEADER: json.dumps({**values, "seed": 3})})
    with pytest.raises(CheckpointError, match="digest"):
        load_policy(path)


@pytest.mark.parametrize(
    "changes",
    [{"activation": "sin"}, {"output": "step"}, {"seed": "0"}, {"metrics": {"return": "many"}}],
)
def test_cards_that_make_no_sense_are_refused(path, changes):
    rewrite(path, changes)
    with pytest.raises(CheckpointError, match="damaged card"):
        load_policy(path)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"0.weight": np.zeros((4, 5), np.float32)}, "do not fit"),
        ({"1.bias": np.zeros(2, np.float32)}, "do not fit"),
        ({"extra": np.zeros(2, np.float32)}, "do not fit"),
        ({"0.bias": np.full(4, np.nan, np.float32)}, "finite"),
        ({"0.bias": np.zeros(4, np.int64)}, "finite"),
        ({"scale": np.zeros(3)}, "positive"),
    ],
)
def test_weights_that_do_not_fit_are_refused(path, weights, words):
    rewrite(path, weights=weights)
    with pytest.raises(CheckpointError, match=words):
        load_policy(path)


def test_all_shipped_policies_load_are_small_and_are_what_their_names_say():
    assert {name.split("/")[0] for name in shipped_policies()} == set(trained_tasks())
    for name in shipped_policies():
        policy = load_policy(name)
        assert policy.card.name == name
        assert policy.card.metrics["steps_per_second"] > 0
        assert (policies_folder() / f"{name}.safetensors").stat().st_size < 50_000
