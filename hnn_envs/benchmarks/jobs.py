"""How many processes a benchmark takes."""

from __future__ import annotations

import os

from hnn_envs.errors import InvalidOptionError


def processes(jobs: int | None) -> int:
    """The number of processes that was asked for, or one per core.

    Raises:
        InvalidOptionError: less than one.
    """
    if jobs is None:
        return os.cpu_count() or 1
    if jobs < 1:
        raise InvalidOptionError(f"jobs must be a positive integer, not {jobs}")
    return jobs
