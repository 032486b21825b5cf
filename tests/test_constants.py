"""Constants of the physics move to a device once, whoever asks first."""

from __future__ import annotations

import numpy as np
import torch

from hnn_envs import arrays
from hnn_envs.arrays import constant, like
from hnn_envs.systems import SYSTEMS
from hnn_envs.tasks import TASKS


def test_a_constant_is_a_copy_that_cannot_be_written() -> None:
    values = np.ones((2, 1))
    made = constant(values)
    values[:] = 5
    assert made.tolist() == [[1], [1]]
    assert not made.flags.writeable
    assert constant([1.0], np.float32).dtype == np.float32


def test_its_tensor_is_made_once_for_each_precision() -> None:
    made = constant([1.0, 2.0])
    x, y = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float32)
    assert like(made, x) is like(made, x)
    assert like(made, x).tolist() == like(made, y).tolist() == [1, 2]
    assert (like(made, x).dtype, like(made, y).dtype) == (torch.float64, torch.float32)
    changing = np.ones(2)
    first = like(changing, x)
    changing[:] = 7
    assert (first.tolist(), like(changing, x).tolist()) == ([1, 1], [7, 7])


def test_a_tensor_made_in_inference_mode_serves_outside_of_it() -> None:
    made = constant([3.0])
    with torch.inference_mode():
        like(made, torch.zeros(1, dtype=torch.float64))
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    (weight * like(made, weight)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.item() == 3


def test_few_tensors_are_kept_and_none_is_mistaken_for_another() -> None:
    x = torch.zeros(1, dtype=torch.float64)
    for value in range(3 * arrays.MOST_MOVED):
        assert like(constant([float(value)]), x).item() == value
    assert len(arrays._MOVED) <= arrays.MOST_MOVED


def test_what_the_physics_multiplies_with_is_constant() -> None:
    assert not any(system.field.input_matrix.flags.writeable for system in SYSTEMS.values())
    for task in TASKS.values():
        limits = (task.low, task.high, task.observation_low, task.observation_high)
        assert not any(values.flags.writeable for values in limits)
