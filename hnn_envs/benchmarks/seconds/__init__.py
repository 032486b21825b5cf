"""The seconds benchmark: how much experience agents need until a task is solved."""

from __future__ import annotations

from hnn_envs.benchmarks.seconds.cells import AGENTS, LEARNERS, OURS
from hnn_envs.benchmarks.seconds.challenges import GYMNASIUM, OWN
from hnn_envs.benchmarks.seconds.suite import agents_of, run, seconds_of

__all__ = ["AGENTS", "GYMNASIUM", "LEARNERS", "OURS", "OWN", "agents_of", "run", "seconds_of"]
