"""What tasks promise: spaces, limits, rewards that leaving cannot beat, and goals that a good policy reaches."""

import dataclasses
import math

import gymnasium
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hnn_envs.agents.controllers import lqr
from hnn_envs.agents.planning import Planner
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.systems import SYSTEMS
from hnn_envs.tasks import TASKS, ObservedTask, find_task, get_task, tasks_of
from hnn_envs.tasks.actuation import Actuation, actuation_of
from hnn_envs.tasks.optional import Search, second_of, upright

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
numeric_task = pytest.mark.parametrize("task", [task for name, task in TASKS.items() if name != "pixel-pendulum"])
PENDULUMS = ("pendulum", "pixel-pendulum")  # those that are to be swung up


def inputs_of(task):
    return task.system.field.input_matrix.shape[-1]


def initial_states(task, count, seed=0):
    return np.stack([task.initial_state(np.random.default_rng((seed, i))) for i in range(count)])


def states_within(task, rng, count):
    """States all over the limits, from which an episode goes on."""
    low, high = np.maximum(task.low, -2 * math.pi), np.minimum(task.high, 2 * math.pi)
    found = np.empty((0, len(low)))
    while len(found) < count:
        x = rng.uniform(low, high, (4000, len(low)))
        if task.system.spec.bodies:
            x = centred(task, x)
        found = np.concatenate((found, x[task.inside(x) & ~task.terminated(x)]))
    return found[:count]


def centred(task, x):
    """N-body states with the centre of mass at rest in the origin, half of them with bodies 1 and 2 nearly meeting."""
    bodies = x.reshape(len(x), 2, -1, 2)
    near = np.arange(len(x)) % 2 == 0
    angle, distance = x[near, 0] * 7, task.smallest_separation * (1 + 0.1 * np.abs(x[near, 1]))
    bodies[near, 0, 1] = bodies[near, 0, 0] + distance[:, None] * np.stack((np.cos(angle), np.sin(angle)), -1)
    bodies = bodies - bodies.mean(2, keepdims=True)
    x = bodies.reshape(len(x), -1)
    if len(task.low) == 8:
        return x
    # Three bodies: energies as episodes have them, -2.4 (all thrust against the motion) to 1 (all along it).
    momenta, potential = x[:, 6:], task.system.potential(x[:, :6])
    energy = np.random.default_rng(0).uniform(np.maximum(-2.4, potential), np.maximum(1.0, potential))
    momenta *= np.sqrt((energy - potential) / task.system.kinetic(momenta))[:, None]
    return x[task.system.value(x) <= 1.0]


def play(task, policy, x, *, steps=None, seed=1, substeps=None):
    """Returns of a policy (x, rng) -> action from states (n, 2*dof) under the true physics, and who left the limits."""
    rng, own = np.random.default_rng(seed), (task.system.spec.stepping is not None)
    dynamics = make_dynamics(task.system, dt=task.dt, substeps=None if own else substeps)
    # Frames take 2 ms each to draw, and the reward that is read off them is nearly that of the state: see its tests.
    reward = task.reward_of_state if isinstance(task, ObservedTask) else task.reward
    total, going, left = np.zeros(len(x)), np.ones(len(x), bool), np.zeros(len(x), bool)
    for _ in range(task.max_episode_steps if steps is None else steps):
        u = actuation_of(task).to_inputs(np.clip(policy(x, rng), -1, 1))
        x_next = dynamics.step(x, u)
        total += np.where(going, reward(x, u, x_next), 0.0)
        left |= going & ~task.inside(x_next)
        going &= task.inside(x_next) & ~task.terminated(x_next)
        x = np.where(going[:, None], x_next, x)
    return total, left


# Hand-made good policies, one per task: (x, rng) -> action.


def regulator(task, state_matrix, input_cost, steps=None):
    """Gains of the discrete linear-quadratic regulator of x' = A x + e_p u with cost x^2 + input_cost u^2."""
    block = np.zeros((3, 3))
    block[:2, :2], block[1, 2] = state_matrix, 1.0
    held = scipy.linalg.expm(task.dt * block)
    a, b = held[:2, :2], held[:2, 2:]
    values, gains = np.zeros((2, 2)), []
    for _ in range(steps or 500):
        gains.append(np.linalg.solve(input_cost + b.T @ values @ b, b.T @ values @ a)[0])
        values = np.eye(2) + a.T @ values @ (a - b @ gains[-1][None])
    return gains[::-1], values


