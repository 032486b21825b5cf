"""The trainer: runs the stages of a recipe, saves its state as it goes, and takes up where a killed run stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hnn_envs.arrays import Array
from hnn_envs.errors import HnnEnvsError, InvalidOptionError, TrainingError, UnknownNameError
from hnn_envs.fitting import OPTIMISERS
from hnn_envs.fitting.halving import SuccessiveHalving
from hnn_envs.fitting.losses import Loss, make_loss, mean_square
from hnn_envs.fitting.optimisers import make_optimiser
from hnn_envs.fitting.problem import LATENT, Batch, Optimiser, Problem, Tensors
from hnn_envs.fitting.selection import Selection
from hnn_envs.models import Family, ObservedFamily, Parameters, network_parameters
from hnn_envs.parsing import Count, is_file, parse
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.registry import check_settings, construct
from hnn_envs.storage import open_tensors, write_tensors
from hnn_envs.systems import SystemSpec

DTYPES = {"float32": torch.float32, "float64": torch.float64}
HEADER = "hnn_envs_state"
FORMAT = 1
KIND = "training state"
MADE_OF = 2
"""An optimiser is made of a problem, parameters and its settings."""
PARAMETERS, OPTIMISER = "parameters", "optimiser"
Report = Callable[[int, int, int, float], Any]
"""(stage, step, steps of the stage, loss), called a few times a second."""
Message = Callable[[str], Any]
Until = Callable[[Tensors], bool]
"""Model parameters -> whether they are good enough."""


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        steps: optimiser steps.
        optimiser: a key of ``hnn_envs.fitting.OPTIMISERS``.
        settings: the optimiser's settings.
        loss: a key of ``hnn_envs.fitting.LOSSES``.
        loss_settings: the loss's settings.
        dtype: precision of data and parameters, "float32" or "float64".
        every: fits every so many rows only: a model of few parameters needs few of them.
        selection: settings of a ``hnn_envs.fitting.selection.Selection`` of the states that are fitted; None takes all.
        starts: random starts, the present parameters among them, of which the best is kept.
        rounds: steps after which the worse half of them is left out, again and again.
    """

    steps: Count
    optimiser: str = "adam"
    settings: dict[str, Any] = field(default_factory=dict)
    loss: str = "derivative"
    loss_settings: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float64"
    every: Count = 1
    selection: dict[str, int] | None = None
    starts: Count = 1
    rounds: Count = 40

    def __post_init__(self) -> None:
        check_settings(f"optimiser {self.optimiser!r}", OPTIMISERS[self.optimiser], self.settings, MADE_OF)
        if self.dtype not in DTYPES:
            raise UnknownNameError.of("dtype", self.dtype, DTYPES)
        if min(self.steps, self.every, self.starts, self.rounds) < 1:
            raise InvalidOptionError(
                "steps, every, starts and rounds must be positive, "
                f"not {self.steps}, {self.every}, {self.starts} and {self.rounds}"
            )
        make_loss(self.loss, self.loss_settings)
        construct("a selection", Selection, self.selection or {})


@dataclass
class RunState:
    """Where a run stands: which stage, how many of its steps are done, and the tensors that go on from there."""

    stage: int
    step: int
    parameters: Tensors
    optimiser: Tensors


def fit(
    spec: SystemSpec,
    family: Family,
    data: Dataset,
    stages: list[Stage],
    seed: int,
    *,
    state: Path | None = None,
    key: str = "",
    report: Report | None = None,
    until: Until | None = None,
    save_every: float = 10.0,
    message: Message = lambda _: None,
) -> Parameters:
    """Fits a family to data, stage by stage.

    Args:
        spec: what the system is that the data is of.
        family: what is fitted.
        data: the training share.
        stages: what to do.
        seed: of initialisation and minibatches.
        state: file that holds the run's state; an unfinished run of the same ``key`` goes on from there, with the same
            result as an unbroken one.
        key: what the run is, a digest of all that its result depends on; a state of another key is not taken up.
        report: called with stage, step, steps and loss.
        until: asked about the parameters after every step; training ends where it says so.
        save_every: seconds between saves.
        message: called with a line where there is a state that is not taken up.

    Returns:
        Parameters as float64 NumPy arrays.

    Raises:
        TrainingError: the loss, or what a stage ends with, is not finite. The state file keeps the last good one.
    """
    run = load_state(state, key, message) or RunState(0, 0, _start(spec, family, seed), {})
    saver = _Saver(state, key, save_every)
    while run.stage < len(stages):
        stage = stages[run.stage]
        optimiser = _begin(spec, family, data, stage, seed, run)
        enough = _run(stage, optimiser, run, saver, report, until)
        run = RunState(run.stage + 1, 0, _detached(optimiser.parameters), {})
        if enough:
            break
    saver.write(run)
    return {name: value.double().numpy() for name, value in _of_model(run.parameters).items()}


