"""The processes that train one model together, as `Sequential.fit` sees them. Here: one process, which is alone."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Alone:
    """What `fit` asks of the processes of a training, where there is but one. Others override what is more work."""

    rank = 0

    def agree(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context manager: what is raised within it, in any process, is raised in all."""
        return contextlib.nullcontext()

    def whole_job(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context manager for the training: an error that ends it here ends it everywhere."""
        return contextlib.nullcontext()

    def check_same(self, arguments: Callable[[], dict[str, Any]]) -> None:
        """Refuse arguments of `fit`, by their names, in which the processes differ."""

    def rows(self, batch_size: int) -> int:
        """Return this process's part of a batch."""
        return batch_size

    def order(self, rng: np.random.Generator | None) -> Any:
        """Return what shuffles this process's rows, for a model's generator; None for none."""
        return rng

    def of_first(self, value: Any) -> Any:
        """Return the value that the first process has."""
        return value

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        return flag

    def start(self, model: Any) -> None:
        """Note what this `fit` trains with, which a callback may replace in the model; give all processes the same
        weights, optimiser and generator."""
        self.loss, self.optimizer = model.loss, model.optimizer

    def steps(self, batches: Any) -> Iterator[Any]:
        """Yield the batches of an epoch for `train_step`; None for a step that is taken without rows of this process.
        """
        return iter(batches)

    def scale_fresh_layers(self, model: Any, batch: Any) -> None:
        """Finish the initialisation of the layers that waited for a batch."""
        model._scale_fresh_layers(batch[0])

    def train_step(
        self, model: Any, batch: Any, parameters: Any, watches: Any, means: Any, place: tuple[int, int]
    ) -> None:
        """Take a step and count its loss in ``means``; ``place``, epoch and batch, is for the error if it is not
        finite."""
        X, targets, weights = batch
        value, right = model._train_step(X, targets, self.loss, self.optimizer, parameters, weights, watches)
        if not math.isfinite(value):
            raise model._diverged(f"the loss is {value} at epoch {place[0]}, batch {place[1]}")
        means.add(value, right, len(X), weights)

    def total(self, means: Any) -> Any:
        """Return the means over the batches of all processes."""
        return means

    def evaluate(self, model: Any, batches: Any) -> Any:
        """Return the means of the model's loss over batches."""
        return self.total(model._means(batches, self.loss))
