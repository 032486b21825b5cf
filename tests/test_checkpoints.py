"""Checkpoints: what is written is read, a bad file is refused with its name and the cause, nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from physics import PROPERTY, card_of, model, models, states, write_checkpoint
from safetensors import safe_open
from safetensors.numpy import save, save_file

from hnn_envs import checkpoints, storage
from hnn_envs.checkpoints import HEADER, find_checkpoint, load_checkpoint, save_checkpoint
from hnn_envs.errors import CheckpointError
from hnn_envs.storage import digest_of, write_atomically
from hnn_envs.systems import SYSTEMS

NAME = "separable/pendulum/0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint of the pendulum."""
    return write_checkpoint(tmp_path / "model.safetensors", NAME)


def refusal(path: Path, system: str | None = None) -> str:
    """The message with which a file is refused; it always names the file."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, system)
    assert str(path) in str(caught.value)
    return str(caught.value)


def header(path: Path) -> dict[str, Any]:
    """The card as it stands in a file."""
    with safe_open(path, framework="np") as file:
        card: dict[str, Any] = json.loads(file.metadata()[HEADER])
    return card


def with_card(path: Path, card: Any, *, text: str | None = None) -> None:
    """Writes the file again with another card and the same tensors."""
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    path.write_bytes(save(tensors, {HEADER: json.dumps(card) if text is None else text}))


def resealed(path: Path, **changes: Any) -> None:
    """Changes a card and gives it the digest that fits: what only a program that knows the format would write."""
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    card = header(path) | changes
    with_card(path, card | {"digest": digest_of(card, tensors)})


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("name", models())
    def test_weights_and_card_come_back_bit_for_bit(self, tmp_path: Path, name: str, dtype: Any) -> None:
        weights = {key: value.astype(dtype) for key, value in model(name).parameters.items()}
        loaded = load_checkpoint(write_checkpoint(tmp_path / "m.safetensors", name, weights=weights))
        assert loaded.parameters.keys() == weights.keys()
        for key, value in weights.items():
            assert loaded.parameters[key].dtype == dtype
            assert loaded.parameters[key].shape == value.shape
            assert loaded.parameters[key].tobytes() == value.tobytes()
        expected = card_of(name, digest=loaded.card.digest)
        assert loaded.card == expected

    @pytest.mark.parametrize("name", models())
    def test_the_field_it_builds_is_the_one_that_was_saved(self, tmp_path: Path, name: str) -> None:
        there = model(name)
        loaded = load_checkpoint(write_checkpoint(tmp_path / "m.safetensors", name), there.system.spec.name)
        x = states(there.system, 5)
        np.testing.assert_array_equal(loaded.build()(x), there.field(x))

    def test_an_array_that_is_not_contiguous_is_written_by_its_values(self, tmp_path: Path) -> None:
        weights = {key: value.T.copy().T for key, value in model(NAME).parameters.items()}
        loaded = load_checkpoint(write_checkpoint(tmp_path / "m.safetensors", NAME, weights=weights))
        for key, value in weights.items():
            np.testing.assert_array_equal(loaded.parameters[key], value)

    def test_the_same_model_gives_the_same_file(self, tmp_path: Path) -> None:
        reverse = dict(reversed(model(NAME).parameters.items()))
        first = write_checkpoint(tmp_path / "a.safetensors", NAME)
        second = write_checkpoint(tmp_path / "b.safetensors", NAME, weights=reverse)
        assert first.read_bytes() == second.read_bytes()

    def test_folders_are_made_on_the_way(self, tmp_path: Path) -> None:
        assert load_checkpoint(write_checkpoint(tmp_path / "a" / "b" / "m.safetensors", NAME)).card.seed == 7

    def test_the_domain_knows_its_width(self, path: Path) -> None:
        np.testing.assert_array_equal(load_checkpoint(path).card.domain.width, [3.0, 3.0])


class TestDamage:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "does not exist" in refusal(tmp_path / "none.safetensors")

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "m.safetensors").mkdir()
        assert "does not exist" in refusal(tmp_path / "m.safetensors")

    @pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.2, 0.5, 0.9, 0.999])
    def test_a_truncated_file(self, path: Path, share: float) -> None:
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        assert "is not a readable safetensors file" in refusal(path)
        assert "truncated" in refusal(path)

    @PROPERTY
    @given(data=st.data())
    def test_a_file_cut_anywhere(self, tmp_path: Path, data: st.DataObject) -> None:
        path = write_checkpoint(tmp_path / "m.safetensors", NAME)
        whole = path.read_bytes()
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        assert "truncated" in refusal(path)

    def test_a_file_with_something_appended(self, path: Path) -> None:
        path.write_bytes(path.read_bytes() + b"\0")
        assert "is not a readable safetensors file" in refusal(path)

    def test_one_changed_byte_in_the_weights(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
        assert "was changed after it was written" in refusal(path)

    def test_a_changed_byte_anywhere_never_changes_what_is_read(self, tmp_path: Path) -> None:
        """Each is refused, but for the blanks with which safetensors pads its header: those say nothing."""
        path = write_checkpoint(tmp_path / "m.safetensors", NAME)
        good, original = path.read_bytes(), load_checkpoint(path)
        length = 8 + int.from_bytes(good[:8], "little")
        padding = range(len(good[:length].rstrip(b" ")), length)
        passed = []
        for place in (*range(0, length, 2), *range(length, len(good), 41)):
            content = bytearray(good)
            content[place] ^= 1 << place % 7
            path.write_bytes(content)
            try:
                loaded = load_checkpoint(path)
            except CheckpointError as error:
                assert str(path) in str(error)  # noqa: PT017 - either outcome is looked at
                continue
            passed.append(place)
            assert loaded.card == original.card
            for key, value in original.parameters.items():
                assert loaded.parameters[key].tobytes() == value.tobytes()
        assert set(passed) <= set(padding)

    @pytest.mark.parametrize(
        "change",
        [
            {"metrics": {"test_loss": 0.0}},
            {"spec": SYSTEMS["mass-spring"].spec.as_table()},
            {"recipe": "another recipe"},
            {"seed": 8},
            {"settings": {"hidden": [5, 7]}},
            {"digest": "0" * 64},
            {"author": "someone"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_a_card_that_was_edited(self, path: Path, change: dict[str, Any]) -> None:
        with_card(path, header(path) | change)
        assert "was changed after it was written" in refusal(path)

    def test_a_card_that_lost_its_digest(self, path: Path) -> None:
        card = header(path)
        del card["digest"]
        with_card(path, card)
        assert "was changed after it was written" in refusal(path)

    @pytest.mark.parametrize("text", ["", "{", "no json", '"text"', "[]", "null", "3"])
    def test_a_card_that_is_no_table(self, path: Path, text: str) -> None:
        with_card(path, None, text=text)
        assert "has a damaged card" in refusal(path)

    def test_safetensors_of_another_program(self, tmp_path: Path) -> None:
        save_file({"weight": np.zeros(3)}, tmp_path / "m.safetensors")
        assert "has no hnn_envs card" in refusal(tmp_path / "m.safetensors")

    def test_weights_that_are_not_finite(self, tmp_path: Path) -> None:
        for bad in (np.nan, np.inf):
            weights = {key: value.copy() for key, value in model(NAME).parameters.items()}
            weights["network.bias0"][2] = bad
            path = write_checkpoint(tmp_path / "m.safetensors", NAME, weights=weights)
            assert "'network.bias0' that are not finite" in refusal(path)

    def test_weights_of_the_wrong_shape(self, tmp_path: Path) -> None:
        weights = model(NAME).parameters | {"network.bias0": np.zeros(3)}
        path = write_checkpoint(tmp_path / "m.safetensors", NAME, weights=weights)
        assert "weights that do not fit its model 'separable'" in refusal(path)

    @pytest.mark.parametrize("change", ["missing", "extra"])
    def test_weights_missing_or_too_many(self, tmp_path: Path, change: str) -> None:
        weights = dict(model(NAME).parameters)
        if change == "missing":
            del weights["log_inverse_mass"]
        else:
            weights["log_damping"] = np.asarray(0.0)
        path = write_checkpoint(tmp_path / "m.safetensors", NAME, weights=weights)
        assert "weights that do not fit its model 'separable'" in refusal(path)

    @pytest.mark.parametrize("dtype", [np.int64, np.float16, np.bool_])
    def test_weights_of_another_type(self, tmp_path: Path, dtype: Any) -> None:
        weights = {key: value.astype(dtype) for key, value in model(NAME).parameters.items()}
        path = write_checkpoint(tmp_path / "m.safetensors", NAME, weights=weights)
        assert f"{np.dtype(dtype)}, not float64 or float32" in refusal(path)


class TestMismatch:
    def test_another_system(self, path: Path) -> None:
        assert "was trained for system 'pendulum', not for 'two-body'" in refusal(path, "two-body")
        assert load_checkpoint(path, "pendulum").card.system == "pendulum"

    def test_another_format_version(self, path: Path) -> None:
        for other in (3, "2", True, None):
            resealed(path, format=other)
            assert f"has format {other!r}; this version of hnn_envs reads format 1 and 2" in refusal(path)

    def test_an_unknown_family(self, path: Path) -> None:
        resealed(path, family="transformer")
        assert "cannot be built: unknown model family 'transformer'" in refusal(path)

    def test_a_family_that_is_none_is_never_called(self, path: Path) -> None:
        resealed(path, family=f"{__name__}:tripwire")
        assert "cannot be built: model family" in refusal(path)
        assert "must be a dataclass of settings" in refusal(path)
        with pytest.raises(AssertionError, match="called"):
            tripwire()

    def test_a_family_that_does_not_fit_the_system(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path / "m.safetensors", "pairwise/two-body/0")
        domain = {"low": [-1, -1], "high": [1, 1], "energy": [0, 1]}
        resealed(path, spec=SYSTEMS["pendulum"].spec.as_table(), domain=domain)
        assert "cannot be built: the pairwise family needs an n-body system" in refusal(path)

    def test_unknown_settings(self, path: Path) -> None:
        resealed(path, settings={"depth": 3})
        assert "cannot be built: model family 'separable' has no setting 'depth'" in refusal(path)

    def test_settings_for_other_weights(self, path: Path) -> None:
        resealed(path, settings={"hidden": [5, 7]})
        assert "weights that do not fit" in refusal(path)

    def test_a_recipe_that_is_not_its_hashs(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path / "m.safetensors", NAME, recipe_hash=hashlib.sha256(b"other").hexdigest())
        assert "its recipe does not match its hash" in refusal(path)

    def test_a_domain_of_the_wrong_size(self, path: Path) -> None:
        resealed(path, domain={"low": [0.0], "high": [1.0], "energy": [0.0, 1.0]})
        assert "domain of the wrong size for system 'pendulum'" in refusal(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"seed": "seven"}, "seed is 'seven', which is no integer"),
            ({"recipe": 5}, "recipe is 5, which is no text"),
            ({"spec": ["pendulum"]}, "spec: ['pendulum'] is no table of entries"),
            (
                {"spec": {"name": "pendulum"}},
                "spec: entries 'coordinates', 'inputs', 'input_matrix', 'time_scale', 'longest_step' are missing",
            ),
            ({"system": "pendulum"}, "entries 'system' are missing or unknown"),
            ({"metrics": []}, "metrics is [], which is no table"),
            ({"metrics": {"test_loss": "small"}}, "metrics.test_loss is 'small', which is no number"),
            ({"energy_offset": "none"}, "energy_offset is 'none', which is no number"),
            ({"settings": None}, "settings is None, which is no table"),
            ({"domain": {"low": [0, 0], "high": [1, 1]}}, "energy"),
            (
                {"domain": {"low": [0, 0], "high": [1, 1], "energy": [1]}},
                "domain: energy is [1], which is no list of 2",
            ),
            ({"author": "someone"}, "entries 'author' are missing or unknown"),
        ],
    )
    def test_entries_of_the_wrong_kind(self, path: Path, change: dict[str, Any], message: str) -> None:
        resealed(path, **change)
        assert "has a damaged card" in refusal(path)
        assert message in refusal(path)


class TestFormat1:
    """Cards of format 1, as all that were shipped first, name a system of the package instead of describing it."""

    def test_it_loads_and_equals_what_format_2_says(self, path: Path) -> None:
        new = load_checkpoint(path)
        in_format_1(path)
        assert "spec" not in header(path)
        old = load_checkpoint(path, "pendulum")
        assert old.card == replace(new.card, format=1, digest=old.card.digest)
        assert old.card.spec == SYSTEMS["pendulum"].spec
        assert old.card.system == "pendulum"
        assert old.parameters.keys() == new.parameters.keys()
        x = states(model(NAME).system, 5)
        np.testing.assert_array_equal(old.build()(x), new.build()(x))

    def test_it_is_refused_for_another_system(self, path: Path) -> None:
        in_format_1(path)
        assert "was trained for system 'pendulum', not for 'two-body'" in refusal(path, "two-body")

    @pytest.mark.parametrize("name", ["yoyo", "hnn_envs.systems.pendulum:PENDULUM", f"{__name__}:tripwire", ""])
    def test_an_unknown_system_is_named_beside_the_known_ones(self, path: Path, name: str) -> None:
        in_format_1(path, system=name)
        assert f"has a damaged card: unknown system {name!r}; allowed: cart-pole, double-pendulum" in refusal(path)

    @pytest.mark.parametrize("name", [3, None, ["pendulum"]])
    def test_a_system_that_is_no_name(self, path: Path, name: Any) -> None:
        in_format_1(path, system=name)
        assert "has a damaged card" in refusal(path)

    def test_a_card_without_its_system_or_with_a_description_as_well(self, path: Path) -> None:
        resealed(path, format=1)
        assert "has a damaged card: unknown system None" in refusal(path)


def in_format_1(path: Path, system: Any = "pendulum") -> None:
    """Writes the file again as format 1 would have it."""
    card = {name: value for name, value in header(path).items() if name != "spec"}
    with_card(path, card)
    resealed(path, system=system, format=1)


def tripwire() -> None:
    """What a card could name, and loading must not call."""
    raise AssertionError("called")


class Payload:
    """Unpickling this leaves a folder behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


