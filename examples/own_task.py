"""A task of your own on a learned file: a crane that carries its load to a place and lets it hang still there.

python examples/own_task.py                          # on the cart-pole that is shipped, half a minute
python examples/own_task.py --model mine.safetensors # on what hnn-envs learn made of your recording of a crane

The file says what the system is and where its model learned; the task says what is asked. ``Regulate`` has the rest:
limits, observations, starts and a drawing.
"""

import argparse

import gymnasium as gym
import numpy as np

from hnn_envs.agents.planning import Planner
from hnn_envs.checkpoints import checkpoint_path
from hnn_envs.tasks.regulate import Regulate

ROPE = 0.5  # m, from the cart to the middle of its load


class Carry(Regulate):
    """Bring the load to ``place``, and let it hang still.

    It is made with the description of the system and with ``domain``, both from the file; ``place`` is an option.
    """

    def __init__(self, system, domain, place: float = 1.0):
        super().__init__(system, domain, dt=0.05, max_episode_steps=100, start_spread=0.0)
        self.place = place

    def reward(self, x, u, x_next):
        """One where the load hangs still at its place, less further away and where it swings; states are (..., 4)."""
        cart, angle, velocity, turning = (x_next[..., index] for index in range(4))
        away = cart + ROPE * np.sin(angle) - self.place
        return np.where(self.inside(x_next), 1 / (1 + 10 * away**2 + velocity**2 + 0.1 * turning**2), 0.0)

    def terminated(self, x):
        """At the ends of the track."""
        return np.abs(x[..., 0]) > 2.4


def main():
    """Plans with the model, in the model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=str(checkpoint_path("cart-pole", "hnn")), help="what was learned")
    parser.add_argument("--place", type=float, default=1.0, help="where to, m")
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()

    options = {"dynamics": args.model, "task": "own_task:Carry", "task_options": {"place": args.place}}
    env = gym.make("hnn_envs:hnn_envs/Learned-v0", **options)
    planner = Planner(env.unwrapped.task, args.model)
    env.reset(seed=0)
    total = 0.0
    for _ in range(args.steps):
        _, reward, terminated, truncated, _ = env.step(planner.plan(env.unwrapped.state))
        total += reward
        if terminated or truncated:
            break
    cart, angle, *_ = env.unwrapped.state
    print(f"return {total:.1f}; the load is at {cart + ROPE * np.sin(angle):.2f} m, asked {args.place:.2f}")


if __name__ == "__main__":
    main()
