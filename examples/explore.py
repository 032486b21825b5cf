"""Explore a machine until it is solved: watch it for two seconds, learn its physics, plan in that, try, and again.

python examples/explore.py                         # a pole on a cart, from rest hanging; a minute
python examples/explore.py --task Acrobot --first 1 --out acrobot.gif  # the film in the README
python examples/explore.py --pendulum              # Pendulum-v1, as Gymnasium ships it

What is measured has noise of 0.01 on every position and velocity. The film shows the trials, and beside each what was
learned before it.
"""

import argparse

import numpy as np

import hnn_envs
from hnn_envs.exploration.callbacks import Callback
from hnn_envs.exploration.film import Film

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="CartPole", choices=("CartPole", "Acrobot", "Pendubot"), help="what to solve")
parser.add_argument("--pendulum", action="store_true", help="Pendulum-v1 in its place")
parser.add_argument("--seed", type=int, default=0, help="of all that is random")
parser.add_argument("--first", type=float, default=2.0, help="seconds of random actions to begin with")
parser.add_argument("--seconds", type=float, default=30.0, help="experience after which no other trial begins")
parser.add_argument("--out", default="runs/explore.gif", help="the film, .gif or .webp")
args = parser.parse_args()


class Tell(Callback):
    """Prints what happens."""

    def on_learned(self, seconds, learned):
        """A model, and what a step of it is off by."""
        print(f"{seconds:5.1f} s  learned; a step is off by about {np.array2string(learned.disturbance, precision=4)}")

    def on_plan(self, seconds, plan):
        """A plan, and what its rehearsals in the learned physics promise."""
        print(
            f"{seconds:5.1f} s  planned {len(plan.trajectory.actions)} steps; {plan.rehearsed:.0%} of rehearsals held"
        )

    def on_trial(self, seconds, trial):
        """A trial, and how it ended."""
        kind, end = ("a plan" if trial.planned else "random actions"), ("solved" if trial.solved else trial.ended)
        print(f"{seconds:5.1f} s  {trial.seconds:.1f} s of {kind}: {end}")


film = Film()
if args.pendulum:  # wherever it resets to; its angle is 0 upright, and its input is as strong as its action
    goal = hnn_envs.Goal.at([0.0], angles=[True], velocity_weights=[0.1], action_cost=0.004)
    explorer = hnn_envs.Explorer("Pendulum-v1", goal, seed=args.seed, callbacks=[Tell(), film])
else:
    rest = np.zeros(2), np.zeros(2)
    options = {"noise": 0.01, "start": rest, "first_seconds": args.first, "seed": args.seed, "message": print}
    explorer = hnn_envs.Explorer(f"hnn_envs:hnn_envs/{args.task}-v0", callbacks=[Tell(), film], **options)
found = explorer.run(args.seconds)
print(f"{'solved' if found.solved else 'not solved'} after {found.seconds:.1f} s of experience")
print(film.write(explorer, args.out))
