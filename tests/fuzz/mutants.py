"""Damaged and crafted input: bytes, JSON values and TOML texts, each changed at random in a few places."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -1e308, 5e-324, math.nan, math.inf),
    *("", "x", "\ud800", "nan", "inf", "../../evil", "~nobody/x", "a" * 5000, "\0", "@@PLOTLY@@", "</script>"),
    *([], {}, [[]], [1e400], {"a": 1}, [None] * 100, "module:object", "hnn", "pendulum"),
)

TOML = (
    *("nan", "inf", "-1", "0", "0.5", "3", "true", '""', '"x"', "[]", "{}", "[[[]]]", "1e308", "1000000000000"),
    *("9223372036854775807", "1" * 400, '"../../evil"', "[1, 2]", "['a']", "{a = 1}", "1979-05-27"),
    *("[" * 300 + "]" * 300, '"\\u0000"'),
)
YAML = (
    *(".nan", ".inf", "-1", "0", "0.5", "3", "true", "null", '""', "x", "[]", "{}", "[[[]]]", "1.0e+308"),
    *("1000000000000", "1" * 400, "1" * 5000, "lin_0.1", "lin_-1", "lin_nan", "[1, 2]", "{a: 1}", "1979-05-27"),
    *(
        "[" * 3000,
        "&a [*a]",
        "*a",
        "!!python/object:os.system x",
        '"\\ud800"',
        "{pi: [1000000]}",
        "<<: {a: 1}",
    ),
)
HUGE = 2**1000


def of_bytes(rng: np.random.Generator, content: bytes) -> bytes:
    """Flipped bits, cuts, insertions, repetitions."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        place, kind = int(rng.integers(len(changed) + 1)), rng.integers(6)
        end = place + int(rng.integers(1, 40))
        if kind == 0:
            del changed[place:]
        elif kind == 1:
            del changed[place:end]
        elif kind == 2:
            changed[place:place] = rng.bytes(end - place)
        elif kind == 3:
            changed[place:place] = changed[place:end]
        elif place < len(changed):
            changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def of_value(rng: np.random.Generator, value: Any) -> Any:
    """A JSON value with some entries replaced, left out, repeated or nested."""
    changed = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(changed))
        if not places:
            return _odd(rng)
        holder, key = places[int(rng.integers(len(places)))]
        kind = rng.integers(6)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif kind == 1:
            holder[f"{key}x"] = holder.pop(key)
        elif kind == 2:
            holder[key] = _nested(rng, holder[key])
        elif kind == 3 and isinstance(holder[key], int | float) and abs(holder[key]) < HUGE:
            holder[key] = holder[key] * float(rng.choice([-1, 1e-3, 1e3, 1e30, 1e300]))
        else:
            holder[key] = _odd(rng)
    return changed


def _odd(rng: np.random.Generator) -> Any:
    return copy.deepcopy(ODD[int(rng.integers(len(ODD)))])


def _nested(rng: np.random.Generator, value: Any) -> Any:
    for _ in range(int(rng.choice([1, 2, 60, 300]))):
        value = [value] if rng.integers(2) else {"a": value}
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every entry of a value, those of long lists not all."""
    stack = [value]
    while stack:
        holder = stack.pop()
        if isinstance(holder, dict | list):
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))[:8]
            for key in keys:
                yield holder, key
                stack.append(holder[key])


def dumped(value: Any) -> bytes:
    """JSON as Python writes it, NaN and halves of characters and all."""
    return json.dumps(value).encode()


def of_toml(rng: np.random.Generator, text: str) -> str:
    """A recipe with some values replaced by others, and some lines lost or repeated."""
    return _of_lines(rng, text, "=", TOML)


def of_yaml(rng: np.random.Generator, text: str) -> str:
    """Hyperparameters with some values replaced by others, and some lines lost or repeated."""
    return _of_lines(rng, text, ":", YAML)


def _of_lines(rng: np.random.Generator, text: str, sign: str, values: tuple[str, ...]) -> str:
    lines = text.splitlines()
    for _ in range(int(rng.integers(1, 4))):
        place, kind = int(rng.integers(len(lines))), rng.integers(5)
        name, equals, _ = lines[place].partition(sign)
        if kind == 0:
            del lines[place]
        elif kind == 1:
            lines.insert(place, lines[int(rng.integers(len(lines)))])
        elif equals:
            lines[place] = f"{name}{sign} {values[int(rng.integers(len(values)))]}"
        if not lines:
            break
    return "\n".join(lines)
