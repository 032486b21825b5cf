"""The trigonometric machine: M(q) and V(q) as Fourier series in the angles and polynomials in the other coordinates.

That is what every chain of rigid links with joints is, and its inverse dynamics is linear in the coefficients (Atkeson,
An, Hollerbach, Int. J. Robot. Res. 5(3) (1986) 101).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product

import numpy as np

from hnn_envs.arrays import Array, like, namespace
from hnn_envs.components import Form, components, symmetric
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import HamiltonianFlow, LagrangianFlow, MachineHamiltonian, Mechanical
from hnn_envs.models.features import Features
from hnn_envs.models.friction import COEFFICIENTS, friction_shapes, init_friction, learned_friction
from hnn_envs.models.mlp import MLP, Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.models.ports import Ports
from hnn_envs.models.settings import positive
from hnn_envs.systems.spec import SystemSpec

MOST_TERMS = 1000
"""Terms of a series; a machine of three angles and degree 4 has 729."""
LARGEST_MASS = 2.0
"""Standard deviation of a coefficient of M about what is plausible, in units of a typical inertia."""
LARGEST_POTENTIAL = 4.0
"""The same of V, in units of a typical energy."""
RARE = 0.03
"""The share of these for terms of degree two and more, which chains of rigid links do not have."""
SHARPNESS = 0.5
"""Standard deviation of the logarithm of sharpness about where it starts."""


@dataclass(frozen=True)
class TrigonometricMachine(Mechanical):
    """M(q) and V(q) as sums of terms t(q), each a cosine or sine of angles times a monomial of the other coordinates.

    The factors of angles are 1, cos(n_1 a), sin(n_1 a), cos(n_2 a), sin(n_2 a), ... with the frequencies n_f, where a
    are the angles in their order; those of the other coordinates y are y^e_0, y^e_1, ... with the exponents e_p, e_0
    being zero. Term number ``factor * len(exponents) + p`` is the product of the factor and of y^e_p.

    Attributes:
        angular: indices of the coordinates that are angles.
        linear: indices of the others.
        frequencies: n, integers, shape (F, angles).
        exponents: e, integers, shape (P, others).
        mass_coefficients: of M11, M12, ..., M22, ..., the rows of M from the diagonal on, shape (entries, terms) with
            terms = (1 + 2 F) P.
        potential_coefficients: of V, shape (terms,).
        remainder: a network of the angles' cosines and sines and the other coordinates that adds to the entries and,
            as its last output, to V; None without one.
    """

    angular: tuple[int, ...]
    linear: tuple[int, ...]
    frequencies: Array
    exponents: Array
    mass_coefficients: Array
    potential_coefficients: Array
    remainder: MLP | None = None

    def terms(self, q: Array) -> Array:
        """t(q), shape (..., terms)."""
        waves, monomials = self._waves(q)[0], self._monomials(q)
        return _products(waves, monomials)

    def slopes(self, q: Array) -> Array:
        """The derivative of each term by each coordinate, shape (..., dof, terms)."""
        (waves, turned), monomials = self._waves(q), self._monomials(q)
        rows: list[Array] = [None] * q.shape[-1]
        for place, index in enumerate(self.angular):
            rates = np.concatenate(([0], np.repeat(self.frequencies[:, place], 2)))
            rows[index] = _products(like(rates, q) * turned, monomials)
        for place, index in enumerate(self.linear):
            rows[index] = _products(waves, self._monomials(q, place))
        return namespace(q).stack(rows, axis=-2)

    def _waves(self, q: Array) -> tuple[Array, Array]:
        """1, cos, sin, cos, sin, ... of the phases, and their derivatives by the phase, each (..., 1 + 2 F)."""
        xp, unit = namespace(q), 0 * q[..., :1] + 1
        phases = (like(self.frequencies, q) @ q[..., list(self.angular), None])[..., 0]
        cosine, sine = xp.cos(phases), xp.sin(phases)
        shape = (*phases.shape[:-1], -1)
        waves, turned = (xp.stack(pair, axis=-1).reshape(shape) for pair in ((cosine, sine), (-sine, cosine)))
        return xp.concat((unit, waves), axis=-1), xp.concat((0 * unit, turned), axis=-1)

    def _monomials(self, q: Array, by: int | None = None) -> Array:
        """All y^e, shape (..., P); or their derivatives by the coordinate number ``by`` of y."""
        unit, columns = 0 * q[..., :1] + 1, []
        for powers in self.exponents.tolist():
            column = unit if by is None else powers[by] * unit
            for place, index in enumerate(self.linear):
                power = powers[place] - (place == by)
                column = column * q[..., index : index + 1] ** power if power > 0 else column
            columns.append(column)
        return namespace(q).concat(columns, axis=-1)

    def mass_matrix(self, q: Array) -> Array:
        """M(q), shape (..., dof, dof)."""
        entries = (like(self.mass_coefficients, q) @ self.terms(q)[..., None])[..., 0]
        if self.remainder is not None:
            entries = entries + self._remainder(q)[..., :-1]
        return symmetric(components(entries), q)

    def potential(self, q: Array) -> Array:
        """V(q), shape (...,)."""
        value = (like(self.potential_coefficients, q) * self.terms(q)).sum(-1)
        return value if self.remainder is None else value + self._remainder(q)[..., -1]

    def force(self, q: Array, v: Array) -> Array:
        """The derivative of v^T M(q) v / 2 - V(q) by q, shape (..., dof)."""
        if self.remainder is not None:
            return super().force(q, v)
        xp, size = namespace(q), q.shape[-1]
        pairs = [(i, j) for i in range(size) for j in range(i, size)]
        squares = xp.stack([(0.5 if i == j else 1.0) * v[..., i] * v[..., j] for i, j in pairs], axis=-1)
        coefficients = (like(self.mass_coefficients.T, q) @ squares[..., None])[..., 0]
        coefficients = coefficients - like(self.potential_coefficients, q)
        return (self.slopes(q) @ coefficients[..., None])[..., 0]

    def compiled_form(self) -> Form | None:
        """How the machine is compiled, without the waves and monomials that no coefficient needs."""
        if self.remainder is not None or not isinstance(self.potential_coefficients, np.ndarray):
            return None
        table = np.vstack((self.mass_coefficients, self.potential_coefficients)).astype(np.float64)
        waves, monomials = 1 + 2 * len(self.frequencies), len(self.exponents)
        used = (table != 0).any(0).reshape(waves, monomials)
        pairs = used[1:].any(-1).reshape(-1, 2).any(-1)
        rows, columns = np.concatenate(([True], np.repeat(pairs, 2))), used.any(0)
        columns[0] = True
        table = table.reshape(-1, waves, monomials)[:, rows][..., columns].reshape(len(table), -1)
        kept = self.frequencies[pairs].astype(np.float64), self.exponents[columns]
        places = (np.array(indices, dtype=np.int64) for indices in (self.angular, self.linear))
        return Form("hnn_envs.kernels.series", self, series=(*places, *map(np.ascontiguousarray, (*kept, table))))

    def _remainder(self, q: Array) -> Array:
        features = Features(self.linear, self.angular)
        return self.remainder(features(q)) if self.remainder is not None else 0 * q


def _products(factors: Array, others: Array) -> Array:
    """All products of two groups of columns, the first group's index running slowest."""
    return (factors[..., :, None] * others[..., None, :]).reshape((*factors.shape[:-1], -1))