def rest_by_lqr(task):
    gain = regulator(task, [[0, 2], [-2, 0]], task.input_cost)[0][0]
    return lambda x, rng: -(x @ gain)[:, None] / task.max_input


def kept_energy(task, x):
    """What the free system keeps: H, or under symplectic Euler steps nearly H - (dt / 2) dH/dq dH/dp."""
    slope = task.system.gradient(x)
    return task.system.value(x) - (task.system.spec.stepping is not None) * task.dt / 2 * slope[:, 0] * slope[:, 1]


def swing_up(task):
    """Pumps the energy to the separatrix's, then catches the pendulum with LQR."""
    inverse_mass, gravity = task.system.inverse_mass, task.system.gravity
    torque_unit = getattr(task, "torque_unit", 1.0)
    gain = regulator(task, [[0, inverse_mass], [gravity, 0]], task.torque_cost * torque_unit**2)[0][0]

    def policy(x, rng):
        angle, p = np.remainder(x[:, 0], 2 * math.pi) - math.pi, x[:, 1]
        catch = -(np.stack((angle, p), -1) @ gain) / task.max_input
        pump = np.clip(4 * (2 * gravity - kept_energy(task, x)), -1, 1) * np.where(p >= 0, 1, -1)
        return np.where((np.abs(angle) < 0.5) & (np.abs(catch) < 3), catch, pump)[:, None]

    return policy


def pump_to_energy(task):
    return lambda x, rng: (20 * (task.target_energy - task.system.value(x)) * x[:, 1])[:, None]


def transfer(task):
    """Steers the angular momentum to the asked orbit's, and the radial velocity towards it."""

    def policy(x, rng):
        direction, separation, radial, tangential = task.orbit(x)
        across = np.stack((-direction[:, 1], direction[:, 0]), -1)
        climb = np.clip(0.5 * (task.target_separation - separation), -0.2, 0.2)
        outward = climb - radial - tangential**2 / separation + 2 / separation**2
        spin_up = 2 * (task.target_separation * task.target_velocity / separation - tangential)
        u = (outward[:, None] * direction + spin_up[:, None] * across) / math.sqrt(2)
        return u / np.maximum(task.max_input, np.abs(u).max(-1, keepdims=True))

    return policy


def hold_triangle(task):
    """LQR around Lagrange's triangle of radius 1, in the frame that rotates with it."""
    field, spin = task.system.field, 3**-0.25
    corners = np.exp(2j * math.pi * np.arange(3) / 3)
    rest = np.concatenate((corners.view(float), (1j * spin * corners).view(float)))
    turn = np.kron(np.eye(6), [[0, -1], [1, 0]])

    def drift(x):
        return field(x) - spin * x @ turn.T

    jacobian = np.stack([(drift(rest + 1e-6 * e) - drift(rest - 1e-6 * e)) / 2e-6 for e in np.eye(12)], -1)
    inner = scipy.linalg.block_diag(field.input_matrix, field.input_matrix)  # leaves the centre of mass out
    a, b = inner.T @ jacobian @ inner, np.eye(8)[:, 4:]
    gain = b.T @ scipy.linalg.solve_continuous_are(a, b, np.eye(8), 10 * np.eye(4)) @ inner.T / 10

    def rotated(vectors, phase):
        return (np.ascontiguousarray(vectors).view(complex) * phase[:, None]).view(float)

    def policy(x, rng):
        bearing = (np.ascontiguousarray(x[:, :6]).view(complex) * corners.conj()).sum(-1)
        phase = bearing / np.abs(bearing)
        return rotated(-(rotated(x, phase.conj()) - rest) @ gain.T, phase) / task.max_input

    return policy


