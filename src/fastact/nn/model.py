"""A network of layers, one after the other, and its training."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

import copy
import itertools
import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastact.nn import _checks, _fused, losses, onnx, optimizers, storage
from fastact.nn._buffers import Buffers
from fastact.nn._interrupts import deferred_interrupt
from fastact.nn._strategy import STATUS_SIZE, Strategy
from fastact.nn._types import Floats, Integer
from fastact.nn.batches import RowReader
from fastact.nn.callbacks import BatchCallbacks, Callback, lock_checkpoints, prepare_callbacks
from fastact.nn.data import ClassWeight, Data, DataBatches, DataReader
from fastact.nn.history import History
from fastact.nn.layers import Dense, Parameter
from fastact.nn.losses import Loss, LossName, Means
from fastact.nn.optimizers import Optimizer, OptimizerName
from fastact.nn.progress import Progress


class Sequential:
    """A network: the output of each layer is the input of the next.

    Parameters
    ----------
    layers : list of Dense
        Each with as many inputs as the one before has outputs, and all of one dtype. Layers that have weights already
        (of another model, or assigned) keep them.
    seed : int, numpy.random.SeedSequence or None, optional
        Every layer draws its weights from a child of this seed, and `fit` its batches from another: the same seed
        gives the same training. None takes a seed from the operating system.

    Attributes
    ----------
    layers : list of Dense
    dtype : numpy.dtype
    history : History or None
        What the last `fit` has measured, also one that was interrupted or raised an error: its finished epochs.
    loss : nn.Loss or None
    optimizer : nn.Optimizer or None
        Those of the last `fit` or `train_on_batch`; given to `fit` again, the optimiser goes on with its state.
    stop_training : bool
        A callback sets it to end `fit` after the present epoch.

    Notes
    -----
    A model keeps the arrays of a training step from one step to the next, so it must not be used by two threads at
    once. Give each its own copy (``copy.deepcopy(model)``).

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    >>> model = nn.Sequential([nn.Dense(2, 16, activation="tanh"), nn.Dense(16, 2)], seed=0)
    >>> history = model.fit(X, y, loss="softmax_cross_entropy", optimizer=nn.Adam(0.05), epochs=100, batch_size=4)
    >>> model.predict(X).argmax(axis=1)
    array([0, 1, 1, 0])
    """

    def __init__(self, layers: Iterable[Dense], seed: Integer | np.random.SeedSequence | None = None) -> None:
        try:
            self.layers = list(layers)
        except TypeError:
            raise TypeError(f"layers must be a list of Dense, got {layers!r}") from None
        self._check_layers()
        self.dtype = self.layers[0].dtype
        self.loss: Loss | None = None
        self.optimizer: Optimizer | None = None
        self.history: History | None = None
        self.stop_training = False
        self._buffers = Buffers()
        self._named_layers: list[Dense] = []  # those of which `parameters` has returned the parameters
        self._named_parameters: list[Parameter] = []
        self._gradients = np.zeros(0, self.dtype)  # of all parameters, and STATUS_SIZE elements more
        of_batches, *children = self._seed_sequence(seed).spawn(1 + len(self.layers))
        self._rng = np.random.default_rng(of_batches)
        if not any(layer.initialized for layer in self.layers):  # no other model has them
            self._contiguous_gradients()
        for layer, child in zip(self.layers, children, strict=True):
            if not layer.initialized:
                layer.initialize(np.random.default_rng(child))

    def _check_layers(self):
        if not self.layers:
            raise ValueError("layers must hold at least one layer, got none")
        for index, layer in enumerate(self.layers):
            if not isinstance(layer, Dense):
                raise TypeError(f"layers[{index}] must be a Dense, got {layer!r}")
            if any(layer is other for other in self.layers[:index]):
                raise ValueError(f"layers[{index}] must be a layer of its own, but {layer!r} stands in the list twice")
        for index, (before, after) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if before.out_features != after.in_features:
                raise ValueError(
                    f"layers[{index + 1}] must have in_features={before.out_features}, the outputs of layers[{index}]; "
                    f"got {after!r}"
                )
            if before.dtype != after.dtype:
                raise ValueError(f"layers must have one dtype; layers[{index}] is {before!r}, next is {after!r}")

    @staticmethod
    def _seed_sequence(seed: Integer | np.random.SeedSequence | None) -> np.random.SeedSequence:
        if isinstance(seed, np.random.SeedSequence):
            return copy.deepcopy(seed)  # `spawn` changes it
        try:
            if isinstance(seed, (bool, np.bool_)):
                raise TypeError
            return np.random.SeedSequence(seed)
        except (TypeError, ValueError):
            raise ValueError(f"seed must be an integer of at least 0, a SeedSequence or None, got {seed!r}") from None

    @property
    def in_features(self) -> int:
        """Columns of X."""
        return self.layers[0].in_features

    @property
    def out_features(self) -> int:
        """Columns of Y."""
        return self.layers[-1].out_features

    def parameters(self) -> list[Parameter]:
        """Return all parameters, each with its gradient, from the first layer to the last."""
        if self._named_layers != self.layers or self._gradients_moved():
            self._named_parameters = [
                parameter._replace(name=f"layers[{index}].{parameter.name}")
                for index, layer in enumerate(self.layers)
                for parameter in layer.parameters()
            ]
            self._named_layers = list(self.layers)
        return list(self._named_parameters)

    def _gradients_moved(self):
        """Return whether a layer's gradients lie elsewhere than when its parameters were named: it may be in another
        model as well."""
        weights = self._named_parameters[::2]
        return any(layer.dW is not W.gradient for layer, W in zip(self.layers, weights, strict=True))

    def _contiguous_gradients(self):
        """Return the memory of the gradients of all parameters, one after the other, and STATUS_SIZE elements more."""
        memory = self._gradients
        if not all(layer.dW is not None and layer.dW.base is memory for layer in self.layers):
            sizes = [(layer.in_features + 1) * layer.out_features for layer in self.layers]
            memory = self._gradients = np.zeros(sum(sizes) + STATUS_SIZE, self.dtype)
            for layer, end, size in zip(self.layers, itertools.accumulate(sizes), sizes, strict=True):
                layer.place_gradients(memory[end - size : end])
        return memory

    @np.errstate(all="ignore")
    def forward(self, X: ArrayLike) -> Floats:
        """Return the output of the last layer.

        Parameters
        ----------
        X : array_like of real numbers, shape (rows, in_features)
            Converted to the model's dtype. `backward` reads it again, so leave it unchanged until then.

        Returns
        -------
        Y : ndarray of the model's dtype, shape (rows, out_features)
            The last layer's buffer, which the next call overwrites; `predict` returns an array of its own.

        Raises
        ------
        TypeError, ValueError
            X has a wrong type or shape. (NaN goes through; `fit`, `predict` and `evaluate` refuse it.)
        """
        X = _checks.real_matrix("X", X, self.in_features)
        return self._forward(self._buffers.converted("X", X, self.dtype))

    @np.errstate(all="ignore")
    def backward(self, dY: ArrayLike) -> Floats:
        """Write the gradients of all parameters, to be called after `forward`.

        Parameters
        ----------
        dY : array_like of real numbers, shape (rows, out_features)
            ∂L/∂Y; not changed.

        Returns
        -------
        dX : ndarray of the model's dtype, shape (rows, in_features)
            ∂L/∂X, in a buffer that the next call overwrites. The gradients of the parameters lie in ``layer.dW`` and
            ``layer.db``.

        Raises
        ------
        RuntimeError
            `forward` has not been called.
        TypeError, ValueError
            dY has a wrong type or shape.
        """
        dY = _checks.real_matrix("dY", dY, self.out_features)
        dY = self._buffers.converted("dY", dY, self.dtype)
        for layer in reversed(self.layers):
            dY = layer.backward(dY)
        return dY

    def _forward(self, X):
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def _gradient_buffer(self, rows, columns):
        """Return the one buffer that holds ∂L/∂Y of each layer in turn, as an array of this shape."""
        return self._buffers.array("gradient", rows, columns, dtype=self.dtype)

    def _backward(self, dY, hooks=()):
        """Write the gradients of all parameters; overwrites the layers' outputs and dY, which is the gradient buffer.

        Each hook is called with each layer and ∂L/∂Y of its output.
        """
        first = self.layers[0]
        for layer in reversed(self.layers):
            for hook in hooks:
                hook(layer, dY)
            dX = None if layer is first else self._gradient_buffer(len(dY), layer.in_features)
            dY = layer.backward(dY, overwrite=True, input_gradient=layer is not first, dX=dX)

    @np.errstate(all="ignore")
    def train_on_batch(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        loss: LossName | Loss,
        optimizer: Optimizer,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Take one step of training on one batch and return the loss before it.

        Parameters are those of `fit`; the optimiser must be an `Optimizer`, because it keeps its state from step to
        step. The result is that of a `fit` of one epoch, unshuffled, with all rows in one batch.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            An argument has a wrong type, shape or value; nothing has been changed.
        FloatingPointError
            The loss is NaN or infinite, because of steps before; no step has been taken. The message names the layer.

        Examples
        --------
        >>> from fastact import nn
        >>> model = nn.Sequential([nn.Dense(1, 1)], seed=0)
        >>> optimizer = nn.SGD(0.1)
        >>> losses = [model.train_on_batch([[1.0], [2.0]], [3.0, 5.0], loss="mse", optimizer=optimizer)
        ...           for step in range(200)]
        >>> losses[0] > 1.0 > 0.01 > losses[-1]
        True
        """
        if isinstance(optimizer, str):
            raise TypeError(f"optimizer must be an Optimizer, such as nn.SGD(0.01), got {optimizer!r}")
        optimizer = optimizers.get(optimizer)
        loss = losses.get(loss)
        X, targets, weights = DataReader(self, loss).batch(X, y, sample_weight)
        self.loss, self.optimizer = loss, optimizer
        self._scale_fresh_layers(X)
        value, _ = self._train_step(X, targets, loss, optimizer, self.parameters(), weights)
        if not math.isfinite(value):
            raise self._diverged(f"the loss is {value}")
        return value

    def fit(
        self,
        X: ArrayLike | DataBatches,
        y: ArrayLike | None = None,
        *,
        loss: LossName | Loss,
        optimizer: OptimizerName | Optimizer,
        epochs: Integer = 1,
        batch_size: Integer = 32,
        validation_data: Data | DataBatches | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: ClassWeight | None = None,
        steps_per_epoch: Integer | None = None,
        shuffle: bool = True,
        callbacks: Iterable[Callback] = (),
        resume_from: str | os.PathLike[str] | None = None,
        progress: bool = False,
        comm: Any = None,
    ) -> History:
        """Train the network.

        Parameters
        ----------
        X : array_like of real numbers, shape (rows, in_features), or an iterable of batches
            Converted to the model's dtype a batch at a time, and never changed; it may be an ``np.memmap`` that is
            larger than memory. Or, without y, anything that gives tuples (X, y) or (X, y, sample_weight) when it is
            iterated over, once an epoch. A generator can be iterated over once only: for more than one epoch say
            with ``steps_per_epoch`` how many batches to take for each.
        y : array_like
            Targets, as the loss wants them: for "softmax_cross_entropy" integer labels of shape (rows,) or one-hot
            of shape (rows, out_features); for "mse" real numbers, and for "binary_cross_entropy" numbers in [0, 1], of
            shape (rows, out_features).
        loss : {"softmax_cross_entropy", "binary_cross_entropy", "mse"} or nn.Loss
        optimizer : {"sgd", "adagrad", "rmsprop", "adam", "adamw"} or nn.Optimizer
            A name stands for the default settings. An optimiser that has trained this model before goes on with the
            state that it has.
        epochs : int, optional
            Passes over the data.
        batch_size : int, optional
            Rows in a step. The last batch of an epoch has what remains, and counts by its own size. The batches of an
            iterable are taken as they are.
        validation_data : (X, y), (X, y, sample_weight) or an iterable of batches, optional
            Evaluated after every epoch.
        sample_weight : array_like of shape (rows,), optional
            How much each row counts: with weights w a batch's loss is Σ wᵢ lᵢ / Σ wᵢ, so that a row of weight 2
            counts as two, and one of weight 0 as none. Batches count in an epoch's means by their Σ wᵢ.
        class_weight : dict of int to float or "balanced", optional
            A weight for the rows of each label, 1 for those not named; multiplied with sample_weight. "balanced" is
            rows / (classes · rows of the class). For "softmax_cross_entropy", and "binary_cross_entropy" with one
            output. It plays no part in validation.
        steps_per_epoch : int, optional
            Batches of an iterable that make an epoch, where that is not all of them. A list, or whatever else can be
            iterated over anew, begins anew in each epoch; an iterator goes on.
        shuffle : bool, optional
            Take the rows of arrays in a new order each epoch, drawn from the model's seed.
        callbacks : list of nn.Callback, optional
            Called after each epoch, or each step: `EarlyStopping`, `Checkpoint`, `fastact.diagnostics.Monitor` or one
            of your own.
        resume_from : str or path-like, optional
            A file of a `Checkpoint`. The training it is of goes on up to ``epochs``, counted from its beginning, as if
            it had never stopped; everything else must be given as it was then. (An iterable must begin with the batch
            that comes next.)
        progress : bool, optional
            Show a progress bar on standard error (needs tqdm; without it, and in a log, a line now and then).
        comm : mpi4py.MPI.Intracomm, optional
            A communicator, such as ``MPI.COMM_WORLD``, whose ranks train this model together: each calls `fit` with
            the same arguments but for X, y, sample_weight and validation_data, which are its own rows (as many as it
            has). ``batch_size`` counts the rows of all ranks; ``class_weight`` cannot be "balanced". Weights, optimiser
            and history are the same in all ranks from the beginning, when they are the first rank's, to the end; only
            the first writes checkpoints and reads ``resume_from``. See ``docs/distributed.md``.

        Returns
        -------
        History
            The loss (and the accuracy, for the cross-entropies) of each epoch; with ``"val_"``, on the validation data.

        Raises
        ------
        TypeError, ValueError
            An argument has a wrong type, shape or value; nothing has been changed. (A batch of an iterable is looked
            at when it comes: the steps before it have been taken.)
        FloatingPointError
            The loss, the validation loss or a weight has become NaN or infinite. The message names the epoch, the batch
            and the layer.
        ImportError, OSError
            ``resume_from`` cannot be read.

        With ``comm`` they are raised in all ranks. An error that one rank alone can know of (of a callback between
        steps, say) ends the job, once it has been printed.

        Notes
        -----
        An interrupted `fit` (Ctrl-C) leaves a model that has taken the steps up to then, each of them whole, and the
        epochs that it finished in ``model.history``.

        Examples
        --------
        >>> import numpy as np
        >>> from fastact import nn
        >>> X = np.linspace(-1, 1, 64)[:, np.newaxis]
        >>> model = nn.Sequential([nn.Dense(1, 16, activation="tanh"), nn.Dense(16, 1)], seed=0)
        >>> history = model.fit(X, X**2, loss="mse", optimizer=nn.Adam(0.02), epochs=200)
        >>> history["loss"][-1] < 0.005
        True
        """
        if comm is None:
            strategy = Strategy()
        else:
            from fastact.distributed import mpi

            strategy = mpi.strategy(comm)
        with strategy.abort_on_error():
            with strategy.shared_errors():
                loss = losses.get(loss)
                optimizer = optimizers.get(optimizer)
                epochs = _checks.integer("epochs", epochs)
                batch_size = _checks.integer("batch_size", batch_size)
                local_batch_size = strategy.local_batch_size(batch_size)
                if comm is not None and isinstance(class_weight, str):
                    raise ValueError(
                        f"class_weight must be a dict with comm, got {class_weight!r}: no rank knows the labels of all"
                    )
                shuffle = _checks.boolean("shuffle", shuffle)
                stored = None if resume_from is None or strategy.rank else storage.read(resume_from, "resume_from")
            validated, resumes = validation_data is not None, resume_from is not None
            strategy.check_same(
                lambda: {
                    "layers": repr(self.layers),
                    "loss": loss.name,
                    "optimizer": repr(optimizer),
                    "epochs": epochs,
                    "batch_size": batch_size,
                    "class_weight": repr(class_weight),
                    "shuffle": shuffle,
                    "validation_data": "some" if validated else None,
                    "resume_from": "a file" if resumes else None,
                }
            )
            if resumes:
                stored = strategy.broadcast(stored)
            epochs_left = epochs if stored is None else epochs - stored.epochs
            with strategy.shared_errors():
                reader = DataReader(self, loss, class_weight)
                rng = strategy.shuffler(self._rng) if shuffle else None
                batches = reader.batches(X, y, sample_weight, local_batch_size, rng, steps_per_epoch, epochs_left)
                validation = reader.validation(validation_data, local_batch_size, epochs_left)
                callbacks = prepare_callbacks(callbacks, loss, validated, epochs, writes=strategy.rank == 0)
                if stored is not None:
                    stored.check(self, loss, optimizer, epochs, validated)
            strategy.check_same(lambda: {"callbacks": [type(callback).__name__ for callback in callbacks]})
            with strategy.shared_errors():
                locks = lock_checkpoints(callbacks)
            with locks:
                self._begin(strategy, loss, optimizer, callbacks, stored)
                del stored  # the second model in memory
                return self._train(strategy, batches, validation, loss, epochs, callbacks, progress)

    def _begin(self, strategy, loss, optimizer, callbacks, stored):
        """Prepare the model and the callbacks for the first step of a `fit`, or of one that is resumed."""
        self.loss, self.optimizer, self.history, self.stop_training = loss, optimizer, History(), False
        with strategy.shared_errors():
            for callback in callbacks:
                callback.on_fit_begin(self)
            if stored is not None:
                stored.restore(self, callbacks)

    def _train(self, strategy, batches, validation, loss, epochs, callbacks, progress):
        """Take the steps of a `fit` that `_begin` has prepared."""
        strategy.start(self)
        parameters, history, batch_callbacks = self.parameters(), self.history, BatchCallbacks(callbacks)
        steps = (epochs - history.epochs) * len(batches)
        shown = bool(progress) and strategy.rank == 0
        with np.errstate(all="ignore"), Progress(steps, "fit", shown) as bar:
            for epoch in range(history.epochs + 1, epochs + 1):
                if self.stop_training:
                    break
                means = Means(loss.metric)
                for number, batch in enumerate(strategy.steps(batches), start=1):
                    if number == 1:
                        strategy.scale_fresh_layers(self, batch)
                    hooks = batch_callbacks.begin(self, epoch, number)
                    strategy.train_step(self, batch, parameters, hooks, means, (epoch, number))
                    batch_callbacks.end(self, epoch, number)
                    bar.update()
                means = strategy.total(means)
                validation_means = None if validation is None else strategy.evaluate(self, validation)
                with strategy.shared_errors():
                    measured = self._measured(means, validation_means, epoch)
                with deferred_interrupt():
                    history.record(measured)
                bar.note(f"epoch {epoch}/{epochs}: " + ", ".join(f"{name} {history[name][-1]:.4g}" for name in history))
                with strategy.shared_errors():
                    for callback in callbacks:
                        callback.on_epoch_end(self, epoch, history)
                self.stop_training = strategy.any(self.stop_training)
            for callback in callbacks:
                with deferred_interrupt():
                    callback.on_fit_end(self)
        return history

    def _measured(self, means, validation_means, epoch):
        """Return the numbers of an epoch, all of which must be finite, as the weights must be."""
        if name := self._non_finite_parameter():
            raise FloatingPointError(
                f"{name} is not finite after the last batch of epoch {epoch}. A lower learning rate may help."
            )
        measured = means.result()
        if validation_means is not None:
            measured |= {f"val_{name}": mean for name, mean in validation_means.result().items()}
            if not math.isfinite(measured["val_loss"]):
                raise self._diverged(f"the validation loss is {measured['val_loss']} after epoch {epoch}")
        return measured

    def _scale_fresh_layers(self, X):
        """Finish the initialisation of the layers that waited for a batch."""
        fresh = [layer for layer in self.layers if layer.needs_batch]
        if fresh:
            self._scale_layers(fresh, X)

    def _scale_layers(self, layers, X):
        for layer in self.layers:
            if layer in layers:
                layer.scale_to_unit_gain(X)
            X = layer.forward(X)

    def _train_step(self, X, targets, loss, optimizer, parameters, weights=None, hooks=()):
        """Forward pass, loss, backward pass, step; return the loss and the number of hits before the step."""
        value, hits, dY = self._loss_and_gradient(X, targets, loss, weights)
        if math.isfinite(value):
            self._backward(dY, hooks)
            optimizer.step(parameters)
        return value, hits

    def _loss_and_gradient(self, X, targets, loss, weights):
        """Return the loss of a batch, the number of hits, and ∂L/∂Y in the gradient buffer."""
        Y = self._forward(X)
        dY = self._gradient_buffer(len(X), self.out_features)
        value = loss.value_and_gradient(Y, targets, dY, self._buffers, weights)
        return value, loss.hits(Y, targets) if loss.metric else 0, dY

    @np.errstate(all="ignore")
    def predict(self, X: ArrayLike, batch_size: Integer = 256) -> Floats:
        """Return the network's outputs in a new array, of the model's dtype and shape (rows, out_features).

        For a classifier these are logits: ``predict(X).argmax(axis=1)`` are the labels.

        Parameters
        ----------
        X : array_like of real numbers, shape (rows, in_features)
        batch_size : int, optional
            Rows that go through the network at a time; the result does not depend on it, but for rounding.

        Raises
        ------
        TypeError, ValueError
            X has a wrong type or shape or holds NaN; ``batch_size`` is below 1.
        """
        batch_size = _checks.integer("batch_size", batch_size)
        X = self._checked_input("X", X, allow_empty=True)
        reader = RowReader(X, self.dtype)
        Y = np.empty((len(X), self.out_features), self.dtype)
        for start in range(0, len(X), batch_size):
            Y[start : start + batch_size] = self._forward(reader.slice(start, start + batch_size))
        return Y

    @np.errstate(all="ignore")
    def evaluate(
        self,
        X: ArrayLike | DataBatches,
        y: ArrayLike | None = None,
        loss: LossName | Loss | None = None,
        batch_size: Integer = 256,
        sample_weight: ArrayLike | None = None,
    ) -> dict[str, float]:
        """Return the loss, and for a classifier the accuracy, on data.

        Parameters
        ----------
        X, y, sample_weight : array_like, or X an iterable of batches
            As `fit` takes them.
        loss : str or nn.Loss, optional
            The default is the loss of the last training.
        batch_size : int, optional
            Rows that go through the network at a time.

        Returns
        -------
        dict of str to float
            ``{"loss": …, "accuracy": …}``; "accuracy", the share of right labels, only with a cross-entropy; weights
            play no part in it.

        Raises
        ------
        TypeError, ValueError
            An argument has a wrong type, shape or value, or no loss is known yet.

        Examples
        --------
        >>> from fastact import nn
        >>> model = nn.Sequential([nn.Dense(2, 2)], seed=0)
        >>> model.layers[0].W = [[1.0, 0.0], [0.0, 1.0]]
        >>> result = model.evaluate([[5.0, 0.0], [0.0, 5.0]], [0, 0], loss="softmax_cross_entropy")
        >>> result["accuracy"], round(result["loss"], 3)
        (0.5, 2.507)
        """
        if loss is None:
            loss = self.loss
        if loss is None:
            raise ValueError("loss must be given: the model has not been fitted, so it has no loss of its own")
        loss = losses.get(loss)
        batch_size = _checks.integer("batch_size", batch_size)
        batches = DataReader(self, loss).batches(X, y, sample_weight, batch_size)
        return self._means(batches, loss).result()

    def _means(self, batches, loss):
        means = Means(loss.metric)
        for X, targets, weights in batches:
            value, hits, _ = self._loss_and_gradient(X, targets, loss, weights)
            means.add(value, hits, len(X), weights)
        return means

    def _checked_input(self, argument: str, X: ArrayLike, allow_empty: bool = False) -> NDArray[Any]:
        X = _checks.real_matrix(argument, X, self.in_features)
        _checks.finite(argument, X, self.dtype)
        if len(X) == 0 and not allow_empty:
            raise ValueError(f"{argument} must have at least one row, got shape {X.shape}")
        return X

    def _diverged(self, what):
        """Return the error for a loss that is not finite, after the forward pass that it came from."""
        for index, layer in enumerate(self.layers):
            if not np.isfinite(layer.output).all():
                where = f"layers[{index}], {layer!r}, is the first layer whose output is not finite"
                break
        else:
            where = f"the outputs of all layers, up to layers[{len(self.layers) - 1}], are finite"
        return FloatingPointError(f"{what}: {where}. A lower learning rate may help.")

    def _non_finite_parameter(self):
        """Return the name of the first parameter that is not finite, None where all are."""
        return next((name for name, value, _ in self.parameters() if not _fused.all_finite(value)), None)

    def astype(self, dtype: DTypeLike) -> Sequential:
        """Return a copy of the model, weights and all, in another dtype."""
        model = Sequential([layer.astype(dtype) for layer in self.layers])
        model._rng = copy.deepcopy(self._rng)
        model.loss = self.loss
        return model

    @property
    def parameter_count(self) -> int:
        """Numbers that are learnt: all elements of all W and b."""
        return sum(parameter.value.size for parameter in self.parameters())

    def summary(self) -> str:
        """Return a table with a line a layer: its settings, the shape of its output, its parameters and their bytes.

        Examples
        --------
        >>> from fastact import nn
        >>> print(nn.Sequential([nn.Dense(64, 128, activation="relu"), nn.Dense(128, 10)]).summary())
           layer                              output       parameters   bytes
        0  Dense(64, 128, activation='relu')  (rows, 128)       8,320  33,280
        1  Dense(128, 10)                     (rows, 10)        1,290   5,160
           total, float32                                       9,610  38,440
        """
        rows = [("", "layer", "output", "parameters", "bytes")]
        for index, layer in enumerate(self.layers):
            count = sum(parameter.value.size for parameter in layer.parameters())
            rows.append((str(index), repr(layer), f"(rows, {layer.out_features})", *self._sizes(count)))
        rows.append(("", f"total, {self.dtype}", "", *self._sizes(self.parameter_count)))
        width = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            f"{index:>{width[0]}}  {layer:<{width[1]}}  {output:<{width[2]}}  {count:>{width[3]}}  {size:>{width[4]}}"
            for index, layer, output, count, size in rows
        )

    def _sizes(self, count):
        return f"{count:,}", f"{count * self.dtype.itemsize:,}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model into a safetensors file, for `nn.load`.

        It holds the weights, the layers' settings, the loss, the optimiser with its state, the history, and the state
        of the generator that draws the batches. The file is replaced as a whole: if anything fails, what was there
        stays.

        Parameters
        ----------
        path : str or path-like
            By custom it ends in ``.safetensors``.

        Raises
        ------
        ImportError
            safetensors is not installed: ``pip install "fastact[save]"``.
        TypeError
            The optimiser, or its schedule, is not one of fastact's. Without it, ``model.optimizer = None``, the rest
            can be saved.
        ValueError
            A weight is not finite: no layer would take it when it is loaded.
        OSError
            The file cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> from fastact import nn
        >>> model = nn.Sequential([nn.Dense(1, 1)], seed=0)
        >>> optimizer = nn.Adam(0.01)
        >>> history = model.fit([[1.0], [2.0]], [3.0, 5.0], loss="mse", optimizer=optimizer, epochs=5)
        >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        >>> model.save(path)
        >>> nn.load(path).optimizer.steps
        5
        """
        if name := self._non_finite_parameter():
            raise ValueError(f"{name} must be finite to be saved, and it is not")
        storage.save(self, path)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX model, of input "X" and output "Y" and any number of rows.

        The outputs are those of `predict`, up to rounding: for a classifier logits. The file is replaced as a whole.

        Parameters
        ----------
        path : str or path-like
            By custom it ends in ``.onnx``.

        Raises
        ------
        ImportError
            onnx is not installed: ``pip install "fastact[onnx]"``.
        OSError
            The file cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> import onnxruntime
        >>> from fastact import nn
        >>> model = nn.Sequential([nn.Dense(2, 3, activation="tanh"), nn.Dense(3, 1)], seed=0)
        >>> path = os.path.join(tempfile.mkdtemp(), "model.onnx")
        >>> model.to_onnx(path)
        >>> session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        >>> X = np.ones((4, 2), np.float32)
        >>> (Y,) = session.run(None, {"X": X})
        >>> np.allclose(Y, model.predict(X), atol=1e-6)
        True
        """
        onnx.export(self, path)

    def __getstate__(self):
        """Leave the arrays of a training step out of copies and pickles: a copy has buffers of its own."""
        own = {"_buffers": Buffers(), "_named_layers": [], "_named_parameters": []}
        return {**vars(self), **own, "_gradients": np.zeros(0, self.dtype)}

    def __repr__(self):
        layers = ",\n".join(f"    {layer!r}" for layer in self.layers)
        return f"Sequential([\n{layers},\n])  # {self.parameter_count:,} parameters"
