"""Special values to the bit, in both types, wherever the element lies; and no warning, no flag, no mode changed."""

import ctypes
import ctypes.util
import math
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from passes import F4, F8, NUMPY_2, PASSES, assert_same_bits, bits, each_dtype, each_pass, of_kind, points

import fastact

INF, NAN = math.inf, math.nan
MAX, TINY = "max", "tiny"  # the largest number and the smallest subnormal, of the type under test
POSITIONS = [(1, 0), (7, 3), (67, 66), (131, 130), (1031, 515)]  # length, place in it

# pass, inputs (the slope last), result
VALUES = [
    *[("sigmoid", (x,), y) for x, y in [(-INF, 0.0), (INF, 1.0), (0.0, 0.5), (-0.0, 0.5), (NAN, NAN), ((MAX, 1), 1.0),
                                        ((MAX, -1), 0.0), ((TINY, 1), 0.5), ((TINY, -1), 0.5)]],
    *[("sigmoid_derivative", (x,), y) for x, y in [(-INF, 0.0), (INF, 0.0), (0.0, 0.25), (-0.0, 0.25), (NAN, NAN),
                                                   ((MAX, 1), 0.0), ((MAX, -1), 0.0), ((TINY, -1), 0.25)]],
    *[("sigmoid_backward", x, y) for x, y in [
        ((1.0, 0.5), 0.25), ((1.0, 0.0), 0.0), ((1.0, 1.0), 0.0), ((-1.0, 1.0), -0.0), ((-1.0, 0.0), -0.0),
        ((INF, 0.5), INF), ((-INF, 0.5), -INF), ((INF, 0.0), NAN), ((INF, 1.0), NAN), ((NAN, 0.5), NAN), ((1.0, NAN),
        NAN),
        ((0.0, NAN), NAN), ((NAN, 0.0), NAN), (((MAX, 1), 0.5), (MAX, 0.25)), (((TINY, 1), 0.5), 0.0),
        (((TINY, -8), 0.5), (TINY, -2)), ((1.0, (TINY, 1)), (TINY, 1)), ((-8.0, (TINY, 1)), (TINY, -8))]],
    *[("tanh", (x,), y) for x, y in [(-INF, -1.0), (INF, 1.0), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN), ((MAX, 1), 1.0),
                                     ((MAX, -1), -1.0), ((TINY, 1), (TINY, 1)), ((TINY, -3), (TINY, -3))]],
    *[("tanh_derivative", (x,), y) for x, y in [(-INF, 0.0), (INF, 0.0), (0.0, 1.0), (-0.0, 1.0), (NAN, NAN),
                                                ((MAX, 1), 0.0), ((MAX, -1), 0.0), ((TINY, 1), 1.0)]],
    *[("tanh_backward", x, y) for x, y in [
        ((1.0, 0.0), 1.0), ((2.0, -0.0), 2.0), ((1.0, 1.0), 0.0), ((1.0, -1.0), 0.0), ((-1.0, 1.0), -0.0),
        ((INF, 0.0), INF), ((-INF, 0.5), -INF), ((INF, 1.0), NAN), ((NAN, 0.5), NAN), ((1.0, NAN), NAN), ((NAN, 1.0),
        NAN),
        ((0.0, NAN), NAN), ((-0.0, 0.5), -0.0), (((MAX, 1), 0.0), (MAX, 1)), (((MAX, -1), 0.5), (MAX, -0.75)),
        (((TINY, 1), 0.0), (TINY, 1)), (((TINY, 4), 0.5), (TINY, 3)), ((3.0, (TINY, 1)), 3.0)]],
    *[("relu", (x,), y) for x, y in [(-INF, 0.0), (INF, INF), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN), (2.5, 2.5),
    (-2.5, 0.0),
                                     ((MAX, 1), (MAX, 1)), ((MAX, -1), 0.0), ((TINY, 1), (TINY, 1)), ((TINY, -1),
                                     0.0)]],
    *[("relu_derivative", (x,), y) for x, y in [(-INF, 0.0), (INF, 1.0), (0.0, 0.0), (-0.0, 0.0), (NAN, NAN),
    (2.5, 1.0),
                                                (-2.5, 0.0), ((TINY, 1), 1.0), ((TINY, -1), 0.0), ((MAX, 1), 1.0)]],
    *[("relu_backward", x, y) for x, y in [
        ((5.0, 1.0), 5.0), ((5.0, 0.0), 0.0), ((5.0, -0.0), 0.0), ((-5.0, -1.0), 0.0), ((-5.0, 0.0), 0.0),
        ((NAN, -1.0), 0.0),
        ((NAN, 0.0), 0.0), ((NAN, 1.0), NAN), ((INF, 0.0), 0.0), ((-INF, -INF), 0.0), ((3.0, NAN), 3.0),
        ((-3.0, NAN), -3.0),
        ((-0.0, NAN), -0.0), ((NAN, NAN), NAN), ((1.0, INF), 1.0), ((1.0, -INF), 0.0), ((-0.0, 1.0), -0.0),
        ((-0.0, -1.0), 0.0),
        (((TINY, 1), (TINY, 1)), (TINY, 1)), (((MAX, 1), (TINY, -1)), 0.0)]],
    *[("leaky_relu", (x, s), y) for x, s, y in [
        (-2.0, 0.25, -0.5), (2.0, 0.25, 2.0), (-INF, 0.25, -INF), (INF, 0.25, INF), (0.0, 0.25, 0.0),
        (-0.0, 0.25, -0.0),
        (NAN, 0.25, NAN), ((TINY, 1), 0.25, (TINY, 1)), ((TINY, -1), 0.25, -0.0), ((TINY, -8), 0.25, (TINY, -2)),
        (-2.0, -0.5, 1.0), (2.0, -0.5, 2.0), (-INF, -0.5, INF), (INF, -0.5, INF), (0.0, -0.5, -0.0), (-0.0, -0.5, 0.0),
        (-2.0, 3.0, -6.0), (2.0, 3.0, 2.0), ((MAX, -1), 3.0, -INF), ((MAX, 1), 3.0, (MAX, 1)), ((MAX, -1), -2.0, INF),
        (-1.0, (TINY, 1), (TINY, -1)), (-INF, (TINY, 1), -INF), (-1.0, (MAX, 1), (MAX, -1)), (NAN, -0.5, NAN)]],
    *[("leaky_relu_derivative", (x, s), y) for x, s, y in [
        (2.0, 0.25, 1.0), (-2.0, 0.25, 0.25), (0.0, 0.25, 0.25), (-0.0, 0.25, 0.25), (NAN, 0.25, NAN), (INF, 0.25, 1.0),
        (-INF, 0.25, 0.25), (-2.0, -0.5, -0.5), (0.0, 3.0, 3.0), ((TINY, 1), 3.0, 1.0), ((TINY, -1), 3.0, 3.0)]],
    *[("leaky_relu_backward", x, y) for x, y in [
        ((2.0, 1.0, 0.25), 2.0), ((2.0, -1.0, 0.25), 0.5), ((2.0, 0.0, 0.25), 0.5), ((2.0, -0.0, 0.25), 0.5),
        ((2.0, NAN, 0.25), 0.5), ((NAN, 1.0, 0.25), NAN), ((NAN, -1.0, 0.25), NAN), ((INF, -1.0, 0.25), INF),
        ((-0.0, -1.0, 0.25), -0.0), ((2.0, -INF, 3.0), 6.0), ((2.0, INF, 3.0), 2.0), (((MAX, 1), -1.0, 3.0), INF)]],
]  # fmt: skip
# a slope of zero is relu, to the bit: every row of relu again, with slopes that are zero in the type
VALUES += [
    (f"leaky_{name}", (*inputs, zero), result)
    for name, inputs, result in VALUES
    if name.startswith("relu")
    for zero in (0.0, -0.0)
]


