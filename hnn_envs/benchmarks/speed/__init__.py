"""How fast environments, rollouts and training are on this machine, next to peers; ratios count.

Everything is one thread in one process, apart from what a peer does of its own.
"""

from __future__ import annotations

from hnn_envs.benchmarks.speed.interleaved import Effort
from hnn_envs.benchmarks.speed.limits import cuda, the_limit
from hnn_envs.benchmarks.speed.machines import machine_steps
from hnn_envs.benchmarks.speed.stepping import all_sizes, many_environments, one_environment
from hnn_envs.benchmarks.speed.users import stable_baselines, start_up, training
from hnn_envs.evaluation.records import Row
from hnn_envs.progress import Progress, silent

__all__ = ["AT_MOST", "FULL", "PARTS", "QUICK", "Effort", "missed", "run"]

AT_MOST = (
    "step_over_pendulum_v1",
    "step_over_mujoco",
    "cost_over_best_size",
    "import_seconds",
    "first_step_seconds",
    "training_step_over_seed",
    "trainer_overhead",
)
"""Metrics whose reference is the largest value that is good enough; that of all others is the smallest."""

FULL = Effort()
QUICK = Effort(turns=1, seconds=0.002, largest=1024, agents=(4,))

PARTS = {
    "one environment": one_environment,
    "many environments": many_environments,
    "machines": machine_steps,
    "batches of all sizes": all_sizes,
    "the limit": the_limit,
    "Stable-Baselines3": stable_baselines,
    "CUDA": cuda,
    "start-up": start_up,
    "training": training,
}


def run(effort: Effort = FULL, progress: Progress = silent) -> list[Row]:
    """Measures everything; ``progress`` is told how many parts are done, how many there are, and what comes next."""
    rows: list[Row] = []
    for done, (name, part) in enumerate(PARTS.items()):
        progress(done, len(PARTS), name)
        rows += part(effort)
    progress(len(PARTS), len(PARTS), "done")
    return rows


def missed(row: Row) -> bool:
    """Whether a row has a target and misses it."""
    if row.reference is None:
        return False
    return row.value > row.reference if row.metric in AT_MOST else row.value < row.reference
