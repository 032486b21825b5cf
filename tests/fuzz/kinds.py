"""What is fuzzed: for each kind of input, how a mutant is written, and what reads it."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium
import mutants
import numpy as np
from safetensors.numpy import load, save

from hnn_envs.agents.hyperparameters import hyperparameters_folder, load_hyperparameters
from hnn_envs.agents.policies import load_policy, policies_folder
from hnn_envs.benchmarks.paper import suite as paper
from hnn_envs.benchmarks.paper.protocol import Estimate
from hnn_envs.benchmarks.stability import suite as stability
from hnn_envs.benchmarks.stability.cells import Checks, load_checks
from hnn_envs.benchmarks.stability.streaming import Plan, load_trace, simulate
from hnn_envs.checkpoints import HEADER, checkpoint_path, load_checkpoint, save_checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import CheckpointError
from hnn_envs.evaluation.records import Row, read_rows, write_kept, write_rows
from hnn_envs.fitting.recipes import load_recipe, parse_recipe
from hnn_envs.fitting.trainer import Stage, fit, load_state
from hnn_envs.models import make_family
from hnn_envs.pixels.films import FilmSettings, load_films, read_films
from hnn_envs.recordings import make_source
from hnn_envs.recordings.measured import load_real_pendulum
from hnn_envs.recordings.recording import Recording, Run
from hnn_envs.report.page import render
from hnn_envs.report.sources import collect
from hnn_envs.storage import digest_of
from hnn_envs.systems import Coordinate, Input, get_system

Rng = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        suffix: of its files.
        original: a good file, made in a folder.
        mutate: a damaged one.
        read: what reads it; returns what was read in a form that can be compared.
        sealed: whether a file that is read at all must be read as the original is.
        place: where the file has to be in a folder; None for anywhere.
    """

    suffix: str
    original: Callable[[Path], bytes]
    mutate: Callable[[Rng, bytes], bytes]
    read: Callable[[Path], object]
    sealed: bool = False
    place: Callable[[Path], Path] | None = None


