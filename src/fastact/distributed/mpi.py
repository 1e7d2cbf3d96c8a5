"""Data-parallel training over MPI: each rank works on its own rows, and gradients are added up over all ranks.

A step costs one ``Allreduce``, in place, of the memory in which all gradients lie. Three numbers travel with them: in
how many ranks the loss is not finite, in how many the next batch could not be had, and the weight of the next step's
rows, by which each rank scales its part of that step before the backward pass. So every rank knows before it changes a
weight whether all may.
"""

from __future__ import annotations

import contextlib
import math
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastact.nn import _checks
from fastact.nn._strategy import STATUS_SIZE, Strategy
from fastact.nn._types import Floats
from fastact.nn.batches import Batch
from fastact.nn.losses import Means, total_weight

# raised in all ranks as in the one that it comes from; anything else is a RuntimeError in the others
SHARED_ERRORS = (TypeError, ValueError, FloatingPointError, MemoryError, OSError, FileNotFoundError, PermissionError)


def strategy(comm: Any) -> Strategy:
    """Return how the ranks of a communicator of mpi4py train together."""
    MPI = _checks.extra("mpi4py.MPI", "mpi")
    if not isinstance(comm, MPI.Intracomm):
        raise TypeError(f"comm must be a communicator of mpi4py, such as MPI.COMM_WORLD, got {comm!r}")
    return Ranks(comm, MPI) if comm.size > 1 else Strategy()


