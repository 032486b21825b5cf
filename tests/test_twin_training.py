"""Watch an environment for a minute, learn it, train in the twin: the policy plays as well in the original."""

from __future__ import annotations

import pytest
from gymnasium_physics import needs_mujoco
from twin_training import SEARCHES, improvement

import hnn_envs

STARTS = dict.fromkeys(SEARCHES, "wide") | {"Acrobot-v1": "reset"}
"""Where recordings start: from anywhere where an environment's own starts show a sliver only."""


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SEARCHES))
def test_training_in_the_twin_brings_what_training_in_the_original_does(name: str) -> None:
    needs_mujoco(name)
    recording = hnn_envs.record(name, seconds=60.0, seed=0, starts=STARTS[name])
    twin = hnn_envs.twin(name, hnn_envs.learn(recording))
    share, returns = improvement(name, twin, range(2))
    assert share >= 0.95, returns
