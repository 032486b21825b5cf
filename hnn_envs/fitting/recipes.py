"""Recipes: what system, data, model, budget and seed a checkpoint is made from, as data, and how one is followed."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs import __version__
from hnn_envs.checkpoints import Card, Checkpoint, Domain, load_checkpoint, save_checkpoint
from hnn_envs.errors import HnnEnvsError, InvalidOptionError, UnknownNameError
from hnn_envs.fitting.frames import Progress
from hnn_envs.fitting.losses import Loss, make_loss
from hnn_envs.fitting.trainer import DTYPES, Report, Stage, fit, loss_on
from hnn_envs.hamiltonian import PortHamiltonian
from hnn_envs.models import Calibrated, Family, Parameters, describe, make_family
from hnn_envs.models.pixels import Sighted
from hnn_envs.recordings.sources import Dataset, FilmSource, make_source, merge
from hnn_envs.registry import construct
from hnn_envs.systems import Known, SystemSpec, resolve_system, spec_of, truth_of

Message = Callable[[str], Any]


@dataclass(frozen=True)
class Recipe:
    """A recipe as its TOML file states it.

    Attributes:
        text: the file, which goes into the card.
        system: name of the system.
        name: name of the checkpoint, such as "default/hnn".
        seed: of data, initialisation and minibatches.
        model: the family's name under "family", and its settings.
        data: one table per data source; their shares are joined.
        stages: one table per stage of training.
        domain: "low" and "high" of the states where the model may be trusted; by default what the training data spans.
        precision: of the weights in the checkpoint, "float64" or "float32"; for models of many weights.
    """

    text: str = field(repr=False)
    system: str
    name: str
    seed: int
    model: dict[str, Any]
    data: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    domain: dict[str, list[float]] | None = None
    precision: str = "float64"

    @property
    def identity(self) -> str:
        """Such as "pendulum/default/hnn"."""
        return f"{self.spec.name}/{self.name}"

    @cached_property
    def known(self) -> Known:
        """The system, with or without its equations."""
        return resolve_system(self.system)

    @property
    def spec(self) -> SystemSpec:
        """What the system is."""
        return spec_of(self.known)

    @cached_property
    def family(self) -> Family:
        """The model family with its settings."""
        settings = dict(self.model)
        return make_family(settings.pop("family", ""), settings)

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def recipes_folder() -> Path:
    """The shipped recipes: inside an installed wheel, else those of the repository."""
    shipped = Path(str(package_files("hnn_envs"))) / "_recipes"
    return shipped if shipped.is_dir() else shipped.parent.parent / "training" / "recipes"


def shipped_recipes() -> list[str]:
    """Identities of the shipped recipes, such as "pendulum/default/hnn"."""
    folder = recipes_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """Reads a recipe by its identity or by the path of a TOML file.

    Raises:
        UnknownNameError: there is no such recipe.
        InvalidOptionError: the file is not a recipe.
    """
    path = recipes_folder() / f"{name}.toml"
    if not path.is_file():
        path = Path(name).expanduser()
    if path.suffix != ".toml" or not path.is_file():
        raise UnknownNameError(
            f"unknown recipe {name!r}; allowed: the path of a .toml file, or one of {', '.join(shipped_recipes())}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOptionError(f"{path} is not a recipe: {error}") from error
    return parse_recipe(text, str(path))


def parse_recipe(text: str, origin: str) -> Recipe:
    """Reads a recipe's text.

    Raises:
        InvalidOptionError: it is not TOML, or an entry is missing, unknown or of the wrong kind.
    """
    try:
        recipe = construct("a recipe", Recipe, tomllib.loads(text), text)
        _check_domain(recipe.spec, recipe.domain)
        _ = recipe.family
        if recipe.precision not in DTYPES:
            raise UnknownNameError.of("precision", recipe.precision, DTYPES)
        for table in recipe.data:
            make_source(table)
        for table in recipe.stages:
            _stage(table)
    except (ValueError, TypeError, HnnEnvsError) as error:
        raise InvalidOptionError(f"{origin} is not a recipe: {error}") from error
    return recipe


def _stage(table: dict[str, Any]) -> Stage:
    return construct("a stage", Stage, table)


def _check_domain(spec: SystemSpec, domain: dict[str, list[float]] | None) -> None:
    if domain is None:
        return
    if set(domain) != {"low", "high"}:
        raise InvalidOptionError(f"a domain has low and high, not {', '.join(domain) or 'nothing'}")
    low, high = domain["low"], domain["high"]
    if not len(low) == len(high) == 2 * spec.dof or np.greater_equal(low, high).any():
        raise InvalidOptionError(
            f"the domain of {spec.name} needs {2 * spec.dof} limits low and as many, larger, high: {domain}"
        )


def make_data(
    recipe: Recipe,
    data_path: str | None = None,
    *,
    progress: Progress = lambda *_: None,
    message: Message = lambda _: None,
) -> tuple[Dataset, Dataset]:
    """Training and test share of a recipe.

    Args:
        recipe: the recipe.
        data_path: where the measured series is, for recipes that need it.
        progress: called while films are made, which takes minutes: (frames made, frames in all).
        message: called with a line where cached films are damaged and made again.

    Raises:
        DataError: the measured series is needed and not there.
        InvalidOptionError: a source does not fit the system, or nothing is left to train or to test on.
    """
    rng = np.random.default_rng((recipe.seed, 0))
    shares = []
    for table in recipe.data:
        settings = dict(table)
        if settings.get("source") == "measured" and data_path is not None:
            settings["path"] = data_path
        source, system = make_source(settings), recipe.known
        if isinstance(source, FilmSource):
            shares.append(source.make(system, rng, progress=progress, message=message))
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


def follow(
    recipe: Recipe,
    output: Path,
    *,
    data_path: str | None = None,
    shares: tuple[Dataset, Dataset] | None = None,
    report: Report | None = None,
    progress: Progress = lambda *_: None,
    message: Message = lambda _: None,
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
        progress: called while films are made.
        message: called with a line at every milestone.
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
    stages = [_stage(table) for table in recipe.stages]
    with torch_threads(threads):
        parameters = fit(
            recipe.spec, recipe.family, train, stages, recipe.seed, state=state, key=recipe.digest, report=report
        )
    message("measuring")
    if isinstance(recipe.family, Calibrated):
        parameters = recipe.family.calibrate(parameters, train.frames, train.states)
    parameters = {name: value.astype(recipe.precision) for name, value in parameters.items()}
    card = replace(_card(recipe, domain), energy_offset=energy_offset(recipe, parameters, train))
    metrics = measure(recipe, Checkpoint(card, parameters), test)
    save_checkpoint(output, replace(card, metrics=metrics), parameters)
    state.unlink(missing_ok=True)
    return load_checkpoint(output, recipe.spec.name)


def measure(recipe: Recipe, checkpoint: Checkpoint, test: Dataset) -> dict[str, float]:
    """The metrics of a checkpoint's card.

    "test_loss" is the derivative loss on the test share; of models with coordinates of their own it is what they were
    trained to lower. Models of the default family also have "episode_error_95": the 95th percentile over 100 starts of
    the largest error within an episode under random actions, as a share of the domain's width. Of models of films they
    have "angle_error_50", the median error of the angle read off the 100 frames that they foresee from two, in rad, and
    "frame_mse_ratio", the mean square error of the frames that they foresee from ten, next to that of their own
    autoencoder, as the median over films.
    """
    metrics = {"test_loss": loss_on(recipe.spec, recipe.family, checkpoint.parameters, test, yardstick(recipe))}
    if recipe.name.startswith("default/"):
        metrics |= _foreseen(recipe, checkpoint)
    return metrics


def _foreseen(recipe: Recipe, checkpoint: Checkpoint) -> dict[str, float]:
    from hnn_envs.dynamics import make_dynamics
    from hnn_envs.evaluation.episode_error import episode_errors
    from hnn_envs.foresight import foresee
    from hnn_envs.tasks import find_task

    found = {"episode_error_95": float(np.quantile(episode_errors(checkpoint), 0.95))}
    dynamics = make_dynamics(recipe.known, checkpoint, dt=find_task(recipe.spec.name).dt)
    if isinstance(dynamics.field, Sighted):
        found["angle_error_50"] = float(np.median(foresee(dynamics).angle_errors))
        found["frame_mse_ratio"] = foresee(dynamics, shown=10).frame_ratio
    return found


def yardstick(recipe: Recipe) -> Loss:
    """The loss that a checkpoint's "test_loss" is of."""
    if not isinstance(recipe.family, Calibrated):
        return make_loss("derivative", {})
    stage = _stage(recipe.stages[-1])
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
    if not isinstance(field, PortHamiltonian):
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


def recipe_of(checkpoint: Checkpoint) -> Recipe:
    """The recipe that a checkpoint was made from, out of its card."""
    return parse_recipe(checkpoint.card.recipe, f"the card of {checkpoint.card.system}/{checkpoint.card.name}")


__all__ = [
    "Parameters",
    "Recipe",
    "follow",
    "load_recipe",
    "make_data",
    "measure",
    "parse_recipe",
    "recipe_of",
    "recipes_folder",
    "shipped_recipes",
]
