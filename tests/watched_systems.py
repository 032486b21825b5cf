"""Recordings of true systems, as their users would have them."""

from __future__ import annotations

import numpy as np

from hnn_envs.dynamics import make_dynamics
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.systems import get_system
from hnn_envs.systems.spec import Coordinate, Input


def watch_system(
    name: str, seconds: float, *, dt: float = 0.05, largest_input: float = 10.0, noise: float = 0.0, seed: int = 0
) -> Recording:
    """One run under random inputs that are held over every step."""
    system, rng = get_system(name), np.random.default_rng(seed)
    spec, dynamics = system.spec, make_dynamics(name, dt=dt)
    count = round(seconds / dt)
    inputs = rng.uniform(-largest_input, largest_input, (count, len(spec.inputs)))
    states = [system.sample_states(rng, 1)[0]]
    for held in inputs:
        states.append(dynamics.step(states[-1], held))
    seen = np.array(states) + noise * rng.standard_normal((count + 1, 2 * spec.dof))
    times = dt * np.arange(count + 1)
    run = Run(name, times, seen[:, : spec.dof], seen[:, spec.dof :], times[:-1], inputs)
    return Recording(name, spec.coordinates, spec.inputs, (run,), spec.input_matrix)


def watch_swing(
    seconds: float,
    *,
    dt: float = 0.04,
    noise: float = 0.0,
    velocities: bool = True,
    irregular: bool = False,
    largest_input: float = 1.0,
    damping: float = 0.1,
    hold: int = 4,
    seed: int = 0,
) -> Recording:
    """A pendulum q'' = -4 sin q - damping q' + u, stepped finely; inputs change at times of their own."""
    rng = np.random.default_rng(seed)
    fine, every = dt / 20, 20
    count = round(seconds / fine)
    held = rng.uniform(-largest_input, largest_input, count // (hold * every) + 1)
    x, path = np.array([rng.uniform(-2, 2), rng.uniform(-1, 1)]), []
    for step in range(count + 1):
        path.append(x)
        x = _swing_step(x, held[min(step // (hold * every), len(held) - 1)], fine, damping)
    states, times = np.array(path), fine * np.arange(count + 1)
    places = np.arange(0, count + 1, every)
    if irregular:
        places = np.unique(np.concatenate(([0], rng.choice(count + 1, len(places), replace=False))))
    seen = states[places] + noise * rng.standard_normal((len(places), 2))
    driven = largest_input > 0
    input_times = hold * every * fine * np.arange(len(held)) if driven else times[:1]
    run = Run(
        "swing",
        times[places],
        seen[:, :1],
        seen[:, 1:] if velocities else None,
        input_times,
        held[:, None] if driven else np.zeros((1, 0)),
    )
    coordinate = Coordinate("angle q", "rad", angle=True, momentum="velocity", momentum_unit="rad/s")
    return Recording("swing", (coordinate,), (Input("torque", "N m"),) if driven else (), (run,))


def _swing_step(x: np.ndarray, u: float, h: float, damping: float) -> np.ndarray:
    """RK4."""

    def rate(y: np.ndarray) -> np.ndarray:
        return np.array([y[1], -4 * np.sin(y[0]) - damping * y[1] + u])

    k1 = rate(x)
    k2 = rate(x + h / 2 * k1)
    k3 = rate(x + h / 2 * k2)
    k4 = rate(x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