def swing_up_on_a_cart(task):
    """Pumps the energy of the pole to that upright, keeps the cart amid the track, and catches the pole with LQR."""
    system, gain = task.system, lqr(task)
    lever = system.pole_mass * system.half_length

    def policy(x, rng):
        place, angle, velocity, turning = x.T
        energy = 2 / 3 * lever * system.half_length * turning**2 + lever * system.gravity * (1 - np.cos(angle))
        missing = 2 * lever * system.gravity - energy
        wanted = -20 * missing * np.sign(turning * np.cos(angle)) - 3 * place - 2 * velocity
        catch = gain(x, x)[:, 0]
        near = (np.abs(np.remainder(angle, 2 * math.pi) - math.pi) < 0.4) & (np.abs(catch) < 1.5)
        return np.where(near, catch, wanted / task.max_input)[:, None]

    return policy


def by_planning(task):
    """Plans in the true physics."""
    search = Search(hold=1, candidates=100, elites=10, iterations=2, integrator="rk4", substeps=25)
    planner = Planner(task, "ode", search)
    return lambda x, rng: planner.plan(x)


# What a good policy must be better by than random and than doing nothing, in mean return over the same starts.
GOALS = {
    "mass-spring": (rest_by_lqr, 15),
    "pendulum": (swing_up, 900),
    "real-pendulum": (pump_to_energy, 180),
    "two-body": (transfer, 90),
    "three-body": (hold_triangle, 250),
    "pixel-pendulum": (swing_up, 900),
    "cart-pole": (swing_up_on_a_cart, 80),
    "acrobot": (by_planning, 8),
    "pendubot": (by_planning, 8),
}
PLANNED = {"acrobot": 50, "pendubot": 50}  # steps of three episodes: planning takes long


@pytest.mark.parametrize("name", TASKS)
def test_a_good_policy_is_clearly_better_than_a_random_one_and_than_none(name):
    task, (good, margin) = TASKS[name], GOALS[name]
    steps, actions = PLANNED.get(name), actuation_of(task).actions
    x = initial_states(task, 30 if steps is None else 3)
    short = {"steps": steps, "substeps": 10}  # coarse and fast; the comparison does not need nine digits
    best, left = play(task, good(task), x, **short)
    random, _ = play(task, lambda x, rng: rng.uniform(-1, 1, (len(x), actions)), x, **short)
    idle, _ = play(task, lambda x, rng: np.zeros((len(x), actions)), x, **short)
    assert not left.any()
    assert best.mean() > max(random.mean(), idle.mean()) + margin


def test_tasks_are_named_after_their_systems_where_there_is_one_on_each():
    assert {task.system.spec.name for task in TASKS.values()} == SYSTEMS.keys()
    for name, task in TASKS.items():
        assert get_task(name) is task
        assert task.name == name
        assert task.system is SYSTEMS[task.system.spec.name]
        if len(tasks_of(task.system.spec.name)) == 1:
            assert task.system is SYSTEMS[name]


def test_two_tasks_drive_one_double_pendulum_at_its_two_joints():
    acrobot, pendubot = tasks_of("double-pendulum")
    assert (acrobot.name, pendubot.name) == ("acrobot", "pendubot")
    assert find_task("double-pendulum") is acrobot
    assert acrobot.system is pendubot.system
    np.testing.assert_array_equal(actuation_of(acrobot).to_inputs(np.array([0.5])), [0.0, 0.5 * acrobot.max_input])
    np.testing.assert_array_equal(actuation_of(pendubot).to_inputs(np.array([0.5])), [0.5 * pendubot.max_input, 0.0])
    x, u = np.array([0.3, -0.2, 1.0, 2.0]), np.array([0.5, 0.0])
    assert acrobot.reward(x, u, x) == pendubot.reward(x, u, x)


def test_actions_drive_the_inputs_that_a_task_says():
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    swapped = Actuation(2.0, 3, (2, 0))
    expected = 2 * np.stack((actions[:, 1], np.zeros(5), actions[:, 0]), -1)
    np.testing.assert_array_equal(swapped.to_inputs(actions), expected)
    np.testing.assert_array_equal(swapped.to_inputs(actions[1]), expected[1])
    np.testing.assert_array_equal(swapped.to_inputs(torch.as_tensor(actions)).numpy(), expected)
    np.testing.assert_array_equal(Actuation(2.0, 2, (0, 1)).to_inputs(actions), 2 * actions)
    assert (swapped.actions, actuation_of(TASKS["three-body"]).actions) == (2, 4)


