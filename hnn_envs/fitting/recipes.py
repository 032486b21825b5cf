"""Recipes: what system, data, model, budget and seed a checkpoint is made from, as data."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.checkpoints import Checkpoint
from hnn_envs.errors import HnnEnvsError, InvalidOptionError, UnknownNameError, suggestion
from hnn_envs.fitting.trainer import DTYPES, Stage
from hnn_envs.models import Family, describe, make_family, shapes_of
from hnn_envs.parsing import Bounded, is_file, parse_toml, shown, user_path
from hnn_envs.recordings import make_source
from hnn_envs.registry import construct
from hnn_envs.storage import LARGEST_MODEL
from hnn_envs.systems import Known, SystemSpec, resolve_system, spec_of

LARGEST_FILE = 2**20
"""Bytes; a recipe has some hundreds."""
NAME = re.compile(r"(?=.{1,100}\Z)\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
"""What a checkpoint may be called: a file of that name stays in its folder."""


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
    domain: dict[str, list[Bounded]] | None = None
    precision: str = "float64"

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise InvalidOptionError(f"a seed is an integer from 0 on, not {self.seed!r}")

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
        UnknownNameError: there is no such recipe, or no such file.
        InvalidOptionError: the file is not a recipe.
    """
    path = recipes_folder() / f"{name}.toml"
    if not is_file(path):
        path = user_path(name)
    if path.suffix != ".toml":
        known = shipped_recipes()
        hint = suggestion(name, known) or f", such as {known[0]}"
        raise UnknownNameError(
            f"unknown recipe {name!r}; allowed: the path of a .toml file, or a name in hnn-envs list{hint}"
        )
    if not is_file(path):
        raise UnknownNameError(f"there is no recipe file {path}")
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InvalidOptionError(f"{path} is not a recipe: of its {size} bytes at most {LARGEST_FILE} are read")
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
        recipe = construct("a recipe", Recipe, parse_toml(text), text)
        if not NAME.fullmatch(recipe.name):
            raise InvalidOptionError(
                f"the name must be words of letters, digits, '.', '_' and '-' with '/' between: {shown(recipe.name)}"
            )
        _check_domain(recipe.spec, recipe.domain)
        _check_size(recipe)
        if recipe.precision not in DTYPES:
            raise UnknownNameError.of("precision", recipe.precision, DTYPES)
        for table in recipe.data:
            make_source(table)
        for table in recipe.stages:
            make_stage(table)
    except (ValueError, TypeError, HnnEnvsError) as error:
        raise InvalidOptionError(f"{origin} is not a recipe: {str(error).removeprefix('a recipe: ')}") from error
    return recipe


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The same recipe with another seed, in its text as well, so that a card tells it.

    Raises:
        InvalidOptionError: a negative seed, or a recipe whose text does not state the seed on a line of its own.
    """
    text, count = re.subn(r"^(seed\s*=\s*)\d+", rf"\g<1>{seed}", recipe.text, flags=re.MULTILINE)
    if count != 1:
        raise InvalidOptionError(f"recipe {recipe.identity} does not state its seed on one line")
    return parse_recipe(text, f"{recipe.identity} with seed {seed}")


def make_stage(table: dict[str, Any]) -> Stage:
    """A stage of training from its table."""
    return construct("a stage", Stage, table)


def _check_size(recipe: Recipe) -> None:
    """Refuses a model that no checkpoint could hold, before anything is drawn."""
    size = 8 * sum(math.prod(shape) for shape in shapes_of(recipe.family, recipe.spec).values())
    if size > LARGEST_MODEL:
        raise InvalidOptionError(
            f"the model's parameters would take {size} bytes, and a checkpoint has at most {LARGEST_MODEL}: "
            f"{describe(recipe.family)}"
        )


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


def recipe_of(checkpoint: Checkpoint) -> Recipe:
    """The recipe that a checkpoint was made from, out of its card."""
    return parse_recipe(checkpoint.card.recipe, f"the card of {checkpoint.card.system}/{checkpoint.card.name}")


__all__ = [
    "Recipe",
    "load_recipe",
    "parse_recipe",
    "recipe_of",
    "recipes_folder",
    "shipped_recipes",
    "with_seed",
]
