"""How well a learned physics stands in for the true one in its task."""

from __future__ import annotations

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint, Domain
from hnn_envs.dynamics import make_dynamics
from hnn_envs.rollouts import rollout
from hnn_envs.systems import known_truth
from hnn_envs.tasks import Task, find_task
from hnn_envs.tasks.actuation import actuation_of


def episode_errors(checkpoint: Checkpoint, starts: int = 100, seed: int = 20, *, task: Task | None = None) -> Array:
    """Largest distance between learned and true states over one episode under random actions.

    Both physics start together and are given the same uniformly random actions, a new one every step. An episode is
    compared for as long as the true one goes on: until the horizon, the task's limits or its termination, and for
    chaotic systems for one Lyapunov time.

    Args:
        checkpoint: the learned physics.
        starts: number of episodes.
        seed: of initial states and actions.
        task: on the checkpoint's system; by default the first registered one.

    Returns:
        One error per start: the largest component of abs(x - x_true) / (width of the checkpoint's domain), shape
        (starts,).
    """
    task, rng = find_task(checkpoint.card.system) if task is None else task, np.random.default_rng(seed)
    spec = known_truth(task.system).spec
    states = np.stack([task.initial_state(rng) for _ in range(starts)])
    steps = task.max_episode_steps
    if spec.chaotic:
        steps = min(steps, round(spec.time_scale / task.dt))
    actuation = actuation_of(task)
    inputs = actuation.to_inputs(rng.uniform(-1, 1, (steps, starts, actuation.actions)))
    true, learned = (
        rollout(task.system, states, steps, dynamics=make_dynamics(task.system, physics, dt=task.dt), inputs=inputs)
        for physics in ("ode", checkpoint)
    )
    ended = ~task.inside(true.states) | task.terminated(true.states)
    going = np.cumsum(ended, axis=0) == 0
    return _largest_error(true.states, learned.states, going, checkpoint.card.domain)


def _largest_error(true: Array, learned: Array, going: Array, domain: Domain) -> Array:
    errors = np.abs(learned - true) / domain.width
    errors = np.where(np.isfinite(errors), errors, np.inf)
    return np.where(going[..., None], errors, 0.0).max(axis=(0, 2))
