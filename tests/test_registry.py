"""What there is by name: registered from outside, or "module:object"; nothing takes a name that is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from physics import card_of, small, states

from hnn_envs.checkpoints import load_checkpoint, save_checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import InvalidOptionError, NoTruthError, UnknownNameError
from hnn_envs.hamiltonian import VectorField
from hnn_envs.models import FAMILIES, Parameters, describe, make_family, register_family
from hnn_envs.models.separable import Config as SeparableConfig
from hnn_envs.models.settings import positive
from hnn_envs.registry import Registry
from hnn_envs.rollouts import rollout
from hnn_envs.systems import (
    SYSTEMS,
    SystemSpec,
    find_truth,
    get_spec,
    get_system,
    register_system,
    resolve_system,
)
from hnn_envs.systems.pendulum import Pendulum
from hnn_envs.tasks import TASKS, find_task, get_task, register_task, resolve_task, tasks_of
from hnn_envs.tasks.pendulum import PendulumTask

PENDULUM = SYSTEMS["pendulum"]
YOYO = replace(get_spec("pendulum"), name="yoyo")


class Heavy(Pendulum):
    """A system of a user's."""

    @property
    def spec(self) -> SystemSpec:
        return replace(super().spec, name="heavy")


HEAVY = Heavy(gravity=7.0)


@dataclass(frozen=True)
class HeavyTask(PendulumTask):
    """A task of a user's on a system of a user's."""

    system: Any = HEAVY

    name = "heavy-swing-up"


@dataclass(frozen=True)
class Damped:
    """A family of a user's: x' = -rate x, and nothing is learned of the rest."""

    rate: float = positive(1.0)

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        return {"weight": rng.standard_normal(2 * spec.dof)}

    def build(self, spec: SystemSpec, parameters: Parameters) -> VectorField:
        return lambda x, u=None: -self.rate * parameters["weight"] * x


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    registries: tuple[Registry[Any], ...] = (SYSTEMS, TASKS, FAMILIES)
    for registry in registries:
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_found", dict(registry._found))


class TestRegistry:
    def test_it_lists_in_the_order_of_registration_and_imports_nothing_for_that(self) -> None:
        things: Registry[Any] = Registry("thing", {"b": "no_such_module:x", "a": "json:dumps"})
        things.register("c", "neither.is.this:x")
        assert list(things) == ["b", "a", "c"]
        assert len(things) == 3
        assert "b" in things
        assert "json:dumps" not in things
        assert things["a"] is things["json:dumps"]
        with pytest.raises(UnknownNameError, match=r"no thing at 'no_such_module:x'.*module:object: No module named"):
            things["b"]

    def test_a_taken_name_is_refused_and_the_same_once_more_is_nothing(self) -> None:
        things: Registry[Any] = Registry("thing", {"a": "json:dumps"})
        for other in ("json:loads", 3):
            with pytest.raises(InvalidOptionError, match="there is another thing called 'a' already"):
                things.register("a", other)
        things.register("a", "json:dumps")
        assert list(things) == ["a"]

    @pytest.mark.parametrize("name", ["", "json:dumps", ":"])
    def test_a_name_that_could_be_a_place_is_refused(self, name: str) -> None:
        things: Registry[Any] = Registry("thing")
        with pytest.raises(InvalidOptionError, match="name of a thing must not be empty or have a colon"):
            things.register(name, 3)

    @pytest.mark.parametrize("name", ["c", "", 3, None])
    def test_an_unknown_name_is_named_beside_the_known_ones(self, name: Any) -> None:
        things: Registry[Any] = Registry("thing", {"b": 1, "a": 2})
        with pytest.raises(UnknownNameError) as caught:
            things[name]
        assert str(caught.value) == f"unknown thing {name!r}; allowed: a, b, or module:object"

    @pytest.mark.parametrize(
        "place", ["no_such_module:x", "json:no_such_object", "json:", ":dumps", ".json:dumps", "json:dumps:x", ":"]
    )
    def test_a_place_where_nothing_is_is_refused(self, place: str) -> None:
        things: Registry[Any] = Registry("thing")
        with pytest.raises(UnknownNameError, match=r"no thing at .*, which should be module:object"):
            things[place]

    def test_a_class_stands_for_an_object_where_objects_are_asked_for(self) -> None:
        classes: Registry[Any] = Registry("thing", {"a": Pendulum})
        objects: Registry[Any] = Registry("thing", {"a": Pendulum}, instances=True)
        assert classes["a"] is Pendulum
        assert objects["a"] == Pendulum()
        assert objects["a"] is objects["a"]

    @pytest.mark.parametrize(
        ("registry", "kind"),
        [(SYSTEMS, "system"), (TASKS, "task"), (FAMILIES, "model family")],
        ids=["systems", "tasks", "families"],
    )
    def test_the_packages_names_are_taken(self, registry: Registry[Any], kind: str) -> None:
        for name in registry:
            with pytest.raises(InvalidOptionError, match=f"there is another {kind} called '{name}' already"):
                registry.register(name, f"{__name__}:HEAVY")


