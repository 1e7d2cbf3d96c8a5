"""From the data that a user gives to checked batches."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

import fastact
from fastact.nn import _checks
from fastact.nn._types import Integer
from fastact.nn.batches import Batch, Batches, BatchStream, converted
from fastact.nn.losses import Loss
from fastact.nn.weights import ClassWeight, row_weights

if TYPE_CHECKING:
    import fastact.nn  # of which this module is a part

# X and y, with or without sample_weight; and what gives batches of those
Data = tuple[Any, Any] | tuple[Any, Any, Any]
DataBatches = Iterable[Data]

NAMES = ("X", "y", "sample_weight")


class DataReader:
    """Makes batches for a model and a loss: triples (X, targets, weights) of the model's types.

    Errors name the argument, what came and what was wanted.
    """

    def __init__(self, model: fastact.nn.Sequential, loss: Loss, class_weight: ClassWeight | None = None) -> None:
        self._model = model
        self._loss = loss
        self._class_weight = class_weight

    def arrays(
        self,
        names: tuple[str, str, str],
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int,
        rng: np.random.Generator | None = None,
    ) -> Batches:
        """Return the batches of arrays; ``names`` are what errors call the arrays."""
        X, targets, weights = self._checked(names, X, y, sample_weight)
        dtype = self._model.dtype
        return Batches(X, dtype, targets, self._loss.target_dtype(dtype), batch_size, rng=rng, weights=weights)

    def batch(
        self,
        kind: str,
        names: tuple[str, str, str],
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        may_weigh_nothing: bool = False,
    ) -> Batch:
        """Return all rows of arrays as one batch; what must be converted lies in buffers that the model has for batches
        of this ``kind``."""
        X, targets, weights = self._checked(names, X, y, sample_weight, may_weigh_nothing)
        dtype, buffers = self._model.dtype, self._model._buffers
        targets = converted(f"targets of {kind}", targets, self._loss.target_dtype(dtype), buffers)
        return converted(f"X of {kind}", X, dtype, buffers), targets, weights

    def _checked(self, names, X, y, sample_weight, may_weigh_nothing=False):
        """Return arrays that are as they should be, but for the types of X and targets."""
        model, loss = self._model, self._loss
        X, targets = model._checked_data(names[0], X, names[1], y, loss)
        weights = row_weights(
            names[2], sample_weight, self._class_weight, targets, model.out_features, loss, model.dtype,
            may_weigh_nothing,
        )  # fmt: skip
        return X, targets, weights

    def batches(
        self,
        X: ArrayLike | DataBatches,
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
            return self.arrays(NAMES, X, y, sample_weight, batch_size=batch_size, rng=rng)
        if sample_weight is not None:
            raise ValueError("sample_weight must be None with an iterable of batches: it gives (X, y, sample_weight)")
        if isinstance(self._class_weight, str):
            raise ValueError(f"class_weight must be a dict with an iterable of batches, got {self._class_weight!r}")
        steps = None if steps is None else _checks.integer("steps_per_epoch", steps)
        return self._stream("X", "batch", X, steps, epochs)

    def validation(
        self, validation_data: Data | DataBatches | None, batch_size: int, epochs: int
    ) -> Batches | BatchStream | None:
        """Return the batches of ``fit(validation_data=...)``."""
        if validation_data is None:
            return None
        if not isinstance(validation_data, tuple):
            return self._stream("validation_data", "validation batch", validation_data, None, epochs)
        if len(validation_data) not in (2, 3):
            raise ValueError(
                "validation_data must be (X, y), (X, y, sample_weight) or an iterable of those, got a tuple of "
                f"{len(validation_data)}"
            )
        names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
        return DataReader(self._model, self._loss).arrays(names, *validation_data, batch_size=batch_size)

    def _stream(self, argument, kind, data, steps, epochs):
        if not isinstance(data, Iterable) or isinstance(data, np.ndarray):
            found = f"{type(data).__name__}, and y is None" if argument == "X" else type(data).__name__
            raise ValueError(f"{argument} must be an iterable of batches where it does not come with a y, got {found}")
        stream = BatchStream(
            argument,
            data,
            steps,
            lambda number, *batch: self.batch(
                kind, tuple(f"{name} of {kind} {number}" for name in NAMES), *batch, may_weigh_nothing=True
            ),
        )
        if stream.once and epochs > 1:
            hint = " or steps_per_epoch" if argument == "X" else ""
            raise ValueError(
                f"{argument} must be iterable once an epoch, but {data!r} is used up after one of the {epochs} epochs: "
                f"give a list, an object with __iter__{hint}"
            )
        return stream
