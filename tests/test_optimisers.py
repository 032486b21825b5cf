"""How optimisers lower a loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting_data import BOX, PENDULUM, all_points, prepared
from physics import to_torch

from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.fitting.losses import make_loss
from hnn_envs.fitting.optimisers import make_optimiser
from hnn_envs.fitting.problem import Problem
from hnn_envs.models import make_family
from hnn_envs.recordings.dataset import Dataset


def line() -> tuple[dict[str, torch.Tensor], tuple[torch.Tensor, ...]]:
    """A small regression: parameters and rows (inputs, outputs)."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((40, 3)))
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 0.3
    return {"slope": torch.zeros(3, dtype=torch.float64), "shift": torch.zeros((), dtype=torch.float64)}, (x, y)


def off_line(parameters: dict[str, torch.Tensor], rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
    x, y = rows
    return x @ parameters["slope"] + parameters["shift"] - y


class TestAdam:
    @pytest.mark.parametrize("decay", [0.0, 0.1])
    def test_it_is_torchs(self, decay: float) -> None:
        parameters, rows = line()
        ours = make_optimiser(
            "adam", Problem(off_line, rows, 60, 0), parameters, {"learning_rate": 0.05, "weight_decay": decay}
        )
        losses = [ours.step(step) for step in range(60)]
        theirs = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        adam, expected = torch.optim.Adam(theirs.values(), 0.05, weight_decay=decay), []
        for _ in range(60):
            adam.zero_grad()
            loss = off_line(theirs, rows).square().mean()
            loss.backward()
            adam.step()
            expected.append(loss.item())
        assert losses == pytest.approx(expected, rel=1e-12)
        for name, value in theirs.items():
            np.testing.assert_allclose(ours.parameters[name].detach(), value.detach(), rtol=1e-12)

    def test_it_leaves_the_given_parameters_alone(self) -> None:
        parameters, rows = line()
        make_optimiser("adam", Problem(off_line, rows, 1, 0), parameters, {}).step(0)
        assert not parameters["slope"].any()

    def test_the_rate_falls_along_a_cosine(self) -> None:
        # Far away from the minimum the gradient is constant, and a step of Adam is as long as its rate.
        problem = Problem(lambda parameters, rows: parameters["x"] + 1e9 + 0 * rows[0], (torch.zeros(1),), 8, 0)
        adam = make_optimiser(
            "adam", problem, {"x": torch.zeros(1, dtype=torch.float64)}, {"learning_rate": 0.1, "final_rate": 0.02}
        )
        path = [0.0]
        for step in range(8):
            adam.step(step)
            path.append(adam.parameters["x"].item())
        expected = 0.02 + 0.04 * (1 + np.cos(np.pi * np.arange(8) / 8))
        np.testing.assert_allclose(-np.diff(path), expected, rtol=1e-4)

    def test_a_minibatch_depends_on_seed_and_step_alone(self) -> None:
        def seen(seed: int, steps: range) -> list[bytes]:
            parameters, rows = line()
            batches = []

            def record(values: dict[str, torch.Tensor], drawn_rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
                batches.append(drawn_rows[0].numpy().tobytes())
                assert len(drawn_rows[0]) == len(drawn_rows[1]) == 7
                return off_line(values, drawn_rows)

            adam = make_optimiser("adam", Problem(record, rows, 10, seed), parameters, {"batch": 7})
            for step in steps:
                adam.step(step)
            return batches

        whole = seen(3, range(10))
        assert seen(3, range(6, 10)) == whole[6:]
        assert len(set(whole)) == 10
        assert not set(seen(4, range(10))) & set(whole)


class TestLevenbergMarquardt:
    def problem(self) -> tuple[Problem, dict[str, torch.Tensor]]:
        """Data from one small separable HNN, and the parameters of another near it."""
        family, loss = make_family("separable", {"hidden": [3]}), make_loss("derivative", {})
        x, _, u = all_points(BOX, PENDULUM)
        teacher = family.init(PENDULUM.spec, np.random.default_rng(7))
        data = Dataset(np.zeros(1), x[:, None], family.build(PENDULUM.spec, teacher)(x, u)[:, None], u[:, None])
        rng = np.random.default_rng(1)
        parameters = to_torch(
            {name: np.asarray(value + 0.2 * rng.standard_normal(value.shape)) for name, value in teacher.items()}
        )

        def residuals(values: dict[str, torch.Tensor], rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
            found: torch.Tensor = loss.residuals(family.build(PENDULUM.spec, values), rows)
            return found

        return Problem(residuals, prepared(loss, data), 100, 0), parameters

    def test_a_small_separable_model_is_found_to_the_last_digits(self) -> None:
        problem, parameters = self.problem()
        optimiser = make_optimiser("levenberg-marquardt", problem, parameters, {})
        losses = [optimiser.step(step) for step in range(40)]
        assert losses[0] > 1e-2
        assert losses[-1] < 1e-20

    def test_it_never_takes_a_step_up(self) -> None:
        problem, parameters = self.problem()
        optimiser = make_optimiser("levenberg-marquardt", problem, parameters, {"damping": 1e-8})
        losses = [optimiser.step(step) for step in range(25)]
        assert (np.diff(losses) <= 0).all()

    @pytest.mark.parametrize("chunk", [1, 5, 100])
    def test_its_jacobian_is_autograds(self, chunk: int) -> None:
        problem, parameters = self.problem()
        optimiser: Any = make_optimiser("levenberg-marquardt", problem, parameters, {"chunk": chunk})
        flat = torch.cat([value.reshape(-1) for value in parameters.values()])
        expected = torch.autograd.functional.jacobian(optimiser._residuals, flat)
        np.testing.assert_allclose(optimiser._jacobian(flat), expected, atol=1e-12)

    def test_a_ridge_holds_networks_and_nothing_else(self) -> None:
        parameters, rows = line()
        problem = Problem(off_line, rows, 2, 0, networks=frozenset(("slope",)))
        optimiser = make_optimiser("levenberg-marquardt", problem, parameters, {"damping": 1e-14, "ridge": 1e6})
        optimiser.step(0)
        assert optimiser.parameters["slope"].abs().max() < 1e-4
        assert abs(float(optimiser.parameters["shift"])) > 1e-2

    def test_a_line_is_found_at_once(self) -> None:
        parameters, rows = line()
        optimiser = make_optimiser("levenberg-marquardt", Problem(off_line, rows, 2, 0), parameters, {"damping": 1e-14})
        optimiser.step(0)
        np.testing.assert_allclose(optimiser.parameters["slope"], [1.0, -2.0, 0.5], atol=1e-9)
        np.testing.assert_allclose(optimiser.parameters["shift"], 0.3, atol=1e-9)

    def test_data_that_is_no_number_gives_a_loss_that_is_none(self) -> None:
        parameters, (x, y) = line()
        optimiser = make_optimiser("levenberg-marquardt", Problem(off_line, (x, y * np.nan), 1, 0), parameters, {})
        assert np.isnan(optimiser.step(0))


class TestOptimiserNames:
    def test_an_unknown_optimiser_is_refused_with_those_that_exist(self) -> None:
        parameters, rows = line()
        with pytest.raises(UnknownNameError, match="unknown optimiser 'sgd'; allowed: adam, bundle-adjustment, "):
            make_optimiser("sgd", Problem(off_line, rows, 1, 0), parameters, {})

    @pytest.mark.parametrize("name", ["adam", "levenberg-marquardt"])
    def test_an_unknown_setting_is_refused_with_those_that_exist(self, name: str) -> None:
        parameters, rows = line()
        with pytest.raises(InvalidOptionError, match=f"'{name}' has no setting 'momentum'; allowed: "):
            make_optimiser(name, Problem(off_line, rows, 1, 0), parameters, {"momentum": 0.9})

    def test_a_value_that_cannot_be_is_refused(self) -> None:
        parameters, rows = line()
        with pytest.raises(InvalidOptionError, match=r"learning_rate is -1\.0; allowed: more than 0"):
            make_optimiser("adam", Problem(off_line, rows, 1, 0), parameters, {"learning_rate": -1.0})
