"""Physics learned from frames: an autoencoder whose code is an angle, and a learned field in the space of that code.

A frame shows an angle; two consecutive frames show an angle and a velocity. So the latent state of the pixel pendulum
is x = [q, p] again, with q the angle that the encoder reads off a frame, and p = velocity / inverse_mass from two. The
latent circle has no origin, direction or unit of energy of its own: training turns it until the encoder's angles are
those that ``Camera.angle`` reads off the same frames, and the mass, which no film shows, is the system's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array, beside, cast, namespace
from hnn_envs.camera import SCREEN, Camera
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import PortHamiltonian
from hnn_envs.models.baseline import MLPField
from hnn_envs.models.features import Features
from hnn_envs.models.mlp import Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.models.ports import Ports
from hnn_envs.models.separable import SeparableHamiltonian
from hnn_envs.systems.spec import SystemSpec

BRIGHTEST = 255
"""Frames are bytes, and networks see brightness as a share of this, as in the seed."""


class Eye(Protocol):
    """What shows frames of angles, and reads angles off frames: a camera, or an autoencoder that stands in for it.

    What it gives is where what it was given is, NumPy or torch.
    """

    @property
    def size(self) -> int:
        """Width and height of a frame, pixels."""
        ...

    def frames(self, q: Array) -> Array:
        """Frames of pendulums at angles q in rad, uint8, shape (..., size, size)."""
        ...

    def angle(self, frames: Array) -> Array:
        """The angles that frames show, in [-pi, pi], rad, shape (...,)."""
        ...


@dataclass(frozen=True)
class Autoencoder:
    """Frames to an angle and back: a linear encoder on the circle, and a decoder that is a Fourier series in the angle.

    The encoder weighs the pixels to a point in the plane, whose direction is the angle; brightness drops out. The
    decoder is linear in [1, cos q, ..., cos nq, sin q, ..., sin nq], which every frame that turns about a pivot is.

    Attributes:
        encoder: shape (size^2 + 1, 2): pixels and a constant -> (cos, sin).
        decoder: shape (1 + 2 harmonics, size^2).
    """

    encoder: Array
    decoder: Array

    @property
    def size(self) -> int:
        """Width and height of a frame, pixels."""
        return math.isqrt(self.decoder.shape[-1])

    def angle(self, frames: Array) -> Array:
        """The angles that frames show, in [-pi, pi], rad; frames (..., size, size) in bytes."""
        xp, here = namespace(self.encoder), beside(frames, self.encoder)
        # One matrix product for all: NumPy would take one for each of the leading axes.
        pixels = xp.astype(here, xp.float64).reshape(-1, self.size**2) / BRIGHTEST
        weights = cast(self.encoder, xp.float64)
        point = pixels @ weights[:-1] + weights[-1]
        return beside(xp.atan2(point[:, 1], point[:, 0]), frames).reshape(frames.shape[:-2])

    def brightness(self, q: Array) -> Array:
        """Decoded frames as shares of 255, not clipped, shape (..., size, size)."""
        series = harmonics_of(beside(q, self.decoder).reshape(-1), (self.decoder.shape[0] - 1) // 2)
        flat = cast(series, self.decoder.dtype) @ self.decoder
        return beside(flat, q).reshape(*q.shape, self.size, self.size)

    def frames(self, q: Array) -> Array:
        """Decoded frames, uint8, shape (..., size, size)."""
        xp = namespace(q)
        return xp.astype(xp.clip(xp.round(BRIGHTEST * self.brightness(q)), 0, BRIGHTEST), xp.uint8)


def harmonics_of(q: Array, count: int) -> Array:
    """[1, cos q, ..., cos nq, sin q, ..., sin nq], shape (..., 1 + 2 count)."""
    xp = namespace(q)
    turns = q[..., None] * xp.arange(1, count + 1, dtype=q.dtype, device=q.device)
    return xp.concat((xp.ones_like(q[..., None]), xp.cos(turns), xp.sin(turns)), axis=-1)


@runtime_checkable
class Sighted(Protocol):
    """A learned field that comes with the eye it was learned through."""

    @property
    def eye(self) -> Eye:
        """What shows its states."""
        ...


@dataclass(frozen=True)
class SightedHamiltonian(PortHamiltonian):
    """A learned port-Hamiltonian flow with the autoencoder that it was learned through."""

    eye: Autoencoder = field(kw_only=True)


@dataclass(frozen=True)
class SightedMLPField(MLPField):
    """The baseline with the autoencoder that it was learned through."""

    eye: Autoencoder = field(kw_only=True)


@dataclass(frozen=True)
class Config:
    """The separable HNN behind an autoencoder: H = inverse_mass p^2 / 2 + V(q) on a latent circle.

    Attributes:
        hidden: units of the hidden layers of V.
        size: width and height of a frame, pixels.
        window: the window of the camera that it sees through.
        harmonics: of the decoder.
        inverse_mass: 1/m, which no film shows; by default that of Pendulum-v1, 3 / (m l^2).
        ports: whether the input matrix is learned too.
    """

    hidden: tuple[int, ...] = (16,)
    size: int = 28
    window: tuple[int, ...] = Camera.window
    harmonics: int = 60
    inverse_mass: float = 3.0
    ports: Ports = field(default_factory=Ports)

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        network = mlp_shapes("network", (2, *self.hidden, 1))
        return network | self.ports.shapes(spec) | _eye_shapes(self.size, self.harmonics)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters."""
        network = init_mlp(rng, "network", (2, *self.hidden, 1))
        return network | self.ports.init(spec, rng) | _init_eye(Camera(self.size, self.window), self.harmonics)

    def build(self, spec: SystemSpec, parameters: Parameters) -> SightedHamiltonian:
        """The vector field with these parameters."""
        check_filmed(spec)
        hamiltonian = SeparableHamiltonian(
            network=build_mlp(parameters, "network"),
            inverse_mass=self.inverse_mass,
            features=Features.of(spec.angles),
            scale=1.0,
        )
        flow = self.ports.attach(hamiltonian, spec, parameters)
        return SightedHamiltonian(flow.hamiltonian, flow.input_matrix, flow.damping, eye=_build_eye(parameters))


