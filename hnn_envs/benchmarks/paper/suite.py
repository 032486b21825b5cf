"""The seed paper's tables again: its two models and ours on its data, from shipped checkpoints or from the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.jobs import processes
from hnn_envs.benchmarks.paper.limits import limits
from hnn_envs.benchmarks.paper.protocol import PROTOCOLS, Estimate, Estimates, measure
from hnn_envs.benchmarks.paper.published import reference
from hnn_envs.benchmarks.paper.time_to_loss import TimeToLoss, time_to_loss
from hnn_envs.checkpoints import find_checkpoint, load_checkpoint
from hnn_envs.errors import CheckpointError, DataError, InvalidOptionError, ResultsError, UnknownNameError
from hnn_envs.evaluation.records import Row, read_kept, write_kept
from hnn_envs.fitting.pipeline import follow, make_data
from hnn_envs.fitting.recipes import Recipe, load_recipe, recipe_of, with_seed
from hnn_envs.hamiltonian import VectorField
from hnn_envs.parsing import parse
from hnn_envs.progress import Progress, silent
from hnn_envs.recordings import SourceWithMetrics, make_source
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.measured import load_real_pendulum
from hnn_envs.recordings.sources import MeasuredSource, PaperSource
from hnn_envs.systems import SYSTEMS, get_spec, get_system

SUITE = "paper"
MODELS = ("paper/structured", "paper/hnn", "paper/baseline")


@dataclass(frozen=True)
class Retraining:
    """How to start from the data.

    Attributes:
        seeds: how many, from 0.
        out: where checkpoints and finished measurements are kept; what is there already is not done again.
    """

    seeds: int = 5
    out: Path = Path("runs/paper")

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InvalidOptionError(f"seeds must be a positive integer, not {self.seeds}")


def run(
    systems: Sequence[str] = (),
    dynamics: Sequence[str] = (),
    *,
    data_path: str | None = None,
    retraining: Retraining | None = None,
    jobs: int | None = None,
    progress: Progress = silent,
    filming: Progress = silent,
    message: Callable[[str], Any] = lambda _: None,
) -> list[Row]:
    """Measures the models of the paper suite.

    Args:
        systems: names of systems; by default all.
        dynamics: of "paper/structured", "paper/hnn", "paper/baseline"; by default all.
        data_path: where the measured series of the real pendulum is.
        retraining: trains every model on every seed; None takes the shipped checkpoints.
        jobs: processes; by default one per core.
        progress: called after every job.
        filming: called while data is made that takes minutes, such as films, which comes first.
        message: called with a line about everything that is left out, or made again, and why.

    Returns:
        One row per system, model and metric, with the standard error over seeds, or for shipped checkpoints over
        trajectories; and the limits that are known, as dynamics "limit".

    Raises:
        UnknownNameError: no such system or dynamics.
        InvalidOptionError: less than one process.
        CheckpointError: a shipped checkpoint is missing or damaged.
    """
    chosen = [get_spec(name).name for name in systems] or list(SYSTEMS)
    wanted, count = list(dynamics) or list(MODELS), processes(jobs)
    for name in wanted:
        if name not in MODELS:
            raise UnknownNameError.of("dynamics", name, MODELS)
    chosen = [name for name in chosen if _can_be_measured(name, wanted, data_path, message)]
    for recipe, source in _of_slow_data(chosen, wanted[0], retraining):
        # Once, and where it can be seen: several jobs would make the same data.
        make_data(recipe, progress=filming, message=message)
        source.prepare_metrics(filming, message)
    if retraining is None:
        tasks = [(name, delayed(measure_shipped)(name, wanted, data_path)) for name in chosen]
        return [row for name, found in _all(tasks, count, progress) for row in _rows(name, [found])]
    return _retrained(chosen, wanted, data_path, retraining, count, progress)


Findings = dict[str, Estimates]
"""Estimates by dynamics."""


def measure_shipped(system: str, models: Sequence[str], data_path: str | None) -> Findings:
    """Measures the shipped checkpoints of a system, and its limits."""
    checkpoints = {name: find_checkpoint(system, name) for name in models}
    recipe = recipe_of(next(iter(checkpoints.values())))
    train, test = make_data(recipe, data_path)
    found = _without_model(recipe, train, test)
    for name, checkpoint in checkpoints.items():
        if _data_of(recipe_of(checkpoint)) != _data_of(recipe):
            raise CheckpointError(f"shipped checkpoints {', '.join(models)} of {system} are not of the same data")
        found[name] = _measured(recipe, checkpoint.build(), name, train, test)
    return found


def measure_retrained(system: str, model: str, seed: int, out: Path, data_path: str | None) -> Findings:
    """Trains a model on a seed and measures it; takes up what is in ``out`` already."""
    recipe = with_seed(load_recipe(f"{system}/{model}"), seed)
    path = out / system / f"{model.removeprefix('paper/')}-seed{seed}.safetensors"
    done = load_findings(path.with_suffix(".json"), recipe.digest)
    if done is not None:
        return done
    shares = make_data(recipe, data_path)
    try:
        checkpoint = load_checkpoint(path, system)
    except CheckpointError:
        checkpoint = None
    if checkpoint is None or checkpoint.card.recipe_hash != recipe.digest:
        checkpoint = follow(recipe, path, shares=shares)
    found = _without_model(recipe, *shares)
    found[model] = _measured(recipe, checkpoint.build(), model, *shares)
    save_findings(path.with_suffix(".json"), recipe.digest, found)
    return found


def _retrained(
    systems: list[str],
    models: list[str],
    data_path: str | None,
    retraining: Retraining,
    jobs: int,
    progress: Progress,
) -> list[Row]:
    out, seeds = retraining.out, range(retraining.seeds)
    tasks = [
        (system, delayed(measure_retrained)(system, model, seed, out, data_path))
        for model in models
        for system in systems
        for seed in seeds
    ]
    found: dict[str, list[Findings]] = {system: [] for system in systems}
    for system, findings in _all(tasks, jobs, progress):
        found[system].append(findings)
    rows = [row for system in systems for row in _rows(system, found[system])]
    for system in systems:
        # One at a time and alone: what is measured is time.
        if PROTOCOLS[system].timed and {"paper/structured", "paper/hnn"} <= set(models):
            hnn = next(row.value for row in rows if (row.system, row.dynamics) == (system, "paper/hnn"))
            rows += _time_rows(system, time_to_loss(system, hnn))
    return rows


def _all(tasks: list[tuple[str, Any]], jobs: int, progress: Progress) -> list[tuple[str, Findings]]:
    """Results in the order of the tasks."""
    results = Parallel(n_jobs=max(1, min(jobs, len(tasks))), return_as="generator")(task for _, task in tasks)
    found = []
    for number, ((system, _), findings) in enumerate(zip(tasks, results, strict=True)):
        progress(number + 1, len(tasks), f"{system} {', '.join(name for name in findings if name in MODELS)}")
        found.append((system, findings))
    return found


def _rows(system: str, found: list[Findings]) -> list[Row]:
    """One row per dynamics and metric; several findings of one are different seeds."""
    samples: dict[tuple[str, str], list[Estimate]] = {}
    for findings in found:
        for dynamics, estimates in findings.items():
            for metric, estimate in estimates.items():
                samples.setdefault((dynamics, metric), []).append(estimate)
    paired = _paired(samples)
    rows = []
    for (dynamics, metric), values in (samples | paired).items():
        # One measurement, or the same again and again: what no seed changes.
        same = all(one == values[0] for one in values)
        whole = values[0] if same else Estimate.of(np.array([one.value for one in values]))
        held = reference(system, metric, dynamics)
        rows.append(Row(SUITE, system, dynamics, metric, whole.value, whole.stderr, reference=held))
    return sorted(rows, key=lambda row: (_order(row.dynamics), row.metric != "test_loss", row.metric))


def _paired(samples: dict[tuple[str, str], list[Estimate]]) -> dict[tuple[str, str], list[Estimate]]:
    """The re-clocked test loss less the paper HNN's on the same seeds: data sets differ more than models do."""
    ours = samples.get(("paper/structured", "test_loss_reclocked"), [])
    theirs = samples.get(("paper/hnn", "test_loss"), [])
    if not ours or len(ours) != len(theirs):
        return {}
    differences = [Estimate(one.value - other.value) for one, other in zip(ours, theirs, strict=True)]
    return {("paper/structured", "test_loss_reclocked_less_hnn"): differences}


