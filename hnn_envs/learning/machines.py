"""Fitting the trigonometric machine to a recording: momentum balance, then shooting over ever longer windows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from hnn_envs.arrays import Array
from hnn_envs.errors import TrainingError
from hnn_envs.fitting.optimisers import LevenbergMarquardt
from hnn_envs.fitting.prediction import ImpulseLoss
from hnn_envs.fitting.problem import Batch, Problem, Tensors
from hnn_envs.fitting.pruning import eliminate_by_evidence
from hnn_envs.fitting.windows import Prior, Shooting
from hnn_envs.hamiltonian import VectorField
from hnn_envs.learning.setting import Setting, Told
from hnn_envs.learning.stretches import impulse_step, trajectories
from hnn_envs.learning.systems import Matrix, describe_system, machine_units, possible_matrices
from hnn_envs.models import Family, Parameters, make_family
from hnn_envs.recordings.windows import Windows, cut, median_interval

IMPULSE_STEPS = 8
WINDOW_SHARES = (0.1, 0.3, 1.0)
"""Lengths of windows, shares of the time scale."""
SHOTS = 15
"""Steps of Levenberg and Marquardt on each."""
FEWEST_SAMPLES = 4
"""In a window where velocities were not recorded: two tell a state, and the others the motion."""
NEEDED = 0.5
"""Terms of higher order are in the first fit where they take what it misses down to this share."""
LEAST = 1e-3
"""Of the noise that fits begin with, the share below which it is not trusted."""
ROUGH = 0.01
"""Noise that fits begin with, a share of each component's deviation."""
MOST_STEPS = (1500, 5000)
"""Grid steps in the windows of a fit, of the first ones and of the last."""


@dataclass(frozen=True)
class Fit:
    """A fitted family.

    Attributes:
        parameters: of the model.
        noise: standard deviation of what it misses, by observed component.
    """

    parameters: Parameters
    noise: Array


