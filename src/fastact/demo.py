"""``python -m fastact demo``: one deep network, four activations, real data."""

import itertools
import math
import statistics
import time
from typing import NamedTuple

import numpy as np

import fastact
from fastact import nn, runtime
from fastact._commands import CommandError, integer, one_thread
from fastact._datasets import digits
from fastact.diagnostics import diagnose
from fastact.diagnostics.theory import passed_on
from fastact.nn.layers import ACTIVATIONS
from fastact.nn.progress import Progress

HIDDEN_LAYERS = 10
NEGATIVE_SLOPE = 0.01
LEARNING_RATE = 0.02
MOMENTUM = 0.9
STEPS_IN_A_ROUND = 10

DESCRIPTION = f"""\
Train a network of {HIDDEN_LAYERS} hidden layers on the 1,797 handwritten digits that scikit-learn ships, once with each
activation, and print a table: how many test images each gets right, how much of the gradient reaches the first layer,
how many units are dead or give exact zeros, and how long a training step takes with fastact and in plain NumPy.
Progress goes to standard error, the table to standard output. Needs scikit-learn: pip install "fastact[demo]".
"""


def add_arguments(parser):
    """Add the options of the demo to its parser."""
    parser.add_argument("--epochs", type=integer(1), metavar="N", help="passes over the data (40; with --quick 4)")
    parser.add_argument("--width", type=integer(1, 4096), default=128, metavar="N", help="units in a layer (128)")
    parser.add_argument("--batch-size", type=integer(1), default=64, metavar="N", help="images in a step (64)")
    parser.add_argument("--seed", type=integer(0), default=0, metavar="N", help="seed of weights and batches (0)")
    parser.add_argument("--quick", action="store_true", help="a few seconds: fewer epochs and timing rounds")


class Row(NamedTuple):
    """What the table says about one activation; times in seconds a step."""

    activation: str
    accuracy: float
    gradient_ratio: float
    dead: float  # NaN where units have no inactive side
    zeros: float
    passed_on: float  # what the hidden layers leave of a gradient
    seconds: float
    numpy_seconds: float

    @property
    def speedup(self):
        return self.numpy_seconds / self.seconds


def run(arguments):
    """Train, measure and print."""
    data = digits("the demo")
    epochs = arguments.epochs or (4 if arguments.quick else 40)
    rounds = 5 if arguments.quick else 30
    batch_size = min(arguments.batch_size, len(data[0]))
    start = time.perf_counter()
    with (
        np.errstate(all="ignore"),
        one_thread(),
        Progress(len(ACTIVATIONS) * epochs + rounds, "demo") as bar,
    ):
        try:
            trained = [_train(name, data, epochs, batch_size, arguments, bar) for name in ACTIVATIONS]
        except FloatingPointError as error:
            raise CommandError(f"training failed: {error}") from None
        times = _time_steps(data, batch_size, arguments, rounds, bar)
    rows = [Row(name, *measured, *times[name]) for name, measured in zip(ACTIVATIONS, trained, strict=True)]

    print(
        f"{len(data[0]):,} training and {len(data[1]):,} test images of handwritten digits, 8x8 pixels\n"
        f"network 64 - {HIDDEN_LAYERS} x {arguments.width} - 10, float32; seed {arguments.seed}\n"
        f"SGD, learning rate {LEARNING_RATE}, momentum {MOMENTUM}; {epochs} epochs of batches of {batch_size}\n"
    )
    print(_table(rows), end="\n\n")
    print(_findings(rows), end="\n\n")
    print(
        f"Run on {runtime.processor_name()}: "
        f"instruction set {fastact.get_isa()}, one thread (of {fastact.get_num_threads()}), NumPy {np.__version__}.\n"
        f"Times are medians of {rounds} rounds of {STEPS_IN_A_ROUND} steps, fastact and NumPy in turn. "
        f"All of it took {time.perf_counter() - start:.1f} s."
    )


def _network(activation, arguments):
    width = arguments.width
    features = [64] + [width] * HIDDEN_LAYERS
    hidden = [nn.Dense(*sizes, activation, NEGATIVE_SLOPE) for sizes in itertools.pairwise(features)]
    return nn.Sequential([*hidden, nn.Dense(width, 10)], seed=arguments.seed)


