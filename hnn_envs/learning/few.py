"""Fitting the trigonometric machine to few seconds of experience, and going on from such a fit when there is more.

``fit_series`` begins with all terms up to an order and drops what a recording does not ask for. Of a second or two
there are fewer numbers than terms: here the simplest machine comes first, priors weigh from the start, and between
machines of more and of fewer terms the evidence decides (Schwarz 1978). Steps are of a fixed method, so that
derivatives are cheap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import TrainingError
from hnn_envs.fitting.chained import ChainedShooting
from hnn_envs.fitting.windows import Prior
from hnn_envs.hamiltonian import MachineHamiltonian
from hnn_envs.learning.fixed_steps import enough_substeps, fixed_stepper, intervals_of
from hnn_envs.learning.machines import LEAST, WINDOW_SHARES, Fit, SeriesFit
from hnn_envs.learning.setting import Setting, Told
from hnn_envs.learning.systems import machine_units
from hnn_envs.models import Parameters
from hnn_envs.models.friction import COEFFICIENTS
from hnn_envs.models.trigonometric import RARE, Config
from hnn_envs.recordings.windows import Windows

COARSE = 16
"""Most substeps of a step while a machine is fitted."""
BALANCED = (1, 2)
"""Orders of terms of which momentum balance gives a start."""
STEPS = 20
"""Of Levenberg and Marquardt on windows of a length, at most."""
RUNGS = 3
"""Kinds of machines, from constant masses to all terms."""
SHARP_ENOUGH = 0.1
"""What steps may be off by while a machine is fitted, a share of the noise."""
FIRST = 0.1
"""Friction that fits begin with, its parameter as a share of what is plausible."""
LIGHT = 0.1
"""Viscous friction of machines that are worth driving: plausible values are this share of what ``learn`` expects."""
STILL = 1.0
"""Where samples differ from their neighbours by as much as from their mean, there is no motion beyond noise."""
DROPPED = 1.5
"""What errors of steps are, in units of what the uncertainty of the terms that were kept tells."""
PLACES = 256
"""Positions at which masses must be positive."""
SMALLEST = 1e-3
"""Of the largest principal mass, the share that the smallest must have."""
HOPELESS = 1.5
"""Machines are not looked into that miss this much more than those of more terms."""


@dataclass(frozen=True)
class Proposal:
    """A machine that may be what was watched.

    Attributes:
        flat: its parameters.
        noise: what it misses.
        score: minus twice the logarithm of its evidence, up to a constant; infinite where its masses are not positive.
    """

    flat: Array
    noise: Array
    score: float


@dataclass(frozen=True)
class FewSeconds(Fit):
    """A machine, and how it is stepped.

    Attributes:
        substeps: of the fixed method, to a step.
        error: standard deviation of what a step is off by where it was watched, by component of the state.
    """

    substeps: int
    error: Array


class FewFit(SeriesFit):
    """``SeriesFit`` for few seconds.

    Args:
        setting: what is learned from.
        family: what is fitted.
        told: called with what is done, the step, their number and the error.
    """

    def __init__(self, setting: Setting, family: Config, told: Told) -> None:
        self._machine, self._substeps = family, 1
        super().__init__(setting, family, told)
        self._states, self._inputs = intervals_of(setting.watched)
        largest = family.degrees(setting.spec)
        self._degree = np.concatenate(
            [np.broadcast_to(largest.get(name, 0), shape).ravel() for name, shape in self._shapes.items()]
        )
        self._own_mass, self._first_mass, _ = self._masses()

    def flat(self, parameters: Parameters) -> Array:
        """All parameters in one vector, with the coefficients of friction in place of their roots.

        Of these the derivative is not zero where there is no friction, and fits are nearly linear in them.
        """
        flat = super().flat(parameters)
        return np.where(self._friction, flat**2, flat)

    def parameters(self, flat: Array) -> Parameters:
        """The inverse of ``flat``; friction that is negative is none."""
        return super().parameters(np.where(self._friction, np.sqrt(np.maximum(flat, 0.0)), flat))

    @cached_property
    def _friction(self) -> Array:
        return np.isin(self._names, COEFFICIENTS)

    @cached_property
    def _least(self) -> Array:
        return np.where(self._friction, 0.0, -np.inf)

    def _masses(self) -> tuple[Array, Array, Array]:
        """Which parameters are constant masses of a coordinate, first terms of masses, and rare couplings.

        Angles are coupled to each other by constants, but a link that turns pulls at what moves straight along its own
        direction: by a cosine and a sine. A constant there is rare.
        """
        spec, shape = self._setting.spec, self._shapes["mass"]
        angles = spec.angles
        own, first, rare = (np.zeros(shape, dtype=bool) for _ in range(3))
        waves = self._machine.degrees(spec)["mass"][0] == 1
        for entry, (i, j) in enumerate(combinations_with_replacement(range(spec.dof), 2)):
            mixed = angles[i] != angles[j]
            own[entry, 0], rare[entry, 0] = i == j, mixed
            first[entry] = waves if mixed else np.arange(shape[1]) == 0
        return self._of_mass(own), self._of_mass(first), self._of_mass(rare)

    def _of_mass(self, table: Array) -> Array:
        found = np.zeros(len(self._names), dtype=bool)
        found[self._names == "mass"] = table.ravel()
        return found

    def _sparse(self) -> Array:
        """Which parameters may be zero: not the constant masses of the coordinates."""
        return super()._sparse() & ~self._own_mass

    def _pruned_over(self, flat: Array) -> Array:
        """Not the masses of coordinates that no input pushes.

        All terms of their equations times a number are the same motion; pruning, which is linear, would take that for
        a way to do without any.
        """
        matrix = np.array(self._setting.spec.input_matrix, dtype=np.float64).reshape(self._setting.spec.dof, -1)
        free = np.zeros(len(flat), dtype=bool)
        free[np.flatnonzero(self._own_mass)] = ~matrix.any(axis=1)
        return super()._pruned_over(flat) & ~free

    def _shooting(self, windows: Windows, noise: Array, free: Array) -> ChainedShooting:
        made, stepper = super()._shooting(windows, noise, free), fixed_stepper(self._substeps)
        return ChainedShooting(made.build, stepper, windows, noise, free, made.prior, self._least)

    def _find_plausible(self) -> Prior:
        """As ``learn`` has it, but potentials may be as large as inputs tell, and friction is light."""
        watched, spec = self._setting.watched, self._setting.spec
        inertia, energy = machine_units(watched)
        inputs = np.concatenate([run.inputs for run in watched.recording.runs])
        if inputs.size and any(spec.angles):
            energy = max(energy, float(np.sqrt(np.square(inputs).mean())))  # what they do over one radian
        prior = Prior.none(len(self._names))
        for name, (centre, deviation) in self._machine.plausible(spec, inertia, energy, watched.time_scale).items():
            prior.centre[self._names == name] = np.ravel(centre)
            prior.deviation[self._names == name] = np.ravel(deviation)
        prior.deviation[self._friction] **= 2
        prior.deviation[self._names == "root_viscous"] *= LIGHT
        prior.deviation[self._masses()[2]] *= RARE
        return prior

    def plain(self) -> Array:
        """A machine of constant masses and a little friction."""
        return np.where(self._friction, FIRST * self._plausible.deviation, self._plausible.centre)

    def terms(self, rung: int) -> Array:
        """Which parameters machines of a rung have: first masses are constant, last there are all terms."""
        simple = self._degree <= 1
        if rung == 0:
            return simple & ((self._names != "mass") | self._first_mass) & (self._names != "sharpness")
        return simple if rung == 1 else np.ones_like(simple)

    def shoot(
        self, flat: Array, share: float, noise: Array, free: Array, *, last: bool = False, shots: int = STEPS
    ) -> tuple[Array, Array]:
        """As for any series, with noise that can be trusted, in steps that are fine enough."""
        noise = self.trusted(noise)
        field = self._machine.build(self._setting.spec, self.parameters(flat))
        limit = SHARP_ENOUGH * np.resize(noise, len(self._states[0]))
        dt = self._setting.watched.dt
        self._substeps, _ = enough_substeps(field, dt, self._states, self._inputs, limit, COARSE)
        flat, noise = super().shoot(flat, share, noise, free, last=last, shots=shots)
        return np.maximum(flat, self._least), noise

    def trusted(self, noise: Array) -> Array:
        """The noise, where it is not less than can be, nor infinite: then a machine diverged."""
        return np.maximum(np.where(np.isfinite(noise), noise, self.rough_noise), LEAST * self.rough_noise)

    def propose(self, flat: Array, noise: Array, share: float) -> Proposal:
        """What evidence leaves of a machine, adapted."""
        pruned = self.prune(flat, share, self.trusted(noise))
        return self.adapt(np.maximum(pruned, self._least), noise, share)

    def adapt(self, flat: Array, noise: Array, share: float) -> Proposal:
        """A machine whose terms stay, fitted to windows of a length."""
        flat, noise = self.shoot(flat, share, noise, flat != 0, last=True)
        return Proposal(flat, noise, self.score(flat, noise, share))

    def score(self, flat: Array, noise: Array, share: float) -> float:
        """Schwarz's criterion on windows of a length, with what is unlikely of the parameters."""
        if not self.is_definite(flat):
            return math.inf
        windows, used = self.windows(share, last=True), flat != 0
        shooting = self._shooting(windows, self.trusted(noise), used)
        missed = shooting.missed(flat, shooting.begin(flat).starts)
        if not np.isfinite(missed).all():
            return math.inf
        count = int(windows.present.sum())
        sizes = np.maximum(np.square(missed).sum((0, 1)) / count, np.square(LEAST * self.rough_noise))
        unlikely = float(np.square(self._plausible.residuals(flat)[used]).sum())
        return float(count * np.log(sizes).sum()) + int(used.sum()) * math.log(count * len(sizes)) + unlikely

    def found(self, best: Proposal, dt: float, accuracy: float) -> FewSeconds:
        """A machine with how many substeps its steps of ``dt`` need, and what they are off by.

        What the parameters are uncertain by is Laplace's approximation over the terms that were kept; that others were
        not adds about half.
        """
        flat, noise = best.flat, self.trusted(best.noise)
        field = self._machine.build(self._setting.spec, self.parameters(flat))
        self._substeps, change = enough_substeps(field, dt, self._states, self._inputs, accuracy * noise)
        free = (flat != 0) & ~self._pinned
        shooting = self._shooting(self.windows(WINDOW_SHARES[-1], last=True), noise, free)
        jacobian, _ = shooting.reduced(shooting.begin(flat), free)
        triangle: Array = np.linalg.qr(np.concatenate((jacobian, np.diag(1 / self._plausible.deviation[free]))), "r")
        _, by_model = shooting.of_steps(flat, self._states, self._inputs, np.flatnonzero(free), dt)
        spread = np.linalg.solve(triangle.T, by_model.reshape(-1, int(free.sum())).T)
        variance = np.square(spread).sum(axis=0).reshape(self._states.shape).mean(axis=0)
        error = np.maximum(np.hypot(DROPPED * np.sqrt(variance), change), LEAST * noise)
        return FewSeconds(self.parameters(flat), noise, self._substeps, error)

    def is_definite(self, flat: Array) -> bool:
        """Whether masses are positive, at all angles and wherever other coordinates were seen."""
        spec, positions = self._setting.spec, self._states[:, : self._setting.spec.dof]
        low = np.where(spec.angles, -np.pi, positions.min(axis=0))
        high = np.where(spec.angles, np.pi, positions.max(axis=0))
        places = np.random.default_rng(0).uniform(low, high, (PLACES, spec.dof))
        energy = self._machine.build(replace(spec, velocities=False), self.parameters(flat)).hamiltonian
        assert isinstance(energy, MachineHamiltonian)  # noqa: S101 - for the type checker
        masses = np.linalg.eigvalsh(energy.machine.mass_matrix(places))
        return bool(masses.min() > SMALLEST * masses.max())


