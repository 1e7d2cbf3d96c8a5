"""From the data that a user gives to checked batches."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

import fastact
from fastact.nn import _checks
from fastact.nn._types import Floats, Integer, Real
from fastact.nn.batches import Batch, Batches, BatchStream
from fastact.nn.losses import Loss

if TYPE_CHECKING:
    import fastact.nn  # of which this module is a part

# X and y, with or without sample_weight; and what gives batches of those
Data = tuple[Any, Any] | tuple[Any, Any, Any]
DataBatches = Iterable[Data]
ClassWeight = Mapping[Integer, Real] | Literal["balanced"]
Names = tuple[str, str, str]  # what errors call X, y and sample_weight

NAMES: Names = ("X", "y", "sample_weight")


class DataReader:
    """Makes batches for a model and a loss: triples (X, targets, weights) of the model's types.

    The weight of a row is its sample_weight times the weight of its class; where all are 1, the weights are None.
    ``class_weight`` has weights by label, 1 for a label that it does not name; "balanced" is rows / (classes · rows of
    the class), over the classes that there are.
    """

    def __init__(self, model: fastact.nn.Sequential, loss: Loss, class_weight: ClassWeight | None = None) -> None:
        self._model = model
        self._loss = loss
        self._class_weight = class_weight

    def arrays(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int,
        rng: np.random.Generator | None = None,
        names: Names = NAMES,
    ) -> Batches:
        """Return the batches of arrays."""
        X, targets, weights = self.checked(X, y, sample_weight, names)
        dtype = self._model.dtype
        return Batches(X, dtype, targets, self._loss.target_dtype(dtype), batch_size, rng=rng, weights=weights)

    def batch(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        kind: str = "step",
        names: Names = NAMES,
        allow_zero_sum: bool = False,
    ) -> Batch:
        """Return all rows of arrays as one batch; what must be converted lies in buffers that the model has for batches
        of this ``kind``."""
        X, targets, weights = self.checked(X, y, sample_weight, names, allow_zero_sum)
        dtype, buffers = self._model.dtype, self._model._buffers
        targets = buffers.converted(f"targets of {kind}", targets, self._loss.target_dtype(dtype))
        return buffers.converted(f"X of {kind}", X, dtype), targets, weights

    def checked(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        names: Names = NAMES,
        allow_zero_sum: bool = False,
    ) -> Batch:
        """Return arrays that are as they should be, but for the types of X and targets.

        ``allow_zero_sum`` lets the weights of all rows be 0.
        """
        X = self._model._checked_input(names[0], X)
        targets = self._loss.prepare(names[1], y, len(X), self._model.out_features, self._model.dtype)
        return X, targets, self._weights(names[2], sample_weight, targets, allow_zero_sum)

    def _weights(
        self, argument: str, sample_weight: ArrayLike | None, targets: NDArray[Any], allow_zero_sum: bool
    ) -> Floats | None:
        rows, dtype = len(targets), self._model.dtype
        weights = None
        if sample_weight is not None:
            weights = _checks.row_weights(argument, sample_weight, rows, dtype, allow_zero_sum)
        if self._class_weight is None:
            return weights
        product = self._weights_of_classes(targets)
        if weights is None:
            argument = "class_weight"
        else:
            with np.errstate(over="ignore"):  # an infinite weight is refused below
                product *= weights
            argument = f"class_weight times {argument}"
        return _checks.row_weights(argument, product, rows, dtype, allow_zero_sum)

    def _weights_of_classes(self, targets):
        """Return the weight of each row's class."""
        labels, classes = self._labels(targets)
        class_weight = self._class_weight
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

    def _labels(self, targets):
        """Return the class of each row, and how many classes the model knows."""
        loss, columns = self._loss, self._model.out_features
        if loss.name == "softmax_cross_entropy":
            return targets.astype(np.intp), columns
        if loss.name == "binary_cross_entropy" and columns == 1:
            labels = targets[:, 0].astype(np.intp)
            if (labels == targets[:, 0]).all():
                return labels, 2
            raise ValueError("class_weight needs classes, but y holds numbers between 0 and 1")
        raise ValueError(
            "class_weight needs the loss 'softmax_cross_entropy', or 'binary_cross_entropy' and a model with one "
            f"output; got the loss {loss.name!r} and {columns} outputs"
        )

    def batches(
        self,
        X: Any,  # ArrayLike, or DataBatches where y is None
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        batch_size: int,
        rng: np.random.Generator | None = None,
        steps: Integer | None = None,
        epochs: int = 1,
    ) -> Batches | BatchStream:
        """Return the batches of the arrays X and y, or of the iterable X where y is None."""
        if y is not None:
            if steps is not None:
                raise ValueError("steps_per_epoch is for an iterable of batches; arrays have batch_size")
            return self.arrays(X, y, sample_weight, batch_size=batch_size, rng=rng)
        if sample_weight is not None:
            raise ValueError("sample_weight must be None with an iterable of batches: it gives (X, y, sample_weight)")
        if isinstance(self._class_weight, str):
            raise ValueError(f"class_weight must be a dict with an iterable of batches, got {self._class_weight!r}")
        steps = None if steps is None else _checks.integer("steps_per_epoch", steps)
        return self._stream("X", "batch", X, steps, epochs)

    def validation(
        self, validation_data: Data | DataBatches | None, batch_size: int, epochs: int
    ) -> Batches | BatchStream | None:
        """Return the batches of ``fit(validation_data=...)``, in which class_weight plays no part."""
        if validation_data is None:
            return None
        reader = DataReader(self._model, self._loss)
        if not isinstance(validation_data, tuple):
            return reader._stream("validation_data", "validation batch", validation_data, None, epochs)
        if len(validation_data) not in (2, 3):
            raise ValueError(
                "validation_data must be (X, y), (X, y, sample_weight) or an iterable of those, got a tuple of "
                f"{len(validation_data)}"
            )
        names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
        return reader.arrays(*validation_data, batch_size=batch_size, names=names)

    def _stream(self, argument, kind, data, steps, epochs):
        """Return the batches of an iterable that errors call ``argument``, and its items ``kind`` and a number."""
        if not isinstance(data, Iterable) or isinstance(data, np.ndarray):
            found = f"{type(data).__name__}, and y is None" if argument == "X" else type(data).__name__
            raise ValueError(f"{argument} must be an iterable of batches where it does not come with a y, got {found}")

        def check(number, X, y, sample_weight):
            names = tuple(f"{name} of {kind} {number}" for name in NAMES)
            return self.batch(X, y, sample_weight, kind, names, allow_zero_sum=True)

        stream = BatchStream(argument, data, steps, check)
        if stream.single_pass and epochs > 1:
            hint = " or steps_per_epoch" if argument == "X" else ""
            raise ValueError(
                f"{argument} must be iterable once an epoch, but {data!r} is used up after one of the {epochs} epochs: "
                f"give a list, an object with __iter__{hint}"
            )
        return stream
