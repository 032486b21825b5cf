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
