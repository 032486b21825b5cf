"""Machines learned from what was watched: the losses, the pruning, and the true machines recovered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from physics import to_torch
from true_machines import TRUE

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.fitting.losses import make_loss
from hnn_envs.fitting.optimisers import make_optimiser
from hnn_envs.fitting.prediction import windows
from hnn_envs.fitting.problem import Problem
from hnn_envs.fitting.pruning import eliminate
from hnn_envs.fitting.trainer import Stage, fit, loss_on
from hnn_envs.models import make_family
from hnn_envs.models.trigonometric import Config
from hnn_envs.recordings.dataset import Dataset
from hnn_envs.recordings.watched import WatchedSource
from hnn_envs.systems import SYSTEMS, System

CART_POLE = SYSTEMS["cart-pole"]
MACHINES = ("cart-pole", "double-pendulum")
SMALL = {"degree": 1, "power": 1}
MARQUARDT, DIFFERENCES = "levenberg-marquardt", {"differences": 1e-6}


def recording(system: System, seconds: float, max_input: float, dt: float = 0.05) -> Dataset:
    """Runs of five intervals from where the system starts."""
    source = WatchedSource(seconds, 5 * dt, dt, 5, max_input)
    return source.make(system, np.random.default_rng(0))[0]


def numbered(points: int) -> Dataset:
    """Two trajectories whose states and inputs tell where they are from."""
    states = np.arange(2 * points * 2, dtype=np.float64).reshape(2, points, 2)
    return Dataset(0.1 * np.arange(points), states, states, 100 + states[..., :1])


class TestWindows:
    def test_they_follow_each_other_and_have_the_inputs_of_their_intervals(self) -> None:
        states, held, spans = windows(numbered(6), 2)
        np.testing.assert_array_equal(states[..., 0], [[0, 2, 4], [4, 6, 8], [12, 14, 16], [16, 18, 20]])
        np.testing.assert_array_equal(held[..., 0], [[100, 102], [104, 106], [112, 114], [116, 118]])
        np.testing.assert_allclose(spans, 0.1)

    def test_trajectories_that_are_too_short_are_refused(self) -> None:
        with pytest.raises(
            InvalidOptionError, match=r"predicting 6 intervals needs trajectories of 7 points, and .* 6"
        ):
            windows(numbered(6), 6)


class TestPredictionLoss:
    @pytest.mark.parametrize("horizon", [1, 2, 5])
    @pytest.mark.parametrize("name", MACHINES)
    def test_the_truth_has_none(self, name: str, horizon: int) -> None:
        data = recording(SYSTEMS[name], 1.0, 2.0)
        loss = make_loss("prediction", {"horizon": horizon})
        residuals = loss.residuals(SYSTEMS[name].field, loss.prepare(data, torch.float64))
        assert residuals.shape == (4 * (5 // horizon), 4 * horizon)
        assert float(residuals.abs().max()) < 1e-9

    def test_it_is_how_far_the_model_is_off_in_units_of_how_far_things_move(self) -> None:
        data, step = recording(CART_POLE, 1.0, 2.0), 1e-3
        loss = make_loss("prediction", {"integrator": "rk4", "substeps": 8})
        rows = loss.prepare(data, torch.float64)
        moved = np.sqrt(np.square(np.diff(data.states, axis=1)).mean((0, 1)))
        rows[0][:, 1, 2] -= step * moved[2]
        residuals = loss.residuals(CART_POLE.field, rows)
        np.testing.assert_allclose(residuals[:, 2], step, atol=1e-6)
        np.testing.assert_allclose(residuals[:, [0, 1, 3]], 0, atol=1e-6)

    def test_times_that_are_uneven_are_refused(self) -> None:
        data = numbered(6)
        uneven = Dataset(data.times**2, data.states, data.derivatives, data.inputs)
        with pytest.raises(InvalidOptionError, match="a prediction loss needs evenly sampled data"):
            make_loss("prediction", {}).prepare(uneven, torch.float64)


class TestImpulseLoss:
    @pytest.mark.parametrize("name", MACHINES)
    def test_the_truth_has_the_less_the_shorter_the_intervals_are(self, name: str) -> None:
        """The cubic's own error is of the fourth order."""
        losses, loss = [], make_loss("impulse", {})
        for dt in (0.02, 0.01):
            rows = loss.prepare(recording(SYSTEMS[name], 400 * dt, 6.0, dt), torch.float64)
            losses.append(float(loss.residuals(SYSTEMS[name].field, rows).abs().quantile(0.8)))
        assert losses[1] < losses[0] / 6
        assert losses[1] < 1e-5

    @pytest.mark.parametrize("name", MACHINES)
    def test_of_a_series_it_is_linear_in_the_coefficients(self, name: str) -> None:
        system, family = SYSTEMS[name], make_family("trigonometric", {"friction": False})
        loss, rng = make_loss("impulse", {}), np.random.default_rng(0)
        rows = loss.prepare(recording(system, 1.0, 2.0), torch.float64)
        first, second = (family.init(system.spec, rng) for _ in range(2))
        middle = {key: (value + second[key]) / 2 for key, value in first.items()}
        values = [loss.residuals(family.build(system.spec, to_torch(each)), rows) for each in (first, middle, second)]
        np.testing.assert_allclose(values[1], (values[0] + values[2]) / 2, rtol=1e-10, atol=1e-10)

    def test_without_inputs_the_first_mass_is_one_on_average(self) -> None:
        system, loss = SYSTEMS["cart-pole"], make_loss("impulse", {})
        rows = loss.prepare(recording(CART_POLE, 1.0, 0.0), torch.float64)
        mean = system.mass_matrix(rows[0][:, 0, :2].numpy())[:, 0, 0].mean()
        last = loss.residuals(system.field, rows)[-1]
        assert float(last[0]) == pytest.approx((mean - 1) * len(rows[0]) ** 0.5)

    def test_states_that_are_no_velocities_are_refused(self) -> None:
        pendulum, loss = SYSTEMS["pendulum"], make_loss("impulse", {})
        rows = loss.prepare(recording(pendulum, 1.0, 1.0), torch.float64)
        with pytest.raises(InvalidOptionError, match="needs a machine whose states are velocities"):
            loss.residuals(pendulum.field, rows)


