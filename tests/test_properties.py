"""Property tests: calls drawn by Hypothesis over shapes, strides, types, slopes, overlap and options, and the values.

FASTACT_TEST_LONG=1 draws 10,000 calls and 1,000 sets of values, new ones each time; without it 600 and 60, always the
same. A failure prints the smallest case that Hypothesis finds.
"""

import importlib
import importlib.util
import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from passes import F4, F8, LONG, PASSES, Pass, all_exponents, assert_same_bits, special

import fastact
from fastact._ulp import exact_from_mpmath, exact_from_wider, ulp_error

try:
    from numpy._core.umath import clip
except ImportError:  # NumPy 1.26
    from numpy.core.umath import clip

F2 = np.dtype("f2")
HALVES = [F2]
if importlib.util.find_spec("ml_dtypes"):
    HALVES.append(np.dtype(importlib.import_module("ml_dtypes").bfloat16))
FLOATS = [*HALVES, F4, F8]
INTEGERS = [np.dtype(kind) for kind in "?bBhHiIqQ"]
SIDES = [0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 33, 40]
LONG_SIDES = [511, 512, 513, 1025, 5000, 16383, 16384, 16385, 40_000]
NUMBERS = [0.0, -0.0, 0.5, 1, -2, True, 1000.0, 1e39]
SLOPES = [0, 0.0, 0.01, 0.25, 1, 3, True]
MOST = 120_000  # elements of a case

# a case takes as long as it takes on a busy machine, and most are large
common_settings = settings(
    derandomize=not LONG, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=LONG)
calls = settings(common_settings, max_examples=10_000 if LONG else 600)
values = settings(common_settings, max_examples=1_000 if LONG else 60)


# ---------------------------------------------------------------------------------------------------- what is drawn

@dataclass
class Layout:
    """Where an array lies: in which of the memories (0 is shared), and how. Strides are in bytes."""

    memory: int
    dtype: np.dtype
    shape: tuple
    strides: tuple
    offset: int
    flips: tuple
    read_only: bool = False

    @property
    def end(self):
        reach = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        return self.offset + self.dtype.itemsize + (reach if math.prod(self.shape) else 0)

    def view(self, memories):
        whole = np.ndarray(self.shape, self.dtype, memories[self.memory], self.offset, self.strides)
        a = whole[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)] if self.shape else whole
        a.flags.writeable = not self.read_only
        return a


@dataclass
class Call:
    """One call: a pass, its arguments (layouts and Python numbers), `out`, and the options given."""

    p: Pass
    arguments: list
    slope: object  # a Layout, a number, or None for the default
    out: object  # None, a Layout, or the number of the argument that it is
    out_by: str
    where: object  # None or a Layout
    options: dict
    threads: int
    specials: float
    seed: int


def often(draw, share):
    return draw(st.integers(0, 99)) < 100 * share


@st.composite
def layouts(draw, memory, dtype, shape, distinct=False):
    """An array of this type and shape, `distinct` if no two elements may lie at one place."""
    size, ndim = dtype.itemsize, len(shape)
    plain = often(draw, 0.5)
    order = range(ndim)[::-1] if plain and often(draw, 0.7) else draw(st.permutations(range(ndim)))
    strides, reach = [0] * ndim, 1
    for axis in order:
        if not (distinct or plain or often(draw, 0.9)):
            continue  # the same elements again and again
        gap = 1 if plain else draw(st.sampled_from([1, 1, 2, 3]))
        strides[axis] = reach * gap * size
        reach *= gap * max(1, shape[axis])
    offset = draw(st.integers(0, 40)) * size
    if not plain and often(draw, 0.1):
        offset += draw(st.integers(0, size - 1))
    if not plain and dtype.isbuiltin == 1 and often(draw, 0.1):
        dtype = dtype.newbyteorder()
    flips = tuple(not plain and draw(st.booleans()) for _ in shape)
    return Layout(memory, dtype, shape, tuple(strides), offset, flips, not distinct and often(draw, 0.1))