def _time_rows(system: str, result: TimeToLoss) -> list[Row]:
    metric, ours = "seconds_to_hnn_loss", "paper/structured"
    return [
        Row(SUITE, system, "paper/hnn", metric, result.seed_seconds, unit="s"),
        Row(SUITE, system, ours, metric, result.our_seconds, unit="s"),
        Row(SUITE, system, ours, "time_ratio", result.ratio, reference=reference(system, "time_ratio", ours)),
    ]


def _measured(recipe: Recipe, field: VectorField, model: str, train: Dataset, test: Dataset) -> Estimates:
    source = make_source(recipe.data[0])
    if isinstance(source, SourceWithMetrics):
        return _estimates(source.measure(field, train, test))
    return measure(get_system(recipe.system), field, model, train, test)


def _without_model(recipe: Recipe, train: Dataset, test: Dataset) -> Findings:
    """What needs no model: the true field's own test loss where x is noisy, and the limits."""
    source, system = make_source(recipe.data[0]), get_system(recipe.system)
    if isinstance(source, SourceWithMetrics):
        return {"limit": _estimates(source.limits())}
    if not isinstance(source, PaperSource) or not source.noise:
        return {}
    return {
        "ode": measure(system, system.field, "ode", train, test),
        "limit": limits(system, source, test),
    }


