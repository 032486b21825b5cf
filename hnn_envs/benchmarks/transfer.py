"""Does a policy learned in the learned physics hold in the true one?

The same agent is trained under several physics, with the same budget and seeds, and every one is played under the ODE
from the same starts, next to reference controllers, which need no training. ``run`` gives rows for each task and agent:

- ``return``, with ``return_low`` and ``return_high``: the mean over training seeds and episodes under the ODE, and its
  95 % bootstrap interval;
- ``relative_improvement`` (with its interval): what the agent gained over a random policy, as a share of what the
  ode-trained agent gained;
- ``believed_return``: the return in the agent's own physics, from the same starts;
- ``believed_gap``: believed less real return, as a share of what the ode-trained agent gained over a random policy;
- ``steps_per_second`` of its training, and ``training_seeds``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed, parallel_config

from hnn_envs.agents.episodes import Estimate, bootstrap, by_policy, play
from hnn_envs.agents.hyperparameters import load_hyperparameters, trained_tasks
from hnn_envs.agents.policies import load_policy, policies_folder
from hnn_envs.agents.training import Run, is_finished, train
from hnn_envs.arrays import Array
from hnn_envs.benchmarks.jobs import processes
from hnn_envs.errors import InvalidOptionError, NoTruthError, ResultsError, UnknownNameError
from hnn_envs.evaluation.records import Row
from hnn_envs.progress import Progress, silent
from hnn_envs.systems import truth_of
from hnn_envs.tasks import TASKS, get_task
from hnn_envs.tasks.optional import Reference, references_of

SUITE = "transfer"
AGENTS = ("ode", "hnn", "baseline")
SEEDS = 5
EPISODES = 20
FIRST_START = 10_000  # seed of the first evaluated start; no training draws its starts from here on
LEAST_IMPROVEMENT = 0.95  # target of the hnn-trained agent
LARGEST_GAP = 0.05  # target for its believed return

RANDOM = Reference("random", "hnn_envs.agents.controllers:random_policy")
"""What every task has beside its own references."""


@dataclass(frozen=True)
class Played:
    """Returns of an agent under the ODE and in its own physics, shape (training seeds, episodes), and its training."""

    real: Array
    believed: Array | None = None
    steps_per_second: float | None = None


def run(
    tasks: Sequence[str] = (),
    dynamics: Sequence[str] = (),
    *,
    seeds: int | None = None,
    episodes: int = EPISODES,
    policies: Path | None = None,
    retrain: bool = False,
    hyperparameters: Path | None = None,
    logs: Path | None = None,
    jobs: int | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """Plays all agents and reference controllers, after training the agents that are asked for and not there.

    Args:
        tasks: names; none for all that agents are trained for, and where nothing is trained for all with policies.
        dynamics: the physics that agents were trained in, of ``AGENTS``; none for all. "ode" is always played, too.
        seeds: training seeds, from 0 on, all of which must be there or are trained. None trains ``SEEDS``, and plays of
            these the ones that all agents of a task have; ``training_seeds`` says how many.
        episodes: starts per training seed.
        policies: the folder of the policies; by default the shipped ones.
        retrain: trains what is missing in ``policies``, which must be given then, or was trained otherwise.
        hyperparameters: a YAML file to train by instead of the shipped ones; only with ``retrain``.
        logs: folder of the trainings' logs.
        jobs: processes, each with one thread; by default one per core.
        progress: told how far it is.

    Raises:
        UnknownNameError: an unknown task or dynamics, or a task that no agents are trained for.
        InvalidOptionError: an option that is out of range, or does not fit.
        ResultsError: policies are missing.
        CheckpointError: a policy cannot be used.
    """
    folder, count = policies_folder() if policies is None else policies, processes(jobs)
    _check(tasks, dynamics, retrain=retrain, policies=policies, hyperparameters=hyperparameters)
    if episodes < 1 or (seeds is not None and seeds < 1):
        raise InvalidOptionError(f"seeds and episodes must be positive integers, not {seeds} and {episodes}")
    chosen = [agent for agent in AGENTS if agent == "ode" or agent in dynamics or not dynamics]
    numbers = range(SEEDS if seeds is None else seeds)
    named = tasks or _usual_tasks(folder, retrain=retrain)
    runs = [Run(task, agent, seed) for seed in numbers for task in named for agent in chosen]
    if retrain:
        _train_all(runs, folder, hyperparameters, logs, count, progress)
    return _rows(_play_all(_complete(runs, folder, some=seeds is None), folder, episodes, count, progress))


def _usual_tasks(folder: Path, *, retrain: bool) -> list[str]:
    """The tasks that are played where none is named; where there are no policies at all, an error will say so."""
    usual = trained_tasks()
    there = [task for task in usual if any((folder / task).glob("*.safetensors"))]
    return usual if retrain or not there else there


def _check(
    tasks: Sequence[str],
    dynamics: Sequence[str],
    *,
    retrain: bool,
    policies: Path | None,
    hyperparameters: Path | None,
) -> None:
    """Refuses names that do not exist, and options that do not fit together."""
    for name in dynamics:
        if name not in AGENTS:
            raise UnknownNameError.of("dynamics", name, AGENTS)
    if retrain and policies is None:
        raise InvalidOptionError("name the folder that retrained policies go to")
    if hyperparameters is not None and not hyperparameters.is_file():
        raise InvalidOptionError(f"the file of hyperparameters {hyperparameters} does not exist")
    if hyperparameters is not None and not retrain:
        raise InvalidOptionError(f"hyperparameters, {hyperparameters}, are for training agents; that needs --retrain")
    for task in tasks:
        name = get_task(task).name
        if truth_of(get_task(task).system) is None:
            raise NoTruthError(
                f"task {name!r} cannot be played under the ODE: the equations of its system are not known"
            )
        own = hyperparameters is not None or (policies is not None and (policies / name).is_dir())
        if name not in trained_tasks() and not own:
            raise UnknownNameError(f"no agents are trained for {task}; allowed: {', '.join(trained_tasks())}")


def _train_all(
    runs: Sequence[Run], folder: Path, file: Path | None, logs: Path | None, jobs: int, progress: Progress
) -> None:
    """Trains what has not been trained; each run is kept as it ends."""
    settings = {task: load_hyperparameters(task, file) for task in dict.fromkeys(run.task for run in runs)}
    left = [run for run in runs if not is_finished(run, folder, settings[run.task])]
    done = len(runs) - len(left)
    progress(done, len(runs), "training")
    if jobs == 1:
        for index, run in enumerate(left, start=done):

            def report(steps: float, total: float, name: str, index: int = index) -> None:
                progress(index + steps / total, len(runs), f"training {name}")

            train(run, folder, settings[run.task], logs=logs, progress=report)
        return
    calls = [delayed(train)(run, folder, settings[run.task], logs=logs) for run in left]
    with parallel_config("loky", inner_max_num_threads=1):
        for finished in Parallel(n_jobs=jobs, return_as="generator_unordered")(calls):
            done += 1
            progress(done, len(runs), f"trained {finished.card.name}")


def _play_all(
    runs: Sequence[Run], folder: Path, episodes: int, jobs: int, progress: Progress
) -> dict[tuple[str, str], Played]:
    """Plays all agents and reference controllers: (task, name) -> returns."""
    tasks = list(dict.fromkeys(run.task for run in runs))
    trained = {task: list(dict.fromkeys(run.seed for run in runs if run.task == task)) for task in tasks}
    references = [(task, each) for task in tasks for each in (RANDOM, *references_of(get_task(task)))]
    calls = [delayed(_play_reference)(task, each, trained[task], episodes) for task, each in references]
    calls += [delayed(_play_agent)(run, folder, episodes) for run in runs]
    results = []
    with parallel_config("loky", inner_max_num_threads=1):
        for result in Parallel(n_jobs=jobs, return_as="generator")(calls):
            results.append(result)
            progress(len(results), len(calls), "playing")
    played = {(task, each.name): result for (task, each), result in zip(references, results, strict=False)}
    by_run = dict(zip(runs, results[len(references) :], strict=True))
    for task, agent in dict.fromkeys((run.task, run.dynamics) for run in runs):
        played[task, agent] = _joined([by_run[Run(task, agent, seed)] for seed in trained[task]])
    return played


def _complete(runs: Sequence[Run], folder: Path, *, some: bool) -> list[Run]:
    """The runs of those training seeds that all agents of a task have, so that all are compared on the same ones.

    Args:
        runs: what is asked for.
        folder: where the policies are.
        some: whether fewer training seeds will do, as long as there is one.

    Raises:
        ResultsError: a task has too few.
    """
    missing = {run for run in runs if not run.path(folder).is_file()}
    if missing and not some:
        raise ResultsError(_too_few(runs, missing, folder))
    gaps = {(run.task, run.seed) for run in missing}
    kept = [run for run in runs if (run.task, run.seed) not in gaps]
    lost = sorted({run.task for run in runs} - {run.task for run in kept})
    if lost:
        names = sorted(run.name for run in missing if run.task in lost)
        raise ResultsError(
            f"{folder} has no policy {', '.join(names[:5])}{' and more' if names[5:] else ''}; "
            "train what is missing with --retrain"
        )
    return kept


def _too_few(runs: Sequence[Run], missing: set[Run], folder: Path) -> str:
    """Says which training seeds there are, of the first task that lacks one."""
    task = next(run.task for run in runs if run in missing)
    asked = {run.seed for run in runs}
    there = sorted(asked - {run.seed for run in missing if run.task == task})
    seeds = f"only training seeds {', '.join(map(str, there))}" if there else "no training seed"
    return f"{folder} has {seeds} of {task}, not all {len(asked)} that were asked for; train the others with --retrain"


def _play_agent(run: Run, folder: Path, episodes: int) -> Played:
    """One training seed of an agent; its starts differ from those of other training seeds, not from other agents'."""
    policy = load_policy(run.path(folder), task=run.task)
    if (policy.card.dynamics, policy.card.seed) != (run.dynamics, run.seed):
        raise ResultsError(f"{run.path(folder)} is policy {policy.card.name}")
    controller, start = by_policy(policy), FIRST_START + run.seed * episodes
    real = play(run.task, "ode", controller, episodes, start)
    believed = real if run.dynamics == "ode" else play(run.task, run.dynamics, controller, episodes, start)
    return Played(real[None], believed[None], policy.card.metrics.get("steps_per_second"))


