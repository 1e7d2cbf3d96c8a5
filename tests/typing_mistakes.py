"""Mistakes that type checkers must refuse: each line that ends in "refused", and no other. Never run."""

import numpy as np
from numpy.typing import NDArray

import fastact
from fastact import nn


def mistakes(x: NDArray[np.float32], model: nn.Sequential) -> None:
    fastact.sigmoid(z=x)  # refused
    fastact.sigmoid()  # refused
    fastact.sigmoid(x, slope=0.1)  # refused
    fastact.sigmoid(x, out=[0.0])  # refused
    fastact.sigmoid(x, x, True)  # refused
    fastact.tanh(x, casting="safest")  # refused
    fastact.relu_backward(x)  # refused
    fastact.leaky_relu(x, negative_slope=None)  # refused
    fastact.leaky_relu_backward(x, x, slope=0.1)  # refused
    fastact.ufuncs.softplus(x)  # refused
    fastact.set_num_threads("2")  # refused
    fastact.num_threads(2.0)  # refused
    fastact.get_isa().bits  # refused # noqa: B018
    nn.Dense(4, 2, activation="swish")  # refused
    nn.Dense(4, 2, init="he")  # refused
    nn.Dense("4", 2)  # refused
    nn.Sequential([nn.SGD()])  # refused
    nn.SGD(rate=0.1)  # refused
    nn.SGD("0.1")  # refused
    model.fit(x, x, loss="mse")  # refused
    model.fit(x, x, loss="mae", optimizer="sgd")  # refused
    model.fit(x, x, loss="mse", optimizer="lbfgs")  # refused
    model.fit(x, x, loss="mse", optimizer="sgd", epochs=1.5)  # refused
    model.train_on_batch(x, x, loss="mse", optimizer="sgd")  # refused
    model.predict(x).epochs  # refused # noqa: B018
    model.layers[0].input.shape  # refused # noqa: B018
    nn.check_gradients(model, x, x)  # refused