class SeriesFit:
    """Fits a family whose parameters are few: the trigonometric machine, or a small network of one.

    Args:
        setting: what is learned from.
        family: what is fitted.
        told: called with what is done, the step, their number and the error.
    """

    def __init__(self, setting: Setting, family: Family, told: Told) -> None:
        self._setting, self._family, self._told = setting, family, told
        first = family.init(setting.spec, np.random.default_rng((setting.seed, 1)))
        self._shapes = {name: value.shape for name, value in first.items()}
        self._names = np.concatenate([np.full(value.size, name) for name, value in first.items()])
        self._first = first
        self._pinned = np.zeros(len(self._names), dtype=bool)
        if not any(np.any(run.inputs) for run in setting.watched.recording.runs) and "mass" in self._shapes:
            self._pinned[np.argmax(self._names == "mass")] = True  # nothing else sets the scale of M and V
        deviation = np.concatenate([run.samples for run in setting.watched.recording.runs]).std(axis=0)
        self._rough = ROUGH * np.where(deviation > 0, deviation, 1.0)
        self._plausible = self._find_plausible()

    def flat(self, parameters: Parameters) -> Array:
        """All parameters in one vector."""
        return np.concatenate([np.asarray(parameters[name], dtype=np.float64).ravel() for name in self._shapes])

    def parameters(self, flat: Array) -> Parameters:
        """The inverse of ``flat``."""
        found, place = {}, 0
        for name, shape in self._shapes.items():
            size = math.prod(shape)
            found[name] = flat[place : place + size].reshape(shape)
            place += size
        return found

    def start(self, order: int) -> Array:
        """A first fit of the terms up to an order, by momentum balance."""
        allowed = self._up_to(order)
        flat = np.where(allowed, self.flat(self._first), 0.0)
        loss = ImpulseLoss()
        rows = loss.prepare(trajectories(self._setting, impulse_step(self._setting), 1), torch.float64)

        def residuals(parameters: Tensors, rows: Batch) -> Array:
            return loss.residuals(self._family.build(self._setting.spec, dict(parameters)), rows)

        tensors = {name: torch.from_numpy(value.copy()) for name, value in self.parameters(flat).items()}
        hold = [name for name in ("sharpness",) if name in self._shapes]
        names = [name for name in tensors if tensors[name].abs().max() > 0 or name in hold]
        problem = Problem(residuals, rows, IMPULSE_STEPS, self._setting.seed)
        optimiser = LevenbergMarquardt(problem, tensors, scaling="largest", hold=hold, keep_zeros=True)
        for step in range(IMPULSE_STEPS):
            error = math.sqrt(optimiser.step(step))
            self._told(f"momentum balance of {len(names)} tables", step, IMPULSE_STEPS, error)
        return self.flat({name: value.numpy() for name, value in optimiser.parameters.items()})

    def shoot(
        self, flat: Array, share: float, noise: Array, free: Array, *, last: bool = False, shots: int = SHOTS
    ) -> tuple[Array, Array]:
        """Fits the free parameters over windows of a length; returns the parameters and the noise."""
        windows, steps = self.windows(share, last=last), 2 * shots if last else shots
        free = free & ~self._pinned
        shooting = self._shooting(windows, noise, free)
        what = f"shooting over {len(windows)} windows of {windows.steps} steps, {int(free.sum())} parameters"
        shot = shooting.fit(
            shooting.begin(flat), steps, lambda step, count, error: self._told(what, step, count, error)
        )
        return shot.flat, shooting.measured_noise(shot)

    def windows(self, share: float, *, last: bool = False) -> Windows:
        """Windows of a share of the time scale, and not more of them than the fit has time for."""
        setting = self._setting
        steps = window_steps(setting, share)
        windows = cut(setting.watched, steps, setting.shares.train)
        every = max(1, math.ceil(len(windows) * steps / (MOST_STEPS[last] * max(0.2, setting.effort))))
        return windows.take(np.arange(0, len(windows), every))

    def _shooting(self, windows: Windows, noise: Array, free: Array) -> Shooting:
        setting = self._setting

        def build(flat: Array) -> VectorField:
            return self._family.build(setting.spec, self.parameters(flat))

        return Shooting(build, setting.stepper, windows, noise, free, self._plausible)

    def _find_plausible(self) -> Prior:
        """What the family says is plausible, given how large masses and energies are; anything where it does not."""
        prior = Prior.none(len(self._names))
        plausible = getattr(self._family, "plausible", None)
        if plausible is None:
            return prior
        watched = self._setting.watched
        table = plausible(self._setting.spec, *machine_units(watched), watched.time_scale)
        for name, (centre, deviation) in table.items():
            prior.centre[self._names == name] = np.ravel(centre)
            prior.deviation[self._names == name] = np.ravel(deviation)
        return prior

    def prune(self, flat: Array, share: float, noise: Array) -> Array:
        """Sets terms to zero that the recording does not ask for."""
        sparse = self._sparse()
        used = self._pruned_over(flat)
        if not used.any():
            raise TrainingError("nothing is left of the machine: no mass and no potential explain the recording")
        shooting = self._shooting(self.windows(share), noise, used)
        shot = shooting.begin(flat)
        jacobian, residuals = shooting.reduced(shot, used)
        prior = self._plausible
        jacobian = np.concatenate((jacobian, np.diag(1 / prior.deviation[used])))
        residuals = np.concatenate((residuals, prior.residuals(flat)[used]))
        kept = eliminate_by_evidence(flat[used], jacobian, residuals, sparse[used])
        found = flat.copy()
        found[used] = kept
        return self.without_idle(found)

    def _pruned_over(self, flat: Array) -> Array:
        """Which parameters go, or move where others go."""
        return (flat != 0) & ~self._pinned

    def _sparse(self) -> Array:
        """Which parameters may be zero."""
        return np.isin(self._names, getattr(self._family, "sparse", ()))

    def draws(self, parameters: Parameters, noise: Array, count: int) -> tuple[Parameters, ...]:
        """Parameters drawn from Laplace's approximation: sharp where the recording decides, the prior elsewhere.

        Terms that were set to zero vary as well: that nothing asked for them does not tell that they are not there.
        """
        flat = self.flat(parameters)
        free = (self._names != "sharpness") & ~self._pinned
        shooting = self._shooting(self.windows(WINDOW_SHARES[1]), noise, free)
        jacobian, _ = shooting.reduced(shooting.begin(flat), free)
        prior = self._prior(flat)[free]
        rows = np.concatenate((jacobian * prior, np.eye(len(prior))))
        triangle = np.linalg.qr(rows, mode="r")
        rng = np.random.default_rng((self._setting.seed, 3))
        found = []
        for _ in range(count):
            drawn = flat.copy()
            drawn[free] += prior * np.linalg.solve(triangle, rng.standard_normal(len(prior)))
            found.append(self.parameters(drawn))
        return tuple(found)

    def _prior(self, flat: Array) -> Array:
        """How large a coefficient may be that the recording says nothing about, by parameter."""
        prior = np.full(len(flat), 0.1)
        for name, shape in self._shapes.items():
            place = self._names == name
            largest = np.abs(flat[place]).max(initial=0.0)
            prior[place] = 0.1 * max(largest, 1e-6) / math.sqrt(max(1, shape[-1] if shape else 1))
        return prior

    def _up_to(self, order: int) -> Array:
        """Which parameters are of terms up to an order."""
        orders = getattr(self._family, "orders", None)
        if orders is None:
            return np.ones(len(self._names), dtype=bool)
        table = orders(self._setting.spec)
        return np.concatenate(
            [np.broadcast_to(table.get(name, 0), shape).ravel() <= order for name, shape in self._shapes.items()]
        )

    def free_up_to(self, order: int, *, sharpness: bool) -> Array:
        """Parameters to fit: terms up to an order, and how sharp dry friction is where that is asked for."""
        return self._up_to(order) & ((self._names != "sharpness") | sharpness)

    def without_idle(self, flat: Array) -> Array:
        """The same parameters, where no sharpness is kept of dry friction that is absent."""
        if "sharpness" not in self._shapes:
            return flat
        kept = flat.copy()
        kept[self._names == "sharpness"] *= flat[self._names == "root_dry"] != 0
        return kept

    @property
    def rough_noise(self) -> Array:
        """What fits begin with."""
        return self._rough