@pytest.mark.parametrize("driven", [(), (3,), (-1,), (0, 0)])
def test_inputs_that_cannot_be_driven_are_refused(driven):
    with pytest.raises(InvalidOptionError, match="different indices of the 3 inputs"):
        Actuation(1.0, 3, driven)


def test_an_unknown_task_is_refused_with_what_is_allowed():
    with pytest.raises(
        UnknownNameError, match="unknown task 'juggling'; allowed: acrobot, cart-pole, mass-spring, pendubot"
    ):
        get_task("juggling")


@every_task
def test_a_task_cannot_be_changed_by_accident(task):
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.dt = 1.0
    for values in (task.low, task.high, task.observation_low, task.observation_high):
        with pytest.raises(ValueError, match="read-only"):
            values[...] = 0


@every_task
def test_episodes_start_inside_the_limits_and_depend_on_the_generator_alone(task):
    x = initial_states(task, 300)
    assert x.shape == (300, 2 * task.system.spec.dof)
    assert task.inside(x).all()
    assert not task.terminated(x).any()
    np.testing.assert_array_equal(x, initial_states(task, 300))
    assert len(np.unique(x[:, 0])) == 300


@pytest.mark.parametrize("name", ["two-body", "three-body"])
def test_bodies_start_with_their_centre_of_mass_at_rest_in_the_origin(name):
    x = initial_states(TASKS[name], 20)
    assert np.abs(TASKS[name].system.momentum(x)).max() < 1e-14
    assert np.abs(TASKS[name].system.centre_of_mass(x)).max() < 1e-14


@every_task
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_observations_of_states_inside_the_limits_are_within_their_bounds(task, data):
    low, high = np.maximum(task.low, -1e6).tolist(), np.minimum(task.high, 1e6).tolist()
    check_observation(task, np.array(data.draw(st.tuples(*map(st.floats, low, high)))))


@every_task
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, 0.0])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_observations_are_finite_and_within_their_bounds_even_where_the_physics_diverged(task, value):
    check_observation(task, np.full(2 * task.system.spec.dof, value))


def check_observation(task, x):
    with np.errstate(all="ignore"):
        observation = task.observation(x)
    assert observation.dtype == task.observation_low.dtype
    assert observation.shape == task.observation_low.shape == task.observation_high.shape
    assert np.isfinite(observation).all()
    assert (observation >= task.observation_low).all()
    assert (observation <= task.observation_high).all()


@numeric_task
def test_observations_inside_the_limits_are_not_clipped(task):
    x = states_within(task, np.random.default_rng(0), 500)
    unbounded = dataclasses.replace(task)
    vars(unbounded).update(
        observation_low=np.full_like(task.observation_low, -np.inf),
        observation_high=np.full_like(task.observation_high, np.inf),
    )
    np.testing.assert_array_equal(task.observation(x), unbounded.observation(x))


@every_task
def test_one_state_a_batch_and_torch_tensors_agree(task):
    rng = np.random.default_rng(0)
    x, x_next = rng.normal(size=(2, 50, 2 * task.system.spec.dof))
    x_next[0], x_next[1] = math.nan, math.inf
    u = task.max_input * rng.uniform(-1, 1, (50, inputs_of(task)))
    with np.errstate(all="ignore"):
        for function, arguments in (
            (task.observation, (x,)),
            (task.reward, (x, u, x_next)),
            (task.inside, (x_next,)),
            (task.terminated, (x_next,)),
        ):
            batch = function(*arguments)
            single = np.stack([function(*row) for row in zip(*arguments, strict=True)])
            tensor = function(*map(torch.as_tensor, arguments)).numpy()
            np.testing.assert_array_equal(batch, single)
            np.testing.assert_allclose(batch, tensor, rtol=1e-6, atol=1e-12)
            assert batch.dtype == tensor.dtype


