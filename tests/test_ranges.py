"""Numbers in recipes that no run could use: refused when the recipe is read, with the file and the entry."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.recipes import load_recipe, recipes_folder, shipped_recipes

NEVER = (float("nan"), float("inf"), float("-inf"), 10**12, -(10**12), 1e300, -1e300)
"""No count, time, size, width, rate or limit is one of these."""
SIGNED = {"low", "high", "centre", "window"}
"""Entries whose numbers may be below zero, or, of a window, are edges in pixels."""
ZERO_ALLOWED = {
    *("seed", "noise", "test_share", "max_input", "closest", "widest", "spread", "balance", "batch", "weight_decay"),
    *("final_rate", "ridge", "max_momentum", "decoder_ridge", "largest_torque", "smallest_angle", "canonical", "field"),
    "differences",
}


def text_of(value: Any) -> str:
    """A value as TOML has it; tables are inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {text_of(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return json.dumps(value) if isinstance(value, str | bool) else repr(value)


def numbers(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Where a value has numbers."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(each, *path, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def changed(table: dict[str, Any], path: tuple[Any, ...], number: float) -> str:
    """A recipe with another number at a place."""
    copy = json.loads(json.dumps(table))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = number
    return "\n".join(f"{name} = {text_of(value)}" for name, value in copy.items())


def entry_of(path: tuple[Any, ...]) -> str:
    """The name of the entry that a place belongs to."""
    return next(key for key in reversed(path) if isinstance(key, str))


def refusal(path: Path) -> str:
    """The message with which a recipe is refused; empty where it is not."""
    try:
        load_recipe(str(path))
    except InvalidOptionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_number_of_every_shipped_recipe_has_a_range(name: str, tmp_path: Path) -> None:
    table = tomllib.loads((recipes_folder() / f"{name}.toml").read_text(encoding="utf-8"))
    file, seen, accepted = tmp_path / "other.toml", set(), []
    file.write_text(changed(table, ("seed",), table["seed"]), encoding="utf-8")
    assert load_recipe(str(file)).name == table["name"]  # what follows is refused for its numbers alone
    for path in numbers(table):
        entry, whole = entry_of(path), tuple(key for key in path if isinstance(key, str))
        if whole in seen:
            continue
        seen.add(whole)
        odd = [number for number in NEVER if entry != "seed" or number != 10**12]
        odd += [] if entry in SIGNED else [-1]
        odd += [] if entry in SIGNED | ZERO_ALLOWED else [0]
        for number in odd:
            file.write_text(changed(table, path, number), encoding="utf-8")
            message = refusal(file)
            if str(file) not in message or not re.search(rf"\b{entry}\b|\b{entry.replace('_', ' ')}\b", message):
                accepted.append((path, number, message))
    assert accepted == []


MODEL = """
system = "pendulum"
name = "x"
seed = 0
[model]
family = "separable"
hidden = [4]
[[data]]
source = "box"
count = 20
low = [-1, -1]
high = [1, 1]
max_input = 0.5
[[stages]]
steps = 3
"""


class TestTogether:
    """Numbers that are each allowed, and too much together."""

    @pytest.mark.parametrize(
        ("old", "new", "cause"),
        [
            ("hidden = [4]", "hidden = [1000000, 1000000]", "hidden"),
            ("hidden = [4]", "hidden = [200000]\nports = {damping = 1}", "damping"),
            ("high = [1, 1]", "high = [1, -2]", "high"),
            ("steps = 3", "steps = 3\n[stages.settings]\nlearning_rat = 1e-3", "learning_rat"),
            ("steps = 3", "steps = 3\n[stages.settings]\nlearning_rate = -1e-3", "learning_rate"),
            ("steps = 3", 'steps = 3\noptimiser = "levenberg-marquardt"\n[stages.settings]\nchunk = 0', "chunk"),
            ("steps = 3", 'steps = 3\nloss = "trajectory"\nloss_settings = {horizon = 0}', "horizon"),
        ],
    )
    def test_is_refused_before_anything_is_made(self, old: str, new: str, cause: str, tmp_path: Path) -> None:
        file = tmp_path / "large.toml"
        file.write_text(MODEL.replace(old, new), encoding="utf-8")
        with pytest.raises(InvalidOptionError, match=cause) as caught:
            load_recipe(str(file))
        assert str(file) in str(caught.value)

    def test_states_of_what_is_watched(self, tmp_path: Path) -> None:
        file = tmp_path / "large.toml"
        box = MODEL[MODEL.index("[[data]]") : MODEL.index("[[stages]]")]
        watched = """[[data]]
source = "watched"
seconds = 1000000.0
test_seconds = 1.0
dt = 1e-300
intervals = 5
max_input = 0.5
"""
        file.write_text(MODEL.replace(box, watched), encoding="utf-8")
        with pytest.raises(InvalidOptionError, match=r"large\.toml .*seconds .*dt"):
            load_recipe(str(file))

    def test_states(self, tmp_path: Path) -> None:
        file = tmp_path / "large.toml"
        box = MODEL[MODEL.index("[[data]]") : MODEL.index("[[stages]]")]
        paper = """[[data]]
source = "paper"
trajectories = 1000000
duration = 1.0
points = 1000000
noise = 0.1
test_share = 0.5
test_first = true
"""
        file.write_text(MODEL.replace(box, paper), encoding="utf-8")
        with pytest.raises(InvalidOptionError, match=r"large\.toml .*trajectories .*points"):
            load_recipe(str(file))