class TestSystems:
    def test_a_registered_one_is_one_by_its_name(self) -> None:
        register_system(HEAVY)
        register_system(HEAVY)
        assert get_system("heavy") is resolve_system("heavy") is HEAVY
        assert find_truth(HEAVY.spec) is HEAVY
        x = states(HEAVY, 5)
        np.testing.assert_array_equal(make_dynamics("heavy").step(x), make_dynamics(HEAVY).step(x))
        np.testing.assert_array_equal(rollout("heavy", x, 3).energies, HEAVY.value(rollout(HEAVY, x, 3).states))

    def test_so_is_a_place_under_any_name_and_it_is_imported_when_asked_for(self) -> None:
        register_system(f"{__name__}:HEAVY", "mine")
        register_system("no_such_module:SYSTEM", "never")
        assert get_system("mine") is HEAVY
        with pytest.raises(UnknownNameError, match="no system at 'no_such_module:SYSTEM'"):
            get_system("never")

    def test_a_place_without_a_name_has_the_systems_own(self) -> None:
        register_system(f"{__name__}:HEAVY")
        assert get_system("heavy") is HEAVY

    def test_a_place_needs_no_registration(self) -> None:
        assert get_system(f"{__name__}:HEAVY") is HEAVY
        assert get_system(f"{__name__}:Pendulum") == PENDULUM
        x = states(HEAVY, 5)
        np.testing.assert_array_equal(make_dynamics(f"{__name__}:HEAVY").step(x), make_dynamics(HEAVY).step(x))

    def test_a_description_has_no_truth(self) -> None:
        register_system(YOYO)
        assert get_spec("yoyo") is get_spec(f"{__name__}:YOYO") is YOYO
        assert find_truth(YOYO) is None
        for name in ("yoyo", f"{__name__}:YOYO"):
            with pytest.raises(NoTruthError, match="the equations of 'yoyo' are not known"):
                get_system(name)
            with pytest.raises(NoTruthError, match="the equations of 'yoyo' are not known"):
                make_dynamics(name)

    def test_a_taken_name_is_refused(self) -> None:
        register_system(YOYO)
        for other in (replace(YOYO, time_scale=3.0), replace(get_spec("pendulum"), time_scale=3.0)):
            with pytest.raises(InvalidOptionError, match=f"there is another system called '{other.name}' already"):
                register_system(other)
        assert get_spec("yoyo") is YOYO

    def test_the_truth_of_a_name_is_not_that_of_another_description(self) -> None:
        assert find_truth(PENDULUM.spec) is PENDULUM
        assert find_truth(replace(PENDULUM.spec, longest_step=0.001)) is None


class TestTasks:
    @pytest.mark.parametrize(
        "task", [HeavyTask(), HeavyTask, f"{__name__}:HeavyTask"], ids=["object", "class", "place"]
    )
    def test_a_registered_one_is_one_by_its_name(self, task: Any) -> None:
        register_task(task)
        assert get_task("heavy-swing-up") == resolve_task("heavy-swing-up") == HeavyTask()
        assert tasks_of("heavy") == [HeavyTask()]
        assert find_task("heavy") is get_task("heavy-swing-up")

    def test_a_place_needs_no_registration(self) -> None:
        assert get_task(f"{__name__}:HeavyTask") == HeavyTask()
        assert tasks_of("heavy") == []
        with pytest.raises(UnknownNameError, match="no task is registered on system 'heavy'; register_task makes one"):
            find_task("heavy")

    def test_a_system_may_have_several_and_its_own_comes_first(self) -> None:
        register_task(replace(PendulumTask(), dt=0.01), "finer")
        assert [task.dt for task in tasks_of("pendulum")] == [TASKS["pendulum"].dt, 0.01]
        assert find_task("pendulum") is TASKS["pendulum"]

    def test_a_taken_name_is_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match="there is another task called 'pendulum' already"):
            register_task(HeavyTask(), "pendulum")


class TestFamilies:
    @pytest.mark.parametrize("family", ["damped", f"{__name__}:Damped"], ids=["registered", "place"])
    def test_a_users_is_saved_loaded_and_stepped(self, tmp_path: Path, family: str) -> None:
        register_family("damped", f"{__name__}:Damped")
        made = make_family(family, {"rate": 2.0})
        assert made == Damped(2.0)
        card = replace(card_of("separable/pendulum/0"), family=family, settings=describe(made))
        save_checkpoint(tmp_path / "m.safetensors", card, {"weight": np.array([1.0, 3.0])})
        assert load_checkpoint(tmp_path / "m.safetensors").card.family == family
        dynamics = make_dynamics(tmp_path / "m.safetensors", dt=0.1)
        np.testing.assert_allclose(dynamics.step(np.ones(2)), np.exp([-0.2, -0.6]), rtol=1e-3)

    def test_its_settings_are_checked_as_the_packages_are(self) -> None:
        register_family("damped", Damped)
        with pytest.raises(InvalidOptionError, match="model family 'damped' has no setting 'depth'; allowed: rate"):
            make_family("damped", {"depth": 3})
        with pytest.raises(InvalidOptionError, match="'rate' of model family 'damped' must be a positive number"):
            make_family("damped", {"rate": -1.0})

    @pytest.mark.parametrize("name", [f"{__name__}:states", f"{__name__}:HEAVY", "builtins:dict", "os:getcwd"])
    def test_what_is_no_dataclass_of_settings_is_none(self, name: str) -> None:
        with pytest.raises(InvalidOptionError, match=f"model family '{name}' must be a dataclass of settings"):
            make_family(name, {})

    def test_a_taken_name_is_refused(self) -> None:
        with pytest.raises(InvalidOptionError, match="there is another model family called 'separable' already"):
            register_family("separable", Damped)

    def test_a_place_gives_the_packages_own_as_well(self) -> None:
        assert make_family("hnn_envs.models.separable:Config", small({})) == SeparableConfig(hidden=(7, 5))
