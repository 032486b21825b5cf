"""How long work reports how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[float, float, str], object]
"""(amount done, amount in all, what is being done or was done last)"""


def silent(done: float, total: float, what: str) -> None:
    """Tells nobody."""


__all__ = ["Progress", "silent"]