@every_task
def test_outside_means_beyond_the_limits_or_not_finite(task):
    x = initial_states(task, 1)[0]
    for entry in range(len(x)):
        for value in (math.nan, math.inf, -math.inf, task.high[entry] + 1e-9, task.low[entry] - 1e-9):
            moved = x.copy()
            moved[entry] = value
            assert not task.inside(moved)


@every_task
def test_leaving_is_never_rewarded_and_always_a_number(task):
    x, u = initial_states(task, 1)[0], np.zeros(inputs_of(task))
    stay = task.reward(x, u, x)
    for gone in (np.full_like(x, math.nan), np.full_like(x, math.inf), np.full_like(x, 1e300)):
        with np.errstate(all="ignore"):
            reward = task.reward(x, u, gone)
        assert np.isfinite(reward)
        assert reward <= 0
        assert reward < stay


@pytest.mark.parametrize("name", ["real-pendulum", "two-body", "three-body", "cart-pole", "acrobot", "pendubot"])
def test_rewards_are_between_zero_and_one_so_ending_early_never_pays(name):
    task, rng = TASKS[name], np.random.default_rng(0)
    x = states_within(task, rng, 1000)
    u = task.max_input * rng.uniform(-1, 1, (1000, inputs_of(task)))
    reward = task.reward(x, u, x)
    assert (reward >= 0).all()
    assert (reward <= 1).all()


def test_the_spring_costs_less_inside_its_limits_than_leaving_them():
    task = TASKS["mass-spring"]
    corner, force = task.high, np.array([task.max_input])
    assert -task.reward(corner, force, corner) * task.max_episode_steps < task.exit_cost


def test_no_force_drives_the_mass_out_of_its_limits():
    task = TASKS["mass-spring"]
    angles = np.linspace(0, 2 * math.pi, 60)
    x = np.stack((np.cos(angles), np.sin(angles)), -1)
    for ahead in np.linspace(-0.4, 0.4, 5):  # always along the motion, or a little before or after
        _, left = play(task, lambda x, rng, ahead=ahead: np.sign(x[:, 1:] - ahead * x[:, :1]), x, substeps=2)
        assert not left.any()


@pytest.mark.parametrize("name", PENDULUMS)
def test_swinging_up_costs_less_than_leaving_the_limits_from_wherever_it_can_be_avoided(name):
    task = TASKS[name]
    grid = np.meshgrid(np.linspace(-math.pi, math.pi, 21), task.high[1] * np.linspace(-1, 1, 21))
    total, left = play(task, swing_up(task), np.stack(grid, -1).reshape(-1, 2), substeps=4)
    assert left.mean() < 0.11  # close to the limit, gravity alone can take it out
    assert total[~left].min() > -0.6 * task.exit_cost


def test_lqr_is_the_optimum_of_the_spring_and_never_reaches_the_largest_force():
    task = TASKS["mass-spring"]
    gains, values = regulator(task, [[0, 2], [-2, 0]], task.input_cost, task.max_episode_steps)
    assert max(map(np.linalg.norm, gains)) < task.max_input  # the largest start has radius 1
    x = initial_states(task, 20)

    def total_of(scale):
        schedule = iter(gains)
        return play(task, lambda x, rng: -scale * (x @ next(schedule))[:, None] / task.max_input, x)[0]

    np.testing.assert_allclose(total_of(1.0), -np.einsum("ni,ij,nj->n", x, values, x), rtol=1e-8)
    assert (total_of(0.8) < total_of(1.0)).all()
    assert (total_of(1.2) < total_of(1.0)).all()


def test_the_pendulum_is_gymnasiums_with_the_unit_of_time_changed():
    task, rng = TASKS["pendulum"], np.random.default_rng(0)
    reference = gymnasium.make("Pendulum-v1").unwrapped
    reference.reset(seed=0)
    time_unit = math.sqrt(15 / 6)
    for x in rng.uniform((-9, -2.5), (9, 2.5), (20, 2)):
        u = rng.uniform(-task.max_input, task.max_input, 1)
        velocity = task.velocity_unit * x[1]
        reference.state = np.array([x[0] - math.pi, velocity])
        _, reward, *_ = reference.step(task.torque_unit * u)
        assert task.reward(x, u, x) == pytest.approx(reward, abs=1e-9)
        momentum_rate = task.system.field(x, u)[1]
        acceleration = (np.clip(reference.state[1], -8, 8) - velocity) / reference.dt
        if abs(reference.state[1]) < 8:
            assert task.velocity_unit * momentum_rate * time_unit == pytest.approx(acceleration)
    assert task.torque_unit * task.max_input == pytest.approx(reference.max_torque)


