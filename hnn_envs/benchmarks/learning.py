"""What can be learned from a minute of watching: a chaotic machine foretold by models fitted to its states alone.

Every model is fitted by the stages of its shipped recipe, to states at the task's time step under random inputs, and
then foretells unseen runs of the same kind from their first state and their inputs. ``run`` gives rows:

- ``valid_prediction_time``: the median over runs of the time until the relative error exceeds 0.3, in Lyapunov times;
  runs that stay valid to their end count with their length. ``_low`` and ``_high`` are the quartiles;
- ``fitting_time``: of the model, in seconds;
- ``lyapunov_time``: of the runs themselves, in the system's unit of time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.dynamics import Dynamics, default_substeps, make_dynamics, suited_integrator
from hnn_envs.evaluation.metrics import valid_prediction_time
from hnn_envs.evaluation.records import Row
from hnn_envs.fitting.pipeline import torch_threads
from hnn_envs.fitting.recipes import load_recipe, make_stage
from hnn_envs.fitting.trainer import fit
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.watched import WatchedSource
from hnn_envs.systems import System, get_system

SUITE = "learning"
SYSTEM = "double-pendulum"
MODELS = ("hnn", "baseline")
TARGET = 10.0
"""Lyapunov times that the median prediction of the default HNN is asked to stay valid for."""
RELATIVE_ERROR = 0.3
SEPARATION = 1e-7
"""Distance of the neighbours whose parting is measured."""

Told = Callable[[str, int, int, int, float], object]
"""(model, stage, step, steps of the stage, loss)."""


@dataclass(frozen=True)
class Protocol:
    """What is watched, and what is foretold.

    Attributes:
        seconds: how long the system is watched for.
        starts: how many unseen runs are foretold.
        dt: time between states.
        intervals: how many of these a run has, whether watched or foretold.
        max_input: inputs are drawn from [-max_input, max_input] for every interval.
        seed: of the runs and of the fits.
    """

    seconds: float = 60.0
    starts: int = 64
    dt: float = 0.05
    intervals: int = 400
    max_input: float = 2.0
    seed: int = 0

    def watch(self, system: System) -> tuple[Dataset, Dataset]:
        """The recording, and the unseen runs."""
        length = self.dt * self.intervals
        source = WatchedSource(self.seconds, self.starts * length, self.dt, self.intervals, self.max_input)
        return source.make(system, np.random.default_rng(self.seed))


def run(models: Sequence[str] = MODELS, protocol: Protocol | None = None, told: Told = lambda *_: None) -> list[Row]:
    """Runs the benchmark on the double pendulum.

    Args:
        models: "hnn", "baseline" or names of other shipped recipes, such as "default/hnn".
        protocol: what is watched and foretold; the default is the one that the target is for.
        told: called with the progress of the fits.
    """
    system, plan = get_system(SYSTEM), protocol or Protocol()
    train, unseen = plan.watch(system)
    exponent = lyapunov_exponent(make_dynamics(system, dt=plan.dt), unseen)
    rows = [Row(SUITE, SYSTEM, "ode", "lyapunov_time", 1 / exponent, unit=system.spec.time_unit)]
    for name in models:
        started = time.perf_counter()
        dynamics = _fitted(name, system, train, plan, told)
        spent = time.perf_counter() - started
        rows += _prediction_rows(name, system, foretold(dynamics, unseen), unseen, exponent)
        rows.append(Row(SUITE, SYSTEM, name, "fitting_time", spent, unit="s"))
    return rows


def _fitted(name: str, system: System, train: Dataset, plan: Protocol, told: Told) -> Dynamics:
    recipe = load_recipe(f"{SYSTEM}/{name if '/' in name else f'default/{name}'}")
    stages = [make_stage(table) for table in recipe.stages]
    with torch_threads(1):
        parameters = fit(
            recipe.spec, recipe.family, train, stages, plan.seed, report=lambda *progress: told(name, *progress)
        )
    field = recipe.family.build(recipe.spec, parameters)
    method = suited_integrator(field, learned=True)
    substeps = default_substeps(recipe.spec, plan.dt, method, learned=True)
    return Dynamics(name, recipe.spec, system, field, method, plan.dt, substeps, None)


def foretold(dynamics: Dynamics, runs: Dataset) -> Array:
    """What a physics makes of the first states of runs and their inputs, shape (points, runs, 2*dof)."""
    path = [runs.states[:, 0]]
    for step in range(len(runs.times) - 1):
        path.append(dynamics.step(path[-1], runs.inputs[:, step]))
    return np.stack(path)


def _prediction_rows(name: str, system: System, states: Array, runs: Dataset, exponent: float) -> list[Row]:
    reference = np.swapaxes(runs.states, 0, 1)
    valid = valid_prediction_time(runs.times, states, reference, system.spec.angles, RELATIVE_ERROR**2)
    low, median, high = np.quantile(exponent * np.minimum(valid, runs.times[-1]), (0.25, 0.5, 0.75))
    target, unit = TARGET if name == "hnn" else None, system.spec.time_scales
    metrics = {"": (median, target), "_low": (low, None), "_high": (high, None)}
    return [
        Row(SUITE, SYSTEM, name, f"valid_prediction_time{suffix}", float(value), unit=unit, reference=reference)
        for suffix, (value, reference) in metrics.items()
    ]


def lyapunov_exponent(dynamics: Dynamics, runs: Dataset) -> float:
    """The rate at which neighbours part, the mean over runs under the inputs of these; Benettin's method.

    A neighbour is brought back to its distance after every step (Benettin, Galgani, Giorgilli, Strelcyn, Meccanica 15
    (1980) 9).
    """
    x = runs.states[:, 0]
    away = np.random.default_rng(0).standard_normal(x.shape)
    parted = np.zeros(len(x))
    for step in range(len(runs.times) - 1):
        away *= SEPARATION / np.linalg.norm(away, axis=-1, keepdims=True)
        after, neighbour = (dynamics.step(each, runs.inputs[:, step]) for each in (x, x + away))
        x, away = after, neighbour - after
        parted += np.log(np.linalg.norm(away, axis=-1) / SEPARATION)
    return float(parted.mean() / runs.times[-1])
