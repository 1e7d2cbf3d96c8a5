from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastact.nn._types import Floats

class Clipping:
    scale: float
    limit: float
    def __init__(self, scale: float = 1.0, limit: float = ...) -> None: ...

def bias_activation(activation: str | None, Z: Floats, b: Floats, slope: Floats | None = None) -> None: ...
def backward_bias(
    backward: str | None, dY: Floats, Y: Floats, dZ: Floats, db: Floats, slope: Floats | None = None
) -> None: ...
def softmax_cross_entropy(Y: Floats, labels: NDArray[Any], dY: Floats, share: Floats | float) -> float: ...
def hits(Y: Floats, labels: NDArray[Any]) -> int: ...
def mark_active(Z: Floats, seen: NDArray[np.bool_]) -> None: ...
def sgd(
    w: Floats,
    g: Floats,
    v: Floats | None,
    clipping: Clipping,
    rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None: ...
def adagrad(w: Floats, g: Floats, s: Floats, clipping: Clipping, rate: float, epsilon: float) -> None: ...
def rmsprop(
    w: Floats,
    g: Floats,
    s: Floats,
    v: Floats | None,
    clipping: Clipping,
    rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
) -> None: ...
def adam(
    w: Floats,
    g: Floats,
    m: Floats,
    v: Floats,
    clipping: Clipping,
    rate: float,
    beta_1: float,
    beta_2: float,
    root_correction: float,
    epsilon: float,
    kept: float = 1.0,
) -> None: ...
