"""The adapter of all environments of this package."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.recordings.adapters import Adapter, Env, State
from hnn_envs.systems.spec import Coordinate

MOST_DRAWN = 100
"""States that are drawn to find one within a task's limits."""


def own_adapter(env: Env) -> Adapter:
    """Any environment of this package; states of momenta are seen as velocities."""
    spec = env.dynamics.spec
    names = [f"q{index + 1}" for index in range(spec.dof)]
    coordinates = tuple(
        Coordinate(name, each.unit, each.angle, f"{name}_dot", f"{each.unit}/{spec.time_unit}".strip("/"))
        for name, each in zip(names, spec.coordinates, strict=True)
    )
    return Adapter(
        coordinates=coordinates,
        inputs=spec.inputs,
        dt=float(env.dynamics.dt),
        state=lambda own: (own.state[: spec.dof], _velocity(own, own.state)),
        input=lambda own, action: np.asarray(own.inputs_of(action)),
        put=_own_put,
        input_matrix=spec.input_matrix,
        wide=None if env.dynamics.truth is None else _own_start,
    )


def _own_start(env: Env, generator: np.random.Generator) -> State:
    """A state of those that the system's states are drawn from, within the task's limits."""
    drawn = env.dynamics.truth.sample_states(generator, MOST_DRAWN)
    x = drawn[int(np.argmax(env.task.inside(drawn)))]
    return x[: env.dynamics.spec.dof], _velocity(env, x)


def _velocity(env: Env, x: Array) -> Array:
    """Q', shape (dof,), of a state."""
    dynamics = env.dynamics
    dof = dynamics.spec.dof
    if dynamics.spec.velocities:
        return np.asarray(x[dof:])
    return np.asarray(dynamics.to_numpy(dynamics.field(dynamics.to_device(x), None)))[:dof]


def _own_put(env: Env, q: Array, v: Array) -> None:
    if env.dynamics.spec.velocities:
        env.state = np.concatenate([q, v])
        return
    offset = _velocity(env, np.concatenate([q, np.zeros_like(q)]))
    env.state = np.concatenate([q, np.linalg.solve(velocity_map(env, q), v - offset)])


def velocity_map(env: Env, q: Array) -> Array:
    """M(q)^-1, by which velocities follow from momenta, shape (dof, dof); the identity where states are of velocities.

    Args:
        env: of this package, without wrappers.
        q: positions, shape (dof,).
    """
    if env.dynamics.spec.velocities:
        return np.eye(len(q))
    # Velocities are linear in the momenta: the columns are the velocities of unit momenta.
    still, *columns = (_velocity(env, np.concatenate([q, each])) for each in (np.zeros_like(q), *np.eye(len(q))))
    return np.stack(columns, axis=-1) - still[:, None]
