"""The commands that go on where they were killed, in short forms, and what of their results must not depend on it."""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.numpy import load

from hnn_envs import record
from hnn_envs.fitting.recipes import recipes_folder

TIMED = ("microseconds_per_step", "microseconds_per_step_batched", "steps_per_second", "seconds", "training_seconds")
"""What a clock says, and a digest of that, is another number every time."""
IGNORED = (*TIMED, "microseconds", "digest", "metrics")
STEPS = 100
"""Of a stage of the paper suite's trainings."""
RECIPE = """
system = "pendulum"
name = "kill/hnn"
seed = 5

[model]
family = "separable"
hidden = [8]

[[data]]
source = "box"
count = 200
low = [-3.0, -2.0]
high = [3.0, 2.0]
max_input = 0.5

[[stages]]
steps = 150
[stages.settings]
learning_rate = 1e-2
batch = 64

[[stages]]
steps = 12
optimiser = "levenberg-marquardt"
starts = 3
rounds = 4

[[stages]]
steps = 80
dtype = "float32"
[stages.settings]
learning_rate = 1e-3
"""
TRAINING = """
hnn_envs/MassSpring-v0:
  n_timesteps: 1024
  n_envs: 16
  policy: MlpPolicy
  normalize: true
  n_steps: 32
  batch_size: 128
  n_epochs: 2
  learning_rate: lin_0.003
"""


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        arguments: of ``hnn-envs``, for a folder that its results go to.
        prepare: writes what it reads, into that folder.
    """

    arguments: Callable[[Path], list[str]]
    prepare: Callable[[Path], object] = lambda folder: None


COMMANDS = {
    "train": Command(
        lambda folder: ["train", str(folder / "recipe.toml"), "--out", str(folder / "model.safetensors")],
        lambda folder: (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8"),
    ),
    "learn": Command(
        lambda folder: [
            *("learn", str(folder / "swing.npz"), "--families", "trigonometric,mlp", "--minutes", "0.05"),
            *("--out", str(folder / "model.safetensors")),
        ],
        lambda folder: record("Pendulum-v1", seconds=8, seed=0).save(folder / "swing.npz"),
    ),
    "benchmark paper": Command(
        lambda folder: [
            *("benchmark", "paper", "--systems", "mass-spring", "--dynamics", "paper/hnn,paper/baseline"),
            *("--retrain", "--seeds", "2", "--jobs", "1", "--out", str(folder)),
        ]
    ),
    "benchmark stability": Command(
        lambda folder: [
            *("benchmark", "stability", "--systems", "pendulum", "--dynamics", "ode,hnn,baseline", "--jobs", "1"),
            *("--steps", "2000", "--starts", "2", "--out", str(folder)),
        ]
    ),
    "benchmark transfer": Command(
        lambda folder: [
            *("benchmark", "transfer", "--tasks", "mass-spring", "--dynamics", "ode,hnn", "--seeds", "2"),
            *("--retrain", "--episodes", "2", "--jobs", "1", "--hyperparameters", str(folder / "ppo.yml")),
            *("--out", str(folder)),
        ],
        lambda folder: (folder / "ppo.yml").write_text(TRAINING, encoding="utf-8"),
    ),
}


@cache
def short_recipes() -> Path:
    """The shipped recipes with few steps a stage."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, True)
    for path in recipes_folder().rglob("*/paper/*.toml"):
        copy = folder / path.relative_to(recipes_folder())
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(re.sub(r"(?m)^steps *= *\d+", f"steps = {STEPS}", path.read_text(encoding="utf-8")), "utf-8")
    return folder


def results_of(folder: Path) -> dict[str, object]:
    """What a command left, without what a clock said; unfinished temporary files, which nothing reads, are left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): _content(path) for path in files if "logs" not in path.parts}


def kept_in(folder: Path) -> int:
    """How many files a killed command has left that it may go on from."""
    return sum(path.suffix in (".safetensors", ".json") for path in folder.rglob("*") if path.name[0] != ".")


def _content(path: Path) -> object:
    content = path.read_bytes()
    if path.suffix == ".json":
        return _timeless(json.loads(content))
    if path.suffix == ".csv":
        return [line for line in content.decode().splitlines() if not any(name in line for name in TIMED)]
    if path.suffix != ".safetensors":
        return content
    length = int.from_bytes(content[:8], "little")
    cards = json.loads(content[8 : 8 + length])["__metadata__"]
    if "hnn_envs" in cards:  # a checkpoint: to the byte
        return content
    tensors = {name: (value.dtype, value.tobytes()) for name, value in load(content).items() if name not in IGNORED}
    return [_timeless(json.loads(card)) for card in cards.values()], tensors


def _timeless(value: Any) -> Any:
    """JSON without what a clock said."""
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in IGNORED}
    if isinstance(value, list):
        return [_timeless(each) for each in value if not (isinstance(each, dict) and each.get("metric") in TIMED)]
    return value