def test_full_torque_along_the_motion_swings_the_pendulum_up_in_nearly_three_of_pendulum_v1s_seconds():
    task = TASKS["pendulum"]
    assert task.dt / second_of(task) == pytest.approx(0.0506, abs=1e-4)
    dynamics, x, steps = make_dynamics(task.system, dt=task.dt), np.zeros(2), 0
    while task.angle_from_upright(x) > 0.25:
        x, steps = dynamics.step(x, np.where(x[1:] >= 0, task.max_input, -task.max_input)), steps + 1
    assert 2.7 < steps * task.dt / second_of(task) < 3.0


def test_the_real_pendulums_goal_is_a_swing_amid_the_measured_ones():
    task = TASKS["real-pendulum"]
    measured = task.system.value(np.array([[0.87, 0.0], [1.47, 0.0]]))
    assert measured[0] < task.target_energy < measured[1]
    swing = np.array([task.amplitude, 0.0])
    assert task.reward(swing, np.zeros(1), swing) == pytest.approx(1.0)
    assert task.reward(swing, np.array([task.max_input]), swing) == pytest.approx(0.9)


def test_two_bodies_on_the_asked_orbit_earn_one_per_step_and_stay_there():
    task = TASKS["two-body"]
    radius, speed = task.target_separation / 2, task.target_velocity / 2
    x = np.array([radius, 0, -radius, 0, 0, speed, 0, -speed])
    total, _ = play(task, lambda x, rng: np.zeros((1, 2)), x[None], steps=20)
    assert total[0] == pytest.approx(20.0)


def test_two_body_observations_and_rewards_turn_with_the_orbit():
    task, rng = TASKS["two-body"], np.random.default_rng(0)
    x, angle = initial_states(task, 1)[0], 1.1
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turned = (x.reshape(4, 2) @ turn.T).reshape(8)
    u = task.max_input * rng.uniform(-0.5, 0.5, 2)
    assert task.reward(x, u, x) == pytest.approx(task.reward(turned, turn @ u, turned))
    np.testing.assert_allclose(task.observation(turned)[2:], task.observation(x)[2:], atol=1e-6)
    np.testing.assert_allclose(task.observation(turned)[:2], turn @ task.observation(x)[:2], atol=1e-6)


def test_three_bodies_end_by_an_encounter_or_a_loss_and_are_inside_the_limits_then():
    task = TASKS["three-body"]
    x = initial_states(task, 1)[0]
    close, far = x.copy(), x.copy()
    close[2:4] = close[0:2] + np.array([0.49, 0.0])
    far[:6] = [3.6, 0, -1.8, 1, -1.8, -1]
    for ended in (close, far):
        assert task.terminated(ended)
        assert task.inside(ended)
        assert task.reward(x, np.zeros(4), ended) == 0
    assert task.reward(x, np.zeros(4), x) == 1


@pytest.mark.parametrize("name", ["cart-pole", "acrobot", "pendubot"])
def test_a_machine_upright_at_rest_earns_one_and_less_the_farther_it_is_from_there(name):
    task = TASKS[name]
    goal, still = np.array(task.goal), np.zeros(inputs_of(task))
    assert task.reward(goal, still, goal) == pytest.approx(1.0)
    assert task.reward(goal, still + task.max_input, goal) == pytest.approx(0.95 if len(still) == 1 else 0.9)
    rng = np.random.default_rng(0)
    for away in rng.normal(size=(20, 4)):
        near, far = (task.reward(goal, still, goal + size * away) for size in (1e-3, 2e-3))
        assert near == pytest.approx(1 - 1e-6 * away @ task.goal_cost @ away, abs=1e-9)
        assert far < near < 1
    turned = goal + 2 * math.pi * np.array([*task.system.spec.angles, 0, 0])
    assert task.reward(goal, still, turned) == pytest.approx(1.0)
    hanging = np.zeros(4)
    assert task.reward(goal, still, hanging) < 0.12
    np.testing.assert_allclose(task.observation(hanging + turned - goal), task.observation(hanging), atol=1e-12)


