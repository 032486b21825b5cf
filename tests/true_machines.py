"""The true machines written as parameters of the trigonometric family, for the tests of models and of fitting."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.models.friction import RANGE
from hnn_envs.models.trigonometric import Config, half_frequencies, monomial_exponents
from hnn_envs.systems.cart_pole import CART_POLE
from hnn_envs.systems.double_pendulum import DOUBLE_PENDULUM


def column(config: Config, frequency: tuple[int, ...], exponents: tuple[int, ...]) -> int:
    """The number of a term with a cosine, as the class of the machine says it."""
    monomials = monomial_exponents(len(exponents), config.power).tolist()
    place = 0
    if any(frequency):
        place = 1 + 2 * half_frequencies(len(frequency), config.degree).tolist().index(list(frequency))
    return place * len(monomials) + monomials.index(list(exponents))


def true_cart_pole(config: Config) -> dict[str, Array]:
    """The true cart-pole."""
    true, terms = CART_POLE, (1 + 2 * config.degree) * (1 + config.power)
    mass, potential = np.zeros((3, terms)), np.zeros(terms)
    constant = column(config, (0,), (0,))
    wave = column(config, (1,), (0,))
    lever = true.pole_mass * true.half_length
    mass[0, constant] = true.cart_mass + true.pole_mass
    mass[1, wave] = lever
    mass[2, constant] = 4 / 3 * lever * true.half_length
    potential[constant], potential[wave] = lever * true.gravity, -lever * true.gravity
    friction = np.array([true.cart_friction, true.hinge_friction])
    return _with_friction(mass, potential, friction, np.zeros(2))


def true_double_pendulum(config: Config) -> dict[str, Array]:
    """The true double pendulum."""
    true, terms = DOUBLE_PENDULUM, (1 + 2 * config.degree) ** 2

    def at(*frequency: int) -> int:
        return column(config, frequency, ())

    mass, potential = np.zeros((3, terms)), np.zeros(terms)
    rotor, ratio, coupling = true.rotor_inertia, true.gear_ratio, true.mass_2 * true.length_1 * true.centre_2
    mass[0, at(0, 0)] = true.inertia_1 + true.inertia_2 + true.mass_2 * true.length_1**2 + (ratio**2 + 1) * rotor
    mass[1, at(0, 0)] = true.inertia_2 - ratio * rotor
    mass[2, at(0, 0)] = true.inertia_2 + ratio**2 * rotor
    mass[0, at(0, 1)], mass[1, at(0, 1)] = 2 * coupling, coupling
    levers = true.gravity * (true.mass_1 * true.centre_1 + true.mass_2 * true.length_1)
    potential[at(1, 0)], potential[at(1, 1)] = -levers, -true.gravity * true.mass_2 * true.centre_2
    potential[at(0, 0)] = -potential.sum()
    return _with_friction(mass, potential, np.array(true.viscous_friction), np.array(true.dry_friction))


def _with_friction(mass: Array, potential: Array, viscous: Array, dry: Array) -> dict[str, Array]:
    friction = {
        "root_viscous": np.sqrt(viscous),
        "root_dry": np.sqrt(dry),
        "sharpness": np.full(2, RANGE * math.atanh(math.log(2) / RANGE)),  # 100, twice where it starts
    }
    return {"mass": mass, "potential": potential} | friction


TRUE: dict[str, Callable[[Config], dict[str, Array]]] = {
    "cart-pole": true_cart_pole,
    "double-pendulum": true_double_pendulum,
}