@cache
def half_frequencies(count: int, degree: int) -> Array:
    """The frequencies n of ``count`` angles with abs(n_i) <= degree, one of each pair n and -n, shape (F, count)."""
    every = product(range(-degree, degree + 1), repeat=count)
    half = [n for n in every if n > (0,) * count]
    return _table(sorted(half, key=lambda n: (sum(map(abs, n)), n)), count)


@cache
def monomial_exponents(count: int, power: int) -> Array:
    """The exponents of all monomials of ``count`` coordinates up to a degree, constant first, shape (P, count)."""
    every = [e for e in product(range(power + 1), repeat=count) if sum(e) <= power]
    return _table(sorted(every, key=lambda e: (sum(e), e)), count)


def _table(rows: list[tuple[int, ...]], width: int) -> Array:
    """A read-only table of integers."""
    table = np.array(rows, dtype=np.int64).reshape(len(rows), width)
    table.flags.writeable = False
    return table


@dataclass(frozen=True)
class Config:
    """The trigonometric machine, with viscous and dry friction.

    Attributes:
        degree: largest frequency of each angle.
        power: largest total degree of the polynomials in the other coordinates.
        friction: whether there is friction. Its coefficients are squares of parameters, so that they are not negative
            and may be zero.
        sharpness: about how sharp dry friction is, in arctan(sharpness * velocity); it is learned from there.
        remainder: whether a network adds what the series leave over.
        hidden: units of its hidden layers.
        chain: whether the machine is a chain of links, each with its angle relative to the one before. Then M does not
            depend on the first angle, which turns the whole machine, and V is of the directions of links, q1, q1 + q2,
            q1 + q2 + q3, ..., in which gravity pulls at them.
        ports: whether damping and input matrix are learned too.
    """

    degree: int = 2
    power: int = 2
    friction: bool = True
    sharpness: float = positive(50.0)
    remainder: bool = False
    hidden: tuple[int, ...] = (16,)
    chain: bool = False
    ports: Ports = field(default_factory=Ports)

    networks = ("network",)
    sparse = ("mass", "potential", *COEFFICIENTS)

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters.

        Raises:
            InvalidOptionError: the series have too many terms, the system is made of bodies, or a chain of links has
                coordinates that are no angles.
        """
        terms, entries = self._count(spec), _entries(spec)
        found: Shapes = {"mass": (entries, terms), "potential": (terms,)}
        if self.friction:
            found |= friction_shapes(spec)
        if self.remainder:
            found |= mlp_shapes("network", self._sizes(spec))
        return found | self.ports.shapes(spec)

    def _links(self, spec: SystemSpec) -> tuple[Array, Array]:
        """1 for the terms that M, and V, of a chain have, 0 for the others, each of shape (terms,)."""
        frequencies = half_frequencies(spec.dof, self.degree)
        directions = np.tri(spec.dof, dtype=np.int64)
        in_mass = frequencies[:, 0] == 0
        in_potential = (frequencies[:, None] == directions).all(axis=-1).any(axis=-1)
        of_mass, of_potential = (np.repeat(kept.astype(np.float64), 2) for kept in (in_mass, in_potential))
        return np.concatenate(([1.0], of_mass)), np.concatenate(([0.0], of_potential))

    def orders(self, spec: SystemSpec) -> dict[str, Array]:
        """Total degree of each term, by parameter: simple terms may be fitted before the others."""
        total = self._degrees(spec, np.sum)
        return {"mass": np.broadcast_to(total, (_entries(spec), len(total))), "potential": total}

    def degrees(self, spec: SystemSpec) -> dict[str, Array]:
        """The same with the largest degree that a term has in an angle: chains of links have terms of degree one."""
        largest = self._degrees(spec, np.max)
        return {"mass": np.broadcast_to(largest, (_entries(spec), len(largest))), "potential": largest}

    def plausible(
        self, spec: SystemSpec, inertia: float, energy: float, time: float
    ) -> dict[str, tuple[Array, float | Array]]:
        """What parameters may be, before anything is known of a machine but about how large its quantities are.

        Args:
            spec: of the system.
            inertia: about an entry of M.
            energy: about a difference of V.
            time: about a period.

        Returns:
            Mean and standard deviation by name; parameters that are not named may be anything.
        """
        masses = np.zeros((_entries(spec), self._count(spec)))
        masses[list(_diagonal(spec)), 0] = inertia
        rare = np.where(self.degrees(spec)["potential"] > 1, RARE, 1.0)
        found: dict[str, tuple[Array, float | Array]] = {
            "mass": (masses, np.broadcast_to(LARGEST_MASS * inertia * rare, masses.shape)),
            "potential": (np.zeros_like(rare), LARGEST_POTENTIAL * energy * rare),
        }
        if self.friction:
            none = np.zeros(spec.dof)
            found |= {
                "root_viscous": (none, math.sqrt(LARGEST_MASS * inertia / time)),
                "root_dry": (none, math.sqrt(energy)),
                "sharpness": (none, SHARPNESS),
            }
        return found

    def _degrees(self, spec: SystemSpec, of_angles: Callable[..., Array]) -> Array:
        """The sum, or the largest, of the angles' frequencies in each term, plus its monomial's degree, (terms,)."""
        features = Features.of(spec.angles)
        waves = of_angles(np.abs(half_frequencies(len(features.angular), self.degree)), axis=1, initial=0)
        powers = monomial_exponents(len(features.linear), self.power).sum(axis=1)
        degrees: Array = (np.concatenate(([0], np.repeat(waves, 2)))[:, None] + powers).ravel()
        return degrees

    def _sizes(self, spec: SystemSpec) -> tuple[int, ...]:
        return (Features.of(spec.angles).size, *self.hidden, _entries(spec) + 1)

    def _count(self, spec: SystemSpec) -> int:
        """Number of terms, counted before they are listed: a card may ask for any."""
        if spec.bodies:
            raise InvalidOptionError(
                f"the trigonometric family is of machines, and {spec.name!r} is made of bodies; use 'pairwise'"
            )
        if self.chain and not all(spec.angles):
            raise InvalidOptionError(f"a chain of links has angles only, and {spec.name!r} has other coordinates")
        angles, others = sum(spec.angles), spec.dof - sum(spec.angles)
        terms: int = (2 * self.degree + 1) ** angles * math.comb(others + self.power, others)
        if terms > MOST_TERMS:
            raise InvalidOptionError(
                f"the series of degree {self.degree} and power {self.power} of {spec.name!r} have {terms} terms, and "
                f"at most {MOST_TERMS} are allowed"
            )
        return terms

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """A mass of one on each coordinate, little friction, and coefficients near zero."""
        terms, entries = self._count(spec), _entries(spec)
        mass = 0.01 / terms * rng.standard_normal((entries, terms))
        mass[list(_diagonal(spec)), 0] += 1.0
        heights = 0.01 / terms * rng.standard_normal(terms)
        if self.chain:
            in_mass, in_potential = self._links(spec)
            mass, heights = mass * in_mass, heights * in_potential
        parameters: Parameters = {"mass": mass, "potential": heights}
        if self.friction:
            parameters |= init_friction(spec)
        if self.remainder:
            network = init_mlp(rng, "network", self._sizes(spec))
            last = f"network.weight{len(self.hidden)}"
            parameters |= network | {last: 0.01 * network[last]}
        return parameters | self.ports.init(spec, rng)

    def build(self, spec: SystemSpec, parameters: Parameters) -> HamiltonianFlow:
        """The vector field with these parameters."""
        self._count(spec)
        features = Features.of(spec.angles)
        mass, potential = parameters["mass"], parameters["potential"]
        if self.chain:
            in_mass, in_potential = (like(kept, mass) for kept in self._links(spec))
            mass, potential = mass * in_mass, potential * in_potential
        machine = TrigonometricMachine(
            angular=features.angular,
            linear=features.linear,
            frequencies=half_frequencies(len(features.angular), self.degree),
            exponents=monomial_exponents(len(features.linear), self.power),
            mass_coefficients=mass,
            potential_coefficients=potential,
            remainder=build_mlp(parameters, "network") if self.remainder else None,
        )
        flow = self.ports.attach(MachineHamiltonian(machine), spec, parameters)
        if self.friction:
            flow = replace(flow, dissipation=learned_friction(parameters, self.sharpness))
        return LagrangianFlow(flow) if spec.velocities else flow


def _entries(spec: SystemSpec) -> int:
    return spec.dof * (spec.dof + 1) // 2


def _diagonal(spec: SystemSpec) -> list[int]:
    """Which of the entries of M are on its diagonal."""
    rows = [(i, j) for i in range(spec.dof) for j in range(i, spec.dof)]
    return [place for place, (i, j) in enumerate(rows) if i == j]
