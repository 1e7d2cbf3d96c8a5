"""How the work of `Sequential.fit` is spread over processes. Here: one process does all of it."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# Elements behind the gradients in memory, in which the ranks of MPI send each other more in the same Allreduce.
STATUS_SIZE = 3


class Strategy:
    """What `fit` asks of the processes that train one model, answered for a single one; `mpi.Ranks` and `dask.Cluster`
    override what is more work for several."""

    rank = 0

    def shared_errors(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context manager: what is raised within it, in any process, is raised in all."""
        return contextlib.nullcontext()

    def abort_on_error(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context manager for the training: an error that ends it here ends it in all processes."""
        return contextlib.nullcontext()

    def check_same(self, arguments: Callable[[], dict[str, Any]]) -> None:
        """Refuse arguments of `fit`, by their names, in which the processes differ."""

    def local_batch_size(self, batch_size: int) -> int:
        """Return how many rows of a batch are this process's."""
        return batch_size

    def shuffler(self, rng: np.random.Generator) -> Any:
        """Return what shuffles this process's rows, given the model's generator: an object with its ``shuffle``."""
        return rng

    def broadcast(self, value: Any) -> Any:
        """Return the value that the first process has."""
        return value

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        return flag

    def start(self, model: Any) -> None:
        """Keep the loss and the optimiser of this `fit`, which a callback may replace in the model; give all processes
        the same weights, optimiser and generator."""
        self.loss, self.optimizer = model.loss, model.optimizer

    def steps(self, batches: Any) -> Iterator[Any]:
        """Yield the batches of an epoch for `train_step`; None for a step that is taken without rows of this process.
        """
        return iter(batches)

    def scale_fresh_layers(self, model: Any, batch: Any) -> None:
        """Finish the initialisation of the layers that waited for a batch."""
        model._scale_fresh_layers(batch[0])

    def train_step(
        self, model: Any, batch: Any, parameters: Any, hooks: Any, means: Any, place: tuple[int, int]
    ) -> None:
        """Take a step and add its loss to ``means``. ``place``, the numbers of epoch and batch, is for the error where
        the loss is not finite."""
        X, targets, weights = batch
        value, hits = model._train_step(X, targets, self.loss, self.optimizer, parameters, weights, hooks)
        if not math.isfinite(value):
            raise model._diverged(f"the loss is {value} at epoch {place[0]}, batch {place[1]}")
        means.add(value, hits, len(X), weights)

    def total(self, means: Any) -> Any:
        """Return the means over the batches of all processes."""
        return means

    def evaluate(self, model: Any, batches: Any) -> Any:
        """Return the means of the model's loss over batches."""
        return self.total(model._means(batches, self.loss))