UPRIGHT = ("pendulum", "cart-pole", "acrobot", "pendubot")  # those that measure how far they are from it
upright_task = pytest.mark.parametrize("task", [TASKS[name] for name in UPRIGHT], ids=UPRIGHT)


@upright_task
def test_the_angle_from_upright_is_zero_at_the_goal_and_half_a_turn_hanging(task):
    states = np.stack((task.goal, np.zeros_like(task.goal)))
    np.testing.assert_allclose(task.angle_from_upright(states), (0, math.pi), atol=1e-15)


@upright_task
@settings(max_examples=30, deadline=None)
@given(lean=st.floats(-3, 3), turns=st.integers(-3, 3))
def test_the_angle_from_upright_is_how_far_all_lean_whatever_the_turns(task, lean, turns):
    leaning = task.goal + 0.0
    leaning[task.goal == math.pi] += lean + 2 * math.pi * turns
    assert float(task.angle_from_upright(leaning)) == pytest.approx(abs(lean), abs=1e-12)


@pytest.mark.parametrize("task", [TASKS["acrobot"], TASKS["pendubot"]], ids=["acrobot", "pendubot"])
def test_the_angle_from_upright_is_that_of_the_link_that_leans_most(task):
    leaning = task.goal + np.array([[0.1, 0.2, 0, 0], [0.1, -0.2, 0, 0], [-0.4, 0.4, 0, 0], [0.2, -0.6, 0, 0]])
    np.testing.assert_allclose(task.angle_from_upright(leaning), [0.3, 0.1, 0.4, 0.4])


@upright_task
def test_the_angle_from_upright_is_the_same_for_torch(task):
    x = states_within(task, np.random.default_rng(0), 100)
    angles = task.angle_from_upright(torch.as_tensor(x))
    np.testing.assert_allclose(angles.numpy(), task.angle_from_upright(x), rtol=0, atol=1e-14)


def test_a_task_without_an_angle_from_upright_is_refused_where_one_is_needed():
    with pytest.raises(InvalidOptionError, match="'mass-spring' has no angle_from_upright"):
        upright(TASKS["mass-spring"])


def test_the_cart_ends_its_episode_beyond_the_track_and_is_inside_the_limits_then():
    task, still = TASKS["cart-pole"], np.zeros(1)
    before, beyond = np.array([2.39, math.pi, 10.0, 0.0]), np.array([2.41, math.pi, 10.0, 0.0])
    assert not task.terminated(before)
    for side in (beyond, -beyond):
        assert task.terminated(side)
        assert task.inside(side)
        assert task.reward(before, still, side) == 0
    # No step inside the limits leads from the track farther than the limit of the place.
    farthest = task.track + task.dt * task.largest_velocity
    assert farthest < task.largest_place


@every_task
def test_one_step_of_the_true_physics_is_within_1e_9_of_dop853_all_over_the_limits(task):
    rng = np.random.default_rng(0)
    x = states_within(task, rng, 3000)
    u = task.max_input * rng.choice([-1.0, 1.0], (len(x), inputs_of(task)))
    method = None if task.system.spec.stepping is None else "pefrl"  # the flow that a discrete map approximates
    dynamics = make_dynamics(task.system, "ode", dt=task.dt, integrator=method)
    y = dynamics.step(x, u)
    # DOP853 is slow, so it sees only the states that a coarser step gets most wrong, and a few others.
    fewer = math.ceil(dynamics.substeps / 2)
    coarse = make_dynamics(task.system, "ode", dt=task.dt, integrator=method, substeps=fewer).step(x, u)
    chosen = np.concatenate((np.argsort(-np.abs(coarse - y).max(-1))[:15], np.arange(10)))
    exact = make_dynamics(task.system, "ode", dt=task.dt, integrator="dop853", substeps=1).step(x[chosen], u[chosen])
    assert np.abs(y[chosen] - exact).max() < 1e-9
