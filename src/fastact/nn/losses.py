"""Losses: the value that training makes small, and its gradient.

A loss is a row of `LOSSES`: it checks the targets once (`prepare`) and then, batch by batch, gives the loss and
writes the gradient (`value_and_gradient`). A loss keeps no state; the buffers it needs come from the caller.

Every loss is a mean over the rows of a batch. With weights w, one a row, it is the weighted mean ::

    L = Σᵢ wᵢ lᵢ / Σᵢ wᵢ        lᵢ the loss of row i

so that only the proportions of the weights count.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact.nn import _checks, _fused
from fastact.nn._buffers import Buffers
from fastact.nn._types import Floats

LossName = Literal["softmax_cross_entropy", "binary_cross_entropy", "mse"]


class Loss:
    """What the losses have in common.

    Attributes
    ----------
    name : str
        The name that ``loss=`` takes.
    metric : str or None
        What the share of `hits` is called ("accuracy"), where the loss counts them.
    """

    name: str | None = None
    metric: str | None = None

    def prepare(self, argument: str, y: ArrayLike, rows: int, columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Check targets for outputs of shape (rows, columns) and return them as `value_and_gradient` takes them, once
        they are converted to `target_dtype`.

        ``argument`` is what error messages call the targets.
        """
        raise NotImplementedError

    def target_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type of the targets of a batch for a model of type ``dtype``."""
        return dtype

    def value_and_gradient(
        self, Y: Floats, targets: NDArray[Any], dY: Floats, buffers: Buffers, weights: Floats | None = None
    ) -> float:
        """Return the loss of a batch as a float and write its gradient ∂L/∂Y into ``dY``.

        ``weights``, of shape (rows,) and Y's dtype, make the mean over the rows a weighted one. Where they are all 0,
        so are the loss and the gradient.
        """
        raise NotImplementedError

    def hits(self, Y: Floats, targets: NDArray[Any]) -> float:
        """Return how many rows of the batch are right, for a loss with a `metric`; weights play no part in it."""
        raise NotImplementedError

    def __call__(self, Y: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, Floats]:
        """Return the loss and its gradient, for a training loop written by hand.

        Parameters
        ----------
        Y : array_like, shape (rows, columns)
            The outputs of a network; what is not float32 becomes float64.
        targets : array_like
            As the loss wants them.
        weights : array_like, shape (rows,), optional
            What each row counts in the mean: numbers of at least 0, not all 0.

        Returns
        -------
        value : float
        dY : ndarray, shape (rows, columns)
            A new array.

        Raises
        ------
        TypeError, ValueError
            Y, the targets or the weights have a wrong type, shape or value.
        """
        Y = _checks.real_array("Y", Y)
        if Y.ndim != 2 or Y.size == 0:
            raise ValueError(f"Y must have shape (rows, columns), not empty, got {Y.shape}")
        Y = np.ascontiguousarray(Y, dtype=np.float32 if Y.dtype == np.float32 else np.float64)
        rows, columns = Y.shape
        targets = self.prepare("targets", targets, rows, columns, Y.dtype)
        if weights is not None:
            weights = _checks.row_weights("weights", weights, rows, Y.dtype)
        dY = np.empty_like(Y)
        with np.errstate(all="ignore"):
            targets = targets.astype(self.target_dtype(Y.dtype))
            value = self.value_and_gradient(Y, targets, dY, Buffers(), weights)
        return value, dY

    def __reduce__(self):
        """A copy or pickle of one of this module's losses is that loss itself."""
        return self.name if LOSSES.get(self.name) is self else super().__reduce__()

    def __repr__(self):
        return f"<loss {self.name}>"


def _check_rows(argument: str, y: NDArray[Any], rows: int) -> None:
    if y.ndim == 0 or len(y) != rows:
        found = f"shape {y.shape}" if y.ndim == 0 else f"{len(y)}"
        raise ValueError(f"{argument} must have one entry for each of the {rows} rows of X, got {found}")


