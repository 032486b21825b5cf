"""What fits into this machine's memory, asked before anything is computed."""

from __future__ import annotations

import math
import os

from hnn_envs.errors import InvalidOptionError


def check_memory(needed: float, what: str, advice: str) -> None:
    """Refuses what would take more than half of the machine's memory.

    Args:
        needed: bytes.
        what: what would take it, for the message.
        advice: what to ask for instead.

    Raises:
        InvalidOptionError: with how much it would take, and how much there is.
    """
    there = _machine_memory()
    if needed > there / 2:
        raise InvalidOptionError(
            f"{what} would take {needed / 2**30:.1f} GiB, and this machine has {there / 2**30:.1f} GiB, half of which "
            f"may be used; {advice}"
        )


def _machine_memory() -> float:
    """Bytes of memory; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf
