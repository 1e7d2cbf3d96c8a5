"""The measures of a torch.nn.Module: of the four activations in it, as modules or as functions.

A `TorchFunctionMode` sees every call of torch's functions that the forward pass makes, with its arguments. Modules get
no hooks; tensors get hooks that live as long as the pass. `diagnose` imports this module only for a torch.nn.Module,
as it imports torch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

import fastact
from fastact import nn
from fastact.diagnostics.findings import Finding, loss_finding
from fastact.diagnostics.measures import Diagnosis, LayerTotals, sum_of_squares
from fastact.diagnostics.sequential import default_loss
from fastact.nn import _checks
from fastact.nn._types import Floats

# Function or method of torch, without the underscore of those in place -> activation
ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "special_expit": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
}

# Other activations, of which only the name and the gradients are reported
OTHER_ACTIVATIONS = {"gelu", "silu", "elu", "selu", "celu", "mish", "softplus", "softsign", "relu6", "hardtanh",
                     "hardswish", "hardsigmoid", "prelu", "rrelu", "logsigmoid", "threshold"}

# Functions whose second argument is a weight
CONVOLUTIONS = {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
# Functions of which any argument may be a weight
MATRIX_PRODUCTS = {"matmul", "mm", "addmm"}

# Functions whose outputs are bounded, at a network's end -> their names in findings and errors
BOUNDED = {"sigmoid": "sigmoid", "special_expit": "sigmoid", "tanh": "tanh", "softmax": "softmax"}
# Nodes of autograd that keep the values of the bounded function before them, but for shape, type and clamping
VALUE_KEEPING_NODES = {"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Permute", "Transpose", "T",
                       "Select", "Slice", "Alias", "Clone", "ToCopy", "Clamp", "ClampMin", "ClampMax"}

# Functions that a loss calls with logits -> the loss
LOGIT_FUNCTIONS = {
    "cross_entropy": "softmax_cross_entropy",
    "log_softmax": "softmax_cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy",
}
# Functions that a cross-entropy calls with probabilities
PROBABILITY_FUNCTIONS = {"binary_cross_entropy", "log"}


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
    output_hook: Any = None
    output_squares: float = math.nan
    input_squares: float = math.nan


@dataclass(frozen=True)
class _BoundedCall:
    """A call of one of the functions of BOUNDED, and the node of autograd that it made."""

    function: str
    node: Any


class _Recorder(TorchFunctionMode):
    """Records the layers and the bounded functions among the calls that are made under it.

    Parameters
    ----------
    names : dict of int to str
        Names of the parameters, by id.
    sigmoid_of_loss : int, optional
        Which of the bounded calls, counted from 0, is a sigmoid that belongs to the loss and to no layer.
    """

    def __init__(self, names: dict[int, str], sigmoid_of_loss: int | None = None) -> None:
        super().__init__()
        self.layers: list[_Layer] = []
        self.bounded_calls: list[_BoundedCall] = []
        self._names = names
        self._sigmoid_of_loss = sigmoid_of_loss

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        name = _function_name(function)
        if name == "linear" or name in CONVOLUTIONS or name in MATRIX_PRODUCTS:
            return self._call_product(function, name, arguments, keywords)
        X = _argument(arguments, keywords, 0, "input")
        Z = _to_array(X) if name in ACTIVATIONS else None  # Y may overwrite it
        Y = function(*arguments, **keywords)
        if name in BOUNDED:
            self.bounded_calls.append(_BoundedCall(BOUNDED[name], Y.grad_fn))
            if len(self.bounded_calls) - 1 == self._sigmoid_of_loss:
                return Y
        if name in ACTIVATIONS:
            slope = (_argument(arguments, keywords, 1, "negative_slope", 0.01),) if name == "leaky_relu" else ()
            self._add_activation(ACTIVATIONS[name], X, Z, slope, Y)
        elif name in OTHER_ACTIVATIONS:
            self._append_to_layer(name, X, Y)
        return Y

    def _call_product(self, function, name, arguments, keywords):
        """Call a function, and record a layer if it is a product with a weight."""
        X, weight = _argument(arguments, keywords, 0, "input"), _argument(arguments, keywords, 1, "weight")
        if name in MATRIX_PRODUCTS:
            tensors = [value for value in (*arguments, *keywords.values()) if isinstance(value, torch.Tensor)]
            weight = next((t for t in tensors if isinstance(t, torch.nn.Parameter) and t.ndim > 1), None)
            if weight is None:  # a product of two activations, in an attention say
                return function(*arguments, **keywords)
            X = next(t for t in reversed(tensors) if t is not weight)
        if X.requires_grad:  # a view has the gradient of this use alone, where other layers use X too
            view = X.view_as(X)
            arguments = tuple(view if value is X else value for value in arguments)
            keywords = {key: view if value is X else value for key, value in keywords.items()}
            X = view
        Y = function(*arguments, **keywords)
        label = self._names.get(id(weight), f"{name} {len(self.layers)}")
        layer = self._new_layer(label, weight, name in CONVOLUTIONS, Y)
        self._record_gradient(layer, "input_squares", X)
        return Y

    def _add_activation(self, activation, X, Z, slope, Y):
        """Record one of the four activations, as a layer without a weight where no layer before can take it."""
        layer = self._append_to_layer(activation, X, Y)
        if layer is None:
            channels_first = self.layers[-1].channels_first if self.layers else Y.ndim > 3
            layer = self._new_layer(f"{activation} {len(self.layers)}", None, channels_first, Y)
            layer.activation = activation
        Z = _to_rows(Z, layer.channels_first)
        layer.slopes = getattr(fastact, f"{activation}_derivative")(Z, *slope)
        layer.active = Z > 0 if activation in ("relu", "leaky_relu") else None

    def _new_layer(self, name, weight, channels_first, Y):
        layer = _Layer(name, weight, channels_first, _to_rows(_to_array(Y), channels_first), Y)
        layer.output_hook = self._record_gradient(layer, "output_squares", Y)
        self.layers.append(layer)
        return layer

    def _append_to_layer(self, activation, X, Y):
        """Make Y the output of the layer whose output X is, or else of the last layer, and return that layer.

        Return None if it has an activation already, or outputs of another shape.
        """
        makers = [layer for layer in self.layers if layer.output is X and layer.activation is None]
        candidates = makers or self.layers
        if not candidates:
            return None
        layer = candidates[-1]
        rows = _to_rows(_to_array(Y), layer.channels_first)
        if layer.activation is not None or layer.Y.shape != rows.shape:
            return None
        if layer.output_hook is not None:
            layer.output_hook.remove()
        layer.activation, layer.Y, layer.output = activation, rows, Y
        layer.output_hook = self._record_gradient(layer, "output_squares", Y)
        return layer

    @staticmethod
    def _record_gradient(layer, attribute, tensor):
        """Have the sum of squares of a tensor's gradient written into a layer's record, once it is known."""
        if not tensor.requires_grad:
            return None
        return tensor.register_hook(lambda gradient: setattr(layer, attribute, sum_of_squares(_to_array(gradient))))


def _function_name(function):
    """Return the name of a function of torch, without the underscores of a special method or one in place."""
    return getattr(function, "__name__", "").strip("_")


def _argument(arguments, keywords, index, name, default=None):
    return arguments[index] if len(arguments) > index else keywords.get(name, default)


def _to_array(tensor):
    """Return a copy of a tensor's numbers as an array of float32 or float64."""
    dtype = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return tensor.detach().to("cpu", dtype, copy=True).contiguous().numpy()


