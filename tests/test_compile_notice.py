"""What a user is told while machine code is made for the first time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


DOUBLE = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
from module_to_compile import double
assert double(2) == 4
print(double.stats.cache_hits)
"""
MODULE = """
from hnn_envs.kernels.jit import compiled

@compiled
def double(x):
    return 2 * x
"""
CANNOT_KEEP = "hnn_envs cannot keep its compiled kernels, and compiles them again in the next process: "


def test_where_numba_must_not_compile_all_is_array_code(tmp_path: Path) -> None:
    said = errors_of("-c", FIRST_STEP, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="1")
    assert said == "NUMBA_DISABLE_JIT is set: hnn_envs compiles nothing, and steps much slower\n"
    assert list(tmp_path.iterdir()) == []


class TestFilesOfMachineCode:
    """Numba's own cache fails for all of these until a user deletes it."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where a function is, and its machine code below."""
        (tmp_path / "module_to_compile.py").write_text(MODULE)
        self.run(tmp_path)
        return tmp_path

    def run(self, folder: Path) -> str:
        """Calls the function in a new process, and returns what is said."""
        return errors_of("-c", DOUBLE, str(folder), NUMBA_CACHE_DIR=str(folder / "kept"))

    def files(self, folder: Path) -> list[Path]:
        """The index and the code."""
        found = sorted((folder / "kept").rglob("*.nb?"))
        assert len(found) == 2
        return found

    def test_code_is_read_again(self, folder: Path) -> None:
        assert self.run(folder) == ""

    @pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
    @pytest.mark.parametrize("damage", ["empty", "cut", "pickle", "flip", "folder"])
    def test_what_is_damaged_is_made_again(self, folder: Path, suffix: str, damage: str) -> None:
        file = next(file for file in self.files(folder) if file.suffix == suffix)
        content = bytearray(file.read_bytes())
        if damage == "folder":
            file.unlink()
            file.mkdir()
            assert self.run(folder) == NOTICE + f"{CANNOT_KEEP}{file.parent}: Is a directory\n"
            return
        content[len(content) // 2] ^= 1
        file.write_bytes(
            {"empty": b"", "cut": bytes(content[:-40]), "pickle": b"\x80\x05", "flip": bytes(content)}[damage]
        )
        assert self.run(folder) == NOTICE
        assert self.run(folder) == ""

    def test_a_full_disk_is_told_once(self, tmp_path: Path) -> None:
        code = """
import hnn_envs.kernels.kept as kept, pathlib, sys
sys.path.insert(0, sys.argv[1])
def full(*_):
    raise OSError(28, "No space left on device")
kept._SealedFiles.save = full
from module_to_compile import double
assert double(2) == 4 and double(2.5) == 5.0
"""
        (tmp_path / "module_to_compile.py").write_text(MODULE)
        said = errors_of("-c", code, str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path / "kept"))
        assert said.startswith(f"{NOTICE}{CANNOT_KEEP}{tmp_path}")
        assert said.endswith(": No space left on device\n")
        assert said.count("\n") == 2
