"""Reading what the page is made of: files of rows, and the curves of the stability benchmark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hnn_envs.dynamics import role_by_name
from hnn_envs.errors import ResultsError
from hnn_envs.evaluation.records import CURVES_FORMAT, Row, read_rows
from hnn_envs.systems import SYSTEMS, SystemSpec, get_spec
from hnn_envs.version import __version__

CURVE_ENTRIES = (
    "system",
    "spec",
    "dynamics",
    "role",
    "energy",
    "time",
    "dt",
    "energy_error_max",
    "state_rmse",
    "first",
    "last",
)


@dataclass
class Material:
    """All that was found.

    Attributes:
        rows: of all files.
        machines: per file of rows, what it was measured on.
        curves: of the stability benchmark, with "spec" as a ``SystemSpec``.
    """

    rows: list[Row] = field(default_factory=list)
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    curves: list[dict[str, Any]] = field(default_factory=list)

    def suite(self, name: str) -> list[Row]:
        """The rows of one benchmark."""
        return [row for row in self.rows if row.suite == name]

    @property
    def systems(self) -> list[str]:
        """All systems that there is something of, the registered ones first."""
        found = dict.fromkeys((*(row.system for row in self.rows), *(curve["system"] for curve in self.curves)))
        return [*(name for name in SYSTEMS if name in found), *(name for name in found if name and name not in SYSTEMS)]

    def spec(self, system: str) -> SystemSpec | None:
        """What a system is: its curves say it, else the registered one of this name; None where neither is there."""
        own = next((curve["spec"] for curve in self.curves if curve["system"] == system), None)
        if own is not None or system not in SYSTEMS:
            return own
        return get_spec(system)

    def roles(self) -> dict[str, str]:
        """What each physics is, by its name without an integrator."""
        found = {curve["dynamics"].partition("@")[0]: curve["role"] for curve in self.curves}
        for row in self.rows:
            name = row.dynamics.partition("@")[0]
            if found.get(name, "other") == "other":
                found[name] = role_by_name(row.system, name)
        return found


def collect(sources: Sequence[Path]) -> Material:
    """Reads files, and all results in folders; what is in a folder and is no result is left alone.

    Raises:
        ResultsError: a file that is missing, damaged, or of another version; or there is nothing at all.
    """
    material = Material()
    for path in _files(sources):
        content = _read(path)
        if "rows" in content:
            material.rows += read_rows(path)
            material.machines[path.name] = dict(content.get("machine") or {})
        elif "curves" in content:
            material.curves += _curves(path, content)
        elif path in sources:
            raise ResultsError(f"{path} holds no results: neither rows nor curves")
    if not material.rows and not material.curves:
        places = ", ".join(str(source) for source in sources)
        raise ResultsError(f"no results in {places}; make some with: hnn-envs benchmark stability")
    return material


def _files(sources: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            # What a benchmark keeps for itself is in folders called "cells".
            found += sorted(path for path in source.rglob("*.json") if "cells" not in path.parts)
        elif source.is_file():
            found.append(source)
        else:
            raise ResultsError(f"{source} does not exist; make results with: hnn-envs benchmark stability")
    return list(dict.fromkeys(found))


def _read(path: Path) -> dict[str, Any]:
    """A JSON table; of a version that this one reads, if it is a result."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"results {path} are damaged ({error}); run the benchmark again") from error
    if not isinstance(content, dict):
        return {}
    if {"rows", "curves"} & set(content) and content.get("version") != __version__:
        raise ResultsError(
            f"results {path} are of hnn_envs {content.get('version')}, and this is {__version__}; "
            "run the benchmark again, or leave that file out"
        )
    return content


def _curves(path: Path, content: dict[str, Any]) -> list[dict[str, Any]]:
    if content.get("format") != CURVES_FORMAT:
        raise ResultsError(f"results {path} have format {content.get('format')!r}; this version reads {CURVES_FORMAT}")
    curves = content["curves"]
    try:
        for curve in curves:
            missing = [name for name in CURVE_ENTRIES if name not in curve]
            if missing:
                raise ValueError(f"a curve lacks {', '.join(missing)}")
            curve["spec"] = SystemSpec.from_table(curve["spec"])
            if not len(curve["time"]) == len(curve["energy_error_max"]) == len(curve["state_rmse"]) > 0:
                raise ValueError("the entries of a curve differ in length")
    except (TypeError, ValueError) as error:
        raise ResultsError(f"results {path} are damaged ({error}); run the benchmark again") from error
    return list(curves)
