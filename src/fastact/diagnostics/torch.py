"""The measures of a torch.nn.Module: of the four activations in it, as modules or as functions.

A `TorchFunctionMode` sees every call of torch's functions that the forward pass makes, with its arguments. No module is
hooked; tensors get hooks that live as long as the pass.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fastact
from fastact import nn
from fastact.diagnostics.findings import Finding, of_loss
from fastact.diagnostics.measures import Diagnosis, LayerTotals, square_sum
from fastact.diagnostics.sequential import default_loss
from fastact.nn import _checks
from fastact.nn._types import Floats

if TYPE_CHECKING:
    import torch

# Name of a function or method of torch, without the underscore of those in place -> activation
ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "special_expit": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
}

# Functions that stand between a weight and the next weight, of which no more than the name is told
OTHERS = {"gelu", "silu", "elu", "selu", "celu", "mish", "softplus", "softsign", "relu6", "hardtanh", "hardswish",
          "hardsigmoid", "prelu", "rrelu", "logsigmoid", "threshold"}  # fmt: skip

# name of a product with a weight as its second argument, and of those where any argument may be it
CONVOLUTIONS = {f"conv{transposed}{n}d" for transposed in ("", "_transpose") for n in (1, 2, 3)}
PRODUCTS = {"matmul", "mm", "addmm"}

# Functions that a network may end in and that bound its outputs; the nodes of autograd that may follow such an end
ENDS = {"sigmoid": "sigmoid", "special_expit": "sigmoid", "tanh": "tanh", "softmax": "softmax"}
PASSED = {"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Permute", "Transpose", "T", "Select", "Slice",
          "Alias", "Clone", "ToCopy", "Clamp", "ClampMin", "ClampMax"}  # fmt: skip

# Function of torch that takes logits -> the loss that it is; and what is done with probabilities in a cross-entropy
OF_LOGITS = {
    "cross_entropy": "softmax_cross_entropy",
    "log_softmax": "softmax_cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy",
}
OF_PROBABILITIES = {"binary_cross_entropy", "log"}


def is_module(model: object) -> bool:
    """Return whether a model is a torch.nn.Module; torch is not imported for it."""
    return any(c.__module__ == "torch.nn.modules.module" and c.__name__ == "Module" for c in type(model).__mro__)


@dataclass
class _Layer:
    """What one batch has shown of a layer: a product with a weight, an activation, or both."""

    name: str
    weight: torch.Tensor | None
    channels_first: bool
    Y: Floats
    output: torch.Tensor
    activation: str | None = None
    slopes: Floats | None = None
    active: NDArray[np.bool_] | None = None
    hook: Any = None  # of the output
    output_squares: float = math.nan
    input_squares: float = math.nan


def _recorder(names, end=None):
    """Return a TorchFunctionMode with lists ``layers`` and ``ends``, which the calls made under it fill.

    ``names`` are those of the parameters, by id. ``end`` is the place in ``ends`` of a call that is a part of the loss
    and no layer's activation.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class Recorder(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.layers = []
            self.ends = []  # (function of ENDS, node of autograd) for each call of one

        def __torch_function__(self, function, types, arguments=(), keywords=None):
            keywords = keywords or {}
            name = getattr(function, "__name__", "").strip("_")
            X = _argument(arguments, keywords, 0, "input")
            if name == "linear" or name in CONVOLUTIONS or name in PRODUCTS:
                return self._product(function, name, arguments, keywords)
            Z = _array(X) if name in ACTIVATIONS else None  # Y may overwrite it
            Y = function(*arguments, **keywords)
            if name in ENDS:
                self.ends.append((ENDS[name], Y.grad_fn))
            if name in ENDS and len(self.ends) - 1 == end:
                return Y
            if name in ACTIVATIONS:
                slope = (_argument(arguments, keywords, 1, "negative_slope", 0.01),) if "leaky" in name else ()
                self._add_activation(ACTIVATIONS[name], X, Z, slope, Y)
            elif name in OTHERS:
                self._attach(name, X, Y, alone=False)
            return Y

        def _product(self, function, name, arguments, keywords):
            """Call a function, and record a layer if it is a product with a weight."""
            X, weight = _argument(arguments, keywords, 0, "input"), _argument(arguments, keywords, 1, "weight")
            if name in PRODUCTS:
                tensors = [value for value in (*arguments, *keywords.values()) if isinstance(value, torch.Tensor)]
                weight = next((t for t in tensors if isinstance(t, torch.nn.Parameter) and t.ndim > 1), None)
                if weight is None:  # a product of two activations, in an attention say
                    return function(*arguments, **keywords)
                X = next(t for t in reversed(tensors) if t is not weight)
            if X.requires_grad:  # a view of its own has the gradient of this use, where other layers use X too
                use = X.view_as(X)
                arguments = tuple(use if value is X else value for value in arguments)
                keywords = {key: use if value is X else value for key, value in keywords.items()}
                X = use
            Y = function(*arguments, **keywords)
            label = names.get(id(weight), f"{name} {len(self.layers)}")
            channels_first = name in CONVOLUTIONS
            layer = _Layer(label, weight, channels_first, _rows(_array(Y), channels_first), Y)
            self._watch(layer, "input_squares", X)
            layer.hook = self._watch(layer, "output_squares", Y)
            self.layers.append(layer)
            return Y

        def _add_activation(self, activation, X, Z, slope, Y):
            layer = self._attach(activation, X, Y)
            Z = _rows(Z, layer.channels_first)
            layer.slopes = getattr(fastact, f"{activation}_derivative")(Z, *slope)
            layer.active = Z > 0 if activation in ("relu", "leaky_relu") else None

        def _attach(self, activation, X, Y, alone=True):
            """Return the layer whose output X is, with the activation and Y; or the last one, if they can belong to it.

            Else they make a layer without weights, if they may stand alone.
            """
            makers = [layer for layer in self.layers if layer.output is X and layer.activation is None]
            layer = (makers or self.layers or [None])[-1]
            channels_first = Y.ndim > 3 if layer is None else layer.channels_first
            outputs = _rows(_array(Y), channels_first)
            if layer is None or layer.activation is not None or layer.Y.shape != outputs.shape:
                if not alone:
                    return None
                layer = _Layer(f"{activation} {len(self.layers)}", None, channels_first, outputs, Y)
                self.layers.append(layer)
            elif layer.hook is not None:
                layer.hook.remove()
            layer.activation, layer.Y, layer.output = activation, outputs, Y
            layer.hook = self._watch(layer, "output_squares", Y)
            return layer

        @staticmethod
        def _watch(layer, name, tensor):
            """Have the sum of squares of a tensor's gradient written into a layer's record, once it is known."""
            if not tensor.requires_grad:
                return None
            return tensor.register_hook(lambda gradient: setattr(layer, name, square_sum(_array(gradient))))

    return Recorder()


