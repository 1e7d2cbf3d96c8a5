"""A network as an ONNX model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

import fastact
from fastact.nn import _checks
from fastact.nn._files import replacing

if TYPE_CHECKING:
    import fastact.nn  # of which this module is a part

OPSET, IR_VERSION = 17, 8  # of 2022: what reads ONNX today reads these
OPERATORS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}


def export(model: fastact.nn.Sequential, path: str | os.PathLike[str]) -> None:
    """Write the network as an ONNX model; see `Sequential.to_onnx`."""
    onnx = _checks.extra("onnx", "onnx")
    constants = {}
    nodes = []

    def apply(operator, *inputs, output, **attributes):
        nodes.append(onnx.helper.make_node(operator, list(inputs), [output], **attributes))

    X = "X"
    for index, layer in enumerate(model.layers):
        last = index == len(model.layers) - 1
        W, b, Z, Y, slope, zero = (f"layers.{index}.{name}" for name in ("W", "b", "Z", "Y", "negative_slope", "zero"))
        Y = "Y" if last else Y
        constants[W], constants[b] = layer.W, layer.b
        apply("Gemm", X, W, b, output=Y if layer.activation is None else Z)
        if layer.activation in OPERATORS:
            apply(OPERATORS[layer.activation], Z, output=Y)
        elif layer.activation == "leaky_relu":
            slopes = np.asarray(layer.negative_slope, dtype=model.dtype)
            if model.dtype == np.float32 and slopes.ndim == 0:
                apply("LeakyRelu", Z, output=Y, alpha=float(slopes))
            elif model.dtype == np.float32:
                constants[slope] = slopes
                apply("PRelu", Z, slope, output=Y)
            else:  # ONNX Runtime has neither for float64
                constants[slope], constants[zero] = slopes, np.zeros((), model.dtype)
                apply("Greater", Z, zero, output=f"{Z}.positive")
                apply("Mul", Z, slope, output=f"{Z}.scaled")
                apply("Where", f"{Z}.positive", Z, f"{Z}.scaled", output=Y)
        X = Y
    kind = onnx.helper.np_dtype_to_tensor_dtype(model.dtype)
    graph = onnx.helper.make_graph(
        nodes,
        "fastact",
        [onnx.helper.make_tensor_value_info("X", kind, ["rows", model.in_features])],
        [onnx.helper.make_tensor_value_info("Y", kind, ["rows", model.out_features])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    proto = onnx.helper.make_model(
        graph,
        producer_name="fastact",
        producer_version=fastact.__version__,
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(proto)
    with replacing(path) as spare, open(spare, "wb") as file:
        file.write(proto.SerializeToString())