def _train(activation, data, epochs, batch_size, arguments, bar):
    """Return what a `Row` holds between the activation and the times."""
    X, X_test, y, y_test = data
    model = _network(activation, arguments)
    at_start = diagnose(model, X[:batch_size], y[:batch_size])
    optimizer = nn.SGD(LEARNING_RATE, MOMENTUM)
    bar.note(activation)
    for _ in range(epochs):
        model.fit(X, y, loss="softmax_cross_entropy", optimizer=optimizer, batch_size=batch_size)
        bar.update()
    accuracy = model.evaluate(X_test, y_test)["accuracy"]
    first, *_, last = at_start.layers[:-1]
    gradient_ratio = float(np.divide(first.weight_gradient_norm, last.weight_gradient_norm))  # of two zeros NaN
    hidden = diagnose(model, X, y).layers[:-1]
    dead, zeros = (float(np.mean([getattr(layer, name) for layer in hidden])) for name in ("dead", "zeros"))
    return accuracy, gradient_ratio, dead, zeros, passed_on(at_start)


def _sigmoid(Z):
    np.negative(Z, out=Z)
    np.exp(Z, out=Z)
    Z += 1.0
    np.divide(1.0, Z, out=Z)


def _sigmoid_backward(dY, Y):
    dY *= Y
    dY *= 1.0 - Y
    return dY


def _tanh(Z):
    np.tanh(Z, out=Z)


def _tanh_backward(dY, Y):
    dY *= 1.0 - Y * Y
    return dY


def _relu(Z):
    np.maximum(Z, 0.0, out=Z)


def _relu_backward(dY, Y):
    dY *= Y > 0.0
    return dY


def _leaky_relu(Z):
    np.maximum(Z, NEGATIVE_SLOPE * Z, out=Z)


def _leaky_relu_backward(dY, Y):
    dY *= np.maximum(Y > 0.0, Y.dtype.type(NEGATIVE_SLOPE))  # np.where takes ten times as long
    return dY


NUMPY_PASSES = {
    "sigmoid": (_sigmoid, _sigmoid_backward),
    "tanh": (_tanh, _tanh_backward),
    "relu": (_relu, _relu_backward),
    "leaky_relu": (_leaky_relu, _leaky_relu_backward),
}


class NumPyNetwork:
    """The network of a model and the same training step in plain NumPy, in place where a careful user would."""

    def __init__(self, model):
        self.W = [layer.W.copy() for layer in model.layers]
        self.b = [layer.b.copy() for layer in model.layers]
        self._velocities = [np.zeros_like(array) for array in self.W + self.b]
        self._forward, self._backward = NUMPY_PASSES[model.layers[0].activation]

    def step(self, X, labels):
        """Take one step and return the loss before it."""
        inputs, last = [X], len(self.W) - 1
        for index, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            Z = inputs[-1] @ W
            Z += b
            if index < last:
                self._forward(Z)
                inputs.append(Z)

        rows = np.arange(len(X))
        Z -= Z.max(axis=1, keepdims=True)
        at_label = Z[rows, labels]
        np.exp(Z, out=Z)
        total = Z.sum(axis=1, keepdims=True)
        loss = float(np.mean(np.log(total[:, 0]) - at_label))
        dZ = Z
        dZ /= total
        dZ[rows, labels] -= 1.0
        dZ /= len(X)

        dW, db = [None] * len(self.W), [None] * len(self.W)
        for index in range(last, -1, -1):
            dW[index] = inputs[index].T @ dZ
            db[index] = dZ.sum(axis=0)
            if index > 0:
                dZ = self._backward(dZ @ self.W[index].T, inputs[index])

        for array, gradient, velocity in zip(self.W + self.b, dW + db, self._velocities, strict=True):
            velocity *= MOMENTUM
            velocity += gradient
            array -= LEARNING_RATE * velocity
        return loss


def _time_steps(data, batch_size, arguments, rounds, bar):
    """Return for each activation the median seconds of a step with fastact and with NumPy."""
    X, y = data[0][:batch_size], data[2][:batch_size]
    steps = {name: _checked_steps(name, X, y, arguments) for name in ACTIVATIONS}
    seconds = {name: ([], []) for name in ACTIVATIONS}
    bar.note("timing")
    for number in range(rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)  # neither is always the first
        for name in ACTIVATIONS:
            for which in order:
                step = steps[name][which]
                start = time.perf_counter()
                for _ in range(STEPS_IN_A_ROUND):
                    step(X, y)
                seconds[name][which].append((time.perf_counter() - start) / STEPS_IN_A_ROUND)
        bar.update()
    return {name: [statistics.median(measured) for measured in pair] for name, pair in seconds.items()}


