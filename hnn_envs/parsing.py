"""What comes from files, checked against the types that the code declares, before anything is made of it.

    parse(Row, table, "row 3")  # a Row, or "row 3: value is 'x', which is no number"

Cards, recipes, results and whatever a recipe's tables build go through here. Every refusal is an
``InvalidOptionError`` that names the entry; whoever knows the file names that as well.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import sys
import tomllib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hnn_envs.errors import HnnEnvsError, InvalidOptionError

T = TypeVar("T")

DEEPEST = 64
"""Tables and lists may be nested so deep; what the package writes is six deep."""
LARGEST_INTEGER = 2**63 - 1
EXTENDED = "infinite or NaN as well"
Extended = Annotated[float, EXTENDED]
"""A number that may be infinite or NaN, which JSON spells "inf", "-inf" and "nan"."""
LARGEST = 10**9
"""Nothing that a recipe counts or measures is larger."""


@dataclass(frozen=True)
class Within:
    """The range of a number, as a note to its type: ``Annotated[float, Within(0, 1)]``.

    Attributes:
        low: the lowest number; -inf for none.
        high: the highest.
        above: whether ``low`` itself is not allowed.
    """

    low: float
    high: float
    above: bool = False

    def check(self, value: float, entry: str) -> None:
        """Refuses a number that is not in the range.

        Raises:
            InvalidOptionError: with the range.
        """
        if not (self.low < value if self.above else self.low <= value) or not value <= self.high:
            lowest = f"more than {self.low:g}" if self.above else f"at least {self.low:g}"
            raise InvalidOptionError(f"{entry} is {shown(value)}; allowed: {lowest}, at most {self.high:g}")


Count = Annotated[int, Within(1, LARGEST)]
CountOrNone = Annotated[int, Within(0, LARGEST)]
Positive = Annotated[float, Within(0, LARGEST, above=True)]
Amount = Annotated[float, Within(0, LARGEST)]
Share = Annotated[float, Within(0, 1)]
Bounded = Annotated[float, Within(-LARGEST, LARGEST)]

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_SHOWN = Repr()
_SHOWN.maxstring = _SHOWN.maxother = _SHOWN.maxlong = 60


def check_counts(owner: object, *names: str) -> None:
    """Checks attributes that code may have set, which no file was parsed for.

    Raises:
        InvalidOptionError: one of them is not a positive integer.
    """
    for name in names:
        value = getattr(owner, name)
        if not _is(value, Integral) or value < 1:
            raise InvalidOptionError(f"{name} must be a positive integer, not {value!r}")


def shown(value: object) -> str:
    """A value for a message, shortened: what is refused may be of any length."""
    return _SHOWN.repr(value)


def user_path(name: str | Path) -> Path:
    """A path that a user gave; "~" and "~name" stand for home folders, where there is such a user."""
    return Path(os.path.expanduser(name))


def is_file(path: str | Path) -> bool:
    """Whether there is a file; no path is too long or too odd to ask."""
    return os.path.isfile(path)


def parse_json(text: str | bytes) -> Any:
    """Reads JSON that the package can handle: no entry twice, nothing nested deeper than ``DEEPEST``, all text Unicode.

    Raises:
        InvalidOptionError: it is not, with the reason.
    """
    try:
        content = json.loads(text, object_pairs_hook=_table)
    except (ValueError, RecursionError) as error:
        raise InvalidOptionError(f"it is no JSON that hnn_envs reads: {error}") from error
    return _checked(content, text if isinstance(text, str) else text.decode("utf-8", "surrogatepass"))


def parse_toml(text: str) -> dict[str, Any]:
    """Reads TOML, as ``parse_json`` reads JSON.

    Raises:
        InvalidOptionError: it is none, with the reason.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidOptionError(f"it is no TOML that hnn_envs reads: {error}") from error
    _check_depth(content)
    return content


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("an entry is there twice")
    return table


def _checked(content: Any, text: str) -> Any:
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(content)
    if _SURROGATE.search(text):
        try:
            json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InvalidOptionError(f"it has text that is no Unicode: {error}") from error
    return content


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(DEEPEST):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]
    if any(isinstance(each, dict | list) for each in level):
        raise InvalidOptionError(f"its tables and lists are nested deeper than {DEEPEST}")


def _inside(outer: dict[str, Any] | list[Any]) -> Sequence[Any]:
    return list(outer.values()) if isinstance(outer, dict) else outer


def parse(kind: type[T], value: Any, owner: str, *, whole: bool = False) -> T:
    """Builds a dataclass from a table, its entries checked against the types of the fields.

    Args:
        kind: the dataclass.
        value: the table.
        owner: what it is of, for messages.
        whole: whether entries that have a default must be there all the same.

    Raises:
        InvalidOptionError: an entry that is missing, unknown, of the wrong kind or out of range.
    """
    try:
        parsed: T = _dataclass(kind, value, whole=whole)
    except HnnEnvsError as error:
        raise InvalidOptionError(f"{owner}: {error}") from error
    return parsed


