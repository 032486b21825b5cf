"""How this package is compiled: Numba's machine code, cached on disk where there is a place for it."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from numba import njit
from numba.extending import intrinsic

from hnn_envs.kernels.kept import keep
from hnn_envs.kernels.notice import NOTICE

inlined = njit(error_model="numpy")
"""Compiles a function as a part of those that call it."""


SHARED = ("functions.py", "jit.py", "network.py")
"""The files whose functions become part of others."""
DIGEST = hashlib.sha256(b"".join((files(__package__) / name).read_bytes() for name in SHARED)).hexdigest()[:12]


def compiled(function: Any) -> Any:
    """Compiles a function when it is first called, and keeps the machine code on disk.

    That is in ``__pycache__`` beside the source or, where that cannot be written, in the user's cache. A line on stderr
    tells of the first compilation in a process.
    """
    # Numba's cache is named after the function and notices changes in its own file only.
    function.__qualname__ += f"_{DIGEST}"
    return NOTICE.watch(keep(njit(error_model="numpy", nogil=True)(function)))


@intrinsic
def borrowed(_: Any, array: Any) -> Any:
    """A view that owns nothing, so that slices of it count no references; its array must outlive it."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        view = context.make_array(signature.return_type)(context, builder, value=values[0])
        view.meminfo, view.parent = view.meminfo.type(None), view.parent.type(None)
        return view._getvalue()

    return array(array), build
