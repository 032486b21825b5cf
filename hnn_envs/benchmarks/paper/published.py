"""What the paper suite is held against, from ``published.toml``: Greydanus, Dzamba, Yosinski 2019, and our targets."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

_TABLES: dict[str, Any] = tomllib.loads(
    (files("hnn_envs.benchmarks.paper") / "published.toml").read_text(encoding="utf-8")
)


def _by_key(name: str) -> dict[tuple[str, str, str], float]:
    return {
        (system, metric, dynamics): value
        for system, metrics in _TABLES[name].items()
        for metric, values in metrics.items()
        for dynamics, value in values.items()
    }


PAPER = _by_key("paper")
"""(system, metric, dynamics) -> the paper's number."""
RERUN = _by_key("rerun")
"""The same of the authors' code, run again once."""
TARGETS: dict[tuple[str, str], float] = {
    (system, metric): value for system, metrics in _TABLES["targets"].items() for metric, value in metrics.items()
}
"""(system, metric) -> what paper/structured should reach, at most."""


def reference(system: str, metric: str, dynamics: str) -> float | None:
    """What a row is held against: the target for paper/structured, else the published value."""
    if dynamics == "paper/structured":
        return TARGETS.get((system, metric))
    return PAPER.get((system, metric, dynamics))
