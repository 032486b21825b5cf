"""Dynamics: a vector field, true or learned, with an integrator and a time step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import (
    ALIASES,
    Card,
    Checkpoint,
    find_checkpoint,
    is_path,
    is_shipped_name,
    load_checkpoint,
    shipped_checkpoints,
)
from hnn_envs.devices import torch_device
from hnn_envs.ensemble import Ensemble
from hnn_envs.errors import CheckpointError, InvalidOptionError, NoTruthError, UnknownNameError
from hnn_envs.hamiltonian import Hamiltonian, HamiltonianFlow, VectorField, bodies_of, is_separable
from hnn_envs.integrators import INTEGRATORS, Integrator, get_integrator
from hnn_envs.linearisation import Linearisation, difference_of, finer
from hnn_envs.observation import ObservationModel, Observed
from hnn_envs.parsing import user_path
from hnn_envs.systems import Known, System, SystemSpec, find_truth, resolve_system, spec_of, truth_of

DTYPES = ("float64", "float32")

LEARNED_STEP = 5.0
"""Learned physics takes steps this much longer than the ODE: 5^4 times its 1e-9, still far below the error of a fit."""

LEARNED_SPLITTING = "blanes_moan4"
"""A network's force is what a step costs: this scheme needs 0.6 to 0.9 of PEFRL's evaluations, and errs less."""

LEARNED_ADAPTIVE = "dormand_prince8_coarse"
"""The method that chooses its steps, for learned machines with friction: a third of the evaluations of the ODE's."""


