"""Data that models are fitted to: where it comes from, and how it is held.

A source is a dataclass of settings, as a recipe holds them, with one method that makes the data for a system. To add
one, write its class and a line in ``SOURCES``, or call ``register_source`` from outside. A name of the form
"module:object" is a source, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.hamiltonian import VectorField
from hnn_envs.progress import Progress
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.registry import Registry, construct
from hnn_envs.systems import Known

Message: TypeAlias = Callable[[str], Any]
"""Called with a line for the user."""


class Source(Protocol):
    """Where data comes from."""

    def make(self, system: Known, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
        """Training and test share."""
        ...


@runtime_checkable
class ReportingSource(Protocol):
    """A source that may take minutes, and tells how far it is."""

    def make_reporting(
        self, system: Known, rng: np.random.Generator, progress: Progress, message: Message
    ) -> tuple[Dataset, Dataset]:
        """Training and test share, as ``make`` gives them."""
        ...


@runtime_checkable
class SourceWithMetrics(Protocol):
    """A source that says how models of its data are measured, since states and derivatives do not tell.

    What is measured comes as samples by the metric's name: one number per trajectory.
    """

    def prepare_metrics(self, progress: Progress, message: Message) -> None:
        """Makes what is needed for measuring and is kept on disk, where that takes minutes."""
        ...

    def measure(self, field: VectorField, train: Dataset, test: Dataset) -> dict[str, Array]:
        """What one model achieves."""
        ...

    def limits(self) -> dict[str, Array]:
        """What no model can do better."""
        ...


SOURCES: Registry[type[Any]] = Registry(
    "data source",
    {
        "paper": "hnn_envs.recordings.sources:PaperSource",
        "measured": "hnn_envs.recordings.sources:MeasuredSource",
        "box": "hnn_envs.recordings.sources:BoxSource",
        "scattered": "hnn_envs.recordings.sources:ScatteredSource",
        "driven": "hnn_envs.recordings.sources:DrivenSource",
        "watched": "hnn_envs.recordings.watched:WatchedSource",
        "recorded": "hnn_envs.recordings.recorded:RecordedSource",
    },
)


def register_source(name: str, source: type[Any] | str) -> None:
    """Makes a data source known by its name.

    Args:
        name: its name in recipes.
        source: a dataclass of settings that is a ``Source``, or where it is, "module:object".

    Raises:
        InvalidOptionError: another source has this name.
    """
    SOURCES.register(name, source)


def make_source(settings: dict[str, Any]) -> Source:
    """Builds a source from a recipe's table, whose key "source" names it.

    Raises:
        UnknownNameError: there is no such source.
        InvalidOptionError: the settings do not fit it.
    """
    arguments = dict(settings)
    name = arguments.pop("source", None)
    source: Source = construct(f"data source {name!r}", SOURCES[name], arguments)
    return source


__all__ = [
    "SOURCES",
    "Message",
    "ReportingSource",
    "Source",
    "SourceWithMetrics",
    "make_source",
    "register_source",
]
