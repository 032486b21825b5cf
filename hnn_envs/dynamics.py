"""Dynamics: a vector field, true or learned, with an integrator and a time step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import ALIASES, Card, find_checkpoint, is_path, is_shipped_name, shipped_checkpoints
from hnn_envs.errors import DeviceError, InvalidOptionError, UnknownNameError
from hnn_envs.hamiltonian import Hamiltonian, PortHamiltonian, VectorField
from hnn_envs.integrators import Integrator, get_integrator
from hnn_envs.systems import System

DTYPES = ("float64", "float32")


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
        h = self.dt / self.substeps
        for _ in range(self.substeps):
            x = self.integrator.step(self.field, x, u, h)
        return x

    def to_device(self, values: Array) -> Array:
        """Moves NumPy values to where this physics computes; a no-op on the CPU."""
        if self.device is None:
            return values
        import torch

        return torch.as_tensor(values, dtype=torch.float64, device=self.device)

    def to_numpy(self, values: Array) -> Array:
        """Brings values back from where this physics computes; a no-op on the CPU."""
        return values if self.device is None else values.cpu().numpy()

    def energy(self, x: Array) -> Array:
        """The energy that this physics believes in, shape (...,)."""
        return self.hamiltonian.value(x)


def make_dynamics(
    system: System,
    name: str = "ode",
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
        name: "ode" (the true equations), "hnn" or "baseline" (the shipped default family), the name of another shipped
            checkpoint such as "paper/hnn", or the path of a .safetensors file.
        dt: time per step; by default a fiftieth of the system's time scale.
        integrator: a key of ``hnn_envs.integrators.INTEGRATORS``; by default PEFRL where the Hamiltonian is separable,
            else RK4.
        substeps: integrator steps per step; by default enough for the ODE to keep to 1e-9 of the exact flow, and as
            many for learned physics, so that the two differ in the field alone.
        device: None or "cpu" for NumPy, or a torch device such as "cuda".
        dtype: precision of a learned network, "float64" (default) or "float32"; states are always float64.

    Raises:
        UnknownNameError: an unknown dynamics or integrator.
        InvalidOptionError: an option that is out of range or does not fit.
        CheckpointError: the checkpoint cannot be used.
        DeviceError: there is no such device.
    """
    dt = system.time_scale / 50 if dt is None else dt
    _check_options(name, dt, substeps, dtype)
    torch_device = _torch_device(device)
    card: Card | None = None
    if name == "ode":
        field: VectorField = system.field
    else:
        checkpoint = find_checkpoint(system.name, _known(system, name))
        card = checkpoint.card
        field = checkpoint.build(system, _convert(checkpoint.parameters, dtype, torch_device))
    method = get_integrator(integrator, field)
    if torch_device is not None and method.name == "dop853":
        raise InvalidOptionError(f"integrator 'dop853' runs on the CPU only; leave out device={device!r}")
    return Dynamics(
        name=name,
        system=system,
        field=field,
        integrator=method,
        dt=float(dt),
        substeps=default_substeps(system, dt) if substeps is None else int(substeps),
        hamiltonian=field.hamiltonian if isinstance(field, PortHamiltonian) else system,
        device=torch_device,
        card=card,
    )


def default_substeps(system: System, dt: float) -> int:
    """Integrator steps per step of ``dt`` that keep the ODE to 1e-9 of the exact flow."""
    return max(1, math.ceil(dt / system.max_step - 1e-9))


def _check_options(name: str, dt: float, substeps: int | None, dtype: str | None) -> None:
    if not (isinstance(dt, int | float | np.floating) and math.isfinite(dt) and dt > 0):
        raise InvalidOptionError(f"dt must be a positive number, not {dt!r}")
    if substeps is not None and not (isinstance(substeps, int | np.integer) and substeps >= 1):
        raise InvalidOptionError(f"substeps must be a positive integer, not {substeps!r}")
    if dtype is not None and dtype not in DTYPES:
        raise InvalidOptionError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    if dtype == "float32" and name == "ode":
        raise InvalidOptionError("dtype chooses the precision of a learned network, and 'ode' has none; leave it out")


def _known(system: System, name: str) -> str:
    """Returns ``name`` where it names a checkpoint; whether that can be used is seen when it is loaded."""
    if isinstance(name, str) and (is_shipped_name(system.name, name) or is_path(name)):
        return name
    shipped = shipped_checkpoints(system.name)
    raise UnknownNameError(
        f"unknown dynamics {name!r} for {system.name}; allowed: {', '.join(('ode', *ALIASES, *shipped))}, "
        "or the path of a .safetensors file"
    )


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
