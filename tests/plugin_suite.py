"""What a package outside hnn_envs adds runs everywhere; test_plugin.py runs these in a process that has the plug-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import plugin  # noqa: F401 - makes what it adds known
import pytest
from gymnasium.utils.env_checker import check_env

import hnn_envs
from hnn_envs.agents.planning import Planner
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import NoTruthError
from hnn_envs.evaluation.comparison import compare
from hnn_envs.fitting.pipeline import follow
from hnn_envs.fitting.recipes import load_recipe
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.play.session import Session
from hnn_envs.systems import SYSTEMS, get_spec, get_system
from hnn_envs.tasks import TASKS, tasks_of

HERE = Path(__file__).parent
PLUGIN = HERE / "plugin"
ANY = "hnn_envs:hnn_envs/Task-v0"
TASKS_THERE = ("duffing-hold", "duffing-cross", "plugin.hold:Hold", "plugin.cross:Cross")
PHYSICS = ("ode", "hnn", "baseline")


class TestEnvironments:
    @pytest.mark.parametrize("dynamics", PHYSICS)
    @pytest.mark.parametrize("task", TASKS_THERE)
    def test_gymnasiums_checker_has_nothing_to_say(self, task: str, dynamics: str) -> None:
        check_env(gym.make(ANY, task=task, dynamics=dynamics).unwrapped, skip_render_check=True)

    @pytest.mark.parametrize("dynamics", PHYSICS)
    @pytest.mark.parametrize("task", TASKS_THERE)
    def test_a_native_batch_equals_a_synchronous_one(self, task: str, dynamics: str) -> None:
        native = gym.make_vec(ANY, num_envs=3, task=task, dynamics=dynamics)
        each = gym.vector.SyncVectorEnv([lambda: gym.make(ANY, task=task, dynamics=dynamics)] * 3)
        rng = np.random.default_rng(0)
        np.testing.assert_array_equal(native.reset(seed=5)[0], each.reset(seed=5)[0])
        for _ in range(100):  # over the end of an episode
            actions = rng.uniform(-1, 1, (3, 1)).astype(np.float32)
            for mine, theirs in zip(native.step(actions)[:4], each.step(actions)[:4], strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)

    def test_the_tasks_own_time_limit_ends_an_episode(self) -> None:
        env = gym.make(ANY, task="duffing-hold")
        env.reset(seed=0)
        steps = 0
        truncated = False
        while not truncated:
            *_, truncated, _ = env.step(np.zeros(1, np.float32))
            steps += 1
        assert steps == TASKS["duffing-hold"].max_episode_steps

    def test_workers_find_what_is_named_by_its_module(self, tmp_path: Path) -> None:
        code = (
            "import gymnasium as gym\n"
            "if __name__ == '__main__':\n"
            f"    makers = [lambda: gym.make('{ANY}', task='plugin.hold:Hold', dynamics='ode')] * 2\n"
            "    envs = gym.vector.AsyncVectorEnv(makers, context='spawn')\n"
            "    envs.reset(seed=0)\n"
            "    print(envs.step(envs.action_space.sample())[1].shape)\n"
            "    envs.close()\n"
        )
        script = tmp_path / "workers.py"
        script.write_text(code)
        done = subprocess.run(  # noqa: S603
            [sys.executable, str(script)], capture_output=True, text=True, check=False, env=environment(), timeout=120
        )
        assert "(2,)" in done.stdout, done.stderr

    def test_frames_are_drawn(self) -> None:
        env = gym.make(ANY, task="duffing-cross", dynamics="hnn", render_mode="rgb_array")
        env.reset(seed=0)
        assert env.render().std() > 0

    def test_two_tasks_stand_on_one_system(self) -> None:
        assert [task.name for task in tasks_of("duffing")] == ["duffing-hold", "duffing-cross"]


class TestPhysics:
    def test_the_learned_energy_is_the_true_one(self) -> None:
        x = get_system("duffing").sample_states(np.random.default_rng(0), 50)
        learned = make_dynamics("duffing", "hnn").energy(x)
        np.testing.assert_allclose(
            learned - learned[0],
            np.diff(get_system("duffing").value(x)[[0]], prepend=0)[0] * 0
            + get_system("duffing").value(x)
            - get_system("duffing").value(x[0]),
            atol=1e-9,
        )

    def test_a_system_without_equations_is_stepped_by_what_was_learned_of_it(self) -> None:
        run = hnn_envs.rollout("cart", [0.5, 0.0], 40, dynamics="hnn", dt=0.05)  # one period
        np.testing.assert_allclose(run.states[-1, 0], [0.5, 0.0], atol=0.05)
        assert np.ptp(run.energies) < 1e-3 * np.abs(run.energies).max() + 1e-3

    def test_a_machine_is_stepped_by_what_suits_it_and_loses_energy(self) -> None:
        dynamics = make_dynamics("plugin.bead:BEAD")
        assert dynamics.integrator.name == "dormand_prince8"
        run = hnn_envs.rollout("bead", [1.0, 0.5], 200)
        np.testing.assert_allclose(run.states[1], dynamics.step(run.states[0]), rtol=1e-12)
        assert (np.diff(run.energies) < 0).all()
        assert run.energies[-1] == pytest.approx(get_system("bead").value(run.states[-1]))

    def test_its_truth_is_asked_for_in_vain(self) -> None:
        with pytest.raises(NoTruthError, match="equations of 'cart' are not known"):
            make_dynamics("cart", "ode")

    def test_a_checkpoint_stands_alone(self) -> None:
        path = PLUGIN / "checkpoints" / "cart" / "default" / "hnn.safetensors"
        assert make_dynamics(path).spec == get_spec("cart")

    def test_the_integrator_is_one_like_any_other(self) -> None:
        assert "verlet" in INTEGRATORS
        assert make_dynamics("pendulum", integrator="verlet").integrator.order == 2
        assert make_dynamics("pendulum", integrator="plugin.verlet:VERLET").integrator.name == "verlet"

    @pytest.mark.parametrize("name", [path.stem for path in sorted((PLUGIN / "recipes").glob("*.toml"))])
    def test_a_shipped_checkpoint_is_what_its_recipe_makes(self, name: str, tmp_path: Path) -> None:
        recipe = load_recipe(str(PLUGIN / "recipes" / f"{name}.toml"))
        made = follow(recipe, tmp_path / "made.safetensors")
        shipped = make_dynamics(recipe.spec.name, recipe.name).card
        assert shipped is not None
        assert made.card.recipe_hash == shipped.recipe_hash
        assert made.card.metrics["test_loss"] == pytest.approx(shipped.metrics["test_loss"], rel=0.05, abs=1e-20)


class TestTools:
    @pytest.mark.parametrize("system", ["duffing", "cart"])
    def test_compare(self, system: str) -> None:
        names = ("ode", "hnn", "baseline") if system == "duffing" else ("hnn", "baseline")
        comparison = compare(system, names, periods=2)
        assert [track.dynamics for track in comparison.tracks] == list(names)
        assert np.isfinite(comparison.tracks[-1].states).all()

    @pytest.mark.parametrize("system", ["duffing", "cart"])
    def test_play(self, system: str) -> None:
        names = ("ode", "hnn") if system == "duffing" else ("hnn", "baseline")
        session = Session(system, names, seed=0)
        for _ in range(10):
            session.tick(np.ones(1))
        assert all(np.isfinite(track.x).all() for track in session.tracks)

    def test_planning(self) -> None:
        planner = Planner("duffing-hold", "hnn")
        assert planner.plan(np.array([-1.0, 0.0])).shape == (1,)

    def test_the_command_line(self, tmp_path: Path) -> None:
        """Stability, report and compare, as a user types them."""
        stability = tmp_path / "stability"
        command(
            *("benchmark", "stability", "--steps", "20", "--starts", "2", "--jobs", "1", "--out", str(stability)),
            *("--systems", "duffing,cart"),
        )
        systems = {row["system"] for row in json.loads((stability / "stability.json").read_text())["rows"]}
        assert systems == {"duffing", "cart"}
        command("report", str(stability), "--out", str(tmp_path / "report.html"))
        assert "duffing" in (tmp_path / "report.html").read_text()
        command("compare", "--systems", "plugin.duffing:DUFFING", "--no-gif", "--out", str(tmp_path / "compare"))
        assert list((tmp_path / "compare").glob("*.png"))

    def test_agents_are_trained_and_played(self, tmp_path: Path) -> None:
        table = {"n_timesteps": 256, "policy": "MlpPolicy", "n_envs": 2, "n_steps": 64, "batch_size": 64}
        settings = tmp_path / "ppo.yml"
        settings.write_text(json.dumps({ANY: table, "duffing-hold": table}))
        command(
            *("benchmark", "transfer", "--tasks", "duffing-hold", "--dynamics", "ode,hnn", "--retrain"),
            *("--hyperparameters", str(settings), "--seeds", "1", "--episodes", "2", "--jobs", "1"),
            *("--out", str(tmp_path / "transfer")),
        )
        rows = json.loads((tmp_path / "transfer" / "transfer.json").read_text())["rows"]
        assert {row["dynamics"] for row in rows} >= {"ode", "hnn", "random"}


def environment() -> dict[str, str]:
    """For processes that have to find the plug-in."""
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", "")))}


def command(*words: str) -> str:
    """Runs hnn-envs in a process that imports the plug-in first, as a plug-in's own entry point would."""
    code = f"import plugin; from hnn_envs.cli import app; app({list(words)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment())  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_is_registered() -> None:
    assert {"duffing", "bead", "cart"} <= set(SYSTEMS)
    assert {"duffing-hold", "duffing-cross"} <= set(TASKS)
