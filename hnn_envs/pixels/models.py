"""Physics learned from frames: an autoencoder whose code is an angle, and a learned field of the states of that angle.

The state is x = [q, p] as for the true pendulum: q is the angle that the encoder reads off a frame, and p follows from
the angles of two consecutive frames. Nothing in the frames fixes where the angle is zero, which way it grows, or the
unit of energy. Training starts the encoder as what ``Camera.angle`` does, which settles the first two, and the mass is
given by the system.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import PortHamiltonian
from hnn_envs.models.baseline import MLPField
from hnn_envs.models.features import Features
from hnn_envs.models.mlp import Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.models.ports import Ports
from hnn_envs.models.separable import SeparableHamiltonian
from hnn_envs.models.settings import positive
from hnn_envs.pixels.autoencoder import Autoencoder
from hnn_envs.pixels.camera import SCREEN, Camera
from hnn_envs.pixels.observation import FramePairs
from hnn_envs.systems.spec import SystemSpec

ENCODER, DECODER = "eye.encoder", "eye.decoder"
"""Names of the autoencoder's parameters in checkpoints."""


@dataclass(frozen=True)
class ObservedHamiltonian(PortHamiltonian):
    """A learned port-Hamiltonian flow with the observation model that it was learned through."""

    observation_model: FramePairs[Autoencoder] = field(kw_only=True)


@dataclass(frozen=True)
class ObservedMLPField(MLPField):
    """The baseline with the observation model that it was learned through."""

    observation_model: FramePairs[Autoencoder] = field(kw_only=True)


@dataclass(frozen=True)
class Config:
    """The separable HNN behind an autoencoder: H = inverse_mass p^2 / 2 + V(q) on a latent circle.

    Attributes:
        hidden: units of the hidden layers of V.
        size: width and height of a frame, pixels.
        window: the window of the camera whose frames it is fitted to.
        harmonics: of the decoder.
        inverse_mass: 1/m, which no film shows; by default that of Pendulum-v1, 3 / (m l^2).
        ports: whether the input matrix is learned too.
    """

    hidden: tuple[int, ...] = (16,)
    size: int = 28
    window: tuple[int, ...] = Camera.window
    harmonics: int = 60
    inverse_mass: float = positive(3.0)
    ports: Ports = field(default_factory=Ports)

    networks = ("network",)
    observation_parameters = (ENCODER, DECODER)

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        network = mlp_shapes("network", (2, *self.hidden, 1))
        return network | self.ports.shapes(spec) | _autoencoder_shapes(self.size, self.harmonics)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters."""
        network = init_mlp(rng, "network", (2, *self.hidden, 1))
        return network | self.ports.init(spec, rng) | _init_autoencoder(Camera(self.size, self.window), self.harmonics)

    def build(self, spec: SystemSpec, parameters: Parameters) -> ObservedHamiltonian:
        """The vector field with these parameters."""
        hamiltonian = SeparableHamiltonian(
            network=build_mlp(parameters, "network"),
            inverse_mass=self.inverse_mass,
            features=Features.of(spec.angles),
            scale=1.0,
        )
        flow = self.ports.attach(hamiltonian, spec, parameters)
        autoencoder = _build_autoencoder(parameters, self.window)
        return ObservedHamiltonian(
            flow.hamiltonian,
            flow.input_matrix,
            flow.damping,
            observation_model=FramePairs(autoencoder, interval_of(spec), self.inverse_mass),
        )


@dataclass(frozen=True)
class BaselineConfig:
    """The baseline behind the same autoencoder: a network that outputs x' of the latent state, seeing the input too.

    Attributes:
        hidden: units of the hidden layers.
        size: width and height of a frame, pixels.
        window: the window of the camera whose frames it is fitted to.
        harmonics: of the decoder.
    """

    hidden: tuple[int, ...] = (200, 200)
    size: int = 28
    window: tuple[int, ...] = Camera.window
    harmonics: int = 60

    networks = ("network",)
    observation_parameters = (ENCODER, DECODER)

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        network = mlp_shapes("network", self._sizes(spec))
        return network | _autoencoder_shapes(self.size, self.harmonics)

    def _sizes(self, spec: SystemSpec) -> tuple[int, ...]:
        return (self._features(spec).size + spec.force_matrix.shape[-1], *self.hidden, 2 * spec.dof)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters."""
        network = init_mlp(rng, "network", self._sizes(spec))
        return network | _init_autoencoder(Camera(self.size, self.window), self.harmonics)

    def build(self, spec: SystemSpec, parameters: Parameters) -> ObservedMLPField:
        """The vector field with these parameters."""
        network, inputs = build_mlp(parameters, "network"), spec.force_matrix
        autoencoder = _build_autoencoder(parameters, self.window)
        return ObservedMLPField(
            network,
            self._features(spec),
            inputs,
            learned_inputs=True,
            observation_model=FramePairs(autoencoder, interval_of(spec)),
        )

    def _features(self, spec: SystemSpec) -> Features:
        return Features.of((*spec.angles, *(False,) * spec.dof))


def interval_of(spec: SystemSpec) -> float:
    """Time from frame to frame of a system that frames may show: one angle, which moves in steps.

    Raises:
        InvalidOptionError: it is another kind of system.
    """
    if spec.angles != (True,) or spec.stepping is None:
        raise InvalidOptionError(f"models of frames are for one angle that moves in steps, and {spec.name!r} is none")
    return spec.stepping.dt


def _autoencoder_shapes(size: int, harmonics: int) -> Shapes:
    return {ENCODER: (size**2 + 1, 2), DECODER: (1 + 2 * harmonics, size**2)}


def _init_autoencoder(camera: Camera, harmonics: int) -> Parameters:
    """An encoder that reads the centre of brightness, as the camera does, and a decoder that shows nothing."""
    across, down = camera.axes
    weights = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1).reshape(-1, 2) / SCREEN
    return {
        ENCODER: np.concatenate((weights, np.zeros((1, 2)))),
        DECODER: np.zeros((1 + 2 * harmonics, camera.size**2)),
    }


def _build_autoencoder(parameters: Parameters, window: tuple[int, ...]) -> Autoencoder:
    return Autoencoder(parameters[ENCODER], parameters[DECODER], tuple(window))
