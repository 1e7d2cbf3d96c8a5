"""The measures of an `nn.Sequential`, over whole data, a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastact import nn
from fastact.diagnostics.findings import loss_finding
from fastact.diagnostics.measures import Diagnosis, LayerTotals, sum_of_squares
from fastact.nn._buffers import Buffers
from fastact.nn.data import DataReader
from fastact.nn.losses import LossName


def measure(
    model: nn.Sequential,
    X: ArrayLike,
    y: ArrayLike,
    loss: nn.Loss,
    batch_size: int,
    saturation_threshold: float,
    names: Sequence[str] | None = None,
    loss_factor: float = 1.0,
    loss_gradient_factor: float = 1.0,
) -> Diagnosis:
    """Return the diagnosis of a model, which is not changed: a copy goes through the data.

    ``names`` are those of the layers, and the two factors what the loss and its gradient are multiplied by.
    """
    model = model.astype(model.dtype)
    batches = DataReader(model, loss).arrays(X, y, batch_size=batch_size)
    rows, mean_loss = len(np.asarray(X)), 0.0
    totals = LayerTotals.of_layers(model.layers, saturation_threshold, rows)
    if names is not None:
        for total, name in zip(totals, names, strict=True):
            total.name = name
    weight_gradients = [np.zeros(layer.W.shape) for layer in model.layers]
    buffers = Buffers()
    with np.errstate(all="ignore"):
        for number, (X_batch, targets, _) in enumerate(batches):
            if number == 0:
                model._scale_fresh_layers(X_batch)  # as the first step of training would
            share = len(X_batch) / rows  # the loss is the mean over all rows
            Y = model._forward(X_batch)
            dY = np.empty_like(Y)
            mean_loss += share * loss.value_and_gradient(Y, targets, dY, buffers)
            dY *= share * loss_gradient_factor
            backwards = zip(reversed(model.layers), reversed(totals), reversed(weight_gradients), strict=True)
            for layer, total, weight_gradient in backwards:
                assert layer.output is not None  # a forward pass has been made
                total.add_units(layer.output, layer.slopes(), layer.active())
                output_squares = sum_of_squares(dY)
                dY = layer.backward(dY)
                total.add_gradients(output_squares, sum_of_squares(dY))
                weight_gradient += layer.dW
        layers = [
            total.result(math.sqrt(sum_of_squares(weight_gradient)))
            for total, weight_gradient in zip(totals, weight_gradients, strict=True)
        ]
    finding = loss_finding(model.layers[-1].activation, loss.name, model.out_features)
    return Diagnosis(layers, rows, loss_factor * mean_loss, loss.name, str(model.dtype), finding)


def default_loss(y: ArrayLike, outputs: int) -> LossName:
    """Return the name of the loss that such targets are for: cross-entropy for labels, else the squared error."""
    y = np.asarray(y)
    if y.dtype.kind not in "iub" or y.size == 0:
        return "mse"
    binary = bool(((y == 0) | (y == 1)).all())
    if outputs == 1:
        return "binary_cross_entropy" if binary else "mse"
    one_hot = y.ndim == 2 and binary and bool((y.sum(axis=1) == 1).all())
    return "softmax_cross_entropy" if one_hot or y.ndim == 1 else "mse"