class TestPickle:
    @pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model"])
    @pytest.mark.parametrize("writer", ["pickle", "torch"])
    def test_a_pickle_is_refused_and_never_executed(self, tmp_path: Path, writer: str, name: str) -> None:
        path, trace = tmp_path / name, tmp_path / "executed"
        if writer == "pickle":
            path.write_bytes(pickle.dumps(Payload(trace)))
        else:
            torch.save({"state_dict": Payload(trace)}, path)
        assert "a pickle, which hnn_envs never loads" in refusal(path)
        with pytest.raises(CheckpointError, match="pickle"):
            find_checkpoint("pendulum", str(path))
        assert not trace.exists()
        pickle.loads(pickle.dumps(Payload(trace)))  # noqa: S301 - the payload works, so its absence above says something
        assert trace.exists()


class TestAtomicWrite:
    def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = path.read_bytes()

        def full_disk(descriptor: int) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr(storage.os, "fsync", full_disk)
        with pytest.raises(OSError, match="no space"):
            write_checkpoint(path, "generic/pendulum/0")
        assert path.read_bytes() == before
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_a_write_replaces_the_old_file(self, path: Path) -> None:
        write_checkpoint(path, "generic/pendulum/0")
        assert load_checkpoint(path).card.family == "generic"
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_the_content_is_complete_before_the_name_appears(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        replace = Path.replace

        def watched(self: Path, target: Path) -> Path:
            seen.append((self.read_bytes(), target.exists()))
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", watched)
        write_atomically(tmp_path / "file", b"content")
        assert seen == [(b"content", False)]


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder of shipped checkpoints: default/hnn and paper/baseline of the pendulum."""
    write_checkpoint(tmp_path / "pendulum/default/hnn.safetensors", NAME)
    write_checkpoint(tmp_path / "pendulum/paper/baseline.safetensors", "mlp/pendulum/0", name="paper/baseline")
    monkeypatch.setattr(checkpoints, "checkpoints_folder", lambda: tmp_path)
    checkpoints._load_shipped.cache_clear()
    yield tmp_path
    checkpoints._load_shipped.cache_clear()


class TestShipped:
    def test_they_are_listed_by_name(self, shipped: Path) -> None:
        assert checkpoints.shipped_checkpoints("pendulum") == ["default/hnn", "paper/baseline"]
        assert checkpoints.shipped_checkpoints("two-body") == []

    def test_unfinished_training_beside_them_is_not_one(self, shipped: Path) -> None:
        (shipped / "pendulum/default/hnn.state.safetensors").write_bytes(b"")
        assert checkpoints.shipped_checkpoints("pendulum") == ["default/hnn", "paper/baseline"]

    def test_they_are_found_by_name_and_short_name(self, shipped: Path) -> None:
        assert find_checkpoint("pendulum", "hnn").card == find_checkpoint("pendulum", "default/hnn").card
        assert find_checkpoint("pendulum", "paper/baseline").card.family == "mlp"

    def test_a_path_finds_any_file(self, shipped: Path, path: Path) -> None:
        assert find_checkpoint("pendulum", str(path)).card.system == "pendulum"
        other = path.rename(path.with_suffix(".weights"))
        assert find_checkpoint("pendulum", str(other)).card.system == "pendulum"

    def test_a_shipped_name_comes_before_a_file_of_that_name(
        self, shipped: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(shipped)
        Path("hnn").write_text("not a checkpoint")
        assert find_checkpoint("pendulum", "hnn").card.name == "default/hnn"

    def test_one_that_was_not_shipped_is_named_beside_those_that_were(self, shipped: Path) -> None:
        with pytest.raises(CheckpointError, match=r"baseline\.safetensors does not exist.*pendulum: default/hnn"):
            find_checkpoint("pendulum", "baseline")

    @pytest.mark.parametrize("system", list(SYSTEMS))
    def test_all_that_the_repository_ships_can_be_loaded(self, system: str) -> None:
        for name in checkpoints.shipped_checkpoints(system):
            card = find_checkpoint(system, name).card
            assert (card.system, card.name) == (system, name)


def test_what_was_read_in_format_1_can_be_written_and_read_again(tmp_path: Path) -> None:
    old = find_checkpoint("pendulum", "paper/hnn")
    assert old.card.format == 1
    save_checkpoint(tmp_path / "again.safetensors", old.card, old.parameters)
    again = load_checkpoint(tmp_path / "again.safetensors").card
    assert (again.format, again.spec, again.metrics) == (2, old.card.spec, old.card.metrics)
