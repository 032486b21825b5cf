"""One cell of the learning benchmark: a model of one system, fitted to one recording, and what it foretells."""

from __future__ import annotations

import math
import re
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.benchmarks.learning.models import fit_model
from hnn_envs.benchmarks.learning.rivals import Step
from hnn_envs.benchmarks.learning.watching import Unseen, record_system, unseen_runs
from hnn_envs.errors import DataError, ResultsError, TrainingError
from hnn_envs.evaluation.metrics import never_missing, state_difference, valid_prediction_time
from hnn_envs.evaluation.records import read_kept_as, write_kept
from hnn_envs.parsing import Extended
from hnn_envs.storage import digest_of
from hnn_envs.systems import get_spec, get_system
from hnn_envs.version import __version__

RELATIVE_ERROR = 0.3
"""From which a prediction is no longer valid."""
LOST = 1e6
"""Where a component of a state is larger, the model has diverged."""
PROTOCOL = 2
"""Raised where cells that were kept no longer hold what they would today."""


@dataclass(frozen=True)
class Condition:
    """Under what a model learned.

    Attributes:
        seconds: how long it watched, in the system's unit of time.
        noise: standard deviation of the noise on every component of every state.
        seed: of recording and fit.
    """

    seconds: float = 60.0
    noise: float = 0.0
    seed: int = 0

    def label(self, model: str) -> str:
        """What rows call a model under this condition: "mlp@30:0.01:0", or its name under the default condition."""
        return model if self == Condition() else f"{model}@{self.seconds:g}:{self.noise:g}:{self.seed}"


def read_label(label: str) -> tuple[str, Condition]:
    """The inverse of ``Condition.label``: model and condition of a row.

    Raises:
        ResultsError: it is no such label.
    """
    model, at, numbers = label.partition("@")
    if not at:
        return model, Condition()
    found = re.fullmatch(r"([^:]+):([^:]+):(\d+)", numbers)
    try:
        if found is not None:
            return model, Condition(float(found[1]), float(found[2]), int(found[3]))
    except ValueError:
        pass
    raise ResultsError(f"{label!r} is no model and condition, as in mlp@30:0.01:0 for seconds, noise and seed")


@dataclass(frozen=True)
class Cell:
    """What is run together.

    Attributes:
        system: its name.
        model: one of ``models.MODELS``, or a recipe.
        condition: what it learns from.
        starts: unseen runs that are foretold.
        minutes: how much work a fit may be.
    """

    system: str
    model: str
    condition: Condition
    starts: int
    minutes: float

    @property
    def label(self) -> str:
        """What rows call it."""
        return self.condition.label(self.model)

    def path(self, folder: Path) -> Path:
        """The file that keeps its result."""
        key = digest_of(asdict(self) | {"protocol": PROTOCOL, "version": __version__}, {})
        return folder / f"{self.system}-{self.model.replace('/', '-')}-{key[:16]}.json"


@dataclass(frozen=True)
class Result:
    """What came of a cell.

    Attributes:
        valid: how long each unseen run is foretold, in time scales; at most the run's length.
        error: relative error of each after one time scale; infinite where the model diverged.
        fitting_time: in seconds.
        failure: why there is nothing; empty where there is.
    """

    valid: list[Extended]
    error: list[Extended]
    fitting_time: float
    failure: str = ""


def run_cell(cell: Cell, folder: Path) -> Result:
    """Runs a cell, or reads what was kept of it in ``folder``."""
    path = cell.path(folder)
    if path.is_file():
        return load_result(path)
    result = _measured(cell)
    write_kept(path, _plain(result))
    return result


def load_result(path: Path) -> Result:
    """What was kept.

    Raises:
        ResultsError: the file is damaged.
    """
    return read_kept_as(Result, path, "cell")


def _plain(result: Result) -> dict[str, object]:
    table = asdict(result)
    return table | {key: [v if math.isfinite(v) else str(v) for v in table[key]] for key in ("valid", "error")}


def _measured(cell: Cell) -> Result:
    unseen = unseen_runs(cell.system, cell.starts)
    condition = cell.condition
    recording = record_system(get_system(cell.system), condition.seconds, condition.noise, condition.seed)
    dt = float(unseen.times[1])
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rivals' libraries warn of bounds that a kernel reached, and the like
            step = fit_model(cell.model, recording, dt, condition.seed, cell.minutes)
    except (TrainingError, DataError, np.linalg.LinAlgError) as error:
        return Result([], [], time.perf_counter() - began, str(error))
    spent = time.perf_counter() - began
    states = foretold(step, unseen)
    angles = get_spec(cell.system).angles
    valid = valid_prediction_time(unseen.times, states, unseen.states, angles, RELATIVE_ERROR**2)
    times = np.minimum(valid, unseen.times[-1]) / unseen.time_scale
    return Result(times.tolist(), relative_error(states, unseen, angles).tolist(), spent)


def foretold(step: Step, unseen: Unseen) -> Array:
    """What a model makes of the first states of runs and their inputs, shape (points, runs, 2*dof); NaN once lost."""
    x = unseen.states[0]
    path = [x]
    lost = np.zeros(len(x), dtype=bool)
    with np.errstate(all="ignore"):
        for held in unseen.inputs:
            x = step(x, held)
            lost = lost | ~(np.abs(x) < LOST).all(axis=1)
            x = np.where(lost[:, None], unseen.states[0], x)  # lost runs go on from where they do no harm
            path.append(np.where(lost[:, None], np.nan, x))
    return np.stack(path)


def relative_error(states: Array, unseen: Unseen, angles: tuple[bool, ...]) -> Array:
    """Error after one time scale, relative to the root mean square of the true run, shape (runs,)."""
    place = int(np.argmin(np.abs(unseen.times - unseen.time_scale)))
    missed = state_difference(states[place], unseen.states[place], angles)
    size = state_difference(unseen.states, np.zeros(unseen.states.shape[-1]), angles)
    share = np.square(missed).mean(axis=-1) / np.square(size).mean(axis=(0, 2))
    return never_missing(np.sqrt(share))
