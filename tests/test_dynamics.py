"""Dynamics: the ODE is exact, learned physics stand in for its field, and a wrong option is refused by name."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from physics import (
    NAMES,
    PROPERTY,
    SEPARABLE,
    card_of,
    exact,
    flow,
    inputs,
    model,
    models,
    states,
    undamped,
    write_checkpoint,
)

from hnn_envs import checkpoints
from hnn_envs.dynamics import LEARNED_ADAPTIVE, LEARNED_SPLITTING, LEARNED_STEP, default_substeps, make_dynamics
from hnn_envs.errors import CheckpointError, DeviceError, HnnEnvsError, InvalidOptionError, UnknownNameError
from hnn_envs.hamiltonian import HamiltonianFlow
from hnn_envs.integrators import INTEGRATORS, fits, get_integrator
from hnn_envs.systems import SYSTEMS, System

PENDULUM = SYSTEMS["pendulum"]


@pytest.fixture(params=NAMES)
def system(request: pytest.FixtureRequest) -> System:
    return SYSTEMS[request.param]


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Shipped checkpoints of the pendulum: default/hnn, default/baseline and paper/hnn."""
    for name, identity in (
        ("default/hnn", "separable/pendulum/0"),
        ("default/baseline", "mlp/pendulum/0"),
        ("paper/hnn", "generic/pendulum/0"),
    ):
        write_checkpoint(tmp_path / "pendulum" / f"{name}.safetensors", identity, name=name)
    monkeypatch.setattr(checkpoints, "checkpoints_folder", lambda: tmp_path)
    checkpoints._load_shipped.cache_clear()
    yield tmp_path
    checkpoints._load_shipped.cache_clear()


