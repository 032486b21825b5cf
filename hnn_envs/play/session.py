"""What is played, without a window: several physics from the same start, under the same input."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.drawing.colors import colours_of
from hnn_envs.drawing.view import View
from hnn_envs.dynamics import Dynamics
from hnn_envs.evaluation.subjects import Subject, SystemLike, domain_of
from hnn_envs.hamiltonian import LagrangianFlow
from hnn_envs.integrators import INTEGRATORS, fits

TRAIL = 120
TRAIL_STRIDE = 3  # steps are short here, and every point of a trail costs time to draw
HISTORY = 600  # steps whose energies are plotted
SECONDS_PER_SCALE = 4.0  # what a period, or a Lyapunov time, takes on the screen
KICK = 1 / 8  # a kick is the largest input for this share of the time scale
DEFAULT_TRACKS = 2  # more panels than two do not fit every screen
LARGEST = 1e6  # a state component of this size counts as diverged


@dataclass
class Track:
    """One physics and where it is.

    Attributes:
        dynamics: what moves it.
        x: its state.
        trail: its recent states.
        energies: ``Session.energy_name`` of the recent states; NaN where there is none.
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
        system: a system, its name or "module:object", or the name of a task; or a checkpoint or the path of one.
        dynamics: names or checkpoints, as for ``make_dynamics``; None for the ODE and the first that was learned, as
            far as they are there. Where the equations are not known, energies are those that the first has learned.
        fps: frames per second; there is one step per frame.
        integrator: for all; None for each physics' own.
        seed: of the starts.

    Attributes:
        energy_name: what energies are called.

    Raises:
        InvalidOptionError: no physics.
        NoTruthError: "ode" of a system whose equations are not known.
    """

    def __init__(
        self,
        system: SystemLike,
        dynamics: Sequence[str | Checkpoint] | None = None,
        *,
        fps: int = 60,
        integrator: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.subject = Subject.of(system)
        spec = self.subject.spec
        self.dt = spec.time_scale / (SECONDS_PER_SCALE * fps) if spec.stepping is None else spec.stepping.dt
        self.inputs = len(self.subject.driven)
        self.integrator = integrator
        self.paused = False
        self.action = np.zeros(self.inputs)
        self._rng = np.random.default_rng(seed)
        self._chosen = self.subject.chosen(dynamics)[: None if dynamics is not None else DEFAULT_TRACKS]
        self._made: dict[tuple[int, str | None], Dynamics] = {}
        made = [self._dynamics(number, integrator) for number in range(len(self._chosen))]
        self.domain = domain_of(made)
        self._actuation = self.subject.actuation(self.domain)
        self.energy_name, self._energy = self.subject.energy(made)
        self.drawing = self.subject.drawing(self.domain)
        self.colours = colours_of([each.role for each in made])
        self.time = 0.0
        start = self.subject.draw_start(self._rng, self.domain)
        self.tracks = [Track(each, start) for each in made]
        self._restart(start)

    def reset(self) -> None:
        """A new start, the same for all."""
        self._restart(self.subject.draw_start(self._rng, self.domain))

    def tick(self, action: Array) -> None:
        """What happens in a frame: a step, unless paused."""
        self.action = np.clip(action, -1.0, 1.0)
        if not self.paused:
            self.step()

    def step(self) -> None:
        """One step of every physics under the same input."""
        force = self._actuation.to_inputs(self.action)
        for track in self.tracks:
            self._move(track, force)
        self.time += self.dt

    def kick(self, direction: float = 1.0) -> None:
        """A sudden change of momentum by the first input that is pushed, if any, as an impulse: the same for all."""
        if not self.subject.driven:
            return
        spec, made = self.subject.spec, [track.dynamics.field for track in self.tracks]
        size = direction * KICK * spec.time_scale * float(self._actuation.sizes[0])
        impulse = np.concatenate((np.zeros(spec.dof), size * spec.force_matrix[:, self.subject.driven[0]]))
        # Where states hold velocities, the first physics that knows masses says what momentum is.
        machine = next((field for field in made if isinstance(field, LagrangianFlow)), None)
        for track in self.tracks:
            if machine is None:
                track.x = track.x + impulse
            else:
                track.x = machine.from_canonical(machine.to_canonical(track.x) + impulse)

    def switch_integrator(self) -> str:
        """Changes to the next integrator that suits all physics; returns its name."""
        fitting = [name for name in INTEGRATORS if name != "dop853" and self._fits(name)]
        names: list[str | None] = [None, *fitting]
        self.integrator = names[(names.index(self.integrator) + 1) % len(names)] if self.integrator in names else None
        for number, track in enumerate(self.tracks):
            track.dynamics = self._dynamics(number, self.integrator)
        return self.integrator or "each its own"

    def views(self) -> list[View]:
        """What a drawing shows of each physics."""
        return [
            View(
                state=track.x,
                trail=np.stack(list(track.trail)[::-TRAIL_STRIDE][::-1]),
                action=self._actuation.to_shares(self._actuation.to_inputs(self.action)),
                energy=track.energies[-1],
                believed_energy=_believed(track),
                dynamics=track.dynamics.name,
                time=self.time,
                colour=colour,
                observation_model=track.dynamics.observation_model,
            )
            for track, colour in zip(self.tracks, self.colours, strict=True)
        ]

    def _fits(self, integrator: str) -> bool:
        made = [self._dynamics(number, None) for number in range(len(self.tracks))]
        return all(fits(INTEGRATORS[integrator], each.field) for each in made)

    def _dynamics(self, number: int, integrator: str | None) -> Dynamics:
        """One of the chosen physics, made once: loading and compiling take longer than a frame."""
        key = (number, integrator)
        if key not in self._made:
            self._made[key] = self.subject.make(self._chosen[number], dt=self.dt, integrator=integrator)
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
        track.energies.append(math.nan if self._energy is None else float(self._energy(track.x)))


def _believed(track: Track) -> float:
    return math.nan if track.dynamics.hamiltonian is None else float(track.dynamics.energy(track.x))