@dataclass(frozen=True)
class Dynamics:
    """What moves a state by one environment step.

    Attributes:
        name: "ode", "hnn", "baseline", a checkpoint's name or its path, as the user gave it.
        spec: what the system is.
        truth: its equations; None where they are not known.
        field: the vector field that is integrated.
        integrator: the one-step method.
        dt: time that one step covers.
        substeps: integrator steps per step.
        hamiltonian: the energy that this physics assigns to states; the true one where it has none of its own
            (baseline), and None where that is not known either.
        device: None for NumPy on the CPU, else the torch device that holds the network.
        card: the checkpoint's card; None for the ODE.
        ensemble: models that were learned beside this one; None where there are none.
        dtype: precision in which a learned network is evaluated, "float64" or "float32".
    """

    name: str
    spec: SystemSpec
    truth: System | None
    field: VectorField
    integrator: Integrator
    dt: float
    substeps: int
    hamiltonian: Hamiltonian | None
    device: str | None = None
    card: Card | None = None
    ensemble: Ensemble | None = None
    dtype: str = "float64"

    def step(self, x: Array, u: Array | None = None) -> Array:
        """Advances states (..., 2*dof) by ``dt`` under inputs (..., inputs) held constant; None is the free system.

        Arrays stay on the device that they are on. A state that diverges comes back as it is, inf or NaN: whoever
        calls decides what that means.
        """
        if isinstance(x, np.ndarray) and x.dtype == np.float64 and self._compiled is not None:
            return self._compiled(x, u)
        h = self.dt / self.substeps
        with np.errstate(all="ignore"):
            return self.integrator.advance(self.field, x, u, h, self.substeps)

    def jacobian(self, x: Array, u: Array | None = None) -> tuple[Array, Array]:
        """The derivatives of ``step(x, u)``: A by the states and B by the inputs.

        They are central differences of one batched call of the step, of whatever field and method. Against the exact
        derivatives of the step they are off by 1e-8 of the largest entry or less, as measured on the systems of this
        package; where dry friction turns around within the step by up to 1e-4, and so with a network in float32. A
        method that chooses its steps takes finer ones than ``step`` does, since its choices are no smooth function of
        the state.

        Args:
            x: states (..., 2*dof).
            u: inputs (..., inputs), held constant over the step; None is zero. Leading axes broadcast.

        Returns:
            A, shape (..., 2*dof, 2*dof), and B, shape (..., 2*dof, inputs); A[..., i, j] is the derivative of entry i
            of the next state by entry j of this one. They are NaN where a state diverges.
        """
        return self._linearised(x, u)

    @property
    def has_spread(self) -> bool:
        """Whether there is an ensemble, whose disagreement tells where this physics cannot be trusted."""
        return self.ensemble is not None

    def spread(self, x: Array, u: Array | None = None, x_next: Array | None = None) -> Array:
        """How far the members of an ensemble are from this physics after one step, as a share, shape (...,).

        Of each state component it is the root mean square of the members' deviations over the component's width in the
        domain, at most 2 pi for an angle; of these it is the largest, times the card's ``spread_scale``. It is infinite
        where a member or this physics diverges.

        Args:
            x: states (..., 2*dof).
            u: inputs (..., inputs); None for the free system.
            x_next: where this physics leads, if that was computed before.

        Raises:
            InvalidOptionError: there is no ensemble.
        """
        if self.ensemble is None:
            raise InvalidOptionError(f"dynamics {self.name!r} has no ensemble that was learned beside it, so no spread")
        return self.ensemble.spread(x, u, self.step(x, u) if x_next is None else x_next)

    @cached_property
    def _compiled(self) -> Callable[[Array, Array | None], Array] | None:
        """The same step as machine code, where there is a kernel for it."""
        from hnn_envs.kernels import compile_step

        return compile_step(self.field, self.integrator, self.dt, self.substeps)

    @cached_property
    def _linearised(self) -> Linearisation:
        """What differentiates the step."""
        method = finer(self.integrator)
        step = self.step if method is self.integrator else replace(self, integrator=method).step
        domain = None if self.card is None else self.card.domain
        return Linearisation(step, *difference_of(self.spec, domain, self.dtype))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the machine code, which each process makes or loads for itself."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_compiled", "_linearised")}

    @property
    def role(self) -> str:
        """What it is in a comparison: "ode" the truth, "hnn" a learned Hamiltonian flow, else "baseline"."""
        return "ode" if self.card is None else role_of(self.field)

    def to_device(self, values: Array) -> Array:
        """Moves NumPy values to where this physics computes; a no-op on the CPU."""
        if self.device is None:
            return values
        import torch

        return torch.tensor(values, dtype=torch.float64, device=self.device)

    def to_numpy(self, values: Array) -> Array:
        """Brings values back from where this physics computes; a no-op on the CPU."""
        return values if self.device is None else values.cpu().numpy()

    @property
    def observation_model(self) -> ObservationModel | None:
        """What shows the states of physics that was learned from observations; None where it was not."""
        return self.field.observation_model if isinstance(self.field, Observed) else None

    def energy(self, x: Array) -> Array:
        """The energy that this physics assigns to states, shape (...,).

        Raises:
            NoTruthError: it has none of its own, and the true one is not known.
        """
        if self.hamiltonian is None:
            raise NoTruthError.of(self.spec.name)
        energy = self.hamiltonian.value(x)
        if self.card is None or self.hamiltonian is self.truth:
            return energy
        return energy - self.card.energy_offset

    def reported_energy(self, x: Array) -> Array | None:
        """What results call the energy of NumPy states: the true one where known, else the learned one, else None."""
        if self.truth is not None:
            return self.truth.value(x)
        return None if self.hamiltonian is None else self.to_numpy(self.energy(self.to_device(x)))


def role_of(field: VectorField) -> str:
    """What a learned field is in a comparison: "hnn" where it has a Hamiltonian, else "baseline"."""
    return "hnn" if isinstance(field, HamiltonianFlow) else "baseline"


def role_by_name(system: str, dynamics: str) -> str:
    """What a physics is of which only the name is known; "other" for what is no known checkpoint of the system."""
    if dynamics == "ode":
        return "ode"
    if ALIASES.get(dynamics, dynamics) not in shipped_checkpoints(system):
        return "other"
    return role_of(find_checkpoint(system, dynamics).build())


