"""Checkpoints: safetensors with a typed, versioned model card in the header. The file is that of ``hnn_envs.storage``.

A card carries the description of the system that the model was learned from, so that a file stands alone. Cards of
format 1 named a system of this package instead; they are read as well. Nothing is ever unpickled. A file that is
missing, damaged, tampered with, of another format or made for another system gives a ``CheckpointError`` that names the
file and the cause.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hnn_envs.errors import CheckpointError, HnnEnvsError, UnknownNameError
from hnn_envs.hamiltonian import VectorField
from hnn_envs.models import Parameters, make_family, shapes_of
from hnn_envs.parsing import Extended, Positive, is_file, parse, user_path
from hnn_envs.storage import Shapes, open_tensors, write_tensors
from hnn_envs.systems import SYSTEMS, get_spec
from hnn_envs.systems.spec import SystemSpec, is_system_name

FORMAT = 2
FORMATS = (1, 2)
HEADER = "hnn_envs"
MOST_MEMBERS = 100
"""Members of an ensemble that are read; a spread needs a handful."""
T = TypeVar("T")
ALIASES = {"hnn": "default/hnn", "baseline": "default/baseline"}


@dataclass(frozen=True)
class Domain:
    """The states that a model was trained on.

    Attributes:
        low: smallest value of each state component.
        high: largest value of each state component; an angle that takes all values has low = -pi, high = pi.
        energy: smallest and largest energy, the true one where that is known; None where the model has none either.
        inputs: smallest and largest value of each input; None where that was not kept.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    energy: tuple[float, float] | None
    inputs: tuple[tuple[float, float], ...] | None = None

    @property
    def width(self) -> np.ndarray:
        """Extent of each state component, high - low, shape (2*dof,)."""
        return np.subtract(self.high, self.low)


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about itself.

    Attributes:
        name: "default/hnn", "paper/baseline" and so on.
        spec: what the system is that it was trained for.
        family: the model family, a key of ``hnn_envs.models.FAMILIES``.
        settings: the family's settings.
        domain: where it may be trusted.
        recipe: the recipe's text, so that the checkpoint can be made again.
        recipe_hash: SHA-256 of that text.
        seed: the seed of data and initialisation.
        metrics: measured after training, by name; a test measures them again.
        version: the version of hnn_envs that trained it.
        energy_offset: what to subtract from the learned H, which is fixed only up to a constant, so that its mean over
            the training states is the true energy's.
        dt: time step of the recording that it was learned from, or of its grid; None where that was not kept.
        spread_scale: what calibrates the spread of the members on data that was held out: it is multiplied by this.
        digest: SHA-256 of the card and the tensors; guards against tampering and damage.
        format: version of this layout.
    """

    name: str
    spec: SystemSpec
    family: str
    settings: dict[str, Any]
    domain: Domain
    recipe: str
    recipe_hash: str
    seed: int
    metrics: dict[str, Extended]
    version: str
    energy_offset: float = 0.0
    dt: Positive | None = None
    spread_scale: Positive = 1.0
    digest: str = ""
    format: int = FORMAT

    @property
    def system(self) -> str:
        """Name of the system."""
        return self.spec.name


@dataclass(frozen=True)
class Checkpoint:
    """A card and its parameters, float64 or float32 NumPy arrays.

    Attributes:
        card: what it says about itself.
        parameters: of the model.
        members: parameters of other models of the same family, learned from the same data: where these disagree with
            the model, it cannot be trusted (``hnn_envs.dynamics.Dynamics.spread``). None where there are none.
    """

    card: Card
    parameters: Parameters = field(repr=False)
    members: tuple[Parameters, ...] = field(default=(), repr=False)

    def build(self, parameters: Parameters | None = None) -> VectorField:
        """The vector field; ``parameters`` may be converted ones, such as torch tensors on a device."""
        family = make_family(self.card.family, self.card.settings)
        return family.build(self.card.spec, self.parameters if parameters is None else parameters)


def save_checkpoint(path: Path, card: Card, parameters: Parameters, members: Sequence[Parameters] = ()) -> None:
    """Writes a checkpoint to a temporary name and renames it, so that no reader ever sees half a file.

    Args:
        path: the file.
        card: what it says about itself.
        parameters: of the model.
        members: as for ``Checkpoint``.
    """
    write_tensors(path, HEADER, _written(card), _named(parameters, members))


def _written(card: Card) -> dict[str, Any]:
    """The entries of a card; those that came later are there only where they say something.

    So a file whose model has no members is what earlier versions wrote, to the byte.
    """
    entries = asdict(card) | {"format": FORMAT}
    if entries["spread_scale"] == 1.0:
        del entries["spread_scale"]
    if entries["dt"] is None:
        del entries["dt"]
    if entries["domain"]["inputs"] is None:
        del entries["domain"]["inputs"]
    return entries


def _named(values: Mapping[str, T], members: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """What a model has by name, and what its members have, as a file names them: "members/0/NAME"."""
    of_members = {
        f"members/{number}/{name}": value for number, each in enumerate(members) for name, value in each.items()
    }
    return {**values, **of_members}


def load_checkpoint(path: Path, system: str | None = None) -> Checkpoint:
    """Reads and validates a checkpoint.

    Args:
        path: the file.
        system: the system that it must be for; None accepts any.

    Raises:
        CheckpointError: the file cannot be used, with the reason.
    """
    if not is_file(path):
        raise CheckpointError(f"checkpoint {path} does not exist; shipped ones: {_shipped_names()}")
    with open_tensors(path, HEADER, "checkpoint", FORMATS) as file:
        card = _parse_card(path, file.values)
        _check_card(path, card, system)
        names, members = _check_shapes(path, card, file.shapes)
        weights = file.read()
    _check_weights(path, weights)
    own, *others = _sorted_out(weights, names, members)
    checkpoint = Checkpoint(card, own, tuple(others))
    _check_models(path, checkpoint)
    return checkpoint


def _sorted_out(weights: Parameters, names: Sequence[str], members: int) -> list[Parameters]:
    """The parameters of the model, and those of each member."""
    prefixes = ("", *(f"members/{number}/" for number in range(members)))
    return [{name: weights[f"{prefix}{name}"] for name in names} for prefix in prefixes]


def _parse_card(path: Path, values: Mapping[str, Any]) -> Card:
    try:
        return parse(Card, _current(values), "its card", whole=True)
    except HnnEnvsError as error:
        raise CheckpointError(f"checkpoint {path} has a damaged card: {error}") from error


def _current(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a card as the present format has them, those that came later among them.

    Format 1 has the name of a system of this package in place of the description.
    """
    entries = {"dt": None, "spread_scale": 1.0, **values}
    if entries["format"] == 1:
        name = entries.pop("system", None)
        if (
            not isinstance(name, str) or name not in SYSTEMS
        ):  # nor a place to import from, which no card of format 1 named
            raise UnknownNameError.of("system", name, SYSTEMS)
        entries["spec"] = get_spec(name).as_table()
    return entries


