"""Swing a double pendulum up by its shoulder, and hold it."""

from __future__ import annotations

from dataclasses import dataclass

from hnn_envs.tasks.double_pendulum import DoublePendulumTask


@dataclass(frozen=True)
class PendubotTask(DoublePendulumTask):
    """Swing both links of a double pendulum up and hold them, with a motor at the shoulder only.

    ## Description

    The pendubot: the motor turns the first link, and the second hangs from it freely. The machine is a real one, the
    double pendulum of Wiebe et al. (2024), in SI units, with its dry friction, which is a tenth of the weight's torque
    and more. The state is [q1, q2, q1', q2']: the angle of the first link, 0 hanging, and of the second relative to the
    first, 0 stretched, in rad, with their velocities.

    ## Action space

    | Num | Action | Min | Max | Input |
    |---|---|---|---|---|
    | 0 | torque at the shoulder | -1 | 1 | u = [3 N m action, 0] |

    ## Observation space

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0 | cos q1, 1 hanging | -1 | 1 |
    | 1 | sin q1 | -1 | 1 |
    | 2 | cos q2, 1 stretched | -1 | 1 |
    | 3 | sin q2 | -1 | 1 |
    | 4 | velocity of the shoulder q1' (rad/s) | -20 | 20 |
    | 5 | velocity of the elbow q2' (rad/s) | -30 | 30 |

    ## Reward

    (1 - 0.05 action^2) / (1 + e^2) with the state after the step, where e is its distance from the rest upright:
    e^2 = 2 (1 + cos q1) + 2 (1 + cos(q1 + q2)) + (q1' / 8 rad/s)^2 + (q2' / 8 rad/s)^2, and 2 (1 + cos a) is nearly the
    square of a link's small angle from upright. That is 1 per step upright at rest, and 0.11 hanging. A step that
    leaves the limits earns 0; since no reward is negative, leaving never pays.

    ## Start

    All four numbers uniform in [-0.1, 0.1], as in Acrobot-v1, about the rest hanging.

    ## End

    Truncated after 200 steps (10 s), or outside the limits: |q1'| in 20 rad/s, |q2'| in 30 rad/s. Never terminated:
    where Acrobot-v1 ends at a height, here both links have to stay up.
    """

    name = "pendubot"
    driven = (0,)
    shown_start = (2.0, 0.5, 0.0, 0.0)