def loss_on(spec: SystemSpec, family: Family, parameters: Parameters, data: Dataset, loss: Loss | None = None) -> float:
    """The loss of a fitted model on a data set, in float64; the seed paper's derivative loss by default."""
    chosen = loss or make_loss("derivative", {})
    tensors = {name: torch.as_tensor(np.asarray(value), dtype=torch.float64) for name, value in parameters.items()}
    with torch.no_grad():
        rows = chosen.prepare(data, torch.float64)
        return float(mean_square(chosen.residuals(family.build(spec, _weights(chosen, tensors)), rows)))


def _weights(loss: Loss, tensors: Tensors) -> Parameters:
    """The parameters as a loss wants them: NumPy arrays where it takes the steps that environments take."""
    if getattr(loss, "differentiable", True):
        return dict(tensors)
    return {name: value.detach().numpy() for name, value in tensors.items()}


def _start(spec: SystemSpec, family: Family, seed: int, *number: int) -> Tensors:
    parameters = family.init(spec, np.random.default_rng((seed, 1, *number)))
    return {name: torch.from_numpy(np.array(value)) for name, value in parameters.items()}


def _begin(spec: SystemSpec, family: Family, data: Dataset, stage: Stage, seed: int, run: RunState) -> Optimiser:
    loss, dtype = make_loss(stage.loss, stage.loss_settings), DTYPES[stage.dtype]
    if stage.selection is not None:
        data = Selection(**stage.selection).choose(spec, data, np.random.default_rng((seed, 2, run.stage)))
    rows = tuple(values[:: stage.every] for values in loss.prepare(data, dtype))
    unknown = {LATENT + name: value for name, value in loss.latents(rows).items()}
    if unknown and stage.settings.get("batch", 0):
        raise InvalidOptionError(f"loss {stage.loss!r} needs all of the data at once, and no minibatches")

    def residuals(parameters: Tensors, rows: Batch) -> Array:
        latents = {name.removeprefix(LATENT): parameters[name] for name in unknown}
        return loss.residuals(family.build(spec, _weights(loss, _of_model(parameters))), rows, latents)

    def begin(parameters: Tensors) -> Optimiser:
        # In the order of an unbroken run, which a file does not keep: the last digits of a step depend on it.
        converted = {name: parameters[name].to(dtype) for name in order}
        return make_optimiser(stage.optimiser, problem, converted, stage.settings)

    fixed = frozenset(family.observation_parameters if isinstance(family, ObservedFamily) else ())
    own = list(family.init(spec, np.random.default_rng(0)))
    sparse = frozenset(getattr(family, "sparse", ()))
    problem = Problem(residuals, rows, stage.steps, seed + run.stage, fixed, network_parameters(family, own), sparse)
    order = [*own, *unknown]
    first = _of_model(run.parameters) | _carried(unknown, run.parameters)
    optimiser = begin(first)
    if stage.starts > 1:
        others = [_start(spec, family, seed, run.stage, number) | unknown for number in range(1, stage.starts)]
        optimiser = SuccessiveHalving(begin, [first, *others], stage.rounds)
    if run.optimiser:
        optimiser.restore(run.optimiser)
    return optimiser


def _of_model(parameters: Tensors) -> Tensors:
    return {name: value for name, value in parameters.items() if not name.startswith(LATENT)}


