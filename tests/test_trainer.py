"""The trainer: runs of several stages, and runs that survive a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fitting_data import BOX, PENDULUM, drawn
from safetensors import safe_open
from safetensors.torch import save_file

from hnn_envs.errors import InvalidOptionError, TrainingError, UnknownNameError
from hnn_envs.fitting import trainer
from hnn_envs.fitting.optimisers import Adam
from hnn_envs.fitting.trainer import Stage, fit, loss_on
from hnn_envs.models import Parameters, make_family

FAMILY = make_family("separable", {"hidden": [4], "ports": {"inputs": True}})
DATA = drawn(replace(BOX, count=80), PENDULUM)[0]
STAGES = [
    Stage(steps=8, settings={"batch": 16, "learning_rate": 1e-2}, dtype="float32"),
    Stage(steps=5, optimiser="levenberg-marquardt", every=2, settings={"damping": 1.0}),
    Stage(steps=4, settings={"learning_rate": 1e-3, "final_rate": 1e-4}, loss_settings={"balance": 1.0}),
]
STEPS = sum(stage.steps for stage in STAGES)


class KilledError(Exception):
    """Stands for whatever ends a process."""


def killer(after: int) -> Callable[..., None]:
    """A report callback that ends the run at its n-th call."""
    calls = count(1)

    def report(*_: object) -> None:
        if next(calls) == after:
            raise KilledError

    return report


def run(state: Path | None = None, **options: Any) -> Parameters:
    """A short run over all three stages."""
    arguments: dict[str, Any] = {"data": DATA, "stages": STAGES, "seed": 0, "state": state, "key": "this run"} | options
    return fit(PENDULUM.spec, FAMILY, **arguments)


def alike(one: Parameters, two: Parameters) -> bool:
    """Whether two sets of parameters are the same bit for bit."""
    return one.keys() == two.keys() and all(one[name].tobytes() == two[name].tobytes() for name in one)


def state_of(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header and the tensors of a saved state."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        header: dict[str, Any] = json.loads(file.metadata()["hnn_envs_state"])
    return header, tensors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.state.safetensors"


@pytest.fixture(scope="module")
def unbroken() -> Parameters:
    return run()


@pytest.fixture
def slow_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which every look takes a second: each step is reported, and saving is due every few steps."""
    seconds = count(1)
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: next(seconds)))


class TestTrainer:
    def test_the_same_seed_gives_the_same_model(self, unbroken: Parameters) -> None:
        assert alike(run(), unbroken)

    def test_another_seed_gives_another_model(self, unbroken: Parameters) -> None:
        assert not alike(run(seed=1), unbroken)

    def test_it_fits(self, unbroken: Parameters) -> None:
        start = FAMILY.init(PENDULUM.spec, np.random.default_rng((0, 1)))
        assert loss_on(PENDULUM.spec, FAMILY, unbroken, DATA) < 0.1 * loss_on(PENDULUM.spec, FAMILY, start, DATA)

    def test_parameters_come_back_in_double_precision(self) -> None:
        assert {value.dtype for value in run(stages=STAGES[:1]).values()} == {np.dtype(np.float64)}

    def test_single_precision_is_single(self) -> None:
        found = run(stages=STAGES[:1])
        assert all((value == value.astype(np.float32)).all() for value in found.values())

    @pytest.mark.usefixtures("slow_steps")
    def test_every_stage_reports_its_steps_and_losses(self) -> None:
        calls: list[tuple[int, int, int, float]] = []
        run(report=lambda *call: calls.append(call))
        assert [call[:3] for call in calls] == [
            (number, step + 1, stage.steps) for number, stage in enumerate(STAGES) for step in range(stage.steps)
        ]
        assert all(0 < loss < 1e3 for *_, loss in calls)

    def test_nothing_is_written_unless_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        run()
        assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("slow_steps")
