"""``Learned-v0``: an environment from a checkpoint's file alone, its tasks, and how far it is trusted."""

from __future__ import annotations

import json
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from environments import MODES, actions_of, assert_same, make, make_batch, run_python, trajectory
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from learned import CRANE, DOMAIN, write_crane
from own_tasks import HELD, Upright
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from hnn_envs.agents.planning import Planner
from hnn_envs.checkpoints import find_checkpoint, save_checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.envs import PhysicsEnv, PhysicsVectorEnv
from hnn_envs.errors import CheckpointError, InvalidOptionError, NoTruthError, UnknownNameError
from hnn_envs.ids import LEARNED
from hnn_envs.sb3 import make_vec_env
from hnn_envs.tasks.regulate import Regulate

SHORT = {"max_episode_steps": 7}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("learned")


@pytest.fixture(scope="module")
def plain(folder: Path) -> str:
    """A file without an ensemble."""
    return write_crane(folder / "plain.safetensors")


@pytest.fixture(scope="module")
def ensemble(folder: Path) -> str:
    """One with three members."""
    return write_crane(folder / "ensemble.safetensors", members=3, off=0.05)


def learned(path: str, **options: Any) -> Any:
    return gym.make(LEARNED, dynamics=path, **options)


def batch(path: str, num_envs: int = 4, **options: Any) -> Any:
    return gym.make_vec(LEARNED, num_envs=num_envs, dynamics=path, **options)


def pair(path: str, mode: AutoresetMode, num_envs: int = 4, **options: Any) -> tuple[Any, Any]:
    """A native batch and what it must equal."""
    sync = batch(path, num_envs, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **options)
    return batch(path, num_envs, autoreset_mode=mode, **options), sync


def run_both(native: Any, sync: Any, steps: int, seed: int = 3) -> dict[str, float]:
    """Steps both with the same actions; bit for bit the same. Sums of what the infos say."""
    rng, sums = np.random.default_rng(0), dict.fromkeys(("out_of_domain", "untrusted", "truncated"), 0.0)
    assert_same(native.reset(seed=seed), sync.reset(seed=seed), "reset")
    for step in range(steps):
        actions = actions_of(native, rng)
        results = native.step(actions), sync.step(actions)
        assert_same(*results, f"step {step}")
        _, _, terminated, truncated, infos = results[0]
        final = infos.get("final_info", infos)
        for name in ("out_of_domain", "untrusted"):
            sums[name] += float(final.get(name, np.zeros(1)).sum())
        sums["truncated"] += float(truncated.sum())
        if native.metadata["autoreset_mode"] == AutoresetMode.DISABLED and (terminated | truncated).any():
            both = [envs.reset(options={"reset_mask": terminated | truncated}) for envs in (native, sync)]
            assert_same(*both, f"reset after step {step}")
    return sums


