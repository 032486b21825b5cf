"""A reward of your own: a pendulum that learns to go round and round at a given energy, instead of standing.

python examples/custom_reward.py                   # about a minute

A wrapper sees everything that a task's reward may depend on: the state, the true energy in ``info`` and the action.
"""

import argparse

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=100_000, help="environment steps of training")
parser.add_argument("--energy", type=float, default=10.0, help="energy to hold; upright rest has 6")
args = parser.parse_args()


class HoldEnergy(gym.Wrapper):
    """1 per step at the asked energy, less for effort; the task's own reward stays in ``info``."""

    def step(self, action):
        """Replaces the reward."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        error = (info["energy"] - args.energy) / args.energy
        custom = 1 / (1 + 10 * error**2) - 0.05 * float(action[0]) ** 2
        return observation, custom, terminated, truncated, info | {"task_reward": reward}


def environment(dynamics):
    """The pendulum under a physics, with the other reward."""
    return HoldEnergy(gym.make("hnn_envs:hnn_envs/Pendulum-v0", dynamics=dynamics))


batch = make_vec_env(lambda: environment("hnn"), n_envs=16, seed=0)
agent = PPO("MlpPolicy", batch, n_steps=128, batch_size=512, gamma=0.97, learning_rate=1e-3, seed=0, device="cpu")
agent.learn(args.steps)

env = environment("ode")
observation, info = env.reset(seed=0)
total, done = 0.0, False
while not done:
    action, _ = agent.predict(observation, deterministic=True)
    observation, reward, terminated, truncated, info = env.step(action)
    total, done = total + reward, terminated or truncated
print(
    f"return under the true physics: {total:.1f} of 200; energy at the end: {info['energy']:.2f}, asked {args.energy}"
)
