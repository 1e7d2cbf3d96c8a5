"""Correctly rounded activation functions: the twelve passes of `fastact`, same names, same bits on every machine.

``import fastact.exact as fastact`` is all a program changes: `set_num_threads`, `show_config` and so on are here, too.
`sigmoid`, `tanh` and their derivatives from the input give, for each of the 2^32 float32 inputs (65,536 of float16 and
bfloat16), the number that is nearest to the exact value. So every machine, compiler and version agrees by definition.
ReLU and leaky ReLU have always been exact; the backward passes are `fastact`'s own, within 1.5 ULP.

float64 is a `TypeError` in the four: its inputs are too many to try them all. ``python -m fastact verify`` runs all
inputs on your own machine; ``docs/exact.md`` tells how it is done and proved.

Examples
--------
>>> import numpy as np
>>> import fastact.exact as fastact
>>> x = np.array([-1.5, 0.0, 1.5], np.float32)
>>> fastact.tanh(x, out=x)
array([-0.90514827,  0.        ,  0.90514827], dtype=float32)
"""

from fastact import __version__ as __version__
from fastact.activations import (
    exact_sigmoid,
    exact_sigmoid_derivative,
    exact_tanh,
    exact_tanh_derivative,
    leaky_relu,
    leaky_relu_backward,
    leaky_relu_derivative,
    relu,
    relu_backward,
    relu_derivative,
    sigmoid_backward,
    tanh_backward,
)
from fastact.runtime import (
    available_isas,
    get_include,
    get_isa,
    get_num_threads,
    num_threads,
    set_num_threads,
    show_config,
)

sigmoid = exact_sigmoid
sigmoid_derivative = exact_sigmoid_derivative
tanh = exact_tanh
tanh_derivative = exact_tanh_derivative

__all__ = [
    "available_isas",
    "get_include",
    "get_isa",
    "get_num_threads",
    "leaky_relu",
    "leaky_relu_backward",
    "leaky_relu_derivative",
    "num_threads",
    "relu",
    "relu_backward",
    "relu_derivative",
    "set_num_threads",
    "show_config",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_derivative",
    "tanh",
    "tanh_backward",
    "tanh_derivative",
]
