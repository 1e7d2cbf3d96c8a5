"""Models in files: safetensors, which holds arrays and text and can run no code.

All that is not an array is JSON in the file's metadata, under `KEY`, after the CRC-32 of that text and of all arrays,
which tells a damaged file. The arrays are called ``layers.0.W``, ``layers.0.b``,
``layers.0.negative_slope`` (one slope a unit), ``optimizer.velocity.0`` (an optimiser's slot, by the number of the
parameter) and ``callbacks.0.weights.0``.
"""

from __future__ import annotations

import itertools
import json
import numbers
import os
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastact
from fastact.nn import _checks, losses, optimizers
from fastact.nn._files import as_text, check_kind, replacing
from fastact.nn.history import History
from fastact.nn.initializers import INITIALIZERS
from fastact.nn.layers import Dense
from fastact.nn.losses import LOSSES, Loss
from fastact.nn.optimizers import Optimizer

if TYPE_CHECKING:
    import fastact.nn  # of which this module is a part

VERSION = 1
KEY = "fastact.nn"


def save(
    model: fastact.nn.Sequential, path: str | os.PathLike[str], callbacks: Iterable[fastact.nn.Callback] = ()
) -> None:
    """Write a model, and the state of the callbacks of its training, into a file; a failure leaves what was there."""
    safetensors = _checks.extra("safetensors", "save")
    write = _checks.extra("safetensors.numpy", "save").save_file
    tensors: dict[str, NDArray[Any]] = {}
    document = {
        "version": VERSION,
        "fastact": fastact.__version__,
        "dtype": str(model.dtype),
        "layers": [_describe_layer(index, layer, tensors) for index, layer in enumerate(model.layers)],
        "loss": _name_in(LOSSES, model.loss),
        "optimizer": _describe_optimizer(model, tensors),
        "generator": model._rng.bit_generator.state,
        "history": None if model.history is None else _numbers_by_name(model.history),
        "stopped": bool(model.stop_training),
        "callbacks": [_describe_callback(index, callback, tensors) for index, callback in enumerate(callbacks)],
    }
    text = json.dumps(document)
    with replacing(path) as spare:
        try:
            write(tensors, spare, {KEY: f"{_checksum(text, tensors)} {text}"})
        except safetensors.SafetensorError as error:  # a full disk, say
            raise OSError(f"{os.fsdecode(path)} cannot be written: {error}") from None


def _describe_layer(index, layer, tensors):
    tensors[f"layers.{index}.W"], tensors[f"layers.{index}.b"] = layer.W, layer.b
    one_slope = isinstance(layer.negative_slope, float)
    if not one_slope:
        tensors[f"layers.{index}.negative_slope"] = np.ascontiguousarray(layer.negative_slope)
    return {
        "in_features": layer.in_features,
        "out_features": layer.out_features,
        "activation": layer.activation,
        "negative_slope": layer.negative_slope if one_slope else None,
        "init": _name_in(INITIALIZERS, layer.init),
        "needs_batch": layer.needs_batch,
    }


def _describe_optimizer(model, tensors):
    optimizer = model.optimizer
    if optimizer is None:
        return None
    trained = optimizer._knows(model.parameters())  # or it has gone on to another model since
    slots = optimizer.state if trained else {}
    tensors |= {f"optimizer.{slot}.{i}": array for slot, arrays in slots.items() for i, array in enumerate(arrays)}
    return {"config": config_of(optimizer), "steps": optimizer.steps if trained else 0, "slots": list(slots)}


def config_of(optimizer: Optimizer | None) -> dict[str, Any]:
    """Return the settings of an optimiser, which must be one that a file can name."""
    if optimizer is None or type(optimizer) not in optimizers.OPTIMIZERS.values():
        raise TypeError(
            f"optimizer must be one of fastact's to be saved, got {type(optimizer).__name__}; "
            "with model.optimizer = None the rest can be"
        )
    return optimizer.config()


def _numbers_by_name(history):
    """Return a history as plain lists of floats, which JSON can hold."""
    for name, values in history.items():
        if not isinstance(name, str):
            raise TypeError(f"the names in the history must be str to be saved, got {name!r}")
        if not isinstance(values, list) or not all(isinstance(value, numbers.Real) for value in values):
            raise TypeError(f"history[{name!r}] must be a list of real numbers to be saved, got {values!r}")
    return {name: [float(value) for value in values] for name, values in history.items()}