def _real_targets(argument: str, y: ArrayLike, rows: int, columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return targets of the shape of the outputs; for a single output a vector will do."""
    y = _checks.real_array(argument, y)
    _check_rows(argument, y, rows)
    if y.ndim == 1 and columns == 1:
        y = y[:, np.newaxis]
    if y.shape != (rows, columns):
        raise ValueError(f"{argument} must have the shape of the outputs, ({rows}, {columns}), got {y.shape}")
    _checks.finite(argument, y, dtype)
    return y


def _row_shares(weights: Floats | None, Y: Floats, buffers: Buffers) -> Floats | float:
    """Return what each row counts in the mean, wᵢ / Σw: 1 / rows, or an array of Y's type."""
    if weights is None:
        return 1.0 / len(Y)
    shares = buffers.array("row shares", len(Y), dtype=Y.dtype)
    in_float64 = buffers.array("row shares in float64", len(Y), dtype=np.float64)
    in_float64[...] = weights
    total = float(np.add.reduce(in_float64))  # of float32 it might overflow
    if total > 0.0:
        in_float64 /= total
    shares[...] = in_float64
    return shares


class SoftmaxCrossEntropy(Loss):
    """Mean over the rows of -log softmax(Y)[label], from logits.

    ::

        L = mean over rows of  log Σⱼ exp(yⱼ) - y_label
        dY = (softmax(Y) - one_hot(label)) / rows

    With the row's maximum taken off first, no logit is too large.

    Targets are integer labels of shape (rows,), each from 0 to columns - 1, or one-hot rows of shape
    (rows, columns), of any real type. The metric beside it is the accuracy: the share of rows whose largest logit
    (the first of several equal ones) is the label's.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> value, dY = nn.softmax_cross_entropy(np.array([[0.0, 0.0], [1000.0, 0.0]]), [1, 0])
    >>> round(value, 6)
    0.346574
    >>> dY
    array([[ 0.25, -0.25],
           [ 0.  ,  0.  ]])
    """

    name = "softmax_cross_entropy"
    metric = "accuracy"

    def prepare(self, argument: str, y: ArrayLike, rows: int, columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        y = _checks.real_array(argument, y)
        _check_rows(argument, y, rows)
        if y.ndim == 2 and y.shape[1] == columns:
            return self._labels_of_one_hot(argument, y)
        if y.ndim != 1:
            hint = f"; for labels in one column pass {argument}.ravel()" if y.shape[1:] == (1,) else ""
            raise ValueError(
                f"{argument} must be integer labels of shape ({rows},) or one-hot of shape ({rows}, {columns}), "
                f"got shape {y.shape}{hint}"
            )
        if y.dtype.kind == "f":
            raise TypeError(f"{argument} must hold integer labels, got dtype {y.dtype}; convert with astype(int)")
        if not _fused.are_labels(y, columns) and y.size and (y.min() < 0 or y.max() >= columns):
            row = int(np.argmax((y < 0) | (y >= columns)))
            raise ValueError(
                f"{argument} must hold labels from 0 to {columns - 1} (the model has {columns} outputs), "
                f"but {argument}[{row}] is {y[row]}"
            )
        return y

    @staticmethod
    def _labels_of_one_hot(argument: str, y: NDArray[Any]) -> NDArray[np.intp]:
        labels = y.argmax(axis=1)
        one_hot = (np.count_nonzero(y, axis=1) == 1) & (y[np.arange(len(y)), labels] == 1)
        if not one_hot.all():
            row = int(np.argmin(one_hot))
            raise ValueError(f"{argument} must be one-hot (a single 1 in each row), but {argument}[{row}] is {y[row]}")
        return labels

    def target_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(np.intp)

    def value_and_gradient(
        self, Y: Floats, targets: NDArray[Any], dY: Floats, buffers: Buffers, weights: Floats | None = None
    ) -> float:
        return _fused.softmax_cross_entropy(Y, targets, dY, _row_shares(weights, Y, buffers))

    def hits(self, Y: Floats, targets: NDArray[Any]) -> float:
        return _fused.hits(Y, targets)


class MeanSquaredError(Loss):
    """Mean over all elements of (Y - T)².

    ::

        L = mean (y - t)²
        dY = 2 (Y - T) / (rows · columns)

    Targets T are real numbers of the shape of Y; for a model with one output a vector of shape (rows,) will do.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> value, dY = nn.mse(np.array([[1.0], [3.0]]), [1.0, 1.0])
    >>> value
    2.0
    >>> dY
    array([[0.],
           [2.]])
    """

    name = "mse"

    def prepare(self, argument: str, y: ArrayLike, rows: int, columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        return _real_targets(argument, y, rows, columns, dtype)

    def value_and_gradient(
        self, Y: Floats, targets: NDArray[Any], dY: Floats, buffers: Buffers, weights: Floats | None = None
    ) -> float:
        return _fused.mean_squared_error(Y, targets, dY, _row_shares(weights, Y, buffers))


class BinaryCrossEntropy(Loss):
    """Mean over all elements of the cross-entropy of sigmoid(Y) and the targets, from logits.

    ::

        L = mean  -t log sigmoid(y) - (1 - t) log(1 - sigmoid(y))
          = mean  y (h - t) + log(1 + exp(-|y|))        h = 1 for y > 0, else 0
        dY = (sigmoid(Y) - T) / (rows · columns)

    Both terms of the second form are at least 0 and neither overflows, so no logit is too large.

    Targets T are numbers in [0, 1] of the shape of Y; for a model with one output a vector of shape (rows,) will do.
    Each column is a question of its own: several may be answered yes. The metric beside it is the accuracy: the share
    of elements with y > 0 where t > 0.5, and y <= 0 elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> value, dY = nn.binary_cross_entropy(np.array([[0.0], [1000.0]]), [1, 1])
    >>> round(value, 6)
    0.346574
    >>> dY
    array([[-0.25],
           [ 0.  ]])
    """

    name = "binary_cross_entropy"
    metric = "accuracy"

    def prepare(self, argument: str, y: ArrayLike, rows: int, columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        targets = _real_targets(argument, y, rows, columns, dtype)
        if targets.size and (targets.min() < 0 or targets.max() > 1):
            row, column = np.argwhere((targets < 0) | (targets > 1))[0]
            raise ValueError(
                f"{argument} must lie in [0, 1], but the target of row {row}, output {column} is {targets[row, column]}"
            )
        return targets

    def value_and_gradient(
        self, Y: Floats, targets: NDArray[Any], dY: Floats, buffers: Buffers, weights: Floats | None = None
    ) -> float:
        return _fused.binary_cross_entropy(Y, targets, dY, _row_shares(weights, Y, buffers))

    def hits(self, Y: Floats, targets: NDArray[Any]) -> float:
        return _fused.binary_hits(Y, targets) / Y.shape[1]


softmax_cross_entropy = SoftmaxCrossEntropy()
binary_cross_entropy = BinaryCrossEntropy()
mse = MeanSquaredError()

LOSSES = {loss.name: loss for loss in (softmax_cross_entropy, binary_cross_entropy, mse)}


def get(loss: LossName | Loss) -> Loss:
    """Return a loss by name; a `Loss` is returned as it is."""
    return loss if isinstance(loss, Loss) else _checks.choose("loss", loss, LOSSES)


def total_weight(rows: int, weights: Floats | None) -> float:
    """Return what a batch counts in the mean: its rows, or the sum of their weights."""
    return float(rows) if weights is None else float(np.add.reduce(weights, dtype=np.float64))


class Means:
    """Means of the loss and the metric over batches.

    A batch's loss counts by its rows, or by the sum of their weights; its hits count by its rows. ``sums`` has the sums
    of loss · weight, weight, hits and rows.
    """

    def __init__(self, metric: str | None) -> None:
        self._metric = metric
        self.sums = [0.0, 0.0, 0.0, 0.0]

    def add(self, loss: float, hits: float, rows: int, weights: Floats | None) -> None:
        """Add a batch."""
        weight, sums = total_weight(rows, weights), self.sums
        sums[0] += loss * weight
        sums[1] += weight
        sums[2] += hits
        sums[3] += rows

    def add_sums(self, sums: Sequence[float]) -> None:
        """Add batches of another process, by its ``sums``."""
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)]

    def result(self) -> dict[str, float]:
        """Return the means by name: "loss", and the metric if there is one."""
        loss, weight, hits, rows = self.sums
        if weight == 0.0:
            raise ValueError("class_weight and sample_weight must not make the weights of all rows 0")
        return {"loss": loss / weight} | ({self._metric: hits / rows} if self._metric else {})
