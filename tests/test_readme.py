"""The README: every code block and every shell command of it runs as it is written; what takes long, in a short form.

``make readme`` (HNN_ENVS_README=full) runs all in full, which takes hours.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from measured_series import REPOSITORY, measured_series

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
FULL = os.environ.get("HNN_ENVS_README") == "full"
COMMAND = re.compile(r"(hnn-envs|make|python3?|pip|\.venv/bin/\w+) \S")

SHORTER_CODE = {
    "agent.learn(200_000)": "agent.learn(4_096)",
    "hnn_envs.learn(recording)": 'hnn_envs.learn(recording, families=["trigonometric"], minutes=0.1)',
}
SHORTER = {
    "python3 -m venv .venv": "python3 -m venv --without-pip .venv",
    # The environment that runs this has the package already; what is tested is that a checkout can be installed.
    ".venv/bin/pip install .": (
        "pip install --dry-run --quiet --disable-pip-version-check --no-deps --no-build-isolation ."
    ),
    # The same as the first code block.
    ".venv/bin/python examples/ten_lines.py": "python -m py_compile examples/ten_lines.py",
    "python examples/energy_kick.py": "python examples/energy_kick.py --frames 40 --out kick.gif",
    "hnn-envs compare": "hnn-envs compare --periods 0.5",
    "hnn-envs record Pendulum-v1 --seconds 60 --out swing.csv": (
        "hnn-envs record Pendulum-v1 --seconds 10 --out swing.csv"
    ),
    "hnn-envs learn swing.csv": "hnn-envs learn swing.csv --families trigonometric --minutes 0.1",
    "hnn-envs train pendulum/default/hnn": (
        "sed 's/^steps = .*/steps = 3/' training/recipes/pendulum/default/hnn.toml > short.toml && "
        "hnn-envs train short.toml"
    ),
    "hnn-envs benchmark stability --steps 1000000 --starts 32": (
        "hnn-envs benchmark stability --steps 20 --starts 2 --systems pendulum,two-body --dynamics ode,hnn --jobs 1"
    ),
    "hnn-envs benchmark stability --systems three-body --steps 4000 --starts 256": (
        "hnn-envs benchmark stability --systems three-body --steps 40 --starts 4 --dynamics ode,hnn --jobs 1"
    ),
    "hnn-envs benchmark learning": (
        "hnn-envs benchmark learning --systems double-pendulum --dynamics hnn --seconds 20 --starts 2 --jobs 1"
    ),
    "hnn-envs benchmark learning --full": (
        "hnn-envs benchmark learning --systems pendulum --dynamics sindy --seconds 1 --noise 0 --starts 2 --jobs 1"
    ),
    "hnn-envs benchmark seconds": "hnn-envs benchmark seconds --tasks pendulum --seeds 1 --jobs 1",
    "hnn-envs benchmark seconds --agents all": (
        "hnn-envs benchmark seconds --tasks pendulum --agents trigonometric,sindy --seeds 1 --jobs 1"
    ),
    "hnn-envs benchmark seconds --tasks Pendulum-v1,InvertedDoublePendulum-v5 --agents trigonometric,sac": (
        "hnn-envs benchmark seconds --tasks Pendulum-v1 --seeds 1 --jobs 1"
    ),
    "hnn-envs benchmark paper": "hnn-envs benchmark paper --systems pendulum --jobs 1",
    "hnn-envs benchmark paper --retrain --seeds 5": (
        "hnn-envs benchmark paper --retrain --seeds 1 --systems pendulum --dynamics paper/structured --jobs 1"
    ),
    "hnn-envs benchmark paper --systems pixel-pendulum": (
        "hnn-envs benchmark paper --systems pendulum --dynamics paper/hnn"
    ),
    "hnn-envs benchmark speed": "hnn-envs benchmark speed --quick",
    "hnn-envs benchmark transfer": "hnn-envs benchmark transfer --tasks mass-spring --seeds 1 --episodes 2 --jobs 1",
}
"""Command in the README -> what is run in its place, unless all is run in full."""
ALWAYS = {
    "hnn-envs play pendulum": "hnn-envs play pendulum --frames 5",  # it would wait for somebody to close it
    "hnn-envs compare --systems real-pendulum --data PATH": (
        "hnn-envs compare --systems real-pendulum --data PATH --no-gif"
    ),
}
RECORDED = "hnn-envs record Pendulum-v1 --seconds 60 --out swing.csv"
FIRST = {
    "hnn-envs learn swing.csv": [RECORDED],
    "hnn-envs check runs/learned/Pendulum-v1.safetensors swing.csv": [RECORDED, "hnn-envs learn swing.csv"],
    "hnn-envs report": ["hnn-envs benchmark stability --steps 1000000 --starts 32"],
    ".venv/bin/pip install .": ["python3 -m venv .venv"],
    ".venv/bin/python examples/ten_lines.py": ["python3 -m venv .venv", ".venv/bin/pip install ."],
}
"""Command -> those before it in the README that it needs."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def mentioned() -> list[str]:
    """Every line of every shell block, and every command in a sentence."""
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    inline = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    return [line for line in lines if line] + [span for span in inline if COMMAND.match(span)]


