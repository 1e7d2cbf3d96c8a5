"""What mathematics says of a gradient that goes down through many layers, and a chain of units to measure it on.

A chain is a network of layers with one unit each, ``y = φ(w φ(w … φ(w x)))``. Its derivative is a product ::

    ∂y/∂x = Π w φ′(z_k)        over the r layers

so for weights of size one it is at most ``(max |φ′|)^r``: 0.25^r for the sigmoid, below 10⁻⁶ from r = 10 on; 1 for
tanh; 1 or 0 for ReLU; 1 for leaky ReLU, or its slope to the power of the units that are inactive. The same bound holds
for layers of any width whose W has the largest singular value 1, for each row:
``‖(dY · φ′) Wᵀ‖ ≤ max |φ′| ‖W‖₂ ‖dY‖``. Weights of another size multiply it: that is where networks part from the
chain, for the worse and for the better.

References
----------
Y. Bengio, P. Simard and P. Frasconi, "Learning long-term dependencies with gradient descent is difficult", IEEE
Transactions on Neural Networks 5(2), 157-166, 1994. R. Grosse, "Exploding and Vanishing Gradients", lecture notes,
University of Toronto.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact import nn
from fastact.diagnostics.measures import LARGEST_DERIVATIVE, Diagnosis
from fastact.nn import _checks
from fastact.nn._types import Integer, Real
from fastact.nn.initializers import Initializer, InitializerName
from fastact.nn.layers import Activation


@dataclass(frozen=True)
class Chain:
    """A chain of one-unit layers, measured.

    Attributes
    ----------
    activation : str
    depth : int
        Layers, r.
    bound : float
        ``(max |φ′|)^r``, which ``|∂y/∂x|`` does not exceed where all weights have the size one.
    derivatives : ndarray of float64, shape (rows,)
        ∂y/∂x for each x.
    """

    activation: str
    depth: int
    bound: float
    derivatives: NDArray[np.float64]

    @property
    def largest(self) -> float:
        """The largest ``|∂y/∂x|``."""
        return float(np.abs(self.derivatives).max())

    @property
    def gain(self) -> float:
        """Root mean square of ∂y/∂x: what is left of a gradient's norm behind the chain."""
        return float(np.sqrt(np.mean(np.square(self.derivatives))))


def bound(activation: Activation | None, depth: Integer, negative_slope: Real = 0.01) -> float:
    """Return ``(max |φ′|)^depth``, the most that ``depth`` layers with weights of size one leave of a gradient.

    Examples
    --------
    >>> from fastact.diagnostics import theory
    >>> theory.bound("sigmoid", 10) < 1e-6
    True
    >>> [theory.bound(name, 10) for name in ("tanh", "relu", "leaky_relu")]
    [1.0, 1.0, 1.0]
    """
    largest = LARGEST_DERIVATIVE.get(activation or "", 1.0)
    if activation == "leaky_relu":
        largest = max(1.0, abs(float(negative_slope)))
    return largest ** _checks.integer("depth", depth)


def passed_on(diagnosis: Diagnosis) -> float:
    """Return what the hidden layers leave of a gradient: ‖∂L/∂X‖ / ‖∂L/∂Y‖, Y the output of the last hidden layer.

    It is 0 where a layer below that one gets no gradient, though such a layer has no factor of its own.
    """
    hidden = diagnosis.layers[:-1]
    *lower, last = hidden
    if last.activation_gradient_norm > 0.0 and any(layer.activation_gradient_norm == 0.0 for layer in lower):
        return 0.0
    return math.prod(layer.gradient_factor for layer in hidden)


def own_bound(model: nn.Sequential) -> float:
    """Return the most that a model's hidden layers can leave of a gradient, by its own weights: ``Π max |φ′| ‖W‖₂``.

    ‖W‖₂ is the largest singular value of W.
    """
    return math.prod(
        bound(layer.activation, 1, float(np.abs(layer.negative_slope).max())) * float(np.linalg.norm(layer.W, 2))
        for layer in model.layers[:-1]
    )


def unit(rng: np.random.Generator, shape: tuple[int, int], negative_slope: Real = 0.0) -> NDArray[np.float64]:
    """Initialise weights of size one: an orthogonal matrix, whose singular values are all 1 (1 or -1 for 1 x 1)."""
    return nn.orthogonal(rng, shape, 1.0)


def chain(
    activation: Activation,
    depth: Integer,
    X: ArrayLike | None = None,
    init: InitializerName | Initializer | None = None,
    negative_slope: Real = 0.01,
    seed: Integer | None = 0,
) -> Chain:
    """Measure a chain of one-unit layers, by backpropagation through an `nn.Sequential` in float64.

    Parameters
    ----------
    activation : {"sigmoid", "tanh", "relu", "leaky_relu"}
    depth : int
        Layers.
    X : array_like of shape (rows,), optional
        Inputs; by default 601 of them, evenly spaced from -3 to 3.
    init : str or callable, optional
        Initialiser of the weights, as `nn.Dense` takes it. By default each weight is 1. Biases are 0.
    negative_slope : float, optional
    seed : int or None, optional
        Of the weights, where ``init`` draws them.

    Returns
    -------
    Chain

    Examples
    --------
    >>> from fastact.diagnostics import theory
    >>> sigmoid = theory.chain("sigmoid", 10)
    >>> 0.0 < sigmoid.largest < sigmoid.bound == 0.25**10
    True
    >>> sorted({float(d) for d in theory.chain("relu", 10).derivatives})
    [0.0, 1.0]
    """
    depth = _checks.integer("depth", depth)
    X = np.linspace(-3.0, 3.0, 601) if X is None else X
    X = np.asarray(_checks.real_array("X", X), dtype=np.float64).reshape(-1, 1)
    layers = [nn.Dense(1, 1, activation, negative_slope, init or _one, dtype=np.float64) for _ in range(depth)]
    model = nn.Sequential(layers, seed=seed)
    if any(layer.needs_batch for layer in layers):
        nn.unit_gain(model, X)
    model.forward(X)
    derivatives = model.backward(np.ones_like(X)).ravel().astype(np.float64)
    return Chain(activation, depth, bound(activation, depth, negative_slope), derivatives)


def _one(rng, shape, negative_slope):
    return np.ones(shape)
