"""How much each row counts in the loss."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact.nn import _checks
from fastact.nn._types import Floats, Integer, Real
from fastact.nn.losses import Loss

ClassWeight = Mapping[Integer, Real] | Literal["balanced"]


def row_weights(
    argument: str,
    sample_weight: ArrayLike | None,
    class_weight: ClassWeight | None,
    targets: NDArray[Any],
    columns: int,
    loss: Loss,
    dtype: np.dtype[Any],
    may_weigh_nothing: bool = False,
) -> Floats | None:
    """Return the weight of each row, sample_weight times the weight of its class, or None where all are 1.

    Parameters
    ----------
    argument : str
        What error messages call ``sample_weight``.
    sample_weight : array_like of shape (rows,), or None
        At least 0 and finite, and not all 0.
    class_weight : dict of int to float, "balanced" or None
        Label -> weight; a label that is not named has 1. "balanced" is rows / (classes · rows of the class), over the
        classes that there are.
    targets : ndarray
        As `Loss.prepare` returns them.
    columns : int
        Outputs of the model.
    loss : Loss
    dtype : numpy.dtype
        Of the result, which may be ``sample_weight`` itself.
    may_weigh_nothing : bool, optional
        Whether the weights may all be 0.

    Raises
    ------
    TypeError, ValueError
        A weight is negative or not finite, all are 0, the shape is wrong, or the loss has no classes.
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = 1.0
    if sample_weight is not None:
        weights = _checks.row_weights(argument, sample_weight, len(targets), dtype, may_weigh_nothing)
    if class_weight is not None:
        weights = weights * _of_classes(class_weight, *_labels(targets, columns, loss))
        product = "class_weight" if sample_weight is None else f"class_weight times {argument}"
        weights = _checks.row_weights(product, weights, len(targets), dtype, may_weigh_nothing)
    return weights


def _labels(targets, columns, loss):
    """Return the class of each row, and how many classes the model knows."""
    if loss.name == "softmax_cross_entropy":
        return targets.astype(np.intp), columns
    if loss.name == "binary_cross_entropy" and columns == 1:
        labels = targets[:, 0].astype(np.intp)
        if (labels == targets[:, 0]).all():
            return labels, 2
        raise ValueError("class_weight needs classes, but y holds numbers between 0 and 1")
    raise ValueError(
        "class_weight needs the loss 'softmax_cross_entropy', or 'binary_cross_entropy' and a model with one output; "
        f"got the loss {loss.name!r} and {columns} outputs"
    )


def _of_classes(class_weight, labels, classes):
    """Return the weight of each label."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(labels, minlength=classes)
        return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[labels]
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be a dict of label to weight, 'balanced' or None, got {class_weight!r}")
    table = np.ones(classes)
    for label, weight in class_weight.items():
        if _checks.integer("a label of class_weight", label, least=0) >= classes:
            raise ValueError(f"class_weight must have labels from 0 to {classes - 1}, got {label}")
        table[label] = _checks.number(f"class_weight[{label}]", weight)
    return table[labels]