def _checked_steps(activation, X, y, arguments):
    """Return the step with fastact and the step in NumPy, seen to give the same losses and weights."""
    model = _network(activation, arguments)
    twin = NumPyNetwork(model)
    optimizer = nn.SGD(LEARNING_RATE, MOMENTUM)
    parameters = model.parameters()

    def step(X, labels):
        return model._train_step(X, labels, nn.softmax_cross_entropy, optimizer, parameters)[0]

    losses = [(step(X, y), twin.step(X, y)) for _ in range(3)]
    same_losses = all(np.isclose(*pair, rtol=1e-5) for pair in losses)
    same_weights = all(
        np.allclose(layer.W, W, rtol=0.0, atol=1e-5 * np.abs(W).max())
        for layer, W in zip(model.layers, twin.W, strict=True)
    )
    if not (same_losses and same_weights):
        raise CommandError(f"fastact and NumPy do not take the same step with {activation}: losses {losses}")
    return step, twin.step


def _table(rows):
    lines = [
        "                test    gradient    dead   exact  ms a step  ms a step   NumPy /",
        "activation  accuracy  first/last   units   zeros    fastact      NumPy   fastact",
        "-" * 80,
    ]
    for row in rows:
        dead = "-" if math.isnan(row.dead) else _percent(row.dead)
        lines.append(
            f"{row.activation:<10}  {_percent(row.accuracy):>8}  {row.gradient_ratio:>10.1e}  {dead:>6}  "
            f"{_percent(row.zeros):>6}  {1e3 * row.seconds:>9.3f}  {1e3 * row.numpy_seconds:>9.3f}  {row.speedup:>8.2f}"
        )
    lines += [
        "-" * 80,
        "gradient first/last: norm of the first hidden layer's weight gradient over the last one's,",
        "at the first step. dead: hidden units active (above 0) for no training image; exact zeros:",
        "share of hidden outputs that are 0; both after training.",
    ]
    return "\n".join(lines)


def _findings(rows):
    """Say in words what the table shows, each sentence from its numbers."""
    lines = []
    for verdict, least, below in (
        ("learnt the digits (90 % or more)", 0.9, 1.1),
        ("learnt part of them", 0.5, 0.9),
        ("did not learn them (guessing gives 10 %)", 0.0, 0.5),
    ):
        names = [f"{row.activation} {_percent(row.accuracy)}" for row in rows if least <= row.accuracy < below]
        if names:
            lines.append(f"* {verdict}: {', '.join(names)}")
    least = min(rows, key=lambda row: row.gradient_ratio)
    most = max(rows, key=lambda row: row.gradient_ratio)
    by_name = {row.activation: row for row in rows}
    relu, leaky_relu = by_name["relu"], by_name["leaky_relu"]
    speedups = [row.speedup for row in rows]
    lines += [
        f"* the first layer's gradient is smallest beside the last one's with {least.activation} "
        f"({least.gradient_ratio:.1e}),",
        f"  and largest with {most.activation} ({most.gradient_ratio:.1e})",
        f"* sigmoid's derivative is at most 0.25, so {HIDDEN_LAYERS} layers with weights of size 1 pass at most",
        f"  0.25^{HIDDEN_LAYERS} = {0.25**HIDDEN_LAYERS:.1e} of a gradient; measured with this network's weights: "
        f"{by_name['sigmoid'].passed_on:.1e}",
        f"* relu: {_percent(relu.zeros)} of the hidden outputs are exactly 0; {_percent(relu.dead)} of the units are "
        "dead and get no gradient",
        f"  leaky_relu: {_percent(leaky_relu.zeros)} and {_percent(leaky_relu.dead)}, and its dead units still get "
        f"{NEGATIVE_SLOPE} of the gradient",
        f"* a step in plain NumPy takes {min(speedups):.2f} to {max(speedups):.2f} times as long as with fastact;",
        "  both make the same matrix products with NumPy",
    ]
    return "\n".join(lines)


def _percent(share):
    return f"{100 * share:.1f} %"