def number(value, dtype):
    if isinstance(value, tuple):
        unit = np.finfo(dtype).max if value[0] is MAX else np.finfo(dtype).smallest_subnormal
        return dtype.type(unit * dtype.type(value[1]))
    return dtype.type(value)


def same(got, want):
    return np.isnan(got) if np.isnan(want) else got == want and np.signbit(got) == np.signbit(want)


@each_dtype
@pytest.mark.parametrize("name", [p.name for p in PASSES])
def test_table(name, dtype):
    """All rows: as a scalar, a 0-d array, and at 5 places in arrays of 1 to 1,031, whole and with a stride of 2.

    Slopes as Python numbers, and as arrays with the slope under test at the element under test alone.
    """
    p = next(p for p in PASSES if p.name == name)
    rows = [row for row in VALUES if row[0] == name]
    assert len(rows) >= 8
    for _, inputs, result in rows:
        want = number(result, dtype)
        values = [number(value, dtype) for value in inputs]
        slope = float(values[-1]) if p.slope else None
        numbers = values[:-1] if p.slope else values
        scalar = p(*numbers, slope=slope)
        assert type(scalar) is dtype.type and same(scalar, want), (inputs, scalar)
        assert same(p(*map(np.array, numbers), slope=slope), want), inputs
        for length, at in POSITIONS:
            arrays = [np.full(2 * length, 0.75, dtype) for _ in values]
            for array, value in zip(arrays, values, strict=True):
                array[at] = array[2 * at] = value
            for view, place in ((slice(0, length), at), (slice(0, None, 2), at)):
                cut = [a[view].copy() if view.step is None else a[view] for a in arrays]
                for a, value in zip(cut, values, strict=True):
                    a[place] = value
                one = p(*cut[: len(numbers)], slope=slope)
                assert same(one[place], want), (inputs, length, place, one[place])
                if p.slope:
                    each = p(*cut[: len(numbers)], slope=cut[-1])
                    assert same(each[place], want), (inputs, length, place, each[place], "array of slopes")


