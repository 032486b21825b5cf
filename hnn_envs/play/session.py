"""What is played, without a window: several physics from the same start, under the same input."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hnn_envs.arrays import Array, split
from hnn_envs.drawing.view import View
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.systems import known_truth
from hnn_envs.tasks import find_task

TRAIL = 120
TRAIL_STRIDE = 3  # steps are short here, and every point of a trail costs time to draw
HISTORY = 600  # steps whose energies are plotted
SECONDS_PER_SCALE = 4.0  # what a period, or a Lyapunov time, takes on the screen
KICK = 1 / 8  # a kick is the largest input for this share of the time scale
LARGEST = 1e6  # a state component of this size counts as diverged


@dataclass
class Track:
    """One physics and where it is.

    Attributes:
        dynamics: what moves it.
        x: its state.
        trail: its recent states.
        energies: true energies of the recent states.
        diverged: whether it left all bounds, and is held where it was.
    """

    dynamics: Dynamics
    x: Array
    trail: deque[Array] = field(default_factory=lambda: deque(maxlen=TRAIL))
    energies: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    diverged: bool = False


class Session:
    """Several physics side by side.

    Args:
        system: name of the system.
        physics: names as for ``make_dynamics``.
        fps: frames per second; there is one step per frame.
        integrator: for all; None for each physics' own.
        seed: of the starts.

    Raises:
        InvalidOptionError: no physics.
    """

    def __init__(
        self,
        system: str,
        physics: Sequence[str] = ("ode", "hnn"),
        *,
        fps: int = 60,
        integrator: str | None = None,
        seed: int | None = None,
    ) -> None:
        if not physics:
            raise InvalidOptionError("name at least one physics to play with, such as ode or hnn")
        self.task = find_task(system)
        self.truth = known_truth(self.task.system)
        spec = self.truth.spec
        self.physics = tuple(physics)
        self.dt = spec.time_scale / (SECONDS_PER_SCALE * fps) if spec.stepping is None else spec.stepping.dt
        self.inputs = spec.force_matrix.shape[-1]
        self.integrator = integrator
        self.paused = False
        self.action = np.zeros(self.inputs)
        self._rng = np.random.default_rng(seed)
        self._made: dict[tuple[str, str | None], Dynamics] = {}
        self.time = 0.0
        start = self.task.initial_state(self._rng)
        self.tracks = [Track(self._dynamics(name, integrator), start) for name in self.physics]
        self._restart(start)

    def reset(self) -> None:
        """A new start, the same for all."""
        self._restart(self.task.initial_state(self._rng))

    def tick(self, action: Array) -> None:
        """What happens in a frame: a step, unless paused."""
        self.action = np.clip(action, -1.0, 1.0)
        if not self.paused:
            self.step()

    def step(self) -> None:
        """One step of every physics under the same input."""
        force = self.task.max_input * self.action
        for track in self.tracks:
            self._move(track, force)
        self.time += self.dt

    def kick(self, direction: float = 1.0) -> None:
        """A sudden change of momentum by the first input, as an impulse: the same for all."""
        impulse = direction * KICK * self.truth.spec.time_scale * self.task.max_input
        for track in self.tracks:
            q, p = split(track.x)
            track.x = np.concatenate((q, p + impulse * self.truth.spec.force_matrix[:, 0]))

    def switch_integrator(self) -> str:
        """Changes to the next integrator that suits all physics; returns its name."""
        fits = [name for name in INTEGRATORS if name != "dop853" and self._fits(name)]
        names: list[str | None] = [None, *fits]
        self.integrator = names[(names.index(self.integrator) + 1) % len(names)] if self.integrator in names else None
        for track, name in zip(self.tracks, self.physics, strict=True):
            track.dynamics = self._dynamics(name, self.integrator)
        return self.integrator or "each its own"

    def views(self) -> list[View]:
        """What a drawing shows of each physics."""
        return [
            View(
                state=track.x,
                trail=np.stack(list(track.trail)[::-TRAIL_STRIDE][::-1]),
                action=self.action,
                energy=track.energies[-1],
                believed_energy=float(track.dynamics.energy(track.x)),
                dynamics=name,
                time=self.time,
                observation_model=track.dynamics.observation_model,
            )
            for track, name in zip(self.tracks, self.physics, strict=True)
        ]

    def _fits(self, integrator: str) -> bool:
        separable = INTEGRATORS[integrator].separable_only
        own = [self._dynamics(name, None).integrator.separable_only for name in self.physics]
        return all(own) or not separable

    def _dynamics(self, name: str, integrator: str | None) -> Dynamics:
        """The physics, made once: loading and compiling take longer than a frame."""
        key = (name, integrator)
        if key not in self._made:
            self._made[key] = make_dynamics(self.task.system, name, dt=self.dt, integrator=integrator)
        return self._made[key]

    def _restart(self, start: Array) -> None:
        self.time = 0.0
        for track in self.tracks:
            track.x, track.diverged = start, False
            track.trail.clear()
            track.energies.clear()
            self._remember(track)

    def _move(self, track: Track, force: Array) -> None:
        """A step; what diverges is held where it was, so that the window shows where that is."""
        with np.errstate(all="ignore"):
            x = track.dynamics.step(track.x, force)
        track.diverged = track.diverged or not bool((np.abs(x) < LARGEST).all())
        if not track.diverged:
            track.x = x
        self._remember(track)

    def _remember(self, track: Track) -> None:
        track.trail.append(track.x)
        track.energies.append(float(self.truth.value(track.x)))
