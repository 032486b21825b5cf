"""Steps of one environment, of batches and of rollouts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.performance import benchmark_vector_step

from hnn_envs.benchmarks.speed.interleaved import Case, Effort, interleave, repeat, row
from hnn_envs.benchmarks.speed.peers import SeedsWay, has_peer, jax_steps
from hnn_envs.dynamics import make_dynamics
from hnn_envs.envs import PhysicsVectorEnv
from hnn_envs.evaluation.records import Row
from hnn_envs.ids import environment_of
from hnn_envs.rollouts import rollout
from hnn_envs.tasks import get_task

BATCH = 1024
SIZES = (64, 256, BATCH, 4096, 16384, 65536)
LONGEST = {"pendulum": 1.0, "two-body": 2.0, "three-body": 3.0}
"""Task -> how many times as long as Pendulum-v1's step its own may take."""


def one_environment(effort: Effort) -> Iterator[Row]:
    """``step()`` of single environments, unwrapped, next to Gymnasium's pendulum, under the same actions."""
    cases = {("pendulum", "gymnasium"): steps(gymnasium.make("Pendulum-v1").unwrapped, effort)}
    for system in LONGEST:
        name, options = environment_of(system)
        for dynamics in ("ode", "hnn"):
            env = gymnasium.make(name, dynamics=dynamics, **options).unwrapped
            cases[system, dynamics] = steps(env, effort)
    timings = interleave(cases, effort.turns)
    peer = timings["pendulum", "gymnasium"]
    for (system, dynamics), timing in timings.items():
        yield row(system, dynamics, "microseconds_per_step", timing.times(1e6), "us")
        if dynamics != "gymnasium":
            target = LONGEST[system] if dynamics == "hnn" else None
            yield row(system, dynamics, "step_over_pendulum_v1", timing.over(peer), reference=target)


def steps(env: Any, effort: Effort) -> Case:
    """Seconds per step of one environment at the start of an episode, under random actions; resets are not timed."""
    count = max(20, int(4000 * effort.seconds))
    actions = list(np.random.default_rng(0).uniform(-1, 1, (count, *env.action_space.shape)).astype(np.float32))

    def case() -> float:
        env.reset(seed=0)
        start = time.perf_counter()
        for action in actions:
            env.step(action)
        return (time.perf_counter() - start) / count

    return case


def many_environments(effort: Effort) -> Iterator[Row]:
    """1024 environments by Gymnasium's own counter, next to SyncVectorEnv, CartPole, the seed's way and rollouts."""
    import torch

    sync = gymnasium.make_vec("Pendulum-v1", num_envs=BATCH, vectorization_mode="sync")
    cartpole = gymnasium.make_vec("CartPole-v1", num_envs=BATCH, vectorization_mode="vector_entry_point")
    cases = {"SyncVectorEnv": counted(sync, effort), "CartPole": counted(cartpole, effort)}
    seeds_way, states = SeedsWay(), torch.zeros((BATCH, 2))
    cases["seed"] = repeat(lambda: seeds_way.step(states, get_task("pendulum").dt), effort.seconds, BATCH)
    for dynamics in ("ode", "hnn"):
        cases[dynamics] = counted(make_batch(BATCH, dynamics=dynamics), effort)
        cases[f"{dynamics} rollout"] = _rollouts(dynamics, effort)
    timings = interleave(cases, effort.turns)
    for name, dynamics in (("SyncVectorEnv", "gymnasium"), ("CartPole", "gymnasium/CartPole"), ("seed", "seed")):
        yield row("pendulum", dynamics, f"steps_per_second_{BATCH}", timings[name].rate(), "1/s")
    for dynamics, least in (("ode", 20.0), ("hnn", 30.0)):
        own, rolled = timings[dynamics], timings[f"{dynamics} rollout"]
        yield row("pendulum", dynamics, f"steps_per_second_{BATCH}", own.rate(), "1/s")
        yield row("pendulum", dynamics, "times_sync_vector_env", timings["SyncVectorEnv"].over(own), reference=least)
        yield row("pendulum", dynamics, f"rollout_steps_per_second_{BATCH}", rolled.rate(), "1/s")
        yield row("pendulum", dynamics, "rollout_times_vector_env", own.over(rolled), reference=1.0)
    yield row("pendulum", "hnn", "times_seed", timings["seed"].over(timings["hnn"]), reference=25.0)


def counted(envs: Any, effort: Effort) -> Case:
    """Seconds per environment step, as Gymnasium's performance utility counts them."""
    return lambda: 1 / benchmark_vector_step(envs, effort.seconds, seed=0)  # type: ignore[arg-type]


def _rollouts(dynamics: str, effort: Effort) -> Case:
    """Rollouts under a given action, as long as an episode."""
    task = get_task("pendulum")
    physics, steps = make_dynamics(task.system, dynamics, dt=task.dt), task.max_episode_steps
    states = np.random.default_rng(0).uniform(-1, 1, (BATCH, 2))
    actions = np.random.default_rng(0).uniform(-task.max_input, task.max_input, (steps, BATCH, 1))
    return repeat(
        lambda: rollout(task.system, states, steps, dynamics=physics, inputs=actions), effort.seconds, BATCH * steps
    )


def all_sizes(effort: Effort) -> Iterator[Row]:
    """Batches of all sizes without end of episode, next to the physics alone in JAX."""
    sizes = [size for size in SIZES if size <= effort.largest]
    cases: dict[Any, Case] = {}
    for size in sizes:
        for dynamics in ("ode", "hnn"):
            envs = make_batch(size, dynamics=dynamics, max_episode_steps=-1)
            envs.reset(seed=0)
            cases[dynamics, size] = _stepped(envs, effort)
        if size in (BATCH, 16384) and has_peer("jax"):
            for dtype in ("float64", "float32"):
                cases["jax", size, dtype] = _in_jax(size, dtype, effort)
    timings = interleave(cases, effort.turns)
    for dynamics in ("ode", "hnn"):
        best = min((timings[dynamics, size] for size in sizes), key=lambda timing: timing.median)
        for size in sizes:
            timing = timings[dynamics, size]
            yield row("pendulum", dynamics, f"nanoseconds_per_step_{size}", timing.times(1e9), "ns")
        yield row("pendulum", dynamics, "cost_over_best_size", timing.over(best), reference=1.3)
    for name, timing in timings.items():
        if name[0] == "jax":
            _, size, dtype = name
            yield row("pendulum", f"jax/{dtype}", f"nanoseconds_per_step_{size}", timing.times(1e9), "ns")
            target = 1.0 if dtype == "float64" else None  # the precision of the environment
            yield row(
                "pendulum", "hnn", f"times_jax_{dtype}_{size}", timing.over(timings["hnn", size]), reference=target
            )


def make_batch(size: int, **options: Any) -> PhysicsVectorEnv:
    """A native batch of pendulums."""
    return gymnasium.make_vec("hnn_envs:hnn_envs/Pendulum-v0", num_envs=size, **options)  # type: ignore[return-value]


def _stepped(envs: Any, effort: Effort) -> Case:
    actions = envs.action_space.sample()
    return repeat(lambda: envs.step(actions), effort.seconds, envs.num_envs)


def _in_jax(size: int, dtype: str, effort: Effort) -> Case:
    """The physics of the default HNN pendulum, without observation, reward and end, in JAX."""
    task = get_task("pendulum")
    dynamics = make_dynamics(task.system, "hnn", dt=task.dt, dtype=dtype)
    return repeat(jax_steps(dynamics, size), effort.seconds, size)
