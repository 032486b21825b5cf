"""The seed paper's models of films: an autoencoder of pairs of frames, and a field in the plane of its code.

Two consecutive frames show an angle and how fast it changes. The autoencoder turns them into a point z of the plane, in
coordinates and units of its own, and the field moves z from frame to frame. Training sees nothing but frames. How z
lies to the state is read off the training share afterwards, as the paper does to speak of energy: a linear map, through
which the model is a field of states [q, p] like any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from hnn_envs.arrays import Array, cast, join, like, namespace, split
from hnn_envs.hamiltonian import PortHamiltonian
from hnn_envs.models.generic import GenericHamiltonian
from hnn_envs.models.mlp import MLP, Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.models.settings import positive
from hnn_envs.pixels.autoencoder import BRIGHTEST
from hnn_envs.pixels.models import interval_of
from hnn_envs.systems.spec import SystemSpec

LATENT = 2
"""Numbers in the code of a pair."""


@dataclass(frozen=True)
class ResidualMLP:
    """A perceptron of rectified units whose middle layers add to what they are given.

    Attributes:
        weights: one matrix per layer, shape (inputs, outputs).
        biases: one vector per layer.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    @classmethod
    def build(cls, parameters: Parameters, prefix: str) -> ResidualMLP:
        """Collects the layers called ``prefix``."""
        network = build_mlp(parameters, prefix)
        return cls(network.weights, network.biases)

    def __call__(self, x: Array) -> Array:
        """Outputs (..., outputs) for inputs (..., inputs), in the precision of the weights."""
        first, *middle, last = zip(self.weights, self.biases, strict=True)
        hidden = _rectified(cast(x, first[0].dtype) @ first[0] + first[1])
        for weight, bias in middle:
            hidden = hidden + _rectified(hidden @ weight + bias)
        return hidden @ last[0] + last[1]


def _rectified(z: Array) -> Array:
    return namespace(z).clip(z, 0, None)