def _to_rows(array, channels_first):
    """Return an array as (rows, units): every place of an image, or of a sequence, is a row."""
    if channels_first and array.ndim > 2:
        array = np.moveaxis(array, 1, -1)
    return np.ascontiguousarray(array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1))


@contextmanager
def _unchanged(model) -> Iterator[None]:
    """Evaluation mode in the block; after it modes, buffers and random numbers are what they were."""
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
    model: torch.nn.Module,
    X: Any,
    y: Any,
    loss: str | Callable[..., Any] | None,
    batch_size: int,
    saturation_threshold: float,
) -> Diagnosis:
    """Return the diagnosis of a torch.nn.Module, which is not changed."""
    X, y = _to_tensors(model, X, y)
    names = {
        id(parameter): name.removesuffix(".weight").replace("_orig_mod.", "")  # of torch.compile
        for name, parameter in model.named_parameters()
    }
    rows, mean_loss = len(X), 0.0
    totals: list[LayerTotals] = []
    weight_gradients: list[NDArray[np.float64] | None] = []  # None where not known
    objective: _Objective | None = None
    with _unchanged(model), np.errstate(all="ignore"):
        for start in range(0, rows, batch_size):
            X_batch = X[start : start + batch_size].detach().clone()
            X_batch.requires_grad_(X_batch.is_floating_point())
            y_batch = y[start : start + batch_size]
            share = len(X_batch) / rows  # the loss is the mean over all rows
            if objective is None:
                output, recorder = _forward(model, X_batch, _Recorder(names))
                objective = _make_objective(loss, output, y_batch, y, recorder.bounded_calls)
            if start > 0 or objective.sigmoid is not None:
                output, recorder = _forward(model, X_batch, _Recorder(names, objective.sigmoid))
            batch_loss = objective.value(output, y_batch)
            layers = recorder.layers
            if not layers:
                raise ValueError(
                    "model must have a layer to be seen: a linear or convolutional one, or sigmoid, tanh, relu or "
                    f"leaky_relu as a module or function of torch, got {type(model).__name__}"
                )
            gradients = _weight_gradients(model, X_batch, share * batch_loss, layers)
            mean_loss += share * float(batch_loss.detach())
            if not totals:
                for index, layer in enumerate(layers):
                    places = len(layer.Y) * rows // len(X_batch)  # of an image, say, each is a row
                    units = layer.Y.shape[1]
                    totals.append(
                        LayerTotals(index, layer.name, layer.activation, units, saturation_threshold, places)
                    )
                weight_gradients = [None] * len(layers)
            if [layer.name for layer in layers] != [total.name for total in totals]:
                raise ValueError("model must make the same calls for every batch, but its layers depend on the data")
            for index, (layer, total) in enumerate(zip(layers, totals, strict=True)):
                total.add_units(layer.Y, layer.slopes, layer.active)
                total.add_gradients(layer.output_squares, layer.input_squares)
                gradient, sum_before = gradients[index], weight_gradients[index]
                if gradient is not None:
                    weight_gradients[index] = gradient if sum_before is None else sum_before + gradient
    measured = [
        total.result(math.nan if gradient is None else math.sqrt(sum_of_squares(gradient)))
        for total, gradient in zip(totals, weight_gradients, strict=True)
    ]
    assert objective is not None  # there is a row, so there was a batch
    dtype = str(next(model.parameters(), X).dtype).removeprefix("torch.")
    return Diagnosis(measured, rows, mean_loss, objective.name, dtype, objective.finding)


