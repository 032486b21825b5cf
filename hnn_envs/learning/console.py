"""How far learning is, for whoever waits: one line on the standard error stream that is written over and over."""

from __future__ import annotations

import sys
import time

WIDTH = 100
SECONDS = 0.2
"""Between two changes of the line."""


class Line:
    """Tells progress; milestones stay, what is between them is written over."""

    def __init__(self) -> None:
        self._last = -1e9
        self._begun = time.monotonic()

    def told(self, what: str, step: int, steps: int, error: float) -> None:
        """Says what is done, as ``hnn_envs.learning.setting.Told``."""
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._last < SECONDS:
            return
        self._last = now
        words = f"{now - self._begun:5.0f} s  {what}: step {step + 1} of {steps}, error {error:.3g}"
        sys.stderr.write("\r" + words[:WIDTH].ljust(WIDTH))
        sys.stderr.flush()

    def message(self, words: str) -> None:
        """Says a milestone."""
        start = "\r" if sys.stderr.isatty() else ""
        sys.stderr.write(f"{start}{f'{time.monotonic() - self._begun:5.0f} s  {words}'.ljust(WIDTH)}".rstrip() + "\n")
        sys.stderr.flush()
