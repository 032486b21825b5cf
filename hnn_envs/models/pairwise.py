"""The pairwise n-body HNN: H = sum |p_i|^2 / 2m + sum_{i<j} v(|q_i - q_j|), m and v learned, all bodies alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hnn_envs.arrays import Array, namespace
from hnn_envs.components import Form
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import PortHamiltonian, Separable
from hnn_envs.hamiltonian.pairs import gather, separations
from hnn_envs.models.mlp import MLP, Parameters, Shapes, build_mlp, init_mlp, mlp_shapes
from hnn_envs.models.ports import Ports, exponential
from hnn_envs.models.settings import positive
from hnn_envs.systems.spec import SystemSpec


@dataclass(frozen=True)
class PairwiseHamiltonian(Separable):
    """H with one learned pair potential v(r) = energy (network(z) + slope z) + amplitude r^-power.

    z = (log r - centre) / spread: in the logarithm of the distance a tanh unit has power-law tails and the linear term
    carries on beyond the data, so a handful of units holds over decades. Closer than any data the units level off, and
    a power law is what is left, where there is one; without, v grows by the logarithm only. Conserves momentum and
    angular momentum by construction.
    """

    network: MLP
    slope: Array
    amplitude: Array
    power: Array
    inverse_mass: Array
    bodies: int
    energy: float
    centre: float
    spread: float

    def potential(self, q: Array) -> Array:
        """V(q) = sum_{i<j} v(r_ij), shape (...,), up to a constant."""
        _, distances = separations(q, self.bodies)
        z = self._scaled_log(distances)
        learned = self.energy * (self.network(z)[..., 0] + self.slope * z[..., 0])
        return (learned + self._power_law(distances)).sum(-1)

    def potential_gradient(self, q: Array) -> Array:
        """dV/dq, shape (..., 2*bodies), in closed form.

        v'(r) = (energy (dnetwork/dz + slope) / spread - power amplitude r^-power) / r.
        """
        differences, distances = separations(q, self.bodies)
        steepness = (self.energy / self.spread) * (self.network.gradient(self._scaled_log(distances)) + self.slope)
        steepness = steepness - self.power * self._power_law(distances)[..., None]
        return gather(steepness / (distances * distances)[..., None] * differences, self.bodies)

    def compiled_form(self) -> Form:
        """How the force is compiled."""
        return Form("hnn_envs.kernels.pairs", self, network=self.network, inverse_mass=self.inverse_mass)

    def _power_law(self, distances: Array) -> Array:
        """Amplitude r^-power, shape (..., pairs)."""
        xp = namespace(distances)
        return self.amplitude * xp.exp(-self.power * xp.log(distances))

    def _scaled_log(self, distances: Array) -> Array:
        """z, one network input per pair, shape (..., pairs, 1)."""
        return ((namespace(distances).log(distances) - self.centre) / self.spread)[..., None]


@dataclass(frozen=True)
class Config:
    """The pairwise HNN.

    Attributes:
        hidden: units of the hidden layers of v.
        energy: unit of v.
        centre: typical log r.
        spread: how far log r is from it.
        power_law: whether v has a term amplitude r^-power, both learned; for data that encounters lead beyond.
        ports: whether damping and input matrix are learned too.
    """

    hidden: tuple[int, ...] = (8,)
    energy: float = positive(1.0)
    centre: float = 0.0
    spread: float = positive(1.0)
    power_law: bool = False
    ports: Ports = field(default_factory=Ports)

    networks = ("network",)

    def shapes(self, spec: SystemSpec) -> Shapes:
        """Shapes of the parameters."""
        network = mlp_shapes("network", (1, *self.hidden, 1))
        law: Shapes = {"amplitude": (), "power": ()} if self.power_law else {}
        return network | {"slope": (), "log_inverse_mass": ()} | law | self.ports.shapes(spec)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        """Random parameters; the units of the first layer are spread over the range of distances."""
        parameters = init_mlp(rng, "network", (1, *self.hidden, 1))
        width = self.hidden[0]
        steepness = rng.choice((-1.0, 1.0), width) * rng.uniform(0.5, 2.0, width)
        middles = np.linspace(-2.0, 2.0, width) + 0.1 * rng.standard_normal(width)
        parameters |= {"network.weight0": steepness[None], "network.bias0": -steepness * middles}
        parameters |= {"slope": np.asarray(0.1 * rng.standard_normal()), "log_inverse_mass": np.asarray(0.0)}
        if self.power_law:
            amplitude, power = 0.1 * rng.standard_normal(), rng.uniform(0.5, 2.0)
            parameters |= {"amplitude": np.asarray(amplitude), "power": np.asarray(power)}
        return parameters | self.ports.init(spec, rng)

    def build(self, spec: SystemSpec, parameters: Parameters) -> PortHamiltonian:
        """The vector field with these parameters.

        Raises:
            InvalidOptionError: the system is not made of bodies that attract each other.
        """
        if not spec.bodies:
            raise InvalidOptionError(f"the pairwise family needs an n-body system, and {spec.name!r} is none")
        hamiltonian = PairwiseHamiltonian(
            network=build_mlp(parameters, "network"),
            slope=parameters["slope"],
            amplitude=parameters["amplitude"] if self.power_law else 0.0,
            power=parameters["power"] if self.power_law else 0.0,
            inverse_mass=exponential(parameters["log_inverse_mass"]),
            bodies=spec.bodies,
            energy=self.energy,
            centre=self.centre,
            spread=self.spread,
        )
        return self.ports.attach(hamiltonian, spec, parameters)
