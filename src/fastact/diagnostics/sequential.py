"""The measures of an `nn.Sequential`, over whole data, a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastact import nn
from fastact.diagnostics.findings import of_loss
from fastact.diagnostics.measures import Diagnosis, LayerTotals, square_sum
from fastact.nn._buffers import Buffers
from fastact.nn.data import DataReader


def measure(
    model: nn.Sequential,
    X: ArrayLike,
    y: ArrayLike,
    loss: nn.Loss,
    batch_size: int,
    saturation_threshold: float,
    names: Sequence[str] = (),
    value_factor: float = 1.0,
    gradient_factor: float = 1.0,
) -> Diagnosis:
    """Return the diagnosis of a model, which is not changed: a copy goes through the data.

    ``names`` are those of the layers, and the two factors what the loss and its gradient are multiplied by.
    """
    model = model.astype(model.dtype)
    batches = DataReader(model, loss).arrays(X, y, batch_size=batch_size)
    rows = len(np.asarray(X))
    totals = LayerTotals.of_layers(model.layers, saturation_threshold, rows)
    for total, name in zip(totals, names, strict=bool(names)):
        total.name = name
    gradients = [np.zeros(layer.W.shape) for layer in model.layers]
    buffers, value = Buffers(), 0.0
    with np.errstate(all="ignore"):
        for number, (X_batch, targets, _) in enumerate(batches):
            if number == 0:
                model._scale_fresh_layers(X_batch)  # as the first step of training would
            share = len(X_batch) / rows  # the loss is the mean over all rows
            Y = model._forward(X_batch)
            dY = np.empty_like(Y)
            value += share * loss.value_and_gradient(Y, targets, dY, buffers)
            dY *= share * gradient_factor
            for layer, total, gradient in zip(model.layers[::-1], totals[::-1], gradients[::-1], strict=True):
                assert layer.output is not None  # a forward pass has been made
                total.add_units(
                    Y=layer.output, slopes=layer.slopes() if layer.activation else None, active=layer.active()
                )
                output_squares = square_sum(dY)
                dY = layer.backward(dY)
                total.add_gradients(output_squares, square_sum(dY))
                gradient += layer.dW
        layers = [
            total.result(math.sqrt(square_sum(gradient))) for total, gradient in zip(totals, gradients, strict=True)
        ]
    finding = of_loss(model.layers[-1].activation, loss.name, model.out_features)
    return Diagnosis(layers, rows, value_factor * value, loss.name, str(model.dtype), finding)


def default_loss(y: ArrayLike, outputs: int) -> str:
    """Return the name of the loss that such targets are for: cross-entropy for labels, else the squared error."""
    y = np.asarray(y)
    if y.dtype.kind not in "iub" or y.size == 0:
        return "mse"
    binary = bool(((y == 0) | (y == 1)).all())
    if outputs == 1:
        return "binary_cross_entropy" if binary else "mse"
    one_hot = y.ndim == 2 and binary and bool((y.sum(axis=1) == 1).all())
    return "softmax_cross_entropy" if y.ndim == 1 or one_hot else "mse"
