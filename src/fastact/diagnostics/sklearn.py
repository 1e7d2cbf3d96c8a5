"""The measures of a fitted multi-layer perceptron: scikit-learn's own, or of fastact.sklearn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastact import nn
from fastact.diagnostics.measures import Diagnosis
from fastact.diagnostics.sequential import measure


def is_perceptron(model: object) -> bool:
    """Return whether a model is a multi-layer perceptron of scikit-learn's interface, fitted or not."""
    return hasattr(model, "hidden_layer_sizes") and hasattr(model, "activation") and hasattr(model, "predict")


def measure_perceptron(
    model: Any, X: ArrayLike, y: ArrayLike, loss: nn.losses.LossName | nn.Loss | None, batch_size: int, threshold: float
) -> Diagnosis:
    """Return the diagnosis of a fitted MLP; the default loss is its own, without the penalty."""
    from fastact.sklearn import estimators

    if not hasattr(model, "n_outputs_"):
        raise ValueError(f"model must be fitted: call fit before diagnosing {model!r}")
    weights, biases = model.coefs_, model.intercepts_
    activation = estimators.ACTIVATIONS[model.activation]
    layers = []
    for index, (W, b) in enumerate(zip(weights, biases, strict=True)):
        hidden = index < len(weights) - 1
        slope = getattr(model, "negative_slope", 0.01)
        layers.append(nn.Dense(W.shape[0], W.shape[1], activation if hidden else None, slope, dtype=W.dtype))
        layers[-1].W, layers[-1].b = W, b
    own, value_factor, gradient_factor = estimators.LOSSES[model.out_activation_]
    outputs = model.n_outputs_
    factors = (value_factor(outputs), gradient_factor(outputs)) if loss is None else (1.0, 1.0)
    if hasattr(model, "_label_binarizer"):
        y = _binarized(model, y, loss)
    return measure(
        nn.Sequential(layers, seed=0),
        estimators._dense(X),
        y,
        own if loss is None else nn.losses.get(loss),
        batch_size,
        threshold,
        [f"coefs_[{index}]" for index in range(len(weights))],
        *factors,
    )


def _binarized(model, y, loss):
    """Return a classifier's y as columns of 0 and 1, which are not what errors should tell of."""
    y = np.asarray(y)
    if model.out_activation_ == "logistic" and loss is not None and nn.losses.get(loss) is nn.softmax_cross_entropy:
        raise ValueError(
            "loss must be 'binary_cross_entropy' or 'mse' for a classifier of two classes or of several labels a row, "
            f"got {loss!r}"
        )
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
