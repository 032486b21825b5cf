"""The seed paper's measurements of one model: test loss and energy MSE (arXiv 1906.01563, sections 3 and 4)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from scipy.integrate import solve_ivp

from hnn_envs.arrays import Array
from hnn_envs.hamiltonian import Hamiltonian, PortHamiltonian, VectorField
from hnn_envs.parsing import Extended
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.systems import System

STARTS = 15
DEGREES, FOLDS = (1, 2, 3, 4), 5
"""What is tried for the re-clocking, and in how many folds of the training share."""
TOLERANCE = 1e-8


@dataclass(frozen=True)
class Protocol:
    """What the paper did with a system, from ``protocol.toml``.

    Attributes:
        duration, points: of the rollouts whose energy is compared; 0 where there are none.
        reclocked: whether the data has noise on x and none on x', so that a re-clocked test loss is read.
        rescaling: how much faster the paper's models are run; None where they are not.
        limits: names of the known bounds, as in ``hnn_envs.benchmarks.paper.limits``.
        timed: whether training time to the seed HNN's test loss is compared.
    """

    duration: float = 0.0
    points: int = 0
    reclocked: bool = False
    rescaling: float | None = None
    limits: tuple[str, ...] = ()
    timed: bool = False


PROTOCOLS: dict[str, Protocol] = {
    name: Protocol(**{**table, "limits": tuple(table.get("limits", ()))})
    for name, table in tomllib.loads(
        (files("hnn_envs.benchmarks.paper") / "protocol.toml").read_text(encoding="utf-8")
    ).items()
}
"""System -> what the paper did with it."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, None where there is nothing to take it from."""

    value: Extended
    stderr: Extended | None = None

    @classmethod
    def of(cls, samples: Array) -> Estimate:
        """From independent samples."""
        values = np.asarray(samples, dtype=float)
        if len(values) < 2 or not np.isfinite(values).all():
            return cls(float(values.mean()))
        return cls(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


Estimates = dict[str, Estimate]
"""By metric."""


def measure(system: System, field: VectorField, model: str, train: Dataset, test: Dataset) -> Estimates:
    """Everything that the suite says about one model.

    Args:
        system: the system.
        field: the model's vector field, or the true one.
        model: its name, "paper/hnn" and so on, or "ode".
        train: the training share; only the re-clocking is fitted, and only to this.
        test: the test share.
    """
    states, derivatives, _ = (values.reshape(*test.states.shape[:2], -1) for values in test.flat())
    found = {"test_loss": Estimate.of(_squares(field(states) - derivatives))}
    if model == "ode":
        return found
    if test.spans is not None:
        return found | _of_series(field, test, np.reshape(test.spans, (-1, 1)))
    found["energy_mse"] = Estimate.of(energy_errors(system, field))
    protocol = PROTOCOLS[system.spec.name]
    if protocol.reclocked and model == "paper/structured" and isinstance(field, PortHamiltonian):
        clocked = Reclocked.chosen(field, train)
        found["test_loss_reclocked"] = Estimate.of(_squares(clocked(states) - derivatives))
    if protocol.rescaling is not None and model != "paper/structured":
        found["energy_mse_rescaled"] = Estimate.of(energy_errors(system, field, protocol.rescaling))
    return found


def unseen_starts(system: System) -> Array:
    """The 15 initial states of the rollouts, shape (15, 2*dof): drawn with seeds that no training data has."""
    if system.spec.bodies:
        return np.concatenate([system.sample_states(np.random.default_rng(seed), 1) for seed in range(STARTS)])
    rng = np.random.default_rng(STARTS)
    return rng.uniform(0.2, 1.0, (STARTS, 2)) * rng.choice((-1.0, 1.0), (STARTS, 2))


def energy_errors(system: System, field: VectorField, clock: float = 1.0) -> Array:
    """Mean square over time of the true energy's change along the model's rollouts, one per start, shape (15,).

    The true energy of the true trajectories is constant. Infinite where a rollout cannot be integrated.
    """
    starts = unseen_starts(system)
    protocol = PROTOCOLS[system.spec.name]
    path = rolled_out(field, starts, np.linspace(0, protocol.duration, protocol.points), clock)
    squares: Array = np.square(system.value(path) - system.value(starts)).mean(axis=0)
    return squares


def rolled_out(field: VectorField, starts: Array, times: Array, clock: Array = 1.0) -> Array:
    """States of the model's own trajectories, shape (points, starts, 2*dof), by DOP853; infinite where it gives up.

    Time runs ``clock`` times as fast, one number or one for every start, shape (starts, 1).
    """
    solution = solve_ivp(
        lambda _, x: (clock * field(x.reshape(starts.shape))).ravel(),
        (times[0], times[-1]),
        starts.ravel(),
        "DOP853",
        t_eval=times,
        rtol=TOLERANCE,
        atol=TOLERANCE,
    )
    if not solution.success:
        return np.full((len(times), *starts.shape), np.inf)
    path: Array = solution.y.T.reshape(len(times), *starts.shape)
    return path


@dataclass(frozen=True)
class Reclocked:
    """The same orbits run through at another speed: x' = s(H) J grad H, s a polynomial of the energy.

    Hamiltonian as well, with the energy S(H), S' = s. A state with noise on it tells less of its x' than a clean one:
    the best guess is shorter than the field there. That is what a model trained on noisy states learns, as a slow
    clock; here it is a correction of the reading, and the model itself stays unbiased.

    Attributes:
        field: the model.
        hamiltonian: its energy.
        coefficients: of s, lowest power first.
    """

    field: VectorField
    hamiltonian: Hamiltonian
    coefficients: Array

    @classmethod
    def chosen(cls, field: PortHamiltonian, train: Dataset) -> Reclocked:
        """Fits s of the degree that does best on left-out trajectories of the training share."""
        folds = [np.arange(len(train)) % FOLDS == fold for fold in range(FOLDS)]

        def missed(degree: int) -> float:
            errors = 0.0
            for left_out in folds:
                clocked = cls.fitted(field, _some(train, ~left_out), degree)
                tried = _some(train, left_out)
                errors += float(np.square(clocked(tried.states) - tried.derivatives).sum())
            return errors

        return cls.fitted(field, train, min(DEGREES, key=missed))

    @classmethod
    def fitted(cls, field: PortHamiltonian, train: Dataset, degree: int) -> Reclocked:
        """Fits s to the noisy states of the training share by linear least squares."""
        states, derivatives, _ = train.flat()
        powers = _powers(field.hamiltonian.value(states), degree + 1)
        columns = (field(states)[..., None] * powers[:, None]).reshape(-1, degree + 1)
        coefficients, *_ = np.linalg.lstsq(columns, derivatives.ravel(), rcond=None)
        return cls(field, field.hamiltonian, coefficients)

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """x', shape (..., 2*dof)."""
        speed = _powers(self.hamiltonian.value(x), len(self.coefficients)) @ self.coefficients
        return speed[..., None] * self.field(x, u)


def _some(data: Dataset, chosen: Array) -> Dataset:
    return Dataset(data.times, data.states[chosen], data.derivatives[chosen], data.inputs[chosen])


def _powers(values: Array, count: int) -> Array:
    return np.stack([values**power for power in range(count)], axis=-1)


def _squares(errors: Array) -> Array:
    """Mean square per trajectory."""
    squares: Array = np.square(errors).reshape(len(errors), -1).mean(axis=1)
    return squares


def _of_series(field: VectorField, test: Dataset, spans: Array) -> Estimates:
    """The measured pendulum: the derivative read as an increment, and the energy along the test stretch."""
    states, derivatives, _ = test.flat()
    moved = rolled_out(field, states, np.array([0.0, 1.0]), clock=spans)[-1] - states
    times = np.concatenate(([0.0], np.cumsum(spans[:-1])))
    path = rolled_out(field, states[:1], times)[:, 0]
    energy = np.square(measured_energy(path) - measured_energy(states)).mean()
    return {
        "test_loss_increment": Estimate.of(_squares(moved / spans - derivatives)),
        "energy_mse": Estimate(float(energy)),
    }


def measured_energy(x: Array) -> Array:
    """The seed paper's formula for the measured pendulum, 2.4 (1 - cos q) + p^2, in its units."""
    return 2.4 * (1 - np.cos(x[..., 0])) + x[..., 1] ** 2
