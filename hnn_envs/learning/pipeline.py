"""From a recording to a model: families are fitted, one is chosen by what it predicts, and its reach is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Card, Checkpoint
from hnn_envs.errors import InvalidOptionError, TrainingError, UnknownNameError
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.hamiltonian import HamiltonianFlow
from hnn_envs.learning.console import Line
from hnn_envs.learning.kept import Kept
from hnn_envs.learning.machines import SeriesFit, fit_series, input_matrix_of
from hnn_envs.learning.measuring import Fields, measure
from hnn_envs.learning.model import LearnedModel
from hnn_envs.learning.networks import NetworkPlan, fit_network
from hnn_envs.learning.report import FAMILIES, SCORE
from hnn_envs.learning.setting import Setting, Told
from hnn_envs.learning.shares import share_out
from hnn_envs.learning.systems import describe_system, domain_of, machine_units, states_of
from hnn_envs.learning.trust import calibration, deviation, predict, score
from hnn_envs.models import Parameters, describe, make_family, shapes_of
from hnn_envs.recordings.recording import Recording
from hnn_envs.recordings.windows import watch
from hnn_envs.storage import digest_of
from hnn_envs.systems import SystemSpec
from hnn_envs.version import __version__

MINUTES = 5.0
MEMBERS = 5
"""Of the ensemble that gives the spread."""
MOST_PARAMETERS = 320
"""Of a trigonometric machine: degree and power are lowered until it has no more."""
SLACK = 1.05
"""A family with structure is preferred to one with less that predicts better by less than this factor."""


@dataclass(frozen=True)
class Candidate:
    """A fitted family.

    Attributes:
        family: its name.
        settings: its settings.
        parameters: what was fitted.
        members: other parameters, for the spread.
        noise: standard deviation of the samples, by observed component; 0 where it was not estimated.
    """

    family: str
    settings: dict[str, Any]
    parameters: Parameters
    members: tuple[Parameters, ...]
    noise: Array


def learn(
    recording: Recording,
    *,
    families: Sequence[str] = FAMILIES,
    minutes: float = MINUTES,
    seed: int = 0,
    state: str | Path | None = None,
    told: Told | None = None,
    message: Callable[[str], object] | None = None,
) -> LearnedModel:
    """Learns a system from a recording of it.

    Families are fitted to most of the recording, and the one is chosen that predicts stretches best which none of them
    saw; what is reported was measured on others again. States of the model are [q, q'].

    Args:
        recording: what was watched.
        families: which are tried, of "trigonometric", "mechanical", "generic" and "mlp", the plain network.
        minutes: how much work is done: about so many minutes on one core. The result depends on this number, and not on
            how fast the machine is.
        seed: of all that is random.
        state: a file that keeps what was done; a killed run that is begun again goes on from there.
        told: called with what is done, the step, their number and the error; by default a line on the standard error
            stream shows it.
        message: called with a line at every milestone; the same.

    Raises:
        DataError: the recording is too short, or does not tell what its inputs push.
        InvalidOptionError: an option that is out of range.
        TrainingError: no family could be fitted.
    """
    _check(families, minutes, seed)
    watched = watch(recording)
    shares = share_out(watched)
    path, line = None if state is None else Path(state), Line()
    told, message = told or line.told, message or line.message
    kept = Kept(path, learning_key(recording, families, minutes, seed), message)
    with torch_threads(1):
        setting = Setting(
            watched, describe_system(watched, _none_pushed(recording)), shares, minutes / MINUTES, seed, kept
        )
        spec = describe_system(watched, recording.input_matrix or input_matrix_of(setting))
        setting = replace(setting, spec=spec)
        model = _learned(setting, families, told, message)
    kept.finish()
    return model


def _learned(setting: Setting, families: Sequence[str], told: Told, message: Callable[[str], object]) -> LearnedModel:
    scores: dict[str, float] = {}
    candidates: dict[str, Candidate] = {}
    for family in families:
        message(f"fitting {family}")
        try:
            candidates[family] = FITS[family](setting, told)
        except (TrainingError, np.linalg.LinAlgError) as error:
            message(f"{family} could not be fitted: {error}")
            continue
        scores[family] = _score(setting, candidates[family])
        message(f"{family}: error over a period {scores[family]:.4f}")
    if not scores:
        raise TrainingError(f"none of {', '.join(families)} could be fitted to recording {setting.spec.name!r}")
    chosen = candidates[choose(scores)]
    message(f"chosen: {chosen.family}")
    return LearnedModel(_measured(setting, _with_members(setting, chosen, told), scores))


def choose(scores: dict[str, float]) -> str:
    """The family with the most structure among those that predict about as well as the best."""
    best = min(scores.values())
    order = [name for name in FAMILIES if name in scores]
    return next(name for name in order if scores[name] <= SLACK * best + 1e-9)


def _none_pushed(recording: Recording) -> tuple[tuple[float, ...], ...]:
    return ((0.0,) * len(recording.inputs),) * recording.dof


def _check(families: Sequence[str], minutes: float, seed: int) -> None:
    for family in families:
        if family not in FITS:
            raise UnknownNameError.of("family", family, FITS)
    if not families:
        raise InvalidOptionError(f"at least one family must be tried, of {', '.join(FITS)}")
    if not 0 < minutes <= 1e4:
        raise InvalidOptionError(f"minutes must be a positive number, at most 10000, not {minutes!r}")
    if not (isinstance(seed, int) and seed >= 0):
        raise InvalidOptionError(f"a seed is an integer from 0 on, not {seed!r}")


def learning_key(recording: Recording, families: Sequence[str], minutes: float, seed: int) -> str:
    """A digest of all that the result depends on."""
    options = {"families": list(families), "minutes": minutes, "seed": seed, "version": __version__}
    return digest_of(options | {"recording": recording.name}, tables_of(recording))


def tables_of(recording: Recording) -> dict[str, Array]:
    """The arrays of a recording by name."""
    found: dict[str, Array] = {}
    for number, run in enumerate(recording.runs):
        tables = {name: getattr(run, name) for name in ("times", "positions", "velocities", "input_times", "inputs")}
        found |= {f"{number}/{name}": table for name, table in tables.items() if table is not None}
    if recording.input_matrix is not None:
        found["input_matrix"] = np.array(recording.input_matrix, dtype=np.float64).reshape(recording.dof, -1)
    return found


def series_settings(spec: SystemSpec) -> dict[str, Any]:
    """The richest trigonometric machine that is not too large.

    Raises:
        TrainingError: even the simplest is.
    """
    for degree, power in ((2, 2), (1, 2), (1, 1)):
        settings = {"degree": degree, "power": power}
        try:
            shapes = shapes_of(make_family("trigonometric", settings), spec)
        except InvalidOptionError:
            continue
        if sum(int(np.prod(shape)) for shape in shapes.values()) <= MOST_PARAMETERS:
            return settings
    raise TrainingError(f"{spec.name} has too many coordinates, {spec.dof}, for series")


def _fit_trigonometric(setting: Setting, told: Told) -> Candidate:
    settings = series_settings(setting.spec)
    fit = fit_series(setting, make_family("trigonometric", settings), told)
    return Candidate("trigonometric", settings, fit.parameters, (), fit.noise)


def _network(make_plan: Callable[[Setting], NetworkPlan]) -> Callable[[Setting, Told], Candidate]:
    def fitted(setting: Setting, told: Told) -> Candidate:
        plan = make_plan(setting)
        parameters = fit_network(setting, plan, 0, told)
        return Candidate(plan.family, plan.settings, parameters, (), np.zeros(len(deviation(setting.watched))))

    return fitted


def _mechanical(setting: Setting) -> NetworkPlan:
    inertia, energy = machine_units(setting.watched)
    linear = [index for index, coordinate in enumerate(setting.watched.recording.coordinates) if not coordinate.angle]
    length = float(deviation(setting.watched)[linear].max(initial=0.0)) or 1.0
    settings = {"hidden": [16], "length": length, "inertia": inertia, "energy": energy}
    return NetworkPlan("mechanical", settings, steps=250, impulse=1500)


def _generic(setting: Setting) -> NetworkPlan:
    ports = {"inputs": bool(setting.watched.recording.inputs), "damping": True}
    return NetworkPlan("generic", {"hidden": [64, 64], "ports": ports}, steps=2000, dtype="float32")


def _plain(setting: Setting) -> NetworkPlan:
    settings = {"hidden": [64, 64], "inputs": bool(setting.watched.recording.inputs), "angles": True}
    return NetworkPlan("mlp", settings, steps=5000, dtype="float32")


PLANS = {"mechanical": _mechanical, "generic": _generic, "mlp": _plain}
FITS: dict[str, Callable[[Setting, Told], Candidate]] = {
    "trigonometric": _fit_trigonometric,
    **{name: _network(plan) for name, plan in PLANS.items()},
}


def _with_members(setting: Setting, chosen: Candidate, told: Told) -> Candidate:
    """The same with an ensemble: drawn where parameters are few, else of other starts, the best of which leads."""
    if chosen.family in PLANS:
        plan = PLANS[chosen.family](setting)
        starts = [replace(chosen, parameters=fit_network(setting, plan, number, told)) for number in range(MEMBERS)]
        best = min(starts, key=lambda start: _score(setting, start))
        return replace(best, members=tuple(start.parameters for start in starts if start is not best))
    fit = SeriesFit(setting, make_family(chosen.family, chosen.settings), told)
    return replace(chosen, members=fit.draws(chosen.parameters, chosen.noise, MEMBERS))


def _score(setting: Setting, candidate: Candidate) -> float:
    field = make_family(candidate.family, candidate.settings).build(setting.spec, candidate.parameters)
    predictions = predict(setting.watched, setting.shares.choice, field, setting.stepper)
    return score(predictions, setting.watched.time_scale)


def _measured(setting: Setting, chosen: Candidate, scores: dict[str, float]) -> Checkpoint:
    """The checkpoint with everything that is reported."""
    family, watched = make_family(chosen.family, chosen.settings), setting.watched
    fields = Fields.of(family, setting.spec, chosen.parameters, chosen.members)
    scale = calibration(fields.spread(watched, setting.shares.choice, setting.stepper, chosen.noise))
    metrics = {f"{SCORE}{name}": value for name, value in scores.items()}
    metrics |= measure(fields, watched, setting.shares.report, setting.stepper, scale, chosen.noise)
    return Checkpoint(card_of(setting, chosen, metrics, scale), chosen.parameters, chosen.members)


def card_of(setting: Setting, chosen: Candidate, metrics: dict[str, float], scale: float = 1.0) -> Card:
    """The card of a fitted family.

    Args:
        setting: what it was learned from.
        chosen: the family.
        metrics: what is reported of it.
        scale: what calibrates the spread of its members.
    """
    family, watched = make_family(chosen.family, chosen.settings), setting.watched
    field = family.build(setting.spec, chosen.parameters)
    energies, offset = None, 0.0
    if isinstance(field, HamiltonianFlow):
        learned = field.hamiltonian.value(states_of(watched))
        offset = float(learned.mean())
        energies = learned - offset
    text = recipe_text(setting, chosen)
    return Card(
        name=f"learned/{chosen.family}",
        spec=setting.spec,
        family=chosen.family,
        settings=describe(family),
        domain=domain_of(watched, energies),
        recipe=text,
        recipe_hash=hashlib.sha256(text.encode()).hexdigest(),
        seed=setting.seed,
        energy_offset=offset,
        metrics=metrics,
        version=__version__,
        dt=watched.dt,
        spread_scale=scale,
    )


def recipe_text(setting: Setting, chosen: Candidate) -> str:
    """What was done, as TOML: how the model can be made again from the same recording."""
    recording = setting.watched.recording
    lines = [
        "# Learned by hnn_envs.learn from a recording of the user's own.",
        f"system = {json.dumps(recording.name)}",
        f"name = {json.dumps('learned/' + chosen.family)}",
        f"seed = {setting.seed}",
        f"minutes = {setting.effort * MINUTES!r}",
        f"recording = {json.dumps(digest_of({}, tables_of(recording)))}",
    ]
    return "\n".join(lines) + "\n"