def _check_card(path: Path, card: Card, system: str | None) -> None:
    if system is not None and card.system != system:
        raise CheckpointError(f"checkpoint {path} was trained for system {card.system!r}, not for {system!r}")
    if hashlib.sha256(card.recipe.encode()).hexdigest() != card.recipe_hash:
        raise CheckpointError(f"checkpoint {path} was changed after it was written: its recipe does not match its hash")
    if len(card.domain.low) != 2 * card.spec.dof or len(card.domain.high) != 2 * card.spec.dof:
        raise CheckpointError(f"checkpoint {path} has a domain of the wrong size for system {card.system!r}")
    if card.domain.inputs is not None and len(card.domain.inputs) != len(card.spec.inputs):
        raise CheckpointError(
            f"checkpoint {path} has a domain of {len(card.domain.inputs)} inputs, and system {card.system!r} has "
            f"{len(card.spec.inputs)}"
        )


def _check_shapes(path: Path, card: Card, shapes: Shapes) -> tuple[list[str], int]:
    """Compares what the header says with the model that the card describes, before a tensor is read.

    Returns:
        The names of the model's parameters in their order in the file, and the number of members.
    """
    try:
        expected = shapes_of(make_family(card.family, card.settings), card.spec)
    except _BUILDING as error:
        raise _cannot_be_built(path, error) from error
    members = max(0, len(shapes) // max(1, len(expected)) - 1)
    if members > MOST_MEMBERS:
        raise CheckpointError(f"checkpoint {path} has {members} members; at most {MOST_MEMBERS} are read")
    if shapes != _named(expected, [expected] * members):
        raise CheckpointError(f"checkpoint {path} has weights that do not fit its model {card.family!r}")
    return [name for name in shapes if name in expected], members


def _check_weights(path: Path, weights: Parameters) -> None:
    for name, value in weights.items():
        if value.dtype not in (np.float64, np.float32):
            raise CheckpointError(
                f"checkpoint {path} has weights {name!r} that are {value.dtype}, not float64 or float32"
            )
        if not np.isfinite(value).all():
            raise CheckpointError(f"checkpoint {path} has weights {name!r} that are not finite")


def _check_models(path: Path, checkpoint: Checkpoint) -> None:
    try:
        for parameters in (checkpoint.parameters, *checkpoint.members):
            checkpoint.build(parameters)
    except _BUILDING as error:
        raise _cannot_be_built(path, error) from error


_BUILDING = (HnnEnvsError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError)
"""What the settings and the weights of a file may bring about in a family, one of a plug-in's among them."""


def _cannot_be_built(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"checkpoint {path} describes a model that cannot be built: {error}")


def checkpoints_folder() -> Path:
    """The shipped checkpoints: inside an installed wheel, else those of the repository."""
    shipped = Path(str(package_files("hnn_envs"))) / "_checkpoints"
    return shipped if shipped.is_dir() else shipped.parent.parent / "checkpoints"


_REGISTERED: list[Path] = []
"""Folders of checkpoints beside the shipped one, as packages outside of this one register them."""


def register_checkpoints(folder: Path | str) -> None:
    """Makes the checkpoints of a folder known by name, as the shipped ones are.

    Args:
        folder: holds files SYSTEM/FAMILY/NAME.safetensors, such as cart/default/hnn.safetensors.
    """
    place = Path(folder)
    if place not in _REGISTERED:
        _REGISTERED.append(place)


def checkpoint_folders() -> list[Path]:
    """Where checkpoints are looked up by name: the shipped ones first."""
    return [checkpoints_folder(), *_REGISTERED]


def checkpoint_path(system: str, name: str) -> Path:
    """Where the checkpoint ``name`` ("hnn", "paper/hnn", ...) of a system is; if nowhere, among the shipped."""
    file = Path(system) / f"{ALIASES.get(name, name)}.safetensors"
    places = [folder / file for folder in checkpoint_folders()]
    return next((place for place in places if is_file(place)), places[0])


def shipped_checkpoints(system: str) -> list[str]:
    """Names of the known checkpoints of a system, such as "default/hnn"; no unfinished training ("hnn.state")."""
    found: set[str] = set()
    if not is_system_name(system):
        return []
    for folder in (place / system for place in checkpoint_folders()):
        finished = (path.with_suffix("") for path in folder.glob("*/*.safetensors") if "." not in path.stem)
        found |= {path.relative_to(folder).as_posix() for path in finished}
    return sorted(found)


def find_checkpoint(system: str, name: str) -> Checkpoint:
    """Loads a checkpoint by the name of a shipped one ("hnn", "paper/hnn", ...) or by path.

    Raises:
        CheckpointError: there is none, or it cannot be used for this system.
    """
    if is_shipped_name(system, name):
        return _load_shipped(system, name)
    return load_checkpoint(user_path(name), system)


def is_shipped_name(system: str, name: str) -> bool:
    """Tells the name of a shipped checkpoint, or of one that should be shipped, from a path."""
    return name in ALIASES or name in shipped_checkpoints(system)


def is_path(name: str) -> bool:
    """Tells whether ``name`` is meant as a path: it ends in .safetensors, or there is a file of that name."""
    return name.endswith(".safetensors") or is_file(user_path(name))


@cache
def _load_shipped(system: str, name: str) -> Checkpoint:
    return load_checkpoint(checkpoint_path(system, name), system)


def _shipped_names() -> str:
    return "; ".join(f"{system}: {', '.join(shipped_checkpoints(system)) or 'none'}" for system in SYSTEMS)
