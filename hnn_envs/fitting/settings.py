"""Building things from the tables of a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from hnn_envs.errors import HnnEnvsError, InvalidOptionError

T = TypeVar("T")


def construct(owner: str, make: Callable[..., T], settings: dict[str, Any], *arguments: Any) -> T:
    """Calls ``make(*arguments, **settings)``, where ``settings`` come from a user.

    Raises:
        InvalidOptionError: a setting that ``owner`` does not have, one that it lacks, or a value that it cannot have.
    """
    parameters = list(inspect.signature(make).parameters.values())[len(arguments) :]
    allowed = [parameter.name for parameter in parameters]
    for name in settings:
        if name not in allowed:
            raise InvalidOptionError(f"{owner} has no setting {name!r}; allowed: {', '.join(allowed)}")
    lacking = [
        repr(parameter.name)
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.name not in settings
    ]
    if lacking:
        raise InvalidOptionError(f"{owner} lacks the setting {' and '.join(lacking)}")
    try:
        return make(*arguments, **settings)
    except HnnEnvsError:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"{owner}: {error}") from error
