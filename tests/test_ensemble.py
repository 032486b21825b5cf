"""Models that were learned beside another: in its file, and what their disagreement says."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learned import CRANE, DOMAIN, crane_card, crane_weights, write_crane
from physics import model, write_checkpoint
from test_checkpoints import header, refusal, resealed

from hnn_envs.checkpoints import (
    MOST_MEMBERS,
    Checkpoint,
    checkpoint_folders,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.errors import InvalidOptionError
from hnn_envs.kernels import compile_step
from hnn_envs.storage import digest_of

X = np.random.default_rng(0).uniform(DOMAIN.low, DOMAIN.high, (12, 4)) / 2
U = np.random.default_rng(1).uniform(-5, 5, (12, 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(write_crane(tmp_path / "crane.safetensors", members=3))


def by_hand(dynamics: Dynamics, x: Any, u: Any, widths: Any) -> Any:
    """What the docstring says, by array code."""
    assert dynamics.ensemble is not None
    h, count = dynamics.dt / dynamics.substeps, dynamics.substeps
    own = dynamics.integrator.advance(dynamics.field, x, u, h, count)
    others = np.stack([dynamics.integrator.advance(each, x, u, h, count) for each in dynamics.ensemble.fields])
    return np.sqrt(np.square((others - own) / widths).mean(0)).max(-1)


class TestFile:
    def test_members_come_back_bit_for_bit(self, path: Path) -> None:
        loaded = load_checkpoint(path)
        assert len(loaded.members) == 3
        for seed, member in enumerate(loaded.members):
            expected = crane_weights(seed)
            assert member.keys() == loaded.parameters.keys() == expected.keys()
            assert all(member[name].tobytes() == value.tobytes() for name, value in expected.items())
        assert all(loaded.parameters[name].tobytes() == value.tobytes() for name, value in crane_weights().items())
        assert loaded.card.domain == DOMAIN

    def test_what_was_read_can_be_written_again(self, path: Path, tmp_path: Path) -> None:
        loaded = load_checkpoint(path)
        save_checkpoint(tmp_path / "again.safetensors", loaded.card, loaded.parameters, loaded.members)
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()

    def test_ten_and_more_members_keep_their_order(self, tmp_path: Path) -> None:
        loaded = load_checkpoint(Path(write_crane(tmp_path / "many.safetensors", members=12)))
        for seed, member in enumerate(loaded.members):
            np.testing.assert_array_equal(member["mass"], crane_weights(seed)["mass"])

    def test_a_file_without_members_says_nothing_of_them(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path / "old.safetensors", "separable/pendulum/0")
        assert "spread_scale" not in header(path)
        assert "inputs" not in header(path)["domain"]
        loaded = load_checkpoint(path)
        assert (loaded.members, loaded.card.spread_scale, loaded.card.domain.inputs) == ((), 1.0, None)

    def test_the_shipped_files_say_nothing_of_them_and_are_read(self) -> None:
        files = [file for folder in checkpoint_folders() for file in sorted(folder.glob("*/*/*.safetensors"))[:6]]
        assert files
        for file in files:
            loaded = load_checkpoint(file)
            assert loaded.members == ()
            assert header(file)["digest"] == digest_of(header(file), loaded.parameters)

    def test_a_scale_is_kept(self, tmp_path: Path) -> None:
        path = Path(write_crane(tmp_path / "m.safetensors", members=1, spread_scale=2.5))
        assert load_checkpoint(path).card.spread_scale == 2.5


class TestDamage:
    @pytest.mark.parametrize(
        ("change", "lost"),
        [
            ("a name", "members/1/mass"),
            ("a whole member", "members/1/"),
            ("the model itself", "mass"),
        ],
    )
    def test_weights_that_are_missing(self, path: Path, tmp_path: Path, change: str, lost: str) -> None:
        loaded = load_checkpoint(path)
        members: list[dict[str, Any]] = [dict(each) for each in loaded.members]
        own = dict(loaded.parameters)
        if lost == "members/1/":
            members[1] = {}
        elif lost == "mass":
            del own["mass"]
        else:
            del members[1]["mass"]
        save_checkpoint(tmp_path / "bad.safetensors", loaded.card, own, members)
        assert "weights that do not fit its model 'trigonometric'" in refusal(tmp_path / "bad.safetensors")

    @pytest.mark.parametrize("extra", ["members/00/mass", "members/3/mass", "members/x/mass", "members/-1/mass"])
    def test_weights_of_another_name(self, tmp_path: Path, extra: str) -> None:
        save_checkpoint(tmp_path / "bad.safetensors", crane_card(), crane_weights() | {extra: np.zeros(3)})
        assert "weights that do not fit its model" in refusal(tmp_path / "bad.safetensors")

    def test_a_member_of_another_shape(self, tmp_path: Path) -> None:
        member = crane_weights(1) | {"mass": np.ones((3, 7))}
        save_checkpoint(tmp_path / "bad.safetensors", crane_card(), crane_weights(), [member])
        assert "weights that do not fit its model" in refusal(tmp_path / "bad.safetensors")

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_member_that_is_not_finite(self, tmp_path: Path, bad: float) -> None:
        member = crane_weights(1) | {"potential": np.full(6, bad)}
        save_checkpoint(tmp_path / "bad.safetensors", crane_card(), crane_weights(), [crane_weights(), member])
        assert "weights 'members/1/potential' that are not finite" in refusal(tmp_path / "bad.safetensors")

    def test_a_member_of_another_type(self, tmp_path: Path) -> None:
        member = {name: value.astype(np.float16) for name, value in crane_weights(1).items()}
        save_checkpoint(tmp_path / "bad.safetensors", crane_card(), crane_weights(), [member])
        assert "float16, not float64 or float32" in refusal(tmp_path / "bad.safetensors")

    def test_a_member_that_cannot_be_built(self, tmp_path: Path) -> None:
        own = model("separable/pendulum/0").parameters
        path = tmp_path / "bad.safetensors"
        write_checkpoint(path, "separable/pendulum/0")
        save_checkpoint(path, load_checkpoint(path).card, own, [own | {"log_inverse_mass": np.asarray(1e3)}])
        assert "cannot be built" in refusal(path)

    def test_more_members_than_anybody_trains(self, tmp_path: Path) -> None:
        path = tmp_path / "many.safetensors"
        save_checkpoint(path, crane_card(), crane_weights(), [crane_weights(1)] * (MOST_MEMBERS + 1))
        assert f"has {MOST_MEMBERS + 1} members; at most {MOST_MEMBERS} are read" in refusal(path)

    @pytest.mark.parametrize("scale", [0, -1.0, 1e10, "inf", "much", None, True, 10**400])
    def test_a_scale_that_is_none(self, path: Path, scale: Any) -> None:
        resealed(path, spread_scale=scale)
        assert "spread_scale is" in refusal(path)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ([], "has a domain of 0 inputs, and system 'crane' has 1"),
            ([[-1, 1], [-1, 1]], "has a domain of 2 inputs, and system 'crane' has 1"),
            ([[-1]], "inputs[0] is [-1], which is no list of 2"),
            ([[-1, "x"]], "inputs[0][1] is 'x', which is no number"),
            ("x", "inputs is 'x', which is no list"),
        ],
    )
    def test_inputs_of_another_number(self, path: Path, given: Any, message: str) -> None:
        resealed(path, domain={**json.loads(json.dumps(header(path)["domain"])), "inputs": given})
        assert message in refusal(path)


class TestSpread:
    def test_it_is_what_it_says(self, path: Path) -> None:
        dynamics = make_dynamics(path)
        widths = np.array([6.0, 2 * np.pi, 20.0, 50.0])
        found = dynamics.spread(X, U)
        assert found.shape == (12,)
        np.testing.assert_allclose(found, by_hand(dynamics, X, U, widths), rtol=1e-9, atol=1e-14)
        assert (found > 1e-5).all()
        np.testing.assert_allclose(dynamics.spread(X), by_hand(dynamics, X, None, widths), rtol=1e-9, atol=1e-14)

    def test_an_angle_is_never_wider_than_a_turn(self, tmp_path: Path) -> None:
        wound = replace(DOMAIN, low=(-3.0, -50.0, -10.0, -25.0), high=(3.0, 50.0, 10.0, 25.0))
        wide = make_dynamics(write_crane(tmp_path / "wide.safetensors", members=2, domain=wound))
        plain = make_dynamics(write_crane(tmp_path / "plain.safetensors", members=2))
        np.testing.assert_array_equal(wide.spread(X, U), plain.spread(X, U))

    def test_a_component_that_never_moved_has_no_share(self, tmp_path: Path) -> None:
        still = replace(DOMAIN, low=(-3.0, -np.pi, 0.0, 25.0), high=(3.0, np.pi, 0.0, -25.0))
        dynamics = make_dynamics(write_crane(tmp_path / "m.safetensors", members=2, domain=still))
        expected = by_hand(dynamics, X, U, np.array([6.0, 2 * np.pi, np.inf, np.inf]))
        np.testing.assert_allclose(dynamics.spread(X, U), expected, rtol=1e-9, atol=1e-14)

    def test_a_state_alone_and_in_a_batch_have_the_same(self, path: Path) -> None:
        dynamics = make_dynamics(path)
        batch = dynamics.spread(X, U)
        alone = [dynamics.spread(x, u) for x, u in zip(X, U, strict=True)]
        assert all(np.shape(each) == () for each in alone)
        np.testing.assert_array_equal(alone, batch)
        np.testing.assert_array_equal(dynamics.spread(X, U, dynamics.step(X, U)), batch)

    def test_the_members_are_compiled(self, path: Path) -> None:
        dynamics = make_dynamics(path)
        assert dynamics.ensemble is not None
        for field in dynamics.ensemble.fields:
            assert compile_step(field, dynamics.integrator, dynamics.dt, dynamics.substeps) is not None

    def test_it_grows_with_their_disagreement_and_the_scale(self, tmp_path: Path) -> None:
        near = make_dynamics(write_crane(tmp_path / "a.safetensors", members=4, off=0.001)).spread(X, U)
        far = make_dynamics(write_crane(tmp_path / "b.safetensors", members=4, off=0.05)).spread(X, U)
        assert (far > 10 * near).all()
        scaled = make_dynamics(write_crane(tmp_path / "c.safetensors", members=4, off=0.05, spread_scale=3.0))
        np.testing.assert_allclose(scaled.spread(X, U), 3 * far, rtol=1e-12)

    def test_tensors_have_the_same(self, path: Path) -> None:
        dynamics = make_dynamics(path)
        found = dynamics.spread(torch.tensor(X), torch.tensor(U))
        assert isinstance(found, torch.Tensor)
        np.testing.assert_allclose(found.numpy(), dynamics.spread(X, U), rtol=1e-8, atol=1e-13)

    def test_it_is_infinite_where_something_diverges(self, path: Path) -> None:
        dynamics = make_dynamics(path)
        x = X.copy()
        x[0] = 1e300
        found = dynamics.spread(x, U)
        assert found[0] == np.inf
        assert np.isfinite(found[1:]).all()

    def test_without_members_there_is_none(self, tmp_path: Path) -> None:
        for dynamics in (make_dynamics(write_crane(tmp_path / "m.safetensors")), make_dynamics("pendulum")):
            assert not dynamics.has_spread
            with pytest.raises(InvalidOptionError, match="has no ensemble that was learned beside it, so no spread"):
                dynamics.spread(X, U)

    def test_a_checkpoint_made_in_code_has_one(self) -> None:
        made = Checkpoint(crane_card(), crane_weights(), (crane_weights(1),))
        dynamics = make_dynamics(made)
        assert dynamics.has_spread
        assert made.card.spec == CRANE
        assert float(dynamics.spread(X[0], U[0])) > 0

    def test_it_goes_to_another_process(self, path: Path) -> None:
        dynamics = make_dynamics(path)
        before = dynamics.spread(X, U)
        again = pickle.loads(pickle.dumps(dynamics))  # noqa: S301 - our own bytes
        np.testing.assert_array_equal(again.spread(X, U), before)

    def test_in_single_precision(self, path: Path) -> None:
        dynamics = make_dynamics(path, dtype="float32")
        np.testing.assert_allclose(dynamics.spread(X, U), make_dynamics(path).spread(X, U), rtol=1e-3, atol=1e-7)


def test_members_of_a_network_are_compiled_once(tmp_path: Path) -> None:
    """The shipped pendulum beside itself: no spread at all."""
    own = find_checkpoint("pendulum", "hnn")
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, own.card, own.parameters, [own.parameters])
    dynamics = make_dynamics("pendulum", str(path))
    assert dynamics.spread(np.array([1.0, 0.3]), np.array([0.5])) == 0.0
