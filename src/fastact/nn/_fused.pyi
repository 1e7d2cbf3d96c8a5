from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastact.nn._types import Floats
from fastact.nn.optimizers import Optimizer

class Clipping:
    scale: float
    limit: float
    def __init__(self, scale: float = 1.0, limit: float = ...) -> None: ...

def bias_activation(activation: str | None, Z: Floats, b: Floats, slope: Floats | None = None) -> None: ...
def backward_bias(
    backward: str | None, dY: Floats, Y: Floats, dZ: Floats, db: Floats, slope: Floats | None = None
) -> None: ...
def softmax_cross_entropy(Y: Floats, labels: NDArray[Any], dY: Floats, share: Floats | float) -> float: ...
def mean_squared_error(Y: Floats, targets: Floats, dY: Floats, share: Floats | float) -> float: ...
def binary_cross_entropy(Y: Floats, targets: Floats, dY: Floats, share: Floats | float) -> float: ...
def hits(Y: Floats, labels: NDArray[Any]) -> int: ...
def binary_hits(Y: Floats, targets: Floats) -> int: ...
def all_finite(array: Floats) -> bool: ...
def are_labels(array: NDArray[Any], columns: int) -> bool: ...
def mark_active(Z: Floats, seen: NDArray[np.bool_]) -> None: ...
def sgd(
    optimizer: Optimizer,
    arrays: list[tuple[Floats, ...]],
    clipping: Clipping,
    rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None: ...
def adagrad(
    optimizer: Optimizer, arrays: list[tuple[Floats, ...]], clipping: Clipping, rate: float, epsilon: float
) -> None: ...
def rmsprop(
    optimizer: Optimizer,
    arrays: list[tuple[Floats, ...]],
    clipping: Clipping,
    rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
) -> None: ...
def adam(
    optimizer: Optimizer,
    arrays: list[tuple[Floats, ...]],
    clipping: Clipping,
    rate: float,
    beta_1: float,
    beta_2: float,
    root_correction: float,
    epsilon: float,
    kept: float = 1.0,
) -> None: ...
