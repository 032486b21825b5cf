"""The command: what it prints, what it writes, and how it says that something is wrong."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from measured_series import REPOSITORY, measured_series
from PIL import Image
from safetensors import SafetensorError, safe_open
from typer.testing import CliRunner

from hnn_envs import ENVIRONMENTS, __version__, checkpoints
from hnn_envs.checkpoints import load_checkpoint, shipped_checkpoints
from hnn_envs.cli import app
from hnn_envs.commands import console as commands_console
from hnn_envs.fitting.recipes import shipped_recipes
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.recordings.measured import VARIABLE
from hnn_envs.systems import SYSTEMS

SWEEP = ("jobs", "out", "json")
"""Options that all benchmarks of many jobs have."""
TRAINING = ("policies", "retrain", "hyperparameters")

TINY = """
system = "pendulum"
name = "test/tiny"
seed = 1

[model]
family = "separable"
hidden = [4]

[[data]]
source = "box"
count = 100
low = [-3.0, -2.0]
high = [3.0, 2.0]
max_input = 0.5

[[stages]]
steps = STEPS
settings = { batch = 16 }

[[stages]]
optimiser = "levenberg-marquardt"
steps = 4
"""


@pytest.fixture(scope="module")
def series() -> str:
    """The measured series, found before its environment variable is hidden."""
    return measured_series()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in a folder of its own, where the measured series is not at hand, on a terminal of the usual width."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def run(*arguments: str) -> Any:
    """The command in this process; a traceback is a failure of the test."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def good(*arguments: str) -> str:
    """What a command prints that ends well."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert not result.stderr
    return result.stdout


def error(*arguments: str) -> str:
    """The one line with which a command refuses; nothing else is printed or written."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert not result.stdout
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not list(Path().iterdir())
    return result.stderr


def recipe(path: Path = Path("tiny.toml"), steps: int = 10) -> str:
    """Writes the tiny recipe."""
    path.write_text(TINY.replace("STEPS", str(steps)))
    return str(path)


class TestHelp:
    def test_the_commands_are_listed(self) -> None:
        words = good("--help")
        assert all(re.search(rf"^\W*{command}  ", words, re.MULTILINE) for command in ("list", "compare", "train"))

    def test_no_command_shows_the_help(self) -> None:
        assert "compare" in run().output

    @pytest.mark.parametrize(
        ("command", "options"),
        [
            ("list", []),
            ("compare", ["systems", "dynamics", "periods", "seed", "integrator", "data", "out", "gif", "no-gif"]),
            ("record", ["seconds", "out", "seed", "noise", "policy", "starts", "velocities", "no-velocities"]),
            ("train", ["out", "overwrite", "seed", "data", "threads"]),
            ("play", ["dynamics", "integrator", "seed", "out", "frames"]),
            ("plan", ["dynamics", "acting", "task", "options", "planner", "episodes", "seed", "gif", "no-gif", "out"]),
            ("explore", ["noise", "seconds", "first", "goal", "start", "seed", "out", "log"]),
            ("report", ["out"]),
            ("benchmark stability", [*SWEEP, "systems", "dynamics", "integrators", "steps", "starts", "seed"]),
            ("benchmark transfer", [*SWEEP, *TRAINING, "tasks", "dynamics", "seeds", "episodes"]),
            ("benchmark paper", [*SWEEP, "systems", "dynamics", "seeds", "retrain", "data"]),
            (
                "benchmark learning",
                [*SWEEP, "systems", "dynamics", "seconds", "noise", "full", "seeds", "starts", "minutes"],
            ),
            ("benchmark speed", ["out", "json", "quick"]),
        ],
    )
    def test_every_option_of_a_command_is_explained(self, command: str, options: list[str]) -> None:
        words = good(*command.split(), "--help")
        found = set(re.findall(r"^\W{1,3}--([a-z-]+)", words, re.MULTILINE))
        assert found == {*options, "help"} - {"no-gif", "no-velocities"}
        for option in options:
            if not option.startswith("no-"):
                line = next(line for line in words.splitlines() if re.search(rf"^\W{{1,3}}--{option} ", line))
                assert len(re.findall(r"\w+", line.split(">", 1)[1])) >= 2, line

    def test_the_version_is_the_packages(self) -> None:
        assert good("--version") == f"hnn-envs {__version__}\n"

    def test_it_runs_as_a_program(self) -> None:
        program = [sys.executable, "-m", "hnn_envs.cli", "--version"]
        done = subprocess.run(program, capture_output=True, text=True, check=True)  # noqa: S603 - our own command
        assert done.stdout == f"hnn-envs {__version__}\n"


