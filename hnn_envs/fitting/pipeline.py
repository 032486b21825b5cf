"""Following a recipe: the data is made, the model fitted and measured, and the checkpoint written.

What else than the test loss is measured is told from above, since metrics need rollouts and tasks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from hnn_envs.checkpoints import Card, Checkpoint, Domain, load_checkpoint, save_checkpoint
from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.losses import Loss, make_loss
from hnn_envs.fitting.recipes import Recipe, make_stage
from hnn_envs.fitting.trainer import Report, RunState, fit, load_state, loss_on
from hnn_envs.hamiltonian import HamiltonianFlow
from hnn_envs.models import Calibrated, Parameters, describe
from hnn_envs.progress import Progress, silent
from hnn_envs.recordings import SOURCES, Message, ReportingSource, make_source
from hnn_envs.recordings.dataset import Dataset, merge
from hnn_envs.storage import digest_of
from hnn_envs.systems import truth_of
from hnn_envs.version import __version__

Measure: TypeAlias = Callable[[Recipe, Checkpoint, Dataset], dict[str, float]]
"""(recipe, checkpoint, test share) -> metrics by name."""


def make_data(
    recipe: Recipe,
    data_path: str | None = None,
    *,
    progress: Progress = silent,
    message: Message = lambda _: None,
) -> tuple[Dataset, Dataset]:
    """Training and test share of a recipe.

    Args:
        recipe: the recipe.
        data_path: where the measured series is, for recipes that need it.
        progress: called while data is made that takes minutes.
        message: called with a line about what the user should know, such as a damaged cache.

    Raises:
        DataError: the measured series is needed and not there.
        InvalidOptionError: a source does not fit the system, or nothing is left to train or to test on.
    """
    rng = np.random.default_rng((recipe.seed, 0))
    shares = []
    for table in recipe.data:
        settings = dict(table)
        if data_path is not None and _takes_a_path(settings.get("source")):
            settings["path"] = data_path
        source, system = make_source(settings), recipe.known
        if isinstance(source, ReportingSource):
            shares.append(source.make_reporting(system, rng, progress, message))
        else:
            shares.append(source.make(system, rng))
    if not shares:
        raise InvalidOptionError(f"recipe {recipe.identity} has no data")
    train, test = (merge(list(share)) for share in zip(*shares, strict=True))
    if not len(train) or not len(test):
        raise InvalidOptionError(
            f"recipe {recipe.identity} leaves {len(train)} trajectories to train on and {len(test)} to test on"
        )
    return train, test


def _takes_a_path(source: object) -> bool:
    """Whether a source reads files of the user's."""
    return isinstance(source, str) and source in SOURCES and "path" in inspect.signature(SOURCES[source]).parameters


def follow(
    recipe: Recipe,
    output: Path,
    *,
    data_path: str | None = None,
    shares: tuple[Dataset, Dataset] | None = None,
    report: Report | None = None,
    progress: Progress = silent,
    message: Message = lambda _: None,
    measure: Measure | None = None,
    threads: int = 1,
) -> Checkpoint:
    """Makes the data, fits the model, measures it and writes the checkpoint.

    A killed run goes on where it stopped: its state is kept beside the output until the checkpoint is written. The
    result depends on the recipe alone (and on the machine's arithmetic).

    Args:
        recipe: the recipe.
        output: where the checkpoint goes.
        data_path: where the measured series is, for recipes that need it.
        shares: what ``make_data`` gave for this recipe, where the caller has it already.
        report: called with the trainer's progress.
        progress: called while data is made that takes minutes.
        message: called with a line at every milestone.
        measure: what the card's metrics are, of the recipe, the checkpoint and the test share; by default the test loss
            alone.
        threads: torch threads.

    Raises:
        DataError: the measured series is needed and not there.
        TrainingError: the loss is not finite.
    """
    state = output.with_suffix(".state.safetensors")
    message("making the data")
    train, test = shares or make_data(recipe, data_path, progress=progress, message=message)
    domain = trusted_domain(recipe, train)
    message(f"fitting {recipe.model['family']} to {train.states.shape[0] * train.states.shape[1]} states")
    stages = [make_stage(table) for table in recipe.stages]
    key = run_key(recipe, train, threads)
    kept = load_state(state, key, message)
    if kept is not None:
        message(_going_on(state, kept, recipe))
    with torch_threads(threads):
        parameters = fit(
            recipe.spec,
            recipe.family,
            train,
            stages,
            recipe.seed,
            state=state,
            key=key,
            report=report,
        )
    message("measuring")
    if isinstance(recipe.family, Calibrated):
        parameters = recipe.family.calibrate(parameters, train.frames, train.states)
    parameters = {name: value.astype(recipe.precision) for name, value in parameters.items()}
    card = replace(_card(recipe, domain), energy_offset=energy_offset(recipe, parameters, train))
    metrics = (measure or held_out_loss)(recipe, Checkpoint(card, parameters), test)
    save_checkpoint(output, replace(card, metrics=metrics), parameters)
    state.unlink(missing_ok=True)
    return load_checkpoint(output, recipe.spec.name)


