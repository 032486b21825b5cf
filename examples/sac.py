"""SAC, an off-policy algorithm, on the native batch: train under hnn, evaluate under ode.

python examples/sac.py                             # about two minutes
python examples/sac.py --task Pendulum --steps 30000

SAC learns from far fewer steps than PPO, and takes longer for each: physics is not what costs here.
"""

import argparse

from stable_baselines3 import SAC
from stable_baselines3.common.evaluation import evaluate_policy

from hnn_envs import ENVIRONMENTS
from hnn_envs.sb3 import make_vec_env

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="MassSpring", choices=tuple(ENVIRONMENTS), help="what to learn")
parser.add_argument("--steps", type=int, default=20_000, help="environment steps of training")
parser.add_argument("--envs", type=int, default=8, help="environments stepped at once")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

agent = SAC(
    "MlpPolicy",
    make_vec_env(args.task, n_envs=args.envs, dynamics="hnn", seed=args.seed),
    learning_starts=min(1000, args.steps // 2),
    gradient_steps=4,  # per step of the batch: one for every two environment steps
    gamma=0.97,
    learning_rate=1e-3,
    policy_kwargs={"net_arch": [64, 64]},
    seed=args.seed,
    device="cpu",
)
agent.learn(args.steps)

for dynamics in ("hnn", "ode"):
    test = make_vec_env(args.task, n_envs=args.envs, dynamics=dynamics, seed=1000)
    mean, deviation = evaluate_policy(agent, test, n_eval_episodes=2 * args.envs)
    print(f"return under {dynamics}: {mean:.1f} +- {deviation:.1f}")
