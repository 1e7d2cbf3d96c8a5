"""What `Sequential.fit` calls after steps and epochs: stopping early, checkpoints, and what users write themselves."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike, NDArray

import fastact
from fastact.nn import _checks, _files, storage
from fastact.nn._types import Floats, Integer, Real
from fastact.nn.history import History
from fastact.nn.layers import Dense
from fastact.nn.losses import Loss

if TYPE_CHECKING:
    import fastact.nn  # of which this module is a part


BackwardHook = Callable[[Dense, Floats], None]  # of a layer and ∂L/∂Y of its output


class Callback:
    """What ``fit(callbacks=[...])`` calls; override what you need.

    To end the training after the present epoch set ``model.stop_training = True``. Callbacks are called in the order
    of the list, but for `Checkpoint`, which comes last and so stores what the others have done; those with
    ``save_best_only`` come first among them.

    Examples
    --------
    >>> from fastact import nn
    >>> class Target(nn.Callback):
    ...     '''Stops once the loss is small enough.'''
    ...     def on_epoch_end(self, model, epoch, history):
    ...         model.stop_training = history["loss"][-1] < 0.1
    >>> model = nn.Sequential([nn.Dense(1, 1)], seed=0)
    >>> history = model.fit([[1.0], [2.0]], [3.0, 5.0], loss="mse", optimizer=nn.SGD(0.1), epochs=1000,
    ...                     callbacks=[Target()])
    >>> history.epochs < 100
    True
    """

    def on_fit_begin(self, model: fastact.nn.Sequential) -> None:
        """Called before the first epoch, once all arguments have been checked."""

    def on_batch_begin(self, model: fastact.nn.Sequential, epoch: int, batch: int) -> BackwardHook | None:
        """Called before each step of training, epoch and batch counted from 1.

        Where it returns a function, that is called in the step's backward pass with each layer and ∂L/∂Y of its
        output, from the last layer to the first. Read ∂L/∂Y and the layer's ``input`` and ``output`` at once: they lie
        in buffers that the backward pass overwrites.
        """
        return None

    def on_batch_end(self, model: fastact.nn.Sequential, epoch: int, batch: int) -> None:
        """Called after each step; ``dW`` and ``db`` of every layer are those of the step."""

    def on_epoch_end(self, model: fastact.nn.Sequential, epoch: int, history: History) -> None:
        """Called after each epoch (counted from 1), whose numbers are the last ones of ``history``."""

    def on_fit_end(self, model: fastact.nn.Sequential) -> None:
        """Called after the last epoch, or the one that `stop_training` ended; not after an error or Ctrl-C."""

    def state(self) -> Mapping[str, ArrayLike]:
        """Return what a checkpoint must store for this callback to go on: arrays of real numbers, by name."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` returned, when training resumes; called after `on_fit_begin`."""


class _Monitor(Callback):
    """A callback that looks for the best value of one of the numbers of the history."""

    uses_monitor = True

    def __init__(self, monitor: str, min_delta: Real = 0.0) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be a name in the history, such as 'val_loss', got {monitor!r}")
        self.monitor = monitor
        self.min_delta = _checks.number("min_delta", min_delta)
        self.best = math.nan

    def on_fit_begin(self, model: fastact.nn.Sequential) -> None:
        self.best = math.nan

    def _improved(self, history):
        """Return whether the last value is the best so far, by more than min_delta, and note it."""
        value = history[self.monitor][-1]
        gain = self.best - value if self.monitor.endswith("loss") else value - self.best
        improved = gain > self.min_delta or (math.isnan(self.best) and not math.isnan(value))
        if improved:
            self.best = value
        return improved


