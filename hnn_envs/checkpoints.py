"""Checkpoints: safetensors with a typed, versioned model card in the header. The only place that reads or writes weights.

Nothing is ever unpickled. A file that is missing, damaged, tampered with, of another format or made for another system
gives a ``CheckpointError`` that names the file and the cause.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hnn_envs.errors import CheckpointError, HnnEnvsError
from hnn_envs.files import write_atomically
from hnn_envs.hamiltonian import VectorField
from hnn_envs.models import Parameters, make_family
from hnn_envs.systems import SYSTEMS, System

FORMAT = 1
HEADER = "hnn_envs"
ALIASES = {"hnn": "default/hnn", "baseline": "default/baseline"}


@dataclass(frozen=True)
class Domain:
    """The states that a model was trained on.

    Attributes:
        low: smallest value of each state component.
        high: largest value of each state component; an angle that takes all values has low = -pi, high = pi.
        energy: smallest and largest true energy.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    energy: tuple[float, float]

    @property
    def width(self) -> np.ndarray:
        """high - low, shape (2*dof,)."""
        return np.subtract(self.high, self.low)


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about itself.

    Attributes:
        name: "default/hnn", "paper/baseline" and so on.
        system: the system that it was trained for.
        family: the model family, a key of ``hnn_envs.models.FAMILIES``.
        settings: the family's settings.
        domain: where it may be trusted.
        recipe: the recipe's text, so that the checkpoint can be made again.
        recipe_hash: SHA-256 of that text.
        seed: the seed of data and initialisation.
        metrics: measured after training, by name; a test measures them again.
        version: the version of hnn_envs that trained it.
        digest: SHA-256 of the tensors; guards against tampering and damage.
        format: version of this layout.
    """

    name: str
    system: str
    family: str
    settings: dict[str, Any]
    domain: Domain
    recipe: str
    recipe_hash: str
    seed: int
    metrics: dict[str, float]
    version: str
    digest: str = ""
    format: int = FORMAT


@dataclass(frozen=True)
class Checkpoint:
    """A card and its parameters, float64 or float32 NumPy arrays."""

    card: Card
    parameters: Parameters = field(repr=False)

    def build(self, system: System, parameters: Parameters | None = None) -> VectorField:
        """The vector field; ``parameters`` may be converted ones, such as torch tensors on a device."""
        family = make_family(self.card.family, self.card.settings)
        return family.build(system, self.parameters if parameters is None else parameters)


def save_checkpoint(path: Path, card: Card, parameters: Parameters) -> None:
    """Writes a checkpoint to a temporary name and renames it, so that no reader ever sees half a file."""
    tensors = {name: np.ascontiguousarray(value) for name, value in sorted(parameters.items())}
    stamped = asdict(card) | {"digest": _digest(tensors)}
    write_atomically(path, save(tensors, {HEADER: json.dumps(stamped, sort_keys=True)}))


def load_checkpoint(path: Path, system: str | None = None) -> Checkpoint:
    """Reads and validates a checkpoint.

    Args:
        path: the file.
        system: the system that it must be for; None accepts any.

    Raises:
        CheckpointError: the file cannot be used, with the reason.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist; shipped ones: {_shipped_names()}")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            parameters = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"checkpoint {path} is not a readable safetensors file ({error}); it may be truncated, or of another format "
            "such as a pickle, which hnn_envs never loads"
        ) from error
    card = _parse_card(path, metadata)
    _check(path, card, parameters, system)
    return Checkpoint(card, parameters)


def _parse_card(path: Path, metadata: Mapping[str, str]) -> Card:
    if HEADER not in metadata:
        raise CheckpointError(f"checkpoint {path} has no hnn_envs card in its header; it was not written by hnn_envs")
    try:
        values = json.loads(metadata[HEADER])
        if values.get("format") != FORMAT:
            raise CheckpointError(
                f"checkpoint {path} has format {values.get('format')!r}; this version of hnn_envs reads format {FORMAT}"
            )
        domain = values["domain"]
        low, high = (tuple(float(number) for number in domain[name]) for name in ("low", "high"))
        lowest, highest = (float(number) for number in domain["energy"])
        known = {entry.name for entry in fields(Card)}
        if set(values) != known:
            raise ValueError(f"entries {sorted(set(values) ^ known)} are missing or unknown")
        return Card(**(values | {"domain": Domain(low, high, (lowest, highest))}))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"checkpoint {path} has a damaged card: {error}") from error


def _check(path: Path, card: Card, parameters: Parameters, system: str | None) -> None:
    if system is not None and card.system != system:
        raise CheckpointError(f"checkpoint {path} was trained for system {card.system!r}, not for {system!r}")
    if card.system not in SYSTEMS:
        raise CheckpointError(f"checkpoint {path} names an unknown system {card.system!r}; known: {', '.join(SYSTEMS)}")
    if card.digest != _digest(parameters):
        raise CheckpointError(f"checkpoint {path} was changed after it was written: its weights do not match its card")
    if hashlib.sha256(card.recipe.encode()).hexdigest() != card.recipe_hash:
        raise CheckpointError(f"checkpoint {path} was changed after it was written: its recipe does not match its hash")
    if len(card.domain.low) != 2 * SYSTEMS[card.system].dof or len(card.domain.high) != 2 * SYSTEMS[card.system].dof:
        raise CheckpointError(f"checkpoint {path} has a domain of the wrong size for system {card.system!r}")
    try:
        expected = make_family(card.family, card.settings).init(SYSTEMS[card.system], np.random.default_rng(0))
    except (HnnEnvsError, TypeError, ValueError) as error:
        raise CheckpointError(f"checkpoint {path} describes a model that cannot be built: {error}") from error
    shapes = {name: value.shape for name, value in parameters.items()}
    if shapes != {name: value.shape for name, value in expected.items()}:
        raise CheckpointError(f"checkpoint {path} has weights that do not fit its model {card.family!r}")
    if not all(np.isfinite(value).all() for value in parameters.values()):
        raise CheckpointError(f"checkpoint {path} has weights that are not finite")


def _digest(parameters: Parameters) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(parameters.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def checkpoints_folder() -> Path:
    """The shipped checkpoints: inside an installed wheel, else those of the repository."""
    shipped = Path(str(package_files("hnn_envs"))) / "_checkpoints"
    return shipped if shipped.is_dir() else shipped.parent.parent / "checkpoints"


def checkpoint_path(system: str, name: str) -> Path:
    """Where the shipped checkpoint ``name`` ("hnn", "paper/baseline", ...) of a system is, or would be."""
    return checkpoints_folder() / system / f"{ALIASES.get(name, name)}.safetensors"


def shipped_checkpoints(system: str) -> list[str]:
    """Names of the shipped checkpoints of a system, such as "default/hnn"."""
    folder = checkpoints_folder() / system
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("*/*.safetensors"))


def find_checkpoint(system: str, name: str) -> Checkpoint:
    """Loads a checkpoint by the name of a shipped one ("hnn", "paper/hnn", ...) or by path.

    Raises:
        CheckpointError: there is none, or it cannot be used for this system.
    """
    if name.endswith(".safetensors"):
        return load_checkpoint(Path(name).expanduser(), system)
    return _load_shipped(system, name)


@cache
def _load_shipped(system: str, name: str) -> Checkpoint:
    return load_checkpoint(checkpoint_path(system, name), system)


def _shipped_names() -> str:
    return "; ".join(f"{system}: {', '.join(shipped_checkpoints(system)) or 'none'}" for system in SYSTEMS)