class TestOde:
    @pytest.mark.parametrize("pushed", [False, True], ids=["free", "pushed"])
    def test_one_step_agrees_with_dop853_to_1e_9(self, system: System, pushed: bool) -> None:
        dynamics = flow(system)
        x, u = states(system, 20), inputs(system, 20) if pushed else None
        np.testing.assert_allclose(dynamics.step(x, u), exact(system.field, x, dynamics.dt, u), rtol=0, atol=1e-9)

    @pytest.mark.parametrize("share", [0.003, 0.1, 0.5])
    def test_so_does_a_shorter_or_a_longer_step(self, system: System, share: float) -> None:
        """The default number of substeps follows dt. Errors add up over a long step: 1e-9 for each default step."""
        dynamics = flow(system, dt=share * system.spec.time_scale)
        x = states(system, 5)
        bound = 1e-9 * max(1.0, 50 * share)
        np.testing.assert_allclose(dynamics.step(x), exact(system.field, x, dynamics.dt), rtol=0, atol=bound)

    def test_a_state_steps_in_a_batch_bit_for_bit_as_it_does_alone(self, system: System) -> None:
        dynamics = make_dynamics(system, "ode")
        for count in (1, 2, 7, 64):
            x, u = states(system, count), inputs(system, count)
            alone = [dynamics.step(*each) for each in zip(x, u, strict=True)]
            np.testing.assert_array_equal(dynamics.step(x, u), alone)

    def test_zero_input_is_the_free_system(self, system: System) -> None:
        dynamics = make_dynamics(system, "ode")
        x, u = states(system, 5), inputs(system, 5)
        np.testing.assert_array_equal(dynamics.step(x, 0 * u), dynamics.step(x))

    def test_the_input_is_held_over_the_whole_step(self, system: System) -> None:
        """One step of dt with u is two steps of dt / 2 with the same u."""
        x, u = states(system, 5), inputs(system, 5)
        whole = flow(system)
        half = flow(system, dt=whole.dt / 2)
        np.testing.assert_allclose(whole.step(x, u), half.step(half.step(x, u), u), rtol=0, atol=2e-9)

    def test_a_step_leaves_its_arguments_alone(self, system: System) -> None:
        x, u = states(system, 5), inputs(system, 5)
        before = x.copy(), u.copy()
        make_dynamics(system, "ode").step(x, u)
        np.testing.assert_array_equal(x, before[0])
        np.testing.assert_array_equal(u, before[1])

    def test_its_energy_is_the_true_one(self, system: System) -> None:
        x = states(system, 5)
        np.testing.assert_array_equal(make_dynamics(system).energy(x), system.value(x))

    def test_it_has_no_card_and_steps_by_its_method_fifty_times_per_time_scale_or_its_map(self, system: System) -> None:
        dynamics, stepping = make_dynamics(system), system.spec.stepping
        assert (dynamics.name, dynamics.card, dynamics.device) == ("ode", None, None)
        assert (dynamics.spec, dynamics.truth) == (system.spec, system)
        if stepping is None:
            assert dynamics.integrator is get_integrator(None, system.field)
            assert dynamics.dt == system.spec.time_scale / 50
        else:
            assert dynamics.integrator is INTEGRATORS[stepping.integrator]
            assert (dynamics.dt, dynamics.substeps) == (stepping.dt, 1)

    @pytest.mark.parametrize("method", [name for name in INTEGRATORS if name != "dop853"])
    def test_any_integrator_that_fits_steps_it(self, system: System, method: str) -> None:
        if not fits(INTEGRATORS[method], system.field):
            with pytest.raises(InvalidOptionError, match=method):
                make_dynamics(system, "ode", integrator=method)
            return
        dynamics = make_dynamics(system, "ode", integrator=method, dt=0.04, substeps=4)
        x, u = states(system, 3), inputs(system, 3)
        expected = INTEGRATORS[method].advance(system.field, x, u, 0.01, 4)
        # The compiled step rounds differently: 1e-12 relative is its contract.
        np.testing.assert_allclose(dynamics.step(x, u), expected, rtol=1e-12, atol=1e-13)

    def test_dop853_steps_it_as_the_reference(self, system: System) -> None:
        dynamics = make_dynamics(system, "ode", integrator="dop853", substeps=1)
        x = states(system, 2)
        np.testing.assert_array_equal(dynamics.step(x), exact(system.field, x, dynamics.dt))

    def test_it_pickles_and_copies(self, system: System) -> None:
        dynamics = make_dynamics(system)
        x = states(system, 3)
        for twin in (pickle.loads(pickle.dumps(dynamics)), copy.deepcopy(dynamics)):  # noqa: S301 - our own bytes
            np.testing.assert_array_equal(twin.step(x), dynamics.step(x))

    @pytest.mark.parametrize("system", SEPARABLE, indirect=True)
    def test_blanes_and_moan_keep_to_the_same_accuracy_with_longer_steps(self, system: System) -> None:
        dynamics, usual = (make_dynamics(system, integrator=method) for method in ("blanes_moan4", "pefrl"))
        x, u = states(system, 20), inputs(system, 20)
        assert dynamics.substeps == math.ceil(usual.substeps / 3)
        np.testing.assert_allclose(dynamics.step(x, u), exact(system.field, x, dynamics.dt, u), rtol=0, atol=1e-9)

    @PROPERTY
    @given(
        dt=st.floats(1e-4, 10),
        name=st.sampled_from(NAMES),
        method=st.sampled_from(["pefrl", "blanes_moan4", "rk4"]),
        learned=st.booleans(),
    )
    def test_substeps_are_as_few_as_the_longest_step_allows(
        self, dt: float, name: str, method: str, learned: bool
    ) -> None:
        count = default_substeps(SYSTEMS[name].spec, dt, INTEGRATORS[method], learned=learned)
        longest = SYSTEMS[name].spec.longest_step * INTEGRATORS[method].stride * (LEARNED_STEP if learned else 1)
        assert dt / count <= longest * (1 + 1e-6)
        assert count == 1 or dt / (count - 1) > longest * (1 - 1e-6)

    def test_dop853_chooses_its_own_steps(self) -> None:
        assert make_dynamics(PENDULUM, integrator="dop853", dt=10.0).substeps == 1


