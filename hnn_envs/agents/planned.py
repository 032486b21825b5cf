"""Episodes of a planner: in one physics it plans, in another, or the same, it acts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from gymnasium.vector import AutoresetMode

from hnn_envs.agents.ilqr_planning import ILQRPlanner
from hnn_envs.agents.planning import Planner
from hnn_envs.arrays import Array
from hnn_envs.envs import PhysicsVectorEnv
from hnn_envs.errors import UnknownNameError
from hnn_envs.progress import Progress, silent
from hnn_envs.tasks import Task

PLANNERS: dict[str, type[Planner] | type[ILQRPlanner]] = {"cem": Planner, "ilqr": ILQRPlanner}
"""The cross-entropy method, and iterative linear-quadratic control."""


@dataclass(frozen=True)
class Planned:
    """What came of planning, an entry per episode.

    Attributes:
        returns: sums of rewards.
        steps: lengths.
        outside: whether the episode ended outside the limits.
        milliseconds: per step of all episodes, planning and stepping.
        frames: of the first episode, uint8, shape (height, width, 3) each; empty where none were asked for.
    """

    returns: Array
    steps: Array
    outside: Array
    milliseconds: float
    frames: list[Array]


def plan_episodes(
    task: str | Task,
    dynamics: str,
    acting: str,
    *,
    episodes: int = 1,
    seed: int = 0,
    frames: bool = False,
    planner: str = "cem",
    progress: Progress = silent,
) -> Planned:
    """Plays one episode from each of several starts, all at once, and plans every step.

    Args:
        task: a task or its name.
        dynamics: the physics to plan in, as for ``Planner``.
        acting: the physics to act in, as for ``PhysicsVectorEnv``.
        episodes: how many; start i is drawn by seed + i.
        seed: of the starts and of the plans.
        frames: whether the first episode is drawn.
        planner: how plans are found, a key of ``PLANNERS``.
        progress: told how many steps were done, of the horizon.

    Raises:
        UnknownNameError: there is no such planner.
        HnnEnvsError: what cannot be planned or played.
    """
    if planner not in PLANNERS:
        raise UnknownNameError.of("planner", planner, PLANNERS)
    mode = None if not frames else "rgb_array"
    batch = PhysicsVectorEnv(task, episodes, acting, render_mode=mode, autoreset_mode=AutoresetMode.NEXT_STEP)
    plans = PLANNERS[planner](task, dynamics, seed=seed)
    batch.reset(seed=seed)
    returns, steps, outside = np.zeros(episodes), np.zeros(episodes, dtype=np.int64), np.zeros(episodes, dtype=np.bool_)
    going, drawn, horizon = np.ones(episodes, dtype=np.bool_), [], batch.max_episode_steps or 0
    began = time.perf_counter()
    while going.any():
        if frames and going[0]:
            drawn.append(batch.frame(0))
        _, rewards, terminated, truncated, infos = batch.step(plans.plan(batch.state))
        returns += np.where(going, rewards, 0.0)
        steps += going
        outside |= going & (infos["out_of_domain"] > 0)
        going &= ~(terminated | truncated)
        progress(int(steps.max()), horizon, batch.task.name)
    milliseconds = 1000 * (time.perf_counter() - began) / float(steps.max())
    return Planned(returns, steps, outside, milliseconds, drawn)
