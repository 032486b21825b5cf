"""Other ways to foretell a recorded system: a Gaussian process and sparse regression, by kept libraries.

Both are told what the Hamiltonian families are told of states: which coordinates are angles, and that the second half
of a state is the velocity. The extra "rivals" brings the libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.learning.gaussian_process import fit_gaussian_process
from hnn_envs.benchmarks.learning.sparse_equations import fit_sindy
from hnn_envs.recordings.recording import Recording

Step = Callable[[Array, Array], Array]
"""(states (n, 2*dof), inputs (n, inputs)) -> the states a step later."""

NEEDS = {"gaussian-process": "sklearn", "sindy": "pysindy"}
"""What each rival is of, by the name that it is imported by."""


def is_installed(name: str) -> bool:
    """Whether a rival's library is there; True of what is no rival."""
    return name not in NEEDS or find_spec(NEEDS[name]) is not None


FITS: dict[str, Callable[[Recording, int], Step]] = {
    "gaussian-process": fit_gaussian_process,
    "sindy": fit_sindy,
}