class EarlyStopping(_Monitor):
    """Stop when a number of the history has not become better for some epochs.

    Parameters
    ----------
    monitor : str, optional
        A name in the history. A loss is better when it is smaller, "accuracy" and "val_accuracy" when larger.
    patience : int, optional
        Epochs without a better value after which training ends.
    min_delta : float, optional
        A value is better only if it is so by more than this.
    restore_best : bool, optional
        Give the model the weights of the best epoch when `fit` ends, whether it was stopped or not. (Ctrl-C leaves
        those of the last step.)

    Attributes
    ----------
    best : float
        The best value, NaN before there is one.
    best_epoch : int
        The epoch it is of, 0 before there is one.

    References
    ----------
    L. Prechelt, "Early Stopping - But When?", in Neural Networks: Tricks of the Trade, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.standard_normal((60, 4)), rng.integers(0, 2, 60)  # nothing to be learnt
    >>> model = nn.Sequential([nn.Dense(4, 32, activation="relu"), nn.Dense(32, 2)], seed=0)
    >>> stopping = nn.EarlyStopping(patience=5)
    >>> history = model.fit(X[:40], y[:40], loss="softmax_cross_entropy", optimizer=nn.Adam(0.01), epochs=200,
    ...                     validation_data=(X[40:], y[40:]), callbacks=[stopping])
    >>> history.epochs == stopping.best_epoch + 5 < 200
    True
    >>> model.evaluate(X[40:], y[40:])["loss"] == stopping.best == min(history["val_loss"])
    True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: Integer = 10,
        min_delta: Real = 0.0,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor, min_delta)
        self.patience = _checks.integer("patience", patience)
        self.restore_best = bool(restore_best)
        self.best_epoch = 0
        self._weights: list[Floats] = []

    def on_fit_begin(self, model: fastact.nn.Sequential) -> None:
        super().on_fit_begin(model)
        self.best_epoch = 0
        self._weights = []

    def on_epoch_end(self, model: fastact.nn.Sequential, epoch: int, history: History) -> None:
        if self._improved(history):
            self.best_epoch = epoch
            if self.restore_best:
                self._weights = [parameter.value.copy() for parameter in model.parameters()]
        elif epoch - self.best_epoch >= self.patience:
            model.stop_training = True

    def on_fit_end(self, model: fastact.nn.Sequential) -> None:
        for parameter, best in zip(model.parameters(), self._weights, strict=bool(self._weights)):
            parameter.value[...] = best

    def state(self) -> Mapping[str, ArrayLike]:
        weights = {f"weights.{index}": array for index, array in enumerate(self._weights)}
        return {"best": self.best, "best_epoch": self.best_epoch, **weights}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        self._weights = [state[f"weights.{index}"] for index in range(len(state) - 2)]

    def __repr__(self):
        return (
            f"EarlyStopping(monitor={self.monitor!r}, patience={self.patience}, min_delta={self.min_delta:g}, "
            f"restore_best={self.restore_best})"
        )


class Checkpoint(_Monitor):
    """Write the model, and all that is needed to go on with its training, into a file.

    The file is one that `Sequential.save` writes and `nn.load` reads: weights, the optimiser with its state, the loss,
    the history, and the state of the generator that draws the batches; with it the state of the other callbacks.
    It is replaced as a whole: a crash, even in the middle of writing, leaves the checkpoint before. While `fit` runs,
    no other may write to the same path, in whatever process; a lock, a hidden file beside it, sees to that.

    ``fit(..., resume_from=path)``, otherwise with the arguments it had, goes on after the epoch of the checkpoint,
    with the result of an uninterrupted run, bit for bit (on the same machine and libraries). Where a callback has
    changed the optimiser, by ``model.optimizer.learning_rate *= 0.5`` say, that means the optimiser as it was when the
    checkpoint was written: ``optimizer=nn.load(path).optimizer``.

    Parameters
    ----------
    path : str or path-like
    every_epochs : int, optional
        Write after every so many epochs, and after the last one of the `fit`.
    save_best_only : bool, optional
        Write then only if ``monitor`` is the best so far.
    monitor : str, optional
        A name in the history, as for `EarlyStopping`.

    Raises
    ------
    ImportError
        safetensors is not installed: ``pip install "fastact[save]"``.
    OSError
        ``path`` is a folder or a device, or lies in no folder. Of `fit`: the file cannot be written, because the disk
        is full, say.
    BlockingIOError
        Of `fit`: another training writes to this path.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastact import nn
    >>> X, y = np.eye(4), np.array([0, 1, 1, 0])
    >>> path = os.path.join(tempfile.mkdtemp(), "run.safetensors")
    >>> def train(epochs, **options):
    ...     model = nn.Sequential([nn.Dense(4, 8, activation="tanh"), nn.Dense(8, 2)], seed=0)
    ...     model.fit(X, y, loss="softmax_cross_entropy", optimizer=nn.Adam(), batch_size=2, epochs=epochs,
    ...               callbacks=[nn.Checkpoint(path)], **options)
    ...     return model.predict(X)
    >>> whole = train(epochs=6)
    >>> _ = train(epochs=3)  # a run that ends too early
    >>> bool((train(epochs=6, resume_from=path) == whole).all())
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every_epochs: Integer = 1,
        save_best_only: bool = False,
        monitor: str = "val_loss",
    ) -> None:
        super().__init__(monitor)
        self.path = _files.check_place(path)
        self.every_epochs = _checks.integer("every_epochs", every_epochs)
        self.save_best_only = self.uses_monitor = bool(save_best_only)
        _checks.extra("safetensors", "save")
        self._callbacks: list[Callback] = [self]
        self._epochs = self._decided_on = 0
        self._due = False
        self._writes = True

    def on_fit_begin(self, model: fastact.nn.Sequential) -> None:
        super().on_fit_begin(model)
        self._decided_on = 0
        storage.config_of(model.optimizer)  # an optimiser that cannot be saved is an error now, not after an epoch

    def on_epoch_end(self, model: fastact.nn.Sequential, epoch: int, history: History) -> None:
        # A file holds the best values of all checkpoints, so all of them are brought up to date before one is written.
        for callback in self._callbacks:
            if isinstance(callback, Checkpoint):
                callback._decide(model, epoch, history)
        if self._due and self._writes:
            try:
                storage.save(model, self.path, self._callbacks)
            except OSError as error:
                kept = "the one before is whole" if os.path.exists(self.path) else "there is none before it"
                rest = (
                    f"the checkpoint of epoch {epoch} is not written, {kept}. Once the cause (a full disk?) is gone, "
                    "fit(resume_from=path) goes on from the last one"
                )
                if error.errno is None:
                    raise OSError(f"{error}: {rest}") from error
                raise OSError(error.errno, f"{error.strerror}: {rest}", self.path) from error

    def _decide(self, model, epoch, history):
        """Note the epoch's value and whether to write, once an epoch."""
        if self._decided_on != epoch:
            due = epoch % self.every_epochs == 0 or epoch == self._epochs or model.stop_training
            self._due = due and (not self.save_best_only or self._improved(history))
            self._decided_on = epoch

    def state(self) -> Mapping[str, ArrayLike]:
        return {"best": self.best}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.best = float(state["best"])

    def __repr__(self):
        best = f", save_best_only=True, monitor={self.monitor!r}" if self.save_best_only else ""
        return f"Checkpoint({self.path!r}, every_epochs={self.every_epochs}{best})"