def _play_reference(task: str, reference: Reference, seeds: Sequence[int], episodes: int) -> Played:
    """A reference controller from the starts of all training seeds; a slow one plays from the first seed's only."""
    controller = reference.make(get_task(task))
    chosen = seeds[:1] if reference.slow else seeds
    returns = [play(task, "ode", controller, episodes, FIRST_START + seed * episodes) for seed in chosen]
    return Played(np.stack(returns))


def _joined(parts: Sequence[Played]) -> Played:
    speeds = [part.steps_per_second for part in parts if part.steps_per_second is not None]
    believed = [part.believed for part in parts if part.believed is not None]
    return Played(
        np.concatenate([part.real for part in parts]),
        np.concatenate(believed),
        float(np.median(speeds)) if speeds else None,
    )


def _rows(played: dict[tuple[str, str], Played]) -> list[Row]:
    rows, order = [], list(dict.fromkeys((*TASKS, *(task for task, _ in played))))
    for (place, name), each in sorted(played.items(), key=lambda item: order.index(item[0][0])):
        ode, random, task = played[place, "ode"], played[place, "random"], get_task(place).name
        rows += _interval(task, name, "return", bootstrap(lambda real: real, each.real))
        if name != "random":
            share = bootstrap(_share, each.real, ode.real, random.real)
            reference = LEAST_IMPROVEMENT if name == "hnn" else None
            rows += _interval(task, name, "relative_improvement", share, reference=reference)
        if each.believed is not None:
            rows += _belief(task, name, each, ode, random)
    return rows