class TestLearned:
    @pytest.mark.parametrize("name", models())
    def test_a_path_gives_the_field_of_the_checkpoint(self, tmp_path: Path, name: str) -> None:
        there = model(name)
        path = write_checkpoint(tmp_path / "m.safetensors", name)
        dynamics = make_dynamics(there.system, str(path), dt=0.05, substeps=2)
        x, u = states(there.system, 4), inputs(there.system, 4)
        expected = x
        for _ in range(2):
            expected = dynamics.integrator.step(there.field, expected, u, 0.025)
        # The compiled step rounds differently: 1e-12 relative is its contract.
        np.testing.assert_allclose(dynamics.step(x, u), expected, rtol=1e-12, atol=1e-13)
        assert dynamics.name == str(path)
        assert dynamics.card is not None
        assert dynamics.card.family == name.split("/")[0]

    @pytest.mark.parametrize("name", models(default=True))
    def test_its_energy_is_what_it_believes_or_the_true_one_where_it_has_none(self, tmp_path: Path, name: str) -> None:
        there = model(name)
        dynamics = make_dynamics(there.system, str(write_checkpoint(tmp_path / "m.safetensors", name)))
        x = states(there.system, 4)
        if isinstance(there.field, HamiltonianFlow):
            expected = there.field.hamiltonian.value(x) - card_of(name).energy_offset
        else:
            expected = there.system.value(x)
        np.testing.assert_array_equal(dynamics.energy(x), expected)

    @pytest.mark.parametrize("name", models(default=True))
    def test_the_default_step_keeps_to_1e_6_of_its_own_flow(self, tmp_path: Path, name: str) -> None:
        there = model(name)
        path = write_checkpoint(tmp_path / "m.safetensors", name)
        suited = get_integrator(None, there.field)
        own = LEARNED_SPLITTING if suited.name == "pefrl" else LEARNED_ADAPTIVE if suited.adaptive else suited.name
        method = None if there.system.spec.stepping is None else own
        dynamics = make_dynamics(there.system, str(path), integrator=method)
        assert dynamics.integrator is INTEGRATORS[own]
        x = states(there.system, 4)
        np.testing.assert_allclose(dynamics.step(x), exact(there.field, x, dynamics.dt), rtol=0, atol=1e-6)

    @pytest.mark.parametrize("name", models(default=True))
    def test_single_precision_still_returns_double(self, tmp_path: Path, name: str) -> None:
        there = model(name)
        path = str(write_checkpoint(tmp_path / "m.safetensors", name))
        x, u = states(there.system, 4), inputs(there.system, 4)
        single = make_dynamics(there.system, path, dtype="float32").step(x, u)
        double = make_dynamics(there.system, path, dtype="float64").step(x, u)
        assert single.dtype == np.float64
        assert np.abs(single - double).max() > 0
        np.testing.assert_allclose(single, double, rtol=0, atol=1e-5)

    def test_weights_in_single_precision_step_in_double_by_default(self, tmp_path: Path) -> None:
        weights = {key: value.astype(np.float32) for key, value in model("generic/pendulum/0").parameters.items()}
        path = write_checkpoint(tmp_path / "m.safetensors", "generic/pendulum/0", weights=weights)
        widened = model("generic/pendulum/0").build({key: value.astype(float) for key, value in weights.items()})
        x = states(PENDULUM, 3)
        np.testing.assert_array_equal(make_dynamics(PENDULUM, str(path)).field(x), widened(x))

    def test_short_and_long_names_give_the_shipped_ones(self, shipped: Path) -> None:
        for name, family in (
            ("hnn", "separable"),
            ("default/hnn", "separable"),
            ("baseline", "mlp"),
            ("paper/hnn", "generic"),
        ):
            card = make_dynamics(PENDULUM, name).card
            assert card is not None
            assert card.family == family

    def test_a_path_may_be_relative_or_start_at_home(self, shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(shipped)
        monkeypatch.setenv("HOME", str(shipped))
        for start in ("", "./", "~/"):
            assert make_dynamics(PENDULUM, f"{start}pendulum/paper/hnn.safetensors").card is not None

    def test_a_checkpoint_already_loaded_serves_as_well(self, shipped: Path) -> None:
        loaded = checkpoints.find_checkpoint("pendulum", "paper/hnn")
        dynamics = make_dynamics(PENDULUM, loaded)
        x = states(PENDULUM, 3)
        assert dynamics.name == "paper/hnn"
        np.testing.assert_array_equal(dynamics.step(x), make_dynamics(PENDULUM, "paper/hnn").step(x))
        with pytest.raises(CheckpointError, match="trained for system 'pendulum', not 'mass-spring'"):
            make_dynamics(SYSTEMS["mass-spring"], loaded)

    def test_a_splitting_is_refused_for_a_network_that_is_not_separable(self, shipped: Path) -> None:
        for name in ("paper/hnn", "baseline"):
            with pytest.raises(InvalidOptionError, match="'leapfrog' needs a separable Hamiltonian"):
                make_dynamics(PENDULUM, name, integrator="leapfrog")

    def test_without_a_choice_it_steps_by_a_splitting_where_that_fits_else_with_rk4(self, shipped: Path) -> None:
        chosen = {name: make_dynamics(PENDULUM, name).integrator.name for name in ("hnn", "paper/hnn", "baseline")}
        assert chosen == {"hnn": "blanes_moan4", "paper/hnn": "rk4", "baseline": "rk4"}

    def test_it_pickles_and_copies(self, shipped: Path) -> None:
        dynamics = make_dynamics(PENDULUM, "hnn")
        x = states(PENDULUM, 3)
        for twin in (pickle.loads(pickle.dumps(dynamics)), copy.deepcopy(dynamics)):  # noqa: S301 - our own bytes
            np.testing.assert_array_equal(twin.step(x), dynamics.step(x))


class TestNames:
    @pytest.mark.parametrize("name", ["ODE", "lstm", "", "paper/none", 3])
    def test_an_unknown_one_is_named_beside_the_known_ones(self, shipped: Path, name: Any) -> None:
        with pytest.raises(UnknownNameError) as caught:
            make_dynamics(PENDULUM, name)
        assert f"unknown dynamics {name!r}" in str(caught.value)
        for known in ("ode", "hnn", "baseline", "default/hnn", "paper/hnn"):
            assert known in str(caught.value)

    def test_a_file_that_is_not_there_is_a_checkpoint_error(self, tmp_path: Path) -> None:
        path = tmp_path / "none.safetensors"
        with pytest.raises(CheckpointError, match=r"none\.safetensors does not exist"):
            make_dynamics(PENDULUM, str(path))

    def test_a_known_name_that_was_not_shipped_is_a_checkpoint_error(self, shipped: Path) -> None:
        with pytest.raises(CheckpointError, match=r"default/hnn\.safetensors does not exist; shipped ones: .*pendulum"):
            make_dynamics(SYSTEMS["two-body"], "hnn")

    def test_the_checkpoint_of_another_system_is_refused(self, shipped: Path) -> None:
        path = shipped / "pendulum/default/hnn.safetensors"
        with pytest.raises(CheckpointError, match="was trained for system 'pendulum', not for 'mass-spring'"):
            make_dynamics(SYSTEMS["mass-spring"], str(path))

    def test_a_file_of_another_kind_is_a_checkpoint_error(self, tmp_path: Path) -> None:
        torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"model\.pt is not a readable safetensors file.*pickle"):
            make_dynamics(PENDULUM, str(tmp_path / "model.pt"))


