"""The compiled rules of the tasks, held against their definition in array code."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from hnn_envs.arrays import Array
from hnn_envs.envs.rules import LARGEST, ArrayReferee, CompiledReferee, make_referee
from hnn_envs.tasks import TASKS, Task
from hnn_envs.tasks.pendulum import PendulumTask

# The pixel pendulum's referee is not compiled, and has its tests elsewhere.
COMPILED = [task for name, task in TASKS.items() if name != "pixel-pendulum"]
every_task = pytest.mark.parametrize("task", COMPILED, ids=[task.name for task in COMPILED])


def transitions(task: Task, count: int = 600) -> tuple[Array, Array, Array]:
    """Random steps, states on both sides of the limits; some diverged, each in another way."""
    rng = np.random.default_rng(0)
    low, high = 1.1 * np.maximum(task.low, -7), 1.1 * np.minimum(task.high, 7)
    if task.system.spec.dof > 2:
        low, high = low / 3, high / 3  # most triangles of this size are neither too wide nor too narrow
    x, x_next = rng.uniform(low, high, (2, count, 2 * task.system.spec.dof))
    u = task.max_input * rng.uniform(-1, 1, (count, task.system.field.input_matrix.shape[-1]))
    x_next[1:7, 0] = np.nan, np.inf, -np.inf, 2 * LARGEST, -1e300, 0.99 * LARGEST
    x_next[7:12, -1] = np.nan, np.inf, LARGEST, -LARGEST, 0.99 * LARGEST
    return x, u, x_next


@every_task
def test_compiled_rules_are_those_of_the_array_code(task: Task) -> None:
    x, u, x_next = transitions(task)
    expected, found = ArrayReferee(task).judge(x, u, x_next.copy()), CompiledReferee(task).judge(x, u, x_next.copy())
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        if one.dtype == np.bool_:
            np.testing.assert_array_equal(one, other, err_msg=name)
        tolerance = 1e-12 if one.dtype == np.float64 else 1e-6
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=name)
    assert found.outside.any()
    assert not found.outside.all()
    assert found.diverged.sum() >= 7
    assert found.terminated.any() == (task.name == "three-body")
    assert np.isfinite(found.state).all()


@every_task
def test_a_state_in_a_batch_is_judged_bit_for_bit_as_it_is_alone(task: Task) -> None:
    x, u, x_next = transitions(task)
    for referee in (CompiledReferee(task), ArrayReferee(task)):
        batch = referee.judge(x, u, x_next.copy())
        seen, energy = referee.look(batch.state)
        np.testing.assert_array_equal(seen, batch.observation)
        np.testing.assert_array_equal(energy, batch.energy)
        for row in range(len(x)):
            alone = referee.judge(x[row], u[row], x_next[row].copy())
            for name, one, all_rows in zip(alone._fields, alone, batch, strict=True):
                np.testing.assert_array_equal(one, all_rows[row], err_msg=f"{name} of row {row}")


@every_task
def test_other_numbers_are_judged_by(task: Any) -> None:
    x, u, x_next = transitions(task)
    changes: dict[str, Any] = {
        field.name: 1.1 * value
        for field in dataclasses.fields(task)
        if isinstance(value := getattr(task, field.name), float) and field.name != "dt"
    }
    for name, value in changes.items() | {("system", dataclasses.replace(task.system, inverse_mass=3.0))}:
        other = dataclasses.replace(task, **{name: value})
        pair = [make(other).judge(x, u, x_next.copy()) for make in (CompiledReferee, ArrayReferee)]
        for one, expected in zip(*pair, strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-6, atol=1e-6, err_msg=name)


def test_a_task_of_ones_own_and_torch_get_the_array_code() -> None:
    class MyTask(PendulumTask):
        """A subclass may mean anything."""

    assert isinstance(make_referee(TASKS["pendulum"], None), CompiledReferee)
    assert isinstance(make_referee(TASKS["pendulum"], "cuda:0"), ArrayReferee)
    assert isinstance(make_referee(MyTask(), None), ArrayReferee)


@every_task
def test_the_array_code_judges_tensors_alike(task: Task) -> None:
    x, u, x_next = transitions(task)
    found = ArrayReferee(task).judge(*map(torch.as_tensor, (x, u, x_next)))
    for name, one, other in zip(found._fields, found, ArrayReferee(task).judge(x, u, x_next), strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-6, atol=1e-6, err_msg=name)


@every_task
def test_a_referee_may_be_copied_and_sent(task: Task) -> None:
    x, u, x_next = transitions(task)
    referee = CompiledReferee(task)
    expected = referee.judge(x, u, x_next.copy())
    for other in (copy.deepcopy(referee), pickle.loads(pickle.dumps(referee))):  # noqa: S301
        np.testing.assert_array_equal(other.judge(x, u, x_next.copy()).reward, expected.reward)
