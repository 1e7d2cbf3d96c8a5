"""The twelve passes in readable float64 NumPy: the specification that the compiled passes are tested against.

Same names and arguments as the compiled passes. Everything is computed in float64, whatever the type of the input, and
returned as float64; `out` rounds it once to its own type. Clarity comes before speed here.

>>> from fastact._reference import sigmoid
>>> sigmoid([0.0, -745.0])
array([5.e-001, 5.e-324])
"""

import functools
import inspect

import numpy as np

__all__ = [
    "leaky_relu",
    "leaky_relu_backward",
    "leaky_relu_derivative",
    "relu",
    "relu_backward",
    "relu_derivative",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_derivative",
    "tanh",
    "tanh_backward",
    "tanh_derivative",
]


def _pass(formula):
    """Make a pass of a formula over float64 arrays: converts the inputs, silences warnings, serves `out`."""

    signature = inspect.signature(formula)

    @functools.wraps(formula)
    def wrapper(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        out = bound.arguments.pop("out")
        with np.errstate(all="ignore"):
            arrays = [np.asarray(value, dtype=np.float64) for value in bound.arguments.values()]
            result = formula(*arrays)
            if out is None:
                return result[()]
            out[...] = result
            return out

    return wrapper


def _finite(slope):
    if not np.isfinite(slope).all():
        raise ValueError(f"negative_slope must be finite, got {slope}")
    return slope


@_pass
def sigmoid(x, out=None):
    """1 / (1 + exp(-x)), by the exponential that cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


@_pass
def sigmoid_derivative(x, out=None):
    """exp(-|x|) / (1 + exp(-|x|))**2: keeps its relative accuracy where s * (1 - s) is 0."""
    e = np.exp(-np.abs(x))
    return e / (1.0 + e) ** 2


@_pass
def sigmoid_backward(dy, y, out=None):
    """dy * y * (1 - y) for the output y of the forward pass."""
    return dy * (y * (1.0 - y))


@_pass
def tanh(x, out=None):
    """Hyperbolic tangent."""
    return np.tanh(x)


@_pass
def tanh_derivative(x, out=None):
    """1 / cosh(x)**2 as 4 exp(-2|x|) / (1 + exp(-2|x|))**2: never overflows, keeps the subnormals."""
    e = np.exp(-2.0 * np.abs(x))
    return 4.0 * e / (1.0 + e) ** 2


@_pass
def tanh_backward(dy, y, out=None):
    """dy * (1 - y**2) for the output y of the forward pass; factored, because 1 - y is exact near 1."""
    return dy * ((1.0 - y) * (1.0 + y))


@_pass
def relu(x, out=None):
    """x < 0 ? +0 : x."""
    return np.where(x < 0, 0.0, x)


@_pass
def relu_derivative(x, out=None):
    """1 for x > 0, 0 for x <= 0, NaN for NaN."""
    return np.where(x > 0, 1.0, np.where(x <= 0, 0.0, x))


@_pass
def relu_backward(dy, y, out=None):
    """y <= 0 ? +0 : dy; a NaN y passes dy."""
    return np.where(y <= 0, 0.0, dy)


@_pass
def leaky_relu(x, negative_slope=0.01, out=None):
    """x > 0 ? x : negative_slope * x; a slope of 0 is relu."""
    s = _finite(negative_slope)
    return np.where(s == 0, relu(x), np.where(x > 0, x, s * x))


@_pass
def leaky_relu_derivative(x, negative_slope=0.01, out=None):
    """1 for x > 0, negative_slope for x <= 0, NaN for NaN; a slope of 0 is relu."""
    s = _finite(negative_slope)
    return np.where(s == 0, relu_derivative(x), np.where(x > 0, 1.0, np.where(x <= 0, s, x)))


@_pass
def leaky_relu_backward(dy, y, negative_slope=0.01, out=None):
    """y > 0 ? dy : negative_slope * dy, for a slope that is not negative; a slope of 0 is relu."""
    s = _finite(negative_slope)
    if (s < 0).any():
        raise ValueError("negative_slope must not be negative: the output then no longer tells the sign of the input")
    return np.where(s == 0, relu_backward(dy, y), np.where(y > 0, dy, s * dy))
