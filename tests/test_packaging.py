"""The wheel: what is inside, what is not, and that it works on its own, away from the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from measured_series import REPOSITORY

from hnn_envs import ENVIRONMENTS, __version__
from hnn_envs.checkpoints import load_checkpoint, shipped_checkpoints
from hnn_envs.fitting.recipes import shipped_recipes
from hnn_envs.recordings.measured import FILE_NAME
from hnn_envs.systems import SYSTEMS

UNFINISHED = REPOSITORY / "checkpoints" / "mass-spring" / "default" / f"of-a-test-{os.getpid()}.state.safetensors"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as ``python -m build`` makes it of this tree, while a training is not finished."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    UNFINISHED.write_bytes(b"the state of a training")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    finally:
        UNFINISHED.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def inside(wheel: Path) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the unpacked wheel and nothing of the repository: what an installer would make."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    lend_machine_code(folder / "hnn_envs" / "kernels")
    return folder


def lend_machine_code(kernels: Path) -> None:
    """Spares the compiler what it has done here already: the same source has the same machine code."""
    own = REPOSITORY / "hnn_envs" / "kernels"
    for source in kernels.glob("*.py"):
        stamp = (own / source.name).stat()
        os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (kernels / "__pycache__").mkdir(exist_ok=True)
    for code in (own / "__pycache__").glob("*.nb?"):
        shutil.copy(code, kernels / "__pycache__")


def run(installed: Path, folder: Path, *arguments: str) -> str:
    """Runs Python away from the repository: the wheel's package, and the dependencies of this environment.

    ``-I -S`` leaves out the environment's own site-packages with its link to the repository; they are put back as a
    plain folder, which does not read that link.
    """
    paths = [str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    start = f"import sys; sys.path[1:1] = {paths!r}; "
    command = [sys.executable, "-I", "-S", "-c", start + arguments[0], *arguments[1:]]
    environment = {"SDL_VIDEODRIVER": "dummy", "OMP_NUM_THREADS": "1", "HOME": str(folder), "COLUMNS": "100"}
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, check=False, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TestContents:
    def test_every_checkpoint_travels(self, inside: set[str]) -> None:
        expected = {f"{system}/{name}" for system in SYSTEMS for name in shipped_checkpoints(system)}
        assert expected
        assert {f"hnn_envs/_checkpoints/{name}.safetensors" for name in expected} <= inside

    def test_every_recipe_travels(self, inside: set[str]) -> None:
        assert {f"hnn_envs/_recipes/{name}.toml" for name in shipped_recipes()} <= inside

    def test_every_module_travels(self, inside: set[str]) -> None:
        modules = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "hnn_envs").rglob("*.py")}
        assert modules <= inside
        assert "hnn_envs/py.typed" in inside

    def test_no_unfinished_training_travels(self, inside: set[str]) -> None:
        assert not [name for name in inside if ".state." in name or Path(name).name.startswith(".")]

    def test_the_measured_series_does_not_travel(self, inside: set[str]) -> None:
        assert not [name for name in inside if FILE_NAME in name]

    def test_there_is_nothing_beside_the_package(self, inside: set[str]) -> None:
        assert {name.split("/")[0] for name in inside} == {"hnn_envs", f"hnn_envs-{__version__}.dist-info"}

    @pytest.mark.parametrize("system", SYSTEMS)
    def test_checkpoints_travel_whole(self, installed: Path, system: str) -> None:
        for path in (installed / "hnn_envs" / "_checkpoints" / system).rglob("*.safetensors"):
            load_checkpoint(path, system)

    def test_the_command_and_the_licence_are_there(self, inside: set[str], installed: Path) -> None:
        information = installed / f"hnn_envs-{__version__}.dist-info"
        assert "hnn-envs = hnn_envs.cli:app" in (information / "entry_points.txt").read_text()
        assert f"{information.name}/licenses/LICENSE" in inside


class TestInstalled:
    def test_the_package_is_the_wheels(self, installed: Path, tmp_path: Path) -> None:
        words = run(
            installed,
            tmp_path,
            "import hnn_envs, hnn_envs.fitting.recipes as r, hnn_envs.checkpoints as c; "
            "print(hnn_envs.__file__, r.recipes_folder(), c.checkpoints_folder())",
        )
        package = installed / "hnn_envs"
        assert words.split() == [str(package / name) for name in ("__init__.py", "_recipes", "_checkpoints")]

    def test_every_environment_steps_under_its_hnn(self, installed: Path, tmp_path: Path) -> None:
        program = (
            "import gymnasium as gym\n"
            "for name in sys.argv[1:]:\n"
            "    env = gym.make(f'hnn_envs:hnn_envs/{name}-v0', dynamics='hnn')\n"
            "    env.reset(seed=0)\n"
            "    _, reward, *_ = env.step(env.action_space.sample())\n"
            "    print(name, type(reward).__name__)\n"
        )
        words = run(installed, tmp_path, f"\n{program}", *ENVIRONMENTS)
        assert words.splitlines() == [f"{name} float" for name in ENVIRONMENTS]

    def test_the_command_compares(self, installed: Path, tmp_path: Path) -> None:
        arguments = ["compare", "--systems", "pendulum", "--periods", "0.2"]
        words = run(installed, tmp_path, "from hnn_envs.cli import app; app()", *arguments)
        assert all(f"{name} " in words for name in ("ode", "hnn", "baseline"))
        assert {path.name for path in (tmp_path / "runs" / "compare").iterdir()} == {"pendulum.png", "pendulum.gif"}


@pytest.mark.slow
def test_the_wheel_installs_into_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """With all its dependencies from the index, pinned as CI pins them."""
    environment = tmp_path / "venv"
    python = environment / "bin" / "python"
    constraints = REPOSITORY / ".ci" / "constraints.txt"
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [str(python), "-m", "pip", "install", "--quiet", "-c", str(constraints), str(wheel)],
        [str(environment / "bin" / "hnn-envs"), "compare", "--systems", "pendulum", "--periods", "1"],
    ):
        subprocess.run(command, check=True, cwd=tmp_path)  # noqa: S603 - our own commands
    assert (tmp_path / "runs" / "compare" / "pendulum.gif").is_file()