class TestResuming:
    @pytest.mark.parametrize("save_every", [0, 12])
    @pytest.mark.parametrize("after", range(1, STEPS + 1))
    def test_a_run_killed_at_any_step_ends_as_an_unbroken_one(
        self, path: Path, unbroken: Parameters, after: int, save_every: int
    ) -> None:
        with pytest.raises(KilledError):
            run(path, report=killer(after), save_every=save_every)
        assert alike(run(path), unbroken)

    def test_a_run_goes_on_where_it_stopped(self, path: Path) -> None:
        with pytest.raises(KilledError):
            run(path, report=killer(11), save_every=0)
        calls: list[tuple[int, ...]] = []
        run(path, report=lambda *call: calls.append(call))
        assert calls[0][:2] == (1, 3)

    def test_a_run_killed_again_and_again_ends_as_an_unbroken_one(self, path: Path, unbroken: Parameters) -> None:
        for _ in range(5):
            with pytest.raises(KilledError):
                run(path, report=killer(4), save_every=0)
        assert alike(run(path), unbroken)

    def test_a_finished_run_is_not_done_again(self, path: Path, unbroken: Parameters) -> None:
        run(path)
        calls: list[object] = []
        assert alike(run(path, report=lambda *call: calls.append(call)), unbroken)
        assert not calls

    def test_the_state_of_another_run_is_not_taken_up(self, path: Path, unbroken: Parameters) -> None:
        with pytest.raises(KilledError):
            run(path, key="another", seed=1, report=killer(9), save_every=0)
        words: list[str] = []
        assert alike(run(path, message=words.append), unbroken)
        assert words == [
            f"training state {path} is of another recipe, data, version or number of threads: training starts anew"
        ]

    @pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "no header", "odd header", "odd tensors"])
    def test_a_damaged_state_is_noticed_and_said(self, path: Path, unbroken: Parameters, damage: str) -> None:
        with pytest.raises(KilledError):
            run(path, seed=1, report=killer(9), save_every=0)
        content = path.read_bytes()
        _, tensors = state_of(path)
        if damage in ("truncated", "empty", "garbage"):
            path.write_bytes({"truncated": content[:-9], "empty": b"", "garbage": b"\x80\x04" * 99}[damage])
        elif damage == "no header":
            save_file(tensors, path)
        elif damage == "odd header":
            save_file(tensors, path, {"hnn_envs_state": '["this run"]'})
        else:
            header = json.dumps({"key": "this run", "stage": 0, "step": 2})
            save_file({"weights": torch.zeros(2)}, path, {"hnn_envs_state": header})
        words: list[str] = []
        assert alike(run(path, message=words.append), unbroken)
        assert len(words) == 1
        assert str(path) in words[0]
        assert words[0].endswith(": training starts anew")

    def test_a_changed_bit_anywhere_is_noticed(self, path: Path, unbroken: Parameters) -> None:
        with pytest.raises(KilledError):
            run(path, report=killer(9), save_every=0)
        content = path.read_bytes()
        padded = 8 + int.from_bytes(content[:8], "little")
        blanks = range(len(content[:padded].rstrip(b" ")), padded)
        rng = np.random.default_rng(0)
        for place in rng.choice([each for each in range(len(content)) if each not in blanks], 60, replace=False):
            changed = bytearray(content)
            changed[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            words: list[str] = []
            assert alike(run(path, message=words.append), unbroken)
            assert words, place

    def test_at_every_moment_the_folder_holds_one_whole_state(self, path: Path) -> None:
        def look(*_: object) -> None:
            assert list(path.parent.iterdir()) == [path]
            assert state_of(path)[0]["key"] == "this run"

        run(path, report=look, save_every=0)


class TestLossThatIsNoNumber:
    def test_training_stops_and_names_the_step(self, path: Path) -> None:
        stages = [STAGES[0], Stage(steps=9, settings={"learning_rate": 1e9}, dtype="float32")]
        with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step 1 of stage 2 \(adam\)"):
            run(path, stages=stages)

    def test_the_last_good_state_is_kept_and_named(self, path: Path) -> None:
        stages = [STAGES[0], Stage(steps=9, settings={"learning_rate": 1e9}, dtype="float32")]
        with pytest.raises(TrainingError, match="step 0 of stage 2 is kept in") as caught:
            run(path, stages=stages, save_every=0)
        assert str(path) in str(caught.value)
        header, tensors = state_of(path)
        assert (header["stage"], header["step"]) == (1, 0)
        good = run(stages=STAGES[:1])
        assert all((tensors[f"parameters/{name}"].numpy() == value).all() for name, value in good.items())

    @pytest.mark.parametrize("optimiser", ["adam", "levenberg-marquardt"])
    def test_data_that_is_no_number_stops_the_first_step(self, path: Path, optimiser: str) -> None:
        broken = replace(DATA, derivatives=np.where(DATA.derivatives > 3, np.nan, DATA.derivatives))
        with pytest.raises(TrainingError, match=r"the loss is nan at step 0 of stage 1 .*; nothing was saved"):
            run(path, data=broken, stages=[Stage(steps=3, optimiser=optimiser)])
        assert not path.exists()

    def test_a_last_step_that_ruins_the_parameters_is_noticed(self) -> None:
        with pytest.raises(
            TrainingError, match=r"not finite after step 4, the last of stage 1 \(test_trainer:Ruinous\)"
        ):
            run(stages=[Stage(steps=5, optimiser="test_trainer:Ruinous")])


class Ruinous(Adam):
    """An optimiser of a user's own, which a recipe names by its module."""

    def step(self, step: int) -> float:
        loss = super().step(step)
        if step == 4:
            self.parameters["network.weight0"] = self.parameters["network.weight0"] * torch.inf
        return loss


class TestStageTables:
    @pytest.mark.parametrize(
        ("settings", "cause"),
        [
            ({"optimiser": "sgd"}, "unknown optimiser 'sgd'; allowed: adam"),
            ({"loss": "luck"}, "unknown loss 'luck'"),
            ({"loss_settings": {"balanced": 1.0}}, "no setting 'balanced'; allowed: balance"),
            ({"dtype": "float16"}, "unknown dtype 'float16'; allowed: float32, float64"),
            ({"every": 0}, "must be positive"),
        ],
    )
    def test_what_cannot_be_is_refused_before_training(self, settings: dict[str, Any], cause: str) -> None:
        with pytest.raises((InvalidOptionError, UnknownNameError), match=cause):
            Stage(steps=1, **settings)