def _describe_callback(index, callback, tensors):
    name, state = type(callback).__name__, callback.state()
    if not isinstance(state, Mapping):
        raise TypeError(f"{name}.state() must return a dict of arrays, got {state!r} ({type(state).__name__})")
    for key, values in state.items():
        if not isinstance(key, str):
            raise TypeError(f"{name}.state() must return names that are str, got {key!r}")
        array = _checks.real_array(f"{name}.state()[{key!r}]", values)
        if array.dtype.kind == "f" and array.itemsize > 8:
            raise TypeError(f"{name}.state()[{key!r}] must be float64 or smaller to be saved, got {array.dtype}")
        tensors[f"callbacks.{index}.{key}"] = np.asarray(array, array.dtype.newbyteorder("="), order="C")
    return {"name": name, "state": list(state)}


def _name_in(table, value):
    """Return the name of ``value`` in a table, None for a function or object of the user's own."""
    return next((name for name, known in table.items() if value in (name, known)), None)


def _checksum(text, tensors):
    crc = zlib.crc32(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        crc = zlib.crc32(array, zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc))
    return f"{crc:08x}"


def load(path: str | os.PathLike[str]) -> fastact.nn.Sequential:
    """Return the model of a file that `Sequential.save` or `Checkpoint` has written.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Sequential
        With its weights, and as `fit` left it: ``model.loss``, ``model.history``, the state of the generator that
        draws the batches, and ``model.optimizer`` with its state. ``model.fit(..., optimizer=model.optimizer)`` goes
        on as the saved model would have, to the bit. A loss or an initialiser of one's own is not stored:
        ``model.loss`` is None then, and `Dense` shows its default initialiser.

    Raises
    ------
    ImportError
        safetensors is not installed: ``pip install "fastact[save]"``.
    OSError
        The file cannot be read.
    ValueError
        The file is damaged, cut short, of another program, or of a newer fastact.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastact import nn
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model = nn.Sequential([nn.Dense(2, 3, activation="tanh"), nn.Dense(3, 1)], seed=0)
    >>> model.save(path)
    >>> twin = nn.load(path)
    >>> twin
    Sequential([
        Dense(2, 3, activation='tanh'),
        Dense(3, 1),
    ])  # 13 parameters
    >>> bool((twin.predict([[1.0, 2.0]]) == model.predict([[1.0, 2.0]])).all())
    True
    """
    return read(path).model


class SavedTraining(NamedTuple):
    """What a file holds: a model as it was, and the name and state of each callback of its training."""

    path: str
    model: fastact.nn.Sequential
    callbacks: list[tuple[str, dict[str, NDArray[Any]]]]

    @property
    def epochs(self) -> int:
        """Epochs that were finished."""
        return 0 if self.model.history is None else self.model.history.epochs

    def check(
        self, model: fastact.nn.Sequential, loss: Loss, optimizer: Optimizer, epochs: int, validated: bool
    ) -> None:
        """Refuse to resume a training in which the model or an argument of `fit` is another one."""
        history = self.model.history
        if history is None or self.model.optimizer is None:
            raise ValueError(f"resume_from must be a file of a training; {self.path} holds an untrained model")
        if history.epochs > epochs:
            raise ValueError(
                f"epochs counts from the beginning of the training, of which {self.path} has {history.epochs}: it must "
                f"be at least that, got {epochs}"
            )
        if history.epochs and validated != ("val_loss" in history):
            then, now = ("without", "with") if validated else ("with", "without")
            raise ValueError(
                f"resume_from must hold the same training, but {self.path} is of one {then} validation_data, and this "
                f"is one {now}"
            )
        layers = itertools.zip_longest(self.model.layers, model.layers)
        differences: list[tuple[str, object, object]] = [
            (f"layers[{index}]", stored, given)
            for index, (stored, given) in enumerate(layers)
            if _compared(stored) != _compared(given)
        ]
        if self.model.loss not in (None, loss):
            differences.append(("loss", self.model.loss, loss))
        if self.model.optimizer.config() != optimizer.config():
            differences.append(("optimizer", self.model.optimizer, optimizer))
        if differences:
            name, stored, given = differences[0]
            hint = "if a callback has changed it, give nn.load(path).optimizer; " if name == "optimizer" else ""
            raise ValueError(
                f"resume_from must hold the same training, but {name} is {stored!r} in {self.path} and {given!r} here; "
                f"{hint}to go on with other settings, fit the model that nn.load returns"
            )

    def restore(self, model: fastact.nn.Sequential, callbacks: Iterable[fastact.nn.Callback]) -> None:
        """Make the model, its optimiser and the callbacks what they were."""
        stored = self.model
        assert stored.optimizer is not None and model.optimizer is not None
        for mine, saved in zip(model.layers, stored.layers, strict=True):
            mine.W, mine.b = saved.W, saved.b
        model.optimizer.restore(model.parameters(), stored.optimizer.state, stored.optimizer.steps)
        model._rng.bit_generator.state = stored._rng.bit_generator.state  # in place: the batches hold the generator
        model.history, model.stop_training = stored.history, stored.stop_training
        states: dict[str, list[Any]] = {}
        for name, state in self.callbacks:
            states.setdefault(name, []).append(state)
        for callback in callbacks:
            if states.get(type(callback).__name__):
                callback.restore(states[type(callback).__name__].pop(0))


