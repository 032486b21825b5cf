"""Recordings of Gymnasium's environments: what is in them is how these move."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium_physics import KNOWN, SLED, OwnMotion, Sled, needs_mujoco
from typer.testing import CliRunner

import hnn_envs
from hnn_envs import Recording
from hnn_envs.cli import app
from hnn_envs.errors import DataError, InvalidActionError, InvalidOptionError, UnknownNameError
from hnn_envs.recordings.adapters import ADAPTERS, adapter_of

OURS = "hnn_envs:hnn_envs/"


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("starts", ["reset", "wide"])
def test_every_interval_is_a_step_of_the_environment(name: str, starts: str) -> None:
    needs_mujoco(name)
    taken = hnn_envs.record(name, seconds=6.0, seed=3, starts=starts)
    assert taken.seconds == pytest.approx(6.0, abs=0.2)
    motion = OwnMotion(name)
    for run in taken.runs[:20]:
        states = np.concatenate([run.positions, run.velocities], axis=-1)
        np.testing.assert_array_equal(run.input_times, run.times[:-1])
        for before, u, after in zip(states[:-1], run.inputs, states[1:], strict=True):
            moved = motion.step(before, u)
            turned = np.angle(np.exp(1j * (moved - after)))  # angles go on, and the environment may wrap them
            np.testing.assert_allclose(turned, 0.0, atol=2e-6)


@pytest.mark.parametrize("name", KNOWN)
def test_angles_go_on_as_their_velocities_say(name: str) -> None:
    needs_mujoco(name)
    taken = hnn_envs.record(name, seconds=20.0, seed=1, starts="wide")
    for run in taken.runs:
        steps, dt = np.diff(run.positions, axis=0), run.times[1] - run.times[0]
        angles = [coordinate.angle for coordinate in taken.coordinates]
        expected = dt * (run.velocities[1:] + run.velocities[:-1]) / 2
        assert np.abs(steps - expected)[:, angles].max(initial=0.0) < np.pi / 2


def test_stops_are_no_part_of_a_run() -> None:
    pytest.importorskip("mujoco")
    taken = hnn_envs.record("InvertedPendulum-v5", seconds=60.0, starts="wide")
    assert max(np.abs(run.positions[:, 0]).max() for run in taken.runs) < 1.0
    fast = hnn_envs.record("Pendulum-v1", lambda seen: [2.0 * np.sign(seen[2])], seconds=60.0)
    assert 7.0 < max(np.abs(run.velocities).max() for run in fast.runs) < 8.0


@pytest.mark.parametrize("task", ["Pendulum", "CartPole", "TwoBody"])
@pytest.mark.parametrize("starts", ["reset", "wide"])
def test_our_own_environments_are_recorded_with_their_velocities(task: str, starts: str) -> None:
    taken = hnn_envs.record(f"{OURS}{task}-v0", seconds=10.0, starts=starts)
    run = max(taken.runs, key=lambda each: len(each.times))
    dt = run.times[1] - run.times[0]
    slopes = np.diff(run.positions, axis=0) / dt
    np.testing.assert_allclose(slopes, (run.velocities[1:] + run.velocities[:-1]) / 2, atol=0.05)


def test_momenta_are_set_from_velocities() -> None:
    env: Any = gymnasium.make(f"{OURS}Pendulum-v0").unwrapped
    env.reset(seed=0)
    adapter = adapter_of(env)
    assert adapter.put is not None
    adapter.put(env, np.array([0.5]), np.array([1.5]))
    np.testing.assert_allclose(env.state, [0.5, 0.75])  # q' = 2 p
    np.testing.assert_allclose(adapter.state(env), [[0.5], [1.5]])


def test_the_same_seed_gives_the_same_recording() -> None:
    first, second, third = (hnn_envs.record("CartPole-v1", seconds=5.0, seed=seed, noise=0.1) for seed in (4, 4, 5))
    assert first == second
    assert first != third


def test_noise_is_of_the_size_that_was_asked_for() -> None:
    clean, noisy = (hnn_envs.record("Acrobot-v1", seconds=400.0, noise=noise) for noise in (0.0, 0.05))
    differences = noisy.runs[0].positions - clean.runs[0].positions
    assert differences.std() == pytest.approx(0.05, rel=0.1)
    assert (noisy.runs[0].velocities - clean.runs[0].velocities).std() == pytest.approx(0.05, rel=0.1)
    np.testing.assert_array_equal(noisy.runs[0].inputs, clean.runs[0].inputs)


def test_a_policy_is_asked_for_every_action() -> None:
    seen: list[Any] = []

    def steady(observation: Any) -> Any:
        seen.append(observation)
        return np.array([0.25], dtype=np.float32)

    taken = hnn_envs.record("Pendulum-v1", steady, seconds=5.0, steps=40)
    assert {len(run.inputs) for run in taken.runs} == {40, 20}
    assert np.concatenate([run.inputs for run in taken.runs]).tolist() == [[0.25]] * 100
    assert len(seen) == 100
    np.testing.assert_allclose([each[2] for each in seen[:40]], taken.runs[0].velocities[:40, 0], rtol=1e-6)


def test_agents_with_predict_are_policies() -> None:
    class Agent:
        def predict(self, observation: Any, deterministic: bool) -> tuple[Any, None]:
            assert deterministic
            return 1, None

    taken = hnn_envs.record("CartPole-v1", Agent(), seconds=1.0, starts="wide")
    assert set(np.concatenate([run.inputs for run in taken.runs]).reshape(-1)) == {10.0}


def test_an_environment_that_nobody_knows_is_recorded_by_functions() -> None:
    with pytest.raises(UnknownNameError, match=r"nothing is known of the state of .*Sled"):
        hnn_envs.record(Sled(), seconds=1.0)
    taken = hnn_envs.record(Sled(), seconds=10.0, adapter=SLED, velocities=False)
    assert taken.name == "Sled"
    assert taken.runs[0].velocities is None
    with pytest.raises(InvalidOptionError, match="wide starts need an adapter that can put"):
        hnn_envs.record(Sled(), seconds=1.0, adapter=SLED, starts="wide")


def test_adapters_are_registered_by_id() -> None:
    hnn_envs.register_adapter("TestSled-v0", SLED)
    gymnasium.register("TestSled-v0", entry_point=Sled)
    try:
        assert hnn_envs.record("TestSled-v0", seconds=1.0).coordinates == SLED.coordinates
        with pytest.raises(InvalidOptionError, match="there is another adapter"):
            hnn_envs.register_adapter("TestSled-v0", ADAPTERS["Pendulum-v1"])
    finally:
        del gymnasium.registry["TestSled-v0"]


def test_an_environment_that_ends_at_once_is_told() -> None:
    stopped = dataclasses.replace(SLED, stopped=lambda env: True)
    with pytest.raises(DataError, match="1000 runs in a row ended before their second state"):
        hnn_envs.record(Sled(), seconds=1.0, adapter=stopped)
    lost = dataclasses.replace(SLED, state=lambda env: (np.array([np.nan]), np.array([0.0])))
    with pytest.raises(DataError, match=r"state \[nan, 0.0\] is not finite"):
        hnn_envs.record(Sled(), seconds=1.0, adapter=lost)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": 0.01}, "seconds must be from 0.05, a step"),
        ({"seconds": np.nan}, "seconds must be"),
        ({"noise": -1.0}, "noise must be at least 0"),
        ({"starts": "far"}, "starts must be one of reset, wide, not 'far'"),
        ({"steps": 0}, "steps must be a positive integer"),
        ({"policy": 3}, "a policy is a function of the observation"),
        ({"env": "Nothing-v1"}, "environment 'Nothing-v1' cannot be made"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        hnn_envs.record(**{"env": "Pendulum-v1", **options})


@pytest.mark.parametrize(("name", "action"), [("CartPole-v1", 2), ("Acrobot-v1", 0.5), ("Pendulum-v1", [np.nan])])
def test_actions_that_there_are_not_are_refused(name: str, action: Any) -> None:
    env = gymnasium.make(name)
    with pytest.raises(InvalidActionError):
        adapter_of(env).input(env.unwrapped, action)


class TestCommand:
    def test_a_recording_is_written_that_says_what_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "pole.npz"
        result = CliRunner().invoke(app, ["record", "CartPole-v1", "--seconds", "2", "--seed", "3", "--out", str(path)])
        assert result.exit_code == 0, result.output
        assert "2 s in" in result.output
        assert Recording.load(path) == hnn_envs.record("CartPole-v1", seconds=2.0, seed=3)

    def test_without_arguments_it_records_the_pendulum(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert CliRunner().invoke(app, ["record"]).exit_code == 0
        assert Recording.load("runs/recordings/Pendulum-v1.csv").seconds == pytest.approx(60.0)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["Nothing-v1"], "cannot be made"),
            (["Pendulum-v1", "--out", "pendulum.xlsx"], "does not say what is in it"),
            (["Pendulum-v1", "--policy", "nowhere:policy"], "no policy at 'nowhere:policy'"),
            (["MountainCar-v0"], "nothing is known of the state of MountainCar-v0"),
        ],
    )
    def test_what_is_wrong_is_said_in_a_line(
        self, arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(app, ["record", *arguments])
        assert result.exit_code == 1
        assert message in result.output.replace("\n", " ")
        assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize(("name", "most"), [("Pendulum-v1", 0.02), ("CartPole-v1", 0.02)])
def test_positions_are_of_the_same_time_as_velocities(name: str, most: float) -> None:
    """Where positions are half a step off, what they miss is of the first order in the step, 20 times as much."""
    taken = hnn_envs.record(name, seconds=10.0, starts="wide")
    misses, scales = [], []
    for run in taken.runs:
        dt = run.times[1]
        v = run.velocities
        misses.append(np.diff(run.positions, axis=0) - dt * (v[1:] + v[:-1]) / 2)
        scales.append(dt * np.diff(v, axis=0))
    assert np.abs(np.concatenate(misses)).max() < most * np.abs(np.concatenate(scales)).max()


def test_inputs_are_those_that_the_machine_gets_whatever_wrappers_make_of_actions() -> None:
    plain = gymnasium.make("Pendulum-v1")
    scaled = gymnasium.wrappers.RescaleAction(gymnasium.make("Pendulum-v1"), -1.0, 1.0)
    given = hnn_envs.record(plain, lambda seen: np.array([1.0], dtype=np.float32), seconds=1.0, seed=0)
    shared = hnn_envs.record(scaled, lambda seen: np.array([0.5], dtype=np.float32), seconds=1.0, seed=0)
    np.testing.assert_allclose(shared.runs[0].inputs, given.runs[0].inputs)
    np.testing.assert_allclose(shared.runs[0].positions, given.runs[0].positions)
