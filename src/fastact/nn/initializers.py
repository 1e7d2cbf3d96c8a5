"""Weights for a layer to start from.

An initialiser is a function ``(rng, shape, negative_slope) -> float64 array`` of ``shape = (fan_in, fan_out)``.
The draws are made in float64, so a float32 and a float64 model of the same seed start from the same weights up
to rounding. ``negative_slope`` is that of a leaky ReLU after the layer (0 for every other activation).

"unit_gain" draws what "orthogonal" does; `unit_gain` then scales it on a batch of data.
"""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

import fastact
from fastact.nn import _checks
from fastact.nn._types import Floats

if TYPE_CHECKING:
    import fastact.nn  # of which this module is a part

Initializer = Callable[["np.random.Generator", tuple[int, int], Any], ArrayLike]
InitializerName = Literal[
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal", "unit_gain"
]


def _uniform(rng, shape, variance):
    limit = math.sqrt(3.0 * variance)
    return rng.uniform(-limit, limit, shape)


def _normal(rng, shape, variance):
    return rng.normal(0.0, math.sqrt(variance), shape)


def _glorot_variance(shape):
    return 2.0 / (shape[0] + shape[1])


def _squared_gain(negative_slope):
    """Return the square of the gain that makes up for a leaky ReLU: 2 / (1 + s²), 1 for the identity (a slope of 1)."""
    return 2.0 / (1.0 + float(np.mean(np.square(negative_slope))))


def _he_variance(shape, negative_slope):
    return _squared_gain(negative_slope) / shape[0]


def glorot_uniform(
    rng: np.random.Generator, shape: tuple[int, int], negative_slope: float | Floats = 0.0
) -> NDArray[np.float64]:
    """Uniform on [-l, l] with l = sqrt(6 / (fan_in + fan_out)): variance 2 / (fan_in + fan_out).

    Keeps the size of activations and gradients from layer to layer while φ′ is about 1 (tanh near 0).

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        (fan_in, fan_out).
    negative_slope : float, optional
        Not used; every initialiser has the same signature.

    Returns
    -------
    ndarray of float64, shape (fan_in, fan_out)

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact.nn.initializers import glorot_uniform
    >>> W = glorot_uniform(np.random.default_rng(0), (100, 50))
    >>> bool(np.abs(W).max() <= np.sqrt(6 / 150))
    True
    """
    return _uniform(rng, shape, _glorot_variance(shape))


def glorot_normal(
    rng: np.random.Generator, shape: tuple[int, int], negative_slope: float | Floats = 0.0
) -> NDArray[np.float64]:
    """Normal with mean 0 and variance 2 / (fan_in + fan_out); see `glorot_uniform`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact.nn.initializers import glorot_normal
    >>> glorot_normal(np.random.default_rng(0), (100, 50)).shape
    (100, 50)
    """
    return _normal(rng, shape, _glorot_variance(shape))


def he_uniform(
    rng: np.random.Generator, shape: tuple[int, int], negative_slope: float | Floats = 0.0
) -> NDArray[np.float64]:
    """Uniform on [-l, l] with l = sqrt(6 / ((1 + s²) fan_in)), s the negative slope: variance 2 / ((1 + s²) fan_in).

    Half of the inputs of a ReLU are cut off, which halves the second moment; the factor 2 makes up for it. A
    leaky ReLU of slope s keeps (1 + s²) / 2 of it.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        (fan_in, fan_out).
    negative_slope : float or ndarray of shape (fan_out,), optional
        Slope of the leaky ReLU after the layer, 0 for a ReLU. Of one slope a channel, the mean of s² counts.

    Returns
    -------
    ndarray of float64, shape (fan_in, fan_out)

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Delving Deep into Rectifiers", ICCV 2015, equation 15.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact.nn.initializers import he_uniform
    >>> W = he_uniform(np.random.default_rng(0), (100, 50))
    >>> bool(np.abs(W).max() <= np.sqrt(6 / 100))
    True
    """
    return _uniform(rng, shape, _he_variance(shape, negative_slope))


def he_normal(
    rng: np.random.Generator, shape: tuple[int, int], negative_slope: float | Floats = 0.0
) -> NDArray[np.float64]:
    """Normal with mean 0 and variance 2 / ((1 + s²) fan_in), s the negative slope; see `he_uniform`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact.nn.initializers import he_normal
    >>> he_normal(np.random.default_rng(0), (100, 50)).shape
    (100, 50)
    """
    return _normal(rng, shape, _he_variance(shape, negative_slope))


