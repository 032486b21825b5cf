"""The learned families: closed-form gradients, field types, symmetries, ports, precision, settings, first weights."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from physics import (
    N_BODY,
    NAMES,
    PROPERTY,
    Model,
    autograd,
    exact,
    inputs,
    march,
    model,
    models,
    parameters,
    small,
    states,
    symplectic_form,
    to_torch,
    variants,
)

from hnn_envs.arrays import join, split
from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.hamiltonian import LagrangianFlow, PortHamiltonian
from hnn_envs.models import FAMILIES, describe, make_family, network_parameters
from hnn_envs.models.features import Features
from hnn_envs.models.generic import GenericHamiltonian, HelmholtzField
from hnn_envs.models.mlp import ACTIVATIONS, build_mlp, init_mlp
from hnn_envs.observation import Observed
from hnn_envs.pixels.pair_models import Paired
from hnn_envs.systems import SYSTEMS, get_system
from hnn_envs.systems.n_body import NBody, rotate

ALL = models()
ALL_VARIANTS = [(family, options) for family in FAMILIES for options in map(small, variants(family))]


def learned_energy(field: Any) -> Any:
    """The scalar whose gradient a field uses, or None for the baseline."""
    if isinstance(field, HelmholtzField):
        return field.conservative
    return field.hamiltonian if isinstance(field, PortHamiltonian) else None


WITH_ENERGY = [name for name in ALL if learned_energy(model(name).field) is not None]
DAMPED = [name for name in WITH_ENERGY if getattr(model(name).field, "damping", None) is not None]


def damped_and_separable(identity: str) -> bool:
    return identity in DAMPED and identity in models(separable=True)


def seen_otherwise(identity: str) -> bool:
    """Baselines that are no network of the bare state, and machines in velocities; they have tests of their own."""
    pixels = identity in ("pixel-mlp/pixel-pendulum/0", "pixel-generic-mlp/pixel-pendulum/0")
    return pixels or isinstance(model(identity).field, LagrangianFlow)


class TestGradient:
    @pytest.mark.parametrize("name", WITH_ENERGY)
    def test_it_is_that_of_the_value(self, name: str) -> None:
        there = model(name)
        x = states(there.system, 20)
        closed_form = learned_energy(there.field).gradient(x)
        np.testing.assert_allclose(
            closed_form, autograd(learned_energy(there.torch_field).value, x), rtol=1e-12, atol=1e-12
        )

    @pytest.mark.parametrize("name", WITH_ENERGY)
    def test_in_single_precision_it_is_so_to_single_precision(self, name: str) -> None:
        there = model(name)
        x = states(there.system, 20)
        drawn = {key: value.astype(np.float32) for key, value in there.parameters.items()}
        closed_form = learned_energy(there.build(drawn)).gradient(x)
        by_torch = autograd(learned_energy(there.build(to_torch(drawn))).value, x)
        np.testing.assert_allclose(closed_form, by_torch, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(closed_form, learned_energy(there.field).gradient(x), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("output", [0, 1])
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize("hidden", [(), (4,), (5, 3), (4, 6, 3)])
    def test_a_network_of_any_depth_has_it_for_each_output(
        self, hidden: tuple[int, ...], bias: bool, output: int
    ) -> None:
        drawn = init_mlp(np.random.default_rng(0), "net", (3, *hidden, 2), output_bias=bias)
        x = np.random.default_rng(1).standard_normal((6, 3))
        closed_form = build_mlp(drawn, "net").gradient(x, output)
        by_torch = autograd(lambda y: build_mlp(to_torch(drawn), "net")(y)[..., output], x)
        # a linear network has the same gradient everywhere
        np.testing.assert_allclose(np.broadcast_to(closed_form, x.shape), by_torch, rtol=1e-13, atol=1e-14)

    @pytest.mark.parametrize(
        "angles", [(False,), (True,), (True, False), (False, True), (False, True, False, True), (True, True, False)]
    )
    def test_it_passes_through_features_of_any_order_of_angles(self, angles: tuple[bool, ...]) -> None:
        features = Features.of(angles, 1.7)
        weights = np.random.default_rng(2).standard_normal(features.size)
        x = np.random.default_rng(3).standard_normal((5, len(angles)))
        pulled = features.pull_back(x, np.broadcast_to(weights, (5, features.size)))
        np.testing.assert_allclose(pulled, autograd(lambda y: features(y) @ torch.tensor(weights), x), atol=1e-14)
        assert features(x).shape == (5, features.size)


class TestField:
    @pytest.mark.parametrize("name", [name for name in models(default=True) if not seen_otherwise(name)])
    def test_it_has_the_form_that_its_family_promises(self, name: str) -> None:
        """x' = J grad H + G u for the Hamiltonian families; an MLP plus G u for the baseline."""
        there = model(name)
        x, u, dof = states(there.system, 10), inputs(there.system, 10), there.system.spec.dof
        if isinstance(there.field, PortHamiltonian):
            gradient = there.field.hamiltonian.gradient(x)
            free = gradient @ symplectic_form(dof).T
            if there.field.dissipation is not None:
                free = free + join(np.zeros((10, dof)), there.field.dissipation.force(split(gradient)[1]))
        else:
            free = build_mlp(there.parameters, "network")(x)
        push = np.concatenate((np.zeros((10, dof)), u @ there.system.field.input_matrix.T), axis=-1)
        np.testing.assert_allclose(there.field(x), free, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(there.field(x, u), free + push, rtol=1e-13, atol=1e-14)

    def test_the_pixel_baseline_is_a_network_that_sees_the_momentum_the_angles_cosine_and_sine_and_the_input(
        self,
    ) -> None:
        there = model("pixel-mlp/pixel-pendulum/0")
        x, u = states(there.system, 10), inputs(there.system, 10)
        seen = np.concatenate((x[:, 1:], np.cos(x[:, :1]), np.sin(x[:, :1]), u), axis=-1)
        np.testing.assert_allclose(there.field(x, u), build_mlp(there.parameters, "network")(seen), rtol=1e-13)

    @pytest.mark.parametrize("system", NAMES)
    def test_the_papers_field_types_are_gradients_of_two_outputs(self, system: str) -> None:
        """Conservative: grad F1. Solenoidal: J grad F2. Both: their sum."""
        there = SYSTEMS[system]
        x, u = states(there, 10), inputs(there, 10)
        drawn = parameters("generic", small({}), there)
        network = build_mlp(drawn, "network")
        potential, energy = GenericHamiltonian(network, 0).gradient(x), GenericHamiltonian(network, 1).gradient(x)
        turned = energy @ symplectic_form(there.spec.dof).T
        push = np.concatenate((np.zeros((10, there.spec.dof)), u @ there.field.input_matrix.T), axis=-1)
        for field_type, expected in (
            ("solenoidal", turned),
            ("conservative", potential),
            ("both", potential + turned),
        ):
            field = make_family("generic", small({"field_type": field_type})).build(there.spec, drawn)
            np.testing.assert_allclose(field(x), expected, rtol=1e-13, atol=1e-14, err_msg=field_type)
            np.testing.assert_allclose(field(x, u), expected + push, rtol=1e-13, atol=1e-14, err_msg=field_type)

    @pytest.mark.parametrize("pushed", [False, True], ids=["free", "pushed"])
    @pytest.mark.parametrize("name", ALL)
    def test_numpy_and_torch_agree(self, name: str, pushed: bool) -> None:
        there = model(name)
        x, u = states(there.system, 10), inputs(there.system, 10)
        here = there.field(x, u) if pushed else there.field(x)
        arguments = (torch.tensor(x), torch.tensor(u)) if pushed else (torch.tensor(x),)
        tensor = there.torch_field(*arguments)
        assert tensor.dtype == torch.float64
        np.testing.assert_allclose(tensor.numpy(), here, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("name", ALL)
    def test_zero_input_is_the_free_system(self, name: str) -> None:
        there = model(name)
        x, u = states(there.system, 10), inputs(there.system, 10)
        np.testing.assert_array_equal(there.field(x, 0 * u), there.field(x))

    @pytest.mark.parametrize("torch_arrays", [False, True], ids=["numpy", "torch"])
    @pytest.mark.parametrize("name", ALL)
    def test_one_input_serves_a_whole_batch(self, name: str, torch_arrays: bool) -> None:
        there = model(name)
        x, u = states(there.system, 4), inputs(there.system, 1)
        expected = there.field(x, np.repeat(u, 4, axis=0))
        got = there.torch_field(torch.tensor(x), torch.tensor(u[0])) if torch_arrays else there.field(x, u[0])
        np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-12, atol=1e-13)

    @PROPERTY
    @given(name=st.sampled_from(ALL), shape=array_shapes(min_dims=0, max_dims=3, max_side=3))
    def test_any_leading_axes_broadcast(self, name: str, shape: tuple[int, ...]) -> None:
        there = model(name)
        count = math.prod(shape)
        x, u = states(there.system, count), inputs(there.system, count)
        together = there.field(x.reshape(*shape, -1), u.reshape(*shape, -1))
        alone = np.stack([there.field(*each) for each in zip(x, u, strict=True)])
        np.testing.assert_allclose(together.reshape(x.shape), alone, rtol=1e-11, atol=1e-12)
        energy = learned_energy(there.field)
        if energy is not None:
            assert energy.value(x.reshape(*shape, -1)).shape == shape

    @pytest.mark.parametrize("pushed", [False, True], ids=["free", "pushed"])
    @pytest.mark.parametrize("name", ALL)
    def test_single_precision_weights_leave_the_states_in_double_precision(self, name: str, pushed: bool) -> None:
        there = model(name)
        x, u = states(there.system, 10), inputs(there.system, 10) if pushed else None
        drawn = {key: value.astype(np.float32) for key, value in there.parameters.items()}
        rate = there.build(drawn)(x, u)
        tensor = there.build(to_torch(drawn))(torch.tensor(x), None if u is None else torch.tensor(u))
        assert rate.dtype == np.float64
        assert tensor.dtype == torch.float64
        np.testing.assert_allclose(rate, there.field(x, u), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(tensor.numpy(), rate, rtol=1e-5, atol=1e-5)


class TestSymmetry:
    @pytest.mark.parametrize("system", NAMES)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_an_even_potential_is_the_same_on_both_sides(self, system: str, activation: str) -> None:
        there, options = SYSTEMS[system], small({"even": True, "activation": activation})
        hamiltonian = (
            make_family("separable", options).build(there.spec, parameters("separable", options, there)).hamiltonian
        )
        q = states(there, 20)[:, : there.spec.dof]
        np.testing.assert_array_equal(hamiltonian.potential(-q), hamiltonian.potential(q))
        np.testing.assert_array_equal(hamiltonian.potential_gradient(-q), -hamiltonian.potential_gradient(q))

    @pytest.mark.parametrize("system", [name for name in NAMES if any(SYSTEMS[name].spec.angles)])
    @pytest.mark.parametrize(("family", "options"), [("separable", {}), ("mlp", {"angles": True})])
    def test_a_full_turn_of_an_angle_changes_nothing(self, family: str, options: dict[str, Any], system: str) -> None:
        there = SYSTEMS[system]
        field = make_family(family, small(options)).build(there.spec, parameters(family, small(options), there))
        x = states(there, 20)
        turned = x + 2 * math.pi * np.array([*there.spec.angles, *[False] * there.spec.dof])
        np.testing.assert_allclose(field(turned), field(x), atol=1e-12)
        if isinstance(field, PortHamiltonian):
            np.testing.assert_allclose(field.hamiltonian.value(turned), field.hamiltonian.value(x), atol=1e-12)


@pytest.fixture(params=N_BODY)
def pairwise(request: pytest.FixtureRequest) -> Model:
    return model(f"pairwise/{request.param}/0")


class TestPairwise:
    def test_exchanging_bodies_changes_nothing(self, pairwise: Model) -> None:
        system = pairwise.system
        assert isinstance(system, NBody)
        x = states(system, 10)
        swapped = x.reshape(10, 2, system.spec.bodies, 2)[:, :, ::-1].reshape(10, -1)
        field = pairwise.field
        np.testing.assert_allclose(field.hamiltonian.value(swapped), field.hamiltonian.value(x), rtol=1e-13)
        rate = field(x).reshape(10, 2, system.spec.bodies, 2)[:, :, ::-1].reshape(10, -1)
        np.testing.assert_allclose(field(swapped), rate, rtol=1e-12, atol=1e-13)

    @PROPERTY
    @given(angle=st.floats(-10, 10))
    def test_turning_the_plane_turns_the_field(self, pairwise: Model, angle: float) -> None:
        x = states(pairwise.system, 5)
        turn = lambda y: rotate(y.reshape(5, -1, 2), angle).reshape(5, -1)  # noqa: E731
        field = pairwise.field
        np.testing.assert_allclose(field.hamiltonian.value(turn(x)), field.hamiltonian.value(x), rtol=1e-12)
        np.testing.assert_allclose(field(turn(x)), turn(field(x)), rtol=1e-11, atol=1e-12)

    @PROPERTY
    @given(shift=st.tuples(st.floats(-10, 10), st.floats(-10, 10)))
    def test_moving_everything_changes_nothing(self, pairwise: Model, shift: tuple[float, float]) -> None:
        x = states(pairwise.system, 5)
        moved = x + np.concatenate((np.tile(shift, pairwise.system.spec.dof // 2), np.zeros(pairwise.system.spec.dof)))
        # positions of up to 10 lose eps * 10 = 2e-15 in their differences
        np.testing.assert_allclose(pairwise.field(moved), pairwise.field(x), atol=1e-12)

    @pytest.mark.parametrize("method", ["pefrl", "leapfrog", "rk4"])
    def test_its_flow_conserves_both_momenta(self, pairwise: Model, method: str) -> None:
        """Momentum under any integrator (a linear invariant); angular momentum under the splittings as well."""
        system = pairwise.system
        assert isinstance(system, NBody)
        path = march(method, pairwise.field, states(system, 5), 0.05, 100)
        start = np.broadcast_to(path[0], path.shape)
        np.testing.assert_allclose(system.momentum(path), system.momentum(start), atol=1e-12)
        if method != "rk4":
            # L = q x p with q' = p / m: the learned mass drops out
            np.testing.assert_allclose(system.angular_momentum(path), system.angular_momentum(start), atol=1e-12)

    def test_it_needs_bodies(self) -> None:
        with pytest.raises(InvalidOptionError, match="pairwise family needs an n-body system, and 'pendulum' is none"):
            make_family("pairwise", {}).build(SYSTEMS["pendulum"].spec, parameters("pairwise", {}, SYSTEMS["pendulum"]))


class TestPixels:
    @pytest.mark.parametrize("family", ["pixel-separable", "pixel-mlp"])
    def test_a_model_of_pixels_needs_frames(self, family: str) -> None:
        with pytest.raises(InvalidOptionError, match="models of frames are for one angle"):
            make_family(family, {}).build(SYSTEMS["pendulum"].spec, parameters(family, {}, SYSTEMS["pendulum"]))


class TestPorts:
    @PROPERTY
    @given(logarithm=st.floats(-30, 30))
    @pytest.mark.parametrize("arrays", ["numpy", "torch"])
    def test_learned_damping_is_positive_whatever_the_weights(self, arrays: str, logarithm: float) -> None:
        there = model(DAMPED[0])
        drawn = there.parameters | {"log_damping": np.asarray(logarithm)}
        field = there.build(drawn if arrays == "numpy" else to_torch(drawn))
        assert float(field.damping) == pytest.approx(math.exp(logarithm))

    @pytest.mark.parametrize("name", [name for name in DAMPED if damped_and_separable(name)])
    def test_learned_damping_takes_energy_away(self, name: str) -> None:
        """dH/dt = -gamma |p|^2 / m, so along the flow the energy never rises."""
        there = model(name)
        dof = there.system.spec.dof
        x = states(there.system, 10)
        hamiltonian, rate = there.field.hamiltonian, there.field(x)
        loss = there.field.damping * hamiltonian.inverse_mass * (x[:, dof:] ** 2).sum(-1)
        np.testing.assert_allclose((hamiltonian.gradient(x) * rate).sum(-1), -loss, rtol=1e-10, atol=1e-12)
        assert (hamiltonian.value(exact(there.field, x[:3], 1.0)) < hamiltonian.value(x[:3])).all()

    @pytest.mark.parametrize("name", DAMPED)
    def test_a_learned_input_matrix_receives_its_gradient(self, name: str) -> None:
        """d sum(x') / dG_ij = sum of u_j over the batch, for every coordinate i."""
        there = model(name)
        drawn = to_torch(there.parameters, grad=True)
        x, u = states(there.system, 6), inputs(there.system, 6)
        there.build(drawn)(torch.tensor(x), torch.tensor(u)).sum().backward()
        expected = np.broadcast_to(u.sum(0), (there.system.spec.dof, u.shape[-1]))
        np.testing.assert_allclose(drawn["input_matrix"].grad.numpy(), expected, rtol=1e-12)

    @pytest.mark.parametrize("name", ALL)
    def test_every_parameter_receives_a_gradient(self, name: str) -> None:
        """Of the sum of squared rates, and of what an autoencoder shows and reads; in both precisions."""
        there = model(name)
        x, u = torch.tensor(states(there.system, 6)), torch.tensor(inputs(there.system, 6))
        for dtype in (np.float64, np.float32):
            drawn = to_torch({key: value.astype(dtype) for key, value in there.parameters.items()}, grad=True)
            field = there.build(drawn)
            loss = (field(x, u) ** 2).sum()
            if isinstance(field, Observed):
                images: Any = field.observation_model.images  # type: ignore[attr-defined]
                frames = torch.ones((images.size, images.size))
                loss = loss + (images.brightness(x[:, 0]) ** 2).sum() + images.angle(frames) ** 2
            if isinstance(field, Paired):
                pairs = torch.ones((2, field.autoencoder.size, field.autoencoder.size))
                loss = loss + (field.autoencoder.brightness(field.autoencoder.encode(pairs)) ** 2).sum()
            loss.backward()
            without = {key for key, value in drawn.items() if value.grad is None or not value.grad.abs().sum() > 0}
            assert without == set()


class TestSettings:
    @pytest.mark.parametrize(("family", "options"), ALL_VARIANTS)
    def test_they_survive_the_way_through_json(self, family: str, options: dict[str, Any]) -> None:
        made = make_family(family, options)
        written = describe(made)
        assert json.loads(json.dumps(written)) == written
        assert make_family(family, json.loads(json.dumps(written))) == made

    @pytest.mark.parametrize(("family", "options"), ALL_VARIANTS)
    def test_what_was_asked_for_is_what_is_described(self, family: str, options: dict[str, Any]) -> None:
        assert describe(make_family(family, options)) == describe(make_family(family, {})) | options

    def test_a_setting_that_is_no_unit_may_be_zero_or_negative(self) -> None:
        for centre in (0, 0.0, -1.5):
            assert describe(make_family("pairwise", {"centre": centre}))["centre"] == centre

    def test_an_unknown_family_is_named_beside_the_known_ones(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown model family 'transformer'.*generic.*separable"):
            make_family("transformer", {})

    @pytest.mark.parametrize("family", FAMILIES)
    def test_an_unknown_setting_is_named_beside_the_known_ones(self, family: str) -> None:
        with pytest.raises(InvalidOptionError, match=rf"'{family}' has no setting 'depth'; allowed: .*hidden"):
            make_family(family, {"depth": 3})

    def test_an_unknown_field_type_is_named_beside_the_known_ones(self) -> None:
        with pytest.raises(UnknownNameError, match=r"'curl'.*both, conservative, solenoidal"):
            make_family("generic", {"field_type": "curl"})

    @pytest.mark.parametrize(
        ("family", "options", "message"),
        [
            ("generic", {"hidden": "200"}, "'hidden'.*list of positive integers.*'200'"),
            ("generic", {"hidden": []}, "'hidden'.*list of positive integers"),
            ("generic", {"hidden": [0]}, "'hidden'.*list of positive integers"),
            ("generic", {"hidden": [2.5]}, "'hidden'.*list of positive integers"),
            ("generic", {"hidden": 200}, "'hidden'.*list of positive integers.*200"),
            ("generic", {"field_type": 1}, "'field_type'.*a name"),
            ("separable", {"energy": "1"}, "'energy'.*positive number.*'1'"),
            ("separable", {"length": 0.0}, "'length'.*positive number"),
            ("separable", {"length": math.nan}, "'length'.*positive number"),
            ("pairwise", {"centre": math.inf}, "'centre'.*a number"),
            ("pairwise", {"ports": True}, "'ports'.*a table"),
            ("pairwise", {"ports": {"friction": True}}, "'ports'.*has no setting 'friction'; allowed: damping, inputs"),
            ("pairwise", {"ports": {"damping": 1}}, "'damping' of 'ports'.*true or false"),
            ("mlp", {"inputs": "yes"}, "'inputs'.*true or false.*'yes'"),
            ("pixel-mlp", {"size": 28.0}, "'size'.*a positive integer, .*not 28.0"),
            ("pixel-separable", {"size": 0}, "'size'.*a positive integer, .*not 0"),
            ("pixel-separable", {"harmonics": True}, "'harmonics'.*a positive integer, .*not True"),
        ],
    )
    def test_a_value_of_the_wrong_kind_is_refused(self, family: str, options: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidOptionError, match=message):
            make_family(family, options)


class TestInit:
    @pytest.mark.parametrize("name", ALL)
    def test_a_seed_gives_the_same_weights_again_and_another_seed_others(self, name: str) -> None:
        there = model(name)
        draws = [there.family.init(there.system.spec, np.random.default_rng(seed)) for seed in (0, 0, 1)]
        assert draws[0].keys() == draws[1].keys()
        for key, value in draws[0].items():
            assert value.dtype == np.float64
            np.testing.assert_array_equal(value, draws[1][key])
        assert any(not np.array_equal(value, draws[2][key]) for key, value in draws[0].items())

    def test_an_unknown_activation_is_named_beside_the_known_ones(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown activation 'relu'; allowed: logcosh, tanh"):
            make_family("separable", {"activation": "relu"})

    def test_the_papers_networks_have_the_papers_sizes(self) -> None:
        """Greydanus et al.: three layers, 200 hidden units, no bias on the output; two scalars, or the field itself."""
        for family, outputs in (("generic", 2), ("mlp", 8)):
            drawn = make_family(family, {}).init(SYSTEMS["two-body"].spec, np.random.default_rng(0))
            shapes = {key: value.shape for key, value in drawn.items()}
            assert shapes == {
                "network.weight0": (8, 200),
                "network.bias0": (200,),
                "network.weight1": (200, 200),
                "network.bias1": (200,),
                "network.weight2": (200, outputs),
            }

    @pytest.mark.parametrize(("inputs", "outputs"), [(3, 8), (8, 3), (5, 5)])
    def test_weights_are_orthogonal_and_biases_small(self, inputs: int, outputs: int) -> None:
        drawn = init_mlp(np.random.default_rng(0), "net", (inputs, outputs, 1))
        weight, bias = drawn["net.weight0"], drawn["net.bias0"]
        gram = weight.T @ weight if inputs >= outputs else weight @ weight.T
        np.testing.assert_allclose(gram, np.eye(min(inputs, outputs)), atol=1e-14)
        assert np.abs(bias).max() <= 1 / math.sqrt(inputs)

    def test_ten_and_more_layers_are_put_in_order(self) -> None:
        drawn = init_mlp(np.random.default_rng(0), "net", (2, *range(3, 14), 1))
        built = build_mlp(dict(sorted(drawn.items())), "net")
        assert [weight.shape[0] for weight in built.weights] == [2, *range(3, 14)]


class TestNetworks:
    @pytest.mark.parametrize("name", FAMILIES)
    def test_every_family_says_which_parameters_are_networks(self, name: str) -> None:
        spec = get_system("two-body" if name == "pairwise" else "pixel-pendulum").spec
        family = make_family(name, {"size": 28} if "pixel" in name else {})
        parameters = family.init(spec, np.random.default_rng(0))
        found = network_parameters(family, parameters)
        assert {key for key in parameters if key.startswith("network.")} <= found
        assert not found & {"log_inverse_mass", "log_damping", "input_matrix", "slope", "readout.weight"}
        assert found <= set(parameters)

    def test_a_family_that_names_none_has_none(self) -> None:
        class Plain:
            """A family without networks."""

        assert network_parameters(Plain(), ["network.weight0"]) == frozenset()  # type: ignore[arg-type]
