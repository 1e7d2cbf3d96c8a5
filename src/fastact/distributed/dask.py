"""Data-parallel training on a cluster of Dask: workers return gradients of their chunks, this process adds them up.

A step is one task for each chunk: its share of the batch's rows, forward and backward, with the present weights. The
chunks stay with the workers. The gradients are summed in the chunks' order, so a result does not depend on which
worker worked on what, nor on how many there were. What a lost worker had, Dask computes again.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import math
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastact import runtime
from fastact.nn import _checks, losses, optimizers, storage
from fastact.nn._strategy import STATUS_SIZE, Strategy
from fastact.nn._types import Integer
from fastact.nn.batches import Batches
from fastact.nn.callbacks import Callback, lock_checkpoints, prepare_callbacks
from fastact.nn.data import DataReader
from fastact.nn.history import History
from fastact.nn.losses import Loss, LossName, Means
from fastact.nn.optimizers import Optimizer, OptimizerName

if TYPE_CHECKING:
    import fastact.nn

PATIENCE = 30.0  # seconds of waiting for a step, after which to see whether there is a worker


def fit(
    model: fastact.nn.Sequential,
    X: Any,
    y: Any,
    *,
    loss: LossName | Loss,
    optimizer: OptimizerName | Optimizer,
    epochs: Integer = 1,
    batch_size: Integer = 4096,
    validation_data: tuple[Any, ...] | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    callbacks: Iterable[Callback] = (),
    resume_from: str | os.PathLike[str] | None = None,
    progress: bool = False,
    client: Any = None,
) -> History:
    """Train a network on a cluster of Dask.

    Each worker has chunks of the data and works out their part of the gradient; this process adds the parts up, in the
    chunks' order, and takes the step. So a result does not depend on the workers. Workers may join, and those that are
    lost are made up for by the others.

    Parameters
    ----------
    model : nn.Sequential
        Is trained in place.
    X : dask.array.Array of real numbers, shape (rows, in_features)
        Every step makes a task of each chunk of rows, so let there be one, or a few, a worker: ``X.rechunk``. The data
        are computed once and stay with the workers, who put on disk what does not fit into their memory.
    y, sample_weight : dask.array.Array
        As `nn.Sequential.fit` takes them.
    batch_size : int, optional
        Rows in a step, of which every chunk has its share: at most so many. A step costs Dask some milliseconds,
        whatever its size.
    shuffle : bool, optional
        Take the rows of each chunk in a new order each epoch.
    validation_data : (X, y) or (X, y, sample_weight), optional
        Dask arrays, for the workers to evaluate, or arrays of NumPy.
    loss, optimizer, epochs, callbacks, resume_from, progress
        As `nn.Sequential.fit` takes them. Callbacks run in this process, which also writes the checkpoints; one that
        wants to see the backward pass, as `fastact.diagnostics.Monitor` does, is refused: that is elsewhere.
    client : distributed.Client, optional
        The cluster. By default the one that is connected, and without one a ``LocalCluster`` of threads in this
        process, for the time of the training.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        An argument has a wrong type, shape or value; nothing has been changed. The message names the chunk and the
        place in it.
    RuntimeError
        The cluster has lost its scheduler, or a task more workers than it allows.
    FloatingPointError, ImportError, OSError
        As of `nn.Sequential.fit`; ImportError also without Dask: ``pip install "fastact[dask]"``.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastact import distributed, nn
    >>> X = da.random.default_rng(0).standard_normal((1000, 2), chunks=(250, 2))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> model = nn.Sequential([nn.Dense(2, 16, activation="tanh"), nn.Dense(16, 2)], seed=0)
    >>> history = distributed.fit(model, X, y, loss="softmax_cross_entropy", optimizer=nn.Adam(0.1), epochs=10,
    ...                           batch_size=250)
    >>> history["accuracy"][-1] > 0.9
    True
    """
    distributed = _checks.extra("distributed", "dask")
    loss = losses.get(loss)
    optimizer = optimizers.get(optimizer)
    epochs = _checks.integer("epochs", epochs)
    batch_size = _checks.integer("batch_size", batch_size)
    rng = model._rng if _checks.boolean("shuffle", shuffle) else None
    data = _Chunks(("X", "y", "sample_weight"), (X, y, sample_weight), model)
    validation = _validation(validation_data, model, loss, batch_size, epochs)
    validated = validation is not None
    callbacks = prepare_callbacks(callbacks, loss, validated, epochs)
    stored = None if resume_from is None else storage.read(resume_from, "resume_from")
    if stored is not None:
        stored.check(model, loss, optimizer, epochs, validated)
    config = _checks.extra("dask", "dask").config
    no_warning = config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})  # of weights in a task
    with no_warning, _connected(client, distributed) as client, lock_checkpoints(callbacks):
        cluster = Cluster(client, model, loss, data, validation, rng)
        steps = range(-(-sum(data.rows) // batch_size))
        model._begin(cluster, loss, optimizer, callbacks, stored)
        del stored  # the second model in memory
        return model._train(cluster, steps, validation, loss, epochs, callbacks, progress)


def _validation(validation_data, model, loss, batch_size, epochs):
    if not (isinstance(validation_data, tuple) and len(validation_data) in (2, 3) and _is_dask(validation_data[0])):
        return DataReader(model, loss).validation(validation_data, batch_size, epochs)
    names = tuple(f"validation_data[{index}]" for index in range(3))
    return _Chunks(names, (*validation_data, None)[:3], model)


@contextlib.contextmanager
def _connected(client, distributed):
    """Yield a client: the one given, the one that is connected, or that of a cluster for the time of the block."""
    if client is None:
        with contextlib.suppress(ValueError):
            client = distributed.get_client()
    if client is not None:
        if not isinstance(client, distributed.Client) or client.asynchronous:
            raise TypeError(f"client must be a distributed.Client that is not asynchronous, got {client!r}")
        yield client
        return
    threads = runtime._processors()
    with (
        runtime._one_blas_thread(),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=threads, processes=False, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def _is_dask(array):
    return hasattr(array, "__dask_graph__") and hasattr(array, "chunks")


class _Chunks:
    """X, targets and the rows' weights as Dask's arrays with the same chunks of rows, each of all columns."""

    def __init__(self, names: tuple[str, ...], arrays: tuple[Any, ...], model: fastact.nn.Sequential) -> None:
        for name, array in zip(names, arrays, strict=True):
            if not (_is_dask(array) or (array is None and array is arrays[2])):
                raise TypeError(
                    f"{name} must be a dask.array.Array, got {type(array).__name__}; dask.array.from_array makes one"
                )
        X = arrays[0]
        if X.ndim != 2 or X.shape[1] != model.in_features:
            raise ValueError(f"{names[0]} must have shape (rows, {model.in_features}), got {X.shape}")
        for name, array in zip(names, arrays, strict=True):
            if array is not None and (array.ndim == 0 or math.isnan(array.shape[0])):
                raise ValueError(f"{name} must have a known number of rows, got {array.shape}: compute_chunk_sizes()")
            if array is not None and array.shape[0] != X.shape[0]:
                raise ValueError(f"{name} must have one entry for each of the {X.shape[0]} rows of {names[0]}, got "
                                 f"{array.shape[0]}")  # fmt: skip
        if X.shape[0] == 0:
            raise ValueError(f"{names[0]} must have at least one row, got shape {X.shape}")
        self._names = names
        self._arrays = [
            array if array is None else array.rechunk({0: X.chunks[0]} | dict.fromkeys(range(1, array.ndim), -1))
            for array in arrays
        ]
        self.rows: tuple[int, ...] = X.chunks[0]
        self.futures: list[Any] = []

    def prepare(self, client: Any, network: Any, loss: Loss) -> None:
        """Have the workers compute the chunks, check and convert them, and keep the result."""
        import distributed
        from dask.core import flatten

        columns = []
        for array in client.persist([array for array in self._arrays if array is not None]):
            futures = {future.key: future for future in distributed.futures_of(array)}
            columns.append([futures[key] for key in flatten(array.__dask_keys__())])
        if len(columns) == 2:
            columns.append([None] * len(self.rows))
        names = [tuple(f"chunk {chunk} of {name}" for name in self._names) for chunk in range(len(self.rows))]
        self.futures = client.map(_prepared, names, *columns, network=network, loss=loss, pure=False)
        _gathered(client, self.futures, keep=True)


class Cluster(Strategy):
    """The workers of a cluster, as `nn.Sequential._train` sees them: they work out what this process adds up."""

    def __init__(
        self, client: Any, model: fastact.nn.Sequential, loss: Loss, data: _Chunks, validation: Any,
        rng: np.random.Generator | None,
    ) -> None:
        self._client = client
        self._rng = rng
        # a copy without optimiser, history and buffers, for which the workers have no use
        self._network = client.submit(_identity, model.astype(model.dtype), pure=False)
        self._data = data
        self._starts = [0, *itertools.accumulate(data.rows)]  # of the chunks
        for chunks in (data, validation):
            if isinstance(chunks, _Chunks):
                chunks.prepare(client, self._network, loss)
        self._seed: int | None = None
        self._steps = 0

    def start(self, model: Any) -> None:
        super().start(model)
        self._gradients = model._contiguous_gradients()[:-STATUS_SIZE]

    def steps(self, batches: Any) -> Iterator[int]:
        self._seed = None if self._rng is None else int(self._rng.integers(2**63))
        self._steps = len(batches)
        return iter(batches)

    def _part(self, chunk, step):
        """Return a chunk's rows of a step.

        Row i of all chunks, counted from the first one's, is in step i modulo the number of steps. So a step has no
        more rows than a batch, and each chunk its share of them.
        """
        start, stop = self._starts[chunk : chunk + 2]

        def rows_before(index):
            return _rows_before(stop, index, self._steps) - _rows_before(start, index, self._steps)

        return _Part(chunk, self._seed, rows_before(step), rows_before(step + 1))

    def scale_fresh_layers(self, model: Any, batch: int) -> None:
        if any(layer.needs_batch for layer in model.layers):
            chunk = next(c for c in range(len(self._data.rows)) if self._part(c, batch))
            rows = self._client.submit(_rows_of, self._part(chunk, batch), self._data.futures[chunk], pure=False)
            model._scale_fresh_layers(_gathered(self._client, [rows])[0][0])

    def train_step(
        self, model: Any, batch: int, parameters: Any, hooks: Any, means: Means, place: tuple[int, int]
    ) -> None:
        if hooks:
            raise ValueError(
                "callbacks must not watch the backward pass, as diagnostics.Monitor does: it is on the workers of Dask"
            )
        parts = [part for chunk in range(len(self._data.rows)) if (part := self._part(chunk, batch))]
        results = self._results(_gradient, model, self._data, parts, place)
        weight = sum(sums[1] for _, sums in results)
        for _, sums in results:
            means.add_sums(sums)
        if weight > 0.0:
            self._gradients.fill(0)
            for gradient, sums in results:
                if sums[1] > 0.0:
                    self._gradients += gradient * (sums[1] / weight)
            self.optimizer.step(parameters)

    def evaluate(self, model: Any, batches: Any) -> Means:
        if not isinstance(batches, _Chunks):
            return super().evaluate(model, batches)
        parts = [_Part(chunk, None, 0, rows) for chunk, rows in enumerate(batches.rows) if rows]
        means = Means(self.loss.metric)
        for sums in self._results(_evaluation, model, batches, parts, None):
            means.add_sums(sums)
        return means

    def _results(self, function, model, data, parts, place):
        """Return the results of a function for parts of chunks, with the model's present weights."""
        weights = np.concatenate([parameter.value.ravel() for parameter in model.parameters()])
        # as a task's argument, not scattered: that Dask could not hand out again once a worker is lost
        present = self._client.submit(_identity, weights, pure=False)
        chunks = [data.futures[part.chunk] for part in parts]
        options = {"network": self._network, "weights": present, "loss": self.loss, "place": place, "pure": False}
        return _gathered(self._client, self._client.map(function, parts, chunks, **options))


