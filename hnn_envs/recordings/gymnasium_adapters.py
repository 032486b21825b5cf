"""Adapters of Gymnasium's own environments: classic control, and MuJoCo's poles on a rail."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidActionError
from hnn_envs.recordings.adapters import Adapter, Env, State, Step, Stop
from hnn_envs.systems.spec import Coordinate, Input


def _within(*widest: float) -> Callable[[Env, np.random.Generator], State]:
    """Draws states whose positions and velocities are of these sizes at most."""

    def draw(env: Env, generator: np.random.Generator) -> State:
        q, v = np.split(generator.uniform(-1.0, 1.0, len(widest)) * widest, 2)
        return q, v

    return draw


def _discrete(env: Env, action: Any) -> int:
    """An action of a discrete space, checked as the environment does."""
    if not env.action_space.contains(action):
        raise InvalidActionError(f"an action is one of {env.action_space}, not {action!r}")
    return int(action)


def _box(env: Env, action: Any) -> Array:
    """An action of a box, clipped to it as the environment does."""
    values = np.asarray(action)
    if values.shape != env.action_space.shape or not np.isfinite(values).all():
        raise InvalidActionError(f"an action has shape {env.action_space.shape} and is finite, not {action!r}")
    return np.clip(values, env.action_space.low, env.action_space.high)


# Semi-implicit Euler is v(n + 1) = v(n) + dt a(q(n), u(n)), q(n + 1) = q(n) + dt v(n + 1): the velocity is that of the
# time when the input changes, and the position lies half a step later. Taken back to the same time, the two move as the
# leapfrog method does, which is the motion under held inputs to second order in dt, and not to first order only. With
# explicit Euler it is the other way round.
BEHIND, AHEAD = -0.5, 0.5
"""Steps from where Euler's method has the positions to where they go with the velocities: semi-implicit, explicit."""


# --- Pendulum-v1: theta 0 upright, semi-implicit Euler, the speed clipped to 8 rad/s


def _pendulum_state(env: Env) -> State:
    angle, speed = env.state
    return np.array([angle + BEHIND * env.dt * speed]), np.array([speed])


def _pendulum_angle(env: Env, q: Array, v: Array) -> float:
    return float(q[0] - BEHIND * env.dt * v[0])


def _pendulum_put(env: Env, q: Array, v: Array) -> None:
    env.state = np.array([_pendulum_angle(env, q, v), np.clip(v[0], -env.max_speed, env.max_speed)])


def _pendulum_input(env: Env, action: Any) -> Array:
    return _box(env, action).astype(np.float64)


def _pendulum_outcome(env: Env, before: State, action: Any) -> Step:
    """The cost of ``PendulumEnv.step``, which is of the state before the step."""
    angle, speed = _pendulum_angle(env, *before), before[1][0]
    env.last_u = u = _box(env, action)[0]
    turned = ((angle + np.pi) % (2 * np.pi)) - np.pi
    cost = turned**2 + 0.1 * speed**2 + 0.001 * (u**2)
    return env._get_obs(), -cost, False, False, {}


PENDULUM = Adapter(
    coordinates=(Coordinate("theta", "rad", True, "theta_dot", "rad/s"),),
    inputs=(Input("torque", "N m"),),
    dt=lambda env: float(env.dt),
    state=_pendulum_state,
    input=_pendulum_input,
    put=_pendulum_put,
    outcome=_pendulum_outcome,
    observe=lambda env: env._get_obs(),
    stopped=lambda env: bool(abs(env.state[1]) >= env.max_speed),
    input_matrix=((1.0,),),
    wide=_within(math.pi, 7.0),
)


# --- CartPole-v1: Euler's method, pushed to the left or to the right


def _cart_pole_shift(env: Env, v: Array) -> Array:
    return (AHEAD if env.kinematics_integrator == "euler" else BEHIND) * env.tau * v


def _cart_pole_state(env: Env) -> State:
    x, speed, angle, turning = env.state
    v = np.array([speed, turning])
    return np.array([x, angle]) + _cart_pole_shift(env, v), v


def _cart_pole_put(env: Env, q: Array, v: Array) -> None:
    x, angle = q - _cart_pole_shift(env, v)
    env.state = np.array([x, v[0], angle, v[1]])


def _cart_pole_outcome(env: Env, before: State, action: Any) -> Step:
    """Reward and end of ``CartPoleEnv.step``."""
    x, _, angle, _ = env.state
    ended = bool(abs(x) > env.x_threshold or abs(angle) > env.theta_threshold_radians)
    standing, fallen = (0.0, -1.0) if env._sutton_barto_reward else (1.0, 0.0)
    reward = standing
    if ended:
        first = env.steps_beyond_terminated is None
        reward = standing if first and not env._sutton_barto_reward else fallen
        env.steps_beyond_terminated = 0 if first else env.steps_beyond_terminated + 1
    return np.array(env.state, dtype=np.float32), reward, ended, False, {}


