"""What the machine's arithmetic allows, and the share of it that steps reach; the same on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hnn_envs.benchmarks.speed.interleaved import Case, Effort, Timing, interleave, repeat, row
from hnn_envs.benchmarks.speed.peers import arithmetic, products, settled, tanhs
from hnn_envs.benchmarks.speed.stepping import BATCH, make_batch
from hnn_envs.evaluation.records import Row

HALF = 0.5


def the_limit(effort: Effort) -> Iterator[Row]:
    """The rates of matrix products and of the fastest tanh, and the share of a step that they would need at those."""
    for dtype in ("float64", "float32"):
        target = HALF if dtype == "float64" else None  # what the environments use unless told otherwise
        yield from _shares(effort, dtype, "cpu", BATCH, target, {"dtype": dtype})


def cuda(effort: Effort) -> Iterator[Row]:
    """The same on the first GPU, with states, networks and actions that stay there; nothing without one."""
    import torch

    if torch.cuda.is_available():
        options = {"device": "cuda", "output": "torch", "dtype": "float32"}
        yield from _shares(effort, "float32", "cuda", effort.largest, None, options)


def _shares(
    effort: Effort, dtype: str, device: str, size: int, target: float | None, options: dict[str, Any]
) -> Iterator[Row]:
    import torch

    envs = make_batch(size, dynamics="hnn", max_episode_steps=-1, **options)
    envs.reset(seed=0)
    actions: Any = envs.action_space.sample()
    actions = torch.as_tensor(actions, device=device) if device != "cpu" else actions
    needed = arithmetic(envs.dynamics)
    product, operations = products(dtype, device)
    ways, count = tanhs(dtype, device)
    cases: dict[str, Case] = {name: repeat(way, effort.seconds, count) for name, way in ways.items()}
    cases["product"] = repeat(product, effort.seconds, operations)
    cases["step"] = repeat(settled(lambda: envs.step(actions), device), effort.seconds, size)
    timings = interleave(cases, effort.turns)
    gemm, step = timings["product"], timings["step"]
    tanh = min((timings[name] for name in ways), key=lambda timing: timing.median)
    least = Timing(needed.operations * gemm.costs + needed.functions * tanh.costs)
    where = f"{device}/{dtype}"
    yield row("", where, "gemm_gflops", gemm.rate().times(1e-9), "GFLOP/s")
    yield row("", where, "tanh_per_nanosecond", tanh.rate().times(1e-9), "1/ns")
    yield row("pendulum", f"hnn/{where}", f"steps_per_second_{size}", step.rate(), "1/s")
    yield row("pendulum", f"hnn/{where}", "nanoseconds_at_the_limit", least.times(1e9), "ns")
    yield row("pendulum", f"hnn/{where}", "share_of_the_limit", least.over(step), reference=target)