class TestElimination:
    """Of least-squares problems whose costs are known in closed form."""

    jacobian = torch.from_numpy(np.random.default_rng(0).standard_normal((60, 5)))

    def cost(self, kept: list[int], values: Array) -> tuple[float, Array]:
        """What it costs to keep some columns only, and their coefficients then."""
        columns = self.jacobian.numpy()
        target = columns @ values
        best = np.linalg.lstsq(columns[:, kept], target, rcond=None)[0]
        return float(np.square(target - columns[:, kept] @ best).sum()), best

    def test_what_is_missed_the_least_goes_and_the_others_adapt(self) -> None:
        values = np.array([1.0, 1e-3, -2.0, 0.5, 1e-4])
        fitted = eliminate(torch.tensor(values), self.jacobian, torch.ones(5, dtype=torch.bool), 1e-3)
        _, best = self.cost([0, 2, 3], values)
        assert fitted[[1, 4]].tolist() == [0, 0]
        np.testing.assert_allclose(fitted[[0, 2, 3]], best, rtol=1e-10)

    @pytest.mark.parametrize(("share", "gone"), [(0.999, 0), (1.001, 1)])
    def test_the_budget_is_kept_to(self, share: float, gone: int) -> None:
        values = np.array([1.0, 0.1, -2.0, 0.5, 1.0])
        budget = share * self.cost([0, 2, 3, 4], values)[0]
        fitted = eliminate(torch.tensor(values), self.jacobian, torch.ones(5, dtype=torch.bool), budget)
        assert int((fitted == 0).sum()) == gone

    def test_only_candidates_go(self) -> None:
        values = torch.tensor([1e-9, 1.0, 1e-9, 1.0, 1.0], dtype=torch.float64)
        candidates = torch.tensor([True, True, False, True, True])
        assert (eliminate(values, self.jacobian, candidates, 1e-6) == 0).tolist() == [True, *(False,) * 4]

    def test_of_two_that_do_the_same_one_goes(self) -> None:
        jacobian = self.jacobian.clone()
        jacobian[:, 3] = jacobian[:, 0]
        fitted = eliminate(torch.ones(5, dtype=torch.float64), jacobian, torch.ones(5, dtype=torch.bool), 1e-9)
        assert int((fitted == 0).sum()) == 1
        assert float(fitted[[0, 3]].sum()) == pytest.approx(2)

    def test_what_does_nothing_goes_without_cost(self) -> None:
        jacobian = self.jacobian.clone()
        jacobian[:, 3] = 0
        fitted = eliminate(torch.ones(5, dtype=torch.float64), jacobian, torch.ones(5, dtype=torch.bool), 0.0)
        assert fitted.tolist() == [1, 1, 1, 0, 1]