CART_POLE = Adapter(
    coordinates=(
        Coordinate("x", "m", False, "x_dot", "m/s"),
        Coordinate("theta", "rad", True, "theta_dot", "rad/s"),
    ),
    inputs=(Input("force", "N"),),
    dt=lambda env: float(env.tau),
    state=_cart_pole_state,
    input=lambda env, action: np.array([env.force_mag if _discrete(env, action) == 1 else -env.force_mag]),
    put=_cart_pole_put,
    outcome=_cart_pole_outcome,
    observe=lambda env: np.array(env.state, dtype=np.float32),
    input_matrix=((1.0,), (0.0,)),
    wide=_within(2.0, 0.2, 2.0, 2.0),
)


# --- Acrobot-v1: RK4 with steps of 0.2 s, angles wrapped, speeds clipped


def _acrobot_state(env: Env) -> State:
    values = np.asarray(env.state, dtype=np.float64)
    return values[:2], values[2:]


def _acrobot_put(env: Env, q: Array, v: Array) -> None:
    """Wraps angles and bounds speeds, as ``AcrobotEnv.step`` does."""
    from gymnasium.envs.classic_control import acrobot

    library: Any = acrobot  # its functions have no types
    angles = [library.wrap(angle, -np.pi, np.pi) for angle in q]
    speeds = [library.bound(speed, -most, most) for speed, most in zip(v, (env.MAX_VEL_1, env.MAX_VEL_2), strict=True)]
    env.state = np.array([*angles, *speeds])


def _acrobot_outcome(env: Env, before: State, action: Any) -> Step:
    ended = env._terminal()
    return env._get_ob(), 0.0 if ended else -1.0, ended, False, {}


def _acrobot_stopped(env: Env) -> bool:
    return bool(abs(env.state[2]) >= env.MAX_VEL_1 or abs(env.state[3]) >= env.MAX_VEL_2)


ACROBOT = Adapter(
    coordinates=(
        Coordinate("theta1", "rad", True, "theta1_dot", "rad/s"),
        Coordinate("theta2", "rad", True, "theta2_dot", "rad/s"),
    ),
    inputs=(Input("torque", "N m"),),
    dt=lambda env: float(env.dt),
    state=_acrobot_state,
    input=lambda env, action: np.array([float(env.AVAIL_TORQUE[_discrete(env, action)])]),
    put=_acrobot_put,
    outcome=_acrobot_outcome,
    observe=lambda env: env._get_ob(),
    stopped=_acrobot_stopped,
    input_matrix=((0.0,), (1.0,)),
    wide=_within(math.pi, math.pi, 4.0, 4.0),
)


# --- MuJoCo: everything but the simulation is the environment's own step


def _mujoco_state(env: Env) -> State:
    return env.data.qpos.copy(), env.data.qvel.copy()


def _mujoco_input(env: Env, action: Any) -> Array:
    """Forces on the joints that motors drive: the control, within its range, times the gear."""
    return _box(env, action).astype(np.float64) * env.model.actuator_gear[:, 0]


def _mujoco_outcome(env: Env, before: State, action: Any) -> Step:
    env.do_simulation = lambda action, frames: None
    try:
        step: Step = env.step(action)
    finally:
        del env.do_simulation
    return step


def _mujoco_stopped(env: Env) -> bool:
    """Whether a joint is beyond its range, where a constraint pushes it back."""
    model, q = env.model, env.data.qpos
    low, high = model.jnt_range.T
    return bool((model.jnt_limited.astype(bool) & ((q <= low) | (q >= high))).any() or env.data.qfrc_constraint.any())


def _mujoco_stops(env: Env) -> tuple[Stop, ...]:
    """The ends of the rail, whose motor is the only one."""
    low, high = env.model.jnt_range[0]
    return (Stop(0, 0, float(low), float(high)),)


def _on_rail(joints: tuple[str, ...], *widest: float) -> Adapter:
    """Poles on a cart that a motor drives along a rail."""
    return Adapter(
        coordinates=(
            Coordinate("slider", "m", False, "slider_dot", "m/s"),
            *(Coordinate(joint, "rad", True, f"{joint}_dot", "rad/s") for joint in joints),
        ),
        inputs=(Input("force", "N"),),
        dt=lambda env: float(env.dt),
        state=_mujoco_state,
        input=_mujoco_input,
        put=lambda env, q, v: env.set_state(q, v),
        outcome=_mujoco_outcome,
        observe=lambda env: env._get_obs(),
        stopped=_mujoco_stopped,
        stops=_mujoco_stops,
        input_matrix=((1.0,), *((0.0,),) * len(joints)),
        wide=_within(*widest),
    )


INVERTED_PENDULUM = _on_rail(("hinge",), 0.8, 0.19, 2.0, 2.0)
INVERTED_DOUBLE_PENDULUM = _on_rail(("hinge", "hinge2"), 0.8, 0.5, 0.5, 2.0, 3.0, 3.0)
