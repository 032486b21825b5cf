"""The measured pendulum of Schmidt and Lipson (2009): a loader for a file that is not ours to ship."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import DataError

SYSTEM = "real-pendulum"
"""Name of the system that was measured."""
FILE_NAME = "real_pend_h_1.txt"
VARIABLE = "HNN_ENVS_DATA"
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
    place = Path(given).expanduser()
    found = sorted(place.rglob(FILE_NAME)) if place.is_dir() else [place]
    if not found or not found[0].is_file():
        raise DataError(f"no measured series at {place}; {ORIGIN}")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            table = np.loadtxt(found[0], comments="%", dtype=np.float64)
    except (ValueError, OSError) as error:
        raise DataError(f"{found[0]} is not a table of numbers ({error}); {ORIGIN}") from error
    if table.ndim != 2 or table.shape[1] != 4 or len(table) < 3 or not np.isfinite(table).all():
        raise DataError(f"{found[0]} must have the four columns trial, t, angle, angular velocity; {ORIGIN}")
    if not (np.diff(table[:, 1]) > 0).all():
        raise DataError(f"the times in {found[0]} must increase; {ORIGIN}")
    return Series(table[:, 1], table[:, 2:])
