"""The errors of hnn_envs: one small hierarchy, so that ``except HnnEnvsError`` catches all that the package raises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONG_LIST = 12  # of more names than these, those that are close to what was given are said as well


class HnnEnvsError(Exception):
    """Base of every error that hnn_envs raises on purpose."""


class UnknownNameError(HnnEnvsError, ValueError):
    """A system, task, dynamics, integrator, model family, recipe or field type that does not exist."""

    @classmethod
    def of(cls, kind: str, given: object, allowed: Iterable[str]) -> UnknownNameError:
        """Builds the usual sentence: what was given and what is allowed."""
        names = sorted(allowed)
        hint = suggestion(given, names) if len(names) > LONG_LIST else ""
        return cls(f"unknown {kind} {given!r}; allowed: {', '.join(names)}{hint}")


class InvalidStateError(HnnEnvsError, ValueError):
    """A state of the wrong shape, not finite, or outside the limits of its task."""


class InvalidActionError(HnnEnvsError, ValueError):
    """An action of the wrong shape, not finite, or outside the action space."""


class InvalidOptionError(HnnEnvsError, ValueError):
    """An argument that is out of its range, or does not fit the others."""


class IntegrationError(HnnEnvsError, ArithmeticError):
    """A step whose equation has no solution that was found."""


class CheckpointError(HnnEnvsError):
    """A checkpoint that is missing, damaged, of another format, or made for another system."""


class WriteError(HnnEnvsError, OSError):
    """A file that cannot be written, such as on a full disk."""


class DataError(HnnEnvsError):
    """Measured data that is missing or not in the expected format."""


class DeviceError(HnnEnvsError):
    """A device that this machine does not have."""


class ResultsError(HnnEnvsError):
    """A file of benchmark results that is missing, damaged, or of another version."""


class TrainingError(HnnEnvsError):
    """Training that cannot go on, for instance because the loss is not finite."""


class DisplayError(HnnEnvsError):
    """A window was asked for where there is no display."""


def suggestion(given: object, names: Iterable[str]) -> str:
    """Such as "; did you mean pendulum/default/hnn?", of the few names that are close to what was given, or nothing."""
    known, word = sorted(names), str(given)
    close = difflib.get_close_matches(word, known, n=3) or [name for name in known if word and word in name][:3]
    return f"; did you mean {' or '.join(close)}?" if close else ""


class NoTruthError(HnnEnvsError, ValueError):
    """The true equations were asked for of a system that is known by recordings only."""

    @classmethod
    def of(cls, system: str, there: Iterable[str] = ()) -> NoTruthError:
        """Builds the usual sentence.

        Args:
            system: its name.
            there: names or paths of what was learned of it.
        """
        names = " or ".join(f"dynamics={name!r}" for name in there)
        instead = f"there is {names}" if names else "name a checkpoint that was learned from recordings of it"
        return cls(
            f"the equations of {system!r} are not known, so there is no dynamics='ode' and no true energy; {instead}"
        )
