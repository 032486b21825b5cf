"""Where the measured pendulum is, for the tests that need it: beside the repository, else where HNN_ENVS_DATA says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hnn_envs.recordings.measured import FILE_NAME, VARIABLE

REPOSITORY = Path(__file__).resolve().parent.parent


def measured_series() -> str:
    """The folder or file; skips the test where there is none."""
    beside = REPOSITORY.parent / "shared" / "data"
    if any(beside.rglob(FILE_NAME)):
        return str(beside)
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE]
    pytest.skip(f"the measured series is not ours to ship: put {FILE_NAME} below {beside}, or set {VARIABLE}")


def measured_folder(name: str) -> Path:
    """A folder of recorded runs, such as "double_pendulum/runs"; skips the test where there is none."""
    places = [REPOSITORY.parent / "shared" / "data", *filter(None, [os.environ.get(VARIABLE)])]
    found = [Path(place) / name for place in places if (Path(place) / name).is_dir()]
    if not found:
        pytest.skip(f"recorded runs are not ours to ship: put {name} below {places[0]}, or set {VARIABLE}")
    return found[0]
