"""Steps of machines, next to those of MuJoCo's double pendulum on a cart and of EnvPool's pendulum in C++."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import gymnasium

from hnn_envs.benchmarks.speed.interleaved import Case, Effort, interleave, repeat, row
from hnn_envs.benchmarks.speed.peers import has_peer
from hnn_envs.benchmarks.speed.stepping import BATCH, counted, steps
from hnn_envs.evaluation.records import Row
from hnn_envs.ids import environment_of

MUJOCO = "InvertedDoublePendulum-v5"
ENVPOOL = "Pendulum-v1"
TIMES_ENVPOOL = {"cart-pole": 5.0, "acrobot": None}
"""Task -> how many times the steps of EnvPool's pendulum its batch has to take; None where that is only shown."""


def machine_steps(effort: Effort) -> Iterator[Row]:
    """One cart-pole and one acrobot, and batches of them; rows next to a peer only where it is installed."""
    yield from _one(effort)
    yield from _many(effort)


def _one(effort: Effort) -> Iterator[Row]:
    cases = {("pendulum", "gymnasium"): steps(gymnasium.make("Pendulum-v1").unwrapped, effort)}
    if has_peer("mujoco"):
        cases["double-pendulum", "mujoco"] = steps(gymnasium.make(MUJOCO).unwrapped, effort)
    for task in TIMES_ENVPOOL:
        name, options = environment_of(task)
        for dynamics in ("ode", "hnn"):
            env = gymnasium.make(name, dynamics=dynamics, **options).unwrapped
            cases[task, dynamics] = steps(env, effort)
    timings = interleave(cases, effort.turns)
    mujoco = timings.get(("double-pendulum", "mujoco"))
    if mujoco is not None:
        yield row("double-pendulum", f"mujoco/{MUJOCO}", "microseconds_per_step", mujoco.times(1e6), "us")
    for task in TIMES_ENVPOOL:
        for dynamics in ("ode", "hnn"):
            own, is_learned = timings[task, dynamics], dynamics == "hnn"
            yield row(task, dynamics, "microseconds_per_step", own.times(1e6), "us")
            over = own.over(timings["pendulum", "gymnasium"])
            yield row(task, dynamics, "step_over_pendulum_v1", over, reference=2.0 if is_learned else None)
            if mujoco is not None:
                yield row(task, dynamics, "step_over_mujoco", own.over(mujoco), reference=1.0 if is_learned else None)


def _many(effort: Effort) -> Iterator[Row]:
    cases: dict[Any, Case] = {}
    if has_peer("mujoco"):
        cases["mujoco"] = counted(gymnasium.make_vec(MUJOCO, num_envs=BATCH, vectorization_mode="sync"), effort)
    if has_peer("envpool"):
        cases["envpool"] = _envpool(effort)
    for task in TIMES_ENVPOOL:
        name, options = environment_of(task)
        for dynamics in ("ode", "hnn"):
            cases[task, dynamics] = counted(
                gymnasium.make_vec(name, num_envs=BATCH, dynamics=dynamics, **options), effort
            )
    timings = interleave(cases, effort.turns)
    for peer, system, label in (("mujoco", "double-pendulum", MUJOCO), ("envpool", "pendulum", ENVPOOL)):
        if peer in timings:
            yield row(system, f"{peer}/{label}", f"steps_per_second_{BATCH}", timings[peer].rate(), "1/s")
    for task, times in TIMES_ENVPOOL.items():
        for dynamics in ("ode", "hnn"):
            own, is_learned = timings[task, dynamics], dynamics == "hnn"
            yield row(task, dynamics, f"steps_per_second_{BATCH}", own.rate(), "1/s")
            if "mujoco" in timings:
                least = 20.0 if is_learned else None
                yield row(task, dynamics, "times_mujoco", timings["mujoco"].over(own), reference=least)
            if "envpool" in timings:
                least = times if is_learned else None
                yield row(task, dynamics, "times_envpool", timings["envpool"].over(own), reference=least)


def _envpool(effort: Effort) -> Case:
    """EnvPool's pendulum on one thread, as many environments."""
    envpool: Any = import_module("envpool")  # whether it is there is nothing for type checkers
    envs = envpool.make_gymnasium(ENVPOOL, num_envs=BATCH, num_threads=1)
    envs.reset()
    actions = gymnasium.vector.utils.batch_space(envs.action_space, BATCH).sample()
    return repeat(lambda: envs.step(actions), effort.seconds, BATCH)
