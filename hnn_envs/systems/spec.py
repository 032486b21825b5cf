"""What a system is, without its equations: coordinates, units, inputs, time scale. Learned physics knows this much."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from hnn_envs.arrays import Array, constant
from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.parsing import parse

PICTURES = ("spring", "pendulum", "bodies", "plane")
"""How a state may be drawn where no task draws it; "plane" is a point in the plane of the first q and p."""


def is_system_name(name: str) -> bool:
    """Whether a system may have this name: it is a folder's, too."""
    return 0 < len(name) <= 100 and name.isprintable() and not {"/", "\\"} & set(name) and name[0] != "."


@dataclass(frozen=True)
class Coordinate:
    """A generalized coordinate and its momentum, as axes name them.

    Attributes:
        name: such as "angle q".
        unit: such as "rad"; empty where it is dimensionless.
        angle: whether q and q + 2 pi are the same place.
        momentum: name of the conjugate momentum, or of the velocity where states hold velocities.
        momentum_unit: its unit.
    """

    name: str = "q"
    unit: str = ""
    angle: bool = False
    momentum: str = "p"
    momentum_unit: str = ""

    @property
    def title(self) -> str:
        """What an axis of the coordinate is called, such as "angle q (rad)"."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def momentum_title(self) -> str:
        """What an axis of the momentum is called."""
        return f"{self.momentum} ({self.momentum_unit})" if self.momentum_unit else self.momentum


@dataclass(frozen=True)
class Input:
    """A physical input u.

    Attributes:
        name: such as "torque".
        unit: such as "N m"; empty where it is dimensionless.
    """

    name: str = "u"
    unit: str = ""


@dataclass(frozen=True)
class Stepping:
    """A system whose true motion is a discrete map: steps of a method, not the flow that they approximate.

    Attributes:
        integrator: the method, a key of ``hnn_envs.integrators.INTEGRATORS``.
        dt: length of its steps.

    Raises:
        UnknownNameError: there is no such method.
        InvalidOptionError: a length that is not positive.
    """

    integrator: str
    dt: float

    def __post_init__(self) -> None:
        if self.integrator not in INTEGRATORS:
            raise UnknownNameError.of("integrator", self.integrator, INTEGRATORS)
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise InvalidOptionError(f"the step of a discrete map must be a positive number, not {self.dt!r}")


@dataclass(frozen=True)
class SystemSpec:
    """What a system is, without its equations; plain data that a card carries.

    Attributes:
        name: in tables, cards and on the command line.
        coordinates: the generalized coordinates; states x = [q, p], or [q, q'], have twice as many numbers.
        inputs: the physical inputs u.
        input_matrix: G, the generalized force per unit of each input, one row per coordinate.
        time_scale: a period, or for chaotic systems the Lyapunov time.
        longest_step: of PEFRL, or of RK4 where H is not separable, for which an environment step stays within 1e-9 of
            the true flow; where no truth says so, 1/500 of the time scale is a good guess. Other methods take steps
            that are longer by their stride.
        chaotic: whether neighbouring trajectories part exponentially.
        dissipative: whether the free system loses energy.
        velocities: whether states are [q, q'], as they are measured, in place of [q, p].
        bodies: number of like point masses in the plane, whose positions are the coordinates, body by body; 0 for other
            systems.
        stepping: where the truth is a discrete map, which; None for a flow.
        picture: how states are drawn where no task does it, one of ``PICTURES``.
        time_unit: such as "s"; empty where time is dimensionless.
        energy_unit: such as "J".

    Raises:
        InvalidOptionError: entries that do not fit each other, or are out of range.
    """

    name: str
    coordinates: tuple[Coordinate, ...]
    inputs: tuple[Input, ...]
    input_matrix: tuple[tuple[float, ...], ...]
    time_scale: float
    longest_step: float
    chaotic: bool = False
    dissipative: bool = False
    velocities: bool = False
    bodies: int = 0
    stepping: Stepping | None = None
    picture: str = "plane"
    time_unit: str = ""
    energy_unit: str = ""

    def __post_init__(self) -> None:
        if not self.coordinates or not self.name:
            raise InvalidOptionError(f"a system needs a name and a coordinate, not {self.name!r}, {self.coordinates!r}")
        if not is_system_name(self.name):
            raise InvalidOptionError(
                f"a system's name is printable, has no slash, and starts with no dot, not {self.name[:100]!r}"
            )
        shape = [len(row) for row in self.input_matrix]
        if shape != [len(self.inputs)] * self.dof:
            raise InvalidOptionError(
                f"the input matrix of {self.name} needs {self.dof} rows of {len(self.inputs)} numbers, not {shape}"
            )
        if not all(math.isfinite(number) for row in self.input_matrix for number in row):
            raise InvalidOptionError(f"the input matrix of {self.name} must be finite, not {self.input_matrix}")
        for entry in ("time_scale", "longest_step"):
            value = getattr(self, entry)
            if not (math.isfinite(value) and value > 0):
                raise InvalidOptionError(f"{entry} of {self.name} must be a positive number, not {value!r}")
        if self.picture not in PICTURES:
            raise InvalidOptionError(f"picture must be one of {', '.join(PICTURES)}, not {self.picture!r}")
        if self.bodies and self.dof != 2 * self.bodies:
            raise InvalidOptionError(f"{self.bodies} bodies have {2 * self.bodies} coordinates, not {self.dof}")

    @property
    def dof(self) -> int:
        """Degrees of freedom; states have 2*dof entries."""
        return len(self.coordinates)

    @property
    def angles(self) -> tuple[bool, ...]:
        """Which coordinates are angles."""
        return tuple(coordinate.angle for coordinate in self.coordinates)

    @cached_property
    def force_matrix(self) -> Array:
        """G as a read-only array, shape (dof, inputs)."""
        return constant([list(row) for row in self.input_matrix]).reshape(self.dof, len(self.inputs))

    @property
    def time_scales(self) -> str:
        """What ``time_scale`` counts, in the plural: "periods" or "Lyapunov times"."""
        return "Lyapunov times" if self.chaotic else "periods"

    def as_table(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_table(cls, table: Any) -> SystemSpec:
        """The inverse of ``as_table``.

        Raises:
            InvalidOptionError: an entry that is missing, unknown, of the wrong kind or out of range.
        """
        return parse(cls, table, "the description of a system")


def one_coordinate(coordinate: Coordinate, force: Input, name: str, **rest: Any) -> SystemSpec:
    """The description of a system with one degree of freedom and one input that pushes it."""
    return SystemSpec(name, (coordinate,), (force,), ((1.0,),), **rest)


__all__ = ["PICTURES", "Coordinate", "Input", "Stepping", "SystemSpec", "is_system_name", "one_coordinate"]
