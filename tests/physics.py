"""Helpers of the physics tests: systems and models to run over, states, numerical derivatives, reference flows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, settings

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Card, Domain, save_checkpoint
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.hamiltonian import LagrangianFlow, PortHamiltonian, VectorField, canonical, is_separable
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.models import FAMILIES, Parameters, describe, make_family
from hnn_envs.models.generic import FIELD_TYPES
from hnn_envs.models.mlp import ACTIVATIONS
from hnn_envs.systems import SYSTEMS, System, truth_of
from hnn_envs.tasks import tasks_of

NAMES = tuple(name for name, system in SYSTEMS.items() if truth_of(system) is not None)
TASKED = tuple(name for name in SYSTEMS if tasks_of(name))
"""Systems with a task: these have default recipes and checkpoints, and a place in every table."""
IN_PAPER = ("mass-spring", "pendulum", "real-pendulum", "two-body", "three-body", "pixel-pendulum")
"""Systems of the seed paper: these have its recipes and checkpoints as well."""
SEPARABLE = tuple(name for name in NAMES if is_separable(SYSTEMS[name].field))
N_BODY = tuple(name for name, system in SYSTEMS.items() if hasattr(system, "bodies"))

# Deterministic, so that a failure is a change in the code and never in the draw.
PROPERTY = settings(derandomize=True, deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))


def states(system: System, count: int, seed: int = 0) -> Array:
    """States as the system samples them, and moved a little, so that none is special (zero total momentum, say)."""
    rng = np.random.default_rng(seed)
    x = system.sample_states(rng, count)
    return x + 0.02 * rng.standard_normal(x.shape)


def inputs(system: System, count: int, seed: int = 0) -> Array:
    """Random inputs of order 0.3, shape (count, inputs)."""
    columns = np.shape(system.field.input_matrix)[-1]
    return 0.3 * np.random.default_rng(seed + 1000).standard_normal((count, columns))


def undamped(system: System) -> PortHamiltonian:
    """The true flow in coordinates and momenta, without its damping and friction."""
    flow = canonical(system.field)
    assert isinstance(flow, PortHamiltonian)
    return replace(flow, damping=None, dissipation=None)


def phase_states(system: System, count: int, seed: int = 0) -> Array:
    """The same as ``states``, in coordinates and momenta."""
    return in_phase_space(system, states(system, count, seed))


def in_phase_space(system: System, x: Array) -> Array:
    """States of a system in coordinates and momenta."""
    return system.field.to_canonical(x) if isinstance(system.field, LagrangianFlow) else x


def from_phase_space(system: System, x: Array) -> Array:
    """Coordinates and momenta in the variables of a system's states."""
    return system.field.from_canonical(x) if isinstance(system.field, LagrangianFlow) else x


def flow(system: System, **options: Any) -> Dynamics:
    """The ODE of a system; where its truth is a discrete map, the continuous flow that this approximates."""
    method = None if system.spec.stepping is None else "pefrl"
    return make_dynamics(system, "ode", integrator=method, **options)


def symplectic_form(dof: int) -> Array:
    """J, shape (2*dof, 2*dof)."""
    zero, one = np.zeros((dof, dof)), np.eye(dof)
    return np.block([[zero, one], [-one, zero]])


def central_differences(function: Callable[[Array], Array], x: Array, step: float = 1e-5) -> Array:
    """d function / dx for a scalar function that broadcasts, shape of x; its error is O(step**2)."""
    shifts = step * np.eye(x.shape[-1])
    return (function(x[..., None, :] + shifts) - function(x[..., None, :] - shifts)) / (2 * step)


def autograd(function: Callable[[Array], Array], x: Array) -> Array:
    """d function / dx by torch, for a scalar function that broadcasts, shape of x."""
    held = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    function(held).sum().backward()
    assert held.grad is not None
    return held.grad.numpy()


def step_jacobian(method: str, field: VectorField, x: Array, u: Array | None, h: float) -> Array:
    """The derivative of one step with respect to one state, exact, by torch."""
    held = None if u is None else torch.tensor(u)
    return torch.autograd.functional.jacobian(
        lambda y: INTEGRATORS[method].step(field, y, held, h), torch.tensor(x)
    ).numpy()


def exact(field: VectorField, x: Array, time: float, u: Array | None = None) -> Array:
    """The reference flow: DOP853 at rtol = atol = 1e-12."""
    return INTEGRATORS["dop853"].step(field, x, u, time)


def march(method: str, field: VectorField, x: Array, h: float, steps: int, u: Array | None = None) -> Array:
    """The states after each of ``steps`` steps, the first included, shape (steps + 1, ...)."""
    trajectory = [x]
    for _ in range(steps):
        trajectory.append(INTEGRATORS[method].step(field, trajectory[-1], u, h))
    return np.stack(trajectory)


CHOICES = {"field_type": FIELD_TYPES, "activation": ACTIVATIONS}
"""What a setting that is a name may be; a new setting of that kind has its line here."""