class TestDifferences:
    def test_they_lead_where_the_exact_jacobian_leads(self) -> None:
        rows = (torch.linspace(0, 1, 30, dtype=torch.float64),)
        start = {"rate": torch.tensor([0.5, 2.0], dtype=torch.float64)}

        def residuals(parameters: dict[str, Any], rows: tuple[Any, ...]) -> Any:
            (time,) = rows
            return torch.exp(-parameters["rate"][0] * time) + parameters["rate"][1] * time - torch.exp(-1.7 * time)

        found = []
        for settings in ({}, DIFFERENCES):
            optimiser = make_optimiser(MARQUARDT, Problem(residuals, rows, 20, 0), start, settings)
            for step in range(20):
                optimiser.step(step)
            found.append(optimiser.parameters["rate"].numpy())
        np.testing.assert_allclose(found[0], [1.7, 0.0], atol=1e-10)
        np.testing.assert_allclose(found[1], found[0], atol=1e-9)

    @pytest.mark.parametrize("settings", [{}, DIFFERENCES])
    def test_zeros_are_kept_where_that_is_asked_for(self, settings: dict[str, Any]) -> None:
        jacobian = torch.from_numpy(np.random.default_rng(0).standard_normal((20, 3)))
        start = {"x": torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)}
        problem = Problem(lambda parameters, rows: rows[0] @ parameters["x"] - 1, (jacobian,), 9, 0)
        free, held = (
            make_optimiser(MARQUARDT, problem, start, settings | {"keep_zeros": keep}) for keep in (False, True)
        )
        for step in range(9):
            free.step(step)
            held.step(step)
        assert free.parameters["x"][1] != 0
        assert held.parameters["x"][1] == 0
        expected = torch.linalg.lstsq(jacobian[:, [0, 2]], torch.ones((20, 1), dtype=torch.float64)).solution[:, 0]
        np.testing.assert_allclose(held.parameters["x"][[0, 2]], expected, rtol=1e-6)


def stages(first: int = 10, then: int = 5) -> list[Stage]:
    """Momentum balance, prediction, pruning and the fit of what is left."""
    kept = DIFFERENCES | {"keep_zeros": True}
    return [
        Stage(first, MARQUARDT, loss="impulse", settings={"scaling": "largest"}),
        Stage(then, MARQUARDT, DIFFERENCES | {"scaling": "largest"}, "prediction"),
        Stage(1, "pruning", DIFFERENCES, "prediction"),
        Stage(then, MARQUARDT, kept, "prediction"),
        Stage(1, "pruning", DIFFERENCES, "prediction"),
        Stage(2, MARQUARDT, kept, "prediction"),
    ]


class TestRecovery:
    def test_of_the_cart_pole(self) -> None:
        """M, V and friction, and every coefficient that is zero in truth is zero."""
        family, data = make_family("trigonometric", SMALL), recording(CART_POLE, 10.0, 10.0)
        found = fit(CART_POLE.spec, family, data, stages(), 0)
        true = TRUE["cart-pole"](Config(**SMALL))
        true["potential"][0] = 0.0  # a constant says nothing
        for name in ("mass", "potential", "root_viscous", "root_dry"):
            np.testing.assert_array_equal(found[name] == 0, true[name] == 0, err_msg=name)
            np.testing.assert_allclose(found[name], true[name], rtol=1e-5, atol=1e-12, err_msg=name)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", MACHINES)
    def test_of_both_machines_by_the_default_family(self, name: str) -> None:
        family, data = make_family("trigonometric", {}), recording(SYSTEMS[name], 60.0, 6.0)
        found = fit(SYSTEMS[name].spec, family, data, stages(then=8), 0)
        true = TRUE[name](Config())
        true["potential"][0] = 0.0
        for key in ("mass", "potential", "root_viscous", "root_dry"):
            np.testing.assert_array_equal(found[key] == 0, true[key] == 0, err_msg=key)
            np.testing.assert_allclose(found[key], true[key], rtol=1e-5, atol=1e-12, err_msg=key)

    def test_a_mechanical_network_learns_a_machine_from_its_momentum_balance(self) -> None:
        family = make_family("mechanical", {"hidden": [8]})
        data, settings = recording(CART_POLE, 5.0, 10.0), {"scaling": "largest", "hold": ["sharpness"]}
        stage = Stage(25, MARQUARDT, settings, "impulse")
        found = fit(CART_POLE.spec, family, data, [stage], 0)
        assert loss_on(CART_POLE.spec, family, found, data, make_loss("prediction", {})) < 1e-4
