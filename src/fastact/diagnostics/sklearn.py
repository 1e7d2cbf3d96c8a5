"""The measures of a fitted multi-layer perceptron: scikit-learn's own, or of fastact.sklearn.

`diagnose` imports this module only for a perceptron, as it imports scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastact import nn
from fastact.diagnostics.measures import Diagnosis
from fastact.diagnostics.sequential import measure
from fastact.nn.losses import LossName
from fastact.sklearn import estimators


def measure_perceptron(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    loss: LossName | nn.Loss | Callable[..., Any] | None,
    batch_size: int,
    saturation_threshold: float,
) -> Diagnosis:
    """Return the diagnosis of a fitted MLP; the default loss is its own, without the penalty."""
    if not hasattr(model, "n_outputs_"):
        raise ValueError(f"model must be fitted: call fit before diagnosing {model!r}")
    activation = estimators.ACTIVATIONS[model.activation]
    slope = getattr(model, "negative_slope", 0.01)
    layers: list[nn.Dense] = []
    for W, b in zip(model.coefs_, model.intercepts_, strict=True):
        is_last = len(layers) == len(model.coefs_) - 1
        layer = nn.Dense(W.shape[0], W.shape[1], None if is_last else activation, slope, dtype=W.dtype)
        layer.W, layer.b = W, b
        layers.append(layer)
    own_loss, loss_factor, loss_gradient_factor = estimators.LOSSES[model.out_activation_]
    if loss is None:
        chosen, factors = own_loss, (loss_factor(model.n_outputs_), loss_gradient_factor(model.n_outputs_))
    else:
        chosen, factors = nn.losses.get(loss), (1.0, 1.0)  # type: ignore[arg-type]  # get refuses a function
    if hasattr(model, "_label_binarizer"):
        if model.out_activation_ == "logistic" and chosen is nn.softmax_cross_entropy:
            raise ValueError(
                "loss must be 'binary_cross_entropy' or 'mse' for a classifier of two classes or of several labels a "
                f"row, got {loss!r}"
            )
        y = _binarized(model, y)
    return measure(
        nn.Sequential(layers, seed=0),
        estimators._dense(X),
        y,
        chosen,
        batch_size,
        saturation_threshold,
        [f"coefs_[{index}]" for index in range(len(layers))],
        *factors,
    )


def _binarized(model, y):
    """Return a classifier's y as columns of 0 and 1; errors tell of the y that was given."""
    y = np.asarray(y)
    if model._label_binarizer.y_type_.startswith("multilabel"):
        if y.ndim != 2 or y.shape[1] != model.n_outputs_:
            raise ValueError(f"y must have shape (rows, {model.n_outputs_}), got {y.shape}")
    else:
        y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
        if y.ndim != 1:
            raise ValueError(f"y must be labels of shape (rows,), got shape {y.shape}")
        if not (known := np.isin(y, model.classes_)).all():
            row = int(np.argmin(known))
            raise ValueError(f"y must hold labels that the model was fitted to, but y[{row}] is {y.tolist()[row]!r}")
    return model._label_binarizer.transform(y)
