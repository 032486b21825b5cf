"""Reading what the page is made of: files of rows, and the curves of the stability benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hnn_envs.dynamics import role_by_name
from hnn_envs.errors import InvalidOptionError, ResultsError
from hnn_envs.evaluation.records import CURVES_FORMAT, Row, read_results, read_rows
from hnn_envs.parsing import parse_entry, shown
from hnn_envs.systems import SYSTEMS, SystemSpec, get_spec, spec_of
from hnn_envs.tasks import TASKS
from hnn_envs.version import __version__

Points = list[float | None]
CURVE_TYPES = {
    **dict.fromkeys(("system", "dynamics", "role", "energy", "integrator"), str),
    **dict.fromkeys(("steps", "starts", "seed", "substeps"), int),
    **dict.fromkeys(("energy_error_median", "energy_error_max", "state_rmse"), Points),
    **dict.fromkeys(("first", "last"), list[Points]),
    "time": list[float],
    "dt": float,
    "spec": SystemSpec,
}


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
                found[name] = role_by_name(_system_of(row.system), name)
        return found


def _system_of(name: str) -> str:
    """The system that a row is of, which names a task in some benchmarks."""
    return spec_of(TASKS[name].system).name if name in TASKS and name not in SYSTEMS else name


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
            machine = content.get("machine")
            material.machines[path.name] = machine if isinstance(machine, dict) else {}
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
    content = read_results(path)
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
        if not isinstance(curves, list):
            raise ValueError("they have no list of curves")
        for curve in curves:
            _check_kinds(curve)
            curve["spec"] = SystemSpec.from_table(curve["spec"])
            if not len(curve["time"]) == len(curve["energy_error_max"]) == len(curve["state_rmse"]) > 0:
                raise ValueError("the entries of a curve differ in length")
    except (TypeError, ValueError) as error:
        raise ResultsError(f"results {path} are damaged ({error}); run the benchmark again") from error
    return list(curves)


def _check_kinds(curve: Any) -> None:
    """Checks what figures take from a curve.

    Raises:
        InvalidOptionError: an entry that is missing or of the wrong kind.
    """
    if not isinstance(curve, dict) or not set(CURVE_TYPES) <= set(curve):
        raise InvalidOptionError(f"{shown(curve)} is no curve, which has {', '.join(CURVE_TYPES)}")
    for name, kind in CURVE_TYPES.items():
        parse_entry(kind, curve[name], name)
    widths = {len(point) for name in ("first", "last") for point in curve[name]}
    if len(widths) != 1 or widths.pop() % 2 or not curve["dt"] > 0:
        raise InvalidOptionError("the states of a curve are no states [q, p], or dt is not positive")
