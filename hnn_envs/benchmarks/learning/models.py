"""The models that are compared, each fitted to a recording: what is learned here, and rivals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hnn_envs.arrays import join
from hnn_envs.benchmarks.learning import rivals
from hnn_envs.benchmarks.learning.rivals import Step
from hnn_envs.dynamics import Dynamics, default_substeps, suited_integrator
from hnn_envs.errors import UnknownNameError
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.fitting.recipes import Recipe, load_recipe, make_stage, shipped_recipes
from hnn_envs.fitting.trainer import fit
from hnn_envs.learning.alone import PAIRWISE, fit_family
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.recording import Recording
from hnn_envs.systems import SystemSpec, get_spec

SERIES = "trigonometric"
EFFORT = {SERIES: 1.0, PAIRWISE: 1.0, "mechanical": 2.0, "mlp": 2.0}
"""Families of ``learn``, and by how much more work each is fitted than others, so that all take about the same time."""
RECIPES = {"hnn": "default/hnn", "baseline": "default/baseline"}
"""Shipped recipes by their short names."""
MODELS = (*EFFORT, *rivals.NEEDS)
"""What is fitted under every condition; recipes, under the one of their target."""


def check_model(name: str) -> None:
    """Refuses the name of what is no model.

    Raises:
        UnknownNameError: there is no such model.
    """
    known = {recipe.partition("/")[2] for recipe in shipped_recipes()}
    if name not in (*MODELS, *RECIPES) and name not in known:
        raise UnknownNameError.of("dynamics", name, (*MODELS, *RECIPES, *known))


def suits(name: str, spec: SystemSpec) -> bool:
    """Whether a model can be of a system.

    Series need angles, and bodies attract each other where there are some. Recipes must be of what was watched alone,
    states of positions and velocities; their other data are simulated with the equations known.
    """
    if name == PAIRWISE:
        return spec.bodies > 0
    if name == SERIES:
        return not spec.bodies
    return name in MODELS or _is_watched(name, spec)


def is_recipe(name: str) -> bool:
    """Whether a model is fitted by a shipped recipe."""
    return name not in MODELS


def fit_model(name: str, recording: Recording, dt: float, seed: int, minutes: float) -> Step:
    """Fits a model to a recording; what is given back takes a step of ``dt``.

    Raises:
        TrainingError: it could not be fitted.
        DataError: the recording is too short for it.
    """
    if name in rivals.FITS:
        return rivals.FITS[name](recording, seed)
    if name in EFFORT:
        return fit_family(recording, name, dt=dt, minutes=minutes * EFFORT[name], seed=seed).step
    return _by_recipe(name, recording, dt, seed).step


def _recipe(name: str, system: str) -> Recipe:
    return load_recipe(f"{system}/{RECIPES.get(name, name)}")


def _is_watched(name: str, spec: SystemSpec) -> bool:
    if f"{spec.name}/{RECIPES.get(name, name)}" not in shipped_recipes():
        return False
    return spec.velocities and all(table["source"] == "watched" for table in _recipe(name, spec.name).data)


def _by_recipe(name: str, recording: Recording, dt: float, seed: int) -> Dynamics:
    """By the stages of a recipe, which see states and inputs, and no derivatives."""
    recipe, spec = _recipe(name, recording.name), get_spec(recording.name)
    states = np.stack([join(run.positions, run.velocities) for run in recording.runs])
    inputs = np.stack([np.concatenate((run.inputs, run.inputs[-1:])) for run in recording.runs])
    data = Dataset(recording.runs[0].times, states, np.zeros_like(states), inputs)
    with torch_threads(1):
        stages = [make_stage(table) for table in recipe.stages]
        parameters = fit(spec, recipe.family, data, stages, seed)
    field = recipe.family.build(spec, parameters)
    method = suited_integrator(field, learned=True)
    made = Dynamics(name, spec, None, field, method, dt, 1, None)
    return replace(made, substeps=default_substeps(spec, dt, method, learned=True))
