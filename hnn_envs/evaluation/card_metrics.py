"""The metrics of a checkpoint's card."""

from __future__ import annotations

import numpy as np

from hnn_envs.checkpoints import Checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.evaluation.episode_error import episode_errors
from hnn_envs.fitting.pipeline import held_out_loss
from hnn_envs.fitting.recipes import Recipe
from hnn_envs.foresight import foresee
from hnn_envs.models.pixels import Sighted
from hnn_envs.recordings.sources import Dataset
from hnn_envs.systems import truth_of
from hnn_envs.tasks import find_task, tasks_of


def card_metrics(recipe: Recipe, checkpoint: Checkpoint, test: Dataset) -> dict[str, float]:
    """The metrics of a checkpoint's card.

    "test_loss" is the derivative loss on the test share; of models with coordinates of their own it is what they were
    trained to lower. Models of the default family, of systems whose
    equations are known and that have a task, also have "episode_error_95": the 95th percentile over 100 starts of
    the largest error within an episode under random actions, as a share of the domain's width. Of models of films they
    have "angle_error_50", the median error of the angle read off the 100 frames that they foresee from two, in rad, and
    "frame_mse_ratio", the mean square error of the frames that they foresee from ten, next to that of their own
    autoencoder, as the median over films.
    """
    metrics = held_out_loss(recipe, checkpoint, test)
    if recipe.name.startswith("default/") and truth_of(recipe.known) is not None and tasks_of(recipe.spec.name):
        metrics |= _foreseen(recipe, checkpoint)
    return metrics


def _foreseen(recipe: Recipe, checkpoint: Checkpoint) -> dict[str, float]:

    found = {"episode_error_95": float(np.quantile(episode_errors(checkpoint), 0.95))}
    dynamics = make_dynamics(recipe.known, checkpoint, dt=find_task(recipe.spec.name).dt)
    if isinstance(dynamics.field, Sighted):
        found["angle_error_50"] = float(np.median(foresee(dynamics).angle_errors))
        found["frame_mse_ratio"] = foresee(dynamics, shown=10).frame_ratio
    return found
