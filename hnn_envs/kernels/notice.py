"""One line for users while kernels are compiled for the first time, since nothing else happens for some seconds."""

from __future__ import annotations

import logging
from typing import Any

from numba.core import event

KEPT = "hnn_envs compiles its kernels, once for this machine; this takes some ten seconds"
NOT_KEPT = (
    "hnn_envs compiles its kernels, in every process since their folder cannot be written; "
    "this takes some ten seconds, and NUMBA_CACHE_DIR names a folder to keep them in"
)
CANNOT_KEEP = "hnn_envs cannot keep its compiled kernels, and compiles them again in the next process: %s"


class CompileNotice(event.Listener):  # type: ignore[misc] # Numba has no types
    """Says once per process that a kernel is about to be compiled.

    Numba broadcasts an event where it compiles, and none where it finds machine code on disk, so that calls take no
    longer. The line is a warning of the logger "hnn_envs.kernels.notice": on stderr unless a program says otherwise.
    """

    def __init__(self) -> None:
        self._kernels: set[Any] = set()
        self._said = self._said_not_kept = False

    def watch(self, kernel: Any) -> Any:
        """Adds a kernel to those that are announced, and returns it; functions of users are not."""
        self._kernels.add(kernel)
        return kernel

    def on_start(self, started: Any) -> None:
        """Numba begins to compile something."""
        kernel = started.data["dispatcher"]
        if not self._said and kernel in self._kernels:
            self._said = True
            logging.getLogger(__name__).warning(NOT_KEPT if kernel.stats.cache_path is None else KEPT)

    def not_kept(self, reason: str) -> None:
        """Says once per process that machine code could not be written."""
        if not self._said_not_kept:
            self._said_not_kept = True
            logging.getLogger(__name__).warning(CANNOT_KEEP, reason)

    def on_end(self, ended: Any) -> None:
        """Numba has compiled something."""


NOTICE = CompileNotice()
event.register("numba:compile", NOTICE)