class TestMistakes:
    @pytest.mark.parametrize(
        "words",
        [
            "compare --seed -1",
            "play --seed -1",
            "train pendulum/default/hnn --seed -1",
            "train pendulum/default/hnn --threads 0",
            "explore --noise -1",
            "benchmark paper --jobs 0",
            "benchmark paper --jobs -1",
            "benchmark stability --jobs 0",
            "benchmark stability --steps 0",
            "benchmark stability --starts -1",
            "benchmark stability --seed -1",
            "benchmark transfer --jobs -1",
            "benchmark transfer --seeds 0",
            "benchmark learning --starts 0",
        ],
    )
    def test_a_number_out_of_range_is_a_wrong_use(self, words: str) -> None:
        result = run(*words.split())
        assert result.exit_code == 2
        assert f"Invalid value for '{words.split()[-2]}'" in result.stderr
        assert not list(Path().iterdir())

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            ("compare --out taken/there", "taken/there"),
            ("train pendulum/default/hnn --out taken/mine.safetensors", "taken/mine.safetensors"),
            ("report --out taken/report.html", "taken/report.html"),
            ("explore --out taken/there", "taken/there"),
            ("play --out taken/there", "taken/there"),
            ("benchmark stability --out taken/there", "taken/there"),
            ("benchmark stability --json taken/rows.json", "taken/rows.json"),
            ("benchmark transfer --out taken/there", "taken/there"),
            ("benchmark transfer --json taken/deep/rows.json", "taken/deep/rows.json"),
            ("benchmark transfer --retrain --policies taken/there", "taken/there"),
            ("benchmark learning --out taken/there", "taken/there"),
            ("benchmark learning --json taken/rows.json", "taken/rows.json"),
            ("benchmark paper --out taken/there", "taken/there"),
            ("benchmark paper --json taken/rows.json", "taken/rows.json"),
            ("benchmark speed --out taken/there", "taken/there/speed.json"),
            ("benchmark speed --quick --json taken/rows.json", "taken/rows.json"),
        ],
    )
    def test_an_output_that_cannot_be_written_is_refused_before_the_work(self, words: str, named: str) -> None:
        Path("taken").write_text("a file")
        result = run(*words.split())
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"error: cannot write {named}: taken is a file, not a folder\n"
        assert [path.name for path in Path().iterdir()] == ["taken"]

    def test_a_folder_that_nobody_may_write_to_is_told_by_trying(self) -> None:
        # Not even root may write there.
        result = run("benchmark", "speed", "--quick", "--json", "/proc/no-such-folder/rows.json")
        assert result.exit_code == 1
        assert re.fullmatch(r"error: cannot write /proc/no-such-folder/rows\.json: .* in /proc\n", result.stderr)

    @pytest.mark.parametrize(
        ("words", "cause"),
        [
            ("benchmark paper --seeds 2", "--seeds says how many seeds to train, which needs --retrain"),
            ("compare --systems real-pendulum --data . --seed 3", "--data brings its own start and length"),
            ("compare --systems real-pendulum --data . --periods 3", "--data brings its own start and length"),
        ],
    )
    def test_an_option_without_effect_is_refused(self, words: str, cause: str) -> None:
        assert cause in error(*words.split())

    def test_an_output_may_not_be_a_folder(self) -> None:
        Path("there/tiny.safetensors").mkdir(parents=True)
        assert run("train", recipe(), "--out", "there/tiny.safetensors").exit_code == 2
        Path("runs/checkpoints/pendulum/test/tiny.safetensors").mkdir(parents=True)
        result = run("train", "tiny.toml")
        assert result.exit_code == 1
        assert "pendulum/test/tiny.safetensors: it is a folder, not a file" in result.stderr