def parse_arguments(make: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Checks arguments by name against the types that a callable declares.

    Raises:
        InvalidOptionError: one is of the wrong kind.
    """
    hints = _hints_of(make)
    return {name: parse_entry(hints.get(name, Any), value, name) for name, value in arguments.items()}


def parse_entry(kind: Any, value: Any, entry: str) -> Any:
    """Checks a value against a type; tables become dataclasses, and lists tuples, where the type says so.

    Types that are not of JSON's kind, such as those of arrays, are not looked at.

    Raises:
        InvalidOptionError: it is none of that type; the message names ``entry``.
    """
    origin = get_origin(kind)
    if origin is Annotated:
        return _annotated(get_args(kind), value, entry)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), value, entry)
    if origin in _CONTAINERS:
        return _CONTAINERS[origin](get_args(kind), value, entry)
    if kind in _SCALARS:
        return _SCALARS[kind](value, entry)
    if isinstance(kind, type) and is_dataclass(kind) and not isinstance(value, kind):
        return _within(entry, lambda: _dataclass(kind, value))
    return value


def _annotated(kinds: tuple[Any, ...], value: Any, entry: str) -> Any:
    """A number with notes on its range."""
    base, *notes = kinds
    parsed = _number(value, entry, extended=True) if EXTENDED in notes else parse_entry(base, value, entry)
    for note in notes:
        if isinstance(note, Within):
            note.check(parsed, entry)
    return parsed


def _within(entry: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except HnnEnvsError as error:
        raise InvalidOptionError(f"{entry}: {error}") from error


def _dataclass(kind: type[Any], value: Any, *, whole: bool = False) -> Any:
    if not isinstance(value, Mapping):
        raise InvalidOptionError(f"{shown(value)} is no table of entries")
    known = {each.name: each for each in fields(kind) if each.init}
    odd = [name for name in value if name not in known]
    lacking = [name for name, each in known.items() if name not in value and (whole or _is_needed(each))]
    if odd or lacking:
        raise InvalidOptionError(f"entries {', '.join(shown(name) for name in lacking + odd)} are missing or unknown")
    entries = parse_arguments(kind, value)
    try:
        return kind(**entries)
    except HnnEnvsError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidOptionError(str(error)) from error


def _is_needed(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


@cache
def _hints_of(make: Callable[..., Any]) -> dict[str, Any]:
    """The types of a dataclass's fields or of a callable's arguments; none where they cannot be looked up."""
    owner = inspect.getattr_static(make, "__init__") if isinstance(make, type) and not is_dataclass(make) else make
    try:
        return get_type_hints(owner, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


def _refuse(entry: str, value: Any, kind: str) -> InvalidOptionError:
    return InvalidOptionError(f"{entry} is {shown(value)}, which is no {kind}")


def _number(value: Any, entry: str, *, extended: bool = False) -> float:
    if extended and value in ("inf", "-inf", "nan"):
        return float(value)
    if not _is(value, Real) or (isinstance(value, int) and abs(value) > sys.float_info.max):
        raise _refuse(entry, value, "number")
    if not extended and not math.isfinite(value):
        raise _refuse(entry, value, "finite number")
    return float(value)


def _is(value: Any, kind: type) -> bool:
    """Whether a value is a number of a kind, Python's or NumPy's; true and false are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _integer(value: Any, entry: str) -> int:
    if not _is(value, Integral) or abs(value) > LARGEST_INTEGER:
        raise _refuse(entry, value, "integer")
    return int(value)


def _truth(value: Any, entry: str) -> bool:
    if not isinstance(value, bool):
        raise _refuse(entry, value, "true or false")
    return value


def _text(value: Any, entry: str) -> str:
    if not isinstance(value, str):
        raise _refuse(entry, value, "text")
    return value


def _nothing(value: Any, entry: str) -> None:
    if value is not None:
        raise _refuse(entry, value, "null")


def _one_of(kinds: Sequence[Any], value: Any, entry: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    refused: InvalidOptionError | None = None
    for kind in (kind for kind in kinds if kind is not type(None)):
        try:
            return parse_entry(kind, value, entry)
        except InvalidOptionError as error:
            refused = refused or error
    raise refused or _refuse(entry, value, "null")


def _listed(value: Any, entry: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise _refuse(entry, value, "list")
    return value


def _list(kinds: tuple[Any, ...], value: Any, entry: str) -> list[Any]:
    return [parse_entry(kinds[0], each, f"{entry}[{place}]") for place, each in enumerate(_listed(value, entry))]


def _tuple(kinds: tuple[Any, ...], value: Any, entry: str) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        return tuple(_list(kinds, value, entry))
    if len(_listed(value, entry)) != len(kinds):
        raise _refuse(entry, value, f"list of {len(kinds)}")
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(parse_entry(kind, each, f"{entry}[{place}]") for place, (kind, each) in pairs)


def _mapping(kinds: tuple[Any, ...], value: Any, entry: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _refuse(entry, value, "table")
    return {name: parse_entry(kinds[1], each, f"{entry}.{shown(name)[1:-1]}") for name, each in value.items()}


_SCALARS: dict[Any, Callable[[Any, str], Any]] = {
    str: _text,
    bool: _truth,
    int: _integer,
    float: _number,
    type(None): _nothing,
}
_CONTAINERS: dict[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {list: _list, tuple: _tuple, dict: _mapping}

__all__ = [
    "DEEPEST",
    "LARGEST",
    "Amount",
    "Bounded",
    "Count",
    "CountOrNone",
    "Extended",
    "Positive",
    "Share",
    "Within",
    "is_file",
    "parse",
    "parse_arguments",
    "parse_entry",
    "parse_json",
    "parse_toml",
    "shown",
    "user_path",
]
