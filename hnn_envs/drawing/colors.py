"""The colours of drawings and plots: who moves it. Safe for colour-blind readers (Okabe and Ito)."""

from __future__ import annotations

import re
from pathlib import PurePath

ODE = "#000000"
HNN = "#0072B2"
BASELINE = "#E69F00"
OTHER = "#AA4499"  # a checkpoint that is none of the usual ones; Tol's purple

ACTION = "#009E73"  # what the agent does
GUIDE = "#B8BCC2"  # axes, marks, targets
TEXT = "#3A3F45"
PAPER = "#FFFFFF"


def colour_of(dynamics: str) -> str:
    """The colour of a physics, "#RRGGBB": black the ODE, blue an HNN, orange a baseline, purple anything else.

    Args:
        dynamics: "ode", "hnn", "baseline", a checkpoint's name such as "paper/hnn" or "default/hnn-64", or its path.
    """
    stem = re.sub(r"-\d+$", "", PurePath(dynamics).name.removesuffix(".safetensors"))
    if stem == "ode":
        return ODE
    if stem.endswith("hnn"):
        return HNN
    return BASELINE if stem.endswith("baseline") else OTHER


def rgb(colour: str) -> tuple[int, int, int]:
    """Reads "#RRGGBB" as three numbers from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(colour: str, other: str, share: float) -> str:
    """``colour`` with a share in [0, 1] of another mixed in."""
    parts = (round(a + (b - a) * share) for a, b in zip(rgb(colour), rgb(other), strict=True))
    return "#{:02X}{:02X}{:02X}".format(*parts)
