"""A multilayer perceptron as plain arrays, with its input gradient in closed form.

The same lines run on NumPy arrays (stepping an environment) and on torch tensors (training, CUDA), so what is trained
is what is stepped. Because the gradient is written out, training an HNN needs one backward pass, not two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hnn_envs.arrays import Array, cast, namespace

Parameters = dict[str, Array]
"""Named arrays: what a checkpoint stores and an optimiser changes."""
Shapes = dict[str, tuple[int, ...]]
"""Their shapes."""


@dataclass(frozen=True)
class Activation:
    """What a unit makes of its input z, and the slope of that; both are told by t = tanh z, computed once.

    Attributes:
        value: (z, t) -> the unit's output.
        slope: t -> its derivative with respect to z.
    """

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array], Array]


def _log_cosh(z: Array, _: Array) -> Array:
    xp = namespace(z)
    size = xp.abs(z)
    return size + xp.log1p(xp.exp(-2 * size)) - math.log(2)


ACTIVATIONS = {
    "tanh": Activation(lambda _, t: t, lambda t: 1 - t * t),
    # A potential of such units has forces that level off instead of dying out, so it extrapolates better.
    "logcosh": Activation(_log_cosh, lambda t: t),
}


@dataclass(frozen=True)
class MLP:
    """x -> W_n f(... f(x W_1 + b_1) ...) [+ b_n]; the paper's network has two hidden tanh layers and no last bias.

    Attributes:
        weights: one matrix per layer, shape (inputs, outputs).
        biases: one vector per layer, or one fewer: no bias on the output.
        activation: f, a key of ``ACTIVATIONS``.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str = "tanh"

    def __call__(self, x: Array) -> Array:
        """Outputs (..., outputs) for inputs (..., inputs), evaluated in the precision of the weights."""
        hidden = x if _is_complex(x) else cast(x, self.weights[0].dtype)
        unit, tanh = ACTIVATIONS[self.activation], namespace(x).tanh
        for weight, bias in zip(self.weights[:-1], self.biases, strict=False):
            z = hidden @ weight + bias
            hidden = unit.value(z, tanh(z))
        return cast(self._output(hidden), x.dtype)

    def gradient(self, x: Array, output: int = 0) -> Array:
        """The derivative of one output with respect to the inputs, shape (..., inputs)."""
        hidden = x if _is_complex(x) else cast(x, self.weights[0].dtype)
        unit, tanh = ACTIVATIONS[self.activation], namespace(x).tanh
        slopes: list[Array] = []
        for weight, bias in zip(self.weights[:-1], self.biases, strict=False):
            z = hidden @ weight + bias
            t = tanh(z)
            slopes.append(unit.slope(t))
            if len(slopes) < len(self.weights) - 1:
                hidden = unit.value(z, t)
        gradient = self.weights[-1][:, output]
        for weight, slope in zip(reversed(self.weights[:-1]), reversed(slopes), strict=True):
            gradient = (slope * gradient) @ weight.T
        return cast(gradient, x.dtype)

    def _output(self, hidden: Array) -> Array:
        output = hidden @ self.weights[-1]
        return output + self.biases[-1] if len(self.biases) == len(self.weights) else output


def _is_complex(x: Array) -> bool:
    """Whether a derivative is being taken, see ``hnn_envs.hamiltonian.derivatives``: it is in the imaginary part."""
    return isinstance(x, np.ndarray) and np.iscomplexobj(x)


def mlp_shapes(prefix: str, sizes: tuple[int, ...], *, output_bias: bool = False) -> Shapes:
    """Shapes of the parameters of an MLP, in the order in which they are drawn."""
    shapes: Shapes = {}
    layers = len(sizes) - 1
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        shapes[f"{prefix}.weight{layer}"] = (inputs, outputs)
        if layer < layers - 1 or output_bias:
            shapes[f"{prefix}.bias{layer}"] = (outputs,)
    return shapes


def init_mlp(rng: np.random.Generator, prefix: str, sizes: tuple[int, ...], *, output_bias: bool = False) -> Parameters:
    """Draws the parameters of an MLP: orthogonal weights, and biases U(-1, 1) / sqrt(inputs), as in the seed paper."""
    parameters: Parameters = {}
    inputs = 0
    for name, shape in mlp_shapes(prefix, sizes, output_bias=output_bias).items():
        if len(shape) == 2:
            inputs = shape[0]
            parameters[name] = _orthogonal(rng, *shape)
        else:
            parameters[name] = rng.uniform(-1, 1, shape[0]) / np.sqrt(inputs)
    return parameters


def build_mlp(parameters: Parameters, prefix: str, activation: str = "tanh") -> MLP:
    """Collects the layers called ``prefix`` into an MLP."""
    weights = tuple(parameters[name] for name in _layers(parameters, f"{prefix}.weight"))
    biases = tuple(parameters[name] for name in _layers(parameters, f"{prefix}.bias"))
    return MLP(weights, biases, activation)


def layer_names(parameters: Iterable[str], prefix: str) -> list[str]:
    """Names of the weights and biases of the MLP called ``prefix``."""
    given = tuple(parameters)
    return [*_layers(given, f"{prefix}.weight"), *_layers(given, f"{prefix}.bias")]


def _layers(parameters: Iterable[str], start: str) -> list[str]:
    return sorted((name for name in parameters if name.startswith(start)), key=lambda name: int(name[len(start) :]))


def _orthogonal(rng: np.random.Generator, inputs: int, outputs: int) -> Array:
    """A random matrix (inputs, outputs) with orthonormal rows or columns, whichever are fewer."""
    tall = rng.standard_normal((max(inputs, outputs), min(inputs, outputs)))
    basis, triangle = np.linalg.qr(tall)
    basis = basis * np.sign(np.diag(triangle))
    return np.ascontiguousarray(basis if inputs >= outputs else basis.T)
