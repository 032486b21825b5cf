"""``make frames``: many steps of environments that are seen as pictures, in constant memory, without a wrong frame.

python tests/long_frames.py STEPS

Every so many steps all frames of the batch are drawn again from the states that the environments say they are in, and
at each step those of one environment alone; a frame of another state differs in hundreds of pixels.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import gymnasium
import numpy as np

ROWS = 64
EVERY = 100
ROUNDING = 1
"""Of 255: a sum over one row may be added in another order than over many."""


def main(steps: int, dynamics: str = "hnn") -> int:
    """Steps so many times in all; the exit status says whether a frame was wrong or memory grew."""
    envs = gymnasium.make_vec("hnn_envs:hnn_envs/PixelPendulum-v0", num_envs=ROWS, dynamics=dynamics)
    inner, rng = envs.unwrapped, np.random.default_rng(0)
    observe = inner.dynamics.observation_model.observe
    envs.reset(seed=0)
    wrong = episodes = 0
    began, before, grown, calls = time.perf_counter(), 0.0, 0.0, steps // ROWS
    for call in range(calls):
        frames, rewards, ended, cut, _ = envs.step(rng.uniform(-1, 1, (ROWS, 1)).astype(np.float32))
        episodes += int((ended | cut).sum())
        row = int(rng.integers(ROWS))
        alone = observe(inner.state[row]).astype(int)
        wrong += int(np.abs(alone - frames[row]).max() > ROUNDING or not np.isfinite(rewards).all())
        if call % EVERY == 0:
            wrong += int((observe(inner.state) != frames).any(axis=(1, 2, 3)).sum())
        if call == calls // 10:
            before = megabytes()
        if (call + 1) % max(1, calls // 10) == 0:
            rate = (call + 1) * ROWS / (time.perf_counter() - began)
            grown = megabytes() - before if before else 0.0
            print(  # noqa: T201
                f"{(call + 1) * ROWS} steps under {dynamics}, {episodes} episodes, {wrong} wrong frames, "
                f"{grown:+.1f} MB since the first tenth, {rate:,.0f} steps/s",
                flush=True,
            )
    return int(wrong > 0 or grown > 10)


def megabytes() -> float:
    """The memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
