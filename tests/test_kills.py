"""Some kills of each command that goes on where it was killed; ``make kill`` is fifty of each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "kills" / "run.py"
KILLS = 2


@pytest.mark.parametrize("command", ["train", "learn", "benchmark paper", "benchmark stability", "benchmark transfer"])
def test_a_killed_command_goes_on_to_the_same_result(command: str) -> None:
    run = subprocess.run([sys.executable, RUN, str(KILLS), command], capture_output=True, text=True)  # noqa: S603
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{command}: {KILLS} kills" in run.stdout
    assert ", 0 results that differ" in run.stdout
