"""Gradients of backpropagation held against differences of the loss."""

import math

import numpy as np
from numpy.typing import ArrayLike

from fastact.nn import losses
from fastact.nn._buffers import Buffers
from fastact.nn.data import DataReader
from fastact.nn.losses import Loss, LossName
from fastact.nn.model import Sequential

# Step of the differences, for inputs of a layer up to 1: the 4th-order formula's error h⁴ and the rounding of the
# loss, 1e-16 / h, are both about 1e-13. The smaller steps are for entries where a step this long crosses a kink.
STEPS = (1e-3, 1e-4, 1e-5)

# Gradients below this share of the model's largest are judged against this share of it: differences of a loss in
# float64 cannot resolve them any better.
RESOLVED = 1e-4


def check_gradients(
    model: Sequential, X: ArrayLike, y: ArrayLike, loss: LossName | Loss, sample_weight: ArrayLike | None = None
) -> float:
    """Return the largest relative error of the gradients that the model's backward pass gives.

    Every entry w of every W and b is compared with the central difference of 4th order ::

        ∂L/∂w ≈ (8 (L(w + h) - L(w - h)) - (L(w + 2h) - L(w - 2h))) / 12h

    in float64, on a float64 copy of the model: the model itself is not changed. The error of an entry is relative to
    the largest gradient in its array (or to 1e-4 of the largest in the model, if that is more: the rounding of L
    would drown anything smaller).

    relu and leaky_relu have a kink at 0, across which a difference says nothing about the derivative. An entry for
    which one of the four steps makes any unit of any layer cross its kink is tried again with a step 10 and 100 times
    shorter, and left out if that does not help (a unit whose input is 0 exactly, say).

    Parameters
    ----------
    model : Sequential
    X, y : array_like
        As `Sequential.fit` takes them. A few rows will do: the time is four forward passes a parameter.
    loss : str or nn.Loss
    sample_weight : array_like, shape (rows,), optional
        What each row counts in the loss.

    Returns
    -------
    float
        About 1e-9 or less where the backward pass is right; inf where a gradient is not finite.

    Raises
    ------
    TypeError, ValueError
        An argument has a wrong type, shape or value, or every entry had to be left out.
    FloatingPointError
        The loss is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> rng = np.random.default_rng(0)
    >>> model = nn.Sequential([nn.Dense(4, 8, activation="tanh"), nn.Dense(8, 3)], seed=0)
    >>> error = nn.check_gradients(model, rng.standard_normal((5, 4)), [0, 1, 2, 0, 1], "softmax_cross_entropy")
    >>> error < 1e-8
    True
    """
    loss = losses.get(loss)
    model = model.astype(np.float64)
    X, targets, weights = DataReader(model, loss).batch(X, y, sample_weight)
    dY = np.empty((len(X), model.out_features))
    buffers = Buffers()

    def value_and_sides():
        """Return the loss, and on which side of its kink every unit is."""
        Y = model._forward(X)
        value = loss.value_and_gradient(Y, targets, dY, buffers, weights)
        return value, [active for layer in model.layers if (active := layer.active()) is not None]

    value, sides = value_and_sides()
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value} with these weights and X: its gradients cannot be checked")
    model.backward(dY)
    gradients = [parameter.gradient for parameter in model.parameters()]
    if not all(np.isfinite(gradient).all() for gradient in gradients):
        return math.inf
    differences = []
    for layer in model.layers:
        assert layer.input is not None  # a forward pass has been made
        # The loss bends with W as fast as the layer's inputs are large: the step is shortened by as much.
        for w, reach in (layer.W, max(1.0, float(np.abs(layer.input).max()))), (layer.b, 1.0):
            flat = w.reshape(-1)
            entries = [_difference(value_and_sides, sides, flat, index, reach) for index in range(w.size)]
            differences.append(np.reshape(entries, w.shape))
    return _largest_relative_error(gradients, differences)


def _difference(value_and_sides, sides, w, index, reach):
    """Return ∂L/∂w[index] by differences, NaN where every step crosses a kink."""
    original = w[index]
    for step in STEPS:
        h = step * max(1.0, abs(original)) / reach
        values, crossed = {}, False
        for multiple in (-2, -1, 1, 2):
            w[index] = original + multiple * h
            values[multiple], now = value_and_sides()
            crossed = crossed or any((a != b).any() for a, b in zip(sides, now, strict=True))
        w[index] = original
        if not crossed:
            return (8.0 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12.0 * h)
    return np.nan


def _largest_relative_error(gradients, differences):
    checked = [~np.isnan(difference) for difference in differences]
    if not any(mask.any() for mask in checked):
        raise ValueError("X must leave some unit away from its kink: no gradient could be checked by differences")
    scales = [
        max(np.abs(gradient[mask]).max(initial=0.0), np.abs(difference[mask]).max(initial=0.0))
        for gradient, difference, mask in zip(gradients, differences, checked, strict=True)
    ]
    least = RESOLVED * max(scales)
    errors = [
        np.abs(gradient - difference)[mask].max(initial=0.0) / max(scale, least)
        for gradient, difference, mask, scale in zip(gradients, differences, checked, scales, strict=True)
        if max(scale, least) > 0.0
    ]
    return float(max(errors, default=0.0))
