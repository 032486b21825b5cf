"""Rollouts for torch: the values of steps, gradients against differences, and those of returns in learned physics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from physics import NAMES, inputs, states

from hnn_envs.agents.ilqr_planning import smooth_guesses
from hnn_envs.arrays import Array
from hnn_envs.checkpoints import shipped_checkpoints
from hnn_envs.differentiable import differentiable_rollout
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidActionError, InvalidStateError
from hnn_envs.systems import SYSTEMS
from hnn_envs.tasks import get_task
from hnn_envs.tasks.actuation import actuation_of

PHYSICS = [(name, dynamics) for name in NAMES for dynamics in ("ode", *shipped_checkpoints(name))]
STEPS, COUNT = 5, 3


def forces(name: str) -> Array:
    """Inputs of ``COUNT`` rollouts, each step's its own, shape (STEPS, COUNT, inputs)."""
    return inputs(SYSTEMS[name], STEPS * COUNT).reshape(STEPS, COUNT, -1)


def weighed(dynamics: Dynamics, start: Array, forces: Array, weights: Array) -> float:
    """A smooth function of all states of a rollout by plain steps."""
    path = [start]
    for held in forces:
        path.append(dynamics.step(path[-1], held))
    return float((weights * np.sin(np.stack(path))).sum())


@pytest.mark.parametrize(("name", "physics"), PHYSICS, ids=["/".join(each) for each in PHYSICS])
def test_values_are_those_of_steps_and_gradients_those_of_differences(name: str, physics: str) -> None:
    dynamics, x, u = make_dynamics(name, physics), states(SYSTEMS[name], COUNT), forces(name)
    start, held = torch.tensor(x, requires_grad=True), torch.tensor(u, requires_grad=True)
    path = differentiable_rollout(dynamics, start, held)
    assert path.shape == (STEPS + 1, COUNT, x.shape[-1])
    for step in range(STEPS):
        np.testing.assert_array_equal(dynamics.step(path[step].detach().numpy(), u[step]), path[step + 1].detach())
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(path.shape)
    (torch.tensor(weights) * torch.sin(path)).sum().backward()  # type: ignore[no-untyped-call]
    assert start.grad is not None
    assert held.grad is not None
    exact = dynamics if not dynamics.integrator.adaptive else make_dynamics(name, physics, integrator="dormand_prince8")
    for _ in range(3):  # along random directions
        along_x, along_u = rng.standard_normal(x.shape), rng.standard_normal(u.shape)
        ahead, behind = (
            weighed(exact, x + sign * 1e-5 * along_x, u + sign * 1e-5 * along_u, weights) for sign in (1, -1)
        )
        found = float((start.grad * torch.tensor(along_x)).sum() + (held.grad * torch.tensor(along_u)).sum())
        assert found == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-5)


def test_one_rollout_many_starts_and_inputs_broadcast() -> None:
    dynamics, x, u = make_dynamics("cart-pole", "hnn"), states(SYSTEMS["cart-pole"], COUNT), forces("cart-pole")
    alone = differentiable_rollout(dynamics, torch.tensor(x[0]), torch.tensor(u[:, 0]))
    assert alone.shape == (STEPS + 1, 4)
    held = torch.tensor(u[:, :1], requires_grad=True)
    path = differentiable_rollout(dynamics, torch.tensor(x), held)
    assert path.shape == (STEPS + 1, COUNT, 4)
    torch.testing.assert_close(path[:, 0], alone, rtol=0, atol=0)
    path[-1, :, 1].sum().backward()  # type: ignore[no-untyped-call]
    assert held.grad is not None
    assert held.grad.shape == held.shape
    assert (held.grad != 0).all()


def test_only_what_is_asked_for_is_differentiated() -> None:
    dynamics = make_dynamics("pendulum", "hnn")
    x, u = torch.tensor(states(SYSTEMS["pendulum"], 2)), torch.zeros(4, 2, 1, dtype=torch.float64)
    assert not differentiable_rollout(dynamics, x, u).requires_grad
    assert torch.autograd.gradcheck(lambda u: differentiable_rollout(dynamics, x, u), (u.requires_grad_(),), atol=1e-6)


def test_tensors_that_cannot_be_used_are_refused() -> None:
    dynamics = make_dynamics("pendulum", "hnn")
    x, u = torch.zeros(2, 2, dtype=torch.float64), torch.zeros(4, 2, 1, dtype=torch.float64)
    for start in (x.float(), x[:, :1], torch.tensor(0.0, dtype=torch.float64)):
        with pytest.raises(InvalidStateError, match=r"shape \(\.\.\., 2\)"):
            differentiable_rollout(dynamics, start, u)
    for held in (u.float(), u[..., :0], u[0, 0], u[:0], u.expand(4, 2, 1)[:, [0, 0, 0]]):
        with pytest.raises(InvalidActionError, match=r"inputs"):
            differentiable_rollout(dynamics, x, held)


def return_gradient(name: str, physics: str, start: Array, actions: Array) -> Array:
    """The gradient of a return by the actions (steps, actions)."""
    task = get_task(name)
    driven = torch.tensor(actions, requires_grad=True)
    held = actuation_of(task).to_inputs(driven)
    path = differentiable_rollout(make_dynamics(task.system, physics, dt=task.dt), torch.tensor(start), held)
    task.reward(path[:-1], held, path[1:]).sum().backward()
    assert driven.grad is not None
    return driven.grad.numpy()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["pendulum", "cart-pole", "acrobot"])
def test_gradients_of_a_return_of_100_steps_agree_with_true_physics(name: str, seed: int) -> None:
    rng, task = np.random.default_rng(seed), get_task(name)
    start, actions = task.initial_state(rng), 0.5 * smooth_guesses(rng, 1, 100, 1)[0]
    true, learned = (return_gradient(name, physics, start, actions) for physics in ("ode", "hnn"))
    assert np.linalg.norm(true) > 0
    cosine = float((true * learned).sum() / (np.linalg.norm(true) * np.linalg.norm(learned)))
    assert cosine >= 0.99