@st.composite
def parts(draw, shape):
    """A shape that broadcasts to `shape`: most often itself."""
    if often(draw, 0.75):
        return shape
    return tuple(draw(st.sampled_from([n, 1])) for n in shape)[draw(st.integers(0, len(shape))) :]


@st.composite
def cases(draw):
    p = draw(st.sampled_from(PASSES))
    shape = tuple(draw(st.lists(st.sampled_from(SIDES), max_size=4)))
    if shape and often(draw, 0.12):
        axis = draw(st.integers(0, len(shape) - 1))
        shape = (*shape[:axis], draw(st.sampled_from(LONG_SIDES)), *shape[axis + 1 :])
    while math.prod(shape) > MOST:
        shape = shape[1:]
    common = draw(st.sampled_from([F4, F4, F4, F8, F8, *HALVES]))
    memory = iter(range(1, 9))  # of its own, but for those that share memory 0

    def place():
        return 0 if often(draw, 0.4) else next(memory)

    def argument(dtypes):
        dtype = common if often(draw, 0.8) else draw(st.sampled_from(dtypes))
        # bytes of other numbers are no bool
        return draw(layouts(next(memory) if dtype.kind == "b" else place(), dtype, draw(parts(shape))))

    mixed = [F4, F8] if common.name == "bfloat16" else [F2, F4, F8, *INTEGERS]
    arguments = [
        draw(st.sampled_from(NUMBERS)) if often(draw, 0.07) else argument(mixed) for _ in p.arguments
    ]
    slope = None
    if p.slope and often(draw, 0.8):
        slope = draw(st.sampled_from(SLOPES)) if often(draw, 0.5) else argument(mixed)
    given_shapes = [a.shape for a in [*arguments, slope] if isinstance(a, Layout)]
    if np.__version__.startswith("1."):  # whose type of the result depends on the values of numbers and of shape ()
        assume(all(given_shapes) and len(given_shapes) == len(arguments) + (slope is not None))
    shape = np.broadcast_shapes(*given_shapes)
    out = where = None
    options = {}
    kind = draw(st.sampled_from(["absent", "fresh", "input", "shifted", "shifted", "overlap"]))
    if kind in ("input", "shifted"):
        fit = [i for i, a in enumerate(arguments)
               if isinstance(a, Layout) and a.shape == shape and not a.read_only and 0 not in a.strides
               and a.dtype in FLOATS]  # fmt: skip
        out = draw(st.sampled_from(fit)) if fit else None
        if out is not None and kind == "shifted":
            size = arguments[out].dtype.itemsize
            out = replace(arguments[out], offset=arguments[out].offset + draw(st.integers(1, 70)) * size)
    elif kind != "absent":
        dtype = common if often(draw, 0.7) else draw(st.sampled_from(FLOATS))
        out = draw(layouts(0 if kind == "overlap" else next(memory), dtype, shape, distinct=True))
    if out is not None and often(draw, 0.15):
        where = draw(layouts(next(memory), np.dtype(bool), draw(parts(shape))))
    if out is None and often(draw, 0.3):
        options["order"] = draw(st.sampled_from("CFAK"))
    if "bfloat16" not in (common.name, getattr(out, "dtype", F4).name):
        if often(draw, 0.1):
            options["dtype"] = draw(st.sampled_from([F2, F4, F8]))
        if often(draw, 0.1):
            # what a cast of a Python number is, is a matter of its own
            strict = [] if len(given_shapes) < len(arguments) + p.slope else ["no", "equiv", "safe"]
            options["casting"] = draw(st.sampled_from(["same_kind", "unsafe", *strict]))
    return Call(
        p, arguments, slope, out, draw(st.sampled_from(["keyword", "keyword", "position", "tuple"])), where, options,
        draw(st.sampled_from([1, 2])), draw(st.sampled_from([0.0, 0.0, 0.1, 0.5])), draw(st.integers(0, 2**32 - 1)),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ what is called

def numbers(p, role, dtype, shape, share, rng):
    """Values for an argument: N(0, 3), `share` of them special; y in its range, slopes that are finite."""
    if dtype.kind in "biu":
        low = 0 if role == "slope" or dtype.kind in "bu" else -100
        return rng.integers(low, 2 if dtype.kind == "b" else 100, shape).astype(dtype)
    if role == "slope":
        return rng.choice(np.array([0, 0.01, 0.25, 1, 3]), shape).astype(dtype)
    low, high = p.activation.y_range
    a = rng.uniform(low, high, shape) if role == "y" and rng.random() < 0.7 else rng.normal(0, 3, shape)
    a = a.astype(dtype)
    if share:
        pool = special(dtype) if dtype in (F2, F4, F8) else special(F4).astype(dtype)
        np.copyto(a, rng.choice(pool, shape), where=rng.random(shape) < share)
    return a


def build(case):
    """The memories, and in them the arrays of a call: arguments, slope, out, where."""
    rng = np.random.default_rng(case.seed)
    roles = [*zip(case.p.arguments, case.arguments, strict=True), ("slope", case.slope), ("out", case.out),
             ("where", case.where)]  # fmt: skip
    drawn = [layout for _, layout in roles if isinstance(layout, Layout)]
    room = [0] * 10
    for layout in drawn:
        room[layout.memory] = max(room[layout.memory], layout.end + 24)
    memories = [np.full(n, 0xA5, np.uint8) for n in room]
    with np.errstate(all="ignore"):
        for role, layout in roles:
            if isinstance(layout, Layout):
                a = np.ndarray(layout.shape, layout.dtype, memories[layout.memory], layout.offset, layout.strides)
                a[...] = numbers(case.p, role, layout.dtype.newbyteorder("="), layout.shape, case.specials, rng)
    return memories, arrays_in(case, memories)


def arrays_in(case, memories):
    def made(given):
        return given.view(memories) if isinstance(given, Layout) else given

    arguments = [made(a) for a in case.arguments]
    out = arguments[case.out] if isinstance(case.out, int) else made(case.out)
    return arguments, made(case.slope), out, made(case.where)


def called(case, function, arguments, out, where):
    """The call as drawn; `arguments` has the slope last where one is given."""
    options = dict(case.options)
    if where is not None:
        options["where"] = where
    if out is not None:
        if case.out_by == "position":
            arguments = [*arguments, out]
        else:
            options["out"] = (out,) if case.out_by == "tuple" else out
    return function(*arguments, **options)


def common_type(case, arguments):
    """The type that NumPy computes in: the first of its loops to which every array can be cast without a loss."""
    dtype = case.options.get("dtype")
    if dtype is not None:
        return dtype
    dtypes = [a.dtype for a in arguments if isinstance(a, np.ndarray)]
    if not dtypes:
        weak = np.result_type(*arguments)
        return F2 if weak.kind == "b" else F8
    if all(dtype.kind == "b" or dtype.kind in "iu" for dtype in dtypes) and any(type(a) is float for a in arguments):
        dtypes.append(np.result_type(*dtypes, 0.5))
    loops = FLOATS if any(dtype.name == "bfloat16" for dtype in dtypes) else [F2, F4, F8]
    return next(t for t in loops if all(np.can_cast(dtype, t) for dtype in dtypes))


def layout_of(a):
    """Order in memory: strides in elements, where they say something."""
    return [s // a.itemsize for n, s in zip(a.shape, a.strides, strict=True) if n > 1] if a.size else None


def numpys(case, arguments):
    """What a ufunc of NumPy's own with as many inputs makes of the same call: for the result's kind and order."""
    ufunc = {1: np.tanh, 2: np.logaddexp, 3: clip}[len(arguments)]
    seen = [a.view(F2) if isinstance(a, np.ndarray) and a.dtype.name == "bfloat16" else a for a in arguments]
    order = {name: value for name, value in case.options.items() if name == "order"}
    with np.errstate(all="ignore"):
        return ufunc(*seen, **order)


def same_nans(case, got, want):
    """Where types are cast, a NaN is as good as another: put those of `got` where `want` has some as well."""
    drawn = [a.dtype for a in (*case.arguments, case.slope, case.out) if isinstance(a, Layout)]
    cast = {*drawn, got.dtype, case.options.get("dtype", got.dtype)} not in ({F4}, {F8})
    if cast and got.size:  # np.copyto(where=) reads from an empty array, too, wherever its pointer is
        np.copyto(want, got, where=np.isnan(got) & np.isnan(want))


@calls
@given(cases())
def test_any_call(case):
    """600 calls, 10,000 in the long mode: the bits of the call on plain contiguous copies (any NaN will do where
    types are cast), within the pass's bound of the float64 reference; nothing but out's elements is written;
    type, shape and order are those of NumPy's ufuncs; a cast that NumPy refuses and a slope that is not finite are
    errors that write nothing. No warning, and no floating-point error under errstate(all="raise").
    """
    p = case.p
    memories, (arguments, slope, out, where) = build(case)
    before = [memory.copy() for memory in memories]
    inputs = [*arguments, slope] if slope is not None else list(arguments)
    with_slope = [*arguments, 0.01] if p.slope and slope is None else inputs
    given_inputs = with_slope if case.out_by == "position" else inputs
    dtype = common_type(case, [*arguments, *([slope] if isinstance(slope, np.ndarray) else [])])  # a number is weak
    casting = case.options.get("casting", "same_kind")
    shape = np.broadcast_shapes(*(np.shape(a) for a in with_slope))

    with np.errstate(all="ignore"):
        slopes = np.asarray(with_slope[-1] if p.slope else 0, case.options.get("dtype"))
        sound = np.isfinite(slopes).all() and not (p.kind == "backward" and (slopes < 0).any())
    legal = all(np.can_cast(a.dtype, dtype, casting) for a in with_slope if isinstance(a, np.ndarray))
    legal = legal and (out is None or np.can_cast(dtype, out.dtype, casting))
    with warnings.catch_warnings(), np.errstate(all="raise"), fastact.num_threads(case.threads):
        warnings.simplefilter("error")
        if not (sound and legal):
            with pytest.raises((ValueError,) * (not sound) + (TypeError,) * (not legal)):
                called(case, p.function, given_inputs, out, where)
            assert all(map(np.array_equal, memories, before))
            return
        got = called(case, p.function, given_inputs, out, where)

    # what a call on plain copies gives; half types: float32, rounded once
    computed = F4 if dtype in HALVES else dtype
    copies = arrays_in(case, before)
    originals = copies[0] + ([copies[1]] if slope is not None else [0.01] if p.slope else [])
    with np.errstate(all="ignore"):
        plain = [np.array(np.broadcast_to(np.asarray(a).astype(dtype).astype(computed), shape), order="C")
                 for a in originals]  # fmt: skip
        *plain_arrays, plain_slope = plain if p.slope else [*plain, None]
        if p.slope and not isinstance(originals[-1], np.ndarray):
            plain_slope = float(dtype.type(originals[-1]))
        full = np.asarray(p(*plain_arrays, slope=plain_slope))
        want = full.astype(dtype)

    if out is None:
        like = numpys(case, with_slope)
        assert isinstance(got, np.ndarray) == isinstance(like, np.ndarray)
        assert np.shape(got) == np.shape(like) == shape
        if isinstance(got, np.ndarray):
            assert layout_of(got) == layout_of(like)
        else:
            assert type(got) is dtype.type
        same_nans(case, np.asarray(got), want)
        assert_same_bits(np.asarray(got), want)
    else:
        assert got is out
        target = copies[2]
        with np.errstate(all="ignore"):
            np.copyto(target, want.astype(out.dtype), where=True if where is None else copies[3])
        same_nans(case, out, target)
    for memory, expected in zip(memories, before, strict=True):
        assert memory.tobytes() == expected.tobytes()

    if full.size:
        near_reference(p, full, plain_arrays, plain_slope)


def near_reference(p, got, arrays, slope):
    """`got` within the pass's bound of the reference, where that itself holds: y is one that the pass returns."""
    dtype = got.dtype
    holds = np.ones(got.shape, bool)
    if p.kind == "backward" and not p.activation.name.endswith("relu"):
        low, high = p.activation.y_range
        y = arrays[1]
        holds = (y >= low) & (y <= high)
        if dtype == F8:  # y * (1 - y) is subnormal in between
            holds &= (np.abs(y) > 1e-290) | (y == 0)
    reference = np.broadcast_to(p.reference(*arrays, slope=slope), got.shape)
    error = np.where(holds, ulp_error(got, exact_from_wider(reference, dtype)), 0)
    bound = p.bound(dtype)
    if dtype == F8:  # the reference has an error of its own, of up to 5 ULP; mpmath decides beyond 4
        far = error >= bound + 4
        inputs = np.broadcast_arrays(*(a for a in (*arrays, slope) if a is not None), got)[:-1]
        rows = np.stack([a[far] for a in inputs], axis=1).tolist()
        exact = [p.exact(*row[: len(arrays)], slope=row[-1]) for row in rows]
        error[far] = ulp_error(got[far], exact_from_mpmath(exact, dtype))
        bound = np.where(far, bound, bound + 4)
    assert (error < bound).all(), (p.name, error.max())


# ---------------------------------------------------------------------------------------------------------- the values

@st.composite
def samples(draw):
    """A type, and numbers of it without NaN: N(0, 3), every exponent, or neighbours from anywhere on."""
    dtype = draw(st.sampled_from([F2, F4, F8]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["normal", "exponents", "neighbours"]))
    if kind == "normal":
        return rng.normal(0, 3, 3000).astype(dtype)
    if kind == "exponents":
        x = all_exponents(dtype, 2, rng)
        return x[~np.isnan(x)]
    start = draw(st.floats(-110, 110, width=16))
    x = np.full(3000, start, dtype)
    # the bits counted up are the next numbers away from zero
    x.view(f"u{dtype.itemsize}")[:] += np.arange(3000, dtype=f"u{dtype.itemsize}")
    return x[np.isfinite(x)]


@values
@given(samples(), st.sampled_from(SLOPES[:-1]))
def test_values(x, slope):
    """60 sets of some 3,000 numbers, 1,000 in the long mode: ranges; tanh odd to the bit, the derivatives of sigmoid
    and tanh even; sigmoid(x) + sigmoid(-x) within an ULP of 1; every forward pass monotone; what relu and leaky_relu
    select; backward of ones is a derivative."""
    x = np.sort(x)
    dtype, one = x.dtype, np.ones_like(x)
    ulp = np.finfo(dtype).eps
    s, t, r, leaky = fastact.sigmoid(x), fastact.tanh(x), fastact.relu(x), fastact.leaky_relu(x, slope)
    for got, low, high in ((s, 0, 1), (t, -1, 1), (fastact.sigmoid_derivative(x), 0, 0.25),
                           (fastact.tanh_derivative(x), 0, 1), (r, 0, np.inf)):  # fmt: skip
        assert got.dtype == dtype and (got >= low).all() and (got <= high).all()
    assert_same_bits(fastact.tanh(-x), -t)
    for even in (fastact.sigmoid_derivative, fastact.tanh_derivative):
        assert_same_bits(even(-x), even(x))
    assert (np.abs(s.astype(np.longdouble) + fastact.sigmoid(-x) - 1) <= ulp).all()
    for forward in (s, t):
        above, below = forward[1:], forward[:-1]
        assert (above >= below).all(), (dtype, below[above < below][:3])
    assert (r[1:] >= r[:-1]).all() and (leaky[1:] >= leaky[:-1]).all()
    assert_same_bits(r, np.where(x < 0, dtype.type(0), x))
    assert_same_bits(fastact.relu_backward(one, r), fastact.relu_derivative(x))
    with np.errstate(all="ignore"):
        assert_same_bits(leaky, r if slope == 0 else np.where(x > 0, x, x * dtype.type(slope)))
    if slope:  # and not so small a product that the sign is lost
        same_side = (leaky > 0) == (x > 0)
        backward, derivative = fastact.leaky_relu_backward(one, leaky, slope), fastact.leaky_relu_derivative(x, slope)
        assert_same_bits(backward[same_side], derivative[same_side])
