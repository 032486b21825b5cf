"""The compiled rules of the tasks against the array code that follows from the same formulas."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from hnn_envs.arrays import Array
from hnn_envs.components import Components, Step
from hnn_envs.envs.rules import LARGEST, ArrayRules, CompiledRules, Rules, make_rules
from hnn_envs.hamiltonian import PortHamiltonian, PotentialFormulas, Separable
from hnn_envs.systems import spec_of
from hnn_envs.systems.mass_spring import MassSpring
from hnn_envs.systems.pendulum import PENDULUM, Pendulum
from hnn_envs.systems.real_pendulum import REAL_PENDULUM
from hnn_envs.tasks import TASKS, Task
from hnn_envs.tasks.formulas import TaskFormulas
from hnn_envs.tasks.pendulum import PendulumTask
from hnn_envs.tasks.real_pendulum import RealPendulumTask

# The rules of the pixel pendulum are not compiled, and have their tests elsewhere.
COMPILED = [task for name, task in TASKS.items() if name != "pixel-pendulum"]
every_task = pytest.mark.parametrize("task", COMPILED, ids=[task.name for task in COMPILED])


def array_rules(task: Task) -> ArrayRules:
    """The slow path."""
    return ArrayRules(task, task.system.value)


def compiled_rules(task: Task) -> CompiledRules:
    """The fast path, which the task must have."""
    rules = make_rules(task)
    assert isinstance(rules, CompiledRules)
    return rules


def transitions(task: Task, count: int = 600) -> tuple[Array, Array, Array]:
    """Random steps, states on both sides of the limits; some diverged, each in another way."""
    rng = np.random.default_rng(0)
    low, high = 1.1 * np.maximum(task.low, -7), 1.1 * np.minimum(task.high, 7)
    if task.system.spec.dof > 2:
        low, high = low / 3, high / 3  # most triangles of this size are neither too wide nor too narrow
    x, x_next = rng.uniform(low, high, (2, count, 2 * task.system.spec.dof))
    u = task.max_input * rng.uniform(-1, 1, (count, task.system.spec.force_matrix.shape[-1]))
    x_next[1:7, 0] = np.nan, np.inf, -np.inf, 2 * LARGEST, -1e300, 0.99 * LARGEST
    x_next[7:12, -1] = np.nan, np.inf, LARGEST, -LARGEST, 0.99 * LARGEST
    return x, u, x_next


@every_task
def test_compiled_rules_are_those_of_the_array_code(task: Task) -> None:
    x, u, x_next = transitions(task)
    expected = array_rules(task).outcome(x, u, x_next.copy())
    found = compiled_rules(task).outcome(x, u, x_next.copy())
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        if one.dtype == np.bool_:
            np.testing.assert_array_equal(one, other, err_msg=name)
        tolerance = 1e-12 if one.dtype == np.float64 else 1e-6
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=name)
    assert found.outside.any()
    assert not found.outside.all()
    assert found.diverged.sum() >= 7
    assert found.terminated.any() == (task.formulas.terminated is not None)
    assert np.isfinite(found.state).all()


@every_task
def test_a_state_in_a_batch_has_the_same_outcome_bit_for_bit_as_alone(task: Task) -> None:
    x, u, x_next = transitions(task)
    for rules in (compiled_rules(task), array_rules(task)):
        batch = rules.outcome(x, u, x_next.copy())
        observation, energy = rules.start(batch.state)
        np.testing.assert_array_equal(observation, batch.observation)
        np.testing.assert_array_equal(energy, batch.energy)
        for row in range(len(x)):
            alone = rules.outcome(x[row], u[row], x_next[row].copy())
            for name, one, all_rows in zip(alone._fields, alone, batch, strict=True):
                np.testing.assert_array_equal(one, all_rows[row], err_msg=f"{name} of row {row}")


@every_task
def test_rules_follow_the_numbers_of_the_task_and_of_its_system(task: Any) -> None:
    x, u, x_next = transitions(task)
    changes: dict[str, Any] = {
        field.name: 1.1 * value
        for field in dataclasses.fields(task)
        if isinstance(value := getattr(task, field.name), float) and field.name != "dt"
    }
    systems = [
        ("system", dataclasses.replace(task.system, **{field.name: 1.1 * value}))
        for field in dataclasses.fields(task.system)
        if isinstance(value := getattr(task.system, field.name), float)
    ]
    assert systems
    for name, value in [*changes.items(), *systems]:
        other = dataclasses.replace(task, **{name: value})
        pair = [make(other).outcome(x, u, x_next.copy()) for make in (compiled_rules, array_rules)]
        for one, expected in zip(*pair, strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-6, atol=1e-6, err_msg=name)


def quartic(system: Quartic, q: Components) -> Array:
    """V(q) = stiffness q^4 / 4."""
    return 0.25 * system.stiffness * (q[0] * q[0] * q[0] * q[0])


def quartic_gradient(system: Quartic, q: Components) -> Components:
    """dV/dq = stiffness q^3."""
    return (system.stiffness * (q[0] * q[0] * q[0]),)


@dataclasses.dataclass(frozen=True)
class Quartic(Separable):
    """A system of a user's own, stated in formulas."""

    stiffness: float = 0.7
    inverse_mass: float = 1.3

    damping = None
    spec = PENDULUM.spec
    formulas = PotentialFormulas(quartic, quartic_gradient)

    @property
    def field(self) -> PortHamiltonian:
        """The vector field."""
        return PortHamiltonian(self, self.spec.force_matrix)

    def invariants(self, x: Array) -> dict[str, Array]:
        """The energy."""
        return {"energy": self.value(x)}

    def sample_states(self, rng: np.random.Generator, count: int) -> Array:
        """Initial states."""
        return rng.uniform(-1, 1, (count, 2))


