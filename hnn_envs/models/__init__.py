"""The learned families, one file each. A family is a dataclass of settings that can draw parameters and build a field.

To add a family, write its file with a ``Config`` and a line in ``FAMILIES``, or call ``register_family`` from outside.
Families read a ``SystemSpec``, and never a system's equations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import VectorField
from hnn_envs.models.mlp import Parameters, Shapes, layer_names
from hnn_envs.models.ports import Ports
from hnn_envs.models.settings import POSITIVE, positive
from hnn_envs.parsing import LARGEST, shown
from hnn_envs.registry import Registry
from hnn_envs.systems.spec import SystemSpec


class Family(Protocol):
    """Settings of a learned field."""

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters, float64 NumPy arrays."""
        ...

    def build(self, spec: SystemSpec, parameters: Parameters) -> VectorField:
        """The vector field with these parameters, NumPy arrays or torch tensors."""
        ...


@runtime_checkable
class Calibrated(Protocol):
    """A family that learns coordinates of its own, and is told how they lie to the states only after training."""

    def calibrate(self, parameters: Parameters, frames: Array, states: Array) -> Parameters:
        """The parameters with the map from the model's coordinates to states that fits these films best."""
        ...


@runtime_checkable
class Shaped(Protocol):
    """A family that tells the shapes of its parameters without drawing any, as all of this package do.

    A checkpoint of such a family is compared with its card before anything is made of it, whatever the card says.
    """

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of what ``init`` gives."""
        ...


@runtime_checkable
class ObservedFamily(Protocol):
    """A family whose fields have an observation model, as ``hnn_envs.observation.Observed`` ones have."""

    @property
    def observation_parameters(self) -> tuple[str, ...]:
        """Names of the parameters of the observation model, which do not move the state."""
        ...


def network_parameters(family: Family, parameters: Iterable[str]) -> frozenset[str]:
    """Which parameters are weights and biases of networks, on which a penalty on their size makes sense.

    A family names its networks, as ``init_mlp`` knows them, in an attribute ``networks``; one that does not has none.
    """
    networks: tuple[str, ...] = getattr(family, "networks", ())
    given = tuple(parameters)
    return frozenset(name for network in networks for name in layer_names(given, network))


LARGEST_UNSHAPED = 1024
"""Largest integer in the settings of a family from a file that does not tell its shapes, so that it has to draw."""

FAMILIES: Registry[type[Any]] = Registry(
    "model family",
    {
        "generic": "hnn_envs.models.generic:Config",
        "separable": "hnn_envs.models.separable:Config",
        "pairwise": "hnn_envs.models.pairwise:Config",
        "trigonometric": "hnn_envs.models.trigonometric:Config",
        "mechanical": "hnn_envs.models.mechanical:Config",
        "mlp": "hnn_envs.models.baseline:Config",
    },
)

MOST_LAYERS = 64
"""Entries of a setting that lists layers."""

__all__ = [
    "FAMILIES",
    "Calibrated",
    "Family",
    "ObservedFamily",
    "Parameters",
    "Shaped",
    "describe",
    "make_family",
    "network_parameters",
    "positive",
    "register_family",
    "shapes_of",
]


def register_family(name: str, config: type[Any] | str) -> None:
    """Makes a learned family known by its name.

    Args:
        name: its name in recipes and cards.
        config: a dataclass of settings with defaults that is a ``Family``, or where it is, "module:object".

    Raises:
        InvalidOptionError: another family has this name.
    """
    FAMILIES.register(name, config)


def make_family(name: str, settings: dict[str, Any]) -> Family:
    """Builds a family from its name and its settings, as a recipe or a card holds them.

    Raises:
        UnknownNameError: there is no such family.
        InvalidOptionError: what has this name is no family, a setting that it does not have, or a value that it cannot
            have.
    """
    config = _settings_class(name)
    arguments = _checked(f"model family {name!r}", settings, config())
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    if "ports" in arguments:
        arguments["ports"] = Ports(**arguments["ports"])
    family: Family = config(**arguments)
    return family


def shapes_of(family: Family, spec: SystemSpec) -> Shapes:
    """Shapes of the parameters of a family; of one that does not tell them they are drawn, if it is small.

    Raises:
        InvalidOptionError: it does not tell them, and a setting is larger than ``LARGEST_UNSHAPED``.
    """
    if isinstance(family, Shaped):
        return family.shapes(spec)
    largest = max(_integers(describe(family)), default=0)
    if largest > LARGEST_UNSHAPED:
        raise InvalidOptionError(
            f"a family without a method shapes may have no setting above {LARGEST_UNSHAPED}, not {shown(largest)}"
        )
    return {name: tuple(value.shape) for name, value in family.init(spec, np.random.default_rng(0)).items()}


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _integers(each)


def _settings_class(name: str) -> type[Any]:
    """The dataclass of a family; a card names it, so that nothing else may be called."""
    found: object = FAMILIES[name]
    if not (isinstance(found, type) and is_dataclass(found)):
        raise InvalidOptionError(f"model family {name!r} must be a dataclass of settings, not {found!r}")
    return found


def _checked(owner: str, settings: dict[str, Any], defaults: Any) -> dict[str, Any]:
    """A copy of ``settings``, each of which must be an entry of the dataclass ``defaults`` and of its type."""
    entries = {entry.name: entry for entry in fields(defaults)}
    for key, value in settings.items():
        if key not in entries:
            raise InvalidOptionError(f"{owner} has no setting {key!r}; allowed: {', '.join(entries)}")
        default = getattr(defaults, key)
        expected, fits = _requirement(value, default, positive=entries[key].metadata.get(POSITIVE, False))
        if not fits:
            raise InvalidOptionError(f"setting {key!r} of {owner} must be {expected}, not {shown(value)}")
        if is_dataclass(default):
            _checked(f"{key!r} of {owner}", value, default)
    return dict(settings)


def _requirement(value: Any, default: Any, *, positive: bool) -> tuple[str, bool]:
    """What a setting with this default must be, and whether ``value`` is."""
    if isinstance(default, bool):
        return "true or false", isinstance(value, bool)
    if isinstance(default, int):
        return f"a positive integer, at most {LARGEST}", type(value) is int and 0 < value <= LARGEST
    if isinstance(default, float):
        number = type(value) in (int, float) and abs(value) <= LARGEST
        least = "a positive number" if positive else "a number"
        return f"{least}, at most {LARGEST}", number and (value > 0 or not positive)
    if isinstance(default, tuple):
        layers = isinstance(value, list | tuple) and 0 < len(value) <= MOST_LAYERS
        return f"a list of positive integers, at most {MOST_LAYERS}", layers and all(
            type(units) is int and 0 < units <= LARGEST for units in value
        )
    if isinstance(default, dict) or is_dataclass(default):
        return "a table", isinstance(value, dict)
    return "a name", isinstance(value, type(default))


def describe(family: Any) -> dict[str, Any]:
    """The inverse of ``make_family``: the settings as plain JSON values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(family).items()}