@each_dtype
@pytest.mark.parametrize("kind", ["", "_derivative", "_backward"])
def test_slope_of_zero_is_relu(kind, dtype, rng):
    """60,000 points: 0, -0.0, numbers that are 0 in the type, arrays of zeros; the bits of relu, NaN payloads too."""
    leaky, relu = (next(p for p in PASSES if p.name == name + kind) for name in ("leaky_relu", "relu"))
    arrays = points(relu, dtype, 60_000, rng)
    quiet = [np.where(np.isnan(a), np.copysign(dtype.type(np.nan), a), a) for a in arrays]
    want = relu(*quiet)
    n = want.size
    slopes = [0, 0.0, -0.0, False, np.zeros(n, dtype), -np.zeros(n, dtype), np.zeros(1, dtype), dtype.type(-0.0)]
    if dtype == F4:
        slopes += [1e-60, -1e-60 if kind != "_backward" else 1e-46]
    for slope in slopes:
        assert_same_bits(leaky(*quiet, slope=slope), want, f"slope {slope!r}")
    mixed = np.where(np.arange(n) % 3 == 0, dtype.type(0), dtype.type(0.5))
    zero = mixed == 0
    got = leaky(*quiet, slope=mixed)
    assert_same_bits(got[zero], want[zero], "zero slopes among others")
    assert_same_bits(got[~zero], leaky(*quiet, slope=0.5)[~zero], "other slopes among zeros")


@each_dtype
@pytest.mark.parametrize("p", [p for p in PASSES if p.slope], ids=str)
@pytest.mark.parametrize("slope", [INF, -INF, NAN, 10**400, "1e39"])
def test_slopes_that_are_not_finite(p, dtype, slope):
    """5 slopes, as numbers and among the elements of an array: ValueError; 1e39 is finite in float64 only."""
    slope = 1e39 if slope == "1e39" else slope
    arrays = [np.full(5, -2.0, dtype) for _ in p.arguments]
    if slope == 1e39 and dtype == F8:
        assert np.isfinite(p(*arrays, slope=slope)).all()
        return
    out = np.full(5, 7, dtype)
    with pytest.raises(ValueError, match="negative_slope"):
        p(*arrays, slope=slope, out=out)
    if isinstance(slope, float) and slope != 1e39:
        with pytest.raises(ValueError, match="negative_slope"):
            p(*arrays, slope=np.array([0.5, 0.5, slope, 0.5, 0.5], dtype), out=out)
    assert (out == 7).all()


@each_dtype
def test_backward_refuses_a_negative_slope(dtype):
    """A number, a Python int, a 0-d array and one element of an array; the error points to the derivative."""
    dy = np.full(5, 2.0, dtype)
    out = np.full(5, 7, dtype)
    element = np.array([0.5, 0, 0.5, -1e-3, 0.5], dtype)
    for slope in (-0.5, -1, np.array(-0.5, dtype), element, -np.finfo(dtype).smallest_subnormal):
        with pytest.raises(ValueError, match=r"negative_slope[\s\S]*leaky_relu_derivative"):
            fastact.leaky_relu_backward(dy, dy, slope, out=out)
    assert (out == 7).all()