def _end(tensor, ends):
    """Return the place in ``ends`` of the call that a tensor comes from, but for its shape and type; or None."""
    node = tensor.grad_fn
    while node is not None:
        for place, (_, made) in enumerate(ends):
            if node is made:
                return place
        node = node.next_functions[0][0] if node.name().partition("Backward")[0] in PASSED else None
    return None


def _argument(arguments, keywords, index, name, default=None):
    return arguments[index] if len(arguments) > index else keywords.get(name, default)


def _array(tensor):
    """Return a tensor's numbers as an array of float32 or float64, its own."""
    import torch

    dtype = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return tensor.detach().to("cpu", dtype, copy=True).contiguous().numpy()


def _rows(array, channels_first):
    """Return an array as (rows, units): every place of an image, or of a sequence, is a row."""
    if channels_first and array.ndim > 2:
        array = np.moveaxis(array, 1, -1)
    return np.ascontiguousarray(array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1))


@contextmanager
def _unchanged(model) -> Iterator[None]:
    """Evaluation mode in the block; behind it modes, buffers and random numbers are what they were."""
    import torch

    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    devices = {tensor.device.index for tensor in model.parameters() if tensor.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=[index for index in devices if index is not None]), torch.enable_grad():
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, value in buffers:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)


def measure_module(
    model: Any,
    X: Any,
    y: Any,
    loss: str | Callable[..., Any] | None,
    batch_size: int,
    saturation_threshold: float,
) -> Diagnosis:
    """Return the diagnosis of a torch.nn.Module, which is not changed."""
    import torch

    X, y = _tensors(model, X, y)
    parameters = {id(parameter): parameter for parameter in model.parameters()}
    names = {
        id(parameter): name.removesuffix(".weight").replace("_orig_mod.", "")  # of torch.compile
        for name, parameter in model.named_parameters()
    }
    rows, value = len(X), 0.0
    totals: list[LayerTotals] = []
    gradients: list[Any] = []
    objective: _Objective | None = None
    with _unchanged(model), np.errstate(all="ignore"):
        for start in range(0, rows, batch_size):
            X_batch = X[start : start + batch_size].detach().clone()
            X_batch.requires_grad_(X_batch.is_floating_point())
            share = len(X_batch) / rows  # the loss is the mean over all rows
            y_batch = y[start : start + batch_size]
            if objective is None:
                output, recorder = _forward(model, X_batch, _recorder(names))
                objective = _objective(loss, output, y_batch, y, recorder.ends)
            if start > 0 or objective.end is not None:
                output, recorder = _forward(model, X_batch, _recorder(names, objective.end))
            batch_loss = objective.value(output, y_batch)
            layers = recorder.layers
            if not layers:
                raise ValueError(
                    "model must have a layer to be seen: a linear or convolutional one, or sigmoid, tanh, relu or "
                    f"leaky_relu as a module or function of torch, got {type(model).__name__}"
                )
            weights = {id(layer.weight): layer.weight for layer in layers if layer.weight is not None}
            wanted = [t for t in (weights | parameters).values() if t.requires_grad]
            wanted += [X_batch] if X_batch.requires_grad else []
            if not batch_loss.requires_grad:
                raise ValueError("model must have a parameter that requires a gradient, but its loss depends on none")
            found = torch.autograd.grad(share * batch_loss, wanted, allow_unused=True)
            of_tensor = {id(tensor): gradient for tensor, gradient in zip(wanted, found, strict=True)}
            value += share * float(batch_loss.detach())
            if not totals:
                for index, layer in enumerate(layers):
                    places = len(layer.Y) * rows // len(X_batch)  # of an image, say, each is a row
                    units = layer.Y.shape[1]
                    totals.append(
                        LayerTotals(index, layer.name, layer.activation, units, saturation_threshold, places)
                    )
                gradients = [math.nan] * len(layers)
            if [layer.name for layer in layers] != [total.name for total in totals]:
                raise ValueError("model must make the same calls for every batch, but its layers depend on the data")
            for index, (layer, total) in enumerate(zip(layers, totals, strict=True)):
                total.add_units(layer.Y, layer.slopes, layer.active)
                total.add_gradients(layer.output_squares, layer.input_squares)
                gradient = of_tensor.get(id(layer.weight))
                if gradient is not None:
                    before = 0.0 if start == 0 else gradients[index]
                    gradients[index] = before + _array(gradient).astype(np.float64)
    measured = [
        total.result(math.sqrt(square_sum(gradient)) if isinstance(gradient, np.ndarray) else math.nan)
        for total, gradient in zip(totals, gradients, strict=True)
    ]
    assert objective is not None  # there is a row, so there was a batch
    dtype = str(next(iter(parameters.values()), X).dtype).removeprefix("torch.")
    return Diagnosis(measured, rows, value, objective.name, dtype, objective.finding)


