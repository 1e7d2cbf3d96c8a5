"""The passes under test, one row an activation: exact formulas, error bounds, and where to look for errors.

The table is all that a test knows of an activation. To add one, add a row.
"""

import os
from dataclasses import dataclass

import mpmath
import numpy as np
import pytest

import fastact
from fastact import _reference

LONG = os.environ.get("FASTACT_TEST_LONG", "") not in ("", "0")  # the exhaustive settings: minutes instead of seconds

# NumPy 1 gives a Python number beyond an array's type a type of its own, and takes DLPack's memory for read-only
NUMPY_2 = np.lib.NumpyVersion(np.__version__) >= "2.0.0"

F4, F8 = np.dtype("f4"), np.dtype("f8")
UINT = {2: np.uint16, 4: np.uint32, 8: np.uint64}
CORRECT = 0.5 + 2.0**-20  # bound of a correctly rounded pass: half an ULP, and the error of the float64 reference
DIGITS = 60
FAR = 1000  # no activation changes past this; keeps mpmath's numbers small


@dataclass(frozen=True)
class Activation:
    """One row. The formulas take mpmath numbers: phi(x), dphi(x), dphi_of_y(y), and the slope s where there is one."""

    name: str
    phi: callable
    dphi: callable
    dphi_of_y: callable
    bounds: tuple  # largest errors in ULP (exclusive): forward, derivative, backward
    bounds_f8: tuple
    range_f4: tuple  # where the forward pass changes, its tails included: also searched densely
    range_f8: tuple
    derivative_range_f4: tuple
    derivative_range_f8: tuple
    y_range: tuple  # what the forward pass returns
    slope: bool = False


def _clip(x):
    return max(-FAR, min(FAR, x))


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-_clip(x)))


def _sigmoid_derivative(x):
    e = mpmath.exp(-abs(_clip(x)))
    return e / (1 + e) ** 2


def _tanh_derivative(x):
    return 1 / mpmath.cosh(_clip(x)) ** 2


ACTIVATIONS = [
    Activation(
        "sigmoid", _sigmoid, _sigmoid_derivative, lambda y: y * (1 - y),
        bounds=(1.5, 2, 2), bounds_f8=(2, 2, 2), range_f4=(-105, 20), range_f8=(-746, 40),
        derivative_range_f4=(-105, 105), derivative_range_f8=(-746, 746), y_range=(0, 1),
    ),
    Activation(
        "tanh", lambda x: mpmath.tanh(_clip(x)), _tanh_derivative, lambda y: (1 - y) * (1 + y),
        bounds=(1.36, 2, 2), bounds_f8=(2, 2, 2), range_f4=(-10, 10), range_f8=(-20, 20),
        derivative_range_f4=(-53, 53), derivative_range_f8=(-374, 374), y_range=(-1, 1),
    ),
    Activation(
        "relu", lambda x: max(x, 0), lambda x: int(x > 0), lambda y: int(y > 0),
        bounds=(CORRECT,) * 3, bounds_f8=(CORRECT,) * 3, range_f4=(-1, 1), range_f8=(-1, 1),
        derivative_range_f4=(-1, 1), derivative_range_f8=(-1, 1), y_range=(0, 9),
    ),
    Activation(
        "leaky_relu", lambda x, s: x if x > 0 else s * x, lambda x, s: 1 if x > 0 else s,
        lambda y, s: 1 if y > 0 else s,
        bounds=(CORRECT,) * 3, bounds_f8=(CORRECT,) * 3, range_f4=(-1, 1), range_f8=(-1, 1),
        derivative_range_f4=(-1, 1), derivative_range_f8=(-1, 1), y_range=(-9, 9), slope=True,
    ),
]  # fmt: skip


