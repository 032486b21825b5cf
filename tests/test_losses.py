"""What losses measure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting_data import BOX, PAPER, PENDULUM, SCATTERED, drawn, prepared
from physics import NAMES, march, model, states

from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.fitting.losses import make_loss, mean_square
from hnn_envs.fitting.trainer import loss_on
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.exact import exact_trajectories
from hnn_envs.systems import SYSTEMS
from hnn_envs.systems.n_body import NBody


class TestDerivativeLoss:
    @pytest.mark.parametrize("name", NAMES)
    def test_the_true_field_leaves_nothing(self, name: str) -> None:
        system = SYSTEMS[name]
        dof = system.spec.dof
        box = replace(BOX, low=tuple(np.repeat(BOX.low, dof)), high=tuple(np.repeat(BOX.high, dof)))
        source = SCATTERED if isinstance(system, NBody) else box
        loss = make_loss("derivative", {})
        residuals = loss.residuals(system.field, prepared(loss, drawn(source, system)[0]))
        np.testing.assert_allclose(residuals.numpy(), 0, atol=1e-12)

    def test_residuals_are_model_minus_data_at_every_point(self) -> None:
        data, loss, there = drawn(PAPER["pendulum"], PENDULUM)[0], make_loss("derivative", {}), model("mlp/pendulum/0")
        residuals = loss.residuals(there.torch_field, prepared(loss, data))
        x, derivatives, _ = data.flat()
        np.testing.assert_allclose(residuals.numpy(), there.field(x) - derivatives, atol=1e-12)

    def test_balance_divides_by_one_plus_so_much_of_the_force(self) -> None:
        data, there = drawn(BOX, PENDULUM)[0], model("mlp/pendulum/0")
        plain, balanced = make_loss("derivative", {}), make_loss("derivative", {"balance": 0.5})
        size = np.linalg.norm(data.flat()[1], axis=-1, keepdims=True)
        expected = plain.residuals(there.torch_field, prepared(plain, data)).numpy() / (1 + 0.5 * size)
        found = balanced.residuals(there.torch_field, prepared(balanced, data)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_the_loss_of_a_model_is_the_mean_square(self) -> None:
        data, there = drawn(BOX, PENDULUM)[0], model("separable/pendulum/0")
        x, derivatives, u = data.flat()
        expected = np.square(there.field(x, u) - derivatives).mean()
        assert loss_on(PENDULUM.spec, there.family, there.parameters, data) == pytest.approx(expected, rel=1e-12)


class TestTrajectoryLoss:
    def clean(self, name: str) -> Dataset:
        return drawn(replace(PAPER[name], noise=0.0, trajectories=6), SYSTEMS[name])[0]

    @pytest.mark.parametrize("name", PAPER)
    def test_the_true_field_leaves_what_the_integrator_leaves(self, name: str) -> None:
        loss, data = make_loss("trajectory", {"horizon": 2, "substeps": 100}), self.clean(name)
        residuals = loss.residuals(SYSTEMS[name].field, prepared(loss, data))
        assert np.abs(residuals.numpy()).max() < 1e-7

    @pytest.mark.parametrize("method", ["leapfrog", "rk4"])
    def test_it_predicts_what_a_rollout_from_every_state_gives(self, method: str) -> None:
        data, there = self.clean("pendulum"), model("separable/pendulum/0")
        loss = make_loss("trajectory", {"horizon": 3, "integrator": method, "substeps": 2})
        residuals = loss.residuals(there.torch_field, prepared(loss, data))
        windows = np.stack([data.states[:, first : first + 4] for first in range(data.states.shape[1] - 3)], axis=1)
        windows = windows.reshape(-1, 4, 2)
        h = (data.times[1] - data.times[0]) / 2
        rolled = march(method, there.field, windows[:, 0], float(h), 6)[2::2]
        expected = (np.moveaxis(rolled, 0, 1) - windows[:, 1:]).reshape(len(windows), -1)
        np.testing.assert_allclose(residuals.numpy(), expected, atol=1e-12)

    def test_inputs_are_held_from_the_start_of_the_window(self) -> None:
        times, u = np.array([0.0, 0.1]), np.array([[0.8], [-0.3]])
        x = exact_trajectories(PENDULUM, states(PENDULUM, 2), times, u)
        data = Dataset(times, x, PENDULUM.field(x), np.repeat(u[:, None], 2, axis=1))
        loss = make_loss("trajectory", {"substeps": 20})
        assert np.abs(loss.residuals(PENDULUM.field, prepared(loss, data)).numpy()).max() < 1e-8

    def test_single_states_are_too_short(self) -> None:
        with pytest.raises(InvalidOptionError, match="needs trajectories of 3 points, and the data has 1"):
            prepared(make_loss("trajectory", {"horizon": 2}), drawn(BOX, PENDULUM)[0])

    def test_uneven_data_is_refused(self) -> None:
        data = self.clean("pendulum")
        with pytest.raises(InvalidOptionError, match="evenly sampled"):
            prepared(make_loss("trajectory", {}), replace(data, times=data.times**2))


class TestLossNames:
    def test_an_unknown_loss_is_refused_with_those_that_exist(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown loss 'luck'; allowed: .*derivative.*trajectory"):
            make_loss("luck", {})

    def test_an_unknown_setting_is_refused_with_those_that_exist(self) -> None:
        with pytest.raises(InvalidOptionError, match="'trajectory' has no setting 'steps'; allowed: horizon"):
            make_loss("trajectory", {"steps": 2})

    def test_the_mean_is_over_rows_and_components(self) -> None:
        assert mean_square(torch.tensor([[1.0, 3.0], [1.0, 1.0]])).item() == 3.0
