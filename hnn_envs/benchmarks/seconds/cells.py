"""One cell of the seconds benchmark: an agent, a task and a seed, and how much experience it took."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from hnn_envs.benchmarks.seconds.challenges import GYMNASIUM, challenge_of
from hnn_envs.benchmarks.seconds.gymnasium_training import seconds_until_sac_solves
from hnn_envs.benchmarks.seconds.model_free import BUDGETS, seconds_until_solved
from hnn_envs.benchmarks.seconds.policies import solved_trials, train_policy
from hnn_envs.benchmarks.seconds.rivals import rival
from hnn_envs.errors import DataError, TrainingError, UnknownNameError
from hnn_envs.evaluation.records import read_kept_as, write_kept
from hnn_envs.exploration.explorer import Explorer
from hnn_envs.exploration.learners import Learned, Learner
from hnn_envs.exploration.machine_learner import MachineLearner
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.parsing import Extended
from hnn_envs.storage import digest_of
from hnn_envs.systems import spec_of
from hnn_envs.tasks import get_task
from hnn_envs.version import __version__

OURS = "trigonometric"
LEARNERS: dict[str, Callable[[], Learner]] = {
    OURS: MachineLearner,
    "pets": lambda: rival("pets"),
    "gaussian-process": lambda: rival("gaussian-process"),
    "sindy": lambda: rival("sindy"),
}
"""Agents that plan in what they learn, all by the same loop."""
POLICY = "trigonometric+ppo"
"""PPO trained in what ours has learned when it solves the task, and played in the true physics."""
AGENTS = (*LEARNERS, POLICY, *BUDGETS)
MOST_SECONDS = 30.0
"""Experience after which no other trial begins."""
MOST_TRIALS = 60
PROTOCOL = 1
"""Raised where cells that were kept no longer hold what they would today."""


@dataclass(frozen=True)
class Cell:
    """What is run together.

    Attributes:
        task: its name.
        agent: one of ``AGENTS``.
        seed: of all that is random.
    """

    task: str
    agent: str
    seed: int

    @property
    def label(self) -> str:
        """What rows call it, such as "trigonometric@3"."""
        return f"{self.agent}@{self.seed}"

    def path(self, folder: Path) -> Path:
        """The file that keeps its result."""
        key = digest_of(asdict(self) | {"protocol": PROTOCOL, "version": __version__}, {})
        return folder / f"{self.task}-{self.agent}-{self.seed}-{key[:16]}.json"


@dataclass(frozen=True)
class Result:
    """What came of a cell.

    Attributes:
        seconds: experience before the trial that was solved; infinite where none was.
        work: time that learning and planning took, on one core.
        trials: how many were planned; 0 of agents that do not plan.
        share: of the trials of a policy, which are solved in the true physics; None of other agents.
    """

    seconds: Extended
    work: float
    trials: int
    share: float | None = None


def check_agent(agent: str) -> None:
    """Refuses an agent that does not exist.

    Raises:
        UnknownNameError: there is no such agent.
    """
    if agent not in AGENTS:
        raise UnknownNameError.of("agent", agent, AGENTS)


def suits(agent: str, task: str) -> bool:
    """Whether an agent is there for a task.

    PPO is trained in those of this package only; and in what was learned only where states are of velocities, as those
    of what is learned are.
    """
    if agent == POLICY:
        return task not in GYMNASIUM and spec_of(get_task(task).system).velocities
    return agent != "ppo" or task not in GYMNASIUM


def run_cell(cell: Cell, folder: Path) -> Result:
    """Runs a cell, or reads what was kept of it in ``folder``.

    Raises:
        ResultsError: what was kept is damaged.
    """
    path = cell.path(folder)
    if path.is_file():
        return read_kept_as(Result, path, "cell")
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rivals' libraries warn of bounds that a kernel reached, and the like
        seconds, trials, share = _measured(cell)
    result = Result(seconds, time.process_time() - began, trials, share)
    write_kept(path, asdict(result) | {"seconds": seconds if math.isfinite(seconds) else str(seconds)})
    return result


def _measured(cell: Cell) -> tuple[float, int, float | None]:
    """Experience until solved, planned trials, and the share of a policy's trials that are solved."""
    if cell.agent in BUDGETS:
        return _trained(cell), 0, None
    seconds, trials, learned = _explored(cell, LEARNERS[OURS if cell.agent == POLICY else cell.agent]())
    if cell.agent != POLICY:
        return seconds, trials, None
    if learned is None or not math.isfinite(seconds):
        return math.inf, trials, 0.0
    policy = train_policy(cell.task, learned.dynamics, cell.seed).policy
    solved = solved_trials(cell.task, policy, seed=cell.seed)
    return (seconds if solved[0] else math.inf), trials, float(solved.mean())


def _explored(cell: Cell, learner: Learner) -> tuple[float, int, Learned | None]:
    """Experience until solved, planned trials, and what the last one was planned in."""
    asked = challenge_of(cell.task)
    env = asked.make()
    try:
        explorer = Explorer(
            env,
            asked.goal,
            learner=learner,
            noise=asked.noise,
            start=asked.start,
            first_seconds=asked.first * asked.second,
            trial_seconds=asked.trial * asked.second,
            hold_seconds=asked.held * asked.second,
            planning=asked.planning,
            seed=cell.seed,
        )
        with torch_threads(1):
            found = explorer.run(MOST_SECONDS * asked.second, trials=MOST_TRIALS)
    except (TrainingError, DataError):
        return math.inf, 0, None
    finally:
        env.close()
    planned = sum(trial.planned for trial in found.trials)
    return (found.seconds / asked.second if found.solved else math.inf), planned, explorer.learned


def _trained(cell: Cell) -> float:
    if cell.task in GYMNASIUM:
        return seconds_until_sac_solves(challenge_of(cell.task), cell.seed)
    return seconds_until_solved(cell.task, cell.agent, cell.seed)
