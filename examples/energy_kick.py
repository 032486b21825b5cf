"""Adds energy to a pendulum that was learned from frames, half-way through a rollout: the paper's intervention.

python examples/energy_kick.py --out runs/energy_kick.gif

The model is shown one film frame, twice: a pendulum at rest. It swings in latent space; then it climbs the gradient of
its learned energy for half a second, which no pendulum it has seen ever did; then it swings on, wider. What you see is
what the decoder shows.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from hnn_envs.drawing.colors import ACTION, HNN
from hnn_envs.dynamics import make_dynamics
from hnn_envs.pixels.camera import Camera

parser = argparse.ArgumentParser()
parser.add_argument("--angle", type=float, default=0.4, help="where the pendulum is let go, rad from hanging")
parser.add_argument("--energy", type=float, default=4.0, help="energy to add")
parser.add_argument("--frames", type=int, default=70, help="frames before the kick, and after it")
parser.add_argument("--out", type=Path, default=Path("runs/energy_kick.gif"))
args = parser.parse_args()

# The flow of the learned energy itself, which keeps it, and not the coarse steps that Pendulum-v1 makes of a flow.
dynamics = make_dynamics("pixel-pendulum", "hnn", dt=0.05, integrator="blanes_moan4")
images, climbing = dynamics.observation_model.images, 10  # its encoder and its decoder
camera = Camera(images.size)
x = np.array([images.angle(camera.frames(np.array(args.angle))), 0.0])
states = [x]
for _ in range(args.frames):
    states.append(dynamics.step(states[-1]))
aim = dynamics.energy(states[-1]) + args.energy * np.arange(1, climbing + 1) / climbing
for energy in aim:  # x' = grad H: straight uphill, by Newton's steps to each energy
    x = states[-1]
    for _ in range(10):
        slope = dynamics.hamiltonian.gradient(x)
        x = x + (energy - dynamics.energy(x)) * slope / (slope @ slope)
    states.append(x)
for _ in range(args.frames):
    states.append(dynamics.step(states[-1]))

states = np.stack(states)
films = images.frames(states[:, 0])
angles, energies = np.unwrap(camera.angle(films)), dynamics.energy(states)
times = dynamics.dt * np.arange(len(states))
pictures = []
for number in range(0, len(states), 2):
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    axes = figure.subplot_mosaic([["film", "angle"], ["film", "energy"]], width_ratios=(1, 1.3))
    axes["film"].imshow(films[number], cmap="gray", vmin=0, vmax=127)
    axes["film"].set(xticks=[], yticks=[], title="what the decoder shows")
    for name, values, label in (("angle", angles, "angle read (rad)"), ("energy", energies, "learned H")):
        axes[name].plot(times[: number + 1], values[: number + 1], color=HNN, linewidth=1.5)
        axes[name].axvspan(*times[[args.frames, args.frames + climbing]], color=ACTION, alpha=0.25, linewidth=0)
        axes[name].set(xlim=(0, times[-1]), ylim=(min(values) - 0.2, max(values) * 1.1 + 0.2), ylabel=label)
        axes[name].spines[["top", "right"]].set_visible(False)
    axes["angle"].set(xticklabels=[], title="energy is added where shaded")
    axes["energy"].set(xlabel="time (s)")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(32))
args.out.parent.mkdir(parents=True, exist_ok=True)
pictures[0].save(args.out, save_all=True, append_images=pictures[1:], duration=100, loop=0)
before, after = (np.abs(part).max() for part in (angles[: args.frames], angles[-args.frames :]))
print(f"swings {before:.2f} rad wide before the kick, {after:.2f} rad after it: {args.out}")
