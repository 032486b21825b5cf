"""The specification that an environment was made from, in a form that holds in every folder."""

from __future__ import annotations

import copy

from gymnasium.envs.registration import EnvSpec

from hnn_envs.checkpoints import is_path, is_shipped_name
from hnn_envs.dynamics import Dynamics
from hnn_envs.parsing import user_path


class Specified:
    """An environment whose specification names a checkpoint's file by its absolute path.

    Gymnasium sets ``spec`` once an environment is made, with the arguments as the user gave them. A relative path in
    them would mean another file, or none, where the specification is read in another folder.
    """

    dynamics: Dynamics
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """The specification that the environment was made from, None where it was not made by its id."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = None if spec is None else _with_absolute_path(spec, self.dynamics.spec.name)


def _with_absolute_path(spec: EnvSpec, system: str) -> EnvSpec:
    """The same specification where ``dynamics`` is a name, a copy with the absolute path where it is a path."""
    name = spec.kwargs.get("dynamics", "ode")
    if not isinstance(name, str) or name == "ode" or is_shipped_name(system, name) or not is_path(name):
        return spec
    changed = copy.copy(spec)
    changed.kwargs = {**spec.kwargs, "dynamics": str(user_path(name).absolute())}
    return changed
