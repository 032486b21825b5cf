"""What a user is told while machine code is made for the first time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FIRST_STEP = """
import gymnasium
env = gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0")
env.reset(seed=0)
env.step(env.action_space.sample())
"""
NOTICE = "hnn_envs compiles its kernels, once for this machine; this takes some ten seconds\n"


def errors_of(*arguments: str, **environment: str) -> str:
    """What a new interpreter writes to stderr."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, *arguments], capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_first_step_on_a_machine_says_that_it_compiles_and_later_ones_do_not(tmp_path: Path) -> None:
    assert errors_of("-c", FIRST_STEP, NUMBA_CACHE_DIR=str(tmp_path)) == NOTICE  # of several kernels, one line
    assert errors_of("-c", FIRST_STEP, NUMBA_CACHE_DIR=str(tmp_path)) == ""


def test_what_users_compile_themselves_is_not_announced(tmp_path: Path) -> None:
    code = "import numba, hnn_envs.kernels\n@numba.njit\ndef double(x):\n    return 2 * x\nassert double(1) == 2"
    assert errors_of("-c", code, NUMBA_CACHE_DIR=str(tmp_path)) == ""


def test_where_machine_code_cannot_be_kept_it_says_what_helps() -> None:
    code = "from hnn_envs.kernels.jit import compiled\nassert compiled(lambda x: x + 1)(1) == 2"
    said = errors_of("-c", code)  # a function of no file has no place for its machine code
    assert said == (
        "hnn_envs compiles its kernels, in every process since their folder cannot be written; "
        "this takes some ten seconds, and NUMBA_CACHE_DIR names a folder to keep them in\n"
    )