@dataclass(frozen=True, repr=False)
class Pass:
    """One of the three passes of an activation."""

    activation: Activation
    kind: str  # "forward", "derivative" or "backward"

    @property
    def name(self):
        return self.activation.name + {"forward": "", "derivative": "_derivative", "backward": "_backward"}[self.kind]

    __repr__ = name.fget

    @property
    def function(self):
        return getattr(fastact, self.name)

    @property
    def arguments(self):
        return ("dy", "y") if self.kind == "backward" else ("x",)

    @property
    def slope(self):
        return self.activation.slope

    def bound(self, dtype):
        bounds = self.activation.bounds if np.dtype(dtype) == F4 else self.activation.bounds_f8
        return bounds[["forward", "derivative", "backward"].index(self.kind)]

    def keywords(self, slope=None):
        return {"negative_slope": slope} if self.slope and slope is not None else {}

    def __call__(self, *arrays, slope=None, **keywords):
        return self.function(*arrays, **self.keywords(slope), **keywords)

    def reference(self, *arrays, slope=None):
        return getattr(_reference, self.name)(*arrays, **self.keywords(slope))

    def exact(self, *numbers, slope=None):
        """The value at Python floats to 60 digits."""
        with mpmath.workdps(DIGITS):
            slope = [mpmath.mpf(slope)] if self.slope else []
            numbers = [mpmath.mpf(number) for number in numbers]
            if self.kind == "forward":
                return mpmath.mpf(self.activation.phi(numbers[0], *slope))
            if self.kind == "derivative":
                return mpmath.mpf(self.activation.dphi(numbers[0], *slope))
            return numbers[0] * self.activation.dphi_of_y(numbers[1], *slope)


PASSES = [Pass(activation, kind) for activation in ACTIVATIONS for kind in ("forward", "derivative", "backward")]

each_pass = pytest.mark.parametrize("p", PASSES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [F4, F8], ids=["float32", "float64"])


def of_kind(kind):
    return pytest.mark.parametrize("p", [p for p in PASSES if p.kind == kind], ids=str)


def bits(a):
    """The bits of an array of floats, so that NaNs and the signs of zeros compare too."""
    a = np.ascontiguousarray(a)
    return a.view(UINT[a.itemsize])


def assert_same_bits(got, want, message=""):
    __tracebackhide__ = True
    assert got.dtype == want.dtype and got.shape == want.shape, (got.dtype, got.shape, want.dtype, want.shape)
    if got.tobytes() != want.tobytes():
        wrong = np.flatnonzero((bits(got) != bits(want)).ravel())
        first = wrong[0]
        pytest.fail(f"{message}: {wrong.size} of {got.size} differ, first at {first}: "
                    f"got {got.ravel()[first]!r}, want {want.ravel()[first]!r}")  # fmt: skip


def all_exponents(dtype, each, rng):
    """`each` random mantissas for every sign and exponent, subnormals, infinities and NaNs included."""
    dtype = np.dtype(dtype)
    mantissa = np.finfo(dtype).nmant
    top = np.arange(2 ** (8 * dtype.itemsize - mantissa), dtype=np.uint64) << np.uint64(mantissa)
    low = rng.integers(2**mantissa, size=(top.size, each), dtype=np.uint64)
    low[:, 0] = 0
    return (top[:, None] | low).astype(UINT[dtype.itemsize]).view(dtype).ravel()


def every_pattern(step=2**8 if LONG else 2**16):
    """Every `step`-th float32 there is, from zero up and down."""
    return np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)


SPECIAL = [0.0, np.inf, np.nan, 1.0, 0.5]


def special(dtype):
    info = np.finfo(dtype)
    values = np.array([*SPECIAL, info.max, info.tiny, info.smallest_subnormal], dtype)
    return np.concatenate([values, -values])


def points(p, dtype, n, rng, finite=False):
    """About n points for each array of a pass: N(0, 3), tails, every exponent, and for float32 a comb of all bits."""
    dtype = np.dtype(dtype)
    size = "f4" if dtype == F4 else "f8"
    prefix = "derivative_range_" if p.kind == "derivative" else "range_"
    low, high = getattr(p.activation, prefix + size)
    parts = [
        rng.normal(0, 3, n // 2),
        rng.uniform(low, high, n // 4),
        all_exponents(dtype, max(1, n // 4 >> (9 if dtype == F4 else 12)), rng),
    ]
    if dtype == F4 and n > 10_000:
        parts.append(every_pattern())
    with np.errstate(all="ignore"):
        x = np.concatenate([part.astype(dtype) for part in [*parts, special(dtype)]])
    if finite:
        x = x[np.isfinite(x)]
    if p.kind != "backward":
        return (x,)
    # y as the forward pass gives it, its whole range evenly, and the neighbourhoods of its ends
    low, high = p.activation.y_range
    slope = {"negative_slope": 0.25} if p.slope else {}
    with np.errstate(all="ignore"):
        y = getattr(_reference, p.activation.name)(x, **slope).astype(dtype)
        y[::3] = rng.uniform(low, high, y[::3].size)
        for start, end, to in ((1, high, low), (2, low, high)):
            y[start::9] = end + (to - end) * np.exp(rng.uniform(np.log(np.finfo(dtype).eps), 0, y[start::9].size))
    if finite:
        y[~np.isfinite(y)] = 0.5
    return rng.permutation(x), y
