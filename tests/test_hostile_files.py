"""Files that were crafted or damaged: refused with our error, in little time, and in little memory."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import lzma
import math
import os
import re
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from physics import model, models, write_checkpoint
from safetensors.numpy import save
from test_checkpoints import header, resealed, with_card

from hnn_envs import storage
from hnn_envs.benchmarks.paper import suite as paper
from hnn_envs.benchmarks.paper.protocol import Estimate
from hnn_envs.benchmarks.stability import suite as stability
from hnn_envs.benchmarks.stability.cells import Checks, load_checks
from hnn_envs.checkpoints import find_checkpoint, is_path, load_checkpoint, shipped_checkpoints
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import CheckpointError, DataError, HnnEnvsError, InvalidOptionError, ResultsError, WriteError
from hnn_envs.evaluation.records import Row, write_kept, write_rows
from hnn_envs.fitting.recipes import load_recipe, parse_recipe
from hnn_envs.models import FAMILIES, Parameters, describe, make_family, register_family, shapes_of
from hnn_envs.pixels.films import FilmSettings, load_films
from hnn_envs.recordings.measured import FILE_NAME, load_real_pendulum
from hnn_envs.report.page import render
from hnn_envs.report.sources import collect
from hnn_envs.storage import LARGEST_HEADER, digest_of
from hnn_envs.systems import SYSTEMS, SystemSpec

NAME = "separable/pendulum/0"
FILMED = "pixel-pendulum"
MEGABYTE = 2**20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint of the pendulum."""
    return write_checkpoint(tmp_path / "model.safetensors", NAME)


@pytest.fixture
def cheap() -> Iterator[None]:
    """What the test does takes less than a second and 20 MB."""
    tracemalloc.start()
    began = time.perf_counter()
    yield
    seconds, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 1
    assert peak < 20 * MEGABYTE