class ArrayQuartic(Quartic):
    """The same with a potential of arrays, which says nothing to the compiler."""

    def potential(self, q: Array) -> Array:
        """V(q) = 0.5 q^2, another potential."""
        return 0.5 * (q * q).sum(-1)

    def potential_gradient(self, q: Array) -> Array:
        """dV/dq."""
        return q


@pytest.mark.parametrize("system", [Quartic(), ArrayQuartic(), MassSpring(3.0), Pendulum(gravity=5.0)])
@pytest.mark.parametrize("make", [PendulumTask, RealPendulumTask])
def test_the_energy_is_that_of_the_systems_own_hamiltonian(make: Any, system: Any) -> None:
    task = make(system=system)
    x, u, x_next = transitions(task)
    rules = make_rules(task)
    assert isinstance(rules, ArrayRules) == isinstance(system, ArrayQuartic)
    found = rules.outcome(x, u, x_next.copy())
    with np.errstate(all="ignore"):
        reward, energy = task.reward(x, u, x_next), system.value(found.state)
    np.testing.assert_allclose(found.energy, energy, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.reward, reward, rtol=1e-12, atol=1e-12)


def bonus(task: PendulumTask, step: Step) -> Array:
    """A reward of a user's own."""
    return task.velocity_cost * step.energy + step.u[0]


class OtherReward(PendulumTask):
    """A task that overrides a rule by a function of arrays."""

    def reward(self, x: Array, u: Array, x_next: Array) -> Array:
        """Twice the torque."""
        return 2.0 * u[..., 0]


class OtherFormula(PendulumTask):
    """A task that states another formula."""

    formulas = TaskFormulas(PendulumTask.formulas.observation, bonus)


class OtherName(PendulumTask):
    """A task that changes no rule."""

    name = "other"


def test_a_rule_that_a_subclass_overrides_is_the_one_that_runs() -> None:
    x, u, x_next = transitions(OtherReward())
    assert isinstance(make_rules(OtherReward()), ArrayRules)
    np.testing.assert_array_equal(make_rules(OtherReward()).outcome(x, u, x_next.copy()).reward, 2.0 * u[:, 0])
    found = compiled_rules(OtherFormula()).outcome(x, u, x_next.copy())
    np.testing.assert_allclose(found.reward, 0.1 * found.energy + u[:, 0], rtol=1e-12)
    compiled_rules(OtherName())


def test_torch_takes_the_array_code() -> None:
    assert isinstance(make_rules(TASKS["pendulum"], "cuda:0"), ArrayRules)


@pytest.mark.parametrize("rows", [None, 5])
def test_where_no_equations_are_known_the_energy_is_the_one_given_or_zero(rows: int | None) -> None:
    task = PendulumTask(system=spec_of(PENDULUM))
    x, u, x_next = (array[0] if rows is None else array[:rows] for array in transitions(PendulumTask()))

    def learned(states: Array) -> Array:
        return 3.0 * states[..., 1]

    for energy, scale in ((learned, 3.0), (None, 0.0)):
        rules: Rules = make_rules(task, energy=energy)
        found = rules.outcome(x, u, x_next.copy())
        np.testing.assert_array_equal(found.energy, scale * found.state[..., 1])
        np.testing.assert_array_equal(rules.start(x)[1], scale * x[..., 1])
    expected = make_rules(PendulumTask()).outcome(x, u, x_next.copy())
    np.testing.assert_allclose(found.reward, expected.reward, rtol=1e-12)
    # Where the equations are known, the true energy is given whatever was learned.
    known = make_rules(RealPendulumTask(), energy=learned)
    np.testing.assert_allclose(known.start(x)[1], REAL_PENDULUM.value(x), rtol=1e-12)


@every_task
def test_the_array_code_has_the_same_outcome_for_tensors(task: Task) -> None:
    x, u, x_next = transitions(task)
    found = array_rules(task).outcome(*map(torch.as_tensor, (x, u, x_next)))
    for name, one, other in zip(found._fields, found, array_rules(task).outcome(x, u, x_next), strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-6, atol=1e-6, err_msg=name)


@every_task
def test_rules_may_be_copied_and_sent(task: Task) -> None:
    x, u, x_next = transitions(task)
    rules = compiled_rules(task)
    expected = rules.outcome(x, u, x_next.copy())
    for other in (copy.deepcopy(rules), pickle.loads(pickle.dumps(rules))):  # noqa: S301
        np.testing.assert_array_equal(other.outcome(x, u, x_next.copy()).reward, expected.reward)
