"""How this package is compiled: Numba's machine code, cached on disk where there is a place for it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import FunctionType
from typing import Any

from numba import njit
from numba.extending import intrinsic, overload

from hnn_envs import arithmetic
from hnn_envs.kernels.kept import keep
from hnn_envs.kernels.notice import NOTICE

OPTIONS: dict[str, Any] = {"error_model": "numpy"}

inlined = njit(**OPTIONS)
"""Compiles a function as a part of those that call it."""


def compiled(function: Any, *parts: Callable[..., Any]) -> Any:
    """Compiles a function when it is first called, and keeps the machine code on disk.

    That is in ``__pycache__`` beside the source or, where that cannot be written, in the user's cache. A line on stderr
    tells of the first compilation in a process. What no other process could import is not kept on disk.

    Args:
        function: the function.
        parts: the plain functions of modules among what it closes over; they are compiled as parts of it.
    """
    reached: set[Any] = set()
    for part in parts:
        reached |= called_by(part)
    # Numba's cache is named after the function and notices changes in its own file only.
    function.__qualname__ += f"_{digest(reached)}"
    if not all(_can_be_imported(part) for part in reached):
        return njit(**OPTIONS, nogil=True)(function)
    return NOTICE.watch(keep(njit(**OPTIONS, nogil=True)(function)))


@cache
def called_by(function: Any) -> frozenset[Any]:
    """Lets compiled functions call a plain function of a module; returns it with those that it calls in turn."""
    make_part(function)
    reached = {function}
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if is_part(value) and value is not function:
            reached |= called_by(value)
    return frozenset(reached)


def make_part(function: Any) -> None:
    """Lets compiled functions call a plain function, as a part of them."""

    def implementation(*_: Any, **__: Any) -> Any:
        return function

    options = OPTIONS | {"forceinline": True}
    overload(function, strict=False, prefer_literal=True, jit_options=options)(implementation)


def is_part(value: Any) -> bool:
    """Whether something is a plain function, and none of the kernels' or of arithmetic, which are known already."""
    if not isinstance(value, FunctionType):
        return False
    return value.__module__ != arithmetic.__name__ and not value.__module__.startswith(f"{__package__}.")


@cache
def _source(path: str) -> bytes:
    return Path(path).read_bytes() if Path(path).is_file() else b""


def digest(reached: set[Any]) -> str:
    """Changes with the source of the kernels, and with the source and the constants of some functions."""
    own = sorted(str(path) for path in files(__package__).iterdir() if path.name.endswith(".py"))
    others = sorted({part.__code__.co_filename for part in reached})
    constants = sorted(line for part in reached for line in _constants(part))
    content = (*map(_source, (*own, str(arithmetic.__file__), *others)), *map(str.encode, constants))
    return hashlib.sha256(b"\0".join(content)).hexdigest()[:12]


def _constants(function: Any) -> list[str]:
    """The name of a function, and the constants of its module that it reads."""
    found = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    read = [f"{name}={value!r}" for name, value in found.items() if isinstance(value, int | float | str | tuple)]
    return [f"{function.__module__}.{function.__qualname__}", *read]


def _can_be_imported(function: Any) -> bool:
    """Whether another process finds a function by its name: only then Numba recognises it on disk."""
    module = sys.modules.get(function.__module__)
    return function.__module__ != "__main__" and getattr(module, function.__qualname__, None) is function


@intrinsic
def borrowed(_: Any, array: Any) -> Any:
    """A view that owns nothing, so that slices of it count no references; its array must outlive it."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        view = context.make_array(signature.return_type)(context, builder, value=values[0])
        view.meminfo, view.parent = view.meminfo.type(None), view.parent.type(None)
        return view._getvalue()

    return array(array), build
