"""The compiled steps against the array code that they stand for."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import physics
import pytest
import torch
from numba import njit

from hnn_envs import arithmetic
from hnn_envs.arrays import Array
from hnn_envs.components import constants_of
from hnn_envs.dynamics import Dynamics, make_dynamics
from hnn_envs.hamiltonian import PortHamiltonian, VectorField, is_separable
from hnn_envs.integrators import INTEGRATORS, fits
from hnn_envs.kernels import CompiledStep, compile_step, functions, jit, network
from hnn_envs.models import make_family
from hnn_envs.systems import SYSTEMS, get_system
from hnn_envs.systems.pendulum import Pendulum

DT, SUBSTEPS = 0.06, 3
SIZES = (1, 7, 63, 65)
METHODS = ("leapfrog", "yoshida4", "pefrl", "blanes_moan4", "rk4", "gauss6", "dormand_prince8")
FITTING = (*METHODS, "encounters")
FIELDS = [*physics.NAMES, *physics.models()]
DEEP = {"hidden": [9, 8, 6]}


def field_of(identity: str, dtype: str = "float64") -> VectorField:
    """The field of an id, with its damping, its network in the given precision."""
    if identity in SYSTEMS:
        return SYSTEMS[identity].field
    model = physics.model(identity)
    return model.build({name: np.asarray(value, dtype=dtype) for name, value in model.parameters.items()})


def substeps_of(method: str) -> int:
    """Steps over DT."""
    return 1 if INTEGRATORS[method].adaptive else SUBSTEPS


def by_arrays(field: VectorField, method: str, x: Array, u: Array | None) -> Array:
    """The slow path: the array code's steps."""
    substeps = substeps_of(method)
    with np.errstate(all="ignore"):
        return INTEGRATORS[method].advance(field, x, u, DT / substeps, substeps)


def compiled(field: VectorField, method: str) -> CompiledStep:
    """The kernel of a field, which it must have."""
    step = compile_step(field, INTEGRATORS[method], DT, substeps_of(method))
    assert step is not None
    return step


def has_kernel(identity: str) -> bool:
    """All but the seed's fields that are not Hamiltonian, its models of films, networks of log cosh, and of M and V."""
    if identity in SYSTEMS:
        return True
    options = physics.model(identity).options
    if identity.startswith(("pixel-generic", "mechanical")) or options.get("remainder"):
        return False
    return options.get("field_type", "solenoidal") == "solenoidal" and options.get("activation", "tanh") == "tanh"


STEPPED = [
    pytest.param(identity, method, id=f"{identity}-{method}")
    for identity in filter(has_kernel, FIELDS)
    for method in FITTING
    if fits(INTEGRATORS[method], field_of(identity))
]


@pytest.mark.parametrize(("identity", "method"), STEPPED)
def test_agrees_with_the_array_code_and_moves_a_batch_as_single_states(identity: str, method: str) -> None:
    system, field = physics.system_of(identity), field_of(identity)
    step = compiled(field, method)
    for size in SIZES:
        x, driven = physics.states(system, size), physics.inputs(system, size)
        for u in (driven, None):
            batch = step(x, u)
            np.testing.assert_allclose(batch, by_arrays(field, method, x, u), rtol=1e-12, atol=1e-13)
            alone = np.stack([step(x[row], None if u is None else u[row]) for row in range(size)])
            np.testing.assert_array_equal(batch, alone)


