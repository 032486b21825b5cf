"""Registries: what there is by name, inside this package and outside of it, and building it from a recipe's tables.

A name is one that was registered, or has the form "module:object": then the module is imported and its object taken,
so that worker processes find what a user wrote. Entries may be registered as such names, too, and are imported when
they are first asked for.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from hnn_envs.errors import HnnEnvsError, InvalidOptionError, UnknownNameError
from hnn_envs.parsing import parse_arguments, shown

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Objects of one kind by name, in the order of registration.

    Args:
        kind: what they are, for messages.
        entries: name -> object, or where it is, "module:object".
        instances: whether a class stands for an object that is made of it without arguments.
        check: what is asked of an object from outside when it is first used; it raises where that does not hold. The
            given entries are the package's own, and tests check those.
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, T | str] | None = None,
        *,
        instances: bool = False,
        check: Callable[[T], None] | None = None,
    ) -> None:
        self.kind, self._instances, self._check = kind, instances, check
        self._own = frozenset(entries or ())
        self._entries: dict[str, T | str] = dict(entries or {})
        self._found: dict[str, T] = {}

    def register(self, name: str, entry: T | str) -> None:
        """Adds an entry; the same once more changes nothing.

        Args:
            name: without a colon.
            entry: the object, or where it is, "module:object".

        Raises:
            InvalidOptionError: the name is taken by something else, or has a colon.
        """
        if not name or ":" in name:
            raise InvalidOptionError(f"the name of a {self.kind} must not be empty or have a colon: {name!r}")
        if name in self._entries and self._entries[name] != entry:
            raise InvalidOptionError(f"there is another {self.kind} called {name!r} already")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        """The object of a name, registered or of the form "module:object".

        Raises:
            UnknownNameError: there is none.
        """
        if name not in self._found:
            if not isinstance(name, str) or (name not in self._entries and ":" not in name):
                allowed = ", ".join(sorted(self._entries))
                raise UnknownNameError(f"unknown {self.kind} {name!r}; allowed: {allowed}, or module:object")
            entry: Any = self._entries.get(name, name)
            found: Any = import_object(entry, self.kind) if isinstance(entry, str) else entry
            found = found() if self._instances and isinstance(found, type) else found
            if self._check is not None and name not in self._own:
                self._check(found)
            self._found[name] = found
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def import_object(place: str, kind: str = "object") -> Any:
    """The object at a place of the form "module:object".

    Raises:
        UnknownNameError: there is no such module or object in it, with the reason.
    """
    module, _, name = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise UnknownNameError(f"no {kind} at {place!r}, which should be module:object: {error}") from error
    return found


def construct(owner: str, make: Callable[..., T], settings: dict[str, Any], *arguments: Any) -> T:
    """Calls ``make(*arguments, **settings)``, where ``settings`` come from a user.

    Raises:
        InvalidOptionError: a setting that ``owner`` does not have, one that it lacks, or a value that it cannot have.
    """
    try:
        return make(*arguments, **_checked(owner, make, settings, len(arguments)))
    except UnknownNameError:
        raise
    except (HnnEnvsError, TypeError, ValueError, ArithmeticError) as error:
        raise InvalidOptionError(str(error) if str(error).startswith(owner) else f"{owner}: {error}") from error


def check_settings(owner: str, make: Callable[..., Any], settings: dict[str, Any], given: int) -> None:
    """Checks settings as ``construct`` does, where the first ``given`` arguments are not there yet.

    Raises:
        InvalidOptionError: a setting that ``owner`` does not have, one that it lacks, or a value that it cannot have.
    """
    try:
        _checked(owner, make, settings, given)
    except HnnEnvsError as error:
        raise InvalidOptionError(str(error) if str(error).startswith(owner) else f"{owner}: {error}") from error


def _checked(owner: str, make: Callable[..., Any], settings: dict[str, Any], given: int) -> dict[str, Any]:
    """The settings as the parameters of ``make`` behind the first ``given`` have them."""
    parameters = list(inspect.signature(make).parameters.values())[given:]
    allowed = [parameter.name for parameter in parameters]
    for name in settings:
        if name not in allowed:
            raise InvalidOptionError(f"{owner} has no setting {shown(name)}; allowed: {', '.join(allowed)}")
    lacking = [
        repr(parameter.name)
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.name not in settings
    ]
    if lacking:
        raise InvalidOptionError(f"{owner} lacks the setting {' and '.join(lacking)}")
    return parse_arguments(make, settings)
