"""Train under hnn, then watch the agent under hnn and under ode, side by side from the same start.

python examples/side_by_side.py                    # trains PPO, about half a minute
python examples/side_by_side.py --steps 0          # the shipped agent instead
python examples/side_by_side.py --task TwoBody --steps 0 --out orbit.gif
"""

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image
from stable_baselines3 import PPO

from hnn_envs import ENVIRONMENTS
from hnn_envs.agents.policies import load_policy
from hnn_envs.sb3 import make_vec_env

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="Pendulum", choices=tuple(ENVIRONMENTS), help="what to learn")
parser.add_argument("--steps", type=int, default=200_000, help="environment steps of training; 0: the shipped agent")
parser.add_argument("--frames", type=int, default=200, help="steps to watch")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("runs/side_by_side.gif"))
args = parser.parse_args()

if args.steps:
    learned = make_vec_env(args.task, n_envs=64, dynamics="hnn", seed=args.seed)
    settings = {"n_steps": 64, "batch_size": 512, "gamma": 0.95, "learning_rate": 1e-3}
    agent = PPO("MlpPolicy", learned, seed=args.seed, device="cpu", **settings).learn(args.steps)

    def act(observation):
        """The trained agent's action."""
        return agent.predict(observation, deterministic=True)[0]
else:
    act = load_policy(f"{ENVIRONMENTS[args.task][0]}/hnn-0").predict

# The same seed gives the same start, whatever the physics.
envs = [
    gym.make(f"hnn_envs:hnn_envs/{args.task}-v0", dynamics=name, render_mode="rgb_array") for name in ("hnn", "ode")
]
observations = [env.reset(seed=args.seed)[0] for env in envs]
returns, going, images = [0.0, 0.0], [True, True], []
for _ in range(args.frames):
    for side, env in enumerate(envs):
        if going[side]:
            observations[side], reward, terminated, truncated, _ = env.step(act(observations[side]))
            returns[side] += reward
            going[side] = not (terminated or truncated)
    images.append(Image.fromarray(np.hstack([env.render() for env in envs])).resize((960, 480)))
    if not any(going):
        break

args.out.parent.mkdir(parents=True, exist_ok=True)
images[0].save(
    args.out, save_all=True, append_images=images[1:], duration=1000 // envs[0].metadata["render_fps"], loop=0
)
print(f"return under hnn (left): {returns[0]:.1f}, under ode (right): {returns[1]:.1f}; {args.out}")