def _rows_before(rows, step, steps):
    """Return how many of the first ``rows`` rows are in steps before this one."""
    return rows // steps * step + min(rows % steps, step)


def _gathered(client, futures, keep=False):
    """Return the results of futures, or ``keep`` them where they are; say so if there is no worker to wait for, or no
    cluster."""
    import distributed

    try:
        while True:
            try:
                distributed.wait(futures, timeout=PATIENCE)
                break
            except distributed.TimeoutError:
                if not client.nthreads():
                    warnings.warn(
                        "no worker of Dask is left: training goes on once one joins. If none will, end it (Ctrl-C); "
                        "fit(resume_from=path) goes on from its last Checkpoint",
                        stacklevel=2,
                    )
        for future in futures if keep else ():
            if future.status != "finished":
                future.result()  # raises the error
        return None if keep else client.gather(futures)
    except (distributed.CancelledError, distributed.KilledWorker, distributed.comm.CommClosedError) as error:
        raise RuntimeError(
            f"Dask has given up on the training ({type(error).__name__}): its scheduler or too many workers are lost. "
            "Once the cluster is there again, fit(resume_from=path) goes on from the last Checkpoint"
        ) from error


class _Part:
    """The rows start to stop of a chunk, in the order of a seed."""

    def __init__(self, chunk, seed, start, stop):
        self.chunk = chunk
        self.seed = seed
        self.start = start
        self.stop = stop

    def __bool__(self):
        return self.start < self.stop

    def rows_of(self, array):
        if self.seed is None:
            return array[self.start : self.stop]
        return array[_order(self.seed, self.chunk, len(array))[self.start : self.stop]]


