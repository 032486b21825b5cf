"""What environments say about themselves: attributes that are not there yet, names, specifications and ids."""

from __future__ import annotations

import ast
import inspect
import shutil
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from environments import NAMES, make, make_batch, trajectory
from gymnasium.envs.registration import EnvSpec

import hnn_envs
from hnn_envs.checkpoints import checkpoint_path
from hnn_envs.envs import PhysicsEnv, PhysicsVectorEnv, ResetNeededError
from hnn_envs.errors import HnnEnvsError
from hnn_envs.sb3 import make_vec_env

# Modules


def test_the_modules_of_the_environments_import_one_way() -> None:
    folder = Path(hnn_envs.__file__).parent / "envs"
    arrows: dict[str, set[str]] = {}
    for path in folder.glob("*.py"):
        names = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        own = (name.removeprefix("hnn_envs.envs.") for name in names if name and name.startswith("hnn_envs.envs."))
        arrows[path.stem] = set(own)
        assert "TYPE_CHECKING" not in path.read_text()
    order = list(TopologicalSorter(arrows).static_order())  # raises where there is a circle
    assert order.index("sub_environment") < order.index("vector")


# A state that is not there yet


def without_a_state() -> list[Any]:
    """Environments before their first reset, of every kind, and parts of them."""
    batches = PhysicsVectorEnv("pendulum", 2), make_batch("Pendulum", 2)
    return [PhysicsEnv("pendulum"), make("Pendulum").unwrapped, *batches, *(batch.rows[0] for batch in batches)]


@pytest.mark.parametrize("env", without_a_state(), ids=lambda env: type(env).__name__)
def test_before_the_first_reset_there_is_no_state(env: Any) -> None:
    assert not hasattr(env, "state")
    assert not hasattr(env, "believed_energy")
    assert "state" not in dict(inspect.getmembers(env))
    with pytest.raises(ResetNeededError, match="reset") as caught:
        _ = env.state
    assert isinstance(caught.value, AttributeError)
    assert isinstance(caught.value, HnnEnvsError)
    assert isinstance(caught.value, gym.error.ResetNeeded)


def test_wrappers_see_the_state_once_it_is_there() -> None:
    env, envs = make("Pendulum"), make_batch("Pendulum", 2)
    assert not env.has_wrapper_attr("state")
    with pytest.raises(AttributeError, match="reset"):
        envs.get_attr("state")
    env.reset(seed=0), envs.reset(seed=0)
    assert env.has_wrapper_attr("state")
    assert "state" in dict(inspect.getmembers(env.unwrapped))
    assert len(envs.get_attr("state")) == 2


def test_stable_baselines_finds_the_state_once_it_is_there() -> None:
    envs = make_vec_env("Pendulum", 2)
    assert not envs.has_attr("state")
    envs.reset()
    assert envs.has_attr("state")


# Names


def test_an_environment_names_its_task_and_its_physics() -> None:
    for env in (PhysicsEnv("pendulum", "hnn"), make("Pendulum", dynamics="hnn").unwrapped):
        assert repr(env) == "PhysicsEnv(task='pendulum', dynamics='hnn')"
        assert str(env) == f"<{env!r}>"
    assert "<PhysicsEnv(task='pendulum', dynamics='ode')>" in repr(make("Pendulum"))


def test_a_batch_names_its_task_its_physics_and_its_size() -> None:
    for envs in (PhysicsVectorEnv("two-body", 4, "hnn"), make_batch("TwoBody", 4, dynamics="hnn")):
        assert repr(envs) == str(envs) == "PhysicsVectorEnv(task='two-body', dynamics='hnn', num_envs=4)"
    wrapped = gym.wrappers.vector.RecordEpisodeStatistics(make_batch("Pendulum", 2))
    assert "PhysicsVectorEnv(task='pendulum', dynamics='ode', num_envs=2)" in repr(wrapped)


# Specifications


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder than the present one, which has a checkpoint "mine.safetensors" and a file "hnn"."""
    here = tmp_path / "here"
    here.mkdir()
    shutil.copy(checkpoint_path("pendulum", "hnn"), here / "mine.safetensors")
    (here / "hnn").touch()
    monkeypatch.chdir(here)
    return tmp_path


def test_a_specification_with_a_relative_path_works_in_another_folder(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env, envs = make("Pendulum", dynamics="mine.safetensors"), make_batch("Pendulum", 2, dynamics="mine.safetensors")
    assert env.unwrapped.dynamics.name == "mine.safetensors"
    single, batch = env.spec.to_json(), envs.spec.to_json()
    monkeypatch.chdir(elsewhere)
    again, others = gym.make(EnvSpec.from_json(single)), gym.make_vec(EnvSpec.from_json(batch))
    assert again.spec.kwargs["dynamics"] == str(elsewhere / "here" / "mine.safetensors")
    np.testing.assert_array_equal(trajectory(env, 1, seed=1)[1][0], trajectory(again, 1, seed=1)[1][0])
    np.testing.assert_array_equal(envs.reset(seed=1)[0], others.reset(seed=1)[0])


@pytest.mark.usefixtures("elsewhere")
def test_a_specification_keeps_names_and_is_itself_not_changed() -> None:
    assert make("Pendulum", dynamics="hnn").spec.kwargs["dynamics"] == "hnn"
    assert "dynamics" not in make("Pendulum").spec.kwargs
    env = PhysicsEnv("pendulum")
    assert env.spec is None
    given = EnvSpec("Mine-v0", entry_point="hnn_envs.envs:PhysicsEnv", kwargs={"dynamics": "./mine.safetensors"})
    env.spec = given
    assert Path(env.spec.kwargs["dynamics"]).is_absolute()
    assert given.kwargs == {"dynamics": "./mine.safetensors"}


# Ids


@pytest.mark.parametrize(("suffix", "dynamics"), [("HNN", "hnn"), ("Baseline", "baseline")])
@pytest.mark.parametrize("name", NAMES)
def test_learned_physics_has_ids_of_its_own(name: str, suffix: str, dynamics: str) -> None:
    spec, plain = gym.spec(f"hnn_envs/{name}{suffix}-v0"), gym.spec(f"hnn_envs/{name}-v0")
    assert spec.kwargs == {**plain.kwargs, "dynamics": dynamics}
    assert (spec.max_episode_steps, spec.entry_point) == (plain.max_episode_steps, plain.entry_point)
    assert spec.vector_entry_point == plain.vector_entry_point


def test_an_id_of_learned_physics_needs_no_keywords() -> None:
    learned = "hnn_envs:hnn_envs/PendulumHNN-v0"
    assert gym.make(learned).unwrapped.dynamics.name == "hnn"
    assert gym.make_vec(learned, num_envs=2).dynamics.name == "hnn"
    assert gym.make("hnn_envs:hnn_envs/PendulumBaseline-v0").unwrapped.dynamics.name == "baseline"
    assert gym.make(learned, dynamics="ode").unwrapped.dynamics.name == "ode"
