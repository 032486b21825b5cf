"""Dynamics: a vector field, true or learned, with an integrator and a time step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import (
    ALIASES,
    Card,
    Checkpoint,
    find_checkpoint,
    is_path,
    is_shipped_name,
    shipped_checkpoints,
)
from hnn_envs.errors import CheckpointError, DeviceError, InvalidOptionError, UnknownNameError
from hnn_envs.hamiltonian import Hamiltonian, PortHamiltonian, VectorField, is_separable
from hnn_envs.integrators import Integrator, get_integrator
from hnn_envs.systems import System

if TYPE_CHECKING:
    from hnn_envs.kernels import CompiledStep

DTYPES = ("float64", "float32")

LEARNED_STEP = 5.0
"""Learned physics takes steps this much longer than the ODE: 5^4 times its 1e-9, still far below the error of a fit."""

LEARNED_SPLITTING = "blanes_moan4"
"""A network's force is what a step costs: this scheme needs 0.6 to 0.9 of PEFRL's evaluations, and errs less."""


@dataclass(frozen=True)
class Dynamics:
    """What moves a state by one environment step.

    Attributes:
        name: "ode", "hnn", "baseline", a checkpoint's name or its path, as the user gave it.
        system: the true system; learned dynamics stand in for its field.
        field: the vector field that is integrated.
        integrator: the one-step method.
        dt: time that one step covers.
        substeps: integrator steps per step.
        hamiltonian: the energy that this physics believes in; the true one where it has none of its own (baseline).
        device: None for NumPy on the CPU, else the torch device that holds the network.
        card: the checkpoint's card; None for the ODE.
    """

    name: str
    system: System
    field: VectorField
    integrator: Integrator
    dt: float
    substeps: int
    hamiltonian: Hamiltonian
    device: str | None = None
    card: Card | None = None

    def step(self, x: Array, u: Array | None = None) -> Array:
        """Advances states (..., 2*dof) by ``dt`` under inputs (..., inputs) held constant; None is the free system.

        Arrays stay on the device that they are on. A state that diverges comes back as it is, inf or NaN: whoever
        calls decides what that means.
        """
        if isinstance(x, np.ndarray) and x.dtype == np.float64 and self._compiled is not None:
            return self._compiled(x, u)
        h = self.dt / self.substeps
        with np.errstate(all="ignore"):
            for _ in range(self.substeps):
                x = self.integrator.step(self.field, x, u, h)
        return x

    @cached_property
    def _compiled(self) -> CompiledStep | None:
        """The same step as machine code, where there is a kernel for it."""
        from hnn_envs.kernels import compile_step

        return compile_step(self.field, self.integrator, self.dt, self.substeps)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the machine code, which each process makes or loads for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_compiled"}

    def to_device(self, values: Array) -> Array:
        """Moves NumPy values to where this physics computes; a no-op on the CPU."""
        if self.device is None:
            return values
        import torch

        return torch.tensor(values, dtype=torch.float64, device=self.device)

    def to_numpy(self, values: Array) -> Array:
        """Brings values back from where this physics computes; a no-op on the CPU."""
        return values if self.device is None else values.cpu().numpy()

    def energy(self, x: Array) -> Array:
        """The energy that this physics believes in, shape (...,)."""
        energy = self.hamiltonian.value(x)
        if self.card is None or self.hamiltonian is self.system:
            return energy
        return energy - self.card.energy_offset


def make_dynamics(
    system: System,
    physics: str | Checkpoint = "ode",
    *,
    dt: float | None = None,
    integrator: str | None = None,
    substeps: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Dynamics:
    """Makes the dynamics of a system, true or learned.

    Args:
        system: the system.
        physics: "ode" (the true equations), "hnn" or "baseline" (the shipped default family), the name of another
            shipped checkpoint such as "paper/hnn", the path of a .safetensors file, or a checkpoint already loaded.
        dt: time per step; by default a fiftieth of the system's time scale.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``; by default PEFRL for the ODE, Blanes and Moan's
            fourth-order splitting for a learned Hamiltonian that is separable, else RK4.
        substeps: integrator steps per step; by default enough for these splittings to keep the ODE to 1e-9 of the
            exact flow, and learned physics to 1e-6 of its own.
        device: None or "cpu" for NumPy, or a torch device such as "cuda".
        dtype: precision of a learned network, "float64" (default) or "float32"; states are always float64.

    Raises:
        UnknownNameError: an unknown dynamics or integrator.
        InvalidOptionError: an option that is out of range or does not fit.
        CheckpointError: the checkpoint cannot be used.
        DeviceError: there is no such device.
    """
    dt = system.time_scale / 50 if dt is None else dt
    name = physics.card.name if isinstance(physics, Checkpoint) else physics
    _check_options(name, dt, substeps, dtype)
    torch_device = _torch_device(device)
    card: Card | None = None
    if name == "ode":
        field: VectorField = system.field
    else:
        checkpoint = _checked(system, physics) if isinstance(physics, Checkpoint) else _found(system, physics)
        card = checkpoint.card
        field = checkpoint.build(system, _convert(checkpoint.parameters, dtype, torch_device))
    if integrator is None and card is not None and is_separable(field):
        integrator = LEARNED_SPLITTING
    method = get_integrator(integrator, field)
    if torch_device is not None and method.name == "dop853":
        raise InvalidOptionError(f"integrator 'dop853' runs on the CPU only; leave out device={device!r}")
    return Dynamics(
        name=name,
        system=system,
        field=field,
        integrator=method,
        dt=float(dt),
        substeps=default_substeps(system, dt, method, learned=card is not None) if substeps is None else int(substeps),
        hamiltonian=field.hamiltonian if isinstance(field, PortHamiltonian) else system,
        device=torch_device,
        card=card,
    )


def default_substeps(system: System, dt: float, integrator: Integrator, *, learned: bool) -> int:
    """Integrator steps per step of ``dt``; DOP853 chooses its own and needs one."""
    if integrator.name == "dop853":
        return 1
    longest = system.max_step * integrator.stride * (LEARNED_STEP if learned else 1)
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


def _found(system: System, name: str) -> Checkpoint:
    """Loads the checkpoint that ``name`` names."""
    if isinstance(name, str) and (is_shipped_name(system.name, name) or is_path(name)):
        return find_checkpoint(system.name, name)
    shipped = shipped_checkpoints(system.name)
    raise UnknownNameError(
        f"unknown dynamics {name!r} for {system.name}; allowed: {', '.join(('ode', *ALIASES, *shipped))}, "
        "or the path of a .safetensors file"
    )


def _checked(system: System, checkpoint: Checkpoint) -> Checkpoint:
    """Returns a checkpoint that belongs to ``system``."""
    if checkpoint.card.system != system.name:
        raise CheckpointError(f"the checkpoint was trained for system {checkpoint.card.system!r}, not {system.name!r}")
    return checkpoint


def _torch_device(device: str | None) -> str | None:
    if device in (None, "cpu"):
        return None
    import torch

    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"unknown device {device!r}; allowed: cpu, cuda, cuda:0, ...") from error
    if found.type != "cuda":
        raise DeviceError(f"device {device!r} is not supported; allowed: cpu, cuda, cuda:0, ...")
    if not torch.cuda.is_available() or (found.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device {device!r} asked for, and this machine has {_cuda_devices()}")
    return str(found)


def _cuda_devices() -> str:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return f"{count} CUDA devices" if count else "no CUDA device; use device='cpu'"


def _convert(parameters: dict[str, Array], dtype: str | None, device: str | None) -> dict[str, Any]:
    arrays = {name: np.asarray(value, dtype=dtype or "float64") for name, value in parameters.items()}
    if device is None:
        return arrays
    import torch

    return {name: torch.as_tensor(value.copy(), device=device) for name, value in arrays.items()}
