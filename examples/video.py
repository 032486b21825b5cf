"""Record a video of a shipped agent, trained under hnn and playing under ode. Needs moviepy: pip install moviepy.

python examples/video.py                           # runs/videos/Pendulum-episode-0.mp4
python examples/video.py --task ThreeBody --agent three-body/ode-1
"""

import argparse

import gymnasium as gym
from gymnasium.wrappers import RecordVideo

from hnn_envs import ENVIRONMENTS
from hnn_envs.agents.policies import load_policy

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="Pendulum", choices=tuple(ENVIRONMENTS), help="what to play")
parser.add_argument("--agent", help="a shipped policy or the path of one; by default the first trained under hnn")
parser.add_argument("--steps", type=int, default=1000, help="steps, at most")
parser.add_argument("--out", default="runs/videos", help="folder of the video")
args = parser.parse_args()

task = ENVIRONMENTS[args.task][0]
policy = load_policy(args.agent or f"{task}/hnn-0", task=task)
env = gym.make(f"hnn_envs:hnn_envs/{args.task}-v0", dynamics="ode", render_mode="rgb_array")
env = RecordVideo(env, args.out, name_prefix=args.task, disable_logger=True)
observation, _ = env.reset(seed=0)
total, steps, done = 0.0, 0, False
while not done and steps < args.steps:
    observation, reward, terminated, truncated, _ = env.step(policy.predict(observation))
    total, steps, done = total + reward, steps + 1, terminated or truncated
env.close()
print(f"return of {policy.card.name} under the true physics: {total:.1f}; {args.out}/{args.task}-episode-0.mp4")
