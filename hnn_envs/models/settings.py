"""What a family's settings may be, beyond their type: said where the setting is."""

from __future__ import annotations

from dataclasses import field
from typing import Any

POSITIVE = "positive"


def positive(default: float) -> Any:
    """A number above zero, such as a unit, as an entry of a dataclass of settings."""
    return field(default=default, metadata={POSITIVE: True})
