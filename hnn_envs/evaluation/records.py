"""The record that every benchmark gives, and the file that it is kept in."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hnn_envs.errors import ResultsError
from hnn_envs.storage import write_atomically
from hnn_envs.version import __version__

CURVES_FORMAT = 2
"""The layout of curves.json, which the stability benchmark writes and the report reads."""


@dataclass(frozen=True)
class Row:
    """One number of a benchmark.

    Attributes:
        suite: "paper", "stability", ...
        system: such as "two-body".
        dynamics: the physics that it is about, such as "ode", "hnn" or "paper/structured".
        metric: such as "test_loss".
        value: the number; NaN or infinite where the physics diverged.
        stderr: its standard error; None where it has none.
        unit: such as "us"; empty for dimensionless numbers.
        reference: what to hold the value against, such as a published value or a target; None where there is nothing.
    """

    suite: str
    system: str
    dynamics: str
    metric: str
    value: float
    stderr: float | None = None
    unit: str = ""
    reference: float | None = None


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes ``{"rows": [...], "machine": {...}, "version": ...}``; a kill leaves the old file or the new one.

    JSON has no infinity and no NaN: they are written as the strings "inf", "-inf" and "nan".
    """
    table = [{name: _plain(value) for name, value in asdict(row).items()} for row in rows]
    content = {"rows": table, "machine": machine(), "version": __version__}
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_rows(path: Path) -> list[Row]:
    """Reads the rows of a results file.

    Raises:
        ResultsError: the file is missing or damaged, with the reason.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [_row(entry) for entry in content["rows"]]
    except OSError as error:
        raise ResultsError(f"results {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ResultsError(f"results {path} are damaged ({error}); run the benchmark again") from error


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return value if math.isfinite(value) else str(value)


def _row(entry: dict[str, Any]) -> Row:
    known = [field.name for field in fields(Row)]
    if set(entry) != set(known):
        raise ValueError(f"entries {sorted(set(entry) ^ set(known))} of a row are missing or unknown")
    for name in ("suite", "system", "dynamics", "metric", "unit"):
        if not isinstance(entry[name], str):
            raise TypeError(f"{name} is {entry[name]!r}, which is no text")
    numbers = {name: None if entry[name] is None else float(entry[name]) for name in ("stderr", "reference")}
    return Row(**{**entry, **numbers, "value": float(entry["value"])})
