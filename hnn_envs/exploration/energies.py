"""What an exploration learned of the energy, H(q, v) = v^T M(q) v / 2 + V(q), as charts beside the truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hnn_envs.arrays import Array, split, wrapped
from hnn_envs.envs.single import PhysicsEnv
from hnn_envs.exploration.explorer import Explorer
from hnn_envs.exploration.learners import Learned
from hnn_envs.exploration.trials import Trial
from hnn_envs.figures.exploration import Chart, Curves, Panel, Plane
from hnn_envs.hamiltonian import LagrangianFlow, Mechanical, Separable

FINE, COARSE = 241, 81
"""Points along a coordinate: alone, and with another."""
TURNS = 1.5 * math.pi
"""Angles are shown this far to both sides of the goal."""
MARGIN = 0.15
"""Of what was seen of other coordinates, as a share."""


@dataclass(frozen=True)
class Machine:
    """M(q) and V(q), learned or true.

    Attributes:
        mass_matrix: q (..., dof) -> (..., dof, dof).
        potential: q (..., dof) -> (...,).
    """

    mass_matrix: Callable[[Array], Array]
    potential: Callable[[Array], Array]

    def energy(self, x: Array) -> Array:
        """H, shape (...,), of states [q, v]."""
        q, v = split(x)
        moved: Array = (self.mass_matrix(q) @ v[..., None])[..., 0]
        return 0.5 * (v * moved).sum(-1) + self.potential(q)


def learned_machine(learned: Learned | None) -> Machine | None:
    """What was learned as a machine; None where that has no masses and no potential."""
    field = getattr(learned.dynamics, "field", None) if learned is not None else None
    return Machine(field.machine.mass_matrix, field.machine.potential) if isinstance(field, LagrangianFlow) else None


def true_machine(explorer: Explorer) -> Machine | None:
    """The equations of an environment of this package; None where they are not known, or of another kind."""
    base: Any = explorer.trial_env.env.unwrapped
    truth: Any = base.dynamics.truth if isinstance(base, PhysicsEnv) else None
    if isinstance(truth, Mechanical):
        return Machine(truth.mass_matrix, truth.potential)
    if isinstance(truth, Separable):
        mass = 1.0 / np.asarray(truth.inverse_mass)
        return Machine(lambda q: mass * np.broadcast_to(np.eye(q.shape[-1]), (*q.shape, q.shape[-1])), truth.potential)
    return None


@dataclass(frozen=True)
class Charting:
    """Which coordinates of an exploration are shown, and where.

    With one degree of freedom that is H over position and velocity. With several it is the potential: over the first
    two angles, or where there is one angle along it, with the mass matrix beneath.

    Attributes:
        explorer: it.
        entries: of states [q, v] that are shown, one or two.
    """

    explorer: Explorer
    entries: tuple[int, ...]

    @classmethod
    def of(cls, explorer: Explorer) -> Charting:
        """What suits an exploration."""
        angles = [coordinate.angle for coordinate in explorer.trial_env.adapter.coordinates]
        turning = tuple(index for index, angle in enumerate(angles) if angle)[:2]
        return cls(explorer, (0, 1) if len(angles) == 1 or not turning else turning)

    @property
    def goal(self) -> Array:
        """What is to be held of the coordinates that are shown."""
        return self.explorer.goal.state[list(self.entries)]

    def chart(self, learned: Learned | None) -> Chart:
        """What was learned, beside the truth where that is known; energies are those above where trials start."""
        coordinates = self.explorer.trial_env.adapter.coordinates
        dof, machines = len(coordinates), (learned_machine(learned), true_machine(self.explorer))
        shown = [self._title(entry) for entry in self.entries]
        if len(self.entries) == 1:
            return self._curves(self._line(self.entries[0], FINE), shown[0], *machines)
        x, y = (self._line(entry, COARSE) for entry in self.entries)
        states = np.broadcast_to(self._rest, (len(y), len(x), 2 * dof)).copy()
        states[..., self.entries[0]], states[..., self.entries[1]] = x, y[:, None]
        title = "energy H" if dof == 1 else "potential V"
        known, true = (self._above(machine, states) for machine in machines)
        return Plane(x, y, shown[0], shown[1], title, known, true)

    def path(self, trial: Trial, *, measured: bool = False) -> Array:
        """The coordinates of a trial that are shown, shape (steps + 1, 1 or 2).

        Angles are turned so that it ends near the goal, or a random one starts near it. Where they leave what is shown
        all the same, they are folded into the turn about the goal.
        """
        states = np.array(trial.measured if measured else trial.states)
        for index, coordinate in enumerate(self.explorer.trial_env.adapter.coordinates):
            if coordinate.angle:
                goal = self.explorer.goal.state[index]
                at = trial.states[-1 if trial.planned else 0, index] - goal
                turned = 2 * math.pi * np.round(at / (2 * math.pi))
                states[:, index] -= turned
                if (np.abs(trial.states[:, index] - turned - goal) > TURNS).any():
                    states[:, index] = goal + wrapped(states[:, index] - goal)
        return states[:, list(self.entries)]

    def seen(self, count: int) -> Array:
        """What was measured in the first trials, shape (k, 1 or 2)."""
        parts = [self.path(trial, measured=True) for trial in self.explorer.trials[:count]]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.entries)))

    def _title(self, entry: int) -> str:
        """What an entry is called: by this package's systems where they say so, else by the adapter."""
        named = self.explorer.trial_env.adapter.coordinates
        base: Any = self.explorer.trial_env.env.unwrapped
        if entry < len(named):
            return (base.dynamics.spec.coordinates if isinstance(base, PhysicsEnv) else named)[entry].title
        unit = named[entry - len(named)].momentum_unit
        return f"velocity ({unit})" if unit else "velocity"

    @property
    def _rest(self) -> Array:
        """Where trials start, without motion."""
        usual = self.explorer.trial_env.start
        first = np.mean([trial.measured[0] for trial in self.explorer.trials], axis=0) if usual is None else usual[0]
        dof = len(self.explorer.trial_env.adapter.coordinates)
        return np.concatenate((np.ravel(first)[:dof], np.zeros(dof)))

    def _line(self, entry: int, count: int) -> Array:
        """Values of an entry that are shown."""
        coordinates = self.explorer.trial_env.adapter.coordinates
        goal = float(self.explorer.goal.state[entry])
        if entry < len(coordinates) and coordinates[entry].angle:
            return np.linspace(goal - TURNS, goal + TURNS, count)
        every = np.concatenate([trial.measured[:, entry] for trial in self.explorer.trials] or [np.zeros(1)])
        reach = (1 + MARGIN) * max(float(np.abs(every - goal).max()), self._fast(entry - len(coordinates)), 1e-3)
        return np.linspace(goal - reach, goal + reach, count)

    def _fast(self, index: int) -> float:
        """The velocity of a coordinate that falls through all the potential; 0 where nothing is known of that."""
        known = true_machine(self.explorer) or learned_machine(self.explorer.learned)
        if known is None or index < 0:
            return 0.0
        dof = len(self._rest) // 2
        q = np.broadcast_to(self._rest[:dof], (COARSE, dof)).copy()
        q[:, index] = self._line(index, COARSE)
        masses = known.mass_matrix(q)[:, index, index].mean()
        return math.sqrt(2 * float(np.ptp(known.potential(q))) / float(masses))

    def _above(self, machine: Machine | None, states: Array) -> Array | None:
        return None if machine is None else machine.energy(states) - machine.energy(self._rest)

    def _curves(self, x: Array, title: str, learned: Machine | None, truth: Machine | None) -> Curves:
        dof = len(self.explorer.trial_env.adapter.coordinates)
        states = np.broadcast_to(self._rest, (len(x), 2 * dof)).copy()
        states[:, self.entries[0]] = x
        heights = [self._above(machine, states[:, None]) for machine in (learned, truth)]
        potential = Panel("potential V", heights[0], heights[1])
        pairs = [(i, j) for i in range(dof) for j in range(i, dof)]
        known = truth or learned
        sizes = None if known is None else np.sqrt(np.diagonal(known.mass_matrix(states[:, :dof]).mean(axis=0)))
        entries = [_scaled_masses(machine, states[:, :dof], sizes, pairs) for machine in (learned, truth)]
        names = tuple(f"$M_{{{i + 1}{j + 1}}}$" for i, j in pairs)
        return Curves(x, title, (potential, Panel("mass matrix M, scaled", entries[0], entries[1], names)))


def _scaled_masses(
    machine: Machine | None, q: Array, sizes: Array | None, pairs: list[tuple[int, int]]
) -> Array | None:
    """M_ij over the sizes of its coordinates, which makes entries of different units comparable."""
    if machine is None or sizes is None:
        return None
    scaled = machine.mass_matrix(q) / (sizes[:, None] * sizes)
    return np.stack([scaled[:, i, j] for i, j in pairs], axis=-1)
