"""Model-predictive control: plan in learned physics, act in the true one. Nothing is trained.

python examples/mpc.py                             # a pendulum, a few seconds
python examples/mpc.py --task TwoBody --model ode  # how much better would the true equations plan?
"""

import argparse
import time

import gymnasium as gym

from hnn_envs import ENVIRONMENTS
from hnn_envs.agents.planning import Planner

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="Pendulum", choices=tuple(ENVIRONMENTS), help="what to do")
parser.add_argument("--model", default="hnn", help="physics to plan in: hnn, baseline, ode, a checkpoint")
parser.add_argument("--episodes", type=int, default=3)
parser.add_argument("--steps", type=int, default=1000, help="steps per episode, at most")
args = parser.parse_args()

env = gym.make(f"hnn_envs:hnn_envs/{args.task}-v0", dynamics="ode")
planner = Planner(ENVIRONMENTS[args.task][0], args.model)
for episode in range(args.episodes):
    env.reset(seed=episode)
    planner.reset()
    total, steps, began = 0.0, 0, time.perf_counter()
    done = False
    while not done and steps < args.steps:
        action = planner.plan(env.unwrapped.state)
        _, reward, terminated, truncated, _ = env.step(action)
        total, steps, done = total + reward, steps + 1, terminated or truncated
    milliseconds = 1000 * (time.perf_counter() - began) / steps
    print(f"episode {episode}: return {total:.1f} in {steps} steps, {milliseconds:.1f} ms per step")