@each_dtype
@each_pass
def test_nan_stays_nan(p, dtype):
    """26 NaNs of either sign, quiet and signalling, in arrays of 1, 13 and 1,000, for each input."""
    mantissa = np.finfo(dtype).nmant
    top = 2 ** (8 * dtype.itemsize - 1 - mantissa) - 1
    payloads = [1, 2, 2 ** (mantissa - 1) - 1, 2 ** (mantissa - 1), 2 ** (mantissa - 1) + 1, 2**mantissa - 1]
    payloads += [2**k for k in range(2, 9)]
    nans = np.array([(top << mantissa) | payload for payload in payloads], f"u{dtype.itemsize}").view(dtype)
    nans = np.concatenate([nans, -nans])
    assert np.isnan(nans).all()
    others = np.linspace(0.1, 0.9, nans.size).astype(dtype)
    for nan_in in range(len(p.arguments)):
        arrays = [nans if k == nan_in else others for k in range(len(p.arguments))]
        for length in (1, 13, 1000):
            got = p(*(np.resize(a, length) for a in arrays))
            if p.kind == "backward" and p.activation.name.endswith("relu") and nan_in == 1:
                assert not np.isnan(got).any()  # they select: a NaN in y does not reach the result
            else:
                assert np.isnan(got).all()
        strided = [np.repeat(a, 2)[::2] for a in arrays]
        assert_same_bits(p(*strided), p(*arrays), "strided")
    if p.name == "relu":  # x itself
        quiet = nans[(bits(nans) >> (mantissa - 1)) & 1 == 1]
        assert_same_bits(fastact.relu(quiet), quiet)


@each_dtype
@of_kind("backward")
def test_nan_of_both_inputs(p, dtype):
    """The result is dy's NaN, quiet, for NaNs of other payloads and signs in y; 1 to 140 elements, out over either."""
    sign, infinity, nan = bits(np.array([-0.0, INF, NAN], dtype))
    quiet = nan - infinity
    n, none = np.arange(1, 141, dtype=sign.dtype), sign ^ sign
    dy = infinity + n + np.where(n % 2, quiet, none) + np.where(n % 3, sign, none)
    y = infinity + n + 1000 + np.where(n % 3, none, sign)
    for length in n:
        for out in (None, 0, 1):
            arrays = [dy[:length].copy().view(dtype), y[:length].copy().view(dtype)]
            got = p(*arrays, out=None if out is None else arrays[out])
            # the ReLUs pass a signalling NaN as it is
            assert (bits(got) | quiet).tolist() == (dy[:length] | quiet).tolist(), f"{length} elements, out {out}"


@each_dtype
@each_pass
def test_never_warns(p, dtype, rng):
    """60,000 points and all pairs of special values, whole, strided, scalar, 2 M on threads: nothing warns."""
    arrays = points(p, dtype, 60_000, rng)
    big = [np.resize(a, 2_000_000) for a in arrays]
    info = np.finfo(dtype)
    special = np.array([0, 1, INF, NAN, info.max, info.tiny, info.smallest_subnormal, 1e-30, 100, 0.5], dtype)
    special = np.concatenate([special, -special])
    pairs = np.meshgrid(special, special)[: len(arrays)]
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        p(*arrays)
        p(*(a[::2] for a in arrays))
        p(*(a.byteswap().view(a.dtype.newbyteorder()) for a in arrays))
        p(*arrays, out=np.empty(arrays[0].shape, dtype))
        p(*pairs)
        p(*big)
        if p.slope:
            p(*pairs, slope=info.max / 2)
            p(*pairs, slope=np.full(20, info.max, dtype))
        for row in zip(*(a.ravel() for a in pairs), strict=True):
            p(*row)
            p(*map(float, row))
            p(*([value] for value in row))


FLAGS = {"x86_64": 1 | 4 | 8 | 16, "aarch64": 1 | 2 | 4 | 8}.get(platform.machine())  # all but inexact


@pytest.mark.skipif(FLAGS is None or platform.system() != "Linux", reason="the values of the flags are not known")
@each_dtype
@each_pass
def test_floating_point_mode_and_flags(p, dtype, rng):
    """60,000 points that overflow, underflow and are invalid: no flag raised, rounding mode kept, subnormals alive."""
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    arrays = points(p, dtype, 60_000, rng)
    for layout in (arrays, [a[::2] for a in arrays], [a[:3] for a in arrays]):
        out = np.empty(layout[0].shape, dtype)
        rounding = libm.fegetround()
        libm.feclearexcept(FLAGS)
        p(*layout, out=out)
        assert libm.fetestexcept(FLAGS) == 0
        assert libm.fegetround() == rounding
    half = np.finfo(dtype).tiny / dtype.type(2)
    assert half > 0 and half * dtype.type(2) == np.finfo(dtype).tiny


def test_import_leaves_subnormals_to_the_process():
    """A library linked with -ffast-math flushes them to zero in the whole process; this one must not."""
    program = "import numpy as np; a = np.array([1e-310]); import fastact; assert (a * 1.0)[0] == 1e-310"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


