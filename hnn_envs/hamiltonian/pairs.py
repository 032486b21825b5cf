"""Pairwise central forces on n identical bodies in the plane, for true and learned potentials alike."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

from hnn_envs.arrays import Array, like, namespace


@cache
def incidence(bodies: int) -> Array:
    """The pairs' incidence matrix, shape (pairs, bodies): +1 for the first body of a pair, -1 for the second."""
    pairs = list(combinations(range(bodies), 2))
    matrix = np.zeros((len(pairs), bodies))
    for row, (first, second) in enumerate(pairs):
        matrix[row, first], matrix[row, second] = 1.0, -1.0
    matrix.flags.writeable = False
    return matrix


def separations(q: Array, bodies: int) -> tuple[Array, Array]:
    """Differences q_i - q_j, shape (..., pairs, 2), and distances (..., pairs), for q of shape (..., 2*bodies)."""
    positions = q.reshape((*q.shape[:-1], bodies, 2))
    differences = like(incidence(bodies), q) @ positions
    return differences, namespace(q).sqrt((differences * differences).sum(-1))


def gather(pair_gradients: Array, bodies: int) -> Array:
    """Sums gradients with respect to the differences, shape (..., pairs, 2), into one per body, (..., 2*bodies)."""
    per_body = like(incidence(bodies), pair_gradients).T @ pair_gradients
    return per_body.reshape((*per_body.shape[:-2], 2 * bodies))


def closest_distance(q: Array, bodies: int) -> Array:
    """The smallest separation of two bodies, shape (...,), for q of shape (..., 2*bodies)."""
    return namespace(q).min(separations(q, bodies)[1], axis=-1)


@cache
def internal_thrusts(bodies: int) -> Array:
    """An orthonormal basis of the forces that sum to zero, shape (2*bodies, 2*(bodies - 1)), by the Helmert matrix.

    Column pair k pushes bodies 0..k one way and body k + 1 the other, so the centre of mass feels nothing.
    """
    basis = np.zeros((bodies, bodies - 1))
    for column in range(bodies - 1):
        basis[: column + 1, column] = 1.0
        basis[column + 1, column] = -(column + 1.0)
    basis /= np.linalg.norm(basis, axis=0)
    thrusts = np.kron(basis, np.eye(2))
    thrusts.flags.writeable = False
    return thrusts