def _forward(model, X, recorder):
    """Return what a model makes of a batch, and the recorder, which has seen it."""
    # compiled code makes no calls that a recorder could see
    compiler = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    with recorder, compiler:
        output = model(X)
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"model must return one tensor, got {type(output).__name__}")
    return output, recorder


def _weight_gradients(model, X, loss, layers):
    """Backpropagate a loss, and return for each layer the gradient of its weight in float64, None if it has none."""
    if not loss.requires_grad:
        raise ValueError("model must have a parameter that requires a gradient, but its loss depends on none")
    # X and all parameters, though only the weights are asked for: so the gradient reaches each layer's hooks
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *(layer.weight for layer in layers), X)}
    inputs = [tensor for tensor in tensors.values() if tensor is not None and tensor.requires_grad]
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    by_tensor = {id(tensor): gradient for tensor, gradient in zip(inputs, gradients, strict=True)}
    of_layers = [by_tensor.get(id(layer.weight)) for layer in layers]
    return [None if gradient is None else _to_array(gradient).astype(np.float64) for gradient in of_layers]


def _to_tensors(model, X, y):
    """Return X and y as tensors on the model's device, X of its type unless it holds indices."""
    first = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(0))
    X, y = (
        array if isinstance(array, torch.Tensor) else torch.as_tensor(_checks.real_array(argument, array))
        for argument, array in (("X", X), ("y", y))
    )
    X, y = X.detach().to(first.device), y.detach().to(first.device)
    takes_indices = any(isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag) for module in model.modules())
    if X.is_floating_point() or not takes_indices:
        X = X.to(first.dtype)
    if y.is_complex():
        raise TypeError(f"y must hold real numbers, got dtype {y.dtype}")
    y = y.to(first.dtype) if y.is_floating_point() else y.long()
    if X.ndim == 0 or len(X) == 0:
        raise ValueError(f"X must have at least one row, got shape {tuple(X.shape)}")
    for argument, tensor in (("X", X), ("y", y)):
        if tensor.is_floating_point():
            numbers = _to_array(tensor)
            _checks.finite(argument, numbers, numbers.dtype)
    if y.ndim == 0 or len(y) != len(X):
        raise ValueError(f"y must have one entry for each of the {len(X)} rows of X, got shape {tuple(y.shape)}")
    return X, y


@dataclass
class _Objective:
    """The loss of a batch as a function of outputs and targets.

    ``sigmoid`` is the place, among the bounded calls of the network, of the sigmoid that belongs to the loss.
    """

    name: str
    value: Callable[[Any, Any], Any]
    sigmoid: int | None = None
    finding: Finding | None = None