def _carried(unknown: Tensors, parameters: Tensors) -> Tensors:
    """The unknowns as an earlier stage left them, where it had the same ones."""
    fits = {name for name, value in unknown.items() if name in parameters and parameters[name].shape == value.shape}
    return {name: parameters[name] if name in fits else value for name, value in unknown.items()}


def _run(
    stage: Stage,
    optimiser: Optimiser,
    run: RunState,
    saver: _Saver,
    report: Report | None,
    until: Until | None,
) -> bool:
    """Steps to the end of the stage, or until the parameters are good enough; tells whether they are."""
    shown = 0.0
    for step in range(run.step, stage.steps):
        candidate = None
        if saver.due():
            candidate = RunState(run.stage, step, _detached(optimiser.parameters), optimiser.state())
        loss = optimiser.step(step)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {step} of stage {run.stage + 1} ({stage.optimiser}); {saver.kept()}"
            )
        if candidate is not None:
            saver.write(candidate)
        if report is not None and (time.monotonic() - shown > 0.2 or step == stage.steps - 1):
            shown = time.monotonic()
            report(run.stage, step + 1, stage.steps, loss)
        if until is not None and until(_of_model(optimiser.parameters)):
            return True
    # A step returns the loss before it, so nothing has looked at what the last one did.
    if not all(value.isfinite().all() for value in optimiser.parameters.values()):
        raise TrainingError(
            f"the parameters are not finite after step {stage.steps - 1}, the last of stage {run.stage + 1} "
            f"({stage.optimiser}); {saver.kept()}"
        )
    return False


def _detached(parameters: Tensors) -> Tensors:
    return {name: value.detach().clone() for name, value in parameters.items()}


class _Saver:
    """Writes the state of a run now and then."""

    def __init__(self, path: Path | None, key: str, every: float) -> None:
        self._path, self._key, self._every = path, key, every
        self._last: float | None = None
        self._saved = "nothing was saved"

    def due(self) -> bool:
        """Whether it is time to save; the first step of a run always is."""
        return self._path is not None and (self._last is None or time.monotonic() - self._last >= self._every)

    def write(self, run: RunState) -> None:
        """Saves atomically."""
        if self._path is None:
            return
        tensors = {f"{PARAMETERS}/{name}": value.numpy() for name, value in run.parameters.items()}
        tensors |= {f"{OPTIMISER}/{name}": value.numpy() for name, value in run.optimiser.items()}
        # Safetensors sorts; but in which order parameters enter a sum decides its last digits.
        card = _StateCard(FORMAT, self._key, run.stage, run.step, list(tensors))
        write_tensors(self._path, HEADER, asdict(card), tensors)
        self._last = time.monotonic()
        self._saved = f"step {run.step} of stage {run.stage + 1} is kept in {self._path}"

    def kept(self) -> str:
        """Says what a failed run has left."""
        return f"the last good state, {self._saved}" if self._last is not None else self._saved


@dataclass(frozen=True)
class _StateCard:
    """What the file of a run's state says about itself; the order is that of an unbroken run's tensors."""

    format: int
    key: str
    stage: int
    step: int
    order: list[str]
    digest: str = ""


def load_state(path: Path | None, key: str, message: Message = lambda _: None) -> RunState | None:
    """The saved state of a run, or None where there is none of this key or it is damaged, which is said."""
    if path is None or not is_file(path):
        return None
    try:
        with open_tensors(path, HEADER, KIND, (FORMAT,), largest=None) as file:
            card = parse(_StateCard, file.values, "its card")
            if card.key != key:
                message(f"{KIND} {path} is of another recipe, data, version or number of threads: training starts anew")
                return None
            tensors = file.read()
    except HnnEnvsError as error:
        message(f"{error}: training starts anew")
        return None
    parts: dict[str, Tensors] = {PARAMETERS: {}, OPTIMISER: {}}
    for name in card.order:
        part, entry = name.split("/", 1)
        parts[part][entry] = torch.from_numpy(tensors[name])
    return RunState(card.stage, card.step, parts[PARAMETERS], parts[OPTIMISER])