def fit_few(
    setting: Setting, family: Config, told: Told, *, dt: float, accuracy: float, start: Parameters | None = None
) -> FewSeconds:
    """Fits a trigonometric machine to few seconds.

    Args:
        setting: what is learned from.
        family: the machine.
        told: called with what is done, the step, their number and the error.
        dt: time of the steps that the machine is to take.
        accuracy: what their length may cost, a share of the noise.
        start: what was fitted to less of the same, from which the fit goes on; None begins with constant masses.

    Raises:
        TrainingError: there is no motion beyond noise, or no machine explains it.
    """
    refuse_rest(setting)
    fit = FewFit(setting, family, told)
    proposals = _begin(fit) if start is None else _go_on(fit, fit.flat(start))
    best = min(proposals, key=lambda each: each.score)
    if not math.isfinite(best.score):
        raise TrainingError(f"no machine with positive masses explains what was watched of {setting.spec.name}")
    longest = WINDOW_SHARES[-1]
    whole = fit.adapt(best.flat, best.noise, longest)
    last = min((whole, fit.propose(whole.flat, whole.noise, longest)), key=lambda each: each.score)
    best = last if math.isfinite(last.score) else best
    return fit.found(best, dt, accuracy)


def _begin(fit: FewFit) -> list[Proposal]:
    """What evidence leaves of machines of ever more terms, and of what momentum balance gives."""
    tried = [*_climb(fit), *_balance(fit)]
    least = min(float(np.log(each[1]).mean()) for each in tried)
    close = [each for each in tried if np.log(each[1]).mean() < least + math.log(HOPELESS)]
    proposals = [fit.propose(*each, WINDOW_SHARES[1]) for each in close]
    if not any(math.isfinite(each.score) for each in proposals):
        proposals = [fit.propose(*each, WINDOW_SHARES[1]) for each in tried]
    return proposals