def variants(family: str) -> Iterator[dict[str, Any]]:
    """Settings of a family that between them use all it can learn: the default, and each switch turned."""
    yield {}
    for name, default in asdict(FAMILIES[family]()).items():
        if isinstance(default, bool):
            yield {name: not default}
        elif isinstance(default, dict):
            yield {name: dict.fromkeys(default, True)}
        elif isinstance(default, str):
            yield from ({name: other} for other in sorted(CHOICES[name]) if other != default)
        elif isinstance(default, int):
            yield {name: 9}
        elif isinstance(default, float):
            yield {name: 1.7}


def parameters(family: str, options: dict[str, Any], system: System, seed: int = 0) -> Parameters:
    """Random parameters, all of them: also the mass and the damping, which a family starts at fixed values."""
    rng = np.random.default_rng(seed)
    drawn = make_family(family, options).init(system.spec, rng)
    values = {name: np.asarray(value + 0.2 * rng.standard_normal(value.shape)) for name, value in drawn.items()}
    if family == "pixel-generic-mlp":  # its unit of time is a frame, of which a second has 20: as drawn, it would race
        last = max(name for name in values if name.startswith("network.weight"))
        values[last] = 0.2 * values[last]
    if family == "trigonometric":  # a mass matrix is positive definite, also where polynomials lead
        for name, scale in (("mass", 0.3 / drawn["mass"].shape[-1]), ("potential", 0.3)):
            values[name] = drawn[name] + scale * (values[name] - drawn[name])
    return values


def to_torch(values: Parameters, *, grad: bool = False) -> Parameters:
    """The same parameters as torch tensors."""
    return {name: torch.tensor(value).requires_grad_(grad) for name, value in values.items()}


def small(options: dict[str, Any]) -> dict[str, Any]:
    """``options`` with hidden layers small enough for tests, of different sizes so that no transposition hides."""
    return {"hidden": [7, 5]} | options


def settings_of(family: str) -> list[dict[str, Any]]:
    """The variants of a family, with small hidden layers where it has any."""
    hidden = "hidden" in asdict(FAMILIES[family]())
    return [small(options) if hidden else options for options in variants(family)]


@cache
def _models() -> tuple[tuple[str, str, str], ...]:
    found = []
    for family, name in product(FAMILIES, NAMES):
        for number, options in enumerate(settings_of(family)):
            try:
                make_family(family, options).build(SYSTEMS[name].spec, parameters(family, options, SYSTEMS[name]))
            except InvalidOptionError:
                continue  # a family that does not fit this system
            found.append((family, name, str(number)))
    return tuple(found)


class Model:
    """A family with random weights for a system, as a NumPy and as a torch field."""

    def __init__(self, family: str, name: str, number: str) -> None:
        self.system = SYSTEMS[name]
        self.options = settings_of(family)[int(number)]
        self.family = make_family(family, self.options)
        self.parameters = parameters(family, self.options, self.system)
        self.field = self.build(self.parameters)
        self.torch_field = self.build(to_torch(self.parameters))

    def build(self, values: Parameters) -> Any:
        return self.family.build(self.system.spec, values)


def models(*, separable: bool | None = None, default: bool = False) -> list[str]:
    """Ids "family/system/variant" of all models, or of those (not) separable, or of the default settings only."""
    ids = ["/".join(parts) for parts in _models() if not default or parts[-1] == "0"]
    return [name for name in ids if separable is None or is_separable(model(name).field) is separable]


@cache
def model(identity: str) -> Model:
    """The model of an id."""
    return Model(*identity.split("/"))


def fields(*, separable: bool | None = None) -> list[str]:
    """Ids of true fields, "system", and of default models, "family/system/0": what an integrator may have to step."""
    true = [name for name in NAMES if separable is None or is_separable(undamped(SYSTEMS[name])) is separable]
    return true + models(separable=separable, default=True)


def system_of(identity: str) -> System:
    """The system of a field's id."""
    return SYSTEMS[identity] if identity in SYSTEMS else model(identity).system


def field_of(identity: str, *, torch: bool = False) -> Any:
    """The canonical field of an id, without damping and friction; true fields serve NumPy and torch alike."""
    if identity in SYSTEMS:
        return undamped(SYSTEMS[identity])
    flow = canonical(model(identity).torch_field if torch else model(identity).field)
    return replace(flow, damping=None, dissipation=None) if isinstance(flow, PortHamiltonian) else flow


def card_of(identity: str, **changes: Any) -> Card:
    """A card for the model of an id; ``changes`` replace its entries."""
    there = model(identity)
    dof, recipe = there.system.spec.dof, "a recipe\nof two lines"
    card = Card(
        name="default/hnn",
        spec=there.system.spec,
        family=identity.split("/")[0],
        settings=describe(there.family),
        domain=Domain((-1.5,) * 2 * dof, (1.5,) * 2 * dof, (-1.0, 2.0)),
        recipe=recipe,
        recipe_hash=hashlib.sha256(recipe.encode()).hexdigest(),
        seed=7,
        metrics={"test_loss": 0.1 + 0.2, "energy_mse": 1e-300},
        version="0.1.0",
        energy_offset=-0.7,
    )
    return replace(card, **changes)


def write_checkpoint(path: Path, identity: str, *, weights: Parameters | None = None, **changes: Any) -> Path:
    """Writes the model of an id to ``path``."""
    save_checkpoint(path, card_of(identity, **changes), model(identity).parameters if weights is None else weights)
    return path
