"""Training time to the seed HNN's own test loss: our structured model against the seed's way, on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from hnn_envs.errors import TrainingError
from hnn_envs.fitting.losses import make_loss, mean_square
from hnn_envs.fitting.pipeline import make_data, torch_threads
from hnn_envs.fitting.problem import Tensors
from hnn_envs.fitting.recipes import Recipe, load_recipe
from hnn_envs.fitting.trainer import Stage, fit
from hnn_envs.models.mlp import build_mlp, init_mlp
from hnn_envs.recordings.dataset import Dataset

TIMED_STEPS = 100
WARM_UP = 10


@dataclass(frozen=True)
class TimeToLoss:
    """Seconds of training, one thread.

    Attributes:
        seed_seconds: of the seed's way: the time of 100 steps, extrapolated to all of its steps.
        our_seconds: of the structured model, run until its test loss is at most that of the seed's HNN.
    """

    seed_seconds: float
    our_seconds: float

    @property
    def ratio(self) -> float:
        """Ours over the seed's."""
        return self.our_seconds / self.seed_seconds


def time_to_loss(system: str, loss: float) -> TimeToLoss:
    """Times both ways to a test loss on the same data."""
    generic, ours = load_recipe(f"{system}/paper/hnn"), load_recipe(f"{system}/paper/structured")
    train, test = make_data(ours)
    with torch_threads(1):
        return TimeToLoss(seed_seconds(generic, train), seconds_to(ours, train, test, loss))


def seconds_to(recipe: Recipe, train: Dataset, test: Dataset, goal: float) -> float:
    """Seconds that a recipe trains until its test loss is at most ``goal``; looking at it does not count.

    Raises:
        TrainingError: it never is.
    """
    derivatives = make_loss("derivative", {})
    rows = derivatives.prepare(test, torch.float64)
    looking, reached = 0.0, False

    def good_enough(parameters: Tensors) -> bool:
        nonlocal looking, reached
        began = time.perf_counter()
        with torch.no_grad():
            reached = (
                float(mean_square(derivatives.residuals(recipe.family.build(recipe.spec, parameters), rows))) <= goal
            )
        looking += time.perf_counter() - began
        return reached

    began = time.perf_counter()
    fit(recipe.spec, recipe.family, train, [Stage(**table) for table in recipe.stages], recipe.seed, until=good_enough)
    if not reached:
        raise TrainingError(f"recipe {recipe.identity} never reaches a test loss of {goal:.2e}")
    return time.perf_counter() - began - looking


def seed_seconds(recipe: Recipe, train: Dataset) -> float:
    """Seconds that the seed's training takes, from the time of a few of its steps.

    The seed differentiates the network by autograd, and the loss through that again (two backward passes).
    """
    settings = recipe.stages[0]["settings"]
    states, derivatives, _ = (torch.as_tensor(values, dtype=torch.float32) for values in train.flat())
    rng, dof = np.random.default_rng(recipe.seed), states.shape[-1] // 2
    sizes = (2 * dof, *recipe.model["hidden"], 1)
    parameters = {
        name: torch.as_tensor(value, dtype=torch.float32).requires_grad_()
        for name, value in init_mlp(rng, "network", sizes).items()
    }
    adam = torch.optim.Adam(parameters.values(), settings["learning_rate"], weight_decay=settings["weight_decay"])
    began = time.perf_counter()
    for step in range(WARM_UP + TIMED_STEPS):
        if step == WARM_UP:
            began = time.perf_counter()
        rows = torch.from_numpy(rng.integers(len(states), size=settings["batch"]))
        x = states[rows].requires_grad_()
        energy = build_mlp(parameters, "network")(x).sum()
        (gradient,) = torch.autograd.grad(energy, x, create_graph=True)
        flow = torch.cat((gradient[:, dof:], -gradient[:, :dof]), dim=-1)
        loss = (flow - derivatives[rows]).square().mean()
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
    return (time.perf_counter() - began) / TIMED_STEPS * int(recipe.stages[0]["steps"])