def _climb(fit: FewFit) -> Iterator[tuple[Array, Array]]:
    """From constant masses to all terms: the parameters and the noise of each kind of machine."""
    flat, noise = fit.shoot(fit.plain(), WINDOW_SHARES[0], fit.rough_noise, fit.terms(0))
    for rung in range(RUNGS):
        for share in WINDOW_SHARES[:2]:
            flat, noise = fit.shoot(flat, share, noise, fit.terms(rung))
        yield flat, noise


def _balance(fit: FewFit) -> Iterator[tuple[Array, Array]]:
    """All terms, from where momentum balance of few of them leads."""
    for order in BALANCED:
        flat = fit.start(order)
        if np.isfinite(flat).all():
            flat, noise = fit.shoot(flat, WINDOW_SHARES[0], fit.rough_noise, fit.free_up_to(order, sharpness=False))
            yield fit.shoot(flat, WINDOW_SHARES[1], noise, fit.terms(RUNGS - 1))


def _go_on(fit: FewFit, flat: Array) -> list[Proposal]:
    """The machine as it was, adapted, and what evidence leaves when all its terms are free again."""
    share = WINDOW_SHARES[1]
    kept, noise = fit.shoot(flat, share, fit.rough_noise, flat != 0)
    kept, noise = fit.shoot(kept, share, noise, flat != 0)
    wide, missed = fit.shoot(kept, share, noise, fit.terms(RUNGS - 1))
    return [Proposal(kept, noise, fit.score(kept, noise, share)), fit.propose(wide, missed, share)]


def refuse_rest(setting: Setting) -> None:
    """Refuses what shows nothing but noise.

    Raises:
        TrainingError: samples differ from their neighbours by as much as from their mean.
    """
    runs = setting.watched.recording.runs
    variance = np.concatenate([run.samples - run.samples.mean(axis=0) for run in runs]).var(axis=0)
    change = np.concatenate([np.diff(run.samples, axis=0) for run in runs]).var(axis=0)
    if not (change < STILL * variance).any():
        raise TrainingError(f"recording {setting.spec.name!r} shows no motion beyond noise, so nothing can be learned")