class TestMaking:
    def test_a_file_is_enough(self, plain: str) -> None:
        env = learned(plain)
        assert isinstance(env.unwrapped, PhysicsEnv)
        assert isinstance(env.unwrapped.task, Regulate)
        assert env.unwrapped.dynamics.spec == CRANE
        assert env.unwrapped.dynamics.name == plain
        observation, info = env.reset(seed=0)
        assert set(info) == {"out_of_domain", "diverged", "learned_energy"}
        assert observation in env.observation_space
        again = learned(Path(plain))
        np.testing.assert_array_equal(again.reset(seed=0)[0], observation)

    def test_the_checkers_find_nothing_to_warn_about(self, ensemble: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for options in ({}, {"task": "own_tasks:Upright"}, {"trust": 0.5}):
                env = learned(ensemble, **options)
                check_env(env.unwrapped)
                check_env_for_sb3(env)
                env.close()

    def test_options_reach_the_task_and_it_ends_when_it_says(self, plain: str) -> None:
        env = learned(plain, task_options={"target": [0, 3.14, 0, 0], "dt": 0.01, **SHORT})
        assert env.unwrapped.task.goal.tolist() == [0, 3.14, 0, 0]
        assert env.unwrapped.dynamics.dt == 0.01
        env.reset(seed=0)
        ends = [env.step(np.zeros(1))[3] for _ in range(7)]
        assert ends == [False] * 6 + [True]
        assert batch(plain, task_options=SHORT).max_episode_steps == 7

    def test_it_needs_no_import_and_a_specification_goes_through_json(
        self, plain: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(Path(plain).parent)
        env = learned(Path(plain).name, task_options={"target": [0.5, 0, 0, 0]})
        text = env.spec.to_json()
        first = trajectory(env, 3, seed=2)[1][0].tolist()
        monkeypatch.chdir("/")
        again = gym.make(EnvSpec.from_json(text))
        assert trajectory(again, 3, seed=2)[1][0].tolist() == first
        code = f"""
import gymnasium, json, numpy as np
env = gymnasium.make({LEARNED!r}, dynamics={plain!r}, task_options={{"target": [0.5, 0, 0, 0]}})
env.reset(seed=2)
action = np.random.default_rng(0).uniform(-1, 1, 1).astype(np.float32)
print(json.dumps(env.step(action)[0].tolist()))
"""
        assert json.loads(run_python(code)) == first

    def test_a_batch_is_native_and_its_specification_goes_through_json(self, plain: str) -> None:
        envs = batch(plain, task_options=SHORT)
        assert isinstance(envs.unwrapped, PhysicsVectorEnv)
        again = gym.make_vec(EnvSpec.from_json(envs.spec.to_json()))
        assert_same(envs.reset(seed=0), again.reset(seed=0), "reset")

    def test_stable_baselines_takes_it(self, ensemble: str) -> None:
        envs = make_vec_env("Learned", 2, dynamics=ensemble, task_options=SHORT, trust=10.0)
        envs.seed(0), envs.reset()
        for _ in range(7):
            *_, dones, infos = envs.step(np.zeros((2, 1), np.float32))
        assert dones.all()
        assert infos[0]["untrusted"] == 0.0
        assert infos[0]["spread"] > 0
        assert {"spread", "untrusted"} <= set(envs.reset_infos[0])

    def test_what_is_no_file_is_refused(self, plain: str, tmp_path: Path) -> None:
        for given in ({}, {"dynamics": "hnn"}, {"dynamics": None}, {"dynamics": 3}):
            for make_one in (gym.make, gym.make_vec):
                with pytest.raises(InvalidOptionError, match="needs dynamics=, the path of a"):
                    make_one(LEARNED, **given)
        with pytest.raises(CheckpointError, match="does not exist"):
            learned(str(tmp_path / "none.safetensors"))
        with pytest.raises(NoTruthError, match="no dynamics='ode'; give the path of the"):
            learned("ode")
        with pytest.raises(InvalidOptionError, match="task_options must be a dictionary"):
            learned(plain, task_options=[3])
        with pytest.raises(InvalidOptionError, match="task Regulate has no setting 'goal'"):
            learned(plain, task_options={"goal": 3})

    def test_the_ode_of_a_learned_system_names_what_there_is(self, plain: str) -> None:
        with pytest.raises(NoTruthError, match="equations of 'crane' are not known") as caught:
            PhysicsEnv(HELD)
        assert "name a checkpoint that was learned from recordings of it" in str(caught.value)
        with pytest.raises(NoTruthError) as caught:
            make_dynamics(plain, "ode")
        assert str(caught.value).endswith(f"there is dynamics={plain!r}")


class TestTasks:
    def test_a_class_is_called_with_the_description_and_what_it_asks_for(self, plain: str) -> None:
        env = learned(plain, task="own_tasks:Upright", task_options={"limit": 1.0})
        task = env.unwrapped.task
        assert isinstance(task, Upright)
        assert (task.system, task.dt, task.limit) == (CRANE, 0.05, 1.0)
        assert task.domain == env.unwrapped.dynamics.card.domain
        np.testing.assert_array_equal(batch(plain, task="own_tasks:Upright").task.high, [2, np.inf, 10, 25])

    def test_a_function_and_an_object_do_as_well(self, plain: str) -> None:
        made = learned(plain, task="own_tasks:swing", task_options={"height": 2.0}).unwrapped.task
        assert made.goal.tolist() == [0, 2.0, 0, 0]
        assert learned(plain, task="own_tasks:HELD").unwrapped.task is HELD

    @pytest.mark.parametrize(
        ("task", "options", "message"),
        [
            ("upright", None, "task must be where a task is, such as 'my_tasks:HoldUpright', not 'upright'"),
            (3, None, "task must be where a task is"),
            ("own_tasks:Upright", {"height": 1}, "task own_tasks:Upright has no setting 'height'; allowed: dt"),
            ("own_tasks:Upright", {"dt": "x"}, "dt is 'x', which is no number"),
            ("own_tasks:HELD", {"dt": 1}, "task own_tasks:HELD is an object and takes no options, not dt"),
            ("own_tasks:NOTHING", None, "task own_tasks:NOTHING has no name, system, dt, max_episode_steps"),
            ("own_tasks:broken", None, "task own_tasks:broken has no system, dt"),
            (
                "own_tasks:ELSEWHERE",
                None,
                "is on 'pendulum' of 1 coordinates and 1 inputs, and the",
            ),
        ],
    )
    def test_what_is_no_task_of_this_system_is_refused(self, plain: str, task: Any, options: Any, message: str) -> None:
        with pytest.raises(InvalidOptionError) as caught:
            learned(plain, task=task, task_options=options)
        assert message in str(caught.value)

    def test_a_place_where_nothing_is(self, plain: str) -> None:
        with pytest.raises(UnknownNameError, match="no task at 'own_tasks:Nowhere'"):
            learned(plain, task="own_tasks:Nowhere")

    def test_a_system_without_inputs_has_no_task(self, tmp_path: Path) -> None:
        free = replace(CRANE, inputs=(), input_matrix=((), ()))
        path = write_crane(tmp_path / "free.safetensors", spec=free, domain=replace(DOMAIN, inputs=()))
        with pytest.raises(InvalidOptionError, match="a task needs an input, and 'crane' has none"):
            learned(path)
        with pytest.raises(InvalidOptionError, match="'crane' has no inputs, so there is nothing that an agent could"):
            learned(path, task="own_tasks:Upright")

    def test_every_coordinate_and_the_target_are_seen(self, plain: str) -> None:
        frames = []
        for state, target in (([0, 0, 0, 0], 0), ([0, 1, 0, 0], 0), ([1, 0, 0, 0], 0), ([0, 0, 0, 0], 2)):
            env = learned(plain, render_mode="rgb_array", task_options={"target": [0, target, 0, 0]})
            env.reset(options={"state": state})
            frames.append(env.render().tobytes())
        assert len(set(frames)) == 4

    def test_it_is_drawn_and_planned_for(self, plain: str) -> None:
        for options in ({}, {"task": "own_tasks:Upright"}):
            env = learned(plain, render_mode="rgb_array", **options)
            env.reset(seed=0)
            env.step(np.ones(1))
            assert env.render().std() > 5
            env.close()
        task = learned(plain, task_options={"target": [1, 0, 0, 0], "start_spread": 0}).unwrapped.task
        assert Planner(task, plain).plan(np.zeros(4))[0] > 0


class TestBatches:
    @pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
    @pytest.mark.parametrize("options", [{}, {"task": "own_tasks:Upright"}], ids=["regulate", "upright"])
    def test_a_batch_equals_single_environments_bit_for_bit(
        self, ensemble: str, mode: AutoresetMode, options: dict[str, Any]
    ) -> None:
        given = options or {"task_options": {**SHORT, "start_spread": 0.9, "high": [1.0, None, None, None]}}
        native, sync = pair(ensemble, mode, 9, **given)
        sums = run_both(native, sync, 34)
        assert sums["truncated"] > 3
        assert sums["out_of_domain"] > 0 or options

    @pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
    def test_so_it_does_where_it_is_not_trusted(self, ensemble: str, mode: AutoresetMode) -> None:
        options = {"task_options": {"start_spread": 0.5, "max_episode_steps": 30}}
        env = learned(ensemble, **options)
        spreads = [each[-1]["spread"] for each in trajectory(env, 40, seed=0)]
        native, sync = pair(ensemble, mode, 3, trust=float(np.quantile(spreads, 0.8)), **options)
        assert run_both(native, sync, 40)["untrusted"] > 3


class TestTrust:
    def test_the_spread_is_that_of_the_step_and_at_a_reset_of_a_free_one(self, ensemble: str) -> None:
        env = learned(ensemble)
        dynamics = env.unwrapped.dynamics
        _, info = env.reset(seed=4)
        x = env.unwrapped.state
        assert set(info) == {"out_of_domain", "diverged", "learned_energy", "spread"}
        assert info["spread"] == dynamics.spread(x)
        *_, info = env.step(np.array([0.5]))
        assert info["spread"] == dynamics.spread(x, np.array([5.0]))
        assert all(type(value) is np.float64 for value in info.values())

    def test_where_it_is_too_large_the_episode_is_truncated(self, ensemble: str) -> None:
        env = learned(ensemble)
        env.reset(seed=4)
        limit = float(env.step(np.array([0.5]))[-1]["spread"])
        for trust, lost in ((1.001 * limit, False), (0.999 * limit, True)):
            env = learned(ensemble, trust=trust)
            _, info = env.reset(seed=4)
            assert info["untrusted"] == 0.0
            *_, terminated, truncated, info = env.step(np.array([0.5]))
            assert (terminated, truncated, info["untrusted"]) == (False, lost, float(lost))
            assert info["spread"] == limit
            assert info["out_of_domain"] == 0.0
            assert all(type(value) is np.float64 for value in info.values())

    def test_every_reset_says_that_nothing_was_stepped(self, ensemble: str) -> None:
        env, envs = learned(ensemble, trust=1e-12), batch(ensemble, trust=1e-12)
        assert env.reset(seed=0)[1]["untrusted"] == 0.0
        _, infos = envs.reset(seed=0)
        assert not infos["untrusted"].any()
        assert infos["_spread"].all()
        assert (infos["spread"] > 1e-12).all()

    @pytest.mark.parametrize("trust", [0, -1, np.nan, np.inf, "much", True])
    def test_a_trust_that_is_none(self, ensemble: str, trust: Any) -> None:
        with pytest.raises(InvalidOptionError, match="trust must be a positive number, the largest spread, not"):
            learned(ensemble, trust=trust)

    def test_trust_needs_an_ensemble(self, plain: str) -> None:
        for make_one in (lambda: learned(plain, trust=0.1), lambda: make("Pendulum", trust=0.1)):
            with pytest.raises(InvalidOptionError, match="trust is for checkpoints with an ensemble, and dynamics"):
                make_one()

    def test_any_environment_tells_it_where_the_checkpoint_has_members(self, tmp_path: Path) -> None:
        own = find_checkpoint("pendulum", "hnn")
        others = [{name: 1.001 * value for name, value in own.parameters.items()}]
        save_checkpoint(tmp_path / "m.safetensors", own.card, own.parameters, others)
        env = make("Pendulum", dynamics=str(tmp_path / "m.safetensors"))
        assert env.reset(seed=0)[1]["spread"] > 0
        envs = make_batch("Pendulum", 3, dynamics=str(tmp_path / "m.safetensors"), trust=1.0)
        assert set(envs.reset(seed=0)[1]) >= {"spread", "untrusted", "energy"}
        assert (envs.step(np.zeros((3, 1)))[-1]["spread"] > 0).all()

    def test_diverging_physics_has_an_infinite_spread_and_no_nan(self, ensemble: str) -> None:
        env = PhysicsEnv(HELD, ensemble, dt=1e6, integrator="rk4", substeps=1, trust=0.1)
        env.reset(seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            observation, reward, terminated, truncated, info = env.step(np.ones(1))
        assert (info["diverged"], info["untrusted"], info["spread"]) == (1.0, 1.0, np.inf)
        assert np.isfinite(observation).all()
        assert (reward, terminated, truncated) == (0.0, False, True)

    def test_it_is_sent_to_another_process(self, ensemble: str) -> None:
        env = learned(ensemble, trust=1.0)
        env.reset(seed=0)
        again = pickle.loads(pickle.dumps(env))  # noqa: S301 - our own bytes
        assert_same(again.step(np.ones(1)), env.step(np.ones(1)), "step")

    def test_tensors_have_it_too(self, ensemble: str) -> None:
        envs = batch(ensemble, output="torch", trust=1.0)
        _, infos = envs.reset(seed=0)
        assert infos["spread"].dtype.is_floating_point
        expected = batch(ensemble).reset(seed=0)[1]["spread"]
        np.testing.assert_array_equal(infos["spread"].numpy(), expected)