class Ranks(Strategy):
    """The ranks of a communicator, seen from one of them."""

    def __init__(self, comm: Any, MPI: Any) -> None:
        self._comm = comm
        self._in_place = MPI.IN_PLACE
        self.rank: int = comm.rank
        self.size: int = comm.size
        self._agreed: BaseException | None = None  # the error that all ranks raise
        self._batches: Iterator[Batch] = iter(())
        self._batch: Batch | None = None  # the next one, and the weight of its rows here and in all ranks
        self._weight = self._total = 0.0
        self._gradients: Floats = np.zeros(0)
        self._failure: Exception | None = None  # in place of the next batch, and whether there is one in any rank
        self._failed = False

    @contextlib.contextmanager
    def shared_errors(self) -> Iterator[None]:
        error = None
        try:
            yield
        except Exception as caught:
            error = caught
        self._raise_in_all(error)

    def _raise_in_all(self, error):
        """Raise an error that at least one rank has, in all of them; every rank calls this."""
        found = self._comm.allgather(None if error is None else (type(error), f"{type(error).__name__}: {error}"))
        for rank, other in enumerate(found):
            if other is not None:
                kind = other[0] if other[0] in SHARED_ERRORS else RuntimeError
                self._agreed = error or kind(f"rank {rank} of {self.size} ended the training with {other[1]}")
                raise self._agreed

    @contextlib.contextmanager
    def abort_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if error is not self._agreed:  # the other ranks know nothing of it, and would wait for ever
                print(
                    f"{traceback.format_exc()}fastact: rank {self.rank} of {self.size} raised {type(error).__name__} "
                    "in training, which ends the job; fit(resume_from=path) goes on from its last Checkpoint",
                    file=sys.stderr,
                    flush=True,
                )
                self._comm.Abort(1)
            raise

    def check_same(self, arguments: Callable[[], dict[str, Any]]) -> None:
        first, *others = self._comm.allgather(arguments())
        for rank, other in enumerate(others, start=1):
            for name, value in first.items():
                if other[name] != value:
                    self._agreed = ValueError(
                        f"{name} must be the same in all ranks, but rank 0 has {value} and rank {rank} has "
                        f"{other[name]}"
                    )
                    raise self._agreed

    def local_batch_size(self, batch_size: int) -> int:
        if batch_size < self.size:
            raise ValueError(f"batch_size, the rows of all ranks, must be at least {self.size}, got {batch_size}")
        return batch_size // self.size + (self.rank < batch_size % self.size)

    def shuffler(self, rng: np.random.Generator) -> Any:
        return _Order(rng, self.rank)

    def broadcast(self, value: Any) -> Any:
        return self._comm.bcast(value)

    def any(self, flag: bool) -> bool:
        return any(self._comm.allgather(flag))

    def start(self, model: Any) -> None:
        super().start(model)
        self._gradients = model._contiguous_gradients()
        parameters, optimizer = model.parameters(), self.optimizer
        for parameter in parameters:
            self._comm.Bcast(parameter.value)
        first = self.broadcast((
            (optimizer.state, optimizer.steps) if optimizer._knows(parameters) else None,
            [layer.needs_batch for layer in model.layers],
            model._rng.bit_generator.state,
        ))
        if self.rank:
            if first[0] is None:
                optimizer._start(parameters)
            else:
                optimizer.restore(parameters, *first[0])
            for layer, needs_batch in zip(model.layers, first[1], strict=True):
                layer.needs_batch = needs_batch
            model._rng.bit_generator.state = first[2]

    def steps(self, batches: Any) -> Iterator[Any]:
        self._batches, self._failure = iter(batches), None
        self._fetch()
        status = np.array([self._failure is not None, self._weight])
        self._comm.Allreduce(self._in_place, status)
        self._failed, self._total = bool(status[0]), float(status[1])
        while self._total > 0.0 and not self._failed:
            yield self._batch
        if self._failed:
            self._raise_in_all(self._failure)

    def _fetch(self):
        self._batch, self._weight = None, 0.0
        if self._failure is None:
            try:
                self._batch = next(self._batches, None)
            except Exception as error:
                self._failure = error
        if self._batch is not None:
            self._weight = total_weight(len(self._batch[0]), self._batch[2])

    def scale_fresh_layers(self, model: Any, batch: Batch | None) -> None:
        fresh = [layer for layer in model.layers if layer.needs_batch]
        if fresh:
            root = self._comm.allgather(batch is None).index(False)
            if self.rank == root and batch is not None:
                model._scale_fresh_layers(batch[0])
            for layer in fresh:
                layer.W = self._comm.bcast(layer.W, root)

    def train_step(
        self, model: Any, batch: Batch | None, parameters: Any, hooks: Any, means: Means, place: tuple[int, int]
    ) -> None:
        gradients, error = self._gradients, None
        if batch is None:
            gradients.fill(0)
        else:
            X, targets, weights = batch
            value, hits, dY = model._loss_and_gradient(X, targets, self.loss, weights)
            if math.isfinite(value):
                np.multiply(dY, self._weight / self._total, out=dY)
                model._backward(dY, hooks)
                means.add(value, hits, len(X), weights)
            else:
                error = model._diverged(f"the loss is {value} at epoch {place[0]}, batch {place[1]}")
                gradients.fill(0)
        self._fetch()  # now that the backward pass has read the batch, which the next one overwrites
        status = gradients[-STATUS_SIZE:]
        status[...] = error is not None, self._failure is not None, self._weight
        self._comm.Allreduce(self._in_place, gradients)
        not_finite, failed, total = status.tolist()
        if not_finite:
            self._raise_in_all(error)
        self._failed, self._total = bool(failed), total
        self.optimizer.step(parameters)

    def evaluate(self, model: Any, batches: Any) -> Means:
        with self.shared_errors():
            means = model._means(batches, self.loss)
        return self.total(means)

    def total(self, means: Means) -> Means:
        sums = np.array(means.sums)
        self._comm.Allreduce(self._in_place, sums)
        means.sums = sums.tolist()
        return means


class _Order:
    """Shuffles the rows of a rank: every rank draws the same number from the model's generator, and its own order
    from that and its rank. So the generator's state, which a checkpoint holds, is the same in all."""

    def __init__(self, rng, rank):
        self._rng = rng
        self._rank = rank

    def shuffle(self, order):
        seed = int(self._rng.integers(2**63))
        np.random.default_rng([seed, self._rank]).shuffle(order)
