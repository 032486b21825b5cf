"""Helpers of the pixel pendulum's tests: models of pixels that are fitted in closed form, in a second."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.models import Parameters, make_family
from hnn_envs.pixels.autoencoder import BRIGHTEST, Autoencoder, harmonics_of
from hnn_envs.pixels.camera import Camera
from hnn_envs.pixels.models import DECODER, ENCODER
from hnn_envs.systems import SYSTEMS

PENDULUM = SYSTEMS["pixel-pendulum"]
FRAMES = 256
HARMONICS = 30
UNITS = 16


def wrapped(angle: Array) -> Array:
    """Angles in [-pi, pi)."""
    return np.remainder(angle + np.pi, 2 * np.pi) - np.pi


@cache
def fitted_autoencoder(size: int = 28) -> Autoencoder:
    """The autoencoder of least squares over frames all around the circle; some 2 mrad off."""
    angles = 2 * np.pi * np.arange(FRAMES) / FRAMES
    frames = Camera(size).frames(angles).reshape(FRAMES, -1) / BRIGHTEST
    pixels = np.concatenate((frames, np.ones((FRAMES, 1))), axis=1)
    circle = np.stack((np.cos(angles), np.sin(angles)), axis=-1)
    encoder = pixels.T @ np.linalg.solve(pixels @ pixels.T + 0.1 * np.eye(FRAMES), circle)
    return Autoencoder(encoder, np.linalg.lstsq(harmonics_of(angles, HARMONICS), frames, rcond=None)[0])


def family_and_parameters(kind: str, size: int = 28) -> tuple[str, dict[str, Any], Parameters]:
    """A model of pixels: its family, settings and weights, the network fitted to the true field.

    Args:
        kind: "hnn" or "baseline".
        size: width and height of a frame.
    """
    name = "pixel-separable" if kind == "hnn" else "pixel-mlp"
    settings = {"hidden": [UNITS if kind == "hnn" else 4 * UNITS], "size": size, "harmonics": HARMONICS}
    autoencoder, rng = fitted_autoencoder(size), np.random.default_rng(0)
    parameters = make_family(name, settings).init(PENDULUM.spec, rng)
    parameters |= {ENCODER: autoencoder.encoder, DECODER: autoencoder.decoder}
    fit = _fit_potential if kind == "hnn" else _fit_field
    parameters["network.weight1"] = fit(parameters, rng)
    return name, settings, parameters


def _fit_potential(parameters: Parameters, rng: np.random.Generator) -> Array:
    """The last layer for which V is the true potential, but for a constant."""
    q = 2 * np.pi * np.arange(200)[:, None] / 200
    hidden = _hidden(parameters, np.concatenate((np.cos(q), np.sin(q)), axis=-1))
    varying = hidden - hidden.mean(0)
    return np.linalg.lstsq(varying, -5 * np.cos(q), rcond=None)[0]


def _fit_field(parameters: Parameters, rng: np.random.Generator) -> Array:
    """The last layer for which x' is nearest to the true field's over the task's states and inputs."""
    x, u = rng.uniform(-1, 1, (4000, 2)) * (np.pi, 8 / 3), rng.uniform(-2, 2, (4000, 1))
    seen = np.concatenate((x[:, 1:], np.cos(x[:, :1]), np.sin(x[:, :1]), u), axis=-1)
    return np.linalg.lstsq(_hidden(parameters, seen), PENDULUM.field(x, u), rcond=None)[0]


def _hidden(parameters: Parameters, seen: Array) -> Array:
    return np.tanh(seen @ parameters["network.weight0"] + parameters["network.bias0"])
