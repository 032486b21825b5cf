"""Fixtures that several test files use."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from frame_models import family_and_parameters

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
if "HNN_ENVS_TEST_PLUGIN" in os.environ:  # see test_plugin: then the suites run on what it adds, too
    importlib.import_module("plugin")

from hnn_envs.checkpoints import Card, Domain, save_checkpoint, shipped_checkpoints
from hnn_envs.models import Parameters, describe, make_family
from hnn_envs.systems import get_system
from hnn_envs.tasks import TASKS, get_task

MakeCheckpoint = Callable[..., str]


@pytest.fixture(scope="session")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> MakeCheckpoint:
    """Makes a checkpoint with random weights: (system or task, kind, scale=1, width=100, size=28) -> its path.

    ``kind`` is "hnn" or "baseline", ``scale`` multiplies the last layer, and ``width`` is the size of the domain on the
    card. The pixel pendulum's has frames of ``size`` pixels, and is fitted: random weights would see nothing.
    """
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(name: str, kind: str, scale: float = 1.0, width: float = 100.0, size: int = 28) -> str:
        name = TASKS[name].system.spec.name if name in TASKS else name
        system = get_system(name)
        hnn = "pairwise" if system.spec.bodies else "separable"
        family, settings = (hnn, {"hidden": [8]}) if kind == "hnn" else ("mlp", {"hidden": [16, 16], "inputs": True})
        weights: Parameters = {}
        if name == "pixel-pendulum":
            family, settings, weights = family_and_parameters(kind, size)
        model = make_family(family, settings)
        weights = weights or model.init(system.spec, np.random.default_rng(0))
        last = max(key for key in weights if key.startswith("network.weight"))
        weights[last] = weights[last] * scale
        edge = (width / 2,) * (2 * system.spec.dof)
        card = Card(
            name=f"test/{kind}",
            spec=system.spec,
            family=family,
            settings=describe(model),
            domain=Domain(tuple(-value for value in edge), edge, (-1.0, 1.0)),
            recipe="none",
            recipe_hash=hashlib.sha256(b"none").hexdigest(),
            seed=0,
            metrics={},
            version="0",
        )
        path: Path = folder / f"{name}-{kind}-{scale:g}-{width:g}-{size}.safetensors"
        save_checkpoint(path, card, weights)
        return str(path)

    return make


@pytest.fixture(scope="session")
def physics(random_checkpoint: MakeCheckpoint) -> Callable[..., str]:
    """(task, "ode" | "hnn" | "baseline", size=28) -> a ``dynamics`` argument: shipped, else ``random_checkpoint``'s."""

    def choose(task: str, name: str, size: int = 28) -> str:
        system = get_task(task).system.spec.name
        if name == "ode" or f"default/{name}{'' if size == 28 else f'-{size}'}" in shipped_checkpoints(system):
            return name
        return random_checkpoint(system, name, size=size)

    return choose
