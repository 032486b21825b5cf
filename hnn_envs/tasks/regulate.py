"""Bring any system to a state and hold it there, at quadratic cost: the task of a system for which there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hnn_envs.arithmetic import cos, never, sin, where
from hnn_envs.arrays import Array, constant
from hnn_envs.checkpoints import Domain
from hnn_envs.components import Components, components
from hnn_envs.drawing.canvas import Canvas
from hnn_envs.drawing.pictures import StatePicture
from hnn_envs.drawing.view import View
from hnn_envs.errors import InvalidOptionError
from hnn_envs.parsing import LARGEST, Amount, Bounded, Count, Positive, Share, shown
from hnn_envs.systems import System, SystemSpec, resolve_system, spec_of
from hnn_envs.tasks.actuation import largest_inputs
from hnn_envs.tasks.optional import Search
from hnn_envs.tasks.shared import bounds, limits, observe, within

STEPS_PER_SCALE = 50
"""Steps to a period or a Lyapunov time, where no step is given."""
VELOCITY_COST, INPUT_COST = 0.1, 0.01
"""What the largest velocity or momentum costs, and the largest input, next to 1 for the largest deviation of a
coordinate, where no weights are given."""
SLACK = 1e-6
"""Limits of an angle that are a whole turn apart but for so much (rad) do not limit it."""


class Regulate:
    """Bring a system to a state and hold it there, at quadratic cost.

    ## Description

    The system is any, such as one that is known by recordings only. All but the system has a default that follows from
    its description and from where its model learned, the domain. Every argument but these two is a plain value of JSON;
    a list has an entry for each component of the state x = [q, q'] or [q, p], or for each input.

    ## Action space

    One action in [-1, 1] for each input: u = max_input action.

    ## Observation space

    For each coordinate its cosine and its sine where it is an angle, else its value; then all velocities or momenta.
    All are within the limits, in float32.

    ## Reward

    1 - cost / largest cost, in [0, 1], with the state after the step and the input over it, where

        cost = sum_i state_weights_i d_i^2 + sum_j input_weights_j u_j^2

    and d is the deviation from the target; of an angle, d^2 is 2 (1 - cos d), which is nearly d^2 where that is small.
    The largest cost is that of the state within the limits and of the inputs that cost most. A step that leaves the
    limits earns 0; since no reward is negative, leaving never pays.

    ## Start

    Each number uniform about ``start``, as far to both sides as ``start_spread`` says.

    ## End

    Truncated after ``max_episode_steps``, or outside the limits. Never terminated.

    Args:
        system: what is regulated: its equations, its description or its name.
        domain: where what was learned of it may be trusted; without it, all limits have to be given.
        target: the state to hold; by default at rest at 0, or amid the limits in components that cannot be 0.
        state_weights: cost per square of the deviation of each component; by default such that the largest deviation
            within the limits costs 1 for a coordinate and 0.1 for a velocity or momentum.
        input_weights: cost per square of each input; by default such that the largest costs 0.01.
        low: lower limit of each component; None for the domain's. An angle whose limits are a whole turn apart goes
            round without end.
        high: upper limits, likewise.
        dt: time per step; by default a fiftieth of the time scale, or the step of a discrete map.
        max_episode_steps: the horizon.
        max_input: size of an input at action 1, one for all or one for each; by default the largest that was recorded
            (``hnn_envs.tasks.actuation.largest_inputs``).
        start: the state about which episodes start; by default as for the target.
        start_spread: how far they start from it, as a share of the way to the limits; for an angle that goes round, of
            half a turn.

    Raises:
        InvalidOptionError: an argument that is out of its range, or does not fit the system or the others.
    """

    name = "regulate"
    search = Search(horizon=25, integrator="rk4", substeps=2)

    def __init__(
        self,
        system: System | SystemSpec | str,
        domain: Domain | None = None,
        *,
        target: tuple[Bounded, ...] | None = None,
        state_weights: tuple[Amount, ...] | None = None,
        input_weights: tuple[Amount, ...] | None = None,
        low: tuple[Bounded | None, ...] | None = None,
        high: tuple[Bounded | None, ...] | None = None,
        dt: Positive | None = None,
        max_episode_steps: Count = 200,
        max_input: Positive | tuple[Positive, ...] | None = None,
        start: tuple[Bounded, ...] | None = None,
        start_spread: Share = 0.2,
    ) -> None:
        self.system = resolve_system(system)
        self._spec = spec = spec_of(self.system)
        if not spec.inputs:
            raise InvalidOptionError(f"a task needs an input, and {spec.name!r} has none")
        self.dt = default_dt(spec) if dt is None else float(dt)
        self.max_episode_steps = int(max_episode_steps)
        self.max_inputs = _of_inputs(spec, "max_input", max_input, largest_inputs(spec, domain))
        self.max_input = max(self.max_inputs)
        self.low, self.high = _limits(spec, domain, low, high)
        self.goal, self._start = self._inside("target", target), self._inside("start", start)
        self._start_spread = float(start_spread)
        self._picture = StatePicture(spec, None if domain is None else domain.energy, tuple(self.goal.tolist()))
        largest = self._largest_squares()
        usual = tuple(np.repeat((1.0, VELOCITY_COST), spec.dof) / np.where(largest > 0, largest, 1.0))
        self._weights = _of_components(spec, "state_weights", state_weights, usual)
        squares = tuple(size * size for size in self.max_inputs)
        self._prices = _of_inputs(spec, "input_weights", input_weights, tuple(INPUT_COST / each for each in squares))
        self.largest_cost = float(np.dot(self._weights, largest) + np.dot(self._prices, squares))
        if not self.largest_cost > 0:
            raise InvalidOptionError("one of state_weights and input_weights must be positive, and all of them are 0")
        self.observation_low, self.observation_high = (bounds(*self._seen(side)) for side in (self.low, self.high))

    def __repr__(self) -> str:
        return f"Regulate({self._spec.name!r}, target={self.goal.tolist()})"

    @property
    def goal_cost(self) -> Array:
        """C of what (x - goal)^T C (x - goal) takes off the reward near the goal, shape (2*dof, 2*dof)."""
        return np.diag(self._weights) / self.largest_cost

    @property
    def input_cost(self) -> Array:
        """What the square of each input takes off the reward, shape (inputs,)."""
        return np.array(self._prices) / self.largest_cost

    def initial_state(self, rng: np.random.Generator) -> Array:
        """Near the start, shape (2*dof,)."""
        ways = ((self._start - self.low), (self.high - self._start))
        down, up = (self._start_spread * np.where(np.isinf(way), math.pi, way) for way in ways)
        return rng.uniform(self._start - down, self._start + up)

    def observation(self, x: Array) -> Array:
        """Cosines and sines of angles, other coordinates, velocities or momenta; float32, shape (..., observations)."""
        entries, angles = components(x), self._spec.angles
        seen: Components = ()
        for entry, angle in zip(entries, angles, strict=False):
            seen = (*seen, cos(entry), sin(entry)) if angle else (*seen, entry)
        return observe((*seen, *entries[len(angles) :]), self.observation_low, self.observation_high)

    def cost(self, x: Array, u: Array) -> Array:
        """The cost of a state and of inputs, shape (...,)."""
        total = 0.0
        angles = (*self._spec.angles, *(False,) * self._spec.dof)
        # One after the other, so that a state in a batch costs bit for bit what it does alone.
        for entry, goal, weight, angle in zip(components(x), self.goal.tolist(), self._weights, angles, strict=True):
            away = 2 * sin(0.5 * (entry - goal)) if angle else entry - goal
            total = total + weight * (away * away)
        for entry, price in zip(components(u), self._prices, strict=True):
            total = total + price * (entry * entry)
        return total

    def reward(self, x: Array, u: Array, x_next: Array) -> Array:
        """One less the share of the largest cost after the step, 0 outside the limits, shape (...,)."""
        value = 1 - self.cost(x_next, u) / self.largest_cost
        return where(self.inside(x_next) & (value > 0), value, 0.0)

    def inside(self, x: Array) -> Array:
        """Whether states are within the limits, bool, shape (...,)."""
        return within(x, self.low, self.high)

    def terminated(self, x: Array) -> Array:
        """Never, bool, shape (...,)."""
        return never(x[..., 0])

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draws one environment, with a mark at the target."""
        self._picture.draw(canvas, view)

    def _inside(self, name: str, values: Sequence[float] | None) -> Array:
        """A state within the limits; by default at rest at 0, as far as that is."""
        low, high = self.low, self.high
        usual = np.zeros_like(low)
        apart = ~((low < 0) & (high > 0))
        usual[apart] = (low[apart] + high[apart]) / 2
        state = constant(_of_components(self._spec, name, values, tuple(usual)))
        if not within(state, low, high):
            raise InvalidOptionError(
                f"{name} is {state.tolist()}, which is outside the limits, low {low.tolist()} and high {high.tolist()}"
            )
        return state

    def _largest_squares(self) -> Array:
        """The largest d^2 of each component within the limits."""
        away = np.maximum(self.goal - self.low, self.high - self.goal)
        angles = np.array((*self._spec.angles, *(False,) * self._spec.dof))
        return np.square(np.where(angles, 2 * np.sin(np.minimum(away, math.pi) / 2), away))

    def _seen(self, limit: Array) -> tuple[float, ...]:
        """The bounds of an observation on one side."""
        dof, sign = self._spec.dof, 1.0 if limit is self.high else -1.0
        values = zip(limit[:dof].tolist(), self._spec.angles, strict=True)
        seen = [each for value, angle in values for each in ((sign, sign) if angle else (value,))]
        return (*seen, *limit[dof:].tolist())


def default_dt(spec: SystemSpec) -> float:
    """The step where none is given."""
    return spec.time_scale / STEPS_PER_SCALE if spec.stepping is None else spec.stepping.dt


def _of_components(
    spec: SystemSpec, name: str, given: Sequence[float] | None, usual: tuple[float, ...]
) -> tuple[float, ...]:
    """A number for each component of the state."""
    return _numbers(name, usual if given is None else given, 2 * spec.dof, f"components of {spec.name!r}")


def _of_inputs(
    spec: SystemSpec, name: str, given: float | Sequence[float] | None, usual: tuple[float, ...]
) -> tuple[float, ...]:
    """A number for each input; one stands for all."""
    count = len(spec.inputs)
    chosen: Sequence[float] = usual if given is None else [given] * count if np.ndim(given) == 0 else given  # type: ignore[assignment,list-item]
    return _numbers(name, chosen, count, f"inputs of {spec.name!r}")


def _numbers(name: str, values: Sequence[float], count: int, kind: str) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not all(abs(number) <= LARGEST for number in numbers):
        raise InvalidOptionError(
            f"{name} must be {count} numbers, one for each of the {kind}, at most {LARGEST:g}, not {shown(values)}"
        )
    return numbers


def _limits(
    spec: SystemSpec,
    domain: Domain | None,
    low: Sequence[float | None] | None,
    high: Sequence[float | None] | None,
) -> tuple[Array, Array]:
    """The limits of the state, infinite for an angle that goes round."""
    lower, upper = (_limit(spec, domain, *side) for side in (("low", low), ("high", high)))
    if not (lower < upper).all():
        raise InvalidOptionError(f"low must be below high in all components, not {lower.tolist()} and {upper.tolist()}")
    angles = np.array((*spec.angles, *(False,) * spec.dof))
    round_ = angles & (upper - lower >= 2 * math.pi - SLACK)
    return limits(*np.where(round_, -math.inf, lower)), limits(*np.where(round_, math.inf, upper))


def _limit(spec: SystemSpec, domain: Domain | None, name: str, given: Sequence[float | None] | None) -> Array:
    size = 2 * spec.dof
    own: Sequence[float] = (math.nan,) * size if domain is None else getattr(domain, name)
    asked: Sequence[float | None] = (None,) * size if given is None else given
    if domain is None and None in asked:
        raise InvalidOptionError(
            f"{name} must be given for all {size} components of {spec.name!r}, of which no domain is known, not "
            f"{shown(given)}"
        )
    usual = (*own, *(math.nan,) * (len(asked) - size))
    chosen = [other if each is None else each for each, other in zip(asked, usual, strict=False)]
    return np.array(_numbers(name, chosen, size, f"components of {spec.name!r}"))