def refusal(path: Path) -> str:
    """The message with which a file is refused; it always names the file, and is short enough to read."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 2000
    return str(caught.value)


def raw(path: Path, entries: dict[str, Any], size: int) -> Path:
    """A file whose header says that it has these tensors, and that is ``size`` bytes longer than the header."""
    content = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(content).to_bytes(8, "little") + content)
        file.truncate(8 + len(content) + size)
    return path


def card_text(path: Path, **changes: Any) -> dict[str, str]:
    """The metadata of a file with some entries of its card changed."""
    return {"hnn_envs": json.dumps(header(path) | changes)}


@pytest.mark.usefixtures("cheap")
class TestSize:
    @pytest.mark.parametrize("hidden", [[12000, 12000], [10**9] * 3, [2] * 1000])
    def test_a_card_of_a_huge_model_beside_small_weights(self, path: Path, hidden: list[int]) -> None:
        resealed(path, settings={"hidden": hidden})
        assert "model" in refusal(path)

    @pytest.mark.parametrize("family", ["pixel-separable", "pixel-mlp", "pixel-generic", "pixel-generic-mlp"])
    def test_a_card_of_huge_frames(self, path: Path, family: str) -> None:
        domain = {"low": [-1, -1], "high": [1, 1], "energy": None}
        resealed(path, family=family, settings={"size": 30000}, spec=SYSTEMS[FILMED].spec.as_table(), domain=domain)
        assert "weights that do not fit its model" in refusal(path)

    @pytest.mark.parametrize("gibibytes", [2, 8])
    def test_a_sparse_tensor(self, path: Path, tmp_path: Path, gibibytes: int) -> None:
        size = gibibytes * 2**30
        entry = {"dtype": "F64", "shape": [size // 8], "data_offsets": [0, size]}
        big = raw(tmp_path / "big.safetensors", {"__metadata__": card_text(path), "weight": entry}, size)
        assert "bytes of tensors; at most" in refusal(big)

    @pytest.mark.parametrize("name", ["members/{}/mass", "members/{}/", "members/0/{}"])
    def test_a_thousand_names_of_members(self, path: Path, tmp_path: Path, name: str) -> None:
        entry = {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}
        names = {name.format(number): entry for number in range(1000)}
        with_digest = card_text(path, digest=digest_of(header(path), {each: np.zeros(0) for each in names}))
        many = raw(tmp_path / "many.safetensors", {"__metadata__": with_digest, **names}, 0)
        assert "members; at most" in refusal(many)

    @pytest.mark.parametrize("length", [0, 1, LARGEST_HEADER + 1, 2**62, 2**64 - 1])
    def test_a_header_of_another_length(self, path: Path, length: int) -> None:
        path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
        assert "is not a readable safetensors file" in refusal(path)

    @pytest.mark.parametrize(
        "entry",
        [
            {"dtype": "F64", "shape": [2**61], "data_offsets": [0, 16]},
            {"dtype": "F64", "shape": [2**63, 0], "data_offsets": [0, 0]},
            {"dtype": "F64", "shape": [-2], "data_offsets": [0, 16]},
            {"dtype": "F64", "shape": [2.0], "data_offsets": [0, 16]},
            {"dtype": "F64", "shape": [True] * 33, "data_offsets": [0, 16]},
            {"dtype": "F64", "shape": [2], "data_offsets": [16, 0]},
            {"dtype": "F64", "shape": [2], "data_offsets": [0]},
            {"dtype": "F64", "shape": 2, "data_offsets": [0, 16]},
            {"dtype": "O", "shape": [2], "data_offsets": [0, 16]},
            {"dtype": ["F64"], "shape": [2], "data_offsets": [0, 16]},
            {"dtype": "F64", "shape": [2]},
            [2],
            None,
        ],
    )
    def test_a_tensor_that_cannot_be(self, path: Path, tmp_path: Path, entry: Any) -> None:
        bad = raw(tmp_path / "bad.safetensors", {"__metadata__": card_text(path), "weight": entry}, 16)
        assert "is not a readable safetensors file" in refusal(bad)

    def test_tensors_that_overlap(self, path: Path, tmp_path: Path) -> None:
        entry = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
        bad = raw(tmp_path / "bad.safetensors", {"__metadata__": card_text(path), "a": entry, "b": entry}, 16)
        assert "does not begin where the one before it ends" in refusal(bad)


@dataclass(frozen=True)
class Unshaped:
    """A family of a plug-in that does not tell its shapes."""

    units: int = 2

    def init(self, spec: SystemSpec, rng: np.random.Generator) -> Parameters:
        return {"weight": rng.standard_normal((self.units, 2 * spec.dof))}

    def build(self, spec: SystemSpec, parameters: Parameters) -> Any:
        return lambda x, u=None: np.zeros_like(x)


class TestShapes:
    @pytest.mark.parametrize("name", models())
    def test_they_are_those_of_what_is_drawn(self, name: str) -> None:
        there = model(name)
        drawn = there.family.init(there.system.spec, np.random.default_rng(0))
        assert list(shapes_of(there.family, there.system.spec).items()) == [
            (key, value.shape) for key, value in drawn.items()
        ]

    @pytest.mark.parametrize("family", list(FAMILIES))
    def test_every_family_tells_them_without_drawing(self, family: str) -> None:
        optional = {"remainder": True} if "remainder" in describe(FAMILIES[family]()) else {}  # has the only network
        made = make_family(family, {"hidden": [50_000, 50_000]} | optional)
        assert max(math.prod(shape) for shape in shapes_of(made, SYSTEMS[FILMED].spec).values()) >= 25e8

    def test_a_family_that_does_not_tell_them_is_drawn_if_it_is_small(self) -> None:
        register_family("unshaped", Unshaped)
        assert shapes_of(make_family("unshaped", {"units": 5}), SYSTEMS["pendulum"].spec) == {"weight": (5, 2)}
        with pytest.raises(
            InvalidOptionError, match="without a method shapes may have no setting above 1024, not 2000"
        ):
            shapes_of(make_family("unshaped", {"units": 2000}), SYSTEMS["pendulum"].spec)


DEEP = 100_000


@pytest.mark.usefixtures("cheap")
class TestContent:
    @pytest.mark.parametrize(
        "text",
        [
            "[" * DEEP + "]" * DEEP,
            '{"a":' * DEEP + "1" + "}" * DEEP,
            "[" * 500 + "]" * 500,
            "1" * 5000,
            '{"a":1,"a":2}',
        ],
        ids=["lists", "tables", "lists that json reads", "digits", "twice"],
    )
    def test_json_that_python_cannot_take_or_not_well(self, path: Path, text: str) -> None:
        with_card(path, None, text=text)
        assert "has a damaged card: it" in refusal(path)

    def test_deep_settings_in_a_sealed_card(self, path: Path) -> None:
        deep: Any = 1
        for _ in range(200):
            deep = [deep]
        resealed(path, settings={"hidden": deep})
        assert "nested deeper than 64" in refusal(path)

    @pytest.mark.parametrize(
        "changes",
        [
            {"energy_offset": 10**400},
            {"energy_offset": math.nan},
            {"energy_offset": math.inf},
            {"energy_offset": True},
            {"seed": 10**400},
            {"settings": {"energy": 10**400}},
            {"settings": {"hidden": [10**400]}},
            {"metrics": {"test_loss": 10**400}},
            {"domain": {"low": [10**400, 0], "high": [1, 1], "energy": None}},
            {"domain": {"low": [0, 0], "high": [1, math.inf], "energy": None}},
            {"domain": {"low": [0, 0], "high": [1, 1], "energy": None, "inputs": [[0, 10**400]]}},
            {"domain": {"low": [0, 0], "high": [1, 1], "energy": None, "inputs": [[math.nan, 1]]}},
            {"spread_scale": 10**400},
            {"spread_scale": math.inf},
            {"name": 5},
            {"version": None},
        ],
        ids=str,
    )
    def test_numbers_that_are_none(self, path: Path, changes: dict[str, Any]) -> None:
        resealed(path, **changes)
        assert next(iter(changes)) in refusal(path) or "model" in refusal(path)

    def test_half_of_a_character(self, path: Path) -> None:
        with_card(path, header(path) | {"recipe": "\ud800"})
        assert "text that is no Unicode" in refusal(path)

    @pytest.mark.parametrize("size", [1e3, 1e300])
    def test_weights_that_overflow(self, tmp_path: Path, size: float) -> None:
        weights = model(NAME).parameters | {"log_inverse_mass": np.asarray(size)}
        path = write_checkpoint(tmp_path / "m.safetensors", NAME, weights=weights)
        assert "cannot be built" in refusal(path)


@pytest.mark.parametrize(
    "name",
    ["~nobody_of_that_name/m.safetensors", "x" * 5000 + ".safetensors", "a\0b.safetensors", "\ud800.safetensors"],
)
def test_names_that_no_file_may_have(name: str) -> None:
    for use in (
        lambda: find_checkpoint("pendulum", name),
        lambda: make_dynamics("pendulum", name, dt=0.1),
        lambda: gymnasium.make("hnn_envs:hnn_envs/Pendulum-v0", dynamics=name),
    ):
        with pytest.raises(HnnEnvsError):
            use()
    assert is_path(name)


def test_what_another_program_writes_is_read_as_its_own_reader_would(path: Path) -> None:
    weights = dict(model(NAME).parameters)
    card = header(path)
    card["digest"] = digest_of(card, weights)
    path.write_bytes(save(weights, {"hnn_envs": json.dumps(card)}))
    for name, value in load_checkpoint(path).parameters.items():
        np.testing.assert_array_equal(value, weights[name])


class TestPlaces:
    @pytest.mark.parametrize("name", ["../../evil", "/evil", "a/../../b", "..", "a//b", "a/.b", "", "a\\b", "x" * 101])
    def test_a_recipe_whose_name_leads_out_of_its_folder(self, name: str) -> None:
        text = load_recipe("pendulum/default/hnn").text
        changed = re.sub('name = "[^"]*"', lambda _: f"name = {json.dumps(name)}", text, count=1)
        assert changed != text
        with pytest.raises(InvalidOptionError, match="the name must be words"):
            parse_recipe(changed, "mine.toml")

    @pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "a\nb", "x" * 101])
    def test_a_system_whose_name_does(self, name: str) -> None:
        with pytest.raises(InvalidOptionError, match="a system's name is printable"):
            SystemSpec.from_table(SYSTEMS["pendulum"].spec.as_table() | {"name": name})

    def test_the_whole_file_system_is_not_searched(self) -> None:
        began = time.perf_counter()
        with pytest.raises(DataError, match="no measured series at /"):
            load_real_pendulum("/")
        assert time.perf_counter() - began < 2

    def test_the_series_is_found_some_folders_down_and_links_in_a_circle_are_not_followed(self, tmp_path: Path) -> None:
        inner = tmp_path / "data" / "real_pendulum"
        inner.mkdir(parents=True)
        (tmp_path / "data" / "around").symlink_to(tmp_path)
        (inner / FILE_NAME).write_text("".join(f"1 {number} 0.5 0.25\n" for number in range(5)))
        assert load_real_pendulum(tmp_path).times.tolist() == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize(("suffix", "pack"), [("xz", lzma.compress), ("gz", gzip.compress), ("bz2", bz2.compress)])
    def test_a_packed_file_is_not_unpacked(self, tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
        path = tmp_path / f"series.{suffix}"
        path.write_bytes(pack(b"1 2 3 4\n" * 1000))
        with pytest.raises(DataError, match="is not a table of numbers"):
            load_real_pendulum(path)


def test_names_that_look_like_placeholders_stay_as_they_are(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.json", [Row("mine", "@@PLOTLY@@", "@@DATA@@", "@@SCRIPT@@", 1.0)])
    page = render(collect([tmp_path]))
    for name in ("@@PLOTLY@@", "@@DATA@@", "@@SCRIPT@@"):
        assert f">{name}<" in page


@pytest.mark.parametrize("name", ["a" * 5000, "../../evil", "/", "", "\0"])
def test_a_page_of_rows_of_an_odd_system_looks_for_no_files(name: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.json", [Row("mine", name, "hnn", "m", 1.0)])
    assert "m" in render(collect([tmp_path]))
    assert shipped_checkpoints(name) == []


@pytest.mark.parametrize(("entry", "value"), [("role", ["hnn"]), ("energy", {}), ("spec", None), ("system", 3)])
def test_a_curve_with_an_entry_of_the_wrong_kind_is_refused(entry: str, value: Any, tmp_path: Path) -> None:
    stability.run(["pendulum"], ["ode"], steps=12, starts=2, jobs=1, folder=tmp_path)
    content = json.loads((tmp_path / "curves.json").read_text())
    content["curves"][0][entry] = value
    (tmp_path / "curves.json").write_text(json.dumps(content))
    with pytest.raises(ResultsError, match=rf"curves\.json are damaged \({entry}"):
        collect([tmp_path / "curves.json"])


class TestKeptFindings:
    """What benchmarks keep until they are done: not taken up where a number in it was changed."""

    def test_of_the_paper_suite(self, tmp_path: Path) -> None:
        path = tmp_path / "kept.json"
        paper.save_findings(path, "recipe", {"ode": {"test_loss": Estimate(0.5, 0.1)}})
        assert paper.load_findings(path, "recipe") == {"ode": {"test_loss": Estimate(0.5, 0.1)}}
        path.write_text(path.read_text().replace("0.5", "0.7"))
        assert paper.load_findings(path, "recipe") is None

    def test_of_the_stability_suite(self, tmp_path: Path) -> None:
        path, checks = tmp_path / "kept.json", Checks([1e-9, math.inf], 100, [1e-12], 2.5)
        write_kept(path, vars(checks))
        assert load_checks(path) == checks
        path.write_text(path.read_text().replace("2.5", "2.6"))
        with pytest.raises(ResultsError, match=r"kept\.json .* digest does not match.* delete it"):
            load_checks(path)


class TestFullDisk:
    @pytest.fixture(autouse=True)
    def full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No file can be written to its end."""

        def fails(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(storage.os, "fsync", fails)

    def test_the_message_names_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(WriteError) as caught:
            write_checkpoint(tmp_path / "m.safetensors", NAME)
        assert str(caught.value) == f"{tmp_path}/m.safetensors cannot be written: No space left on device"
        assert list(tmp_path.iterdir()) == []

    def test_films_that_cannot_be_kept_are_used_all_the_same(self, tmp_path: Path) -> None:
        words: list[str] = []
        settings = FilmSettings(films=1, length=3, size=4)
        assert load_films(settings, folder=tmp_path, message=words.append).frames.shape == (1, 3, 4, 4)
        assert len(words) == 1
        assert words[0].endswith("No space left on device; the films are not kept, and made again next time")


class TestSteps:
    @pytest.mark.parametrize("dt", [1e6, 1e100, 1e300])
    @pytest.mark.parametrize("system", list(SYSTEMS))
    def test_steps_of_any_length_give_no_warning(self, system: str, dt: float) -> None:
        size = 2 * SYSTEMS[system].spec.dof
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dynamics = make_dynamics(system, "ode", dt=dt, substeps=3)
            for x in (np.linspace(0.1, 1, size), np.linspace(0.1, 1, 3 * size).reshape(3, size)):
                dynamics.step(x)
