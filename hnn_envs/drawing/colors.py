"""The colours of drawings and plots: what moves it. Safe for colour-blind readers (Okabe and Ito)."""

from __future__ import annotations

from collections.abc import Sequence

ODE = "#000000"
HNN = "#0072B2"
BASELINE = "#E69F00"
OTHER = "#AA4499"  # a physics of which nothing is known, and the second of a kind in a figure; Tol's purple
COLOURS = {"ode": ODE, "hnn": HNN, "baseline": BASELINE}
SPARE = (OTHER, "#882255", "#44AA99")  # Tol's wine and teal

ACTION = "#009E73"  # what the agent does
GUIDE = "#B8BCC2"  # axes, marks, targets
TEXT = "#3A3F45"
PAPER = "#FFFFFF"


def colour_of(role: str) -> str:
    """The colour of a physics, "#RRGGBB": black the ODE, blue an HNN, orange a baseline, purple anything else.

    Args:
        role: what the physics is, "ode", "hnn" or "baseline" (``hnn_envs.dynamics.Dynamics.role``).
    """
    return COLOURS.get(role, OTHER)


def colours_of(roles: Sequence[str]) -> list[str]:
    """The colours of several physics in one figure: those after the first of a role have colours of their own."""
    found: list[str] = []
    for role in roles:
        free = (colour for colour in (colour_of(role), *SPARE) if colour not in found)
        found.append(next(free, OTHER))
    return found


def rgb(colour: str) -> tuple[int, int, int]:
    """Reads "#RRGGBB" as three numbers from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(colour: str, other: str, share: float) -> str:
    """``colour`` with a share in [0, 1] of another mixed in."""
    parts = (round(a + (b - a) * share) for a, b in zip(rgb(colour), rgb(other), strict=True))
    return "#{:02X}{:02X}{:02X}".format(*parts)
