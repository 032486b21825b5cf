"""What a package outside hnn_envs adds runs everywhere, without an edit to hnn_envs: see tests/plugin.

Its tests run in processes of their own, so that what it makes known does not get into other tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SUITES = (
    "systems",
    "integrators",
    "kernels",
    "models",
    "tasks",
    "rules",
    "dynamics",
    "rollouts",
    "planning",
    "mechanics",
)
WHAT_IT_ADDS = "(duffing or bead or polynomial or verlet)"
NOT_OF_IT = (
    "test_kernels and polynomial",  # array code alone, of which no kernel is asked
    "test_rules and cross",
    "TestSettings",  # of families with hidden layers
    "TestInit",
    "good_policy",  # written by hand for each of the package's own tasks
    "rk4 and polynomial",  # random polynomials of degree four throw bodies out in a step
)


def passed(*words: str) -> int:
    """Runs tests in a process that has the plug-in; how many passed, where all did."""
    path = os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", "")))
    there = os.environ | {"HNN_ENVS_TEST_PLUGIN": "1", "PYTHONPATH": path}
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "--verbosity=0", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=there)  # noqa: S603
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None, done.stdout[-1000:]
    return int(found.group(1))


def test_environments_physics_and_tools_take_it() -> None:
    assert passed(str(HERE / "plugin_suite.py")) > 30


def test_the_suites_of_the_registries_run_on_what_it_adds() -> None:
    """The tests that are parametrised over systems, tasks, families and integrators."""
    chosen = " and not ".join((WHAT_IT_ADDS, *(f"({words})" for words in NOT_OF_IT)))
    assert passed("-k", chosen, *(str(HERE / f"test_{name}.py") for name in SUITES)) > 100