def targets() -> list[str]:
    """The targets of make in the README."""
    return [line.split()[1] for line in mentioned() if line.startswith("make ")]


def commands() -> list[str]:
    """What is mentioned, with the commands of its targets in place of make's."""
    made = [command for target in targets() for command in recipe_of(target)]
    return list(dict.fromkeys(line for line in mentioned() + made if not line.startswith("make ")))


def recipe_of(target: str) -> list[str]:
    """The commands of the package in a target of the Makefile."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe is not None, f"make {target} is no target of the Makefile"
    lines = [line.strip().removeprefix("$(BIN)/") for line in recipe[1].splitlines()]
    return [line for line in lines if line.startswith("hnn-envs ")]


def as_run(command: str) -> str:
    """What is run for a command, in a folder that is a checkout."""
    shown = ALWAYS.get(command) or (command if FULL else SHORTER.get(command, command))
    return shown.replace("PATH", measured_series()) if "PATH" in shown else shown


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with all that is in the repository, where what a command writes harms nothing."""
    for path in REPOSITORY.iterdir():
        if not path.name.startswith(".") and path.name not in ("runs", "dist", "build"):
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


def execute(program: list[str], folder: Path, **environment: str) -> str:
    """Runs a program as a user does who has this environment's programs on the path, on a machine without a screen."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name not in ("SDL_VIDEODRIVER", "DISPLAY")}
    done = subprocess.run(  # noqa: S603 - the README's own commands
        program,
        cwd=folder,
        env={**kept, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=None if FULL else 600,
    )
    assert done.returncode == 0, f"{program[-1]}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def shell(command: str, folder: Path) -> str:
    driver = {"SDL_VIDEODRIVER": "dummy"} if command.startswith("hnn-envs play") else {}
    return execute(["bash", "-ec", as_run(command)], folder, **driver)


def test_there_is_something_to_run() -> None:
    assert len(blocks("python")) >= 3
    assert len(commands()) >= 15
    fences = re.findall(r"^```(\w*)$", README, re.MULTILINE)
    assert set(fences) <= {"sh", "python", ""}, "a block in a language that this file does not run"


def test_no_substitution_is_left_over() -> None:
    assert {*SHORTER, *ALWAYS, *FIRST} <= set(commands())
    assert all("".join(blocks("python")).count(old) == 1 for old in SHORTER_CODE)


def test_the_code_blocks_run_one_after_another_without_a_screen(checkout: Path) -> None:
    program = "\n".join(blocks("python"))
    for old, new in {} if FULL else SHORTER_CODE.items():
        program = program.replace(old, new)
    (checkout / "readme.py").write_text(program, encoding="utf-8")
    assert "return under the true physics: -" in execute([sys.executable, "readme.py"], checkout)


@pytest.mark.parametrize("command", commands())
def test_a_command_runs(command: str, checkout: Path) -> None:
    for earlier in FIRST.get(command, []):
        shell(earlier, checkout)
    shell(command, checkout)


def test_the_ten_lines_are_the_examples() -> None:
    _, _, code = (REPOSITORY / "examples" / "ten_lines.py").read_text(encoding="utf-8").split('"""', 2)
    assert blocks("python")[0].strip() == code.strip()


def test_the_targets_of_make_exist() -> None:
    assert {"demo", "test", "readme"} <= set(targets())
    for target in targets():
        recipe_of(target)


def test_ids_are_written_as_they_work_everywhere() -> None:
    assert not re.findall(r"(?<!hnn_envs:)\bhnn_envs/[A-Z]\w+-v\d", README)
