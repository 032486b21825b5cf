"""Fitting models to data: losses, optimisers, the trainer, and recipes that say what to do.

To add a loss or an optimiser, write its class and a line in ``LOSSES`` or ``OPTIMISERS``, or call ``register_loss`` or
``register_optimiser`` from outside. A name of the form "module:object" is one, too. They are here by name only, since
all of them need torch.
"""

from __future__ import annotations

from typing import Any

from hnn_envs.registry import Registry

LOSSES: Registry[type[Any]] = Registry(
    "loss",
    {
        "derivative": "hnn_envs.fitting.losses:DerivativeLoss",
        "trajectory": "hnn_envs.fitting.losses:TrajectoryLoss",
        "impulse": "hnn_envs.fitting.prediction:ImpulseLoss",
        "prediction": "hnn_envs.fitting.prediction:PredictionLoss",
        "increment": "hnn_envs.fitting.shooting:IncrementLoss",
        "path": "hnn_envs.fitting.shooting:PathLoss",
        "series": "hnn_envs.fitting.shooting:SeriesLoss",
    },
)

OPTIMISERS: Registry[type[Any]] = Registry(
    "optimiser",
    {
        "adam": "hnn_envs.fitting.optimisers:Adam",
        "levenberg-marquardt": "hnn_envs.fitting.optimisers:LevenbergMarquardt",
        "pruning": "hnn_envs.fitting.pruning:Pruning",
        "bundle-adjustment": "hnn_envs.fitting.bundle:BundleAdjustment",
    },
)


def register_loss(name: str, loss: type[Any] | str) -> None:
    """Makes a loss known by its name.

    Args:
        name: its name in recipes.
        loss: a dataclass of settings that is a ``hnn_envs.fitting.losses.Loss``, or where it is, "module:object".

    Raises:
        InvalidOptionError: another loss has this name.
    """
    LOSSES.register(name, loss)


def register_optimiser(name: str, optimiser: type[Any] | str) -> None:
    """Makes an optimiser known by its name.

    Args:
        name: its name in recipes.
        optimiser: a class that is made of a problem, parameters and settings, and is a
            ``hnn_envs.fitting.problem.Optimiser``; or where it is, "module:object".

    Raises:
        InvalidOptionError: another optimiser has this name.
    """
    OPTIMISERS.register(name, optimiser)


__all__ = ["LOSSES", "OPTIMISERS", "register_loss", "register_optimiser"]
