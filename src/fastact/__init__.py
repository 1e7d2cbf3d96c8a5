"""Activation functions for NumPy arrays: compiled, in place, exact, with a small network layer on top."""

from fastact import _openmp, ufuncs  # noqa: F401 _openmp first: it loads the OpenMP runtime
from fastact.activations import (
    leaky_relu,
    leaky_relu_backward,
    leaky_relu_derivative,
    relu,
    relu_backward,
    relu_derivative,
    sigmoid,
    sigmoid_backward,
    sigmoid_derivative,
    tanh,
    tanh_backward,
    tanh_derivative,
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

__version__ = "0.1.0"

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
    "ufuncs",
]