def lecun_normal(
    rng: np.random.Generator, shape: tuple[int, int], negative_slope: float | Floats = 0.0
) -> NDArray[np.float64]:
    """Normal with mean 0 and variance 1 / fan_in: the inputs of the units have the variance of a standardised X.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        (fan_in, fan_out).
    negative_slope : float, optional
        Not used.

    Returns
    -------
    ndarray of float64, shape (fan_in, fan_out)

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, "Efficient BackProp", in Neural Networks: Tricks of the Trade, 1998,
    section 4.6. Keras cuts the normal distribution off at two standard deviations.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact.nn.initializers import lecun_normal
    >>> round(float(lecun_normal(np.random.default_rng(0), (100, 5000)).var()), 4)
    0.01
    """
    return _normal(rng, shape, 1.0 / shape[0])


def orthogonal(
    rng: np.random.Generator, shape: tuple[int, int], negative_slope: float | Floats = 0.0
) -> NDArray[np.float64]:
    """Orthonormal columns (rows, where there are fewer of them), times g = sqrt(2 / (1 + s²)), s the negative slope.

    Wᵀ W = g² I for fan_in >= fan_out, else W Wᵀ = g² I; drawn from all such matrices alike. The factor g makes up for
    what a leaky ReLU of slope s after the layer takes away, as in `he_normal`. With s = 1 it is 1: that is what `Dense`
    asks for where no ReLU follows.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        (fan_in, fan_out).
    negative_slope : float or ndarray of shape (fan_out,), optional
        Slope of the leaky ReLU after the layer, 0 for a ReLU. Of one slope a channel, the mean of s² counts.

    Returns
    -------
    ndarray of float64, shape (fan_in, fan_out)

    References
    ----------
    A. Saxe, J. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", ICLR 2014. The signs of the QR decomposition are fixed as in F. Mezzadri, "How to generate random
    matrices from the classical compact groups", Notices of the AMS 54, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact.nn.initializers import orthogonal
    >>> W = orthogonal(np.random.default_rng(0), (100, 50))
    >>> bool(np.allclose(W.T @ W, 2.0 * np.eye(50)))
    True
    """
    Q, R = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
    Q *= np.where(np.diag(R) < 0.0, -1.0, 1.0)
    return math.sqrt(_squared_gain(negative_slope)) * (Q if shape[0] >= shape[1] else Q.T)


def unit_gain(model: fastact.nn.Sequential, X: ArrayLike) -> None:
    """Scale the weights of the layers with ``init="unit_gain"``, so that gradients keep their size from layer to layer.

    Layer by layer, from the first to the last, W is multiplied by the number that makes ::

        E |(dY · φ′(Z)) Wᵀ|² / E |dY|²  =  mean over the rows of  Σⱼ φ′(zⱼ)² |W[:, j]|² / out_features  =  1

    where E is taken over normally distributed dY: the norm of a gradient is, in the root mean square, the same before
    and behind the layer. A sigmoid, whose φ′ is 1/4 at most, gets weights more than four times those of an orthogonal
    matrix. Where no number does it (one row and one saturated unit, say), the nearest is taken.

    `Sequential.fit` and `train_on_batch` do this by themselves, with the first batch, for layers that have been
    initialised and not been scaled yet.

    Parameters
    ----------
    model : Sequential
        With layers of ``init="unit_gain"``, which `Dense.initialize` has made `orthogonal`. Others are left alone.
    X : array_like of real numbers, shape (rows, in_features)
        A batch of the data, of at least one row.

    Raises
    ------
    TypeError, ValueError
        X has a wrong type, shape or value; the model has no such layer.

    References
    ----------
    The method is that of D. Mishkin and J. Matas, "All you need is a good init", ICLR 2016 (LSUV), which scales the
    forward pass to unit variance; here it is the backward pass.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> layers = [nn.Dense(64, 64, activation="sigmoid", init="unit_gain") for _ in range(10)]
    >>> model = nn.Sequential(layers, seed=0)
    >>> rng = np.random.default_rng(0)
    >>> X, dY = rng.standard_normal((2, 256, 64))
    >>> nn.unit_gain(model, X)
    >>> _ = model.forward(X)
    >>> bool(0.5 < np.linalg.norm(model.backward(dY)) / np.linalg.norm(dY) < 2.0)
    True
    """
    X = model._checked_input("X", X)
    layers = [layer for layer in model.layers if layer.init == "unit_gain"]
    if not layers:
        raise ValueError("model must have a layer with init='unit_gain', got none")
    model._scale_layers(layers, np.ascontiguousarray(X, model.dtype))


INITIALIZERS: dict[str, Initializer] = {
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
    "unit_gain": orthogonal,
}


def get(init: InitializerName | Initializer) -> Initializer:
    """Return an initialiser by name; a function ``(rng, shape, negative_slope) -> array`` is returned as it is."""
    return init if callable(init) else _checks.choose("init", init, INITIALIZERS)