class TestModulesOfTheUser:
    MODULE = """
from dataclasses import replace
from hnn_envs.systems import get_spec

SYSTEM = replace(get_spec("pendulum"), name="mine")
"""
    SCRIPT = """
from joblib import Parallel, delayed
from hnn_envs.cli import app
from hnn_envs.registry import import_object

app(["train"], standalone_mode=False)
print(*(system.name for system in Parallel(n_jobs=2)(delayed(import_object)("mine:SYSTEM") for _ in range(2))))
"""

    @pytest.fixture(autouse=True)
    def a_module(self) -> None:
        Path("mine.py").write_text(self.MODULE)
        # It would hide an installed module that the command needs, if the current folder came first.
        Path("rich.py").write_text("raise RuntimeError('hidden')\n")

    def execute(self, *program: str) -> str:
        done = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 - our own programs
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def test_the_installed_command_finds_what_is_in_the_current_folder(self) -> None:
        command = str(Path(sys.executable).with_name("hnn-envs"))
        Path("mine.toml").write_text(TINY.replace("STEPS", "2").replace('"pendulum"', '"mine:SYSTEM"'))
        with pytest.raises(AssertionError, match="the equations of 'mine' are not known"):
            self.execute(command, "train", "mine.toml")

    def test_so_do_its_processes(self) -> None:
        Path("bin").mkdir()
        Path("bin/script.py").write_text(self.SCRIPT)
        assert self.execute(sys.executable, "bin/script.py").endswith("\nmine mine\n")