def _belief(task: str, name: str, each: Played, ode: Played, random: Played) -> list[Row]:
    """What a trained agent believes, and how fast it was trained."""
    believed = bootstrap(lambda real: real, each.believed)
    gap = bootstrap(lambda a, b, c, d: (a - b) / (c - d), each.believed, each.real, ode.real, random.real)
    reference = LARGEST_GAP if name == "hnn" else None
    rows = [
        Row(SUITE, task, name, "believed_return", believed.value, believed.stderr),
        *_interval(task, name, "believed_gap", gap, reference=reference),
        Row(SUITE, task, name, "training_seeds", float(len(each.real))),
    ]
    if each.steps_per_second is not None:
        rows.append(Row(SUITE, task, name, "steps_per_second", each.steps_per_second, unit="1/s"))
    return rows


def _share(agent: Array, ode: Array, random: Array) -> Array:
    """What an agent gained over the random policy as a share of what the ode-trained agent gained."""
    share: Array = (agent - random) / (ode - random)
    return share


def _interval(task: str, name: str, metric: str, estimate: Estimate, reference: float | None = None) -> list[Row]:
    return [
        Row(SUITE, task, name, metric, estimate.value, estimate.stderr, reference=reference),
        Row(SUITE, task, name, f"{metric}_low", estimate.low),
        Row(SUITE, task, name, f"{metric}_high", estimate.high),
    ]