def make_dynamics(
    system: str | Path | Known | Checkpoint,
    dynamics: str | Checkpoint | None = None,
    *,
    dt: float | None = None,
    integrator: str | None = None,
    substeps: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Dynamics:
    """Makes the dynamics of a system, true or learned.

    A system whose truth is a discrete map (``SystemSpec.stepping``) is stepped by that map, and so is what was learned
    of it, unless another integrator or other substeps are asked for. This is the only place where that is decided.

    Args:
        system: a system, its name, or "module:object"; or a checkpoint, or the path of one, whose card says what
            system it is of.
        dynamics: "ode" (the true equations), "hnn" or "baseline" (the shipped default family), the name of another
            shipped checkpoint such as "paper/hnn", the path of a .safetensors file, or a checkpoint already loaded.
            By default the checkpoint where one was given for the system, else "ode".
        dt: time per step; by default a fiftieth of the system's time scale, or the step of its discrete map.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``; by default what ``get_integrator`` chooses: PEFRL
            where H is separable, and what suits bodies that act in pairs, and machines with mass matrices and friction.
            Of learned Hamiltonians that are separable it is Blanes and Moan's fourth-order splitting.
        substeps: integrator steps per step; by default enough for these splittings to keep the ODE to 1e-9 of the
            exact flow, and learned physics to 1e-6 of its own.
        device: None or "cpu" for NumPy, or a torch device such as "cuda".
        dtype: precision of a learned network, "float64" (default) or "float32"; states are always float64.

    Raises:
        UnknownNameError: an unknown system, dynamics or integrator.
        InvalidOptionError: an option that is out of range or does not fit.
        NoTruthError: "ode" of a system whose equations are not known.
        CheckpointError: the checkpoint cannot be used.
        DeviceError: there is no such device.
    """
    on_device = torch_device(device)
    spec, truth, chosen = _resolved(system, dynamics)
    name = (
        chosen.card.name if isinstance(chosen, Checkpoint) and not isinstance(dynamics, str) else str(dynamics or "ode")
    )
    dt = _default_dt(spec) if dt is None else dt
    _check_options(name, dt, substeps, dtype)
    card: Card | None = None
    members: list[VectorField] = []
    if chosen is None:
        if truth is None:
            raise NoTruthError.of(spec.name, _learned_of(system, spec))
        field: VectorField = truth.field
    else:
        card = chosen.card
        field, *members = (
            chosen.build(_convert(each, dtype, on_device)) for each in (chosen.parameters, *chosen.members)
        )
    method, steps = _stepping(spec, field, dt, integrator, substeps, learned=card is not None)
    if on_device is not None and method.name == "dop853":
        raise InvalidOptionError(f"integrator 'dop853' runs on the CPU only; leave out device={device!r}")
    return Dynamics(
        name=name,
        spec=spec,
        truth=truth,
        field=field,
        integrator=method,
        dt=float(dt),
        substeps=steps,
        hamiltonian=field.hamiltonian if isinstance(field, HamiltonianFlow) else truth,
        device=on_device,
        card=card,
        ensemble=Ensemble(tuple(members), method, float(dt), steps, card) if card is not None and members else None,
        dtype=dtype or DTYPES[0],
    )


def _resolved(
    system: str | Path | Known | Checkpoint, dynamics: str | Checkpoint | None
) -> tuple[SystemSpec, System | None, Checkpoint | None]:
    """What the system is, its equations if known, and the checkpoint that moves it; None for the ODE."""
    if isinstance(system, Path) or (isinstance(system, str) and is_path(system)):
        system = load_checkpoint(user_path(system))
    if isinstance(system, Checkpoint):
        if dynamics is None:
            return system.card.spec, find_truth(system.card.spec), system
        system = find_truth(system.card.spec) or system.card.spec
    known = resolve_system(system)
    spec = spec_of(known)
    if dynamics is None or dynamics == "ode":
        return spec, truth_of(known), None
    chosen = dynamics if isinstance(dynamics, Checkpoint) else _found(spec, dynamics)
    return spec, truth_of(known), _checked(spec, chosen)


def _learned_of(system: str | Path | Known | Checkpoint, spec: SystemSpec) -> list[str]:
    """What was learned of a system, as far as that is known: the file that was given, or the shipped checkpoints."""
    if isinstance(system, Path) or (isinstance(system, str) and is_path(system)):
        return [str(system)]
    return shipped_checkpoints(spec.name)


def _default_dt(spec: SystemSpec) -> float:
    return spec.time_scale / 50 if spec.stepping is None else spec.stepping.dt


def _stepping(
    spec: SystemSpec, field: VectorField, dt: float, integrator: str | None, substeps: int | None, *, learned: bool
) -> tuple[Integrator, int]:
    """The method of a field, and how many of its steps are a step of ``dt``."""
    if spec.stepping is not None and integrator is None:
        own = spec.stepping
        # What has no separable Hamiltonian takes as many steps of its own method.
        method = INTEGRATORS[own.integrator] if is_separable(field) else suited_integrator(field, learned=learned)
        return method, _whole_steps(spec, dt) if substeps is None else int(substeps)
    method = suited_integrator(field, learned=learned) if integrator is None else get_integrator(integrator, field)
    return method, default_substeps(spec, dt, method, learned=learned) if substeps is None else int(substeps)


def suited_integrator(field: VectorField, *, learned: bool) -> Integrator:
    """The method that steps a true or a learned field where none is asked for."""
    method = get_integrator(None, field)
    if learned and is_separable(field) and not bodies_of(field):
        return INTEGRATORS[LEARNED_SPLITTING]
    return INTEGRATORS[LEARNED_ADAPTIVE] if learned and method.adaptive else method


def _whole_steps(spec: SystemSpec, dt: float) -> int:
    assert spec.stepping is not None  # noqa: S101 - for the type checker
    steps = round(dt / spec.stepping.dt)
    if steps < 1 or abs(steps * spec.stepping.dt - dt) > 1e-9 * dt:
        raise InvalidOptionError(
            f"{spec.name} moves in steps of {spec.stepping.dt:g}, so dt must be a multiple of it, not {dt:g}; give an "
            "integrator to step its continuous flow"
        )
    return steps


def default_substeps(spec: SystemSpec, dt: float, integrator: Integrator, *, learned: bool) -> int:
    """Integrator steps per step of ``dt``; a method that chooses its own needs one."""
    if integrator.adaptive:
        return 1
    longest = spec.longest_step * integrator.stride * (LEARNED_STEP if learned else 1)
    return max(1, math.ceil(dt / longest - 1e-9))


def _check_options(name: str, dt: float, substeps: int | None, dtype: str | None) -> None:
    if not (isinstance(dt, int | float | np.floating) and math.isfinite(dt) and dt > 0):
        raise InvalidOptionError(f"dt must be a positive number, not {dt!r}")
    if substeps is not None and not (isinstance(substeps, int | np.integer) and substeps >= 1):
        raise InvalidOptionError(f"substeps must be a positive integer, not {substeps!r}")
    if dtype is not None and dtype not in DTYPES:
        raise InvalidOptionError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    if dtype == "float32" and name == "ode":
        raise InvalidOptionError("dtype chooses the precision of a learned network, and 'ode' has none; leave it out")


def _found(spec: SystemSpec, name: str) -> Checkpoint:
    """Loads the checkpoint that ``name`` names."""
    if isinstance(name, str) and (is_shipped_name(spec.name, name) or is_path(name)):
        return find_checkpoint(spec.name, name)
    shipped = shipped_checkpoints(spec.name)
    raise UnknownNameError(
        f"unknown dynamics {name!r} for {spec.name}; allowed: {', '.join(('ode', *ALIASES, *shipped))}, "
        "or the path of a .safetensors file"
    )


def _checked(spec: SystemSpec, checkpoint: Checkpoint) -> Checkpoint:
    """Returns a checkpoint that belongs to a system, and has its states and inputs."""
    own = checkpoint.card.spec
    if own.name != spec.name:
        raise CheckpointError(f"the checkpoint was trained for system {own.name!r}, not {spec.name!r}")
    if (own.dof, len(own.inputs)) != (spec.dof, len(spec.inputs)):
        raise CheckpointError(
            f"the checkpoint was trained for another {spec.name!r}, of {own.dof} coordinates and {len(own.inputs)} "
            f"inputs, not {spec.dof} and {len(spec.inputs)}"
        )
    if own.velocities != spec.velocities:
        kinds = ("velocities", "momenta") if own.velocities else ("momenta", "velocities")
        raise CheckpointError(
            f"the checkpoint was trained for another {spec.name!r}, with states of {kinds[0]}, not of {kinds[1]}"
        )
    return checkpoint


def _convert(parameters: dict[str, Array], dtype: str | None, device: str | None) -> dict[str, Any]:
    arrays = {name: np.asarray(value, dtype=dtype or "float64") for name, value in parameters.items()}
    if device is None:
        return arrays
    import torch

    return {name: torch.as_tensor(value.copy(), device=device) for name, value in arrays.items()}
