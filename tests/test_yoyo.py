"""A system that the package does not know, by its checkpoint alone: a file that describes it is enough."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from physics import card_of, small

from hnn_envs.checkpoints import Checkpoint, Domain, load_checkpoint, save_checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import CheckpointError, InvalidOptionError, NoTruthError, UnknownNameError
from hnn_envs.integrators import INTEGRATORS
from hnn_envs.models import describe, make_family
from hnn_envs.rollouts import rollout
from hnn_envs.systems import SYSTEMS, get_spec
from hnn_envs.systems.spec import Coordinate, Input, Stepping, SystemSpec

YOYO = SystemSpec(
    name="yoyo",
    coordinates=(Coordinate("height q", "m", momentum="momentum p"), Coordinate("turn", "rad", angle=True)),
    inputs=(Input("pull", "N"),),
    input_matrix=((1.0,), (-0.5,)),
    time_scale=2.0,
    longest_step=0.004,
)
X = np.random.default_rng(0).standard_normal((5, 4))
U = np.random.default_rng(1).standard_normal((5, 1))


def written(folder: Path, family: str = "separable", spec: SystemSpec = YOYO) -> Path:
    """A checkpoint with random weights."""
    made = make_family(family, small({}))
    width = (1.5,) * 2 * spec.dof
    card = replace(
        card_of("separable/pendulum/0"),
        name="default/hnn",
        spec=spec,
        family=family,
        settings=describe(made),
        domain=Domain(tuple(-each for each in width), width, None),
    )
    path = folder / f"{spec.name}.safetensors"
    save_checkpoint(path, card, made.init(spec, np.random.default_rng(2)))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path)


def test_the_package_does_not_know_it() -> None:
    assert "yoyo" not in SYSTEMS


def test_its_file_loads_with_its_description(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    assert load_checkpoint(path, "yoyo").card == checkpoint.card
    assert checkpoint.card.spec == YOYO
    assert (checkpoint.card.system, checkpoint.card.domain.energy) == ("yoyo", None)
    with pytest.raises(CheckpointError, match="was trained for system 'yoyo', not for 'pendulum'"):
        load_checkpoint(path, "pendulum")


def test_a_path_a_name_of_one_and_the_checkpoint_give_the_same_dynamics(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    expected, field = X, checkpoint.build()
    given: list[Any] = [path, str(path), checkpoint]
    for system in given:
        dynamics = make_dynamics(system)
        assert (dynamics.spec, dynamics.truth, dynamics.card) == (YOYO, None, checkpoint.card)
        assert (dynamics.name, dynamics.integrator.name, dynamics.dt) == ("default/hnn", "blanes_moan4", 2.0 / 50)
        expected = X
        for _ in range(dynamics.substeps):
            expected = dynamics.integrator.step(field, expected, U, dynamics.dt / dynamics.substeps)
        # The compiled step rounds differently: 1e-12 relative is its contract.
        np.testing.assert_allclose(dynamics.step(X, U), expected, rtol=1e-12, atol=1e-13)
        again = pickle.loads(pickle.dumps(dynamics))  # noqa: S301 - our own bytes
        np.testing.assert_array_equal(again.step(X, U), dynamics.step(X, U))


def test_it_steps_under_its_description_too(path: Path) -> None:
    expected = make_dynamics(path).step(X, U)
    for dynamics in (str(path), load_checkpoint(path)):
        np.testing.assert_array_equal(make_dynamics(YOYO, dynamics).step(X, U), expected)
        np.testing.assert_array_equal(make_dynamics(path, dynamics).step(X, U), expected)


@pytest.mark.parametrize("dynamics", ["ode", None])
def test_there_is_no_ode_of_it(path: Path, dynamics: str | None) -> None:
    given: list[Any] = [YOYO] if dynamics is None else [YOYO, path, str(path), load_checkpoint(path)]
    for system in given:
        with pytest.raises(NoTruthError) as caught:
            make_dynamics(system, dynamics)
        assert str(caught.value).startswith("the equations of 'yoyo' are not known, so there is no dynamics='ode'")
        assert "\n" not in str(caught.value)
        assert ". " not in str(caught.value)


def test_it_has_no_shipped_checkpoints(path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown dynamics 'paper/hnn' for yoyo; allowed: ode, hnn, baseline"):
        make_dynamics(path, "paper/hnn")
    with pytest.raises(CheckpointError, match="does not exist"):
        make_dynamics(path, "hnn")


def test_its_energy_is_the_learned_one(path: Path) -> None:
    checkpoint, dynamics = load_checkpoint(path), make_dynamics(path)
    learned: Any = checkpoint.build()
    expected = learned.hamiltonian.value(X) - checkpoint.card.energy_offset
    np.testing.assert_array_equal(dynamics.energy(X), expected)
    result = rollout(path, X, 20)
    assert result.energies is not None
    np.testing.assert_allclose(result.energies, np.broadcast_to(expected, (21, 5)), atol=1e-5)


def test_a_baseline_of_it_has_none(tmp_path: Path) -> None:
    path = written(tmp_path, "mlp")
    with pytest.raises(NoTruthError, match="no true energy"):
        make_dynamics(path).energy(X)
    result = rollout(path, X, 3)
    assert result.energies is None
    np.testing.assert_array_equal(result.states[1], make_dynamics(path).step(X))


def test_what_was_learned_of_a_map_is_stepped_by_it(tmp_path: Path) -> None:
    path = written(tmp_path, spec=replace(YOYO, stepping=Stepping("leapfrog", 0.1)))
    dynamics, field = make_dynamics(path, dt=0.2), load_checkpoint(path).build()
    assert (dynamics.integrator.name, dynamics.substeps) == ("leapfrog", 2)
    half = INTEGRATORS["leapfrog"].step(field, X, U, 0.1)
    expected = INTEGRATORS["leapfrog"].step(field, half, U, 0.1)
    np.testing.assert_allclose(dynamics.step(X, U), expected, rtol=1e-12, atol=1e-13)
    with pytest.raises(
        InvalidOptionError, match=r"yoyo moves in steps of 0\.1, so dt must be a multiple of it, not 0\.15"
    ):
        make_dynamics(path, dt=0.15)


def test_another_system_of_a_known_name_has_not_the_known_ones_equations(tmp_path: Path) -> None:
    path = written(tmp_path, spec=replace(YOYO, name="pendulum"))
    assert make_dynamics(path).truth is None
    with pytest.raises(NoTruthError, match="the equations of 'pendulum' are not known"):
        make_dynamics(path, "ode")
    given: list[Any] = [str(path), load_checkpoint(path)]
    for dynamics in given:
        with pytest.raises(CheckpointError, match="another 'pendulum', of 2 coordinates and 1 inputs, not 1 and 1"):
            make_dynamics("pendulum", dynamics)


@pytest.mark.parametrize("name", ["hnn", "baseline"])
def test_a_known_systems_checkpoint_brings_its_equations(name: str) -> None:
    by_name = make_dynamics("pendulum", name)
    checkpoint = load_checkpoint(
        Path(__file__).parents[1] / "checkpoints" / "pendulum" / "default" / f"{name}.safetensors"
    )
    x = SYSTEMS["pendulum"].sample_states(np.random.default_rng(0), 5)
    assert isinstance(checkpoint, Checkpoint)
    for dynamics in (make_dynamics(checkpoint), make_dynamics("pendulum", checkpoint)):
        assert (dynamics.spec, dynamics.truth) == (get_spec("pendulum"), SYSTEMS["pendulum"])
        np.testing.assert_array_equal(dynamics.step(x), by_name.step(x))
        np.testing.assert_array_equal(dynamics.energy(x), by_name.energy(x))
    np.testing.assert_array_equal(make_dynamics(checkpoint, "ode").step(x), make_dynamics("pendulum").step(x))


def test_a_path_where_nothing_is(tmp_path: Path) -> None:
    given: list[Any] = [tmp_path / "none.safetensors", tmp_path / "folder", str(tmp_path / "none.safetensors")]
    for system in given:
        with pytest.raises(CheckpointError, match="does not exist"):
            make_dynamics(system)
