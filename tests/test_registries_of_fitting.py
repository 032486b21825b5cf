"""What may be named in a recipe or as a method: registered entries, and "module:object" of a user's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hnn_envs.errors import InvalidOptionError, UnknownNameError
from hnn_envs.fitting import LOSSES, OPTIMISERS, register_loss, register_optimiser
from hnn_envs.fitting.losses import DerivativeLoss, make_loss
from hnn_envs.fitting.optimisers import Adam
from hnn_envs.integrators import INTEGRATORS, LEAPFROG, Integrator, get_integrator, register_integrator
from hnn_envs.recordings import SOURCES, make_source, register_source
from hnn_envs.recordings.sources import PaperSource
from hnn_envs.registry import Registry
from hnn_envs.rollouts import rollout
from hnn_envs.systems import get_system


class MyLoss(DerivativeLoss):
    """A user's."""


class MySource(PaperSource):
    """A user's."""


MY_METHOD = Integrator("mine", 2, symplectic=True, separable_only=True, method=LEAPFROG)

KINDS: list[tuple[Registry[Any], Callable[[str, Any], None], str, Any]] = [
    (LOSSES, register_loss, "hnn_envs.fitting.losses:TrajectoryLoss", DerivativeLoss),
    (OPTIMISERS, register_optimiser, "hnn_envs.fitting.optimisers:LevenbergMarquardt", Adam),
    (SOURCES, register_source, "hnn_envs.recordings.sources:BoxSource", PaperSource),
    (INTEGRATORS, register_integrator, "hnn_envs.integrators:PEFRL", MY_METHOD),
]


@pytest.mark.parametrize(("registry", "register", "place", "entry"), KINDS, ids=[kind[0].kind for kind in KINDS])
def test_an_entry_is_known_once_it_is_registered_and_no_name_means_two_things(
    registry: Registry[Any], register: Any, place: str, entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attribute in ("_entries", "_found"):
        monkeypatch.setattr(registry, attribute, dict(getattr(registry, attribute)))
    register("by place", place)
    register("by object", entry)
    assert registry["by object"] is entry
    assert registry["by place"] is registry[place]
    register("by object", entry)
    with pytest.raises(InvalidOptionError, match="there is another"):
        register("by object", place)
    with pytest.raises(UnknownNameError, match=f"unknown {registry.kind} 'nothing'; allowed: .*module:object"):
        registry["nothing"]


def test_a_name_of_the_form_module_object_needs_no_registration() -> None:
    assert isinstance(make_loss(f"{__name__}:MyLoss", {"balance": 1.0}), MyLoss)
    settings = {"trajectories": 3, "duration": 1.0, "points": 4, "noise": 0.0, "test_share": 0.4, "test_first": False}
    source = make_source({"source": f"{__name__}:MySource", **settings})
    train, test = source.make(get_system("pendulum"), np.random.default_rng(0))
    assert (len(train), len(test)) == (2, 1)
    assert get_integrator(f"{__name__}:MY_METHOD", get_system("pendulum").field) is MY_METHOD
    mine, known = (
        rollout("pendulum", [1.0, 0.0], 20, integrator=name).states for name in (f"{__name__}:MY_METHOD", "leapfrog")
    )
    np.testing.assert_array_equal(mine, known)


def test_names_are_known_before_torch_is_imported() -> None:
    code = (
        "import sys, hnn_envs\n"
        "from hnn_envs.fitting import LOSSES, OPTIMISERS\n"
        "from hnn_envs.recordings import SOURCES\n"
        "assert {'film', 'derivative'} < set(LOSSES) and {'adam', 'eye-regression'} < set(OPTIMISERS)\n"
        "assert 'films' in SOURCES\n"
        "print([name for name in ('torch', 'pygame', 'numba', 'PIL') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