class Mode:
    """The calling thread's floating-point mode, by the C library: fenv_t's last word of x86-64 is MXCSR, the first of
    aarch64 FPCR."""

    WORD, FLUSH = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}.get(platform.machine(), (None, None))
    CONTROL = {"x86_64": 0xFFC0, "aarch64": 0xFFFFFFFF}.get(platform.machine())
    ROUNDINGS = {"x86_64": (0, 0x2000, 0x4000, 0x6000), "aarch64": (0, 1 << 23, 1 << 22, 3 << 22)}.get(
        platform.machine(), ()
    )
    libm = ctypes.CDLL(ctypes.util.find_library("m"))

    def __init__(self, bits):
        self.bits = bits

    def __enter__(self):
        self.before = (ctypes.c_uint32 * 16)()
        self.libm.fegetenv(self.before)
        changed = (ctypes.c_uint32 * 16)(*self.before)
        changed[self.WORD] |= self.bits
        self.libm.fesetenv(changed)
        return self

    def now(self):
        current = (ctypes.c_uint32 * 16)()
        self.libm.fegetenv(current)
        return current[self.WORD] & self.CONTROL & ~(self.before[self.WORD] & self.CONTROL)

    def __exit__(self, *error):
        self.libm.fesetenv(self.before)


MODES = [flush | rounding for flush in (0, Mode.FLUSH or 0) for rounding in Mode.ROUNDINGS][1:]
needs_modes = pytest.mark.skipif(not MODES or platform.system() != "Linux", reason="the modes' bits are not known")


@needs_modes
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "bfloat16"])
@each_pass
def test_caller_has_changed_the_mode(p, dtype, rng):
    """Flush-to-zero with each rounding, 7 modes: the usual bits, whole, strided, on threads, for slopes of every kind;
    and the caller's mode stays."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    dtype = np.dtype(dtype)
    with np.errstate(all="ignore"):
        whole = [a.astype(dtype) for a in points(p, F8 if dtype == F8 else F4, 5_000, rng)]
    numbers = (0.1, 1e-40, -1e-40 if p.kind != "backward" else 0.3) if p.slope else (None,)
    calls = [(whole, slope) for slope in numbers] + [([a[::2] for a in whole], slope) for slope in numbers]
    if p.slope:
        calls.append((whole, np.full(whole[0].shape, 0.1, dtype)))
    if dtype in (F4, F8):
        calls.append(([np.resize(a, 600_000) for a in whole], numbers[0]))
    want = [p(*arrays, slope=slope) for arrays, slope in calls]
    for changed in MODES:
        got = []
        with fastact.num_threads(2), Mode(changed) as mode:
            for arrays, slope in calls:
                got.append(p(*arrays, slope=slope))
                assert mode.now() == changed
        for result, usual, (arrays, slope) in zip(got, want, calls, strict=True):
            assert_same_bits(result, usual, f"mode {changed:#x}, {arrays[0].shape}, slope {slope!r}")


@needs_modes
def test_worker_threads_made_in_another_mode():
    """OpenMP's threads inherit the mode of the call that makes them: flush-to-zero and rounding up; the usual bits."""
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np, fastact
from test_special_values import MODES, Mode
x = np.concatenate([np.geomspace(1e-45, 1, 300_000), np.linspace(-104, 20, 300_000)]).astype("f4")
passes = fastact.sigmoid, fastact.tanh_derivative, fastact.sigmoid_derivative
fastact.set_num_threads(1)
want = [f(x) for f in passes]
fastact.set_num_threads(2)
for bits in (MODES[-1], 0):
    with Mode(bits):
        got = [f(x) for f in passes]
    assert [y.tobytes() for y in got] == [y.tobytes() for y in want]
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


def test_numbers_beyond_the_type():
    """Weak numbers and slopes past float32 or below it, a signalling NaN that is cast, an integer past every float: no
    warning, or an error by name."""
    x = np.array([0.5, -0.5], F4)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for number, want in ((1e39, INF), (-1e39, -INF), (1e-46, 0.0)) if NUMPY_2 else ():
            assert fastact.tanh_backward(number, x).tolist() == [want, want]
        signalling = np.array([0x7FA00000, 0x3F000000], np.uint32).view(F4)
        assert np.isnan(fastact.tanh_backward(np.ones(2), signalling)).tolist() == [True, False]
        for slope in (np.float64(1e-46), np.full(2, 1e-46), [1e-46, 1e-46]):
            assert_same_bits(fastact.leaky_relu(x, slope, dtype=F4), fastact.relu(x))
        with pytest.raises(ValueError, match="negative_slope must be finite"):
            fastact.leaky_relu(x, signalling)
        with pytest.raises((ValueError, TypeError), match=r"tanh_backward: dy is an integer of 1329 bits"):
            fastact.tanh_backward(10**400, x)
