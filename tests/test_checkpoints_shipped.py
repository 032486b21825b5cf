"""The shipped checkpoints: all are there, each is what its recipe makes, and its card tells the truth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from measured_series import measured_folder, measured_series
from physics import IN_PAPER, TASKED

from hnn_envs.checkpoints import Checkpoint, checkpoint_path, load_checkpoint, shipped_checkpoints
from hnn_envs.dynamics import make_dynamics
from hnn_envs.evaluation.card_metrics import card_metrics
from hnn_envs.fitting.pipeline import make_data
from hnn_envs.fitting.recipes import Recipe, load_recipe, recipe_of, shipped_recipes
from hnn_envs.systems import SYSTEMS

FILMED = "pixel-pendulum"
"""Learned from frames, which are of whole pixels: it is asked for what frames can tell."""
SHIPPED = [f"{system}/{name}" for system in SYSTEMS for name in shipped_checkpoints(system)]


def shipped(identity: str) -> Checkpoint:
    """The checkpoint of an identity such as "pendulum/default/hnn"."""
    system, name = identity.split("/", 1)
    return load_checkpoint(checkpoint_path(system, name), system)


def by_data() -> dict[str, list[str]]:
    """Checkpoints whose recipes have the same data, under the name of the first: for bodies, data takes a while."""
    groups: dict[str, list[str]] = {}
    for identity in SHIPPED:
        recipe = recipe_of(shipped(identity))
        groups.setdefault(json.dumps([recipe.system, recipe.seed, recipe.data]), []).append(identity)
    return {group[0]: group for group in groups.values()}


def _marked(group: list[str]) -> Any:
    """The larger films of the same motions take minutes to draw."""
    return pytest.param(group, marks=[pytest.mark.slow] if group[0].endswith("-64") else [])


def _files_of(recipe: Recipe) -> str | None:
    """Where the files are that a recipe needs; skips the test where they are not."""
    (table,) = recipe.data[:1]
    if table["source"] == "recorded":
        return str(measured_folder(table["folder"]))
    return measured_series() if table["source"] == "measured" else None


@pytest.mark.parametrize("name", ["hnn", "baseline"])
@pytest.mark.parametrize(("group", "systems"), [("default", TASKED), ("paper", IN_PAPER)])
def test_every_system_has_both_families(group: str, systems: tuple[str, ...], name: str) -> None:
    assert [system for system in systems if f"{group}/{name}" not in shipped_checkpoints(system)] == []


def test_every_recipe_has_its_checkpoint_and_every_checkpoint_its_recipe() -> None:
    assert set(SHIPPED) == set(shipped_recipes())


@pytest.mark.parametrize("identity", SHIPPED)
def test_it_was_made_from_the_recipe_that_stands_beside_it(identity: str) -> None:
    card = shipped(identity).card
    assert card.recipe == load_recipe(identity).text
    assert f"{card.system}/{card.name}" == identity
    assert card.seed == load_recipe(identity).seed


@pytest.mark.parametrize("identities", [_marked(group) for group in by_data().values()], ids=by_data())
def test_its_metrics_are_measured_again(identities: list[str]) -> None:
    recipe = load_recipe(identities[0])
    _, test = make_data(recipe, _files_of(recipe))
    for identity in identities:
        checkpoint = shipped(identity)
        claimed, found = dict(checkpoint.card.metrics), card_metrics(load_recipe(identity), checkpoint, test)
        assert found.keys() == claimed.keys(), identity
        # Where a model is the truth, what is left is rounding, and what steps at a tolerance of 1e-9 leave.
        assert found.pop("test_loss") == pytest.approx(claimed.pop("test_loss"), rel=1e-3, abs=1e-20), identity
        for metric in [name for name in claimed if name.startswith("episode_error_95")]:
            assert found.pop(metric) == pytest.approx(claimed.pop(metric), rel=0.05, abs=1e-7), identity
        assert found == pytest.approx(claimed, rel=0.05), identity


@pytest.mark.parametrize("system", [system for system in TASKED if system != FILMED])
def test_the_default_hnn_stands_in_for_the_ode(system: str) -> None:
    assert shipped(f"{system}/default/hnn").card.metrics["episode_error_95"] <= 0.01


@pytest.mark.parametrize("name", ["default/hnn", "default/hnn-64"])
def test_the_default_hnn_of_frames_predicts_them(name: str) -> None:
    metrics = shipped(f"{FILMED}/{name}").card.metrics
    assert metrics["angle_error_50"] < 0.1
    assert metrics["frame_mse_ratio"] < 2


@pytest.mark.parametrize("size", ["", "-64"])
def test_the_hnn_of_frames_predicts_them_better_than_the_baseline(size: str) -> None:
    hnn, baseline = (shipped(f"{FILMED}/default/{name}{size}").card.metrics for name in ("hnn", "baseline"))
    for metric in ("angle_error_50", "episode_error_95", "frame_mse_ratio"):
        assert hnn[metric] < baseline[metric]


@pytest.mark.parametrize("system", TASKED)
def test_the_default_hnn_beats_the_baseline(system: str) -> None:
    hnn, baseline = (shipped(f"{system}/default/{name}").card.metrics for name in ("hnn", "baseline"))
    assert hnn["test_loss"] < baseline["test_loss"]
    assert hnn["episode_error_95"] < baseline["episode_error_95"]


@pytest.mark.parametrize("identity", [name for name in SHIPPED if "/hardware/" not in name])
def test_it_moves_its_system_as_the_ode_does(identity: str) -> None:
    system, name = identity.split("/", 1)
    x = SYSTEMS[system].sample_states(np.random.default_rng(1), 50)
    learned, true = (make_dynamics(SYSTEMS[system], physics).step(x) for physics in (name, "ode"))
    # A plain network is off by two fifths on the double pendulum, of which it has seen 2000 steps.
    share = 0.5 if name.endswith("baseline") else 0.3
    assert np.abs(learned - true).mean() < share * np.abs(true - x).mean()
