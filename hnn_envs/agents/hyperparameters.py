"""Hyperparameters of agents, from YAML files in the form that rl-baselines3-zoo uses, checked where they are read."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import Annotated, Any

import yaml

from hnn_envs.errors import InvalidOptionError
from hnn_envs.ids import environment_of
from hnn_envs.parsing import DEEPEST, Amount, Count, Positive, Share, Within, parse_entry, shown
from hnn_envs.tasks import TASKS, get_task

ALGORITHM = "ppo"
LARGEST_FILE = 2**16
"""Bytes; a file for some tasks has some thousands, and reading YAML is slow."""
MOST_ENTRIES = 10_000
"""Of a table; merge keys can make a few lines into any number."""
MOST_SAMPLES = 10**8
"""Steps of all environments between two updates: what an agent keeps of them takes some gigabytes."""
LINEAR = "lin_"

_Environments = Annotated[int, Within(1, 100_000)]
_Units = list[Annotated[int, Within(1, 10_000)]]
SETTINGS: dict[str, Any] = {
    "n_timesteps": Count,
    "policy": str,
    "n_envs": _Environments,
    "normalize": bool | dict[str, Any],
    "n_steps": Count,
    "batch_size": Annotated[int, Within(2, MOST_SAMPLES)],
    "n_epochs": Annotated[int, Within(1, 10_000)],
    "gamma": Share,
    "gae_lambda": Share,
    "learning_rate": Positive | str,
    "clip_range": Positive | str,
    "clip_range_vf": Positive | None,
    "normalize_advantage": bool,
    "ent_coef": Amount,
    "vf_coef": Amount,
    "max_grad_norm": Positive,
    "use_sde": bool,
    "sde_sample_freq": Annotated[int, Within(-1, 10**9)],
    "target_kl": Positive | None,
    "policy_kwargs": dict[str, Any],
}
"""What a table may have: PPO's own settings, and those of the zoo around it."""
POLICY_SETTINGS: dict[str, Any] = {
    "net_arch": dict[str, _Units] | _Units,
    "log_std_init": Annotated[float, Within(-20, 20)],
    "ortho_init": bool,
    "full_std": bool,
    "use_expln": bool,
    "squash_output": bool,
}
NORMALIZE_SETTINGS: dict[str, Any] = {
    "norm_obs": bool,
    "norm_reward": bool,
    "clip_obs": Positive,
    "clip_reward": Positive,
    "gamma": Share,
    "epsilon": Positive,
}
WITHIN = {"policy_kwargs": POLICY_SETTINGS, "normalize": NORMALIZE_SETTINGS}
"""The tables within."""
NEEDED = ("n_timesteps", "policy")
POLICY = "MlpPolicy"
"""What ``hnn_envs.agents.policies`` can export."""
SCHEDULES = ("learning_rate", "clip_range")


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # PyYAML has no types
    """Reads plain values, as YAML's safe loader does; at most ``MOST_ENTRIES`` a table, nested ``DEEPEST`` deep.

    The time that it takes grows with the square of the depth.
    """

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Begins a list or a table in brackets."""
        super().fetch_flow_collection_start(token)
        self._check_depth(self.flow_level)

    def add_indent(self, column: int) -> Any:
        """Begins a list or a table by its indentation."""
        self._check_depth(len(self.indents))
        return super().add_indent(column)

    def _check_depth(self, depth: int) -> None:
        if depth > DEEPEST:
            raise yaml.YAMLError(f"its tables and lists are nested deeper than {DEEPEST}")

    def flatten_mapping(self, node: Any) -> None:
        """Joins what merge keys name."""
        super().flatten_mapping(node)
        if len(node.value) > MOST_ENTRIES:
            raise yaml.YAMLError(f"a table has more than {MOST_ENTRIES} entries")


def hyperparameters_folder() -> Path:
    """The shipped hyperparameters: inside an installed wheel, else those of the repository."""
    shipped = Path(str(package_files("hnn_envs"))) / "_hyperparameters"
    return shipped if shipped.is_dir() else shipped.parent.parent / "training" / "hyperparameters"


def trained_tasks() -> list[str]:
    """The tasks that agents are trained for: those that have shipped hyperparameters."""
    return [task for task in TASKS if _shipped_hyperparameters(task).is_file()]


def load_hyperparameters(task: str, path: Path | None = None) -> dict[str, Any]:
    """The hyperparameters of a task, from a YAML file whose tables are named by environments' ids.

    The table of a task whose environment has no id of its own has the task's name.

    Args:
        task: the task.
        path: the file; by default the shipped one.

    Raises:
        InvalidOptionError: the file is missing or damaged, has no table for the task, or one with an entry that PPO
            does not have or cannot use.
    """
    path = _shipped_hyperparameters(get_task(task).name) if path is None else path
    name, options = environment_of(task)
    key = get_task(task).name if options else name.partition(":")[2]
    try:
        tables = _read(path)
        if not isinstance(tables, dict) or not isinstance(tables.get(key), dict):
            raise InvalidOptionError(f"there is no table {key!r}")
        table: dict[str, Any] = tables[key]
        check_hyperparameters(table)
    except InvalidOptionError as error:
        raise InvalidOptionError(f"{path} has no hyperparameters of {key}: {error}") from error
    return table


def _read(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InvalidOptionError(f"of its {size} bytes at most {LARGEST_FILE} are read")
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise InvalidOptionError(f"it is no YAML that hnn_envs reads: {error}") from error


def _shipped_hyperparameters(task: str) -> Path:
    return hyperparameters_folder() / ALGORITHM / f"{task}.yml"


def check_hyperparameters(table: Mapping[str, Any]) -> None:
    """Checks a table's entries, each against its type and range.

    Raises:
        InvalidOptionError: an entry that is missing, unknown, of the wrong kind or out of range.
    """
    for name in NEEDED:
        if name not in table:
            raise InvalidOptionError(f"it needs at least {' and '.join(NEEDED)}, and has no {name}")
    _check_entries(table, SETTINGS, "")
    for name, settings in WITHIN.items():
        if isinstance(table.get(name), dict):
            _check_entries(table[name], settings, f"{name}.")
    for name in SCHEDULES:
        if name in table:
            schedule(name, table[name])
    if table["policy"] != POLICY:
        raise InvalidOptionError(f"policy is {shown(table['policy'])}; allowed: {POLICY}")
    samples = table.get("n_steps", 2048) * table.get("n_envs", 1)
    if samples > MOST_SAMPLES:
        raise InvalidOptionError(f"n_steps times n_envs is {samples}; allowed: at most {MOST_SAMPLES}")


def _check_entries(table: Mapping[str, Any], settings: Mapping[str, Any], prefix: str) -> None:
    for name, value in table.items():
        if name not in settings:
            raise InvalidOptionError(f"there is no setting {prefix}{shown(name)}; allowed: {', '.join(settings)}")
        parse_entry(settings[name], value, f"{prefix}{name}")


def schedule(name: str, value: Any) -> Any:
    """A number, or in the zoo's notation "lin_0.001" a function that falls linearly to zero.

    Raises:
        InvalidOptionError: neither.
    """
    if not isinstance(value, str):
        return value
    try:
        start = parse_entry(Positive, float(value.removeprefix(LINEAR)), name)
    except (ValueError, InvalidOptionError) as error:
        raise InvalidOptionError(f'{name} is a number or "lin_NUMBER", not {shown(value)}') from error
    if not value.startswith(LINEAR):
        raise InvalidOptionError(f'{name} is a number or "lin_NUMBER", not {shown(value)}')
    return lambda remaining: remaining * start


__all__ = [
    "ALGORITHM",
    "SCHEDULES",
    "check_hyperparameters",
    "hyperparameters_folder",
    "load_hyperparameters",
    "schedule",
    "trained_tasks",
]
