"""The errors of hnn_envs: one small hierarchy, so that ``except HnnEnvsError`` catches all that the package raises."""

from __future__ import annotations

from collections.abc import Iterable


class HnnEnvsError(Exception):
    """Base of every error that hnn_envs raises on purpose."""


class UnknownNameError(HnnEnvsError, ValueError):
    """A system, task, dynamics, integrator, model family, recipe or field type that does not exist."""

    @classmethod
    def of(cls, kind: str, given: object, allowed: Iterable[str]) -> UnknownNameError:
        """Builds the usual sentence: what was given and what is allowed."""
        return cls(f"unknown {kind} {given!r}; allowed: {', '.join(sorted(allowed))}")


class InvalidStateError(HnnEnvsError, ValueError):
    """A state of the wrong shape, not finite, or outside the limits of its task."""


class InvalidActionError(HnnEnvsError, ValueError):
    """An action of the wrong shape, not finite, or outside the action space."""


class InvalidOptionError(HnnEnvsError, ValueError):
    """An argument that is out of its range, or does not fit the others."""


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


class NoTruthError(HnnEnvsError, ValueError):
    """The true equations were asked for of a system that is known by recordings only."""

    @classmethod
    def of(cls, system: str) -> NoTruthError:
        """Builds the usual sentence."""
        return cls(
            f"the equations of {system!r} are not known, so there is no dynamics='ode' and no true energy; "
            "name a checkpoint that was learned from recordings of it"
        )