def fit_series(setting: Setting, family: Family, told: Told, orders: int = 2) -> Fit:
    """Fits a trigonometric machine: few terms first, then all, then what is needed."""
    fit = SeriesFit(setting, family, told)
    kept = setting.kept

    def begin() -> dict[str, Array]:
        flat = fit.start(1)
        flat, noise = fit.shoot(flat, WINDOW_SHARES[0], fit.rough_noise, fit.free_up_to(1, sharpness=False))
        # Few terms are the safer start; but what needs the others, as a chain of links on a cart does, begins far off.
        for order in range(2, orders + 1):
            more = fit.start(order)
            more, missed = fit.shoot(more, WINDOW_SHARES[0], fit.rough_noise, fit.free_up_to(order, sharpness=False))
            if np.log(missed / noise).mean() < math.log(NEEDED):
                flat, noise = more, missed
        return {"flat": flat, "noise": noise}

    def widen() -> dict[str, Array]:
        flat, noise = first["flat"], first["noise"]
        for order in range(2, orders + 1):
            free = fit.free_up_to(order, sharpness=True)
            for share in WINDOW_SHARES[:2]:
                flat, noise = fit.shoot(flat, share, np.maximum(noise, LEAST * fit.rough_noise), free)
        return {"flat": flat, "noise": noise}

    def prune() -> dict[str, Array]:
        flat, noise = wide["flat"], wide["noise"]
        for share in WINDOW_SHARES[1:]:
            flat = fit.prune(flat, share, noise)
            flat, noise = fit.shoot(flat, share, noise, flat != 0, last=True)
        return {"flat": flat, "noise": noise}

    first = kept.once("trigonometric/begin", begin)
    wide = kept.once("trigonometric/widen", widen)
    last = kept.once("trigonometric/prune", prune)
    return Fit(fit.parameters(last["flat"]), last["noise"])


def input_matrix_of(setting: Setting) -> Matrix:
    """Which coordinate each input pushes: the assignment under which momentum is balanced best.

    Raises:
        DataError: there are more inputs than coordinates.
    """
    recording = setting.watched.recording
    possible = list(possible_matrices(recording.dof, len(recording.inputs)))
    if len(possible) == 1:
        return possible[0]
    family = make_family("trigonometric", {"degree": 1, "power": 1})

    def imbalance(matrix: Matrix) -> float:
        left: list[float] = []
        tried = replace(setting, spec=describe_system(setting.watched, matrix))
        SeriesFit(tried, family, lambda *told: left.append(told[3])).start(1)
        return left[-1]

    return min(possible, key=imbalance)


def window_steps(setting: Setting, share: float) -> int:
    """Grid steps of a window that is a share of the time scale."""
    watched = setting.watched
    steps = max(1, round(share * watched.time_scale / watched.dt))
    if watched.recording.runs[0].velocities is None:
        interval = median_interval(watched.recording.runs)
        steps = max(steps, math.ceil(FEWEST_SAMPLES * interval / watched.dt))
    return steps