@dataclass(frozen=True)
class PairAutoencoder:
    """Pairs of consecutive frames to a point z of the plane, and back."""

    encoder: ResidualMLP
    decoder: ResidualMLP

    @property
    def size(self) -> int:
        """Width and height of a frame, pixels."""
        return math.isqrt(self.decoder.biases[-1].shape[0] // 2)

    def encode(self, pairs: Array) -> Array:
        """z, shape (..., 2), of pairs (..., 2, size, size) in bytes."""
        pixels = pairs.reshape(*pairs.shape[:-3], -1)
        return self.encoder(cast(pixels, self.encoder.weights[0].dtype) / BRIGHTEST)

    def brightness(self, z: Array) -> Array:
        """Decoded pairs as shares of 255, not clipped, shape (..., 2, size, size)."""
        return self.decoder(z).reshape(*z.shape[:-1], 2, self.size, self.size)


def pairs_of(frames: Array) -> Array:
    """The pairs of consecutive frames in films (..., length, size, size), shape (..., length - 1, 2, size, size)."""
    return namespace(frames).stack((frames[..., :-1, :, :], frames[..., 1:, :, :]), axis=-3)


@dataclass(frozen=True)
class Readout:
    """The linear map between codes and states, x = z A + b.

    Attributes:
        weight: A, shape (2, 2).
        bias: b, shape (2,).
        inverse: of A.
    """

    weight: Array
    bias: Array
    inverse: Array

    @classmethod
    def build(cls, parameters: Parameters) -> Readout:
        """From the parameters called "readout"."""
        weight, bias = parameters["readout.weight"], parameters["readout.bias"]
        return cls(weight, bias, namespace(weight).linalg.inv(weight))

    @property
    def scale(self) -> Array:
        """The area of a state's patch over that of its code's, det A; negative where the map turns the plane over."""
        (a, b), (c, d) = self.weight
        return a * d - b * c

    def state(self, z: Array) -> Array:
        """X = [q, p], shape (..., 2), of codes (..., 2)."""
        return z @ like(self.weight, z) + like(self.bias, z)

    def code(self, x: Array) -> Array:
        """z, shape (..., 2), of states (..., 2)."""
        return (x - like(self.bias, x)) @ like(self.inverse, x)


@runtime_checkable
class Paired(Protocol):
    """A learned field that comes with the autoencoder of pairs that it was learned through."""

    @property
    def autoencoder(self) -> PairAutoencoder:
        """Pairs of frames to codes and back."""
        ...

    @property
    def readout(self) -> Readout:
        """Codes to states and back."""
        ...

    def rate(self, z: Array) -> Array:
        """How fast codes (..., 2) change, per frame."""
        ...


@dataclass(frozen=True)
class ReadHamiltonian:
    """H(x) = det A / interval h(z(x)): what moves the state as J grad h moves the code, in any linear coordinates.

    Attributes:
        latent: h, the energy of codes, whose time goes by frames.
        readout: codes to states.
        interval: time from frame to frame.
    """

    latent: GenericHamiltonian
    readout: Readout
    interval: float

    def value(self, x: Array) -> Array:
        """H(x), shape (...,)."""
        return like(self._scale, x) * self.latent.value(self.readout.code(x))

    def gradient(self, x: Array) -> Array:
        """dH/dx, shape (..., 2), in closed form."""
        slope = self.latent.gradient(self.readout.code(x))
        return like(self._scale, x) * (slope @ like(self.readout.inverse, x).T)

    @property
    def _scale(self) -> Array:
        return self.readout.scale / self.interval


@dataclass(frozen=True)
class PairedHamiltonian(PortHamiltonian):
    """The HNN of codes, seen as a port-Hamiltonian flow of states, with its autoencoder."""

    autoencoder: PairAutoencoder = field(kw_only=True)
    readout: Readout = field(kw_only=True)
    latent: GenericHamiltonian = field(kw_only=True)

    def rate(self, z: Array) -> Array:
        """J grad h(z), shape (..., 2), per frame."""
        first, second = split(self.latent.gradient(z))
        return join(second, -first)


@dataclass(frozen=True)
class PairedMLPField:
    """The baseline of codes, seen as a field of states x' = (network(z) A) / interval + [0, G u]."""

    network: MLP
    autoencoder: PairAutoencoder
    readout: Readout
    interval: float
    input_matrix: Array

    def rate(self, z: Array) -> Array:
        """network(z), shape (..., 2), per frame."""
        return self.network(z)

    def __call__(self, x: Array, u: Array | None = None) -> Array:
        """x', shape (..., 2)."""
        moved = self.rate(self.readout.code(x)) @ like(self.readout.weight, x) / self.interval
        if u is None:
            return moved
        first, second = split(moved)
        return join(first, second + u @ like(self.input_matrix, u).T)


@dataclass(frozen=True)
class _Config:
    """What the HNN and the baseline share.

    Attributes:
        hidden: units of the hidden layers of the network that moves codes; the paper has (200, 200).
        width: units of the three hidden layers of encoder and decoder each; the paper has 200.
        size: width and height of a frame, pixels.
        interval: time from frame to frame, s.
    """

    hidden: tuple[int, ...] = (200, 200)
    width: int = 200
    size: int = 28
    interval: float = positive(0.05)

    networks = ("network", "encoder", "decoder")

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        pixels, units = 2 * self.size**2, (self.width,) * 3
        return {
            **mlp_shapes("network", (LATENT, *self.hidden, LATENT)),
            **mlp_shapes("encoder", (pixels, *units, LATENT), output_bias=True),
            **mlp_shapes("decoder", (LATENT, *units, pixels), output_bias=True),
            "readout.weight": (LATENT, LATENT),
            "readout.bias": (LATENT,),
        }

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters; codes count as states until they are calibrated."""
        pixels, units = 2 * self.size**2, (self.width,) * 3
        return {
            **init_mlp(rng, "network", (LATENT, *self.hidden, LATENT)),
            **init_mlp(rng, "encoder", (pixels, *units, LATENT), output_bias=True),
            **init_mlp(rng, "decoder", (LATENT, *units, pixels), output_bias=True),
            "readout.weight": np.eye(LATENT),
            "readout.bias": np.zeros(LATENT),
        }

    def calibrate(self, parameters: Parameters, frames: Array, states: Array) -> Parameters:
        """The parameters with the linear map from codes to states that fits films best.

        Args:
            parameters: of a trained model.
            frames: uint8, shape (films, length, size, size).
            states: what they show, shape (films, length, 2).
        """
        autoencoder = _autoencoder(parameters)
        # Film by film: a network's activations for all frames at once would take a gigabyte.
        codes = np.concatenate([autoencoder.encode(pairs_of(film)) for film in frames])
        weight, bias = affine_map(codes, states[:, 1:].reshape(-1, LATENT))
        return {**parameters, "readout.weight": weight, "readout.bias": bias}


def affine_map(given: Array, wanted: Array) -> tuple[Array, Array]:
    """A and b of least squares in wanted = given A + b, for tables of rows."""
    solution, *_ = np.linalg.lstsq(np.column_stack((given, np.ones(len(given)))), wanted, rcond=None)
    return solution[:-1], solution[-1]


@dataclass(frozen=True)
class Config(_Config):
    """The seed paper's pixel HNN: two outputs, of which the second is the energy of the code."""

    def build(self, spec: SystemSpec, parameters: Parameters) -> PairedHamiltonian:
        """The vector field with these parameters."""
        _ = interval_of(spec)  # refuses systems that frames do not show
        latent, readout = GenericHamiltonian(build_mlp(parameters, "network")), Readout.build(parameters)
        return PairedHamiltonian(
            ReadHamiltonian(latent, readout, self.interval),
            spec.force_matrix,
            autoencoder=_autoencoder(parameters),
            readout=readout,
            latent=latent,
        )


@dataclass(frozen=True)
class BaselineConfig(_Config):
    """The seed paper's pixel baseline: a network that outputs how the code changes."""

    def build(self, spec: SystemSpec, parameters: Parameters) -> PairedMLPField:
        """The vector field with these parameters."""
        _ = interval_of(spec)  # refuses systems that frames do not show
        return PairedMLPField(
            build_mlp(parameters, "network"),
            _autoencoder(parameters),
            Readout.build(parameters),
            self.interval,
            spec.force_matrix,
        )


def _autoencoder(parameters: Parameters) -> PairAutoencoder:
    return PairAutoencoder(ResidualMLP.build(parameters, "encoder"), ResidualMLP.build(parameters, "decoder"))
