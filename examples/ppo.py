"""Train PPO on learned physics, then ask how well it does on the true physics.

python examples/ppo.py                      # a pendulum learns to swing up: about a minute
python examples/ppo.py --task MassSpring --steps 50000
"""

import argparse

from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from hnn_envs import ENVIRONMENTS
from hnn_envs.sb3 import make_vec_env

parser = argparse.ArgumentParser(description="Train PPO under one physics and evaluate it under two.")
parser.add_argument("--task", default="Pendulum", choices=tuple(ENVIRONMENTS), help="what to learn")
parser.add_argument("--steps", type=int, default=200_000, help="environment steps of training")
parser.add_argument("--envs", type=int, default=16, help="environments stepped at once")
parser.add_argument("--episodes", type=int, default=32, help="episodes of each evaluation")
parser.add_argument("--train", default="hnn", help="physics to train under: hnn, baseline, ode, a checkpoint")
parser.add_argument("--test", default="ode", help="physics to evaluate under as well")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()


def environments(dynamics: str, seed: int) -> VecEnv:
    """A batch of environments under one physics."""
    return make_vec_env(args.task, n_envs=args.envs, dynamics=dynamics, seed=seed)


model = PPO(
    "MlpPolicy",
    environments(args.train, args.seed),
    n_steps=128,
    batch_size=256,
    gamma=0.95,
    learning_rate=1e-3,
    seed=args.seed,
    device="cpu",
)
model.learn(args.steps)

# The same starts under both physics.
for dynamics in (args.train, args.test):
    mean, deviation = evaluate_policy(model, environments(dynamics, seed=1000), n_eval_episodes=args.episodes)
    print(f"return under {dynamics}: {mean:.1f} +- {deviation:.1f} over {args.episodes} episodes")