def _compared(layer):
    """Return what two layers must agree in for one to take the other's weights; None where there is no layer."""
    if layer is None:
        return None
    slope = np.array(layer.negative_slope).tolist()
    return layer.in_features, layer.out_features, layer.activation, layer.dtype, slope


def read(path: str | os.PathLike[str], argument: str = "path") -> SavedTraining:
    """Read a file whole, and check it; ``argument`` is what errors call a path that is none."""
    path = as_text(argument, path)
    metadata, tensors = _read_file(path)
    checksum, _, text = metadata.partition(" ")
    try:
        document = json.loads(text)
        version = document["version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(f"{path} is damaged: its description of the model cannot be read ({error!r})") from None
    if version != VERSION:
        raise ValueError(
            f"{path} has version {version!r} of the format, but fastact {fastact.__version__} reads {VERSION}; it was "
            f"written by fastact {document.get('fastact')}: install that version or a newer one"
        )
    if checksum != _checksum(text, tensors):
        raise _damaged(f"{path} is damaged: its checksum is {_checksum(text, tensors)}, wanted {checksum}")
    try:
        return _build(path, document, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} does not describe a model that fastact can build: {error}") from error


def _damaged(how):
    return ValueError(f"{how}. Take a copy of the file or another checkpoint; without either, train anew")


def _read_file(path):
    """Return the metadata and the arrays."""
    safetensors = _checks.extra("safetensors", "save")
    check_kind(path)
    with open(path, "rb"):  # safetensors takes a file that must not be read for one that is not there
        pass
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if KEY not in metadata:
                found = f"metadata {sorted(metadata)}" if metadata else "no metadata"
                raise ValueError(f"{path} is a safetensors file of another program: it has {found}, wanted {KEY!r}")
            return metadata[KEY], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise _damaged(f"{path} is no safetensors file, or is cut short: {error}") from None


def _build(path, document, tensors):
    from fastact.nn.model import Sequential  # which needs this module

    def take(name, shape, dtype):
        array = tensors.pop(name, None)
        if array is None or array.shape != shape or array.dtype != dtype:
            found = "none" if array is None else f"{array.dtype} {array.shape}"
            raise ValueError(f"array {name!r} must be {dtype} {shape}, got {found}")
        return array

    layers = []
    for index, settings in enumerate(document["layers"]):
        prefix, inputs, outputs = f"layers.{index}", settings["in_features"], settings["out_features"]
        if settings["negative_slope"] is None:
            settings["negative_slope"] = take(f"{prefix}.negative_slope", (outputs,), document["dtype"])
        needs_batch = settings.pop("needs_batch")
        layer = Dense(**settings, dtype=document["dtype"])
        layer.W = take(f"{prefix}.W", (inputs, outputs), document["dtype"])
        layer.b = take(f"{prefix}.b", (outputs,), document["dtype"])
        layer.needs_batch = _checks.boolean("needs_batch", needs_batch)
        layers.append(layer)
    model = Sequential(layers)
    model._rng.bit_generator.state = document["generator"]
    if model._rng.bit_generator.state != document["generator"]:  # NumPy 1.26 takes -1 for 2**64 - 1
        raise ValueError("state of the random generator is out of range")
    model.loss = document["loss"] and losses.get(document["loss"])
    model.history = None if document["history"] is None else History(_numbers_by_name(document["history"]))
    model.stop_training = _checks.boolean("stopped", document["stopped"])
    if document["optimizer"] is not None:
        model.optimizer = optimizers.from_config(document["optimizer"]["config"])
        shapes = [parameter.value.shape for parameter in model.parameters()]
        state = {
            slot: [take(f"optimizer.{slot}.{i}", shape, document["dtype"]) for i, shape in enumerate(shapes)]
            for slot in document["optimizer"]["slots"]
        }
        steps = _checks.integer("steps of the optimizer", document["optimizer"]["steps"], least=0)
        if steps:
            model.optimizer.restore(model.parameters(), state, steps)
    callbacks = [
        (callback["name"], {name: tensors.pop(f"callbacks.{index}.{name}") for name in callback["state"]})
        for index, callback in enumerate(document["callbacks"])
    ]
    if tensors:
        raise ValueError(f"there are arrays that belong to nothing: {', '.join(sorted(tensors))}")
    return SavedTraining(path, model, callbacks)
