"""Makes the pictures of the README: one of every environment, the comparisons, and what is learned from how much.

``python examples/figures.py`` writes them to examples/pictures. Pictures of environments are of real
episodes; that of learning is drawn from examples/results/learning.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

import hnn_envs
from hnn_envs.benchmarks.learning import curves_of
from hnn_envs.evaluation.comparison import compare
from hnn_envs.evaluation.records import read_rows
from hnn_envs.figures.animation import write_gif
from hnn_envs.figures.learning import learning_figure
from hnn_envs.figures.plots import comparison_figure

STEPS = {
    "MassSpring": 40,
    "Pendulum": 60,
    "RealPendulum": 50,
    "TwoBody": 110,
    "ThreeBody": 90,
    "CartPole": 36,
    "Acrobot": 18,
    "Pendubot": 52,
    "PixelPendulum": 60,
}


RESULTS = Path(__file__).parent / "results"


def environment_picture(name: str, folder: Path) -> None:
    """Draws one environment in the middle of an episode with slowly changing random actions."""
    env = gym.make(f"hnn_envs:hnn_envs/{name}-v0", dynamics="hnn", render_mode="rgb_array")
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    action = np.zeros(env.action_space.shape, np.float32)
    for _ in range(STEPS[name]):
        action = np.clip(0.9 * action + 0.4 * rng.standard_normal(action.shape), -1, 1).astype(np.float32)
        env.step(action)
    Image.fromarray(env.render()).save(folder / f"{name}.png", optimize=True)
    env.close()


def comparison_pictures(system: str, folder: Path) -> None:
    """The figure and the animation of ``hnn-envs compare``, the animation shorter."""
    comparison = compare(system)
    comparison_figure(comparison).savefig(folder / f"compare-{system}.png", dpi=100)
    write_gif(compare(system, periods=8), folder / f"compare-{system}.gif", frames=120, size=(260, 260))


def learning_picture(results: Path, folder: Path) -> None:
    """What ``hnn-envs benchmark learning`` found, from its rows."""
    learning_figure(curves_of(read_rows(results))).savefig(folder / "learning.png", dpi=100)


def main() -> None:
    """Makes all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name in hnn_envs.ENVIRONMENTS:
        environment_picture(name, folder)
    for system in ("pendulum", "two-body"):
        comparison_pictures(system, folder)
    learning_picture(RESULTS / "learning.json", folder)


if __name__ == "__main__":
    main()
