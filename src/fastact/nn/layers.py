"""The fully connected layer: Y = φ(X W + b), and its gradients."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import fastact
from fastact import kernels
from fastact.nn import _checks, _fused, initializers
from fastact.nn._buffers import Buffers
from fastact.nn._types import Floats, Integer
from fastact.nn.initializers import Initializer, InitializerName

Activation = Literal["sigmoid", "tanh", "relu", "leaky_relu"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

# Activation after a layer -> initialiser that suits it.
DEFAULT_INITIALIZER: dict[Activation | None, InitializerName] = {
    None: "glorot_uniform",
    "sigmoid": "glorot_uniform",
    "tanh": "glorot_uniform",
    "relu": "he_uniform",
    "leaky_relu": "he_uniform",
}


@dataclass(slots=True, eq=False)
class ActiveUnits:
    """Which units of a ReLU have been active in the backward passes of ``rows`` rows.

    A backward hook of a callback could find the same at twice the cost.
    """

    seen: NDArray[np.bool_]
    rows: int = 0


# After a pass on several threads OpenMP keeps the idle ones spinning for some milliseconds, on processors that the next
# matrix product needs. Only a pass that takes longer than that is worth several threads: from LARGE elements on.
SMALL, LARGE = 2**17, 2**24  # below SMALL no pass uses a second thread


def run_pass(name: str, *arrays: ArrayLike, out: Floats) -> Floats:
    """Run a pass of fastact, on one thread unless it is a very long one."""
    function = getattr(fastact, name)
    if not SMALL <= out.size < LARGE:
        return function(*arrays, out=out)
    previous = kernels.swap_thread_local(1)
    try:
        return function(*arrays, out=out)
    finally:
        kernels.swap_thread_local(*previous)


class Parameter(NamedTuple):
    """One array that is learnt, and the array that its gradient is written into."""

    name: str
    value: Floats
    gradient: Floats


class Dense:
    """A fully connected layer, ``Y = φ(Z)`` with ``Z = X W + b``.

    With L the loss and dY = ∂L/∂Y, the backward pass is::

        dZ = dY · φ′(Z)      taken from Y, so that Z need not be kept
        dW = Xᵀ dZ
        db = column sums of dZ
        dX = dZ Wᵀ

    Parameters
    ----------
    in_features, out_features : int
        Columns of X and of Y.
    activation : {None, "sigmoid", "tanh", "relu", "leaky_relu"}, optional
        φ; None is the identity.
    negative_slope : float or array_like of shape (out_features,), optional
        Slope of leaky_relu for Z ≤ 0; no other activation uses it. Any finite slope will do. A negative one makes
        the layer keep Z as well, because Y then no longer tells the sign of Z.
    init : str or callable, optional
        Initialiser of W: "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal",
        "unit_gain" (orthogonal, then scaled on the first batch of training; see `nn.unit_gain`), or a function
        ``(rng, shape, negative_slope) -> array``. The default is "he_uniform" for relu and leaky_relu and
        "glorot_uniform" for the others. b starts at 0.
    dtype : {np.float32, np.float64}, optional
        Type of everything in the layer.

    Attributes
    ----------
    W : ndarray, shape (in_features, out_features)
    b : ndarray, shape (out_features,)
        An assignment copies the values into the layer's own array. Before `initialize` (which `Sequential` calls
        for every layer that has no weights yet) reading them is a RuntimeError.
    dW, db : ndarray
        Gradients of the last `backward`, of the shapes of W and b.
    needs_batch : bool
        Whether W is still to be scaled on a batch, because ``init`` is "unit_gain".

    Raises
    ------
    TypeError, ValueError
        For an unknown activation, initialiser or dtype, a number of features below 1, a slope that is not finite; for
        values of W or b that are not finite in the dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> layer = nn.Dense(2, 1, activation="relu")
    >>> layer.W, layer.b = [[1.0], [-2.0]], [0.5]
    >>> layer.forward(np.array([[3.0, 1.0], [1.0, 3.0]], dtype=np.float32))
    array([[1.5],
           [0. ]], dtype=float32)
    >>> layer.backward(np.array([[1.0], [1.0]], dtype=np.float32))
    array([[ 1., -2.],
           [ 0.,  0.]], dtype=float32)
    >>> layer.dW
    array([[3.],
           [1.]], dtype=float32)
    """

    dtype: np.dtype[np.floating[Any]]
    negative_slope: float | Floats
    init: InitializerName | Initializer
    dW: Floats
    db: Floats

    def __init__(
        self,
        in_features: Integer,
        out_features: Integer,
        activation: Activation | None = None,
        negative_slope: ArrayLike = 0.01,
        init: InitializerName | Initializer | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.in_features = _checks.integer("in_features", in_features)
        self.out_features = _checks.integer("out_features", out_features)
        default_init = _checks.choose("activation", activation, DEFAULT_INITIALIZER)
        self.activation = activation
        self.dtype = _checks.float_type(dtype)
        self.negative_slope = self._checked_slope(negative_slope)
        if init is initializers.unit_gain:
            init = "unit_gain"  # nn.unit_gain scales whole models: here it stands for the initialiser of its name
        self.init = default_init if init is None else init
        initializers.get(self.init)
        self._slope_arguments = (self.negative_slope,) if activation == "leaky_relu" else ()  # of fastact's functions
        self._fused_slope = None  # that of the fused passes
        if activation == "leaky_relu":
            with np.errstate(under="ignore"):
                self._fused_slope = np.atleast_1d(np.asarray(self.negative_slope, self.dtype))
        self._backward_pass = None if activation is None else f"{activation}_backward"
        self._keeps_Z = activation == "leaky_relu" and bool(np.any(self.negative_slope < 0))
        self._W: Floats | None = None
        self._b: Floats | None = None
        self.needs_batch = False
        self.dW = self.db = None  # type: ignore[assignment]  # until there are weights
        self._X: Floats | None = None
        self._Y: Floats | None = None
        self._Z: Floats | None = None
        self._active_units: list[ActiveUnits] = []  # each updated by every backward pass
        self._buffers = Buffers()

    def _checked_slope(self, negative_slope):
        slope = _checks.real_array("negative_slope", negative_slope)
        if slope.shape not in ((), (self.out_features,)):
            raise ValueError(
                f"negative_slope must be a number or an array of shape ({self.out_features},), got shape {slope.shape}"
            )
        with np.errstate(all="ignore"):
            rounded = slope.astype(self.dtype)
        if not np.isfinite(rounded).all():
            raise ValueError(f"negative_slope must be finite in {self.dtype}, got {negative_slope!r}")
        return float(slope) if slope.ndim == 0 else rounded

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw W with the layer's initialiser from ``rng`` (a numpy.random.Generator) and set b to 0."""
        init, slope = initializers.get(self.init), self.negative_slope if self.activation == "leaky_relu" else 0.0
        if init is initializers.orthogonal and self.activation not in ("relu", "leaky_relu"):
            slope = 1.0  # there is no ReLU to make up for
        self.W = init(rng, (self.in_features, self.out_features), slope)
        self.b = np.zeros(self.out_features)
        self.needs_batch = self.init == "unit_gain"

    @property
    def initialized(self) -> bool:
        """Whether the layer has weights: drawn by `initialize`, or assigned."""
        return self._W is not None and self._b is not None

    @property
    def W(self) -> Floats:
        return self._required(self._W, "W")

    @W.setter
    def W(self, values: ArrayLike) -> None:
        self._W = self._filled(self._W, "W", values, (self.in_features, self.out_features))
        self.needs_batch = False
        self.dW = np.zeros_like(self._W) if self.dW is None else self.dW

    @property
    def b(self) -> Floats:
        return self._required(self._b, "b")

    @b.setter
    def b(self, values: ArrayLike) -> None:
        self._b = self._filled(self._b, "b", values, (self.out_features,))
        self.db = np.zeros_like(self._b) if self.db is None else self.db

    def _required(self, array: Floats | None, name: str) -> Floats:
        if array is None:
            raise RuntimeError(
                f"{self!r} has no {name} yet: put the layer into a Sequential, call initialize(rng), or assign {name}"
            )
        return array

    def _filled(self, array: Floats | None, name: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
        """Copy ``values`` into ``array``, which an optimiser may hold; the first time make the array."""
        values = _checks.real_array(name, values)
        if values.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {values.shape}")
        _checks.finite(name, values, self.dtype)
        array = np.empty(shape, self.dtype) if array is None else array
        with np.errstate(under="ignore"):
            array[...] = values
        return array

    def parameters(self) -> list[Parameter]:
        """Return the layer's parameters: W and b, each with its gradient."""
        return [Parameter("W", self.W, self.dW), Parameter("b", self.b, self.db)]

    def place_gradients(self, memory: Floats) -> None:
        """Move dW and db, with what they hold, into ``memory``, an array of as many numbers: dW first."""
        size = self.in_features * self.out_features
        dW, db = memory[:size].reshape(self.in_features, self.out_features), memory[size:]
        if self.initialized:
            dW[...], db[...] = self.dW, self.db
        self.dW, self.db = dW, db

    def astype(self, dtype: DTypeLike) -> Dense:
        """Return a layer of the same settings and a copy of the same weights in another dtype."""
        twin = Dense(self.in_features, self.out_features, self.activation, self.negative_slope, self.init, dtype)
        if self.initialized:
            twin.W, twin.b = self.W, self.b
            twin.needs_batch = self.needs_batch
        return twin

    def forward(self, X: Floats) -> Floats:
        """Return Y = φ(X W + b) and keep what `backward` needs.

        Parameters
        ----------
        X : ndarray of the layer's dtype, shape (rows, in_features)
            Is read again by `backward`, so leave it unchanged until then.

        Returns
        -------
        Y : ndarray of the layer's dtype, shape (rows, out_features)
            The layer's own buffer, which the next call overwrites: copy what you want to keep.

        Raises
        ------
        TypeError, ValueError
            X has another dtype or shape.
        """
        self._check_operand("X", X, self.in_features)
        rows = len(X)
        self._X = X
        Y = Z = self._buffers.array("Z", rows, self.out_features, dtype=self.dtype)
        np.dot(X, self.W, out=Z)  # with less than half the overhead of np.matmul
        if self._keeps_Z:
            self._Z = Z
            Y = self._buffers.array("Y", rows, self.out_features, dtype=self.dtype)
            _fused.bias_activation(None, Z, self.b)
            run_pass("leaky_relu", Z, *self._slope_arguments, out=Y)
        else:
            _fused.bias_activation(self.activation, Z, self.b, self._fused_slope)
        self._Y = Y
        return Y

    @overload
    def backward(
        self, dY: Floats, overwrite: bool = False, input_gradient: Literal[True] = True, dX: Floats | None = None
    ) -> Floats: ...
    @overload
    def backward(
        self, dY: Floats, overwrite: bool = False, input_gradient: bool = True, dX: Floats | None = None
    ) -> Floats | None: ...

    def backward(
        self, dY: Floats, overwrite: bool = False, input_gradient: bool = True, dX: Floats | None = None
    ) -> Floats | None:
        """Write ∂L/∂W into dW and ∂L/∂b into db, and return dX = ∂L/∂X; to be called after `forward`.

        Parameters
        ----------
        dY : ndarray of the layer's dtype, shape (rows, out_features)
            ∂L/∂Y, with the rows of the last `forward`.
        overwrite : bool, optional
            Let the pass write dZ over Y instead of into a buffer of its own. The next `backward` then needs another
            `forward`.
        input_gradient : bool, optional
            False saves the product for dX, which the first layer of a network has no use for in training.
        dX : ndarray of the layer's dtype, shape (rows, in_features), optional
            What to write ∂L/∂X into, C-contiguous; with ``overwrite`` it may lie in dY's memory. The default is a
            buffer of the layer.

        Returns
        -------
        dX : ndarray of the layer's dtype, shape (rows, in_features), or None
            Where it was not given, the layer's own buffer, which the next call overwrites.

        Raises
        ------
        RuntimeError
            `forward` has not been called.
        TypeError, ValueError
            dY has another dtype or shape.
        """
        X, Y = self._X, self._Y
        if X is None or Y is None:
            raise RuntimeError(f"backward needs a forward pass first: {self!r}")
        self._check_operand("dY", dY, self.out_features)
        if len(dY) != len(Y):
            raise ValueError(f"dY must have the {len(Y)} rows of the last forward pass, got {len(dY)}")
        for units in self._active_units:
            units.rows += len(Y)
            _fused.mark_active(Y if self._Z is None else self._Z, units.seen)
        dZ = Y if overwrite else self._buffers.array("dZ", *Y.shape, dtype=self.dtype)
        self._activation_backward(dY if dY.flags.carray else dY.copy(), Y, dZ)
        if overwrite:
            self._X = self._Y = self._Z = None
        np.dot(X.T, dZ, out=self.dW)
        if not input_gradient:
            return None
        if dX is None:
            dX = self._buffers.array("dX", *X.shape, dtype=self.dtype)
        return np.dot(dZ, self.W.T, out=dX)

    def _activation_backward(self, dY, Y, dZ):
        """Write dZ = dY · φ′(Z), and its column sums into db; dZ may be Y."""
        if self._keeps_Z:
            run_pass("leaky_relu_derivative", self._Z, *self._slope_arguments, out=dZ)
            np.multiply(dZ, dY, out=dZ)
            _fused.backward_bias(None, dZ, dZ, dZ, self.db)
        else:
            _fused.backward_bias(self._backward_pass, dY, Y, dZ, self.db, self._fused_slope)

    def derivative(self, Z: Floats) -> Floats:
        """Return φ′(Z), the slopes of the activation at its inputs, in a new array."""
        if self.activation is None:
            return np.ones_like(Z)
        slopes: Floats = getattr(fastact, f"{self.activation}_derivative")(Z, *self._slope_arguments)
        return slopes

    def scale_to_unit_gain(self, X: Floats) -> None:
        """Multiply W by the number with which random gradients keep their norm, on this batch; see `nn.unit_gain`.

        Parameters
        ----------
        X : ndarray of the layer's dtype, shape (rows, in_features)
            Inputs of the layer.
        """
        self._check_operand("X", X, self.in_features)
        with np.errstate(all="ignore"):
            self.W = self._unit_gain_scale(X) * self.W

    def _unit_gain_scale(self, X):
        XW = X @ self.W
        column_squares = np.sum(np.square(self.W, dtype=np.float64), axis=0)
        scale, best_scale, smallest_error = 1.0, 1.0, math.inf
        for _ in range(50):
            slopes = self.derivative(scale * XW + self.b)
            squares = np.square(slopes, dtype=np.float64) @ column_squares
            gain = scale * math.sqrt(squares.mean() / self.out_features)
            if not 0.0 < gain < math.inf:  # all units are dead or saturated
                break
            error = abs(math.log(gain))
            if error < smallest_error:
                best_scale, smallest_error = scale, error
            if error < 1e-3:
                break
            scale /= gain  # φ′ falls with the scale, so the gain grows by less than in proportion
        return best_scale

    @property
    def input(self) -> Floats | None:
        """X of the last `forward`, None before it."""
        return self._X

    @property
    def output(self) -> Floats | None:
        """Y of the last `forward`, None before it."""
        return self._Y

    def active(self) -> NDArray[np.bool_] | None:
        """Return for the last `forward`, as a boolean array of the shape of Y, where the unit is active: Z > 0.

        Only relu and leaky_relu have an inactive side; for the other activations, and before the first `forward`, the
        answer is None.
        """
        signs = self._signs_of_Z()
        return None if signs is None else signs > 0

    def mark_active(self, seen: NDArray[np.bool_]) -> None:
        """Set ``seen[j]`` for every unit j that the last `forward` found active for some row; see `active`.

        Called after every batch, this tells at the end which units are dead on all the data.
        """
        signs = self._signs_of_Z()
        if signs is not None:
            _fused.mark_active(signs, seen)

    def _signs_of_Z(self):
        """Return the array of the last `forward`, Z or Y, that is above 0 where Z is; None where there is none."""
        if self.activation not in ("relu", "leaky_relu"):
            return None
        return self._Z if self._keeps_Z else self._Y

    def slopes(self) -> Floats | None:
        """Return for the last `forward`, in a new array of the shape of Y, φ′(Z), as `backward` multiplies by it.

        For the identity, and before the first `forward`, the answer is None.
        """
        if self._keeps_Z:
            return None if self._Z is None else self.derivative(self._Z)
        if self._Y is None or self._backward_pass is None:
            return None
        slopes: Floats = getattr(fastact, self._backward_pass)(np.ones_like(self._Y), self._Y, *self._slope_arguments)
        return slopes

    def _check_operand(self, argument: str, array: Floats, columns: int) -> None:
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{argument} must be an ndarray of dtype {self.dtype}, got {type(array).__name__}")
        if array.dtype != self.dtype:
            raise TypeError(f"{argument} must have dtype {self.dtype}, got {array.dtype}")
        if array.ndim != 2 or array.shape[1] != columns:
            raise ValueError(f"{argument} must have shape (rows, {columns}), got {array.shape}")

    def __getstate__(self):
        """Leave the arrays of the last pass out of copies and pickles: a copy has buffers of its own."""
        return {**vars(self), "_X": None, "_Y": None, "_Z": None, "_active_units": [], "_buffers": Buffers()}

    def __repr__(self):
        settings = [str(self.in_features), str(self.out_features)]
        if self.activation is not None:
            settings.append(f"activation={self.activation!r}")
        if self.activation == "leaky_relu":
            settings.append(f"negative_slope={self.negative_slope!r}")
        if self.init != DEFAULT_INITIALIZER[self.activation]:
            settings.append(f"init={getattr(self.init, '__name__', self.init)!r}")
        if self.dtype != np.float32:
            settings.append(f"dtype={self.dtype}")
        return f"Dense({', '.join(settings)})"