def _make_objective(loss, output, y, whole_y, bounded_calls):
    """Return the objective of a loss (a name, a function or None) for a network with these outputs and calls."""
    place = _last_bounded_call(output, bounded_calls)
    if callable(loss):
        return _function_objective(loss, output, y, place, bounded_calls)
    end = None if place is None else bounded_calls[place].function
    name = loss or _default_loss_name(whole_y.cpu().numpy(), output, end)
    name = _checks.choose("loss", name, nn.losses.LOSSES).name
    if name == "mse" or end not in ("sigmoid", "softmax"):
        finding = loss_finding(end, name, _outputs(output))
        return _Objective(name, partial(_named_loss, name, whole_y=whole_y), finding=finding)
    if end == "sigmoid":
        fitting, is_whole = "binary_cross_entropy", True
    else:  # a softmax over another axis than that of the classes is none to take the loss of
        fitting = "softmax_cross_entropy"
        is_whole = output.ndim > 1 and bool(((output.sum(dim=1) - 1.0).abs() < 0.01).all())
    if name != fitting or not is_whole:
        wanted = f"{fitting!r}, 'mse' or a function" if is_whole else "'mse' or a function"
        raise ValueError(
            f"loss must be {wanted} for a model that ends in a {end}: its outputs are not the logits that {name!r} "
            "takes"
        )
    return _Objective(name, partial(_named_loss, end, whole_y=whole_y), place if end == "sigmoid" else None)


def _last_bounded_call(tensor, bounded_calls):
    """Return the place of the bounded call that a tensor's values come from, but for its shape and type; or None."""
    node = tensor.grad_fn
    while node is not None:
        for place, call in enumerate(bounded_calls):
            if node is call.node:
                return place
        keeps_values = node.name().partition("Backward")[0] in VALUE_KEEPING_NODES
        node = node.next_functions[0][0] if keeps_values else None
    return None


def _outputs(output):
    return output.shape[1] if output.ndim > 1 else 1


def _default_loss_name(y, output, end):
    """Return the name of the loss for such targets; a network that ends in probabilities says more than a type does."""
    if end in ("sigmoid", "softmax") and bool(((y == 0) | (y == 1)).all()):
        y = y.astype(int)
        if end == "sigmoid" and math.prod(y.shape[1:]) == math.prod(output.shape[1:]):
            return "binary_cross_entropy"
    return default_loss(y, _outputs(output))


def _function_objective(loss, output, y, place, bounded_calls):
    """Return the objective of a loss that is a function; what it calls with the outputs shows what it takes them for.

    ``place`` is that of the bounded call that the outputs come from.
    """
    called = set()

    class CallNames(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), keywords=None):
            keywords = keywords or {}
            X = _argument(arguments, keywords, 0, "input")
            if isinstance(X, torch.Tensor) and _last_bounded_call(X, bounded_calls) == place:
                called.add(_function_name(function))
            return function(*arguments, **keywords)

    def value(output, y):
        result = loss(output, y)
        if not isinstance(result, torch.Tensor) or result.numel() != 1:
            raise TypeError(f"loss must return a tensor of one number, the mean over the rows, got {result!r}")
        return result.reshape(())

    objective = _Objective(getattr(loss, "__name__", type(loss).__name__), value)
    if place is not None:
        with CallNames():
            value(output, y)
        end = bounded_calls[place].function
        if end == "sigmoid" and called & PROBABILITY_FUNCTIONS:
            objective.sigmoid = place
        loss_of_logits = next((name for function, name in LOGIT_FUNCTIONS.items() if function in called), None)
        objective.finding = loss_finding(end, loss_of_logits, _outputs(output))
    return objective


def _named_loss(name, output, y, whole_y):
    """Return one of fastact's losses for a batch, a tensor of one number; "sigmoid", "softmax" take probabilities."""
    if name == "softmax_cross_entropy":
        return F.cross_entropy(output, _class_targets(y, output, whole_y))
    if name == "softmax":  # the softmax of logarithms of probabilities gives these
        smallest = torch.finfo(output.dtype).tiny
        return F.cross_entropy(output.clamp_min(smallest).log(), _class_targets(y, output, whole_y))
    if y.numel() != output.numel():  # or it would be broadcast
        shape = (len(whole_y), *output.shape[1:])
        raise ValueError(f"y must have the shape of the outputs, {shape}, got {tuple(whole_y.shape)}")
    y = y.to(output.dtype).reshape(output.shape)
    if name == "mse":
        return F.mse_loss(output, y)
    if not 0 <= float(y.min()) <= float(y.max()) <= 1:
        raise ValueError(f"y must lie in [0, 1], got {float(y.min()):g} to {float(y.max()):g}")
    if name == "sigmoid":
        return F.binary_cross_entropy(output, y)
    return F.binary_cross_entropy_with_logits(output, y)


def _class_targets(y, output, whole_y):
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