@dataclass(frozen=True)
class BaselineConfig:
    """The baseline behind the same autoencoder: a network that outputs x' of the latent state, seeing the input too.

    Attributes:
        hidden: units of the hidden layers.
        size: width and height of a frame, pixels.
        window: the window of the camera that it sees through.
        harmonics: of the decoder.
    """

    hidden: tuple[int, ...] = (200, 200)
    size: int = 28
    window: tuple[int, ...] = Camera.window
    harmonics: int = 60

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        return mlp_shapes("network", self._sizes(spec)) | _eye_shapes(self.size, self.harmonics)

    def _sizes(self, spec: SystemSpec) -> tuple[int, ...]:
        return (self._features(spec).size + spec.force_matrix.shape[-1], *self.hidden, 2 * spec.dof)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters."""
        network = init_mlp(rng, "network", self._sizes(spec))
        return network | _init_eye(Camera(self.size, self.window), self.harmonics)

    def build(self, spec: SystemSpec, parameters: Parameters) -> SightedMLPField:
        """The vector field with these parameters."""
        check_filmed(spec)
        network, inputs = build_mlp(parameters, "network"), spec.force_matrix
        return SightedMLPField(network, self._features(spec), inputs, True, eye=_build_eye(parameters))

    def _features(self, spec: SystemSpec) -> Features:
        return Features.of((*spec.angles, *(False,) * spec.dof))


def check_filmed(spec: SystemSpec) -> None:
    """Checks that frames may show a system: one angle, which moves in steps from frame to frame.

    Raises:
        InvalidOptionError: it is another kind of system.
    """
    if spec.angles != (True,) or spec.stepping is None:
        raise InvalidOptionError(f"models of frames are for one angle that moves in steps, and {spec.name!r} is none")


def _eye_shapes(size: int, harmonics: int) -> Shapes:
    return {"eye.encoder": (size**2 + 1, 2), "eye.decoder": (1 + 2 * harmonics, size**2)}


def _init_eye(camera: Camera, harmonics: int) -> Parameters:
    """An encoder that reads the centre of brightness, as the camera does, and a decoder that sees nothing."""
    across, down = camera.axes
    weights = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1).reshape(-1, 2) / SCREEN
    return {
        "eye.encoder": np.concatenate((weights, np.zeros((1, 2)))),
        "eye.decoder": np.zeros((1 + 2 * harmonics, camera.size**2)),
    }


def _build_eye(parameters: Parameters) -> Autoencoder:
    return Autoencoder(parameters["eye.encoder"], parameters["eye.decoder"])
