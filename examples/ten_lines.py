"""PPO in ten lines: learn to swing a pendulum up in learned physics, and ask how well it does in the true one.

python examples/ten_lines.py   # less than a minute
"""

from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy

from hnn_envs.sb3 import make_vec_env

learned = make_vec_env("Pendulum", n_envs=64, dynamics="hnn", seed=0)
agent = PPO("MlpPolicy", learned, n_steps=64, batch_size=512, gamma=0.95, learning_rate=1e-3, seed=0, device="cpu")
agent.learn(200_000)
true = make_vec_env("Pendulum", n_envs=20, dynamics="ode", seed=1000)
mean, deviation = evaluate_policy(agent, true, n_eval_episodes=20, warn=False)
print(f"return under the true physics: {mean:.0f} +- {deviation:.0f}")
