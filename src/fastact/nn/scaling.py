"""Weights scaled on a batch of data, so that gradients keep their size."""

import numpy as np
from numpy.typing import ArrayLike

from fastact.nn import _checks
from fastact.nn.model import Sequential


def unit_gain(model: Sequential, X: ArrayLike) -> None:
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
    X = _checks.real_matrix("X", X, model.in_features)
    _checks.finite("X", X, model.dtype)
    if len(X) == 0:
        raise ValueError(f"X must have at least one row, got shape {X.shape}")
    layers = [layer for layer in model.layers if layer.init == "unit_gain"]
    if not layers:
        raise ValueError("model must have a layer with init='unit_gain', got none")
    model._scale_layers(layers, np.ascontiguousarray(X, model.dtype))