class TestOptions:
    @pytest.mark.parametrize("dt", [0, 0.0, -0.1, math.nan, math.inf, "0.1", [0.1]])
    def test_dt_must_be_a_positive_number(self, dt: Any) -> None:
        with pytest.raises(InvalidOptionError, match="dt must be a positive number, not "):
            make_dynamics(PENDULUM, dt=dt)

    @pytest.mark.parametrize("substeps", [0, -1, 1.0, 2.5, "2", math.nan])
    def test_substeps_must_be_a_positive_integer(self, substeps: Any) -> None:
        with pytest.raises(InvalidOptionError, match="substeps must be a positive integer, not "):
            make_dynamics(PENDULUM, substeps=substeps)

    def test_numpy_numbers_are_numbers(self) -> None:
        dynamics = make_dynamics(PENDULUM, dt=np.float32(0.5), substeps=np.int64(3))
        assert (dynamics.dt, dynamics.substeps) == (0.5, 3)
        assert type(dynamics.dt) is float
        assert type(dynamics.substeps) is int

    @pytest.mark.parametrize("dtype", ["float16", "double", np.float32, 32])
    def test_dtype_must_be_one_of_two(self, dtype: Any) -> None:
        with pytest.raises(InvalidOptionError, match="dtype must be one of float64, float32, not "):
            make_dynamics(PENDULUM, dtype=dtype)

    def test_the_ode_has_no_network_to_evaluate_in_single_precision(self) -> None:
        with pytest.raises(InvalidOptionError, match="'ode' has none"):
            make_dynamics(PENDULUM, dtype="float32")

    def test_an_unknown_integrator_is_named_beside_the_known_ones(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown integrator 'euler'; allowed: .*pefrl"):
            make_dynamics(PENDULUM, integrator="euler")

    @pytest.mark.parametrize("device", ["tpu", "", "cuda:x", 1.5])
    def test_an_unknown_device_is_named_beside_the_known_ones(self, device: Any) -> None:
        with pytest.raises(DeviceError, match=rf"unknown device {device!r}; allowed: cpu, cuda"):
            make_dynamics(PENDULUM, device=device)

    @pytest.mark.parametrize("device", ["mps", "meta"])
    def test_a_device_that_is_not_supported_is_refused(self, device: str) -> None:
        with pytest.raises(DeviceError, match=f"device '{device}' is not supported; allowed: cpu, cuda"):
            make_dynamics(PENDULUM, device=device)

    @pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
    def test_a_gpu_that_is_not_there_is_refused_before_any_file_is_read(
        self, device: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        for name in ("ode", "missing.safetensors", "hnn"):
            with pytest.raises(DeviceError, match=f"device '{device}'.*no CUDA device; use device='cpu'"):
                make_dynamics(PENDULUM, name, device=device)

    def test_a_gpu_beyond_the_last_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        with pytest.raises(DeviceError, match=r"device 'cuda:2'.*2 CUDA devices"):
            make_dynamics(PENDULUM, device="cuda:2")

    def test_dop853_is_refused_on_a_device(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(InvalidOptionError, match="'dop853' runs on the CPU only"):
            make_dynamics(PENDULUM, device="cuda", integrator="dop853")

    def test_the_cpu_is_the_default(self) -> None:
        assert make_dynamics(PENDULUM, device="cpu").device is None

    def test_every_refusal_is_an_error_of_the_package(self) -> None:
        for options in ({"dt": -1}, {"substeps": 0}, {"device": "tpu"}, {"integrator": "x"}, {"dynamics": "x"}):
            with pytest.raises(HnnEnvsError):
                make_dynamics(PENDULUM, **options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestCuda:
    def test_the_ode_steps_there_as_here(self, system: System) -> None:
        x, u = states(system, 50), inputs(system, 50)
        there = make_dynamics(system, device="cuda")
        stepped = there.step(there.to_device(x), there.to_device(u))
        assert stepped.is_cuda
        np.testing.assert_allclose(there.to_numpy(stepped), make_dynamics(system).step(x, u), rtol=0, atol=1e-11)

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    @pytest.mark.parametrize("name", models(default=True))
    def test_a_network_steps_there_as_here(self, tmp_path: Path, name: str, dtype: str) -> None:
        system = model(name).system
        path = str(write_checkpoint(tmp_path / "m.safetensors", name))
        x, u = states(system, 50), inputs(system, 50)
        there = make_dynamics(system, path, device="cuda", dtype=dtype)
        here = make_dynamics(system, path, dtype=dtype)
        stepped = there.step(there.to_device(x), there.to_device(u))
        assert stepped.dtype == torch.float64
        bound = 1e-11 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(there.to_numpy(stepped), here.step(x, u), rtol=0, atol=bound)


class TestTorch:
    """Where physics computes on tensors; here they lie on the CPU, so that this needs no GPU."""

    @pytest.mark.parametrize("name", NAMES)
    def test_values_go_there_and_back_unchanged_and_step_as_in_numpy(self, name: str) -> None:
        here = make_dynamics(SYSTEMS[name])
        there = replace(here, device="cpu")
        x, u = states(SYSTEMS[name], 5), inputs(SYSTEMS[name], 5)
        tensor = there.to_device(x)
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(there.to_numpy(tensor), x)
        stepped = there.to_numpy(there.step(tensor, there.to_device(u)))
        np.testing.assert_allclose(stepped, here.step(x, u), rtol=0, atol=1e-12)
        np.testing.assert_allclose(there.to_numpy(there.energy(tensor)), here.energy(x), rtol=1e-12)

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_steps_inside_a_mode_without_gradients_leave_no_graph(self, mode: Any) -> None:
        there = model("separable/pendulum/0")
        x = torch.tensor(states(PENDULUM, 3))
        with mode():
            y = make_dynamics(PENDULUM).step(x)
            z = INTEGRATORS["pefrl"].step(there.torch_field, x, None, 0.1)
        assert y.grad_fn is None
        assert z.grad_fn is None

    def test_undamped_and_damped_fields_differ_only_where_there_is_damping(self) -> None:
        x = states(PENDULUM, 3)
        np.testing.assert_array_equal(undamped(PENDULUM)(x), PENDULUM.field(x))
        real = SYSTEMS["real-pendulum"]
        assert np.abs(undamped(real)(x) - real.field(x)).max() > 0
