"""The measured pendulum of Schmidt and Lipson (2009): a loader for a file that is not ours to ship."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError
from hnn_envs.parsing import is_file, user_path

SYSTEM = "real-pendulum"
"""Name of the system that was measured."""
FILE_NAME = "real_pend_h_1.txt"
VARIABLE = "HNN_ENVS_DATA"
DEPTH = 3
"""Folders that are looked through below the one that a user names, which may be a home folder, or the root of all."""
MOST_FOLDERS = 1000
"""At each depth."""
MOST_ENTRIES = 10_000
"""Of a folder."""
LARGEST_FILE = 2**24
"""Bytes; the series has 30 thousand."""
LARGEST = 1e100
"""Times and angles beyond that are no measurement, and their differences overflow."""
ORIGIN = (
    f"{FILE_NAME} is part of invar_datasets.zip, in the supplementary material of Schmidt and Lipson, "
    "'Distilling Free-Form Natural Laws from Experimental Data', Science 324:81 (2009)"
)


@dataclass(frozen=True)
class Series:
    """One measured time series.

    Attributes:
        times: seconds, shape (n,), increasing, with gaps.
        states: angle in rad and angular velocity in rad/s, shape (n, 2).
        system: name of the system that was measured.
    """

    times: Array
    states: Array
    system: str = SYSTEM


def load_real_pendulum(path: str | Path | None = None) -> Series:
    """Reads the measured series.

    Args:
        path: the file, or a folder that has it somewhere below; by default the environment variable HNN_ENVS_DATA.

    Raises:
        DataError: there is no such file, or it does not hold what it should; the message says where the data is from.
    """
    given = path or os.environ.get(VARIABLE)
    if not given:
        raise DataError(f"the measured series is needed: pass its path, or set {VARIABLE}; {ORIGIN}")
    file = _find(user_path(given))
    table = _read(file)
    if table.ndim != 2 or table.shape[1] != 4 or len(table) < 3 or not (np.abs(table) < LARGEST).all():
        raise DataError(f"{file} must have the four columns trial, t, angle, angular velocity; {ORIGIN}")
    if not (np.diff(table[:, 1]) > 0).all():
        raise DataError(f"the times in {file} must increase; {ORIGIN}")
    return Series(table[:, 1], table[:, 2:])


def _find(place: Path) -> Path:
    """The file itself, or the first of its name in a folder or at most ``DEPTH`` folders further down."""
    if is_file(place):
        return place
    level = [str(place)]
    for _ in range(DEPTH + 1):
        found = next((path for path in (Path(folder) / FILE_NAME for folder in level) if is_file(path)), None)
        if found is not None:
            return found
        level = [inner for folder in level for inner in _folders(folder)][:MOST_FOLDERS]
    raise DataError(f"no measured series at {place}, nor in its folders, {DEPTH} deep; {ORIGIN}")


def _folders(folder: str) -> list[str]:
    """The folders in a folder, by name, but for links and those that may not be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(each.path for each in islice(entries, MOST_ENTRIES) if each.is_dir(follow_symlinks=False))
    except (OSError, ValueError):
        return []


def _read(file: Path) -> Array:
    """The table in a text file; packed files are not unpacked."""
    try:
        size = file.stat().st_size
        if size > LARGEST_FILE:
            raise ValueError(f"it has {size} bytes, and at most {LARGEST_FILE} are read")
        text = file.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            return np.loadtxt(io.StringIO(text), comments="%", dtype=np.float64)
    except (ValueError, OSError) as error:
        raise DataError(f"{file} is not a table of numbers ({error}); {ORIGIN}") from error
