"""A crane that no package knows: what it is, and checkpoints that were learned of it, or would have been."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from true_machines import true_cart_pole

from hnn_envs.checkpoints import Card, Domain, save_checkpoint
from hnn_envs.models import Parameters, describe, make_family
from hnn_envs.models.trigonometric import Config
from hnn_envs.systems import Coordinate, Input, SystemSpec

CRANE = SystemSpec(
    name="crane",
    coordinates=(
        Coordinate("place x", "m", momentum="velocity", momentum_unit="m/s"),
        Coordinate("angle a", "rad", angle=True, momentum="angular velocity", momentum_unit="rad/s"),
    ),
    inputs=(Input("force", "N"),),
    input_matrix=((1.0,), (0.0,)),
    time_scale=1.6,
    longest_step=0.005,
    dissipative=True,
    velocities=True,
    time_unit="s",
    energy_unit="J",
)
DOMAIN = Domain((-3.0, -math.pi, -10.0, -25.0), (3.0, math.pi, 10.0, 25.0), (0.0, 40.0), ((-10.0, 8.0),))
SERIES = {"degree": 1, "power": 1}


def crane_card(family: str = "trigonometric", options: dict[str, Any] | None = None, **changes: Any) -> Card:
    """A card; ``changes`` replace its entries."""
    made = make_family(family, SERIES if options is None else options)
    card = Card(
        name="mine/hnn",
        spec=CRANE,
        family=family,
        settings=describe(made),
        domain=DOMAIN,
        recipe="none",
        recipe_hash=hashlib.sha256(b"none").hexdigest(),
        seed=0,
        metrics={},
        version="0",
    )
    return replace(card, **changes)


def crane_weights(seed: int | None = None, off: float = 0.02) -> Parameters:
    """The cart-pole's, and with a seed others that are off by this share."""
    true = true_cart_pole(Config(**SERIES))
    if seed is None:
        return true
    rng = np.random.default_rng(seed)
    return {name: np.asarray(value * (1 + off * rng.standard_normal(value.shape))) for name, value in true.items()}


def write_crane(path: Path, members: int = 0, off: float = 0.02, **changes: Any) -> str:
    """Writes a checkpoint of the crane with so many members; returns its path."""
    save_checkpoint(path, crane_card(**changes), crane_weights(), [crane_weights(seed, off) for seed in range(members)])
    return str(path)
