"""Policies: what an agent has learned, as a small network in safetensors with a card, evaluated in NumPy.

    policy = load_policy("pendulum/hnn-0")  # trained under hnn with seed 0
    action = policy.predict(observation)

Stable-Baselines3 is needed to train one, not to use one. Nothing is ever unpickled; a file that is missing, damaged or
made for another task gives a ``CheckpointError`` that names the file and the cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import checkpoints_folder
from hnn_envs.errors import CheckpointError, HnnEnvsError, InvalidOptionError, UnknownNameError, suggestion
from hnn_envs.parsing import Extended, is_file, parse, shown, user_path
from hnn_envs.storage import Shapes, open_tensors, write_tensors
from hnn_envs.tasks import TASKS, Task, get_task, resolve_task
from hnn_envs.tasks.actuation import actuation_of
from hnn_envs.version import __version__

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecNormalize

FORMAT = 1
HEADER = "hnn_envs_policy"
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0.0)}
OUTPUTS: dict[str, Callable[[Array], Array]] = {"clip": lambda z: np.clip(z, -1.0, 1.0), "tanh": np.tanh}


@dataclass(frozen=True)
class PolicyCard:
    """What a policy says about itself.

    Attributes:
        task: the task that it was trained for.
        dynamics: the physics that it was trained in.
        algorithm: such as "ppo".
        hyperparameters: of the training, as in training/hyperparameters.
        seed: of the training.
        steps: environment steps of the training.
        activation: between the layers, a key of ``ACTIVATIONS``.
        output: after the last layer, a key of ``OUTPUTS``.
        observation_clip: observations are clipped to this many standard deviations.
        metrics: measured in training, by name, such as "steps_per_second".
        version: the version of hnn_envs that trained it.
        digest: SHA-256 of the card and the weights; guards against tampering and damage.
        format: version of this layout.
    """

    task: str
    dynamics: str
    algorithm: str
    hyperparameters: dict[str, Any]
    seed: int
    steps: int
    activation: str = "tanh"
    output: str = "clip"
    observation_clip: float = 10.0
    metrics: dict[str, Extended] = field(default_factory=dict)
    version: str = __version__
    digest: str = ""
    format: int = FORMAT

    @property
    def name(self) -> str:
        """Such as "pendulum/hnn-0"."""
        return f"{self.task}/{self.dynamics}-{self.seed}"


@dataclass(frozen=True)
class Policy:
    """A card and the network: weights (out, in) and biases of each layer, mean and scale of the observations."""

    card: PolicyCard
    weights: dict[str, Array] = field(repr=False)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return sum(name.endswith(".weight") for name in self.weights)

    def predict(self, observation: Array) -> Array:
        """The action for observations (..., observations), in [-1, 1], float32, shape (..., actions)."""
        seen = (np.asarray(observation, dtype=np.float64) - self.weights["mean"]) / self.weights["scale"]
        z = np.clip(seen, -self.card.observation_clip, self.card.observation_clip)
        activate = ACTIVATIONS[self.card.activation]
        for layer in range(self.depth):
            z = z @ self.weights[f"{layer}.weight"].T + self.weights[f"{layer}.bias"]
            if layer < self.depth - 1:
                z = activate(z)
        return OUTPUTS[self.card.output](z).astype(np.float32)


def load_policy(name: str | Path, *, task: str | Task | None = None) -> Policy:
    """Loads a policy by the name of a shipped one, "pendulum/hnn-0", or by path.

    Args:
        name: the name or the path.
        task: the task that it must be for, or its name; None accepts any registered one.

    Raises:
        UnknownNameError: no policy of that name is shipped, and it is no path.
        CheckpointError: the file cannot be used, with the reason.
    """
    path = user_path(name)
    if path.suffix != ".safetensors" and not is_file(path):
        if str(name) not in shipped_policies():
            hint = suggestion(name, shipped_policies())
            raise UnknownNameError(
                f"unknown policy {str(name)!r}; allowed: the name of a shipped one, such as pendulum/hnn-0, or a "
                f"path that ends in .safetensors{hint}"
            )
        path = policies_folder() / f"{name}.safetensors"
    with open_tensors(path, HEADER, "policy", (FORMAT,)) as file:
        card = _parse_card(path, file.values)
        wanted = _task_of(path, card, task)
        if file.shapes != _expected_shapes(wanted, file.shapes):
            raise CheckpointError(f"policy {path} has weights {shown(file.shapes)} that do not fit task {card.task!r}")
        policy = Policy(card, file.read())
    _check_weights(path, policy)
    return policy


def save_policy(path: Path, policy: Policy) -> None:
    """Writes a policy; its card gets the digest."""
    write_tensors(path, HEADER, asdict(policy.card), policy.weights)


def policies_folder() -> Path:
    """The shipped policies."""
    return checkpoints_folder() / "policies"


def shipped_policies() -> list[str]:
    """Names of the shipped policies, such as "pendulum/hnn-0"."""
    folder = policies_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("*/*.safetensors"))


def export_weights(agent: BaseAlgorithm, normalizer: VecNormalize | None) -> dict[str, Array]:
    """The deterministic policy of a PPO or A2C agent of Stable-Baselines3, as the weights of a ``Policy``.

    Args:
        agent: the agent, with an MlpPolicy.
        normalizer: the VecNormalize that it was trained behind.

    Raises:
        InvalidOptionError: the agent has another kind of policy.
    """
    from stable_baselines3.common.policies import ActorCriticPolicy
    from torch import nn

    network = agent.policy
    if not isinstance(network, ActorCriticPolicy) or not isinstance(network.action_net, nn.Linear):
        raise InvalidOptionError(f"only actor-critic policies with a Gaussian can be exported, not {type(network)}")
    layers = [layer for layer in network.mlp_extractor.policy_net if isinstance(layer, nn.Linear)]
    weights: dict[str, Array] = {}
    for index, layer in enumerate([*layers, network.action_net]):
        weights[f"{index}.weight"] = layer.weight.detach().cpu().numpy().astype(np.float32)
        weights[f"{index}.bias"] = layer.bias.detach().cpu().numpy().astype(np.float32)
    size = weights["0.weight"].shape[1]
    mean, scale = np.zeros(size), np.ones(size)
    if normalizer is not None and normalizer.norm_obs:
        statistics: Any = normalizer.obs_rms
        mean, scale = statistics.mean, np.sqrt(statistics.var + normalizer.epsilon)
    return weights | {"mean": mean.astype(np.float64), "scale": scale.astype(np.float64)}


def _parse_card(path: Path, values: dict[str, Any]) -> PolicyCard:
    try:
        card = parse(PolicyCard, values, "its card", whole=True)
        for name, allowed in (("activation", ACTIVATIONS), ("output", OUTPUTS)):
            if getattr(card, name) not in allowed:
                raise UnknownNameError.of(name, getattr(card, name), allowed)
    except HnnEnvsError as error:
        raise CheckpointError(f"policy {path} has a damaged card: {error}") from error
    if not card.observation_clip > 0:
        raise CheckpointError(f"policy {path} has an observation_clip that is not positive: {card.observation_clip}")
    return card


def _task_of(path: Path, card: PolicyCard, task: Any) -> Task:
    """The task that a policy is for, which must be the one that is given, if one is."""
    wanted = None if task is None else resolve_task(task)
    if wanted is not None and card.task != wanted.name:
        raise CheckpointError(f"policy {path} was trained for task {card.task!r}, not for {wanted.name!r}")
    if wanted is None and card.task not in TASKS:
        raise CheckpointError(f"policy {path} is for task {shown(card.task)}, which is not registered")
    return get_task(card.task) if wanted is None else wanted


def _check_weights(path: Path, policy: Policy) -> None:
    for name, value in policy.weights.items():
        if value.dtype not in (np.float64, np.float32) or not np.isfinite(value).all():
            raise CheckpointError(f"policy {path} has weights {name!r} that are not finite numbers")
    if not (policy.weights["scale"] > 0).all():
        raise CheckpointError(f"policy {path} has a scale of the observations that is not positive")


def _expected_shapes(task: Task, given: Shapes) -> Shapes:
    """Shapes of a network whose layers fit each other, the observations and the actions; hidden layers as given."""
    observations = len(task.observation_low)
    depth = sum(name.endswith(".weight") for name in given)
    hidden = [math.prod(given.get(f"{layer}.bias", (0,))) for layer in range(depth - 1)]
    sizes = [observations, *hidden, actuation_of(task).actions]
    shapes: Shapes = {"mean": (observations,), "scale": (observations,)}
    for layer, (size, following) in enumerate(pairwise(sizes)):
        shapes |= {f"{layer}.weight": (following, size), f"{layer}.bias": (following,)}
    return shapes


__all__ = [
    "Policy",
    "PolicyCard",
    "export_weights",
    "load_policy",
    "policies_folder",
    "save_policy",
    "shipped_policies",
]
