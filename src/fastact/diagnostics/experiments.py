"""The dying ReLU, made on purpose: units are killed and counted, and trained on to see which of them come back.

A unit of a ReLU is dead when its input Z is at most 0 for every row: its φ′ is 0 everywhere, so its weights get no
gradient, and it stays dead. Two things kill: weights that are negative where the inputs are positive, and a learning
rate so high that one step throws the weights there. A leaky ReLU passes on its slope, so units come back on the
same data, from the same weights, with the same optimiser.

References
----------
A. Maas, A. Hannun and A. Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013 (leaky ReLU).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact import nn
from fastact.diagnostics._diagnose import diagnose
from fastact.nn import _checks
from fastact.nn._types import Integer, Real
from fastact.nn.losses import LossName

LOSS: LossName = "softmax_cross_entropy"
BATCH_SIZE = 64
HIGH_LEARNING_RATE = 5.0
SLOPES = (0.0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0)

Cause = Literal["negative_weights", "high_rate"]


@dataclass(frozen=True)
class Recovery:
    """What became of a network whose units were killed.

    Attributes
    ----------
    negative_slope : float
        0 for a ReLU.
    dead : tuple of 3 floats
        Share of hidden units that are dead on all of X: of the fresh network, once they were killed, after training.
    loss : tuple of 3 floats
        The loss on all of X at the same times.
    accuracy : float
        On X, after training.
    """

    negative_slope: float
    dead: tuple[float, float, float]
    loss: tuple[float, float, float]
    accuracy: float


def dying_relu(
    X: ArrayLike,
    y: ArrayLike,
    cause: Cause,
    negative_slope: Real = 0.0,
    *,
    width: Integer = 64,
    epochs: Integer = 20,
    learning_rate: Real = 0.01,
    seed: Integer = 0,
) -> Recovery:
    """Kill the units of a network with one hidden layer, train it, and count the dead before and after.

    Parameters
    ----------
    X : array_like, shape (rows, features)
        Inputs of at least 0, such as pixels.
    y : array_like of int, shape (rows,)
        Labels from 0.
    cause : {"negative_weights", "high_rate"}
        What kills the units of a ReLU: all weights of the hidden layer made negative, with biases of 0; or an epoch of
        SGD with a learning rate of 5.
    negative_slope : float, optional
        With 0 the ReLU is trained on; with another slope a leaky ReLU takes over its weights.
    width : int, optional
        Units of the hidden layer.
    epochs, learning_rate : optional
        Of the training afterwards, by Adam with batches of 64.
    seed : int, optional

    Returns
    -------
    Recovery

    Raises
    ------
    ValueError
        X has values below 0, or an argument is not one of those above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact.diagnostics.experiments import dying_relu
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((300, 8))
    >>> y = (X[:, 0] > 0.5).astype(int)
    >>> relu, leaky = (dying_relu(X, y, "negative_weights", slope) for slope in (0.0, 0.1))
    >>> relu.dead[1:], leaky.dead[1] == 1.0 > leaky.dead[2], leaky.accuracy > relu.accuracy
    ((1.0, 1.0), True, True)
    """
    _checks.choose("cause", cause, dict.fromkeys(get_args(Cause)))
    X = np.asarray(_checks.real_array("X", X), dtype=np.float32)
    if X.size == 0 or X.min() < 0.0:
        raise ValueError(f"X must have values of at least 0, got {X.min() if X.size else 'none'}")
    labels, slope = np.asarray(y), float(negative_slope)
    width, outputs = _checks.integer("width", width), int(labels.max()) + 1
    relu = nn.Sequential([nn.Dense(X.shape[1], width, "relu"), nn.Dense(width, outputs)], seed=seed)
    states = [_state(relu, X, labels)]
    if cause == "negative_weights":
        relu.layers[0].W = -np.abs(relu.layers[0].W)
    else:
        relu.fit(X, labels, loss=LOSS, optimizer=nn.SGD(HIGH_LEARNING_RATE), batch_size=BATCH_SIZE)
    model = nn.Sequential([nn.Dense(X.shape[1], width, "leaky_relu", slope), nn.Dense(width, outputs)], seed=seed)
    for layer, before in zip(model.layers, relu.layers, strict=True):
        layer.W, layer.b = before.W, before.b
    states.append(_state(model, X, labels))
    model.fit(X, labels, loss=LOSS, optimizer=nn.Adam(float(learning_rate)), epochs=epochs, batch_size=BATCH_SIZE)
    states.append(_state(model, X, labels))
    dead, loss = zip(*states, strict=True)
    return Recovery(slope, dead, loss, model.evaluate(X, labels)["accuracy"])


def _state(model, X, y):
    """Return the share of dead hidden units and the loss."""
    diagnosis = diagnose(model, X, y, loss=LOSS)
    return statistics.fmean(layer.dead for layer in diagnosis.layers[:-1]), diagnosis.loss


@dataclass(frozen=True)
class SlopeResult:
    """What one slope led to, over several seeds.

    Attributes
    ----------
    negative_slope : float
    recoveries : list of Recovery
        One a seed, of units killed by negative weights.
    accuracies : ndarray of float64, shape (seeds,)
        On the test data, of a deep network that starts as usual; 0 where training diverged.
    """

    negative_slope: float
    recoveries: list[Recovery]
    accuracies: NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        """Mean of the accuracies."""
        return float(self.accuracies.mean())

    @property
    def spread(self) -> float:
        """Their standard deviation, NaN for a single seed."""
        return float(self.accuracies.std(ddof=1)) if len(self.accuracies) > 1 else math.nan

    @property
    def recovered(self) -> float:
        """Mean share of the killed units that are no longer dead."""
        return statistics.fmean(1.0 - recovery.dead[2] for recovery in self.recoveries)

    @property
    def recovered_accuracy(self) -> float:
        """Mean accuracy, on the training data, of the networks whose units were killed."""
        return statistics.fmean(recovery.accuracy for recovery in self.recoveries)


def sweep_slopes(
    data: Sequence[ArrayLike],
    slopes: Iterable[float] = SLOPES,
    seeds: Iterable[int] = range(5),
    *,
    depth: Integer = 5,
    width: Integer = 64,
    epochs: Integer = 20,
) -> list[SlopeResult]:
    """Try slopes of the leaky ReLU, 0 (the ReLU) to 1 (no non-linearity), each with the same seeds.

    Parameters
    ----------
    data : X_train, X_test, y_train, y_test
        Inputs of at least 0, and integer labels.
    slopes : iterable of float, optional
    seeds : iterable of int, optional
    depth, width : int, optional
        Hidden layers, and units in each, of the network whose test accuracy is told. It starts from He's weights.
    epochs : int, optional
        Of every training.

    Returns
    -------
    list of SlopeResult
        One a slope. `best_slopes` says which of them the numbers tell apart.
    """
    X, X_test, y, y_test = (np.asarray(array) for array in data)
    seeds = list(seeds)
    results = []
    for slope in slopes:
        recoveries = [
            dying_relu(X, y, "negative_weights", slope, width=width, epochs=epochs, seed=seed) for seed in seeds
        ]
        accuracies = [_test_accuracy(X, X_test, y, y_test, slope, seed, depth, width, epochs) for seed in seeds]
        results.append(SlopeResult(float(slope), recoveries, np.array(accuracies)))
    return results


def _test_accuracy(X, X_test, y, y_test, slope, seed, depth, width, epochs):
    sizes = [X.shape[1], *[width] * depth]
    layers = [nn.Dense(fan_in, fan_out, "leaky_relu", slope) for fan_in, fan_out in itertools.pairwise(sizes)]
    model = nn.Sequential([*layers, nn.Dense(width, int(y.max()) + 1)], seed=seed)
    try:
        model.fit(X, y, loss=LOSS, optimizer=nn.SGD(0.02, momentum=0.9), epochs=epochs, batch_size=BATCH_SIZE)
    except FloatingPointError:
        return 0.0
    return model.evaluate(X_test, y_test)["accuracy"]


def best_slopes(results: Sequence[SlopeResult]) -> list[float]:
    """Return the slope of the highest mean accuracy, and before and after it those that cannot be told from it.

    As every slope is tried with the same seeds, the differences of the accuracies, seed by seed, are what counts: a
    slope is as good where their mean is below twice its standard error. A single seed tells nothing apart.
    """
    best = max(results, key=lambda result: result.accuracy)
    found = []
    for result in results:
        differences = best.accuracies - result.accuracies
        count = len(differences)
        error = float(differences.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
        if result is best or float(differences.mean()) <= 2.0 * error:
            found.append(result.negative_slope)
    return found
