"""The metrics of a checkpoint's card."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import split
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.evaluation.episode_error import episode_errors
from hnn_envs.fitting.pipeline import held_out_loss
from hnn_envs.fitting.recipes import Recipe
from hnn_envs.recordings import make_source
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.recorded import RecordedSource
from hnn_envs.systems import truth_of
from hnn_envs.tasks import ObservedTask, tasks_of


def card_metrics(recipe: Recipe, checkpoint: Checkpoint, test: Dataset) -> dict[str, float]:
    """The metrics of a checkpoint's card.

    "test_loss" is the derivative loss on the test share; of models with coordinates of their own it is what they were
    trained to lower. Models of the default family also have "episode_error_95", where the equations are known and there
    is a task: the 95th percentile over 100 starts of the largest error within an episode under random actions, as a
    share of the domain's width; of several tasks the one where that is worst. Where a task is seen through frames, it
    says how well they are predicted. Models of recorded windows have "position_error": how far positions are off at the
    end of the test windows, mean absolute error over them and over coordinates.
    """
    metrics = held_out_loss(recipe, checkpoint, test)
    if recipe.name.startswith("default/") and truth_of(recipe.known) is not None and tasks_of(recipe.spec.name):
        metrics |= _in_its_tasks(recipe, checkpoint)
    if all(isinstance(make_source(table), RecordedSource) for table in recipe.data):
        metrics["position_error"] = _position_error(recipe, checkpoint, test)
    return metrics


def _position_error(recipe: Recipe, checkpoint: Checkpoint, test: Dataset) -> float:
    dynamics = make_dynamics(recipe.known, checkpoint, dt=float(test.times[1] - test.times[0]))
    x = test.states[:, 0]
    for step in range(len(test.times) - 1):
        x = dynamics.step(x, test.inputs[:, step])
    return float(np.abs(split(x)[0] - split(test.states[:, -1])[0]).mean())


def _in_its_tasks(recipe: Recipe, checkpoint: Checkpoint) -> dict[str, float]:
    tasks = tasks_of(recipe.spec.name)
    errors = [float(np.quantile(episode_errors(checkpoint, task=task), 0.95)) for task in tasks]
    found = {"episode_error_95": max(errors)}
    for task in tasks:
        if isinstance(task, ObservedTask):
            found |= task.prediction_metrics(make_dynamics(recipe.known, checkpoint, dt=task.dt))
    return found