@pytest.mark.parametrize(
    "identity", ["separable/pendulum/0", "pairwise/three-body/0", "generic/two-body/0", "mlp/pendulum/0"]
)
def test_float32_networks_agree_with_the_array_code(identity: str) -> None:
    system, field = physics.system_of(identity), field_of(identity, "float32")
    method = "pefrl" if is_separable(field) else "rk4"
    step = compiled(field, method)
    x, u = physics.states(system, 65), physics.inputs(system, 65)
    batch = step(x, u)
    assert batch.dtype == np.float64
    np.testing.assert_allclose(batch, by_arrays(field, method, x, u), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(batch, np.stack([step(*row) for row in zip(x, u, strict=True)]))


@pytest.mark.parametrize(
    ("family", "name", "options"),
    [
        ("separable", "pendulum", DEEP),
        ("separable", "two-body", DEEP),
        ("separable", "pendulum", {"hidden": [6], "activation": "logcosh", "even": True}),
        ("separable", "mass-spring", {"hidden": [6], "activation": "logcosh", "length": 0.7}),
        ("pairwise", "three-body", DEEP),
        ("generic", "pendulum", {"hidden": [200, 200]}),
        ("mlp", "three-body", {"hidden": [64, 64], "inputs": True}),
    ],
)
def test_other_shapes_of_networks_agree(family: str, name: str, options: dict[str, Any]) -> None:
    system = get_system(name)
    field = make_family(family, options).build(system.spec, physics.parameters(family, options, system))
    method = "pefrl" if is_separable(field) else "rk4"
    x, u = physics.states(system, 130), physics.inputs(system, 130)
    np.testing.assert_allclose(compiled(field, method)(x, u), by_arrays(field, method, x, u), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["mass-spring", "pendulum", "three-body"])
def test_many_rows_are_the_same_rows(name: str) -> None:
    system = get_system(name)
    step, x, u = compiled(system.field, "pefrl"), physics.states(system, 1025), physics.inputs(system, 1025)
    np.testing.assert_array_equal(
        step(x, u)[::64], np.stack([step(*row) for row in zip(x[::64], u[::64], strict=True)])
    )


@pytest.mark.parametrize("identity", ["pendulum", "three-body", "separable/pendulum/0", "pairwise/three-body/0"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_what_diverges_stays_in_its_row(identity: str, bad: float) -> None:
    system, field = physics.system_of(identity), field_of(identity)
    step, x, u = compiled(field, "pefrl"), physics.states(system, 70), physics.inputs(system, 70)
    broken = x.copy()
    broken[[3, 66], 0] = bad
    rows = np.isin(np.arange(70), (3, 66))
    after = step(broken, u)
    np.testing.assert_array_equal(after[~rows], step(x, u)[~rows])
    if not np.isfinite(bad):
        assert not np.isfinite(after[rows]).all(axis=-1).any()


@pytest.mark.parametrize(
    ("method", "field"),
    [
        ("dop853", Pendulum().field),
        ("rk4", physics.model("generic/pendulum/1").field),
        ("rk4", physics.model("generic/pendulum/0").torch_field),
        ("pefrl", physics.model("separable/pendulum/0").torch_field),
        ("rk4", lambda x, u=None: -x),
    ],
)
def test_what_has_no_kernel_is_left_to_the_array_code(method: str, field: VectorField) -> None:
    assert compile_step(field, INTEGRATORS[method], DT, SUBSTEPS) is None


def test_a_changed_copy_of_a_true_system_is_not_taken_for_it() -> None:
    class Stiff(Pendulum):
        def potential_gradient(self, q: Array) -> Array:
            return q**3

    assert compile_step(Stiff().field, INTEGRATORS["pefrl"], DT, SUBSTEPS) is None
    heavy = Pendulum(gravity=7.0, inverse_mass=0.3)
    x = physics.states(heavy, 9)
    np.testing.assert_allclose(compiled(heavy.field, "rk4")(x), by_arrays(heavy.field, "rk4", x, None), rtol=1e-12)


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_damping_is_split_off_exactly(damping: float) -> None:
    field = PortHamiltonian(Pendulum(), np.ones((1, 1)), damping)
    x, u = physics.states(Pendulum(), 9), physics.inputs(Pendulum(), 9)
    for method in METHODS:
        np.testing.assert_allclose(compiled(field, method)(x, u), by_arrays(field, method, x, u), rtol=1e-12)


@pytest.fixture(scope="module")
def pendulum() -> Dynamics:
    return make_dynamics(get_system("pendulum"), "ode")


def test_any_leading_shape_and_any_memory_layout(pendulum: Dynamics) -> None:
    system = pendulum.truth
    x, u = physics.states(system, 24).reshape(2, 3, 4, 2), physics.inputs(system, 4)
    expected = pendulum.step(x.reshape(24, 2), np.tile(u, (6, 1))).reshape(x.shape)
    np.testing.assert_array_equal(pendulum.step(x, u), expected)
    np.testing.assert_array_equal(pendulum.step(np.asfortranarray(x), u), expected)
    np.testing.assert_array_equal(pendulum.step(x[0, 0, 0], np.tile(u[:1], (5, 1)))[4], expected[0, 0, 0])
    held = np.broadcast_to(u, (2, 3, 4, 1))
    before = x.copy()
    x.flags.writeable = False
    np.testing.assert_array_equal(pendulum.step(x, held), expected)
    np.testing.assert_array_equal(x, before)
    assert pendulum.step(np.zeros((0, 2)), np.zeros((0, 1))).shape == (0, 2)


def test_other_kinds_of_arrays_take_the_array_code(pendulum: Dynamics) -> None:
    x = physics.states(pendulum.truth, 3)
    tensor = pendulum.step(torch.tensor(x))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), pendulum.step(x), rtol=1e-12)
    assert pendulum.step(x.astype(np.float32)).dtype == np.float32


def test_dynamics_can_be_copied_and_sent_after_stepping(pendulum: Dynamics) -> None:
    x = physics.states(pendulum.truth, 3)
    expected = pendulum.step(x)
    for twin in (pickle.loads(pickle.dumps(pendulum)), copy.deepcopy(pendulum)):  # noqa: S301 - our own bytes
        np.testing.assert_array_equal(twin.step(x), expected)


def elementwise(function: Any) -> Callable[[Array], Array]:
    """The function of a whole array, in a loop that LLVM can vectorise."""

    @njit(error_model="numpy")
    def loop(x: Array, y: Array) -> None:
        for n in range(x.size):
            y[n] = function(x[n])

    def run(x: Array) -> Array:
        y = np.empty_like(x)
        loop(x, y)
        return y

    return run


def units_off(values: Array, reference: Array) -> float:
    """The largest error in units in the last place."""
    spacing = np.spacing(np.abs(reference).astype(values.dtype))
    return float(np.max(np.abs(values - reference) / spacing))


@njit
def tanh(x: float) -> float:
    """``functions.tanh`` is known inside compiled functions only."""
    return functions.tanh(x)


@njit
def bell(x: float) -> float:
    """The same of ``functions.bell``."""
    return functions.bell(x)


RNG = np.random.default_rng(0)
SIGNS = RNG.choice((-1.0, 1.0), 4000)
ANGLES = np.concatenate(
    (RNG.uniform(-10, 10, 4000), SIGNS * 10 ** RNG.uniform(-290, 9, 4000), np.pi * RNG.integers(-9999, 9999, 4000) / 2)
)
RANGES = {
    "tanh": np.concatenate((RNG.normal(0, 3, 4000), SIGNS * 10 ** RNG.uniform(-290, 3, 4000))),
    "sin": ANGLES,
    "cos": ANGLES,
    "exp": np.concatenate(
        (RNG.uniform(-708, 709, 4000), RNG.normal(0, 1, 4000), SIGNS * 10 ** RNG.uniform(-290, 0, 4000))
    ),
    "log": 10
    ** np.concatenate((RNG.uniform(-290, 290, 4000), RNG.uniform(-0.2, 0.2, 4000), RNG.uniform(-1e-7, 1e-7, 4000))),
}


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no better than double here")
@pytest.mark.parametrize("name", RANGES)
def test_elementary_functions_are_off_by_less_than_four_units_in_the_last_place(name: str) -> None:
    x = RANGES[name]
    function = tanh if name == "tanh" else getattr(functions, name)
    assert units_off(elementwise(function)(x), getattr(np, name)(x.astype(np.longdouble))) < 4


def test_tanh_of_floats_is_off_by_less_than_four_units_in_the_last_place() -> None:
    x = RANGES["tanh"].astype(np.float32)
    x = x[np.abs(x) > 1e-37]
    assert units_off(elementwise(tanh)(x), np.tanh(x.astype(np.float64))) < 4


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_slope_of_tanh_is_off_by_less_than_four_units_in_the_last_place(dtype: type) -> None:
    x = np.concatenate((RNG.uniform(-60, 60, 4000), RNG.normal(0, 3, 4000))).astype(dtype)
    power = 2.0 ** -np.abs(x.astype(np.longdouble))
    assert units_off(elementwise(bell)(x), power / (1 + power) ** 2) < 4
    np.testing.assert_allclose(elementwise(bell)(np.array([1e300, -1e300, 0.0])), (0.0, 0.0, 0.25), atol=1e-100)


@pytest.mark.parametrize("function", [tanh, bell, functions.sin, functions.cos, functions.exp, functions.log])
def test_elementary_functions_keep_a_nan(function: Any) -> None:
    assert np.isnan(elementwise(function)(np.full(9, np.nan))).all()


def test_elementary_functions_at_their_ends() -> None:
    np.testing.assert_array_equal(elementwise(tanh)(np.array([0.0, np.inf, -np.inf, 1e308])), (0.0, 1.0, -1.0, 1.0))
    for function in (functions.sin, functions.cos):
        assert np.isnan(elementwise(function)(np.array([np.inf, -np.inf, 1e300]))).all()
    np.testing.assert_array_equal(
        elementwise(functions.exp)(np.array([710.0, 1e308, -709.0, -1e308])), (np.inf, np.inf, 0, 0)
    )


ARITHMETIC: dict[str, tuple[Any, ...]] = {
    "sin": (lambda x: arithmetic.sin(x), np.sin),
    "cos": (lambda x: arithmetic.cos(x), np.cos),
    "exp": (lambda x: arithmetic.exp(x), np.exp),
    "log": (lambda x: arithmetic.log(arithmetic.absolute(x)), lambda x: np.log(np.abs(x))),
    "sqrt": (lambda x: arithmetic.sqrt(arithmetic.absolute(x)), lambda x: np.sqrt(np.abs(x))),
    "remainder": (lambda x: arithmetic.remainder(x, 2.5), lambda x: np.remainder(x, 2.5)),
    "where": (lambda x: arithmetic.where(x > 0, x, 0.0), lambda x: np.maximum(x, 0.0)),
    "never": (lambda x: arithmetic.where(arithmetic.never(x), 0.0, x), lambda x: x),
    "not": (lambda x: arithmetic.where(arithmetic.logical_not(x > 0), 0.0, x), lambda x: np.maximum(x, 0.0)),
    "plus": (lambda x: arithmetic.plus((x, 2 * x), 1, x)[1], lambda x: 3 * x),
    "zeros": (lambda x: arithmetic.plus(arithmetic.zeros((x, x)), 0, x)[0], lambda x: x),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_the_functions_of_formulas_mean_the_same_for_arrays_and_in_machine_code(name: str) -> None:
    function, reference = ARITHMETIC[name]
    x = np.random.default_rng(0).normal(0.0, 3.0, 200)
    expected = reference(x)
    in_machine_code = elementwise(njit(error_model="numpy")(function))(x)
    alone = np.stack([function(value) for value in x])
    for found in (function(x), function(torch.tensor(x)).numpy(), alone, in_machine_code):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)


def run_python(code: str, **environment: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


STEP = """
import sys
import numpy as np
from hnn_envs.dynamics import make_dynamics
from hnn_envs.systems import get_system
dynamics = make_dynamics(get_system("pendulum"), "ode")
dynamics.step(np.ones(2))
"""


def test_the_ode_steps_without_torch() -> None:
    assert run_python(f"{STEP}\nprint('torch' in sys.modules)") == "False"


def test_import_does_not_load_the_compiler() -> None:
    assert run_python("import sys, hnn_envs; print('numba' in sys.modules)") == "False"


def test_machine_code_is_cached_across_processes(tmp_path: Path) -> None:
    code = f"{STEP}\nprint(sum(dynamics._compiled.kernel.stats.cache_hits.values()))"
    assert run_python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "0"
    assert list(tmp_path.rglob("*.nbc"))
    assert run_python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "1"


FORMULAS = """
from dataclasses import dataclass
from hnn_envs.arithmetic import sin
from hnn_envs.hamiltonian import PortHamiltonian, PotentialFormulas, Separable
from hnn_envs.integrators import INTEGRATORS, fits
from hnn_envs.kernels import compile_step
import numpy as np
from elsewhere import FACTOR, factor

def potential(system, q):
    return system.depth * q[0]

def potential_gradient(system, q):
    return (FACTOR * factor() * system.depth + 0.0 * sin(q[0]),)

@dataclass(frozen=True)
class Slope(Separable):
    depth: float = 1.0
    inverse_mass: float = 1.0
    formulas = PotentialFormulas(potential, potential_gradient)

step = compile_step(PortHamiltonian(Slope(), np.ones((1, 1))), INTEGRATORS["leapfrog"], 1.0, 1)
print(-step(np.zeros(2))[1], sum(step.kernel.stats.cache_hits.values()))
"""


def test_the_cache_notices_changes_in_what_a_formula_calls_and_reads(tmp_path: Path) -> None:
    (tmp_path / "slope.py").write_text(FORMULAS)
    (tmp_path / "cache").mkdir()

    def run(constant: float, returned: float) -> list[float]:
        (tmp_path / "elsewhere.py").write_text("from helper import factor\n" + f"FACTOR = {constant}\n")
        (tmp_path / "helper.py").write_text(f"def factor():\n    return {returned}\n")
        path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
        printed = run_python("import slope", PYTHONPATH=path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
        return [float(word) for word in printed.split()]

    assert run(2.0, 3.0) == [6.0, 0]
    assert run(2.0, 3.0) == [6.0, 1]
    assert run(5.0, 3.0) == [15.0, 0]
    assert run(5.0, 4.0) == [20.0, 0]


def test_formulas_that_no_other_process_could_import_are_compiled_without_a_cache() -> None:
    def potential_gradient(system: Any, q: Any) -> Any:
        return (system.gravity * q[0],)

    class Local(Pendulum):
        formulas = Pendulum.formulas._replace(gradient=potential_gradient)

    x = physics.states(Pendulum(), 9)
    step = compiled(Local().field, "pefrl")
    np.testing.assert_allclose(step(x), by_arrays(Local().field, "pefrl", x, None), rtol=1e-12)
    assert step.kernel.stats.cache_path is None


def test_without_a_place_for_the_cache_functions_are_compiled_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(**options: Any) -> Any:
        if options.pop("cache", False):
            return lambda _: (_ for _ in ()).throw(RuntimeError("cannot cache function: no locator available"))
        return njit(**options)

    monkeypatch.setattr(jit, "njit", refusing)
    assert jit.compiled(lambda x: x + 1)(1) == 2


def test_padding_does_nothing() -> None:
    """Layers that fill no whole block are filled up with units that are not seen."""
    assert network.BLOCK > 1
    system = get_system("pendulum")
    for width in range(1, 2 * network.BLOCK + 1):
        options = {"hidden": [width]}
        field = make_family("separable", options).build(system.spec, physics.parameters("separable", options, system))
        x = physics.states(system, 66)
        expected = by_arrays(field, "pefrl", x, None)
        np.testing.assert_allclose(compiled(field, "pefrl")(x), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("family", "name", "options"),
    [
        ("separable", "pendulum", {"length": 2.0, "energy": 3.0, "activation": "logcosh"}),
        ("separable", "pendulum", {"even": True}),
        ("generic", "pendulum", {}),
        ("mlp", "pendulum", {}),
        ("pairwise", "two-body", {"energy": 2.0, "centre": 0.5}),
        ("pairwise", "three-body", {}),
    ],
)
def test_cards_of_one_family_share_the_kernel_whatever_their_sizes_and_numbers(
    family: str, name: str, options: dict[str, Any]
) -> None:
    system, rng = get_system(name), np.random.default_rng(0)
    states = system.sample_states(rng, 16)
    kernels, compilations = set(), set()
    for hidden in ([1], [2], [5], [16], [200], [33]):
        made = make_family(family, {"hidden": hidden, **options})
        field = made.build(system.spec, made.init(system.spec, rng))
        step = compiled(field, "leapfrog" if is_separable(field) else "rk4")
        step(states[0])
        step(states)
        kernels.add(step.kernel)
        compilations.add(len(step.kernel.signatures))
    assert len(kernels) == 1
    assert len(compilations) == 1  # all that the first card needed: what a kernel takes does not grow with the cards


@dataclass
class Spring:
    """With what Python 3.13 and later keep in a class, whatever runs this."""

    __firstlineno__ = 12
    _hidden = 2.0
    rest = 0.5
    stiffness: float = 3.0


def test_what_python_keeps_in_a_class_is_no_constant_of_a_formula() -> None:
    assert constants_of(Spring()) == (("stiffness", "rest"), [3.0, 0.5])
