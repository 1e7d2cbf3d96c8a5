"""fastact in a program that ``mypy --strict`` and ``pyright`` check: every function, and a small network.

Run it with ``python examples/typed.py``. The lines with `assert_type` say which type the checkers see.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastact
from fastact import nn

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


def passes(x: NDArray[np.float32], dy: NDArray[np.float32]) -> None:
    """All twelve: an array of floats gives an array of the same type."""
    y = assert_type(fastact.sigmoid(x), NDArray[np.float32])
    assert_type(fastact.sigmoid_derivative(x), NDArray[np.float32])
    assert_type(fastact.sigmoid_backward(dy, y), NDArray[np.float32])
    y = assert_type(fastact.tanh(x), NDArray[np.float32])
    assert_type(fastact.tanh_derivative(x), NDArray[np.float32])
    assert_type(fastact.tanh_backward(dy, y), NDArray[np.float32])
    y = assert_type(fastact.relu(x), NDArray[np.float32])
    assert_type(fastact.relu_derivative(x), NDArray[np.float32])
    assert_type(fastact.relu_backward(dy, y), NDArray[np.float32])
    y = assert_type(fastact.leaky_relu(x, 0.1), NDArray[np.float32])
    assert_type(fastact.leaky_relu_derivative(x, 0.1), NDArray[np.float32])
    assert_type(fastact.leaky_relu_backward(dy, y, negative_slope=0.1), NDArray[np.float32])


def other_inputs(x: NDArray[np.float32]) -> None:
    """What NumPy decides when it runs is Any: annotate the variable if you know better."""
    assert_type(fastact.sigmoid(np.float64(0.5)), np.float64)
    assert_type(fastact.sigmoid([0.5, 1.0]), Any)
    assert_type(fastact.tanh(x, dtype=np.float64), Any)
    slopes = np.linspace(0.0, 0.5, x.shape[-1], dtype=np.float32)  # one a channel
    y: NDArray[np.float32] = fastact.leaky_relu(x, slopes)
    fastact.leaky_relu(x, slopes, out=y, where=y > 0, casting="unsafe", order="C", subok=False)


def in_place(x: NDArray[np.float32], dy: NDArray[np.float32]) -> None:
    """What is given as `out` comes back."""
    wide = np.empty(x.shape)
    assert fastact.sigmoid(x, out=wide) is wide
    assert_type(fastact.sigmoid(x, out=x), NDArray[np.float32])
    assert_type(fastact.tanh(x, x), NDArray[np.float32])
    assert_type(fastact.relu(x, out=(x,)), NDArray[np.float32])
    assert_type(fastact.leaky_relu(x, 0.1, x), NDArray[np.float32])
    assert_type(fastact.leaky_relu(x, out=x), NDArray[np.float32])
    assert_type(fastact.leaky_relu_backward(dy, x, 0.1, dy), NDArray[np.float32])


def settings() -> None:
    before = assert_type(fastact.get_num_threads(), int)
    fastact.set_num_threads(np.int64(1))
    fastact.set_num_threads(before)
    with fastact.num_threads(1):
        fastact.show_config()
    assert fastact.get_isa() in assert_type(fastact.available_isas(), list[str])
    assert_type(fastact.get_include(), str)


def real_ufuncs(x: NDArray[np.float32]) -> None:
    """Arguments by position; NumPy's stubs give Any for a call."""
    ufunc: np.ufunc = fastact.ufuncs.leaky_relu
    print(ufunc.__name__, ufunc.nin, ufunc.types)
    y: NDArray[np.float32] = ufunc(x, 0.1)
    fastact.ufuncs.sigmoid(y, out=y)


class WarmedUp(nn.Adam):
    """An optimiser of one's own: the learning rate grows with every step."""

    def step(self, parameters: Sequence[nn.Parameter]) -> None:
        self.learning_rate *= 1.01
        super().step(parameters)


def small(rng: np.random.Generator, shape: tuple[int, int], negative_slope: float) -> NDArray[np.float64]:
    """An initialiser of one's own."""
    return 0.1 * rng.standard_normal(shape)


class Target(nn.Callback):
    """A callback of one's own: enough is enough."""

    def on_epoch_end(self, model: nn.Sequential, epoch: int, history: nn.History) -> None:
        model.stop_training = history["accuracy"][-1] == 1.0


def batches(X: NDArray[np.float64], y: NDArray[Any]) -> Iterator[tuple[NDArray[np.float64], NDArray[Any]]]:
    """A generator of batches, for one epoch."""
    for start in range(0, len(X), 16):
        yield X[start : start + 16], y[start : start + 16]


def network(X: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
    hidden = nn.Dense(X.shape[1], 8, activation="leaky_relu", negative_slope=0.1, init="he_normal")
    model = nn.Sequential([hidden, nn.Dense(8, 8, "tanh"), nn.Dense(8, 2)], seed=0)
    history = model.fit(
        X,
        labels,
        loss="softmax_cross_entropy",
        optimizer=WarmedUp(1e-2),
        epochs=5,
        validation_data=(X, labels),
        class_weight={0: 1.0, 1: 2.0},
        callbacks=[nn.EarlyStopping(patience=2), Target()],
    )
    assert_type(history, nn.History)
    assert_type(history["val_accuracy"][-1], float)
    assert_type(model.evaluate(X, labels), dict[str, float])
    assert_type(model.predict(X), NDArray[np.floating[Any]])
    assert_type(nn.check_gradients(model, X[:4], labels[:4], nn.softmax_cross_entropy), float)
    assert_type(model.layers, list[nn.Dense])
    print(hidden.W.shape, hidden.b.dtype, float(np.abs(hidden.dW).max()), float(hidden.db[0]))
    hidden.b = [0.0] * 8  # converted to the layer's own array
    print(assert_type(model.summary(), str))


def by_hand(X: NDArray[np.float64], targets: NDArray[np.float64]) -> None:
    model = nn.Sequential([nn.Dense(X.shape[1], 4, "relu", init=small), nn.Dense(4, 1)], seed=1)
    optimizer = nn.SGD(0.05, momentum=0.9)
    for _ in range(3):
        value, dY = nn.mse(model.forward(X), targets)
        model.backward(dY)
        optimizer.step(model.parameters())
        assert_type(value, float)
    assert_type(model.train_on_batch(X, targets, loss="mse", optimizer=optimizer), float)
    model.fit(X, targets, loss=nn.mse, optimizer="sgd", sample_weight=np.ones(len(X)))
    model.fit(batches(X, targets), loss=nn.mse, optimizer="sgd", validation_data=[(X, targets)])


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 4), dtype=np.float32)
    dy = np.ones_like(x)
    passes(x, dy)
    other_inputs(x)
    in_place(x.copy(), dy)
    settings()
    real_ufuncs(x)
    X = rng.standard_normal((64, 4))
    network(X, (X[:, 0] > 0).astype(np.int64))
    by_hand(X, X[:, :1] ** 2)


if __name__ == "__main__":
    main()
