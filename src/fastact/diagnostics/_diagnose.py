"""`diagnose`: one call for every kind of model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike

from fastact import nn
from fastact.diagnostics import sequential
from fastact.diagnostics.measures import Diagnosis
from fastact.nn import _checks
from fastact.nn._types import Integer, Real
from fastact.nn.losses import LossName


def diagnose(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    loss: LossName | nn.Loss | Callable[..., Any] | None = None,
    batch_size: Integer = 256,
    saturation_threshold: Real = 0.05,
) -> Diagnosis:
    """Measure what a network does to gradients: its own weights, on these data.

    Parameters
    ----------
    model : nn.Sequential, fitted MLPClassifier or MLPRegressor, or torch.nn.Module
        It is not changed. The perceptrons are scikit-learn's own or those of `fastact.sklearn`. A model of
        fastact.nn whose layers of ``init="unit_gain"`` still wait for a batch is measured as its first step of
        training would find it.

        A PyTorch module is measured in evaluation mode (dropout passes all, batch normalisation uses its running
        means). A layer there is a product with a weight (linear or convolution) and the activation that follows it:
        sigmoid, tanh, ReLU or leaky ReLU, as module, function or method. Nothing is
        measured inside of what is a single call for torch, such as `nn.LSTM`.
    X : array_like, shape (rows, in_features)
        What the model is trained on; for PyTorch an array or tensor of any shape with rows first.
    y : array_like
        Targets, as `Sequential.fit`, the estimator's ``fit``, or the loss takes them.
    loss : str, nn.Loss or callable, optional
        "softmax_cross_entropy", "binary_cross_entropy" (both from logits) or "mse". The default is the loss of the
        last training where the model knows it (for scikit-learn its own, without the penalty), else cross-entropy
        for integer labels and "mse" for the rest. For PyTorch also a function ``(outputs, targets) -> tensor``, the
        mean over the rows.

        A PyTorch module may end in the sigmoid or softmax of its cross-entropy: it then is taken for a part of the
        loss, as in scikit-learn's perceptrons, and the last layer is measured before it. With a sigmoid the default is
        "binary_cross_entropy" for targets of 0 and 1 of any type. A loss that takes for logits what a sigmoid, softmax
        or tanh has bounded is a finding of kind "logits", or, by the names above and PyTorch, a ValueError.
    batch_size : int, optional
        Rows that go through the network at a time. The measures are of all rows, whatever it is.
    saturation_threshold : float in (0, 1), optional
        A unit counts as saturated where φ′ is below this share of its largest value.

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError, ValueError
        The model is none of these, or not fitted; an argument has a wrong type, shape or value. What a PyTorch module
        raises itself, for an X of another width say, is passed on.
    ImportError
        For a perceptron, scikit-learn is too old: ``pip install "fastact[sklearn]"``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> from fastact.diagnostics import diagnose
    >>> layers = [nn.Dense(16, 16, activation="sigmoid") for _ in range(10)]
    >>> model = nn.Sequential([*layers, nn.Dense(16, 2)], seed=0)
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 16))
    >>> diagnosis = diagnose(model, X, X[:, 0] > 0)
    >>> diagnosis.layers[0].activation_gradient_norm < 1e-4 * diagnosis.layers[9].activation_gradient_norm
    True
    >>> [finding.kind for finding in diagnosis.findings]
    ['vanishing']
    """
    batch_size = _checks.integer("batch_size", batch_size)
    threshold = _checks.number("saturation_threshold", saturation_threshold, below=1.0, positive=True)
    if isinstance(model, nn.Sequential):
        chosen = loss or model.loss or sequential.default_loss(y, model.out_features)
        loss = nn.losses.get(chosen)  # type: ignore[arg-type]  # get refuses a function
        return sequential.measure(model, X, y, loss, batch_size, threshold)
    if _is_torch_module(model):
        from fastact.diagnostics.torch import measure_module

        return measure_module(model, X, y, loss.name if isinstance(loss, nn.Loss) else loss, batch_size, threshold)
    if _is_perceptron(model):
        from fastact.diagnostics.sklearn import measure_perceptron

        return measure_perceptron(model, X, y, loss, batch_size, threshold)
    raise TypeError(
        "model must be an nn.Sequential, a fitted MLPClassifier or MLPRegressor, or a torch.nn.Module, got "
        f"{type(model).__name__}; of a pipeline give the last step, and X as the steps before transform it"
    )


def _is_torch_module(model: object) -> bool:
    """Return whether a model is a torch.nn.Module, without importing torch."""
    return any(c.__module__ == "torch.nn.modules.module" and c.__name__ == "Module" for c in type(model).__mro__)


def _is_perceptron(model: object) -> bool:
    """Return whether a model has the interface of scikit-learn's multi-layer perceptrons, fitted or not."""
    return hasattr(model, "hidden_layer_sizes") and hasattr(model, "activation") and hasattr(model, "predict")
