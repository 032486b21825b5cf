"""The torch devices that learned physics may run on; None is NumPy on the CPU."""

from __future__ import annotations

from hnn_envs.errors import DeviceError


def torch_device(device: str | None) -> str | None:
    """The torch device of this name; None for the CPU, where NumPy computes.

    Raises:
        DeviceError: there is no such device.
    """
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
