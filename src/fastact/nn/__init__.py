"""A thin layer of backpropagation over the kernels: networks of fully connected layers, in readable Python.

Data lie in rows: X has the shape (rows, in_features). ``dA`` is the gradient of the loss with respect to ``A``.

Examples
--------
>>> import numpy as np
>>> from fastact import nn
>>> rng = np.random.default_rng(0)
>>> X = rng.standard_normal((200, 2))
>>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
>>> model = nn.Sequential([nn.Dense(2, 32, activation="relu"), nn.Dense(32, 2)], seed=0)
>>> history = model.fit(X, y, loss="softmax_cross_entropy", optimizer=nn.Adam(0.01), epochs=60)
>>> model.evaluate(X, y)["accuracy"] > 0.95
True
"""

from fastact.nn import initializers, losses, optimizers, schedules
from fastact.nn.callbacks import Callback, Checkpoint, EarlyStopping
from fastact.nn.gradient_check import check_gradients
from fastact.nn.history import History
from fastact.nn.initializers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    orthogonal,
    unit_gain,
)
from fastact.nn.layers import Dense, Parameter
from fastact.nn.losses import Loss, binary_cross_entropy, mse, softmax_cross_entropy
from fastact.nn.model import Sequential
from fastact.nn.optimizers import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from fastact.nn.storage import load

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Callback",
    "Checkpoint",
    "Dense",
    "EarlyStopping",
    "History",
    "Loss",
    "Optimizer",
    "Parameter",
    "RMSProp",
    "Sequential",
    "binary_cross_entropy",
    "check_gradients",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "initializers",
    "lecun_normal",
    "load",
    "losses",
    "mse",
    "optimizers",
    "orthogonal",
    "schedules",
    "softmax_cross_entropy",
    "unit_gain",
]