@functools.lru_cache(maxsize=16)
def _order(seed: int, chunk: int, rows: int) -> NDArray[np.intp]:
    return np.random.default_rng([seed, chunk]).permutation(rows)


# ------------------------------------------------------------------------------------------------- on the workers

_thread_local = threading.local()  # a copy of the network with buffers of this thread's own, and what it is a copy of


def _with_weights(network, weights):
    """Return this thread's copy of a network, with other weights."""
    if getattr(_thread_local, "source", None) is not network:
        _thread_local.source, _thread_local.network = network, copy.deepcopy(network)
    start = 0
    for parameter in _thread_local.network.parameters():
        parameter.value[...] = weights[start : start + parameter.value.size].reshape(parameter.value.shape)
        start += parameter.value.size
    return _thread_local.network


def _identity(value):
    """Return the value: as a task it puts the value on the cluster, where later tasks refer to it."""
    return value


def _prepared(names, X, y, sample_weight, network, loss):
    """Return X, targets and the rows' weights as a step takes them."""
    X, y, sample_weight = (None if array is None else np.asarray(array) for array in (X, y, sample_weight))
    reader = DataReader(network, loss)
    if len(X) == 0:
        return None
    X, targets, weights = reader.checked(X, y, sample_weight, names, allow_zero_sum=True)
    target_dtype = loss.target_dtype(network.dtype)
    return np.ascontiguousarray(X, network.dtype), np.ascontiguousarray(targets, target_dtype), weights


def _rows_of(part, chunk):
    return [None if array is None else part.rows_of(array) for array in chunk]


@np.errstate(all="ignore")
def _gradient(part, chunk, network, weights, loss, place):
    """Return the gradient of the mean loss of a part's rows, and the sums that `Means` has."""
    network = _with_weights(network, weights)
    X, targets, row_weights = _rows_of(part, chunk)
    value, hits, dY = network._loss_and_gradient(X, targets, loss, row_weights)
    if not math.isfinite(value):
        raise network._diverged(f"the loss of chunk {part.chunk} is {value} at epoch {place[0]}, batch {place[1]}")
    gradients = network._contiguous_gradients()
    network._backward(dY)
    means = Means(loss.metric)
    means.add(value, hits, len(X), row_weights)
    return gradients[:-STATUS_SIZE].copy(), means.sums


@np.errstate(all="ignore")
def _evaluation(part, chunk, network, weights, loss, place):
    """Return the sums that `Means` has, of a whole chunk."""
    network = _with_weights(network, weights)
    X, targets, row_weights = chunk
    batches = Batches(X, X.dtype, targets, targets.dtype, 256, weights=row_weights)
    return network._means(batches, loss).sums