class TestProgress:
    def test_lines_tell_it_where_no_terminal_shows_a_bar(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "stage 1 of 2" not in good("train", recipe(), "--out", "quick.safetensors")
        monkeypatch.setattr(commands_console, "LINE_SECONDS", 0.0)
        words = good("train", "tiny.toml", "--out", "slow.safetensors")
        assert re.search(r"^pendulum/test/tiny: stage 1 of 2, loss \d\.\d+e[-+]\d+: 10/10$", words, re.MULTILINE)
        assert re.search(r"^pendulum/test/tiny: stage 2 of 2, loss .*: 4/4$", words, re.MULTILINE)

    def test_of_a_benchmark_it_is_a_share(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(commands_console, "LINE_SECONDS", 0.0)
        words = "benchmark stability --systems mass-spring --dynamics ode --steps 20 --starts 2 --jobs 1"
        assert "stability: 100 %\n" in good(*words.split())


class TestList:
    def test_every_environment_is_listed_in_full(self) -> None:
        words = good("list")
        assert all(f"hnn_envs:hnn_envs/{name}-v0 " in words for name in ENVIRONMENTS)

    def test_every_checkpoint_is_listed_with_its_metrics(self) -> None:
        words = good("list")
        for system in SYSTEMS:
            for name in shipped_checkpoints(system):
                metrics = load_checkpoint(checkpoints.checkpoint_path(system, name)).card.metrics
                line = next(line for line in words.splitlines() if re.search(rf"^ {system} +{name} ", line))
                shown = [metrics[key] for key in ("test_loss", "episode_error_95") if key in metrics]
                assert all(f"{value:.1e}" in line for value in shown)

    def test_recipes_and_integrators_are_listed(self) -> None:
        words = good("list")
        assert all(f"  {name}\n" in words for name in shipped_recipes())
        assert f"Integrators: {', '.join(INTEGRATORS)}\n" in words

    def test_a_damaged_checkpoint_does_not_hide_the_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "checkpoints"
        for system, content in (("pendulum", b"rubbish"), ("two-body", None)):
            path = folder / system / "default" / "hnn.safetensors"
            path.parent.mkdir(parents=True)
            path.write_bytes(content or checkpoints.checkpoint_path(system, "hnn").read_bytes())
        monkeypatch.setattr(checkpoints, "checkpoints_folder", lambda: folder)
        words = good("list")
        assert re.search(r" pendulum +default/hnn +unusable", words)
        assert f"unusable: checkpoint {folder}/pendulum/default/hnn.safetensors is not a readable" in words
        assert re.search(r" two-body +default/hnn +pairwise", words)


class TestCompare:
    def test_a_table_a_plot_and_an_animation(self) -> None:
        words = good("compare", "--systems", "pendulum", "--periods", "0.3", "--out", "there")
        assert re.search(r"pendulum: time 0\.8, 0\.312 periods, against the ODE", words)
        for name in ("ode", "hnn", "baseline"):
            assert re.search(rf"{name} +.( +\d\.\d\de[-+]\d\d .){{2}} +[\d,]+ us", words), name
        assert "plot: there/pendulum.png\n" in words
        assert "animation: there/pendulum.gif\n" in words
        assert Image.open("there/pendulum.png").size == (1950, 690)
        assert Image.open("there/pendulum.gif").format == "GIF"

    def test_without_systems_it_is_the_pendulum_and_two_bodies_under_runs(self) -> None:
        good("compare", "--periods", "0.1", "--dynamics", "ode", "--no-gif")
        assert {path.name for path in Path("runs/compare").iterdir()} == {"pendulum.png", "two-body.png"}

    def test_physics_may_be_named_by_path(self) -> None:
        path = checkpoints.checkpoint_path("pendulum", "paper/hnn")
        words = good("compare", "--systems", "pendulum", "--periods", "0.1", "--dynamics", f"ode, {path}", "--no-gif")
        assert words.count(" us ") == 2

    def test_a_seed_draws_another_start(self) -> None:
        def energy_of(*options: str) -> bytes:
            good("compare", "--systems", "pendulum", "--periods", "0.1", "--dynamics", "ode", "--no-gif", *options)
            return Path("runs/compare/pendulum.png").read_bytes()

        assert energy_of("--seed", "3") != energy_of("--seed", "4") != energy_of()

    def test_chaos_is_told_in_lyapunov_times(self) -> None:
        words = good("compare", "--systems", "three-body", "--periods", "0.1", "--dynamics", "ode", "--no-gif")
        assert "three-body: time 0.2, 0.105 Lyapunov times" in words

    def test_the_real_pendulum_is_held_against_the_measured_series(self, series: str) -> None:
        words = good("compare", "--systems", "real-pendulum", "--data", series, "--no-gif")
        assert "against the" in words
        assert "measurement" in words
        assert words.count(" us ") == 3

    def test_the_series_is_found_by_the_environment_variable(
        self, series: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(VARIABLE, series)
        words = ("compare", "--systems", "real-pendulum", "--dynamics", "ode", "--no-gif")
        assert "measurement" in good(*words)
        assert "0.154 periods, against the ODE" in " ".join(good(*words, "--periods", "0.15", "--seed", "2").split())

    def test_without_the_series_it_is_held_against_the_ode(self) -> None:
        words = good("compare", "--systems", "real-pendulum", "--periods", "0.2", "--dynamics", "ode", "--no-gif")
        assert "against the ODE" in words

    @pytest.mark.parametrize(
        ("arguments", "cause"),
        [
            (["--systems", "pendula"], "unknown system 'pendula'; allowed: cart-pole, "),
            (["--systems", "pendulum, pendula"], "unknown system 'pendula'"),
            (
                ["--systems", "pendulum", "--dynamics", "ode,magic"],
                "unknown dynamics 'magic' for pendulum; allowed: ode, hnn",
            ),
            (["--systems", "pendulum", "--dynamics", "[/odd]"], "unknown dynamics '[/odd]'"),
            (["--systems", "pendulum", "--dynamics", "no.safetensors"], "checkpoint no.safetensors does not exist"),
            (["--systems", "pendulum", "--dynamics", ","], "name at least one physics"),
            (
                ["--systems", "pendulum", "--integrator", "euler"],
                "unknown integrator 'euler'; allowed: blanes_moan4, ",
            ),
            (["--systems", ","], "name at least one system"),
            (["--systems", "pendulum", "--periods", "0"], "periods must be a positive number, not 0"),
            (
                ["--systems", "real-pendulum", "--data", "no such place"],
                "no measured series at no such place, nor in its folders, 3 deep; real_pend_h_1.txt is",
            ),
            (["--systems", "pendulum", "--data", "."], "--data is for real-pendulum, not for pendulum"),
        ],
    )
    def test_a_mistake_is_one_line(self, arguments: list[str], cause: str) -> None:
        assert cause in error("compare", *arguments)


class TestTrain:
    def test_a_checkpoint_is_written_and_its_metrics_told(self) -> None:
        words = good("train", recipe(), "--out", "there/mine.safetensors")
        card = load_checkpoint(Path("there/mine.safetensors"), "pendulum").card
        assert card.recipe == Path("tiny.toml").read_text()
        assert f"there/mine.safetensors: test_loss {card.metrics['test_loss']:.3e}\n" in words
        assert [path.name for path in Path("there").iterdir()] == ["mine.safetensors"]

    def test_by_default_it_goes_under_runs(self) -> None:
        good("train", recipe())
        assert Path("runs/checkpoints/pendulum/test/tiny.safetensors").is_file()

    def test_without_a_recipe_they_are_listed(self) -> None:
        words = good("train")
        assert all(f"  {name}\n" in words for name in shipped_recipes())
        assert not list(Path().iterdir())

    def test_what_is_finished_is_not_trained_again_unless_it_is_asked_for(self) -> None:
        good("train", recipe(), "--out", "mine.safetensors")
        path = Path("mine.safetensors")
        before = path.read_bytes(), path.stat().st_mtime_ns
        result = run("train", "tiny.toml", "--out", "mine.safetensors")
        assert (result.exit_code, result.stdout) == (1, "")
        cause = "mine.safetensors is there already; --overwrite trains it again, --out writes to another file"
        assert result.stderr == f"error: {cause}\n"
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before
        good("train", "tiny.toml", "--out", "mine.safetensors", "--overwrite")
        assert path.read_bytes() == before[0]
        assert path.stat().st_mtime_ns != before[1]

    def test_the_seed_may_be_another(self) -> None:
        good("train", recipe(), "--seed", "7")
        path = Path("runs/checkpoints/pendulum/test/tiny-seed7.safetensors")
        card = load_checkpoint(path, "pendulum").card
        assert card.seed == 7
        assert "seed = 7\n" in card.recipe
        good("train", "tiny.toml", "--seed", "1", "--out", "one.safetensors")
        good("train", "tiny.toml", "--out", "own.safetensors")
        assert Path("one.safetensors").read_bytes() == Path("own.safetensors").read_bytes() != path.read_bytes()

    def test_a_kept_state_that_is_no_use_is_told(self) -> None:
        Path("mine.state.safetensors").write_bytes(b"damaged")
        words = good("train", recipe(), "--out", "mine.safetensors")
        assert "training state mine.state.safetensors is not a readable safetensors file" in words
        assert "training starts anew\n" in words

    def test_what_was_trained_can_be_compared(self) -> None:
        good("train", recipe(), "--out", "mine.safetensors")
        words = good(
            "compare", "--systems", "pendulum", "--periods", "0.1", "--dynamics", "ode,mine.safetensors", "--no-gif"
        )
        assert "mine.safetensors" in words

    @pytest.mark.parametrize(
        ("arguments", "cause"),
        [
            (["pendulum/default/magic"], "unknown recipe 'pendulum/default/magic'; allowed: the path of a .toml file"),
            (["nothere.toml"], "there is no recipe file nothere.toml"),
            (["real-pendulum/paper/hnn"], "the measured series is needed: pass its path, or set HNN_ENVS_DATA"),
            (["real-pendulum/paper/hnn", "--data", "nowhere"], "no measured series at nowhere"),
        ],
    )
    def test_a_mistake_is_one_line(self, arguments: list[str], cause: str) -> None:
        result = run("train", *arguments)
        assert result.exit_code == 1
        assert cause in result.stderr
        assert result.stderr.count("\n") == 1
        assert not list(Path().iterdir())

    def test_a_recipe_that_is_none_is_named(self) -> None:
        Path("bad.toml").write_text("seed = [")
        result = run("train", "bad.toml")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith("error: bad.toml is not a recipe: ")
        Path("bad.toml").write_text(TINY.replace("STEPS", "9").replace("seed = 1", "seed = -1"))
        assert run("train", "bad.toml").stderr == (
            "error: bad.toml is not a recipe: a seed is an integer from 0 on, not -1\n"
        )

    def test_a_loss_that_is_no_number_is_named_with_its_step(self) -> None:
        wild = TINY.replace("STEPS", "9").replace("hidden = [4]", "hidden = [4]\nenergy = 1e9")
        Path("wild.toml").write_text(
            wild.replace("batch = 16 }", 'batch = 16, learning_rate = 1e9 }\ndtype = "float32"')
        )
        result = run("train", "wild.toml", "--out", "wild.safetensors")
        assert result.exit_code == 1
        assert re.fullmatch(r"error: the loss is (nan|inf) at step [1-9] of stage 1 .*\n", result.stderr)
        assert not Path("wild.safetensors").exists()

    def test_killed_and_run_again_it_ends_as_if_nothing_had_happened(self) -> None:
        # The trainer saves every ten seconds; here it saves at every step, so that a kill comes soon after one.
        program = (
            "from hnn_envs.fitting import trainer; trainer.fit.__kwdefaults__['save_every'] = 0.0; "
            "from hnn_envs.cli import app; app()"
        )
        arguments = ["train", recipe(steps=1500), "--out", "mine.safetensors"]
        process = subprocess.Popen([sys.executable, "-c", program, *arguments])  # noqa: S603 - our own command
        state = Path("mine.state.safetensors")
        deadline = time.monotonic() + 120
        while steps_in(state) < 20:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not Path("mine.safetensors").exists()
        kept = steps_in(state)
        assert 20 <= kept < 1500
        assert f"going on at stage 1 of 2, step {kept}, kept in mine.state.safetensors\n" in good(*arguments)
        good("train", "tiny.toml", "--out", "unbroken.safetensors")
        assert Path("mine.safetensors").read_bytes() == Path("unbroken.safetensors").read_bytes()
        assert not state.exists()


def steps_in(state: Path) -> int:
    """How many steps of the first stage a state file holds; 0 while there is none."""
    try:
        with safe_open(state, framework="np") as file:
            return int(re.search(r'"step": (\d+)', file.metadata()["hnn_envs_state"])[1])  # type: ignore[index]
    except (FileNotFoundError, SafetensorError):
        return 0


class TestRebuilding:
    def test_a_name_that_no_recipe_begins_with_is_refused(self) -> None:
        program = [sys.executable, str(REPOSITORY / "training" / "build.py"), "pendula/"]
        done = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
        assert done.returncode == 2
        assert "no recipe is called or begins with 'pendula/'; there are cart-pole/default/baseline" in done.stderr