def lock_checkpoints(callbacks: Iterable[Callback]) -> contextlib.ExitStack:
    """Return a context manager within which no other training may write the files of these callbacks."""
    paths = {callback.path for callback in callbacks if isinstance(callback, Checkpoint) and callback._writes}
    with contextlib.ExitStack() as stack:
        for path in sorted(paths):
            stack.enter_context(_files.locked(path))
        return stack.pop_all()  # the locks outlive this block, unless one of them could not be had


class BatchCallbacks:
    """The callbacks that have something to do for every batch; the others cost nothing."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._begin = [c.on_batch_begin for c in callbacks if _overrides(c, "on_batch_begin")]
        self._end = [c.on_batch_end for c in callbacks if _overrides(c, "on_batch_end")]

    def begin(self, model: fastact.nn.Sequential, epoch: int, batch: int) -> list[BackwardHook]:
        """Return the hooks for the backward pass of this step."""
        hooks = []
        for on_batch_begin in self._begin:  # a comprehension is a call of its own up to Python 3.11
            hook = on_batch_begin(model, epoch, batch)
            if hook is not None:
                hooks.append(hook)
        return hooks

    def end(self, model: fastact.nn.Sequential, epoch: int, batch: int) -> None:
        for on_batch_end in self._end:
            on_batch_end(model, epoch, batch)


def _overrides(callback, name):
    return getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name)


def prepare_callbacks(
    callbacks: Iterable[Callback], loss: Loss, validated: bool, epochs: int, writes: bool = True
) -> list[Callback]:
    """Check the callbacks of a `fit` with this loss and so many epochs, and return them in the order of their calls;
    ``writes`` says whether this process is to write checkpoints."""
    names = ["loss", loss.metric] if loss.metric else ["loss"]
    if validated:
        names += [f"val_{name}" for name in names]
    if isinstance(callbacks, Callback):
        raise TypeError(f"callbacks must be a list of nn.Callback, got {callbacks!r}: write [...] around it")
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be a list of nn.Callback, got {callbacks!r}")
    callbacks = list(callbacks)
    for index, callback in enumerate(callbacks):
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks[{index}] must be an nn.Callback, got {callback!r}")
        if isinstance(callback, _Monitor) and callback.uses_monitor and callback.monitor not in names:
            hint = "; give validation_data" if callback.monitor.startswith("val_") else ""
            raise ValueError(
                f"callbacks[{index}] must monitor one of {', '.join(map(repr, names))}, got {callback!r}{hint}"
            )
    checkpoints = [callback for callback in callbacks if isinstance(callback, Checkpoint)]
    # The best go first: a run that dies before the others are written resumes an epoch earlier, and writes it again.
    checkpoints.sort(key=lambda checkpoint: not checkpoint.save_best_only)
    callbacks = [*(callback for callback in callbacks if not isinstance(callback, Checkpoint)), *checkpoints]
    for checkpoint in checkpoints:
        checkpoint._callbacks, checkpoint._epochs, checkpoint._writes = callbacks, epochs, writes
    return callbacks
