"""What the environments are held against: the seed's way, JAX, and the machine's own arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from hnn_envs.dynamics import Dynamics
from hnn_envs.integrators.encounters import Encounters
from hnn_envs.integrators.splittings import Splitting
from hnn_envs.models.mlp import MLP

PEERS = ("envpool", "jax", "mujoco")
"""Packages that steps are measured next to."""


class SeedsWay:
    """The pendulum as Greydanus et al. 2019 do it: H a generic network 200-200 of the state, autograd, RK4, float32."""

    def __init__(self, rate: float = 1e-3) -> None:
        import torch

        layers = (torch.nn.Linear(2, 200), torch.nn.Tanh(), torch.nn.Linear(200, 200), torch.nn.Tanh())
        self._network = torch.nn.Sequential(*layers, torch.nn.Linear(200, 2, bias=False))
        self._adam = torch.optim.Adam(self._network.parameters(), rate, weight_decay=1e-4)

    def rates(self, x: Any, *, create_graph: bool = False) -> Any:
        """The derivative, J grad H(x)."""
        import torch

        x = x.requires_grad_()
        energy = self._network(x)[:, 1].sum()
        (gradient,) = torch.autograd.grad(energy, x, create_graph=create_graph)
        return torch.stack((gradient[:, 1], -gradient[:, 0]), dim=1)

    def step(self, x: Any, h: float) -> Any:
        """One RK4 step."""
        k1 = self.rates(x)
        k2 = self.rates((x + h / 2 * k1).detach())
        k3 = self.rates((x + h / 2 * k2).detach())
        k4 = self.rates((x + h * k3).detach())
        return (x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)).detach()

    def train(self, x: Any, rates: Any) -> float:
        """One step of training."""
        loss = (self.rates(x, create_graph=True) - rates).square().mean()
        loss.backward()
        self._adam.step()
        self._adam.zero_grad()
        return float(loss.detach())


def has_peer(name: str) -> bool:
    """Whether one of ``PEERS`` is installed; ``pip install hnn_envs[peers]`` brings them."""
    return find_spec(name) is not None


def jax_steps(dynamics: Dynamics, size: int) -> Callable[[], object]:
    """An action that steps a batch in JAX, by grad, vmap and jit: the same network, scheme and precision.

    For a pendulum's separable HNN with one hidden layer.
    """
    jax: Any = import_module("jax")  # whether it is there is nothing for type checkers
    jax.config.update("jax_enable_x64", True)
    step, dtype = jax.jit(jax.vmap(jax_step(dynamics, jax))), precision(dynamics)
    x, u = jax.numpy.zeros((size, 2), dtype=dtype), jax.numpy.zeros((size, 1), dtype=dtype)
    return lambda: step(x, u).block_until_ready()


def precision(dynamics: Any) -> Any:
    """The precision of learned physics."""
    return dynamics.field.hamiltonian.network.weights[0].dtype


def jax_step(dynamics: Dynamics, jax: Any) -> Callable[[Any, Any], Any]:
    """The step of one state."""
    jnp = jax.numpy
    field: Any = dynamics.field
    energy, scheme = field.hamiltonian, dynamics.integrator.method
    network, h = energy.network, dynamics.dt / dynamics.substeps
    if not (isinstance(scheme, Splitting) and len(network.weights) == 2):
        raise TypeError("only a splitting scheme and one hidden layer are written out here")
    inverse_mass, thrust = float(energy.inverse_mass), float(field.input_matrix[0, 0])
    first, last, bias = (jnp.asarray(part) for part in (*network.weights, network.biases[0]))
    unit = {"tanh": jnp.tanh, "logcosh": lambda z: jnp.logaddexp(z, -z)}[network.activation]

    def potential(q: Any) -> Any:
        hidden = unit(jnp.stack((jnp.cos(q), jnp.sin(q))) @ first + bias)
        return energy.scale * (hidden @ last)[0]

    force = jax.grad(potential)

    def step(x: Any, u: Any) -> Any:
        q, p = x[0], x[1]
        for _ in range(dynamics.substeps):
            q = q + scheme.drifts[0] * h * inverse_mass * p
            for kick, drift in zip(scheme.kicks, scheme.drifts[1:], strict=True):
                p = p + kick * h * (thrust * u[0] - force(q))
                q = q + drift * h * inverse_mass * p
        return jnp.stack((q, p))

    return step


@dataclass(frozen=True)
class Arithmetic:
    """What a step has to compute for one state: multiplications and additions of networks, and elementary functions."""

    operations: int
    functions: int


def arithmetic(dynamics: Dynamics) -> Arithmetic:
    """The arithmetic of one step of learned physics with a separable Hamiltonian, for bodies one without an encounter.

    A gradient runs the network there and back. Cosine and sine of an angle, and the logarithm and the power of a
    distance, count as one tanh each; square roots, divisions and the integrator itself are left out.
    """
    field, scheme, looks = dynamics.field, dynamics.integrator.method, 0
    if isinstance(scheme, Encounters):  # which looks at the pairs once more, at the end
        scheme, looks = scheme.calm, 1
    if not isinstance(scheme, Splitting):
        raise TypeError("only splitting schemes are counted")
    energy = getattr(field, "hamiltonian")  # noqa: B009 - fields of splitting schemes have one
    network: MLP = energy.network
    bodies = dynamics.spec.bodies
    networks = bodies * (bodies - 1) // 2 if bodies else 1
    inputs = 2 if bodies else 2 * len(energy.features.angular)
    products = sum(int(np.prod(weight.shape)) for weight in network.weights)
    units = sum(weight.shape[1] for weight in network.weights[:-1])
    forces = (scheme.evaluations(dynamics.substeps) + looks) * networks
    return Arithmetic(forces * 2 * 2 * products, forces * (units + inputs))


def products(dtype: str, device: str = "cpu", size: int = 512) -> tuple[Callable[[], object], int]:
    """A matrix product to be timed, and its operations."""
    import torch

    generator = torch.Generator().manual_seed(0)
    one, other = (torch.rand((size, size), generator=generator).to(device, getattr(torch, dtype)) for _ in range(2))
    return settled(lambda: one @ other, device), 2 * size**3


def tanhs(dtype: str, device: str = "cpu", size: int = 4096) -> tuple[dict[str, Callable[[], object]], int]:
    """The tanh of an array that fits into the cache, by all that can compute it, to be timed, and its size."""
    import torch

    values = torch.linspace(-3, 3, size).to(device, getattr(torch, dtype))
    out = torch.empty_like(values)
    ways = {"torch": settled(lambda: torch.tanh(values, out=out), device)}
    if device == "cpu":
        from hnn_envs.benchmarks.speed.compiled import own_tanh

        given, found = values.numpy(), out.numpy()
        ways |= {"numpy": lambda: np.tanh(given, out=found), "own": lambda: own_tanh(given, found)}
    return ways, size


def settled(action: Callable[[], object], device: str) -> Callable[[], object]:
    """An action, and on a GPU the wait for its end."""
    if device == "cpu":
        return action
    import torch

    def waited() -> None:
        action()
        torch.cuda.synchronize(device)

    return waited
