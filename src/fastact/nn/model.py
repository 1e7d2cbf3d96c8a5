"""A network of layers, one after the other, and its training."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastact.nn import _checks, losses, optimizers
from fastact.nn._buffers import Buffers
from fastact.nn._interrupts import Whole
from fastact.nn._types import Floats, Integer
from fastact.nn.batches import Batches, RowReader
from fastact.nn.layers import Dense, Parameter
from fastact.nn.losses import Loss, LossName
from fastact.nn.optimizers import Optimizer, OptimizerName
from fastact.nn.progress import Progress


class History(dict[str, list[float]]):
    """What `Sequential.fit` measured: each name ("loss", "accuracy", "val_loss", …) -> a list, one value an epoch.

    "loss" and "accuracy" are means over the epoch's batches, each taken before the step on it; those with "val_" are
    taken on the validation data after the epoch. ``pandas.DataFrame(history)`` is a table of them.

    Examples
    --------
    >>> from fastact import nn
    >>> nn.History(loss=[2.5, 1.25], accuracy=[0.25, 0.75])
    History(2 epochs: loss 2.5 -> 1.25, accuracy 0.25 -> 0.75)
    """

    @property
    def epochs(self) -> int:
        """Epochs that were finished."""
        return len(self.get("loss", ()))

    def record(self, measured: Mapping[str, float]) -> None:
        """Append one epoch's numbers."""
        for name, value in measured.items():
            self.setdefault(name, []).append(value)

    def __repr__(self):
        courses = ", ".join(f"{name} {values[0]:.4g} -> {values[-1]:.4g}" for name, values in self.items() if values)
        return f"History({self.epochs} epoch{'s' * (self.epochs != 1)}{': ' * bool(courses)}{courses})"


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

    def __init__(
        self, layers: Iterable[Dense], seed: Integer | np.random.SeedSequence | None = None
    ) -> None:
        try:
            self.layers = list(layers)
        except TypeError:
            raise TypeError(f"layers must be a list of Dense, got {layers!r}") from None
        self._check_layers()
        self.dtype = self.layers[0].dtype
        self.loss: Loss | None = None
        self.history: History | None = None
        if not isinstance(seed, np.random.SeedSequence):
            try:
                seed = np.random.SeedSequence("" if isinstance(seed, (bool, np.bool_)) else seed)
            except (TypeError, ValueError):
                wanted = "an integer of at least 0, a SeedSequence or None"
                raise ValueError(f"seed must be {wanted}, got {seed!r}") from None
        batches, *children = seed.spawn(1 + len(self.layers))
        self._rng = np.random.default_rng(batches)
        for layer, child in zip(self.layers, children, strict=True):
            if not layer.initialized:
                layer.initialize(np.random.default_rng(child))
        self._buffers = Buffers()
        self._whole = Whole()

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
        return [
            parameter._replace(name=f"layers[{index}].{parameter.name}")
            for index, layer in enumerate(self.layers)
            for parameter in layer.parameters()
        ]

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
        return self._forward(RowReader(X, self.dtype).slice(0, len(X)))

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
        return self._backward(RowReader(dY, self.dtype).slice(0, len(dY)))

    def _forward(self, X):
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def _backward(self, dY, overwrite_dY=False, input_gradient=True):
        first = self.layers[0]
        for layer in reversed(self.layers):
            dY = layer.backward(dY, overwrite_dY, input_gradient or layer is not first)
            overwrite_dY = True  # from here on it is the buffer of the layer above
        return dY

    def train_on_batch(self, X: ArrayLike, y: ArrayLike, *, loss: LossName | Loss, optimizer: Optimizer) -> float:
        """Take one step of training on one batch and return the loss before it.

        Parameters and errors are those of `fit`; the optimiser must be an `Optimizer`, because it keeps its state
        from step to step. The result is that of a `fit` of one epoch, unshuffled, with all rows in one batch.

        Returns
        -------
        float

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
        X, targets = self._checked_data("X", X, "y", y, loss)
        ((X, targets),) = self._batches(X, targets, loss, len(X))
        with np.errstate(all="ignore"), self._whole:
            self._scale_fresh_layers(X)
            value, _ = self._train_step(X, targets, loss, optimizer, self.parameters())
        return value

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        loss: LossName | Loss,
        optimizer: OptimizerName | Optimizer,
        epochs: Integer = 1,
        batch_size: Integer = 32,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        shuffle: bool = True,
        progress: bool = False,
    ) -> History:
        """Train the network.

        Parameters
        ----------
        X : array_like of real numbers, shape (rows, in_features)
            Converted to the model's dtype a batch at a time, and never changed.
        y : array_like
            Targets, as the loss wants them: for "softmax_cross_entropy" integer labels of shape (rows,) or one-hot
            of shape (rows, out_features); for "mse" real numbers of shape (rows, out_features).
        loss : {"softmax_cross_entropy", "mse"} or nn.Loss
        optimizer : {"sgd", "adam"} or nn.Optimizer
            A name stands for the default settings. An optimiser that has trained this model before goes on with the
            state that it has.
        epochs : int, optional
            Passes over the data.
        batch_size : int, optional
            Rows in a step. The last batch of an epoch has what remains, and counts by its own size.
        validation_data : (X, y), optional
            Evaluated after every epoch.
        shuffle : bool, optional
            Take the rows in a new order each epoch, drawn from the model's seed.
        progress : bool, optional
            Show a progress bar on standard error (needs tqdm; without it, and in a log, a line now and then).

        Returns
        -------
        History
            The loss (and the accuracy, for "softmax_cross_entropy") of each epoch; with "val_", on the validation data.

        Raises
        ------
        TypeError, ValueError
            An argument has a wrong type, shape or value; nothing has been changed.
        FloatingPointError
            The loss or a weight has become NaN or infinite. The message names the epoch, the batch and the layer.

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
        loss = losses.get(loss)
        optimizer = optimizers.get(optimizer)
        epochs = _checks.integer("epochs", epochs)
        batch_size = _checks.integer("batch_size", batch_size)
        X, targets = self._checked_data("X", X, "y", y, loss)
        validation = self._checked_validation(validation_data, loss)
        batches = self._batches(X, targets, loss, batch_size, self._rng if shuffle else None)
        parameters = self.parameters()
        self.loss = loss
        history = self.history = History()
        with np.errstate(all="ignore"), Progress(epochs * len(batches), "fit", bool(progress)) as bar, self._whole:
            for epoch in range(1, epochs + 1):
                total = hits = 0.0
                for number, (X_batch, targets_batch) in enumerate(batches, start=1):
                    if epoch == number == 1:
                        self._scale_fresh_layers(X_batch)
                    value, right = self._train_step(X_batch, targets_batch, loss, optimizer, parameters)
                    if not math.isfinite(value):
                        raise self._diverged(value, epoch, number)
                    total += value * len(X_batch)
                    hits += right
                    bar.update()
                self._check_parameters(parameters, epoch)
                measured = self._measured(loss, total, hits, len(X))
                if validation is not None:
                    validated = self._evaluate(*validation, loss, batch_size)
                    measured |= {f"val_{name}": value for name, value in validated.items()}
                self._whole.run(history.record, measured)
                bar.note(f"epoch {epoch}/{epochs}: " + ", ".join(f"{name} {history[name][-1]:.4g}" for name in history))
        return history

    def _scale_fresh_layers(self, X):
        """Finish the initialisation of the layers that waited for a batch."""
        fresh = [layer for layer in self.layers if layer.needs_batch]
        if fresh:
            self._scale_layers(fresh, X)

    def _scale_layers(self, layers, X):
        for layer in self.layers:
            if any(layer is chosen for chosen in layers):
                layer.scale_to_unit_gain(X)
            X = layer.forward(X)

    def _train_step(self, X, targets, loss, optimizer, parameters):
        """Forward pass, loss, backward pass, step; return the loss and the number of hits before the step."""
        Y = self._forward(X)
        dY = self._buffers.rows("dY", len(X), self.out_features, dtype=self.dtype)
        value = loss.value_and_gradient(Y, targets, dY, self._buffers)
        if not math.isfinite(value):
            return value, 0
        right = loss.hits(Y, targets, self._buffers) if loss.metric else 0
        self._backward(dY, overwrite_dY=True, input_gradient=False)
        self._whole.run(optimizer.step, parameters)
        return value, right

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
        X = self._checked_input("X", X)
        reader = RowReader(X, self.dtype)
        Y = np.empty((len(X), self.out_features), self.dtype)
        with np.errstate(all="ignore"):
            for start in range(0, len(X), batch_size):
                Y[start : start + batch_size] = self._forward(reader.slice(start, start + batch_size))
        return Y

    def evaluate(
        self, X: ArrayLike, y: ArrayLike, loss: LossName | Loss | None = None, batch_size: Integer = 256
    ) -> dict[str, float]:
        """Return the loss, and for a classifier the accuracy, on data.

        Parameters
        ----------
        X, y : array_like
            As `fit` takes them.
        loss : str or nn.Loss, optional
            The default is the loss of the last `fit`.
        batch_size : int, optional
            Rows that go through the network at a time.

        Returns
        -------
        dict of str to float
            ``{"loss": …, "accuracy": …}``; "accuracy", the share of right labels, only with "softmax_cross_entropy".

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
        X, targets = self._checked_data("X", X, "y", y, loss)
        with np.errstate(all="ignore"):
            return self._evaluate(X, targets, loss, batch_size)

    def _evaluate(self, X, targets, loss, batch_size):
        total = hits = 0.0
        for X_batch, targets_batch in self._batches(X, targets, loss, batch_size):
            Y = self._forward(X_batch)
            dY = self._buffers.rows("dY", len(X_batch), self.out_features, dtype=self.dtype)
            total += loss.value_and_gradient(Y, targets_batch, dY, self._buffers) * len(X_batch)
            hits += loss.hits(Y, targets_batch, self._buffers) if loss.metric else 0
        return self._measured(loss, total, hits, len(X))

    @staticmethod
    def _measured(loss, total, hits, rows):
        return {"loss": total / rows, **({loss.metric: hits / rows} if loss.metric else {})}

    def _batches(self, X, targets, loss, batch_size, rng=None):
        return Batches(X, self.dtype, targets, loss.target_dtype(self.dtype), batch_size, rng)

    def _checked_input(self, argument: str, X: ArrayLike) -> NDArray[Any]:
        X = _checks.real_matrix(argument, X, self.in_features)
        _checks.finite(argument, X, self.dtype)
        return X

    def _checked_data(
        self, X_argument: str, X: ArrayLike, y_argument: str, y: ArrayLike, loss: Loss
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        X = self._checked_input(X_argument, X)
        if len(X) == 0:
            raise ValueError(f"{X_argument} must have at least one row, got shape {X.shape}")
        return X, loss.prepare(y_argument, y, len(X), self.out_features, self.dtype)

    def _checked_validation(
        self, validation_data: tuple[ArrayLike, ArrayLike] | None, loss: Loss
    ) -> tuple[NDArray[Any], NDArray[Any]] | None:
        if validation_data is None:
            return None
        try:
            X, y = validation_data
        except (TypeError, ValueError):
            raise ValueError(f"validation_data must be a pair (X, y), got {type(validation_data).__name__}") from None
        return self._checked_data("validation_data[0]", X, "validation_data[1]", y, loss)

    def _diverged(self, value, epoch, batch):
        """Return the error for a loss that is not finite, after the forward pass that it came from."""
        for index, layer in enumerate(self.layers):
            if not np.isfinite(layer.output).all():
                where = f"layers[{index}], {layer!r}, is the first layer whose output is not finite"
                break
        else:
            where = f"the outputs of all layers, up to layers[{len(self.layers) - 1}], are finite"
        return FloatingPointError(
            f"the loss is {value} at epoch {epoch}, batch {batch}: {where}. A lower learning rate may help."
        )

    def _check_parameters(self, parameters, epoch):
        """Refuse to end an epoch whose last steps have left weights that are not finite."""
        for name, value, _ in parameters:
            if not (math.isfinite(value.min()) and math.isfinite(value.max())):
                raise FloatingPointError(
                    f"{name} is not finite after the last batch of epoch {epoch}. A lower learning rate may help."
                )

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

    def summary(self) -> None:
        """Print one line a layer: its number, its settings, the shape of its output and its number of parameters."""
        names = [repr(layer) for layer in self.layers]
        width = max(len(name) for name in names)
        print(f"{'':>3}  {'layer':<{width}}  {'output':<14}  {'parameters':>10}")
        for index, (name, layer) in enumerate(zip(names, self.layers, strict=True)):
            count = layer.W.size + layer.b.size
            print(f"{index:>3}  {name:<{width}}  {f'(rows, {layer.out_features})':<14}  {count:>10,}")
        size = self.parameter_count * self.dtype.itemsize
        print(f"{self.parameter_count:,} parameters, {self.dtype}, {size / 2**20:.2f} MiB")

    def __repr__(self):
        layers = ",\n".join(f"    {layer!r}" for layer in self.layers)
        return f"Sequential([\n{layers},\n])  # {self.parameter_count:,} parameters"
