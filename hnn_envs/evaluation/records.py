"""The record that every benchmark gives, and the file that it is kept in."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from hnn_envs.errors import InvalidOptionError, ResultsError
from hnn_envs.parsing import Extended, parse, parse_json
from hnn_envs.storage import digest_of, write_atomically
from hnn_envs.version import __version__

LARGEST_FILE = 2**26
"""Bytes; the largest file that the suites write has some millions."""
DIGEST = "digest"
Kept = TypeVar("Kept")
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
    value: Extended
    stderr: Extended | None = None
    unit: str = ""
    reference: Extended | None = None


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
    content = read_results(path)
    rows = content.get("rows")
    if not isinstance(rows, list):
        raise ResultsError(f"results {path} are damaged (they have no list of rows); run the benchmark again")
    try:
        return [parse(Row, entry, f"row {number}", whole=True) for number, entry in enumerate(rows, start=1)]
    except InvalidOptionError as error:
        raise ResultsError(f"results {path} are damaged ({error}); run the benchmark again") from error


def read_results(path: Path) -> dict[str, Any]:
    """The table in a JSON file that a benchmark wrote; an empty one where the file holds something else.

    Raises:
        ResultsError: the file is missing, damaged or too large, with the reason.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise ResultsError(f"results {path} have {size} bytes, and at most {LARGEST_FILE} are read")
        content = parse_json(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ResultsError(f"results {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ResultsError(f"results {path} are damaged ({error}); run the benchmark again") from error
    return content if isinstance(content, dict) else {}


def write_kept(path: Path, table: dict[str, Any]) -> None:
    """Keeps what was measured until a benchmark is done, with a digest; a kill leaves the old file or the new one."""
    write_atomically(path, json.dumps({**table, DIGEST: digest_of(table, {})}).encode())


def read_kept(path: Path) -> dict[str, Any]:
    """What ``write_kept`` wrote.

    Raises:
        ResultsError: the file is missing, damaged or changed, with the reason.
    """
    table = read_results(path)
    if table.pop(DIGEST, None) != digest_of(table, {}):
        raise ResultsError(f"results {path} were changed after they were written: their digest does not match")
    return table


def read_kept_as(kind: type[Kept], path: Path, what: str) -> Kept:
    """What ``write_kept`` wrote of an object, with every entry of it.

    Args:
        kind: its class.
        path: the file.
        what: is measured again without the file, such as "cell".

    Raises:
        ResultsError: the file is missing, damaged, changed or of another class, with the reason.
    """
    try:
        return parse(kind, read_kept(path), f"a kept {what}", whole=True)
    except (InvalidOptionError, ResultsError) as error:
        raise ResultsError(f"{path} cannot be read ({error}); delete it to measure that {what} again") from error


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return value if math.isfinite(value) else str(value)