def _estimates(samples: dict[str, Array]) -> Estimates:
    return {metric: Estimate.of(values) for metric, values in samples.items()}


def _of_slow_data(
    systems: list[str], model: str, retraining: Retraining | None
) -> Iterator[tuple[Recipe, SourceWithMetrics]]:
    """One recipe for every data set that is kept on disk; all models of a seed are fitted to the same."""
    for system in systems:
        recipe = load_recipe(f"{system}/{model}")
        source = make_source(recipe.data[0])
        if isinstance(source, SourceWithMetrics):
            for seed in [recipe.seed] if retraining is None else range(retraining.seeds):
                yield recipe if seed == recipe.seed else with_seed(recipe, seed), source


def _data_of(recipe: Recipe) -> tuple[int, list[dict[str, Any]]]:
    return recipe.seed, recipe.data


def _order(dynamics: str) -> int:
    names = ("paper/hnn", "paper/baseline", "paper/structured", "ode", "limit")
    return names.index(dynamics)


def _can_be_measured(
    system: str,
    models: list[str],
    data_path: str | None,
    message: Callable[[str], Any],
) -> bool:
    """Whether the paper has the system, and its data is there; else a message says what is missing."""
    if system not in PROTOCOLS:
        message(f"{system} is left out: the paper has no such system")
        return False
    if isinstance(make_source(load_recipe(f"{system}/{models[0]}").data[0]), MeasuredSource):
        try:
            load_real_pendulum(data_path)
        except DataError as error:
            message(f"{system} is left out: {error}")
            return False
    return True


@dataclass(frozen=True)
class _Kept:
    """The file of a finished measurement."""

    recipe_hash: str
    found: dict[str, dict[str, Estimate]]


def load_findings(path: Path, digest: str) -> Findings | None:
    """A finished measurement of this recipe; a damaged file counts as none."""
    try:
        kept = parse(_Kept, read_kept(path), "what was measured", whole=True)
    except (InvalidOptionError, ResultsError):
        return None
    return kept.found if kept.recipe_hash == digest else None


def save_findings(path: Path, digest: str, found: Findings) -> None:
    """Keeps a finished measurement of the recipe with this digest."""
    table = {
        dynamics: {metric: asdict(estimate) for metric, estimate in estimates.items()}
        for dynamics, estimates in found.items()
    }
    write_kept(path, {"recipe_hash": digest, "found": table})
