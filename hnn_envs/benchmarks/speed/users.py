"""What users wait for: agents that collect experience, the first step, and training."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.benchmarks.speed.interleaved import Case, Effort, Timing, interleave, repeat, row
from hnn_envs.benchmarks.speed.peers import SeedsWay
from hnn_envs.evaluation.records import Row

ROLLOUT = 32
"""Steps of PPO per environment and turn."""


def stable_baselines(effort: Effort) -> Iterator[Row]:
    """PPO's collection of experience from the native batch, next to Stable-Baselines3's own make_vec_env.

    Environments that cost nothing show what PPO itself, its network above all, leaves to gain: with few agents the
    target may lie beyond it, or so close that what physics costs at all decides.
    """
    from stable_baselines3.common.env_util import make_vec_env as make_their_own

    from hnn_envs.sb3 import make_vec_env

    for agents in effort.agents:
        native = make_vec_env("Pendulum", n_envs=agents, dynamics="hnn")
        theirs = make_their_own("hnn_envs:hnn_envs/Pendulum-v0", agents, env_kwargs={"dynamics": "hnn"})
        timings = interleave(
            {
                "native": _collecting(native),
                "theirs": _collecting(theirs),
                "Pendulum-v1": _collecting(make_their_own("Pendulum-v1", agents)),
                "free": _collecting(_free(make_vec_env("Pendulum", n_envs=agents, dynamics="hnn"))),
            },
            effort.turns,
        )
        own = timings["native"]
        yield row("pendulum", "hnn", f"ppo_steps_per_second_{agents}", own.rate(), "1/s")
        yield row("pendulum", "hnn", f"ppo_times_make_vec_env_{agents}", timings["theirs"].over(own), reference=5.0)
        yield row("pendulum", "hnn", f"ppo_times_pendulum_v1_{agents}", timings["Pendulum-v1"].over(own))
        free = timings["free"]
        yield row("pendulum", "free", f"ppo_times_make_vec_env_{agents}", timings["theirs"].over(free))
        yield row("pendulum", "hnn", f"ppo_share_of_environments_{agents}", Timing(1 - free.over(own).costs))


def _collecting(environments: Any) -> Case:
    """Seconds per environment step of PPO's rollouts; its training is not timed."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback

    class Stopwatch(BaseCallback):
        """Times the rollouts."""

        spent: float = 0.0
        start: float = 0.0

        def _on_rollout_start(self) -> None:
            self.start = time.perf_counter()

        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            self.spent = time.perf_counter() - self.start

    steps = ROLLOUT * environments.num_envs
    model = PPO("MlpPolicy", environments, n_steps=ROLLOUT, batch_size=steps, n_epochs=1, device="cpu")
    watch = Stopwatch()

    def case() -> float:
        model.learn(steps, callback=watch)
        return float(watch.spent / steps)

    return case


def _free(environments: Any) -> Any:
    """Environments that cost nothing: they return the first observations for ever."""
    from stable_baselines3.common.vec_env import VecEnvWrapper

    class Free(VecEnvWrapper):
        """Environments that do nothing."""

        def reset(self) -> Any:
            self.seen = self.venv.reset()
            return self.seen

        def step_async(self, actions: Any) -> None:
            pass

        def step_wait(self) -> Any:
            count = self.num_envs
            return self.seen, np.zeros(count, np.float32), np.zeros(count, np.bool_), [{} for _ in range(count)]

    return Free(environments)


IMPORT = """
import time
start = time.perf_counter()
import hnn_envs
print(time.perf_counter() - start)
"""
FIRST_STEP = """
import time, gymnasium, hnn_envs
start = time.perf_counter()
env = gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0", dynamics={dynamics!r})
env.reset(seed=0)
env.step(env.action_space.sample())
print(time.perf_counter() - start)
"""


def start_up(effort: Effort) -> Iterator[Row]:
    """Seconds that a fresh process takes to import the package, and from gym.make to the first step."""
    cases = {
        "import": _in_a_process(IMPORT),
        "ode": _in_a_process(FIRST_STEP.format(dynamics="ode")),
        "hnn": _in_a_process(FIRST_STEP.format(dynamics="hnn")),
    }
    timings = interleave(cases, effort.turns)
    yield row("", "", "import_seconds", timings["import"], "s", 0.3)
    yield row("pendulum", "ode", "first_step_seconds", timings["ode"], "s", 1.0)
    yield row("pendulum", "hnn", "first_step_seconds", timings["hnn"], "s", 4.0)


def _in_a_process(code: str) -> Case:
    def case() -> float:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
        return float(done.stdout)

    return case


def training(effort: Effort) -> Iterator[Row]:
    """A step of training the seed's network on the seed's data, next to the seed's way, and the trainer's overhead.

    All on one thread, as ``hnn-envs train`` has it, and without what a run does once, at its start and end.
    """
    import torch

    from hnn_envs.fitting.losses import make_loss
    from hnn_envs.fitting.optimisers import make_optimiser
    from hnn_envs.fitting.pipeline import make_data, torch_threads
    from hnn_envs.fitting.problem import Problem
    from hnn_envs.fitting.recipes import load_recipe
    from hnn_envs.fitting.trainer import Stage, fit
    from hnn_envs.systems import get_spec

    recipe, spec = load_recipe("pendulum/paper/hnn"), get_spec("pendulum")
    data, _ = make_data(recipe)
    family, loss, steps = recipe.family, make_loss("derivative", {}), max(2, int(1250 * effort.seconds))
    rows = loss.prepare(data, torch.float32)
    problem = Problem(lambda given, batch: loss.residuals(family.build(spec, given), batch), rows, steps, 0)
    start = family.init(spec, np.random.default_rng(0))
    first = {name: torch.tensor(value, dtype=torch.float32) for name, value in start.items()}
    optimiser, seeds_way = make_optimiser("adam", problem, first, {"weight_decay": 1e-4}), SeedsWay()
    stage = Stage(steps, settings={"weight_decay": 1e-4}, dtype="float32")

    def trainer() -> float:
        reports: list[float] = []  # the first comes after the first step, the last after the last
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            fit(spec, family, data, [stage], 0, state=path, report=lambda *_: reports.append(time.perf_counter()))
        return (reports[-1] - reports[0]) / (steps - 1)

    cases: dict[str, Case] = {
        "step": repeat(lambda: [optimiser.step(step) for step in range(steps)], 0.0, steps),
        "trainer": trainer,
        "seed": repeat(lambda: [seeds_way.train(rows[0], rows[2]) for _ in range(steps)], 0.0, steps),
    }
    with torch_threads(1):
        timings = interleave(cases, effort.turns)
    step, trained = timings["step"], timings["trainer"]
    yield row("pendulum", "paper/hnn", "milliseconds_per_training_step", trained.times(1e3), "ms")
    yield row("pendulum", "paper/hnn", "training_step_over_seed", step.over(timings["seed"]), reference=1.0)
    overhead = Timing(trained.over(step).costs - 1)
    yield row("pendulum", "paper/hnn", "trainer_overhead", overhead, reference=0.05)
