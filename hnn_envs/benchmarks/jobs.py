"""How many processes a benchmark takes, and how its jobs are run in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from joblib import Parallel, delayed, parallel_config

from hnn_envs.errors import InvalidOptionError

Job = TypeVar("Job")
Result = TypeVar("Result")


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


def results_of(function: Callable[[Job], Result], jobs: Sequence[Job], count: int) -> Iterator[Result]:
    """The results of a function of each job, in their order, as they come.

    Args:
        function: what is done; one that other processes can import.
        jobs: what it is done with.
        count: processes, each with one thread; 1 for this one.
    """
    if count == 1:
        yield from map(function, jobs)
        return
    with parallel_config("loky", inner_max_num_threads=1):
        yield from Parallel(n_jobs=count, return_as="generator")(delayed(function)(job) for job in jobs)