def _forward(model, X, recorder):
    """Return what a model makes of a batch, and the recorder, which has seen it."""
    import torch

    # compiled code makes no calls that a recorder could see
    compiler = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    with recorder, compiler:
        output = model(X)
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"model must return one tensor, got {type(output).__name__}")
    return output, recorder


def _tensors(model, X, y):
    """Return X and y as tensors on the model's device, X of its type where it is not of indices."""
    import torch

    first = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(0))
    X, y = (
        array if isinstance(array, torch.Tensor) else torch.as_tensor(_checks.real_array(argument, array))
        for argument, array in (("X", X), ("y", y))
    )
    X, y = X.detach().to(first.device), y.detach().to(first.device)
    indices = any(isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag) for module in model.modules())
    if X.is_floating_point() or not indices:
        X = X.to(first.dtype)
    if y.is_complex():
        raise TypeError(f"y must hold real numbers, got dtype {y.dtype}")
    y = y.to(first.dtype) if y.is_floating_point() else y.long()
    if X.ndim == 0 or len(X) == 0:
        raise ValueError(f"X must have at least one row, got shape {tuple(X.shape)}")
    for argument, tensor in (("X", X), ("y", y)):
        if tensor.is_floating_point():
            numbers = _array(tensor)
            _checks.finite(argument, numbers, numbers.dtype)
    if y.ndim == 0 or len(y) != len(X):
        raise ValueError(f"y must have one entry for each of the {len(X)} rows of X, got shape {tuple(y.shape)}")
    return X, y


@dataclass
class _Objective:
    """The loss of a batch as a function of outputs and targets, and what of the network belongs to it."""

    name: str
    value: Callable[[Any, Any], Any]
    end: int | None = None  # place of the sigmoid that belongs to the loss; see `_recorder`
    finding: Finding | None = None