def run_key(recipe: Recipe, train: Dataset, threads: int) -> str:
    """A digest of what the result of a run depends on: recipe, data, version and number of threads.

    The state of a run is taken up by one of the same key only.
    """
    arrays = {name: value for name, value in vars(train).items() if value is not None}
    return digest_of({"recipe": recipe.digest, "version": __version__, "threads": threads}, arrays)


def _going_on(state: Path, kept: RunState, recipe: Recipe) -> str:
    """What a kept state means for a run."""
    if kept.stage == len(recipe.stages):
        return f"going on after the last stage, which {state} holds"
    return f"going on at stage {kept.stage + 1} of {len(recipe.stages)}, step {kept.step}, kept in {state}"


def held_out_loss(recipe: Recipe, checkpoint: Checkpoint, test: Dataset) -> dict[str, float]:
    """The metric "test_loss": the derivative loss on the test share.

    Of models with coordinates of their own it is what they were trained to lower.
    """
    return {"test_loss": loss_on(recipe.spec, recipe.family, checkpoint.parameters, test, yardstick(recipe))}


def yardstick(recipe: Recipe) -> Loss:
    """The loss that a checkpoint's "test_loss" is of."""
    if not isinstance(recipe.family, Calibrated):
        return make_loss("derivative", {})
    stage = make_stage(recipe.stages[-1])
    return make_loss(stage.loss, stage.loss_settings)


def trusted_domain(recipe: Recipe, train: Dataset) -> Domain:
    """The recipe's domain, or what the training data spans.

    Raises:
        InvalidOptionError: the data leaves more than 2 % of the recipe's domain uncovered at an edge.
    """
    states, _, _ = train.flat()
    low, high = states.min(axis=0), states.max(axis=0)
    truth = truth_of(recipe.known)
    if recipe.domain is not None:
        asked_low, asked_high = np.array(recipe.domain["low"], float), np.array(recipe.domain["high"], float)
        margin = 0.02 * (asked_high - asked_low)
        uncovered = np.flatnonzero((low > asked_low + margin) | (high < asked_high - margin))
        if len(uncovered):
            claims = "; ".join(
                f"x[{column}] from {asked_low[column]:g} to {asked_high[column]:g}, and its data spans only "
                f"{low[column]:.3g} to {high[column]:.3g}"
                for column in uncovered
            )
            raise InvalidOptionError(f"recipe {recipe.identity} claims a domain that its data does not cover: {claims}")
        low, high = asked_low, asked_high
    energies = None if truth is None else truth.value(states)
    span = None if energies is None else (float(energies.min()), float(energies.max()))
    return Domain(tuple(low.tolist()), tuple(high.tolist()), span)


def energy_offset(recipe: Recipe, parameters: Parameters, train: Dataset) -> float:
    """Mean over the training states of learned minus true energy; 0 for models without an energy.

    Where no true energy is known, the mean of the learned one is what is subtracted.
    """
    field, truth = recipe.family.build(recipe.spec, parameters), truth_of(recipe.known)
    if not isinstance(field, HamiltonianFlow):
        return 0.0
    states, _, _ = train.flat()
    learned = field.hamiltonian.value(states)
    return float((learned if truth is None else learned - truth.value(states)).mean())


def _card(recipe: Recipe, domain: Domain) -> Card:
    settings = describe(recipe.family)
    return Card(
        name=recipe.name,
        spec=recipe.spec,
        family=recipe.model["family"],
        settings=settings,
        domain=domain,
        recipe=recipe.text,
        recipe_hash=recipe.digest,
        seed=recipe.seed,
        energy_offset=0.0,
        metrics={},
        version=__version__,
    )


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Sets the number of torch threads for a while: results depend on it in the last digits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