def _header(content: bytes) -> tuple[dict[str, str], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"], content


def resealed(rng: Rng, content: bytes) -> bytes:
    """A file with a changed card, or with changed weights, and the digest that fits: what a program would write."""
    metadata, _ = _header(content)
    (name, text), tensors = next(iter(metadata.items())), load(content)
    card = json.loads(text)
    if rng.integers(3):
        card = mutants.of_value(rng, card)
        if isinstance(card, dict) and isinstance(card.get("recipe"), str):
            card["recipe_hash"] = hashlib.sha256(card["recipe"].encode("utf-8", "replace")).hexdigest()
    else:
        key = sorted(tensors)[int(rng.integers(len(tensors)))]
        scale = float(rng.choice([1e-300, -1, 1e3, 1e30, 1e300, np.nan]))
        with np.errstate(all="ignore"):
            tensors[key] = np.asarray(tensors[key] * tensors[key].dtype.type(scale))
    if isinstance(card, dict):
        card["digest"] = digest_of(card, tensors)
    return save(tensors, {name: json.dumps(card)})


def crafted(rng: Rng, content: bytes) -> bytes:
    """A file whose header was changed as a table, so that its length fits."""
    length = int.from_bytes(content[:8], "little")
    text = mutants.dumped(mutants.of_value(rng, json.loads(content[8 : 8 + length])))
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _weights(values: dict[str, Any]) -> dict[str, bytes]:
    return {name: bytes(np.asarray(value).data) for name, value in values.items()}


def _checkpoint(path: Path) -> object:
    loaded = load_checkpoint(path)
    return repr(loaded.card), _weights(loaded.parameters), [_weights(each) for each in loaded.members]


def _with_members(folder: Path) -> bytes:
    """A shipped checkpoint with two members beside the model."""
    own, path = load_checkpoint(checkpoint_path("pendulum", "hnn")), folder / "ensemble.safetensors"
    domain = replace(own.card.domain, inputs=((-1.0, 1.0),))
    card = replace(own.card, domain=domain, spread_scale=1.5)
    save_checkpoint(path, card, own.parameters, [own.parameters] * 2)
    return path.read_bytes()


def _spread(path: Path) -> object:
    """What a checkpoint with members is used for: the spread of one state and of many."""
    dynamics = make_dynamics("pendulum", str(path), dt=0.08)
    states = get_system("pendulum").sample_states(np.random.default_rng(0), 16)
    found = dynamics.spread(states) if dynamics.has_spread else np.zeros(16)
    assert (found >= 0).all()
    return found.shape


def _stepped(task: str) -> Callable[[Path], object]:
    """What a checkpoint that is read can be used for: an environment, and steps of one state and of many."""

    def read(path: Path) -> object:
        env = gymnasium.make(f"hnn_envs:hnn_envs/{task}-v0", dynamics=str(path), disable_env_checker=True)
        env.reset(seed=0)
        observation, reward, *_ = env.step(np.ones(env.action_space.shape, np.float32))
        inner: Any = env.unwrapped
        batch = inner.dynamics.step(np.repeat(inner.state[None], 16, axis=0))
        env.close()
        assert not np.isnan(observation).any()
        assert not np.isnan(reward)
        assert inner.observation_space.contains(observation)
        return batch.shape

    return read


def _forms(system: str, name: str, task: str) -> Callable[[Path], bytes]:
    """A shipped checkpoint, after steps of all that its card may make of it, which are compiled or read from disk."""

    def original(folder: Path) -> bytes:
        content = checkpoint_path(system, name).read_bytes()
        metadata, tensors = _header(content)[0], load(content)
        card = json.loads(metadata[HEADER])
        for even in (False, True):
            changed = {**card, "settings": {**card["settings"], "even": even}}
            changed["digest"] = digest_of(changed, tensors)
            (folder / "form.safetensors").write_bytes(save(tensors, {HEADER: json.dumps(changed)}))
            with suppress(CheckpointError):  # a family that has no such setting
                _stepped(task)(folder / "form.safetensors")
        return content

    return original


def _policy(path: Path) -> object:
    loaded = load_policy(path)
    loaded.predict(np.zeros(loaded.weights["mean"].size))
    return repr(loaded.card), _weights(loaded.weights)


def _recipe(path: Path) -> object:
    return parse_recipe(path.read_text(encoding="utf-8"), str(path)).digest


def _page(path: Path) -> object:
    return render(collect([path]))


@cache
def _plan() -> tuple[Any, Plan, Any]:
    dynamics = make_dynamics("pendulum", "ode", dt=0.1)
    states = get_system("pendulum").sample_states(np.random.default_rng(0), 2)
    return dynamics, Plan.of(dynamics, 20, 2, 0), states


def _kept_run(folder: Path) -> bytes:
    dynamics, plan, states = _plan()
    path = plan.path(folder)
    simulate(dynamics, plan, states, path)
    return path.read_bytes()


def _trace(path: Path) -> object:
    _, plan, states = _plan()
    return _weights(vars(load_trace(path, plan, states)))


def _training(folder: Path) -> bytes:
    path, system = folder / "run.state.safetensors", get_system("pendulum")
    table = {"source": "box", "count": 20, "low": [-1, -1], "high": [1, 1], "max_input": 0.5}
    data, _ = make_source(table).make(system, np.random.default_rng(0))
    family = make_family("separable", {"hidden": [4]})
    fit(system.spec, family, data, [Stage(steps=3)], 0, state=path, key="key")
    return path.read_bytes()


def _state(path: Path) -> object:
    run = load_state(path, "key")
    return None if run is None else (run.stage, run.step, _weights(run.parameters), _weights(run.optimiser))


def _findings(folder: Path) -> bytes:
    paper.save_findings(folder / "kept.json", "digest", {"paper/hnn": {"test_loss": Estimate(0.5, 0.1)}})
    return (folder / "kept.json").read_bytes()


def _checks(folder: Path) -> bytes:
    write_kept(folder / "kept.json", vars(Checks([1e-9, float("inf")], 100, [1e-12, 0.5], 2.5)))
    return (folder / "kept.json").read_bytes()


FILMED = FilmSettings(films=1, length=3, size=8)


def _films(folder: Path) -> bytes:
    load_films(FILMED, folder=folder)
    return next(folder.glob("*.safetensors")).read_bytes()


def _filmed(path: Path) -> object:
    return _weights(vars(read_films(path, FILMED)))


def _rows(folder: Path) -> bytes:
    rows = [
        Row("stability", "pendulum", "hnn", "max_relative_energy_error", 1e-4, 1e-5, "1", 1e-3),
        Row("stability", "pendulum", "hnn", "valid_prediction_time", float("inf"), None, "periods"),
        Row("paper", "pendulum", "paper/hnn", "test_loss", 0.1),
        Row("speed", "", "ode", "microseconds_per_step", 1.5, None, "us"),
    ]
    write_rows(folder / "rows.json", rows)
    return (folder / "rows.json").read_bytes()


def _curves(folder: Path) -> bytes:
    stability.run(["pendulum"], ["ode", "hnn"], steps=12, starts=2, jobs=1, folder=folder)
    return (folder / "curves.json").read_bytes()


def _json(rng: Rng, content: bytes) -> bytes:
    return (
        mutants.dumped(mutants.of_value(rng, json.loads(content)))
        if rng.integers(4)
        else mutants.of_bytes(rng, content)
    )


def _toml(rng: Rng, content: bytes) -> bytes:
    return mutants.of_toml(rng, content.decode()).encode() if rng.integers(4) else mutants.of_bytes(rng, content)


def _yaml(rng: Rng, content: bytes) -> bytes:
    return mutants.of_yaml(rng, content.decode()).encode() if rng.integers(4) else mutants.of_bytes(rng, content)


def _series(_: Path) -> bytes:
    lines = [f"1 {0.1 * number:.3f} {np.sin(number):.4f} {np.cos(number):.4f}" for number in range(30)]
    return ("% trial t angle velocity\n" + "\n".join(lines) + "\n").encode()


def _packed(folder: Path) -> bytes:
    return lzma.compress(_series(folder))


def _recorded(end: str) -> Callable[[Path], bytes]:
    """A recording in a file that says what its columns are."""

    def original(folder: Path) -> bytes:
        times = 0.1 * np.arange(20)
        run = Run("run", times, np.sin(times)[:, None], np.cos(times)[:, None], times[::2], times[::2, None])
        arm = Recording("arm", (Coordinate("q", "rad", True, "v", "rad/s"),), (Input("u", "N m"),), (run,), ((1.0,),))
        arm.save(folder / f"arm{end}")
        return (folder / f"arm{end}").read_bytes()

    return original


def _recording(path: Path) -> object:
    read = Recording.load(path)
    arrays = [array for run in read.runs for array in (run.times, run.positions, run.velocities, run.inputs)]
    assert all(np.isfinite(array).all() for array in arrays if array is not None)
    return repr(read), len(arrays)


def _shipped(path: Path) -> Callable[[Path], bytes]:
    return lambda _: path.read_bytes()


MODEL, POLICY = (
    _shipped(checkpoint_path("pendulum", "hnn")),
    _shipped(policies_folder() / "pendulum" / "hnn-0.safetensors"),
)
RECIPE = _shipped(Path(__file__).parents[2] / "training" / "recipes" / "pendulum" / "default" / "hnn.toml")
HYPERPARAMETERS = _shipped(hyperparameters_folder() / "ppo" / "pendulum.yml")
STEPPED = (
    ("pendulum", "hnn", "Pendulum"),
    ("pendulum", "baseline", "Pendulum"),
    ("pendulum", "paper/hnn", "Pendulum"),
    ("two-body", "hnn", "TwoBody"),
)
"""A checkpoint of each family."""
KINDS = {
    "checkpoints, bytes": Kind(".safetensors", MODEL, mutants.of_bytes, _checkpoint, sealed=True),
    "checkpoints, headers": Kind(".safetensors", MODEL, crafted, _checkpoint),
    "checkpoints, resealed": Kind(".safetensors", MODEL, resealed, _checkpoint),
    **{
        f"checkpoints, stepped, {task} {name}": Kind(
            ".safetensors", _forms(system, name, task), resealed, _stepped(task)
        )
        for system, name, task in STEPPED
    },
    "ensembles, bytes": Kind(".safetensors", _with_members, mutants.of_bytes, _checkpoint, sealed=True),
    "ensembles, headers": Kind(".safetensors", _with_members, crafted, _checkpoint),
    "ensembles, resealed": Kind(".safetensors", _with_members, resealed, _spread),
    "policies, bytes": Kind(".safetensors", POLICY, mutants.of_bytes, _policy, sealed=True),
    "policies, resealed": Kind(".safetensors", POLICY, resealed, _policy),
    "recipes": Kind(".toml", RECIPE, _toml, lambda path: load_recipe(str(path)).digest),
    "hyperparameters": Kind(".yml", HYPERPARAMETERS, _yaml, lambda path: load_hyperparameters("pendulum", path)),
    "rows": Kind(".json", _rows, _json, lambda path: repr(read_rows(path))),
    "report": Kind(".json", _rows, _json, _page),
    "curves": Kind(".json", _curves, _json, _page),
    "kept runs": Kind(".safetensors", _kept_run, mutants.of_bytes, _trace, sealed=True),
    "kept findings, paper": Kind(".json", _findings, _json, lambda path: paper.load_findings(path, "digest"), True),
    "kept findings, stability": Kind(".json", _checks, _json, load_checks, True),
    "films": Kind(".safetensors", _films, mutants.of_bytes, _filmed, True),
    "training states": Kind(".safetensors", _training, mutants.of_bytes, _state, sealed=True),
    **{
        f"recordings, {end}": Kind(end, _recorded(end), mutants.of_bytes, _recording)
        for end in (".csv", ".csv.gz", ".npz", *((".parquet",) if find_spec("pyarrow") else ()))
    },
    "measured series": Kind(".txt", _series, mutants.of_bytes, lambda path: load_real_pendulum(path).states.tobytes()),
    "measured series, packed": Kind(".xz", _packed, mutants.of_bytes, lambda path: load_real_pendulum(path)),
}