def _objective(loss, output, y, whole_y, ends):
    """Return what a loss, or None, means for a network with these outputs, which come from the functions ``ends``."""
    place = _end(output, ends)
    end = None if place is None else ends[place][0]
    if callable(loss):
        return _of_function(loss, output, y, place, ends)
    name = _checks.choose("loss", loss or _default(whole_y.cpu().numpy(), output, end), nn.losses.LOSSES).name
    if name == "mse" or end not in ("sigmoid", "softmax"):
        finding = of_loss(end, name, _outputs(output))
        return _Objective(name, partial(_named_loss, name, whole_y=whole_y), finding=finding)
    whole = end == "sigmoid" or (output.ndim > 1 and bool(((output.sum(dim=1) - 1.0).abs() < 0.01).all()))
    fitting = {"sigmoid": "binary_cross_entropy", "softmax": "softmax_cross_entropy"}[end]
    if name != fitting or not whole:
        raise ValueError(
            f"loss must be {f'{fitting!r}, ' * whole}'mse' or a function for a model that ends in a {end}: its outputs "
            f"are no logits for {name!r}"
        )
    return _Objective(name, partial(_named_loss, end, whole_y=whole_y), place if end == "sigmoid" else None)


def _outputs(output):
    return output.shape[1] if output.ndim > 1 else 1


def _default(y, output, end):
    """Return the name of the loss for such targets; a network that ends in probabilities says more than a type does."""
    if end in ("sigmoid", "softmax") and bool(((y == 0) | (y == 1)).all()):
        y = y.astype(int)
        if end == "sigmoid" and math.prod(y.shape[1:]) == math.prod(output.shape[1:]):
            return "binary_cross_entropy"
    return default_loss(y, _outputs(output))


def _of_function(loss, output, y, place, ends):
    """Return the objective of a function, of which is seen what it does with the outputs."""
    import torch
    from torch.overrides import TorchFunctionMode

    called = set()

    class Calls(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), keywords=None):
            X = _argument(arguments, keywords or {}, 0, "input")
            if isinstance(X, torch.Tensor) and _end(X, ends) == place:
                called.add(function.__name__.strip("_") if hasattr(function, "__name__") else "")
            return function(*arguments, **(keywords or {}))

    def value(output, y):
        found = loss(output, y)
        if not isinstance(found, torch.Tensor) or found.numel() != 1:
            raise TypeError(f"loss must return a tensor of one number, the mean over the rows, got {found!r}")
        return found.reshape(())

    objective = _Objective(getattr(loss, "__name__", type(loss).__name__), value)
    if place is not None:
        with Calls():
            value(output, y)
        end = ends[place][0]
        if end == "sigmoid" and called & OF_PROBABILITIES:
            objective.end = place
        wants_logits = next((name for function, name in OF_LOGITS.items() if function in called), None)
        objective.finding = of_loss(end, wants_logits, _outputs(output))
    return objective


def _named_loss(name, output, y, whole_y):
    """Return a loss of fastact's for a batch, a tensor of one number; "sigmoid" and "softmax" take probabilities."""
    import torch

    F = torch.nn.functional
    if name == "softmax_cross_entropy":
        return F.cross_entropy(output, _classes(y, output, whole_y))
    if name == "softmax":  # the softmax of logarithms of probabilities gives these
        smallest = torch.finfo(output.dtype).tiny
        return F.cross_entropy(output.clamp_min(smallest).log(), _classes(y, output, whole_y))
    if y.numel() != output.numel():  # or it would be broadcast
        shape = (len(whole_y), *output.shape[1:])
        raise ValueError(f"y must have the shape of the outputs, {shape}, got {tuple(whole_y.shape)}")
    y = y.to(output.dtype).reshape(output.shape)
    if name == "mse":
        return F.mse_loss(output, y)
    if not 0 <= float(y.min()) <= float(y.max()) <= 1:
        raise ValueError(f"y must lie in [0, 1], got {float(y.min()):g} to {float(y.max()):g}")
    return (F.binary_cross_entropy if name == "sigmoid" else F.binary_cross_entropy_with_logits)(output, y)


def _classes(y, output, whole_y):
    """Return y as cross_entropy takes it: labels, or a probability for each of the outputs."""
    rows = len(whole_y)
    if output.ndim < 2:
        raise ValueError(f"loss must not be 'softmax_cross_entropy' where outputs have the shape ({rows},)")
    if y.shape == output.shape:
        return y.to(output.dtype)
    if y.is_floating_point() or y.shape != output.shape[:1] + output.shape[2:]:
        raise ValueError(
            f"y must be integer labels of shape {(rows, *output.shape[2:])} or probabilities of shape "
            f"{(rows, *output.shape[1:])}, got {y.dtype} of shape {tuple(whole_y.shape)}"
        )
    classes = output.shape[1]
    if not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise ValueError(
            f"y must hold labels from 0 to {classes - 1} (the model has {classes} outputs), got {int(y.min())} to "
            f"{int(y.max())}"
        )
    return y
