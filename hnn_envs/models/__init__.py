"""The learned families, one file each. A family is a dataclass of settings that can draw parameters and build a field.

To add a family, write its file with a ``Config`` and add a line to ``FAMILIES``.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, Protocol

import numpy as np

from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.hamiltonian import VectorField
from hnn_envs.models import baseline, generic, pairwise, separable
from hnn_envs.models.mlp import Parameters
from hnn_envs.models.ports import Ports
from hnn_envs.systems import System


class Family(Protocol):
    """Settings of a learned field."""

    def init(self, system: System, rng: np.random.Generator) -> Parameters:
        """Random parameters, float64 NumPy arrays."""
        ...

    def build(self, system: System, parameters: Parameters) -> VectorField:
        """The vector field with these parameters, NumPy arrays or torch tensors."""
        ...


FAMILIES: dict[str, type[Any]] = {
    "generic": generic.Config,
    "separable": separable.Config,
    "pairwise": pairwise.Config,
    "mlp": baseline.Config,
}

__all__ = ["FAMILIES", "Family", "Parameters", "describe", "make_family"]


def make_family(name: str, settings: dict[str, Any]) -> Family:
    """Builds a family from its name and its settings, as a recipe or a card holds them.

    Raises:
        UnknownNameError: there is no such family.
        InvalidOptionError: a setting that the family does not have.
    """
    if name not in FAMILIES:
        raise UnknownNameError.of("model family", name, FAMILIES)
    known = {field.name for field in fields(FAMILIES[name])}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise InvalidOptionError(f"model family {name!r} has no setting {unknown[0]!r}; allowed: {', '.join(known)}")
    arguments = dict(settings)
    if "hidden" in arguments:
        arguments["hidden"] = tuple(int(units) for units in arguments["hidden"])
    if "ports" in arguments:
        arguments["ports"] = Ports(**arguments["ports"])
    family: Family = FAMILIES[name](**arguments)
    return family


def describe(family: Any) -> dict[str, Any]:
    """The inverse of ``make_family``: the settings as plain JSON values."""
    settings = asdict(family)
    settings["hidden"] = list(settings["hidden"])
    return settings
